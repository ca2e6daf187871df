"""The audit trail through the program: what every command leaves in it, that it holds after a crash, and that every
way of tampering is found, by the chain or by an anchor that stands elsewhere."""

import csv
import getpass
import io
import json
import os
import shutil
import signal
import sys
import threading
import unittest
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, ManagedSource, now_on  # noqa: E402
from fake_alerts import FakeAlertServices  # noqa: E402
from history import age_backup  # noqa: E402


def read_trail(folder: Path) -> list[dict]:
    """Every event of callers, oldest first."""
    lines = []
    for segment in sorted(folder.glob("audit-*.jsonl")):
        harness.assert_no_secrets(segment.read_bytes(), segment.name)
        lines += [json.loads(line) for line in segment.read_text().splitlines()]
    return [line for line in lines if line["action"] not in ("audit.begin", "audit.segment")]


def words(events: list[dict]) -> list[str]:
    return [f"{event['action']} {event['outcome']}" for event in events]


class Trail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.createdb("care")
        cls.server.psql("CREATE TABLE visits (id int PRIMARY KEY, note text);"
                        "INSERT INTO visits SELECT i, md5(i::text) FROM generate_series(1, 3000) i", db="care")

    def setUp(self):
        self.folder = harness.temp_dir("hf-audit-")
        self.audit, self.local, self.nas = (self.folder / name for name in ("audit", "local", "nas"))
        self.toml = self.folder / "holdfast.toml"
        self.configure()

    def configure(self, *audit: str) -> None:
        self.toml.write_text(f"dir = '{self.local}'\n[store.nas]\ndir = '{self.nas}'\n[audit]\ndir = '{self.audit}'\n"
                             + "organization = 'Care Commons'\n" + "\n".join(audit) + "\n")

    def env(self, **more) -> dict:
        return {"DATABASE_URL": self.server.url("care"), "HOLDFAST_CONFIG": self.toml, **more}

    def run_it(self, *args, expect=0, **env):
        return harness.holdfast(*args, expect=expect, env=self.env(**env))

    def backup(self, *more, **env) -> str:
        return self.run_it("backup", "--type", "dump", "--json", *more, **env).json()["results"][0]["id"]

    def events(self) -> list[dict]:
        return read_trail(self.audit)

    def take_events(self) -> list[dict]:
        """Those since the last call."""
        seen, events = getattr(self, "_seen", 0), self.events()
        self._seen = len(events)
        return events[seen:]

    def segment(self) -> Path:
        last, = self.audit.glob("audit-*.jsonl")
        return last


