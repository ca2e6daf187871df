"""Retention with the program itself: what goes, what stays, holds, and what is never done. The names of the
defects are those of the script that Holdfast replaces.

A history is made by copying one real backup under earlier times: the manifest's time is what counts, so each
copy gets its own id and creation time there.
"""

import os
import sys
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from history import age_backup, resealed  # noqa: E402

class Retention(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.createdb("care")
        cls.server.psql("CREATE TABLE visits AS SELECT generate_series(1, 500) AS id", db="care")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.folder = harness.temp_dir() / "backups"
        self.now = datetime.now(timezone.utc)

    def run_it(self, *args, expect=0, **env):
        return harness.holdfast(*args, "--dir", str(self.folder), expect=expect,
                                env={"DATABASE_URL": self.server.url("care"), **env})

    def backup(self, *more, expect=0, **env):
        result = self.run_it("backup", "--type", "dump", "--json", *more, expect=expect, **env)
        return result.json()["results"][0]

    def ids(self):
        return {b["id"] for b in self.run_it("list", "--json").json()["backups"]}

    def age(self, id, days, proven=True):
        return age_backup(self.folder, id, self.now, days, proven)

    def history(self, *days):
        newest = self.backup()["id"]
        return newest, {n: self.age(newest, n) for n in days}

    def test_a_backup_prunes_after_its_proof(self):
        _, old = self.history(*range(1, 10), 31, 200, 400, 800)
        result = self.backup()
        gone = set(result["stores"][0]["removed"])
        self.assertIn(old[400], gone)
        self.assertIn(old[800], gone)
        self.assertEqual(set(), gone & self.ids())
        # No trace of it stays.
        self.assertEqual([], [n for n in os.listdir(self.folder) if n.startswith(old[400] + ".")])
        self.assertIn(old[200], self.ids())  # stands for its month
        self.run_it("verify", "latest")

    def test_dry_run_removes_nothing_and_says_why(self):
        _, old = self.history(*range(1, 10), 400)
        before = sorted(os.listdir(self.folder))
        result = self.run_it("prune", "--dry-run")
        self.assertRegex(result.out, f"would go +{old[400]}  older than 30 days and 12 months")
        self.assertIn("daily: 3 days old, of 30 days", result.out)
        self.assertEqual(before, sorted(os.listdir(self.folder)))
        document = self.run_it("prune", "--json").json()
        self.assertEqual([old[400]], [b["id"] for b in document["stores"][0]["removed"]])
        self.assertNotIn(old[400], self.ids())

    def test_a_held_backup_stays_until_the_hold_is_lifted(self):
        _, old = self.history(*range(1, 10), 400)
        self.run_it("hold", old[400], "--reason", "audit 2026")
        self.run_it("hold", old[400], "--reason", "again", expect=1)
        listed = {b["id"]: b["held"] for b in self.run_it("list", "--json").json()["backups"]}
        self.assertTrue(listed[old[400]])
        self.assertIn("audit 2026", self.run_it("show", old[400]).out)
        self.assertIn("held: audit 2026", self.run_it("prune").out)
        # One that does not read holds as well.
        hold = self.folder / f"{old[400]}.hold.json"
        hold.write_text(hold.read_text().replace("audit", "Audit"))
        self.run_it("prune")
        self.assertIn(old[400], self.ids())
        self.run_it("unhold", old[400])
        self.run_it("unhold", old[400], expect=1)
        self.run_it("prune")
        self.assertNotIn(old[400], self.ids())
        self.run_it("hold", "latest", expect=2)

    def test_objects_of_other_makers_and_other_databases_are_never_touched(self):
        newest, old = self.history(*range(1, 10), 400)
        foreign = ["care_2019-01-01.dump", "care_commons_2019-01-01T00-00-00-000Z.dump", "notes.txt",
                   f"{old[400]}.dump.old", f"{old[400]}.txt"]
        for name in foreign:
            (self.folder / name).write_text("not ours")
            os.utime(self.folder / name, (0, 0))
        self.run_it("prune")
        self.assertNotIn(old[400], self.ids())
        for name in foreign:
            self.assertEqual("not ours", (self.folder / name).read_text())

    def test_defect_1_an_unknown_type_takes_and_removes_nothing(self):
        _, old = self.history(*range(1, 10), 400)
        self.run_it("backup", "--type", "Dump", expect=2)
        self.assertIn(old[400], self.ids())

    def test_defect_2_failures_never_cost_the_last_good_ones(self):
        newest, old = self.history(*range(400, 410))
        for path in list(self.folder.iterdir()):
            if path.name.startswith(newest + "."):
                path.unlink()
        before = self.ids()
        failed = self.backup(expect=1, DATABASE_URL="postgresql://nobody@127.0.0.1:1/care")
        self.assertEqual("failed", failed["status"])
        self.assertEqual(before, self.ids())
        # Asked for by hand, the newest seven days stay.
        self.run_it("prune")
        self.assertEqual({old[n] for n in range(400, 407)}, self.ids())

    def test_defect_3_nothing_goes_after_an_unproven_or_failed_proof(self):
        _, old = self.history(*range(1, 10), 400)
        self.backup("--verify", "none")
        self.assertIn(old[400], self.ids())
        result = self.run_it("prune", expect=5)
        self.assertIn("not proven", result.err)
        self.assertIn(old[400], self.ids())
        self.run_it("verify", "latest", expect=5)  # the policy knows what is overdue
        self.run_it("prune")
        self.assertNotIn(old[400], self.ids())

    def test_defect_6_one_a_month_is_kept_for_twelve_months(self):
        _, old = self.history(*range(1, 8), *range(35, 500, 5))
        self.run_it("prune")
        kept = {n: id for n, id in old.items() if id in self.ids() and n > 31}
        months = {id[5:12] for id in kept.values()}
        self.assertEqual(len(months), len(kept))  # one each
        self.assertGreaterEqual(len(months), 11)
        self.assertLessEqual(max(kept), 12 * 31 + 31)

    def test_age_comes_from_the_manifest_not_from_the_file(self):
        _, old = self.history(*range(1, 10), 400)
        for name in os.listdir(self.folder):
            if name.startswith("care_"):
                os.utime(self.folder / name, (0, 0))
        self.run_it("prune")
        self.assertEqual(10, len(self.ids()))
        self.assertNotIn(old[400], self.ids())

    def test_no_prune_removes_nothing(self):
        _, old = self.history(*range(1, 10), 400)
        self.backup("--no-prune")
        self.assertIn(old[400], self.ids())

    def test_verify_reports_what_the_policy_is_violated_by(self):
        _, old = self.history(1, 2, 20)  # a schedule that stopped for weeks
        result = self.run_it("verify", "latest", "--json", expect=5)
        policy = result.json()["policy"]
        self.assertFalse(policy["ok"])
        self.assertIn("backups of only 4 days", policy["problems"][0]["what"])
        self.assertTrue(result.json()["backups"][0]["ok"])
        for n in (3, 4, 5):
            self.age(old[1], n)
        self.assertTrue(self.run_it("verify", "latest", "--json").json()["policy"]["ok"])

    def test_every_store_must_hold_what_another_keeps(self):
        toml = self.folder.parent / "holdfast.toml"
        toml.write_text(f"[store.nas]\ndir = '{self.folder.parent / 'nas'}'\n")
        id = self.backup("--store", "local", HOLDFAST_CONFIG=toml)["id"]
        result = self.run_it("verify", "latest", "--json", expect=5, HOLDFAST_CONFIG=toml)
        self.assertIn("nas, database care", result.json()["policy"]["problems"][0]["where"])
        self.assertIn(id, result.json()["policy"]["problems"][0]["what"])
        self.run_it("copy", id, "--to", "nas", HOLDFAST_CONFIG=toml)
        self.run_it("verify", "latest", HOLDFAST_CONFIG=toml)

    def test_killed_while_it_prunes_nothing_broken_is_listed(self):
        _, old = self.history(*range(1, 9), *range(400, 440))
        for attempt in range(12):
            process = harness.spawn_holdfast("prune", "--dir", str(self.folder),
                                             env={"DATABASE_URL": self.server.url("care")})
            time.sleep(0.004 * attempt)
            process.kill_group()
            process.wait()
            for b in self.run_it("list", "--json").json()["backups"]:
                self.assertNotIn("damaged", b)
                self.assertTrue((self.folder / f"{b['id']}.dump").exists(), b["id"])
        self.run_it("prune")
        self.assertEqual([], [n for n in os.listdir(self.folder)
                              if n.endswith(".claim") or n.startswith(old[420] + ".")])
        self.run_it("verify", "latest")


if __name__ == "__main__":
    unittest.main()
