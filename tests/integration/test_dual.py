"""The dual strategy on an engine with a real PostgreSQL: both legs, a bad UPDATE, the second before it, the way back.

One story in the order of an operator's bad day, and what belongs to each step: both kinds of backup listed,
proven, held and pruned alike.
"""

import sys
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, ManagedSource, now_on  # noqa: E402

SAMPLE = """
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL, allergies text);
INSERT INTO clients SELECT n, 'client ' || n, CASE WHEN n % 3 = 0 THEN 'nuts' END FROM generate_series(1, 300) n;
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client int REFERENCES clients, at timestamptz);
INSERT INTO visits (client, at) SELECT n % 300 + 1, '2026-01-01Z'::timestamptz + n * interval '1 h'
  FROM generate_series(1, 5000) n;
CREATE TABLE audit_events (id int, what text);
"""
ALLERGIES = "SELECT count(allergies) FROM clients"


def second(instant) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


class Dual(unittest.TestCase):
    """An engine that manages its source, and stores for the records."""

    @classmethod
    def setUpClass(cls):
        cls.source = ManagedSource(settings={"track_commit_timestamp": "on", "max_wal_senders": 20})
        cls.addClassCleanup(cls.source.close)
        cls.source.createdb("care")
        cls.source.psql(SAMPLE, db="care")
        try:
            cls.engine = EngineServer(cls.source, managed=True, settings={"databases": ["care"]})
        except harness.Unavailable as error:
            raise unittest.SkipTest(str(error)) from None
        cls.addClassCleanup(cls.engine.close)

    def setUp(self):
        self.folder = harness.temp_dir("hf-dual-") / "backups"

    def tearDown(self):
        self.engine.drop_branches()

    def env(self, **more) -> dict:
        return self.engine.api_env(**{"DATABASE_URL": self.source.url("care"), "BACKUP_DIR": str(self.folder), **more})

    def run_it(self, *args, expect: int = 0, env: dict | None = None):
        return harness.holdfast(*args, env=self.env(**(env or {})), expect=expect, timeout=300)

    def live(self, sql: str) -> str:
        return self.source.psql(sql, db="care")

    def on_branch(self, name: str, sql: str) -> str:
        return self.run_it("psql", name, "--database", "care", "--", "-XAtc", sql).out.strip()

    def backup(self, *args, **more) -> dict:
        """The legs by their kind."""
        self.engine.wait_caught_up(now_on(self.source))
        document = self.run_it("backup", "--json", *args, **more).json()
        return {leg["kind"]: leg for leg in document["results"]}

    def listed(self) -> dict:
        return {entry["id"]: entry for entry in self.run_it("list", "--json").json()["backups"]}

    def computes(self) -> list[dict]:
        return [endpoint for endpoint in self.engine.api.get("endpoints")["endpoints"]
                if endpoint["branch_id"] != self.engine.api.default_branch()["id"]]