class Commands(Trail):
    def test_a_backup_is_two_events_of_one_run(self):
        made = self.backup()
        begun, done = self.events()
        self.assertEqual(["backup.dump begun", "backup.dump ok"], words([begun, done]))
        self.assertEqual(begun["run"], done["run"])
        self.assertEqual(("care", "care"), (begun["target"], done["target"]))
        self.assertEqual(made, done["detail"]["id"])
        self.assertEqual("local ok, nas ok", done["detail"]["stores"])
        self.assertEqual("deep PASS", done["detail"]["proof"])
        size = (self.local / f"{made}.dump").stat().st_size
        self.assertEqual(str(size), done["detail"]["bytes"])
        self.assertEqual(("Care Commons", "os_user", getpass.getuser(), os.uname().nodename, "local"),
                         tuple(done[m] for m in ("organization", "actor_kind", "actor", "host", "address")))

    def test_every_command_that_does_something_leaves_its_events(self):
        made = self.backup("--store", "local")
        self.take_events()
        for args, expected in (
                (("verify", "latest", "--store", "local"), "verify"),
                (("hold", made, "--reason", "audit 2026"), "hold"),
                (("unhold", made), "unhold"),
                (("copy", made, "--to", "nas"), "copy"),
                (("restore", made, "--database", "care_copy"), "restore"),
                (("prune",), "prune"),
                (("recover", made, "--database", "care_new", "--no-cutover"), "recover")):
            with self.subTest(expected):
                env = {"HOLDFAST_TO_URL": self.server.url("postgres")} if expected == "recover" else {}
                self.run_it(*args, **env)
                events = self.take_events()
                self.assertEqual([f"{expected} begun", f"{expected} ok"], words(events))
                self.assertEqual(1, len({event["run"] for event in events}))
                if expected not in ("prune",):
                    self.assertEqual(made, events[1]["target"])
        self.server.dropdb("care_copy")
        self.server.dropdb("care_new")
        detail = next(e for e in self.events() if e["action"] == "restore" and e["outcome"] == "ok")["detail"]
        self.assertEqual(("care_copy", "3000", "PASS"), tuple(detail[k] for k in ("database", "rows", "compared")))
        # What only looks leaves nothing.
        for args in (("list",), ("show", made), ("prune", "--dry-run"), ("config", "show"), ("audit", "show"),
                     ("audit", "verify"), ("doctor",)):
            self.run_it(*args)
        self.assertEqual([], self.take_events())
        shown = self.run_it("audit", "show", "--action", "restore", "--json").json()["events"]
        self.assertEqual(["restore ok", "restore begun"], words(shown))
        self.assertEqual(shown[0]["detail"], detail)
        self.assertIn("restore", self.run_it("audit", "show", "--target", made, "--since", "2026-01-01").out)
        self.assertIn("no such event", self.run_it("audit", "show", "--until", "2026-01-01").out)

    def test_pages_of_the_trail_follow_one_another(self):
        made = self.backup("--store", "local")
        for n in range(3):
            self.run_it("hold", made, "--reason", f"reason {n}")
            self.run_it("unhold", made)
        whole = self.run_it("audit", "show", "--json").json()["events"]
        paged, place = [], []
        while True:
            page = self.run_it("audit", "show", "--limit", "4", "--json", *place).json()
            paged += page["events"]
            if page["older"] is None:
                break
            place = ["--before", page["older"]]
        self.assertEqual([e["seq"] for e in whole], [e["seq"] for e in paged])

    def test_a_restore_over_a_live_database_says_who_confirmed_what(self):
        made = self.backup()
        self.take_events()
        self.run_it("restore", made, "--confirm", "cara", expect=2)
        refused, = self.take_events()
        self.assertEqual("restore failed", words([refused])[0])
        self.assertEqual((made, "invalid"), (refused["target"], refused["detail"]["error"]))
        report = self.run_it("restore", made, "--confirm", "care", "--json").json()
        events = self.take_events()
        self.assertEqual(["restore begun", "backup.dump begun", "backup.dump ok", "restore ok"], words(events))
        self.assertEqual("care", events[0]["detail"]["confirmed"])
        self.assertEqual("before a restore over it", events[1]["detail"]["reason"])
        self.assertEqual(events[2]["detail"]["id"], events[3]["detail"]["safety_backup"])
        self.assertEqual(1, len({event["run"] for event in events}), report)
        self.server.dropdb(events[3]["detail"]["old_kept_as"])

    def test_a_failure_is_recorded_by_its_code_and_not_by_its_text(self):
        password = harness.random_secret()
        port = harness.free_port()
        self.run_it("backup", "--type", "dump", expect=1,
                    DATABASE_URL=f"postgresql://nobody:{password}@127.0.0.1:{port}/care")
        begun, failed = self.events()
        self.assertEqual(["backup.dump begun", "backup.dump failed"], words([begun, failed]))
        self.assertEqual("unavailable", failed["detail"]["error"])
        self.assertNotIn(str(port), json.dumps([begun["detail"], failed["detail"]]))
        self.run_it("verify", "care_1999-01-01T00-00-00-000Z", expect=1)
        self.assertEqual("verify failed", words(self.events())[-1])

    def test_every_removed_backup_is_in_the_ledger_with_its_rule(self):
        now = datetime.now(timezone.utc)
        newest = self.backup("--store", "local")
        old = {days: age_backup(self.local, newest, now, days) for days in (*range(1, 10), 400, 500)}
        self.take_events()
        removed = self.run_it("prune", "--store", "local", "--json").json()["stores"][0]["removed"]
        ledger = [e for e in self.take_events() if e["action"] == "prune.removed"]
        self.assertEqual({old[400], old[500]}, {e["target"] for e in ledger})
        self.assertEqual({b["id"] for b in removed}, {e["target"] for e in ledger})
        for event in ledger:
            self.assertEqual(("local", "care"), (event["detail"]["store"], event["detail"]["database"]))
            self.assertIn("older than 30 days", event["detail"]["rule"])
        # Those that `backup` removes as well.
        gone = age_backup(self.local, newest, now, 700)
        self.backup("--store", "local")
        self.assertIn(gone, {e["target"] for e in self.take_events() if e["action"] == "prune.removed"})

    def test_the_actor_of_a_workflow_is_named(self):
        self.backup("--store", "local", GITHUB_ACTIONS="true", GITHUB_ACTOR="anna", GITHUB_RUN_ID="77123")
        event = self.events()[-1]
        self.assertEqual(("ci", "github:anna", "77123"),
                         (event["actor_kind"], event["actor"], event["detail"]["job"]))


