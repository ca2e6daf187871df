"""How long each of the four recovery scenarios takes: docs/recovery.md, on an engine and with the sample database.

Each begins at the moment when somebody decides to recover, and ends when the application's own connection string
gives the answer that it gave before. The time is printed beside the target of the procedures that Holdfast
replaces, and only held against its upper end: machines differ, and this is no benchmark. What the page shows
without Holdfast is run by tests/docs/test_commands.py; what it costs in time is measured here as well.

The sample has scale 1 (10 MB), or 100 (1 GB) with HOLDFAST_TEST_LONG.
"""

import os
import subprocess
import sys
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, ManagedSource, now_on  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCALE = 100 if os.environ.get("HOLDFAST_TEST_LONG") else 1
MINUTE, HOUR = 60, 3600
ANSWER = """
SELECT (SELECT count(*) FROM visits), (SELECT count(*) FROM evv_records),
       (SELECT sum(hashtextextended(c::text, 0)) FROM clients c)
"""
SPOIL = "UPDATE clients SET last_name = 'Test', allergies = NULL"


class Scenarios(unittest.TestCase):
    """Every scenario leaves the database as it found it."""

    @classmethod
    def setUpClass(cls):
        cls.source = ManagedSource(settings={"max_wal_senders": 20, "max_wal_size": "4GB"}, fsync=True)
        cls.addClassCleanup(cls.source.close)
        cls.source.createdb("care")
        subprocess.run([ROOT / "examples/care-commons/make-sample", "--scale", str(SCALE)], check=True,
                       stdout=subprocess.DEVNULL, env={**cls.source.client_env(), "PGDATABASE": "care"})
        try:
            cls.engine = EngineServer(cls.source, managed=True, settings={"databases": ["care"]})
        except harness.Unavailable as error:
            raise unittest.SkipTest(str(error)) from None
        cls.addClassCleanup(cls.engine.close)
        cls.answer = cls.ask()
        cls.size = cls.source.psql("SELECT pg_size_pretty(pg_database_size('care'))")

    @classmethod
    def ask(cls) -> str:
        """As the application: by the connection string that it has had all along."""
        return cls.source.psql(ANSWER, db="care")

    def setUp(self):
        self.folder = harness.temp_dir("hf-scenario-") / "backups"
        self.assertEqual(self.answer, self.ask(), "an earlier scenario left it changed")

    def tearDown(self):
        self.engine.drop_branches()

    def run_it(self, *args, **env):
        return harness.holdfast(*args, timeout=HOUR, env=self.engine.api_env(**{
            "DATABASE_URL": self.source.url("care"), "BACKUP_DIR": str(self.folder), **env}))

    def backup(self, *args) -> dict:
        """Ids by the kind of backup."""
        self.engine.wait_caught_up(now_on(self.source))
        return {leg["kind"]: leg["id"] for leg in self.run_it("backup", "--json", *args).json()["results"]}

    def spoil(self) -> None:
        time.sleep(1.2)  # the second before the loss is one of its own
        self.source.psql(SPOIL, db="care")
        self.assertNotEqual(self.answer, self.ask())
        time.sleep(1.2)
        self.engine.wait_caught_up(now_on(self.source))

    @contextmanager
    def timed(self, scenario: str, target: str, most_seconds: float, ask=None):
        began = time.monotonic()
        yield
        self.assertEqual(self.answer, (ask or self.ask)(), "not what was there before")
        seconds = time.monotonic() - began
        print(f"\nscenario {scenario}, {self.size}: {seconds:.1f} s (target {target})", file=sys.__stderr__)
        self.assertLess(seconds, most_seconds)

    def test_1_recent_loss(self):
        backup = self.backup()["branch"]
        self.spoil()
        with self.timed("1, a branch backup in place", "5-15 min", 15 * MINUTE):
            self.run_it("list")
            self.run_it("branch", "restore", backup, "--confirm", "main")

    def test_1_recent_loss_with_the_stock_command_line(self):
        backup = self.backup("--type", "branch")["branch"]
        self.spoil()
        neon = self.engine.cli("newest")
        with self.timed("1, by neon branches restore", "5-15 min", 15 * MINUTE):
            neon("branches", "list")
            lsn = neon("branches", "get", backup).json()["parent_lsn"]
            neon("branches", "restore", "main", f"^self@{lsn}", "--preserve-under-name", "main_before")
            self.engine.wait_for(self.all_is_done, 15 * MINUTE, "the restore to end")  # neon does not wait

    def all_is_done(self) -> bool:
        return all(operation["status"] in ("finished", "skipped", "failed", "cancelled")
                   for operation in self.engine.api.get("operations")["operations"])

    def test_2_older_loss(self):
        dump = self.backup("--type", "dump")["dump"]
        self.spoil()
        with self.timed("2, a dump beside, looked at, then over the live database", "30 min - 2 h", 2 * HOUR):
            self.run_it("restore", dump, "--database", "care_check")
            self.assertEqual(self.answer, self.source.psql(ANSWER, db="care_check"))
            self.run_it("restore", dump, "--confirm", "care", "--check-query", "SELECT count(*) > 0 FROM clients")
        self.source.dropdb("care_check")
        self.drop_kept_databases()

    def test_2_older_loss_with_pg_restore(self):
        dump = self.backup("--type", "dump")["dump"]
        with self.timed("2, by pg_restore into a new database", "30 min - 2 h", 2 * HOUR,
                        ask=lambda: self.source.psql(ANSWER, db="care_by_hand")):
            self.source.createdb("care_by_hand")
            self.source.tool("pg_restore", "--exit-on-error", "--jobs", "2", "--dbname", "care_by_hand",
                             self.folder / f"{dump}.dump", timeout=HOUR)
        self.source.dropdb("care_by_hand")

    def drop_kept_databases(self) -> None:
        for name in self.source.psql("SELECT datname FROM pg_database WHERE datname LIKE 'care_before_%'").split():
            self.source.dropdb(name)

    def test_3_to_a_second(self):
        self.spoil()
        with self.timed("3, found, looked at and promoted", "10-20 min", 20 * MINUTE):
            found = self.run_it("branch", "find", "--table", "clients", "--where", "allergies IS NOT NULL",
                                "--database", "care", "--json").json()
            self.run_it("branch", "create", "before-loss", "--at", found["last_held_at"], "--compare",
                        "--database", "care")
            self.run_it("branch", "promote", "before-loss", "--confirm", "main")

    def test_4_everything_lost(self):
        self.backup("--type", "dump")
        with harness.Server(fsync=True) as new:
            with self.timed("4, recovered to a new server", "1-3 h", 3 * HOUR,
                            ask=lambda: new.psql(ANSWER, db="care")):
                self.run_it("recover", DATABASE_URL=None, NEON_API_HOST=None, NEON_API_KEY_FILE=None,
                            HOLDFAST_TO_URL=new.url())


if __name__ == "__main__":
    unittest.main()
