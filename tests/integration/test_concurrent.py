"""A backup taken while others keep writing is one consistent moment of the database."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

ROUNDS = 3
TABLES = ("aa_ledger", "zz_ledger")  # first and last in the alphabet, with a large table between them
FILLER_ROWS = 40_000


class Concurrent(unittest.TestCase):
    major = 15

    @classmethod
    def setUpClass(cls):
        if cls is Concurrent:
            raise unittest.SkipTest("a base class")
        cls.bindir = harness.skip_unless_server(cls.major)
        cls.server = harness.Server(major=cls.major)
        cls.server.createdb("busy")
        cls.server.psql(
            "CREATE TABLE mm_filler (id int PRIMARY KEY, body text, touched int DEFAULT 0);"
            "INSERT INTO mm_filler SELECT i, repeat(md5(i::text), 8)"
            f" FROM generate_series(1, {FILLER_ROWS}) i;", db="busy")
        cls.folder = harness.temp_dir()

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "server"):
            cls.server.close()

    def run_holdfast(self, *args):
        return harness.holdfast(*args, "--json", "--dir", self.folder, "--pg-bindir", self.bindir,
                                env={"DATABASE_URL": self.server.url("busy")}, timeout=300).json()

    def test_every_backup_is_one_moment(self):
        with harness.Writers(self.server, "busy", connections=2, tables=TABLES) as writers:
            for number in range(ROUNDS):
                writers.wait_for(60)
                before = writers.transactions
                made = self.run_holdfast("backup", "--type", "dump", "--jobs", "3")["results"][0]
                during = writers.transactions - before
                self.assertGreater(during, 0, "nobody wrote during the backup: nothing was tested")
                self.assertEqual("ok", made["status"])
                self.assertTrue(made["proof"]["ok"])
                self.expect_one_moment(writers, made["id"], f"copy_{number}")
            writers.stop()
        # The writers themselves kept the two alike: otherwise the comparison proved nothing.
        self.assertEqual("", writers.mismatch(self.server, "busy"))

    def expect_one_moment(self, writers, backup, copy):
        restored = self.run_holdfast("restore", backup, "--database", copy)
        self.assertTrue(restored["ok"], restored)
        self.assertEqual("", writers.mismatch(self.server, copy))
        rows = harness.rows(self.server, copy)
        self.assertGreater(rows["public.aa_ledger"][0], 0)
        self.assertEqual(FILLER_ROWS, rows["public.mm_filler"][0])
        if not copy.endswith("_0"):
            return
        # Stock pg_restore brings back the very same moment.
        self.server.createdb(copy + "_stock")
        self.server.tool("pg_restore", "-d", copy + "_stock", "--exit-on-error",
                         self.folder / f"{backup}.dump")
        self.assertEqual("", harness.rows_difference(
            rows, harness.rows(self.server, copy + "_stock")))


class Concurrent15(Concurrent):
    pass


class Concurrent17(Concurrent):
    major = 17


class Concurrent18(Concurrent):
    major = 18


if __name__ == "__main__":
    harness.main()