class Hints(Trail):
    def test_what_is_missing_is_no_backup(self):
        (self.folder / "lines.jsonl").write_text("{}\n")
        (self.folder / "file").write_text("")
        for words, env in ((("audit", "show"), {}),
                           (("audit", "verify", str(self.folder / "lines.jsonl")), {}),
                           (("backup", "--type", "dump", "--store", "nas"), {"HOLDFAST_AUDIT": "off"})):
            if words[0] == "backup":
                self.toml.write_text(self.toml.read_text().replace(f"'{self.nas}'", f"'{self.folder}/file/nas'"))
            failed = harness.holdfast(*words, check=False, env=self.env(**env))
            self.assertNotEqual(0, failed.code, words)
            self.assertIn("hint: ", failed.err, words)
            self.assertNotIn("holdfast list shows", failed.err, words)


class Unwritable(Trail):
    def setUp(self):
        super().setUp()
        self.made = self.backup()
        shutil.rmtree(self.audit)
        self.audit.write_text("a file where the folder should be")

    def test_a_backup_is_made_and_what_must_be_recorded_is_refused(self):
        self.run_it("verify", "latest")
        old = age_backup(self.local, self.made, datetime.now(timezone.utc), 400)
        for days in range(1, 10):
            age_backup(self.local, self.made, datetime.now(timezone.utc), days)
        done = self.run_it("backup", "--type", "dump", "--store", "local", "--json")
        self.assertIn("not everything of this run is recorded", done.err)
        self.assertIn("nothing is removed by retention", done.err)
        for args in (("restore", self.made, "--database", "never"), ("prune",), ("unhold", self.made)):
            with self.subTest(args[0]):
                refused = harness.holdfast(*args, env=self.env(), check=False)
                self.assertEqual(1, refused.code)
                self.assertIn("this has to be recorded, and cannot be", refused.err)
        self.assertEqual("", self.server.psql("SELECT 1 FROM pg_database WHERE datname = 'never'"))
        listed = {b["id"] for b in self.run_it("list", "--json").json()["backups"]}
        self.assertIn(old, listed)
        # In an emergency it is said, and done.
        self.run_it("restore", self.made, "--database", "emergency", HOLDFAST_AUDIT_REQUIRED="no")
        self.server.dropdb("emergency")

    def test_off_is_off(self):
        done = self.run_it("prune", HOLDFAST_AUDIT="off")
        self.assertNotIn("recorded", done.err)
        self.assertTrue(self.audit.is_file())


class Crash(Trail):
    def test_kill_in_mid_backup_leaves_the_beginning_and_a_whole_chain(self):
        self.backup()
        self.take_events()
        holder = threading.Thread(target=self.server.psql, args=(
            "BEGIN; LOCK TABLE visits IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)",),
            kwargs={"db": "care", "check": False})
        holder.start()
        try:
            harness.wait_until(lambda: self.server.psql(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND "
                "relation = 'visits'::regclass", db="care") == "1", what="the lock")
            process = harness.spawn_holdfast("backup", "--type", "dump", env=self.env())
            harness.wait_until(lambda: len(self.events()) == 3, what="the beginning")
            process.send_signal(signal.SIGKILL)
            process.wait()
        finally:
            self.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' "
                             "AND pid <> pg_backend_pid()")
            holder.join()
        self.assertEqual(["backup.dump begun"], words(self.take_events()))
        self.run_it("audit", "verify")
        self.backup()
        self.assertEqual(["backup.dump begun", "backup.dump ok"], words(self.take_events()))
        self.run_it("audit", "verify")


