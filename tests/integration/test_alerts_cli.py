"""Alerts through the program: what fails in a run opens an incident of its kind and store, what goes well closes it,
and a sink that is down changes nothing about the run."""

import json
import os
import re
import sys
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from fake_alerts import ALWAYS, FakeAlertServices  # noqa: E402
from history import age_backup, resealed  # noqa: E402


class Alerts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.createdb("care")
        cls.server.psql("CREATE TABLE visits AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 2000) i",
                        db="care")

    def setUp(self):
        self.folder = harness.temp_dir("hf-alerts-")
        self.local, self.nas, self.state = (self.folder / name for name in ("local", "nas", "alerts"))
        self.toml = self.folder / "holdfast.toml"
        try:
            self.fake = FakeAlertServices()
        except harness.Unavailable as error:
            self.skipTest(str(error))
        self.addCleanup(self.fake.close)
        self.configure()

    def configure(self) -> None:
        """Secrets in files of their own, as an operator would; addresses count as secrets."""
        self.files = {}
        for name, text in (("github", self.fake.token), ("slack", f"{self.fake.url}/slack/{self.fake.slack_key}"),
                           ("webhook", self.fake.hook_secret)):
            self.files[name] = self.folder / f"{name}.secret"
            self.files[name].write_text(text + "\n")
            self.files[name].chmod(0o600)
        env = self.fake.env()
        self.toml.write_text(f"""
dir = '{self.local}'
[store.nas]
dir = '{self.nas}'
[audit]
dir = '{self.folder / "audit"}'
[alert]
dir = '{self.state}'
github_repository = '{env["GITHUB_REPOSITORY"]}'
github_api_url = '{env["GITHUB_API_URL"]}'
github_token_file = '{self.files["github"]}'
slack_webhook_file = '{self.files["slack"]}'
webhook_url = '{env["WEBHOOK_URL"]}'
webhook_secret_file = '{self.files["webhook"]}'
ping_url = '{env["PING_URL"]}'
""")

    def run_it(self, *args, expect=0, **env):
        result = harness.holdfast(*args, expect=expect, env={
            "DATABASE_URL": self.server.url("care"), "HOLDFAST_CONFIG": self.toml, **env})
        for file in (*self.state.glob("*"), *(self.folder / "audit").glob("*")):
            if file.is_file():
                harness.assert_no_secrets(file.read_bytes(), file.name)
        return result

    def backup(self, *more, expect=0, **env):
        return self.run_it("backup", "--type", "dump", *more, expect=expect, **env)

    def open_incidents(self) -> list[tuple]:
        shown = self.run_it("alert", "show", "--json").json()["incidents"]
        return sorted((incident["kind"], incident["store"] or "") for incident in shown)

    def titles(self, state: str) -> list[str]:
        return sorted(issue["title"] for issue in self.fake.issues if issue["state"] == state)

    def later(self, hours: float) -> None:
        """As if the state had been written so long ago: what an incident's next word waits for."""
        path = self.state / "incidents.json"

        def earlier(match):
            at = datetime.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S.%fZ") - timedelta(hours=hours)
            return '"' + at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z" + '"'
        text = re.sub(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"', earlier, path.read_text())
        path.write_text(resealed(text))


class Stores(Alerts):
    def test_a_store_that_is_down_is_told_once_updated_and_closed(self):
        self.nas.write_text("a file where the folder should be")
        self.backup(expect=3)
        self.assertEqual(["🚨 Database Backup Failed: care in nas"], self.titles("open"))
        self.assertEqual([("backup", "nas")], self.open_incidents())
        hook = [json.loads(body) for _, body in self.fake.hooks]
        self.assertEqual(["started", "opened", "failed"], sorted((m["type"] for m in hook),
                                                                key=["started", "opened", "failed"].index))
        opened = next(m for m in hook if m["type"] == "opened")["incident"]
        self.assertEqual(("backup", "care", "nas", "critical"),
                         tuple(opened[k] for k in ("kind", "source", "store", "severity")))
        self.assertEqual(os.uname().nodename, opened["host"])

        self.later(23.9)  # the second night: a word on the same issue
        self.backup(expect=3)
        self.assertEqual(1, len(self.fake.issues))
        self.assertEqual(1, len(self.fake.issues[0]["comments"]))

        self.nas.unlink()
        self.later(23.9)
        self.backup()
        self.assertEqual([], self.open_incidents())
        self.assertEqual(["🚨 Database Backup Failed: care in nas"], self.titles("closed"))
        self.assertIn("2 failures", self.fake.issues[0]["comments"][-1])
        self.assertEqual(["🚨", "🔁", "✅"], [m["text"].split()[0] for m in self.fake.slack])

    def test_a_source_that_is_down_is_no_stores_incident(self):
        password = harness.random_secret()
        url = f"postgresql://nobody:{password}@127.0.0.1:{harness.free_port()}/care"
        self.backup(expect=1, DATABASE_URL=url)
        self.assertEqual([("backup", "")], self.open_incidents())
        self.assertEqual(["🚨 Database Backup Failed: care"], self.titles("open"))
        for _, body in self.fake.hooks:
            harness.assert_no_secrets(body, "a webhook's message")
        for issue in self.fake.issues:
            harness.assert_no_secrets(json.dumps(issue), "an issue")
        self.backup()
        self.assertEqual([], self.open_incidents())

    def test_damage_is_a_proofs_incident_until_a_good_proof_of_that_store(self):
        made = self.backup("--json").json()["results"][0]["id"]
        archive = self.nas / f"{made}.dump"
        sound = archive.read_bytes()
        archive.write_bytes(sound[:-1])
        self.run_it("verify", made, expect=4)
        self.assertEqual([("proof", "nas")], self.open_incidents())
        self.run_it("verify", made, "--store", "local")
        self.assertEqual([("proof", "nas")], self.open_incidents(), "another store's proof closes nothing")
        archive.write_bytes(sound)
        self.run_it("verify", made)
        self.assertEqual([], self.open_incidents())
        # A slip of the pen is nobody's incident.
        self.run_it("verify", "care_1999-01-01T00-00-00-000Z", expect=1)
        self.assertEqual([], self.open_incidents())

    def test_pings_say_how_each_backup_went(self):
        self.backup()
        self.nas.rename(self.folder / "away")
        self.nas.write_text("a file")
        self.backup(expect=3)
        paths = [path.split("?") for path, _ in self.fake.pings]
        self.assertEqual(["start", "", "start", "3"], [path for path, _ in paths])
        self.assertEqual([paths[0][1], paths[0][1], paths[2][1], paths[2][1]], [rid for _, rid in paths])
        self.assertNotEqual(paths[0][1], paths[2][1])
        self.run_it("verify", "latest", "--store", "local")
        self.assertEqual(4, len(self.fake.pings), "only backups are what a dead-man service waits for")


class NothingFound(Alerts):
    def test_a_proof_and_a_drill_that_find_no_backup_are_told_and_a_mistyped_id_is_not(self):
        self.run_it("verify", "care_2020", expect=1)
        self.run_it("drill", "care_2020", expect=1)
        self.assertEqual([], self.open_incidents())
        self.run_it("verify", expect=1)
        self.run_it("verify", "--all", expect=1)
        self.run_it("drill", expect=1)
        self.assertEqual([("drill", ""), ("proof", "")], self.open_incidents())
        self.backup()
        self.run_it("verify")
        self.assertEqual([("drill", "")], self.open_incidents())


class Status(Alerts):
    def status(self, expect=0):
        return self.run_it("status", "--alert", "--json", expect=expect).json()

    def test_a_store_that_vanishes_mends_nothing(self):
        made = self.backup("--json").json()["results"][0]["id"]
        for days in (40, 41):
            age_backup(self.local, made, datetime.now(timezone.utc), days)
        self.status(expect=5)
        self.assertIn(("policy", ""), self.open_incidents())
        for store in (self.local, self.nas):
            store.rename(store.with_name(store.name + ".gone"))
        gone = self.status(expect=1)
        self.assertEqual(["local", "nas"], [v["store"] for v in gone["violations"] if v["kind"] == "store"])
        self.assertIn(("policy", ""), self.open_incidents())
        self.assertFalse(any("Recovered" in message["text"] for message in self.fake.slack))

    def test_backups_that_are_too_old_are_one_incident(self):
        self.backup()
        self.toml.write_text(self.toml.read_text() + """
[objectives]
rpo = '1s'
stale_after = '1s'
stale_critical = '2s'
""")
        time.sleep(3)
        self.status(expect=5)
        self.assertEqual([("rpo", "")], self.open_incidents())

    def test_a_drill_that_is_due_is_ended_by_one_that_passed_elsewhere(self):
        self.backup()
        text = self.toml.read_text()
        self.toml.write_text(text + "[objectives]\ndrill_every = '1s'\n")
        time.sleep(2)
        self.status(expect=5)
        self.assertEqual([("drill", "")], self.open_incidents())
        self.assertIn("🚨 Recovery Drill Overdue: care", self.titles("open"))
        self.toml.write_text(text)
        self.run_it("drill", "--no-alert")  # as on another host
        self.assertEqual([("drill", "")], self.open_incidents())
        self.status()
        self.assertEqual([], self.open_incidents())


class AuditHead(Alerts):
    """Every message says where the audit trail stood when it was made."""

    def trail(self) -> list[dict]:
        segment, = (self.folder / "audit").glob("audit-*.jsonl")
        return [json.loads(line) for line in segment.read_text().splitlines()]

    def fail_in_nas(self, **env):
        self.nas.write_text("a file where the folder should be")
        return self.backup(expect=3, **env)

    def test_it_is_a_line_of_the_trail_in_every_sink(self):
        self.backup("--store", "local", "--no-alert")  # begins the trail
        self.fail_in_nas()
        trail = self.trail()
        heads = {}
        for _, body in self.fake.hooks:
            message = json.loads(body)
            head = heads[message["type"]] = message["audit_head"]
            line = trail[head["seq"] - 1]
            self.assertEqual((trail[0]["detail"]["log"], line["hash"], line["time"]),
                             (head["log"], head["hash"], head["time"]))
            self.assertLessEqual(head["time"], message["at"])
        self.assertEqual({"started", "opened", "failed"}, set(heads))
        self.assertEqual(len(trail), heads["failed"]["seq"], "the end of a run knows all that was recorded of it")
        said = heads["opened"]["line"]
        self.assertIn(f"**Audit trail:** `{said}`", self.fake.issues[0]["body"])
        self.assertIn(f"Audit trail: `{said}`", json.dumps(self.fake.slack[0]))
        self.assertEqual([f"Audit trail: {heads[kind]['line']}" for kind in ("started", "failed")],
                         [body.splitlines()[-1] for _, body in self.fake.pings])

    def test_what_is_delivered_late_says_what_was_true_when_it_was_made(self):
        self.fake.fail("500", "webhook", ALWAYS)
        self.fail_in_nas()
        made = json.loads((self.state / "incidents.json").read_text())
        waiting, = (sink["pending"] for sink in made["sinks"] if sink["name"] == "webhook")
        line = next(message["audit_head"] for message in waiting if message["type"] == "opened")
        self.fake.heal()
        self.later(2)
        self.run_it("verify", "latest", "--store", "local")
        self.assertIn(line, [json.loads(body)["audit_head"]["line"] for _, body in self.fake.hooks
                             if json.loads(body)["type"] == "opened"])

    def test_a_trail_that_cannot_be_read_stops_no_alert(self):
        self.backup("--store", "local")
        segment, = (self.folder / "audit").glob("audit-*.jsonl")
        segment.write_bytes(segment.read_bytes()[:-5] + b"00\"}\n")  # nothing can be appended to that either
        self.fake.hooks.clear()
        failed = self.fail_in_nas()
        self.assertEqual(1, failed.err.count("alerts do not say where the audit trail stands"), failed.err)
        self.assertEqual(["started", "opened", "failed"], [json.loads(body)["type"] for _, body in self.fake.hooks])
        self.assertEqual([None] * 3, [json.loads(body)["audit_head"] for _, body in self.fake.hooks])
        self.assertNotIn("Audit trail", self.fake.issues[0]["body"])

    def test_without_a_trail_nothing_is_said_of_one(self):
        self.backup("--store", "local")
        self.fake.hooks.clear()
        failed = self.fail_in_nas(HOLDFAST_AUDIT="off")
        self.assertNotIn("audit", failed.err)
        self.assertEqual([None] * 3, [json.loads(body)["audit_head"] for _, body in self.fake.hooks])


class Sinks(Alerts):
    def test_sinks_that_are_down_change_nothing_and_get_it_the_next_time(self):
        for service in ("github", "slack", "webhook", "ping"):
            self.fake.fail("500", service, ALWAYS)
        self.nas.write_text("a file where the folder should be")
        result = self.backup("--json", expect=3)
        self.assertEqual("ok", result.json()["results"][0]["stores"][0]["status"])
        self.assertIn("it is tried again", result.err)
        self.assertEqual([], self.fake.issues)
        shown = self.run_it("alert", "show", "--json").json()
        self.assertTrue(all(sink["waiting"] for sink in shown["sinks"] if sink["name"] in ("github", "slack")))
        self.assertIn("waiting", self.run_it("alert", "show").out)
        self.fake.heal()
        self.later(2)  # the back-off is over
        self.run_it("verify", "latest", "--store", "local")
        self.assertEqual(["🚨 Database Backup Failed: care in nas"], self.titles("open"))
        self.assertEqual(1, len(self.fake.slack))

    def test_sinks_that_never_answer_or_hang_up_end_with_their_time(self):
        self.fake.fail("stall", "webhook", ALWAYS)
        self.fake.fail("reset", "ping", ALWAYS)
        self.backup()  # the harness ends it if it does not end by itself

    def test_no_alert_is_none(self):
        self.nas.write_text("a file")
        self.backup("--no-alert", expect=3)
        self.assertEqual([], self.fake.requests)
        self.assertFalse(self.state.exists())

    def test_the_test_reaches_every_sink_and_leaves_nothing_open(self):
        tested = self.run_it("alert", "test", "--json").json()
        self.assertEqual(["github", "ping", "slack", "webhook"], sorted(sink["name"] for sink in tested["sinks"]))
        self.assertTrue(tested["ok"])
        self.assertIn("holdfast audit log ", json.loads(self.fake.hooks[0][1])["audit_head"]["line"])
        self.assertEqual([], self.titles("open"))
        self.assertEqual([], self.open_incidents())
        self.fake.fail("403", "slack")
        failed = self.run_it("alert", "test", expect=1)
        self.assertIn("slack", failed.out)
        self.assertNotIn(self.fake.slack_key, failed.out + failed.err)

    def test_what_is_wrong_with_the_settings_is_said_and_fails_no_backup(self):
        self.files["github"].unlink()
        done = self.backup()
        self.assertIn("nobody is alerted", done.err)
        self.run_it("alert", "test", expect=2)
        self.toml.write_text(f"dir = '{self.local}'\n[alert]\nslack = 'x'\n")
        self.assertIn("unknown key 'slack' of [alert]", self.backup(expect=2).err)
        self.toml.write_text(f"dir = '{self.local}'\n")
        self.assertIn("no alerts are configured", self.run_it("alert", "test", expect=2).err)

    def test_quiet_hours_that_cannot_be_read_are_found_before_anything_fails(self):
        self.toml.write_text(self.toml.read_text() + "quiet_hours = '22-6'\n")
        self.assertIn("nobody is alerted: quiet_hours", self.backup().err)
        tested = self.run_it("alert", "test", expect=2)
        self.assertIn("quiet_hours", tested.err)
        self.assertEqual([], self.fake.hooks)
        found = self.run_it("doctor", "--json", expect=1).json()["findings"]
        self.assertIn(("failure", "alerts"), [(one["level"], one["check"]) for one in found])

    def test_the_configuration_shows_no_address(self):
        shown = self.run_it("config", "show").out
        self.assertNotRegex(shown, r"shown\)\S")  # and its columns stand apart
        for secret in (self.fake.hook_key, self.fake.ping_key):
            self.assertNotIn(secret, shown)


if __name__ == "__main__":
    harness.main()
