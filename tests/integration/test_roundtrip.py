"""A backup of everything awkward arrives whole: by stock pg_restore and by holdfast restore."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

MAJORS = (15, 17, 18)


class RoundTrip(unittest.TestCase):
    """For each major version, once with the codec that `auto` chooses."""

    major = 15
    options: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls):
        if cls is RoundTrip:
            raise unittest.SkipTest("a base class")
        harness.skip_unless_server(cls.major)
        cls.server = harness.Server(major=cls.major)
        cls.server.psql(harness.kitchen_sink_roles_sql())
        cls.server.createdb("sink")
        cls.server.psql(harness.kitchen_sink_sql(version=cls.major), db="sink")
        cls.folder = harness.temp_dir()
        cls.bindir = harness.server_bindir(cls.major)
        cls.backup = cls.run_holdfast("backup", "--type", "dump", "--json", *cls.options).json()
        cls.id = cls.backup["results"][0]["id"]
        cls.archive = cls.folder / f"{cls.id}.dump"

    @classmethod
    def tearDownClass(cls):
        if cls is not RoundTrip and hasattr(cls, "server"):
            cls.server.close()

    @classmethod
    def run_holdfast(cls, *args, **kwargs):
        return harness.holdfast(*args, "--dir", str(cls.folder), "--pg-bindir", str(cls.bindir),
                                env={"DATABASE_URL": cls.server.url("sink")}, timeout=300, **kwargs)

    def expect_equal(self, database):
        left, right = harness.rows(self.server, "sink"), harness.rows(self.server, database)
        self.assertEqual("", harness.rows_difference(left, right))
        self.assertEqual(harness.schema_dump(self.server, "sink"),
                         harness.schema_dump(self.server, database))

    def test_backup_is_proven(self):
        result = self.backup["results"][0]
        self.assertEqual("ok", result["status"])
        self.assertTrue(result["proof"]["ok"])
        listed = self.run_holdfast("list", "--json").json()["backups"]
        self.assertIn(self.id, [backup["id"] for backup in listed])

    def test_stock_pg_restore_serial(self):
        self.server.createdb("stock_serial")
        self.server.tool("pg_restore", "-d", "stock_serial", "--exit-on-error", str(self.archive))
        self.expect_equal("stock_serial")

    def test_stock_pg_restore_parallel(self):
        self.server.createdb("stock_parallel")
        self.server.tool("pg_restore", "-j", "3", "-d", "stock_parallel", "--exit-on-error",
                         str(self.archive))
        self.expect_equal("stock_parallel")

    def test_stock_pg_restore_from_a_pipe(self):
        self.server.createdb("stock_piped")
        with open(self.archive, "rb") as archive:
            done = subprocess.run([self.bindir / "pg_restore", "-d", "stock_piped",
                                   "--exit-on-error"], stdin=archive, capture_output=True,
                                  env=self.server.client_env())
        self.assertEqual(0, done.returncode, done.stderr)
        self.expect_equal("stock_piped")

    def test_same_entries_as_pg_dump(self):
        own = self.folder / "stock.own"
        self.server.tool("pg_dump", "-Fc", "-f", str(own), "-d", "sink")

        def entries(path):
            text = self.server.tool("pg_restore", "--list", str(path))
            return sorted(line.split(" ", 1)[1] for line in text.splitlines()
                          if line and not line.startswith(";"))

        self.assertEqual(entries(own), entries(self.archive))
        own.unlink()

    def test_holdfast_restore(self):
        done = self.run_holdfast("restore", "latest", "--database", "ours", "--json").json()
        self.assertNotIn("error", done)
        self.expect_equal("ours")

    def test_verify_by_restoring(self):
        report = self.run_holdfast("verify", self.id, "--level", "restore", "--json").json()
        self.assertTrue(report["ok"], json.dumps(report)[:3000])

    def test_manifest_counts_every_row(self):
        shown = self.run_holdfast("show", self.id, "--json").json()
        total = sum(count for count, _ in harness.rows(self.server, "sink").values())
        self.assertGreater(total, 0)
        self.assertIn("rows", json.dumps(shown))


class RoundTrip15(RoundTrip):
    major = 15


class RoundTrip17(RoundTrip):
    major = 17


class RoundTrip17Gzip(RoundTrip):
    major = 17
    options = ("--compression", "gzip")


class RoundTrip18(RoundTrip):
    major = 18


if __name__ == "__main__":
    harness.main()