class Tampering(Trail):
    def setUp(self):
        super().setUp()
        self.made = self.backup()
        self.run_it("hold", self.made, "--reason", "audit 2026")

    def test_a_flipped_byte_is_found_and_named(self):
        verified = self.run_it("audit", "verify", "--json").json()
        self.assertTrue(verified["ok"])
        self.assertEqual(5, verified["lines"])
        content = self.segment().read_bytes()
        lines = content.splitlines(keepends=True)
        at = len(lines[0]) + len(lines[1]) + lines[2].index(b'"ok"') + 1  # of line 3
        self.segment().write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        found = self.run_it("audit", "verify", "--json", expect=4).json()
        self.assertFalse(found["ok"])
        self.assertEqual((self.segment().name, 3, "edit"),
                         tuple(found["problems"][0][k] for k in ("file", "line", "fault")))
        self.assertIn(f"{self.segment().name} line 3", self.run_it("audit", "verify", expect=4).out)
        self.assertIn("damaged", self.run_it("audit", "show", "--json").out)

    def test_a_cut_tail_is_found_by_the_anchor_in_a_store(self):
        anchored = self.run_it("audit", "anchor", "--json").json()
        self.assertEqual(["ok", "ok"], [store["status"] for store in anchored["stores"]])
        self.assertEqual(5, anchored["seq"])
        self.assertTrue((self.nas / anchored["stores"][1]["object"]).is_file())
        lines = self.segment().read_bytes().splitlines(keepends=True)
        self.segment().write_bytes(b"".join(lines[:3]))
        found = self.run_it("audit", "verify", "--json", expect=4).json()
        self.assertEqual(["cut"], [problem["fault"] for problem in found["problems"]])
        self.assertIn("2 lines were cut off", found["problems"][0]["what"])
        # Without the stores, the line that was printed finds it too; the chain alone would not.
        for store in (self.local, self.nas):
            shutil.rmtree(store / "audit")
        self.run_it("audit", "verify")
        self.run_it("audit", "verify", "--head", anchored["line"], expect=4)

    def alerted_head(self) -> tuple[Path, dict]:
        """A backup fails, and a webhook is told; the configuration, and the head of the trail as the message says it."""
        toml = self.folder / "alerting.toml"
        with closing(FakeAlertServices(github=False)) as fake:
            toml.write_text(self.toml.read_text() + f"[alert]\nwebhook_url = '{fake.env()['WEBHOOK_URL']}'\n"
                                                    f"dir = '{self.folder / 'alerts'}'\n")
            url = f"postgresql://nobody@127.0.0.1:{harness.free_port()}/care"
            self.run_it("backup", "--type", "dump", expect=1, HOLDFAST_CONFIG=toml, DATABASE_URL=url)
            messages = [json.loads(body) for _, body in fake.hooks]
        return toml, next(message["audit_head"] for message in messages if message["type"] == "opened")

    def test_a_cut_tail_and_a_rewritten_line_are_found_by_what_an_alert_said(self):
        toml, head = self.alerted_head()
        self.run_it("verify", "latest")  # the trail goes on
        content = self.segment().read_bytes()
        lines = content.splitlines(keepends=True)
        self.assertGreater(len(lines), head["seq"])
        self.assertEqual(json.loads(lines[head["seq"] - 1])["hash"], head["hash"])
        sound = self.run_it("audit", "verify", "--head", head["line"], "--json").json()
        self.assertEqual((1, head["seq"]), (sound["anchors_compared"], sound["anchored_seq"]))

        self.segment().write_bytes(b"".join(lines[:head["seq"]]))  # behind it: no head can know
        self.run_it("audit", "verify", "--head", head["line"])
        self.segment().write_bytes(b"".join(lines[:head["seq"] - 1]))
        self.run_it("audit", "verify")  # the chain alone knows nothing of it
        found = self.run_it("audit", "verify", "--head", head["line"], "--json", expect=4).json()
        self.assertEqual(["cut"], [problem["fault"] for problem in found["problems"]])
        self.assertIn("a line was cut off", found["problems"][0]["what"])
        self.run_it("unhold", self.made)  # other lines in their place
        found = self.run_it("audit", "verify", "--head", head["line"], "--json", expect=4).json()
        self.assertEqual(["anchor"], [problem["fault"] for problem in found["problems"]])

    def test_a_head_that_is_none_is_refused_and_one_of_another_log_is_damage(self):
        line = self.run_it("audit", "anchor", "--json").json()["line"]
        for wrong in (line[:-1], line.replace(" line ", ":"), line.replace("line 5", "line 05"), "sha256"):
            refused = self.run_it("audit", "verify", "--head", line, "--head", wrong, expect=2)
            self.assertIn("is not the head of an audit log", refused.err)
            self.assertIn("give the whole line", refused.err)
        out = self.folder / "audit.jsonl"
        self.run_it("audit", "export", "--out", out)
        self.run_it("audit", "verify", out, "--head", line)
        forged = line[:-1] + ("0" if line[-1] != "0" else "1")
        self.run_it("audit", "verify", out, "--head", forged, expect=4)
        self.run_it("audit", "verify", "--head", forged, expect=4)
        beyond = line.replace("line 5", "line 999")
        self.assertIn("is not in this export", self.run_it("audit", "verify", out, "--head", beyond, expect=2).err)

        # Whoever put another log in its place, and anchored that one, is found by the head that was said before.
        shutil.rmtree(self.audit)
        self.backup()
        self.run_it("audit", "anchor")
        self.run_it("audit", "verify")
        found = self.run_it("audit", "verify", "--head", line, "--json", expect=4).json()
        self.assertIn("put in its place", found["problems"][0]["what"])

    def test_a_trail_that_was_written_anew_is_found(self):
        self.run_it("audit", "anchor")
        shutil.rmtree(self.audit)
        self.run_it("hold", self.made, "--reason", "again", expect=1)
        found = self.run_it("audit", "verify", "--json", expect=4).json()
        self.assertEqual(1, len(found["other_logs"]), "the stores know another log than the one that is here")
        self.assertIn("put in the place of another", found["problems"][0]["what"])

    def test_anchors_do_not_disturb_what_lists_and_prunes(self):
        self.run_it("audit", "anchor")
        self.assertEqual([self.made], [b["id"] for b in self.run_it("list", "--json").json()["backups"]])
        self.run_it("prune")
        self.run_it("verify", "--all")
        self.assertEqual(1, len(list((self.local / "audit").rglob("*.anchor.json"))))

    def test_an_export_is_checked_by_its_proof_alone(self):
        self.run_it("audit", "anchor")
        out = self.folder / "audit-2026.jsonl"
        exported = self.run_it("audit", "export", "--out", out, "--json").json()
        self.assertEqual(1, exported["proof"]["anchors"])
        self.assertEqual(["audit.export begun", "audit.export ok"], words(self.events()[-2:]))
        self.run_it("audit", "export", "--out", out, expect=1)  # never over something
        moved = harness.temp_dir() / out.name
        for suffix in ("", ".proof.json"):
            shutil.copy(f"{out}{suffix}", f"{moved}{suffix}")
        shutil.rmtree(self.audit)
        self.assertIn("INTACT", self.run_it("audit", "verify", moved).out)
        moved.write_bytes(moved.read_bytes().replace(b"backup.dump", b"backup.damp", 1))
        self.assertIn("DAMAGED", self.run_it("audit", "verify", moved, expect=4).out)

    def test_a_table_of_one_action_is_for_reading(self):
        out = self.folder / "audit.csv"
        self.run_it("audit", "export", "--out", out, "--format", "csv", "--action", "hold")
        rows = list(csv.DictReader(io.StringIO(out.read_text(), newline="")))
        self.assertEqual({"hold"}, {row["action"] for row in rows})
        self.assertEqual(2, len(rows))
        refused = self.run_it("audit", "export", "--out", self.folder / "x", "--action", "hold", expect=2)
        self.assertIn("--format csv", refused.err)
        self.assertFalse((self.folder / "x").exists())


