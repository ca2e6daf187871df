"""A backup of everything awkward arrives whole: by stock pg_restore and by holdfast restore."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

PARALLEL_TRIES = 4


def unquoted(name: str) -> str:
    """'"sch ema"."x"' as it stands in a manifest → 'sch ema.x' as harness.rows names it."""
    parts, quoted = [""], False
    for place, char in enumerate(name):
        if char == '"':
            quoted = not quoted
            if quoted and place > 0 and name[place - 1] == '"':
                parts[-1] += '"'
        elif char == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return ".".join(parts)


class RoundTrip(unittest.TestCase):
    """For each major version, once with the codec that `auto` chooses."""

    major = 15
    options: tuple[str, ...] = ()
    codec = "gzip"

    @classmethod
    def setUpClass(cls):
        if cls is RoundTrip:
            raise unittest.SkipTest("a base class")
        cls.bindir = harness.skip_unless_server(cls.major)
        cls.server = harness.Server(major=cls.major)
        cls.server.psql(harness.kitchen_sink_roles_sql())
        cls.server.createdb("sink")
        cls.server.psql(harness.kitchen_sink_sql(version=cls.major), db="sink")
        cls.folder = harness.temp_dir()
        cls.backup = cls.run_holdfast("backup", "--type", "dump", "--json", *cls.options).json()
        cls.id = cls.backup["results"][0]["id"]
        cls.archive = cls.folder / f"{cls.id}.dump"
        cls.source_rows = harness.rows(cls.server, "sink")
        cls.source_schema = harness.schema_dump(cls.server, "sink")

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "server"):
            cls.server.close()

    @classmethod
    def run_holdfast(cls, *args, **kwargs):
        return harness.holdfast(*args, "--dir", str(cls.folder), "--pg-bindir", str(cls.bindir),
                                env={"DATABASE_URL": cls.server.url("sink")}, timeout=300, **kwargs)

    def expect_equal(self, database):
        found = harness.rows(self.server, database)
        self.assertEqual("", harness.rows_difference(self.source_rows, found))
        self.assertEqual(self.source_schema, harness.schema_dump(self.server, database))

    def test_backup_is_proven(self):
        result = self.backup["results"][0]
        self.assertEqual("ok", result["status"])
        self.assertTrue(result["proof"]["ok"])
        listed = self.run_holdfast("list", "--json").json()["backups"]
        self.assertEqual([self.id], [backup["id"] for backup in listed])
        self.assertTrue(listed[0]["proof"]["ok"])

    def test_codec(self):
        shown = self.run_holdfast("show", self.id, "--json").json()
        self.assertEqual(self.codec, shown["archive"]["compression"])
        listing = self.server.tool("pg_restore", "--list", self.archive).out
        self.assertIn(f"Compression: {self.codec}" if self.major >= 16 else "Compression: ", listing)

    def test_stock_pg_restore_serial(self):
        self.server.createdb("stock_serial")
        done = self.server.tool("pg_restore", "-d", "stock_serial", "--exit-on-error", self.archive)
        self.assertEqual("", done.err)
        self.expect_equal("stock_serial")

    def test_stock_pg_restore_parallel(self):
        # Workers of pg_restore may deadlock with each other, with pg_dump's own archive as well; they
        # are given a few tries. Any other message is a failure.
        for _ in range(PARALLEL_TRIES):
            self.server.dropdb("stock_parallel")
            self.server.createdb("stock_parallel")
            done = self.server.tool("pg_restore", "-j", "3", "-d", "stock_parallel",
                                    "--exit-on-error", self.archive, check=False)
            if "deadlock detected" not in done.err:
                break
        self.assertEqual(0, done.code, str(done))
        self.expect_equal("stock_parallel")

    def test_stock_pg_restore_from_a_pipe(self):
        self.server.createdb("stock_piped")
        with subprocess.Popen(["cat", self.archive], stdout=subprocess.PIPE) as cat:
            done = subprocess.run([self.bindir / "pg_restore", "-d", "stock_piped",
                                   "--exit-on-error"], stdin=cat.stdout, capture_output=True,
                                  env=self.server.client_env())
        self.assertEqual(0, done.returncode, done.stderr)
        self.expect_equal("stock_piped")

    def test_as_sql_script(self):
        self.server.createdb("scripted")
        script = self.server.tool("pg_restore", "-f", "-", self.archive).out_bytes
        self.server.tool("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "scripted", "-f", "-",
                         stdin=script)
        self.expect_equal("scripted")

    def test_same_entries_as_pg_dump(self):
        own = self.server.dir / "stock.own"
        self.server.tool("pg_dump", "-Fc", "-f", own, "-d", "sink")

        # Without the numbers that pg_dump gives out anew in every run, and without an order that
        # follows from them.
        def entries(path):
            text = self.server.tool("pg_restore", "--list", path).out
            return sorted(line.split(" ", 1)[1] for line in text.splitlines()
                          if line and not line.startswith(";"))

        self.assertEqual(entries(own), entries(self.archive))
        self.assertGreater(len(entries(own)), 300)

    def test_holdfast_restore(self):
        done = self.run_holdfast("restore", "latest", "--database", "ours", "--json").json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("PASS", done["verdict"], done)
        self.expect_equal("ours")

    def test_verify_by_restoring(self):
        report = self.run_holdfast("verify", self.id, "--level", "restore", "--json").json()
        self.assertTrue(report["ok"], json.dumps(report)[:3000])
        backup = report["backups"][0]
        self.assertEqual(("PASS", []), (backup["verdict"], backup["notes"]))
        self.assertTrue(all(table["ok"] for table in backup["tables"]))

    def test_manifest_counts_every_row(self):
        shown = self.run_holdfast("show", self.id, "--json").json()
        counted = {unquoted(table["name"]): table["rows"] for table in shown["tables"]}
        views = set(self.server.psql("SELECT relnamespace::regnamespace::text || '.' || relname"
                                     " FROM pg_class WHERE relkind = 'm'", db="sink").splitlines())
        expected = {name: rows for name, (rows, _) in self.source_rows.items()
                    if not name.startswith("sequence ") and name != "large objects" and
                    name not in views}
        self.assertGreater(len(expected), 40)
        self.assertEqual(expected, {name: counted.get(name) for name in expected})
        self.assertEqual(self.source_rows["large objects"][0], shown["large_objects"])


class RoundTrip15(RoundTrip):
    def test_zstd_needs_a_newer_pg_restore(self):
        done = self.run_holdfast("backup", "--type", "dump", "--compression", "zstd", check=False)
        self.assertNotEqual(0, done.code)
        self.assertIn("hint: ", done.err)
        self.assertEqual(1, len(list(self.folder.glob("*.dump"))))


class RoundTrip17(RoundTrip):
    major, codec = 17, "zstd"


class RoundTrip17Gzip(RoundTrip):
    major, codec = 17, "gzip"
    options = ("--compression", "gzip")


class RoundTrip18(RoundTrip):
    major, codec = 18, "zstd"


class RoundTrip18Gzip(RoundTrip):
    major, codec = 18, "gzip"
    options = ("--compression", "gzip", "--jobs", "1", "--verify", "none")

    def test_backup_is_proven(self):
        """With --verify none it is not, and says so."""
        listed = self.run_holdfast("list", "--json").json()["backups"]
        self.assertEqual(self.id, listed[0]["id"])


if __name__ == "__main__":
    harness.main()
