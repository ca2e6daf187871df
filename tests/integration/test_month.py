"""A month with a clock of our own: every night's backup, proof and look at the objectives by `serve --once`, and on some
days what can go wrong, and what an operator then does. Each incident is told once, updated while it lasts, and closed;
on the other days nobody is told anything; and `status` and the report agree with what happened.

The program is the real one, over a real database and two stores; libfaketime tells it what time it is, so that
thirty-one days pass in minutes. The alerts go to the fake that holds GitHub to its own description.
"""

import json
import os
import sys
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from fake_alerts import FakeAlertServices  # noqa: E402

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
DATABASE_DOWN = (5, 6)  # the source cannot be reached
NOBODY_THERE = (10, 11)  # the machine is off
STORE_BROKEN = (14, 15)  # one of two stores cannot be written; on the 16th the operator copies what it lacks
DAMAGED = 18  # the night's backup is damaged in both stores before its proof; on the 19th it is moved away
BEFORE = -6  # a week of nights that the month begins with
DRILLS = {1: "4h", 22: "0s", 23: "4h"}  # day → what a recovery may take


def day(number: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 10, 1, hour, minute, 10, tzinfo=timezone.utc) + timedelta(days=number - 1)


class Month(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(FAKETIME):
            raise AssertionError("libfaketime is missing: tools/install-dependencies --for check")
        cls.source = harness.Server()
        cls.addClassCleanup(cls.source.close)
        cls.source.createdb("care")
        cls.source.psql("CREATE TABLE visits AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 500) i",
                        db="care")
        try:
            cls.fake = FakeAlertServices()
        except harness.Unavailable as error:
            raise unittest.SkipTest(str(error)) from None
        cls.addClassCleanup(cls.fake.close)
        cls.base = harness.temp_dir("hf-month-")
        cls.local, cls.nas = cls.base / "local", cls.base / "nas"
        cls.told: dict[int, list[tuple]] = {}  # day → (type, kind, store)
        cls.statuses: dict[int, dict] = {}
        cls.configure()
        cls.live_through()

    # Nothing is past its time in this month: the server's clock is the real one, and where clocks differ by so much,
    # retention rightly removes nothing.
    @classmethod
    def configure(cls):
        secrets = {"github": cls.fake.token, "webhook": cls.fake.hook_secret}
        for name, text in secrets.items():
            path = cls.base / f"{name}.secret"
            path.write_text(text + "\n")
            path.chmod(0o600)
        env = cls.fake.env()
        (cls.base / "holdfast.toml").write_text(f"""
dir = '{cls.local}'
type = "dump"
retention_days = 60
[store.nas]
dir = '{cls.nas}'
[audit]
dir = '{cls.base / "audit"}'
[alert]
dir = '{cls.base / "alerts"}'
github_repository = '{env["GITHUB_REPOSITORY"]}'
github_api_url = '{env["GITHUB_API_URL"]}'
github_token_file = '{cls.base / "github.secret"}'
webhook_url = '{env["WEBHOOK_URL"]}'
webhook_secret_file = '{cls.base / "webhook.secret"}'
[schedule]
backup = "0 2 * * *"
verify = "0 4 * * *"
drill = "0 5 1,22,23 * *"
status = "0 6 * * *"
catch_up = "skip"
""")

    @classmethod
    def run_at(cls, when: datetime, *args, expect: int | None = 0, **env):
        return harness.holdfast(*args, check=False, expect=expect, timeout=300, env={
            "DATABASE_URL": cls.source.url("care"), "HOLDFAST_CONFIG": cls.base / "holdfast.toml",
            "XDG_STATE_HOME": cls.base / "state", "LD_PRELOAD": FAKETIME, "TZ": "UTC", "NO_FAKE_STAT": "1",
            "FAKETIME": "@" + when.strftime("%Y-%m-%d %H:%M:%S"), "FAKETIME_DONT_RESET": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", **env})

    @classmethod
    def run_due(cls, number: int, hour: int, **env) -> None:
        before = len(cls.fake.hooks)
        cls.run_at(day(number, hour), "serve", "--once", expect=None, **env)
        for _, body in cls.fake.hooks[before:]:
            message = json.loads(body)
            incident = message["incident"]
            if message["type"] in ("opened", "update", "escalated", "recovered"):
                cls.told.setdefault(number, []).append(
                    (message["type"], incident["kind"], incident["store"] or ""))

    @classmethod
    def live_through(cls):
        cls.run_due(BEFORE - 1, 22)  # the evening before, the schedule is taken up
        for number in range(BEFORE, 32):
            if number in NOBODY_THERE:
                continue
            env = {}
            if number in DATABASE_DOWN:
                env["DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{harness.free_port()}/care"
            if number == STORE_BROKEN[0]:
                cls.nas.rename(cls.base / "nas-away")
                cls.nas.write_text("not a folder")
            if number == STORE_BROKEN[-1] + 1:
                cls.nas.unlink()
                (cls.base / "nas-away").rename(cls.nas)
            cls.run_due(number, 2, **env)
            if number == STORE_BROKEN[-1] + 1:
                for lacking in sorted({path.stem for path in cls.local.glob("care_2026-10-1[45]*.dump")}):
                    cls.run_at(day(number, 3), "copy", lacking, "--to", "nas")
            if number == DAMAGED:
                cls.damage_newest()
            if number == DAMAGED + 1:
                cls.move_damaged_away()
            cls.run_due(number, 4)
            if number in DRILLS:
                cls.run_due(number, 5, HOLDFAST_RTO=DRILLS[number])
            cls.run_due(number, 6, **({"HOLDFAST_RTO": DRILLS[number]} if number in DRILLS else {}))
            rto = {"HOLDFAST_RTO": DRILLS[number]} if number in DRILLS else {}
            cls.statuses[number] = cls.run_at(day(number, 6, 30), "status", "--json", expect=None, **rto).json()

    @classmethod
    def damage_newest(cls):
        newest = sorted(cls.local.glob("care_2026-10-*.dump"))[-1]
        for folder in (cls.local, cls.nas):
            path = folder / newest.name
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

    @classmethod
    def move_damaged_away(cls):
        for folder in (cls.local, cls.nas):
            (cls.base / f"damaged-{folder.name}").mkdir()
            for path in folder.glob(f"care_2026-10-{DAMAGED}*"):
                path.rename(cls.base / f"damaged-{folder.name}" / path.name)

    def episodes(self, kind: str, store: str = "") -> list[tuple]:
        """Of one kind of incident: (day, what was said)."""
        return [(number, said) for number, messages in sorted(self.told.items())
                for said, of, where in messages if (of, where) == (kind, store)]

    def test_a_failing_backup_is_told_each_night_and_its_end(self):
        found = [each for each in self.episodes("backup") if each[0] < 10]
        self.assertEqual([(5, "opened"), (6, "update"), (7, "recovered")], found, self.told)

    def test_runs_that_never_were_are_told_when_somebody_is_back(self):
        for job in ("backup", "verify", "status"):
            found = self.episodes("missed_run", job)
            self.assertEqual([(12, "opened"), (12, "recovered")], found, (job, self.told))

    def test_a_broken_store_is_that_stores_trouble_alone(self):
        found = [each for each in self.episodes("backup", "nas")]
        self.assertEqual([(14, "opened"), (15, "update"), (16, "recovered")], found, self.told)
        self.assertEqual([], [each for each in self.episodes("backup", "local")])

    def test_damage_is_told_and_ends_with_the_next_good_proof(self):
        for store in ("local", "nas"):
            self.assertEqual([(18, "opened"), (19, "recovered")], self.episodes("proof", store), self.told)

    def test_a_slow_drill_is_told_and_ends_with_a_fast_one(self):
        found = self.episodes("rto")
        self.assertEqual([(22, "opened"), (23, "recovered")], [found[0], found[-1]], self.told)
        self.assertLessEqual(len(found), 3, "no spam")

    def test_what_could_be_lost_is_told_while_it_is_too_much(self):
        found = self.episodes("rpo")
        self.assertEqual((5, "opened"), found[0])
        opened = [number for number, said in found if said == "opened"]
        self.assertEqual([5, 18], opened, self.told)
        self.assertEqual([7, 19], [number for number, said in found if said == "recovered"])

    def test_nobody_is_told_anything_on_the_other_days(self):
        trouble = {5, 6, 7, 12, 14, 15, 16, 18, 19, 22, 23}
        self.assertEqual(set(), set(self.told) - trouble, self.told)
        self.assertLessEqual(sum(len(messages) for messages in self.told.values()), 60, "no spam")

    def test_every_incident_is_over_and_each_has_one_issue(self):
        self.assertEqual([], [issue["title"] for issue in self.fake.issues if issue["state"] == "open"])
        opened = sum(said == "opened" for messages in self.told.values() for said, _, _ in messages)
        self.assertEqual(opened, len(self.fake.issues), [issue["title"] for issue in self.fake.issues])

    def test_status_agrees(self):
        bad = {number for number, status in self.statuses.items() if not status["ok"]}
        self.assertEqual({5, 6, 14, 15, 18, 22}, bad,
                         {number: self.statuses[number]["violations"] for number in bad})
        kinds = {number: {violation["kind"] for violation in self.statuses[number]["violations"]} for number in bad}
        for number, kind in ((5, "rpo"), (6, "rpo"), (14, "store"), (15, "store"), (18, "rpo"), (22, "rto")):
            self.assertIn(kind, kinds[number], kinds)

    def test_the_report_agrees(self):
        found = self.run_at(day(33, 8), "report", "--period", "2026-10", "--json", expect=5).json()
        self.assertEqual(["2026-10-05", "2026-10-06", "2026-10-10", "2026-10-11", "2026-10-18"],
                         found["days_without_proof"])
        failures = {(int(failure["at"][8:10]), failure["action"]) for failure in found["failures"]}
        self.assertEqual({(5, "backup.dump"), (6, "backup.dump"), (14, "backup.dump"), (15, "backup.dump"),
                          # With a store that cannot be looked at, the policy cannot be said to be kept.
                          (14, "verify"), (15, "verify"), (18, "verify")}, {each for each in failures if each[1] != "drill"}, found["failures"])
        self.assertTrue(all(failure["resolved_at"] for failure in found["failures"]), found["failures"])
        self.assertEqual([1, 22, 23], [int(drill["began_at"][8:10]) for drill in found["drills"]])
        rules = {row["citation"]: row["verdict"] for row in found["rules"]}
        self.assertEqual(("GAP", "PASS"), (rules["164.308(a)(7)(ii)(A)"], rules["164.308(a)(7)(ii)(D)"]))


if __name__ == "__main__":
    unittest.main()