class Locked(Trail):
    """A bucket with Object Lock, where even whoever may delete cannot."""

    def test_an_anchor_in_a_bucket_with_object_lock_stays_as_long_as_the_trail(self):
        with harness.FakeS3() as s3:
            s3.make_bucket("locked", has_lock=True)
            self.toml.write_text('s3_object_lock = "compliance"\n' + self.toml.read_text())
            env = s3.env(S3_BACKUP_BUCKET="locked")
            self.backup("--store", "s3", **env)
            anchored = self.run_it("audit", "anchor", "--json", **env).json()
            self.assertEqual(["local", "s3", "nas"], [store["name"] for store in anchored["stores"]])
            locked = {store["name"]: store["locked_until"] for store in anchored["stores"]}
            self.assertIsNone(locked["local"])
            self.assertEqual(datetime.now(timezone.utc).year + 6, int(locked["s3"][:4]))
            head = s3.aws("s3api", "head-object", "--bucket", "locked",
                          "--key", f"backups/{anchored['stores'][1]['object']}").json()
            self.assertEqual("COMPLIANCE", head["ObjectLockMode"])
            self.assertEqual(locked["s3"][:10], head["ObjectLockRetainUntilDate"][:10])
            lines = self.segment().read_bytes().splitlines(keepends=True)
            self.segment().write_bytes(b"".join(lines[:2]))
            for folder in (self.local, self.nas):  # what whoever cut the trail could reach as well
                shutil.rmtree(folder / "audit")
            self.run_it("audit", "verify", expect=4, **env)