class Backups(Dual):
    def test_both_legs_are_made_proven_and_listed(self):
        legs = self.backup()
        dump, branch = legs["dump"], legs["branch"]
        self.assertEqual(("ok", "ok"), (dump["status"], branch["status"]), legs)
        self.assertTrue(dump["proof"]["ok"] and branch["proof"]["ok"])
        self.assertRegex(branch["id"], r"^backup-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$")
        made = self.engine.api.branches()[branch["id"]]
        self.assertTrue(made["protected"])
        self.assertEqual(branch["branch"]["lsn"], made["parent_lsn"])
        self.assertEqual([], self.computes(), "a backup costs no compute")
        listed = self.listed()
        self.assertEqual(("dump", "branch"), (listed[dump["id"]]["kind"], listed[branch["id"]]["kind"]))
        self.assertIn("branch", self.run_it("list").out)
        shown = self.run_it("show", branch["id"], "--json").json()
        rows = {table["name"]: table["rows"] for table in shown["tables"]}
        self.assertEqual({"public.clients": 300, "public.visits": 5000, "public.audit_events": 0}, rows)
        # Nothing changed between the two: what was read of the branch is what the dump's manifest says.
        dumped = {t["name"]: t["checksum"] for t in self.run_it("show", dump["id"], "--json").json()["tables"]}
        self.assertEqual(dumped, {table["name"]: table["checksum"] for table in shown["tables"]})
        again = self.run_it("verify", branch["id"], "--json").json()["backups"][0]
        self.assertEqual("PASS", again["verdict"])
        self.assertEqual(5300, again["rows"])

    def test_a_dump_from_the_branch_holds_its_very_moment(self):
        legs = self.backup("--dump-from", "branch")
        self.assertEqual(("ok", "ok"), (legs["dump"]["status"], legs["branch"]["status"]), legs)
        self.assertEqual(legs["branch"]["id"], legs["dump"]["taken_from"])
        tables = {t["name"]: t["checksum"] for t in
                  self.run_it("show", legs["dump"]["id"], "--json").json()["tables"]}
        branch = self.run_it("show", legs["branch"]["id"], "--json").json()["tables"]
        self.assertEqual(tables, {t["name"]: t["checksum"] for t in branch})
        self.assertEqual([], self.computes())
        self.run_it("verify", "--all")

    def test_what_was_written_to_a_backup_is_found(self):
        made = self.backup("--type", "branch")["branch"]["id"]
        self.run_it("branch", "start", made)
        self.on_branch(made, "DELETE FROM visits WHERE id = 1; UPDATE clients SET name = 'x' WHERE id = 2")
        found = self.run_it("verify", made, "--json", expect=4).json()["backups"][0]
        self.assertEqual(["table public.clients", "table public.visits"],
                         sorted(problem["where"] for problem in found["problems"]))
        self.assertEqual("running", "running" if self.computes() else "gone", "it ran before, so it runs on")

    def test_critical_tables_alone_are_read(self):
        made = self.backup("--type", "branch", "--critical-table", "visits")["branch"]
        self.assertEqual("PASS WITH NOTES", made["proof"]["verdict"])
        shown = self.run_it("show", made["id"], "--json").json()
        self.assertEqual(["public.visits"], [table["name"] for table in shown["tables"]])
        missing = self.run_it("verify", made["id"], "--critical-table", "payments", "--json", expect=4).json()
        self.assertIn("payments", missing["backups"][0]["problems"][0]["where"])

    def test_a_branch_that_is_gone_is_told(self):
        made = self.backup("--type", "branch")["branch"]["id"]
        self.engine.drop_branches()
        found = self.run_it("verify", made, "--json", expect=4).json()["backups"][0]
        self.assertIn("gone", found["problems"][0]["what"])

    def test_a_lost_record_is_made_again_from_the_branch(self):
        made = self.backup("--type", "branch")["branch"]["id"]
        for record in self.folder.iterdir():
            record.unlink()
        self.assertEqual({}, self.listed())
        again = self.backup("--type", "branch")["branch"]["id"]
        self.assertEqual({made, again}, set(self.listed()))
        self.run_it("verify", made)

    def test_holds_and_retention_go_over_both_kinds(self):
        made = self.backup()["branch"]["id"]
        second_one = self.backup("--type", "branch")["branch"]["id"]
        few = {"BRANCH_BACKUPS_MAX": "1", "BACKUP_RETENTION_DAYS": "1"}
        plan = self.run_it("prune", "--dry-run", "--json", env=few).json()
        branches = next(store for store in plan["stores"] if store["store"] == "branches")
        # Of one day: the newest stands for it.
        self.assertEqual([made], [entry["id"] for entry in branches["removed"]])
        self.run_it("hold", made, "--reason", "audit 2026")
        self.run_it("prune", env=few)
        self.assertIn(made, self.engine.api.branches())
        self.run_it("unhold", made)
        self.run_it("prune", env=few)
        self.assertNotIn(made, self.engine.api.branches())
        self.assertIn(second_one, self.engine.api.branches())
        self.assertEqual([second_one], [i for i, b in self.listed().items() if b["kind"] == "branch"])

    def test_branches_of_others_are_left_alone(self):
        made = self.backup("--type", "branch")["branch"]["id"]
        strange = "backup-2020-01-01T00-00-00-000Z"  # as the script before us called them
        self.run_it("branch", "create", strange, "--no-compute")
        self.backup("--type", "branch")
        self.assertNotIn(strange, self.listed())
        renamed = self.engine.api.branches()[made]["id"]
        self.run_it("branch", "rename", made, "kept-by-hand")
        refused = self.run_it("prune", expect=3, env={"BRANCH_BACKUPS_MAX": "1", "BACKUP_RETENTION_DAYS": "1"})
        self.assertIn("renamed", refused.err)
        self.assertEqual(renamed, self.engine.api.branches()["kept-by-hand"]["id"])
        self.assertIn(strange, self.engine.api.branches())

    def test_a_leg_that_is_down_costs_the_other_nothing(self):
        wrong = harness.temp_dir(mode=0o700) / "key"
        wrong.write_text("hf_" + harness.random_secret() + "\n")
        wrong.chmod(0o600)
        for broken in ({"NEON_API_KEY_FILE": str(wrong)},
                       {"NEON_API_HOST": f"http://127.0.0.1:{harness.free_port()}/api/v2"}):
            for source in ("source", "branch"):
                with self.subTest(broken=list(broken), dump_from=source):
                    legs = self.backup("--dump-from", source, expect=3, env=broken)
                    self.assertEqual(("ok", "failed"), (legs["dump"]["status"], legs["branch"]["status"]))
                    self.assertTrue(legs["dump"]["proof"]["ok"])
        legs = self.backup(expect=3, env={"DATABASE_URL": self.source.url("care", password="wrong")})
        self.assertEqual(("failed", "ok"), (legs["dump"]["status"], legs["branch"]["status"]))
        self.assertTrue(legs["branch"]["proof"]["ok"])
        # A leg that is not configured is said; asked for by name, it is refused.
        no_branch = {"NEON_API_HOST": None, "NEON_API_KEY_FILE": None}
        self.assertIn("branch leg: not configured", self.run_it("backup", env=no_branch).out)
        self.assertIn("not configured", self.run_it("backup", "--type", "branch", env=no_branch, expect=2).err)
        alone = self.run_it("backup", env={"DATABASE_URL": None})
        self.assertIn("dump leg: not configured", alone.out)

    def test_doctor_looks_at_the_branch_leg(self):
        findings = {f["check"]: f for f in self.run_it("doctor", "--json").json()["findings"]}
        for check in ("branch leg", "history", "plan", "compute"):
            self.assertNotEqual("failure", findings[check]["level"], findings[check])
        bad = self.run_it("doctor", "--json", expect=1,
                          env={"NEON_API_HOST": f"http://127.0.0.1:{harness.free_port()}/api/v2"}).json()
        self.assertEqual(["branch leg"], [f["check"] for f in bad["findings"] if f["level"] == "failure"])


