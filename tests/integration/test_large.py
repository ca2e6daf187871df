"""Large values arrive, and memory does not follow the size of the database."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

WIDE_BYTES = 100_000_000
TEXT_BYTES = 30_000_000
PEAK_KIB_MAX = 256 << 10
PLAIN_ROWS = 120_000  # of about 500 bytes
GROWTH_MAX = 1.2
# The window of pieces that wait for their turn (32 MiB) fills or not as the workers happen to run, at
# any size; an allocator keeps a little more or less.
GROWTH_SLACK_KIB = (32 + 8) << 10


class Large(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server(settings={"max_wal_size": "4GB"})
        cls.folder = harness.temp_dir()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def measured(self, db, *args):
        """Runs holdfast and returns its standard output and its peak of resident memory in KiB."""
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(harness.home()),
               "LANG": "C.UTF-8", "DATABASE_URL": self.server.url(db)}
        with open(self.server.dir / "out", "w+b") as out, open(self.server.dir / "err", "w+b") as err:
            process = subprocess.Popen(
                [harness.holdfast_bin(), *args, "--dir", self.folder, "--jobs", "4"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), err.seek(0)
            self.assertEqual(0, process.returncode, harness.redact(err.read().decode()))
            return out.read().decode(), usage.ru_maxrss

    def peaks(self, db):
        """Backup, deep verification and restore of `db`; the peak of each."""
        out, backup = self.measured(db, "backup", "--type", "dump", "--verify", "none", "--quiet")
        name = max(path.name for path in self.folder.glob(f"{db}_*.dump")).removesuffix(".dump")
        self.assertIn(name, out)
        _, verify = self.measured(db, "verify", name, "--level", "deep")
        _, restore = self.measured(db, "restore", name, "--database", db + "_again")
        return {"backup": backup, "verify": verify, "restore": restore}

    def test_a_field_of_100_mb(self):
        self.server.createdb("wide")
        self.server.psql(
            "CREATE TABLE wide (id int PRIMARY KEY, body bytea);"
            "CREATE TABLE texts (id int PRIMARY KEY, body text, after text);"
            "ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;"
            "INSERT INTO wide VALUES (1, 'small');"
            f"INSERT INTO wide SELECT 2, decode(repeat(md5('x') || md5('y'), {WIDE_BYTES // 32}), 'hex');"
            "INSERT INTO wide VALUES (3, NULL), (4, '');"
            f"INSERT INTO texts SELECT 1, repeat(E'line\\n\\t\\\\é ', {TEXT_BYTES // 10}), 'after';"
            "INSERT INTO texts VALUES (2, 'b', 'c');", db="wide")
        size = "SELECT sum(length(body)), sum(hashtext(encode(substr(body, 1000), 'base64'))) FROM wide"
        expected = self.server.psql(size, db="wide")
        self.assertEqual(str(WIDE_BYTES + 5), expected.split("|")[0])
        for step, peak in self.peaks("wide").items():
            self.assertLessEqual(peak, PEAK_KIB_MAX, step)
        self.assertEqual(expected, self.server.psql(size, db="wide_again"))
        sums = "SELECT count(*), sum(length(body)), max(md5(body)), max(after) FROM texts"
        self.assertEqual(self.server.psql(sums, db="wide"),
                         self.server.psql(sums, db="wide_again"))
        self.server.createdb("wide_stock")
        archive = max(self.folder.glob("wide_*.dump"))
        self.server.tool("pg_restore", "-d", "wide_stock", "--exit-on-error", archive)
        self.assertEqual(expected, self.server.psql(size, db="wide_stock"))

    def test_memory_does_not_grow_with_the_database(self):
        for name, rows in (("single", PLAIN_ROWS), ("double", 2 * PLAIN_ROWS)):
            self.server.createdb(name)
            self.server.psql(
                "CREATE TABLE plain (id int PRIMARY KEY, body text);"
                "INSERT INTO plain SELECT i, (SELECT string_agg(md5((i * 16 + n)::text), '')"
                f" FROM generate_series(1, 15) n) FROM generate_series(1, {rows}) i;"
                "SELECT lo_from_bytea(0, convert_to(repeat(md5(i::text), 8000), 'UTF8'))"
                f" FROM generate_series(1, {rows // 30_000}) i;", db=name)
        single, double = self.peaks("single"), self.peaks("double")
        for step, peak in double.items():
            self.assertLessEqual(peak, PEAK_KIB_MAX, step)
            self.assertLessEqual(peak, single[step] * GROWTH_MAX + GROWTH_SLACK_KIB,
                                 f"{step}: {single[step]} KiB, then {peak} KiB")
        self.assertEqual(str(2 * PLAIN_ROWS),
                         self.server.psql("SELECT count(*) FROM plain", db="double_again"))


if __name__ == "__main__":
    harness.main()