class Api(unittest.TestCase):
    """Calls of the engine's API, as stock clients make them."""

    @classmethod
    def setUpClass(cls):
        cls.source = ManagedSource(settings={"track_commit_timestamp": "on", "max_wal_senders": 20})
        cls.addClassCleanup(cls.source.close)
        cls.source.createdb("care")
        cls.source.psql("CREATE TABLE visits AS SELECT generate_series(1, 100) AS id", db="care")
        try:
            cls.engine = EngineServer(cls.source, managed=True, settings={"databases": ["care"]})
        except harness.Unavailable as error:
            raise unittest.SkipTest(str(error)) from None
        cls.addClassCleanup(cls.engine.close)
        cls.trail = Path(cls.engine.home) / ".local/state/holdfast/audit"

    def events(self, action: str = "") -> list[dict]:
        return [event for event in read_trail(self.trail) if event["action"].startswith(action)]

    def test_changes_reads_of_passwords_and_refusals_are_recorded_and_lists_are_not(self):
        self.assertEqual(["key.create begun", "key.create ok", "serve begun"], words(self.events()[:3]))
        env = self.engine.api_env(DATABASE_URL=self.source.url("care"))
        here = harness.temp_dir("hf-audit-") / "audit"
        env["HOLDFAST_AUDIT_DIR"] = here
        made = harness.holdfast("branch", "create", "before-update", "--json", env=env, timeout=300).json()
        begun, done = self.events("api.branch.create")[-2:]
        self.assertEqual(["api.branch.create begun", "api.branch.create ok"], words([begun, done]))
        self.assertEqual(("api_key", "key 1 (test)", "127.0.0.1", "201"),
                         (done["actor_kind"], done["actor"], done["address"], done["detail"]["status"]))
        self.assertEqual(f"/projects/{self.engine.api.project}/branches", done["target"])
        self.assertEqual(begun["run"], done["run"])
        # The command has a trail of its own: what was asked for, and by whom.
        self.assertEqual(["branch.create begun", "branch.create ok"], words(read_trail(here)))

        before = len(self.events("api."))
        self.engine.api.branches()
        self.assertEqual(before, len(self.events("api.")))
        harness.holdfast("branch", "url", "before-update", env=env)
        read = self.events("api.")[before:]
        self.assertTrue({"api.project.connection_uri", "api.role.reveal_password"} &
                        {event["action"] for event in read}, read)
        self.assertEqual(["branch.url begun", "branch.url ok"], words(read_trail(here))[-2:])
        harness.holdfast("psql", "before-update", "--database", "care", "--", "-XAtc", "SELECT 1", env=env)
        psql = read_trail(here)[-1]
        self.assertEqual(("psql", "ok", "care"), (psql["action"], psql["outcome"], psql["detail"]["database"]))
        harness.holdfast("branch", "list", check=False, env={**env, "NEON_API_KEY_FILE": None,
                                                             "NEON_API_KEY": harness.random_secret()})
        refused, *_ = harness.wait_until(lambda: self.events("api.refused"), what="the refusal")
        self.assertEqual(("denied", "127.0.0.1"), (refused["outcome"], refused["address"]))
        harness.holdfast("branch", "delete", "before-update", env=env)
        self.assertEqual(["api.branch.delete begun", "api.branch.delete ok"],
                         words(self.events("api.branch.delete")[-2:]))
        self.assertIn(made["branch"]["id"], self.events("api.branch.delete")[-1]["target"])
        self.engine.holdfast("audit", "verify")

    def test_both_legs_of_a_backup_are_events_of_their_own(self):
        folder = harness.temp_dir("hf-audit-")
        env = self.engine.api_env(DATABASE_URL=self.source.url("care"), BACKUP_DIR=folder / "backups",
                                  HOLDFAST_AUDIT_DIR=folder / "audit")
        self.engine.wait_caught_up(now_on(self.source))
        results = harness.holdfast("backup", "--json", env=env, timeout=300).json()["results"]
        events = read_trail(folder / "audit")
        self.assertEqual(["backup.branch begun", "backup.branch ok", "backup.dump begun", "backup.dump ok"],
                         sorted(words(events)))
        self.assertEqual(1, len({event["run"] for event in events}))
        self.assertEqual({leg["id"] for leg in results},
                         {event["detail"]["id"] for event in events if event["outcome"] == "ok"})
        # The engine's own trail has the calls that the branch leg made, under its key.
        self.assertIn("api.branch.create ok", words(self.events("api.branch.create")))
        self.engine.drop_branches()


if __name__ == "__main__":
    harness.main()