class Story(Dual):
    """Scenarios 1 and 3 of the original procedures."""

    def spoil(self) -> object:
        """A bad UPDATE in the midst of a second of its own. Returns when it was committed."""
        time.sleep(1.2)
        self.live("UPDATE clients SET allergies = NULL, name = 'Test'")
        time.sleep(1.2)
        committed = self.live("SELECT floor(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::bigint"
                              " FROM clients LIMIT 1")
        return datetime.fromtimestamp(int(committed) / 1000, timezone.utc)

    def test_from_the_bad_update_to_the_way_back(self):
        before = self.live(ALLERGIES)
        backup = self.backup()["branch"]["id"]
        spoilt = self.spoil()
        self.live("INSERT INTO audit_events VALUES (1, 'after the disaster')")
        self.engine.wait_caught_up(now_on(self.source))

        found = self.run_it("branch", "find", "--table", "clients", "--where", "allergies IS NOT NULL",
                            "--database", "care", "--json").json()
        self.assertEqual(second(spoilt.replace(microsecond=0)), found["last_held_at"])
        self.run_it("branch", "create", "before-update", "--at", found["last_held_at"])
        compared = self.run_it("branch", "compare", "before-update", "--database", "care", "--json").json()
        self.assertEqual({"public.clients", "public.audit_events"},
                         {table["table"] for table in compared["comparison"]["tables"]
                          if table["state"] != "equal"})
        self.assertEqual(before, self.on_branch("before-update", ALLERGIES))

        plan = self.run_it("branch", "promote", "before-update", "--dry-run")
        self.assertIn("stays as", plan.out)
        self.assertEqual("0", self.live(ALLERGIES), "a plan changes nothing")
        self.assertIn("--confirm main", self.run_it("branch", "promote", "before-update", expect=2).err)
        done = self.run_it("branch", "promote", "before-update", "--confirm", "main", "--compare",
                           "--database", "care", "--json").json()
        # The application's connection string works as it is, and what it held is there again.
        self.assertEqual(before, self.live(ALLERGIES))
        self.live("INSERT INTO visits (client, at) VALUES (1, now())")
        # What came after the point is not in the live state, and not lost: the old state has it.
        self.assertEqual("0", self.live("SELECT count(*) FROM audit_events"))
        self.run_it("branch", "start", done["kept_as"])
        self.assertEqual("1", self.on_branch(done["kept_as"], "SELECT count(*) FROM audit_events"))
        self.assertEqual("0", self.on_branch(done["kept_as"], ALLERGIES))

        # And the backup from before restores too: scenario 1, in place.
        self.spoil()
        self.assertIn("--confirm main", self.run_it("branch", "restore", backup, expect=2).err)
        self.run_it("branch", "restore", backup, "--confirm", "main")
        self.assertEqual(before, self.live(ALLERGIES))
        self.assertEqual("5000", self.live("SELECT count(*) FROM visits"))
        self.run_it("verify", backup)

    def test_a_point_outside_the_window_is_refused_before_anything_is_touched(self):
        before = sorted(self.engine.api.branches())
        for at in ("2020-01-01T00:00:00Z", second(now_on(self.source) + timedelta(days=1))):
            refused = self.run_it("branch", "restore", "main", "--at", at, "--confirm", "main", expect=2)
            self.assertIn("cannot be gone back to", refused.err)
        self.assertEqual(before, sorted(self.engine.api.branches()))
        self.assertTrue(self.source.running)


if __name__ == "__main__":
    unittest.main()
