"""Which tables arrive: patterns mean what they mean to pg_dump; none, empty and very many tables."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

SMALL_TABLES = 3000
SMALL_TABLES_SECONDS_MAX = 90  # pg_dump itself takes 5 s; this finds work that grows as its square
PARTITIONS = 200

SCHEMAS = """
CREATE SCHEMA billing; CREATE SCHEMA "Bill ing"; CREATE SCHEMA audit; CREATE SCHEMA billing_old;
CREATE TABLE public.visits (id int PRIMARY KEY);
CREATE TABLE public.audit_events (id int, what text);
CREATE TABLE public."Audit_Odd" (id int);
CREATE TABLE public.audit_events_2024 (id int);
CREATE TABLE public.parted (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE public.parted_a PARTITION OF public.parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE billing.invoices (id serial PRIMARY KEY, visit int REFERENCES public.visits);
CREATE TABLE "Bill ing".odd (id int);
CREATE TABLE audit.log (id int);
CREATE TABLE billing_old.invoices (id int);
INSERT INTO public.visits SELECT generate_series(1, 20);
INSERT INTO public.audit_events SELECT i, 'what' FROM generate_series(1, 30) i;
INSERT INTO public."Audit_Odd" SELECT generate_series(1, 3);
INSERT INTO public.audit_events_2024 SELECT generate_series(1, 4);
INSERT INTO public.parted SELECT i, '2024-06-01' FROM generate_series(1, 5) i;
INSERT INTO billing.invoices (visit) SELECT generate_series(1, 6);
INSERT INTO "Bill ing".odd SELECT generate_series(1, 7);
INSERT INTO audit.log SELECT generate_series(1, 8);
INSERT INTO billing_old.invoices SELECT generate_series(1, 9);
SELECT lo_from_bytea(0, 'one large object');
"""

# What both programs are asked for, in the same words.
SELECTIONS = (
    ("--exclude-table-data", "audit_events"),
    ("--exclude-table-data", "audit_*"),
    ("--exclude-table-data", "public.audit*"),
    ("--exclude-table-data", '"Audit_Odd"'),
    ("--exclude-table-data", "*.invoices"),
    ("--exclude-table-data", "parted"),
    ("--exclude-table-data", "parted_a"),
    ("--exclude-table-data", "audit_events_[0-9]*", "--exclude-table-data", "billing*.*"),
    ("--exclude-table-data", "no_such_table"),
    ("--schema", "billing"),
    ("--schema", "billing*"),
    ("--schema", '"Bill ing"'),
    ("--schema", "public", "--schema", "audit"),
    ("--exclude-schema", "audit"),
    ("--exclude-schema", "bill*", "--exclude-table-data", "audit_events"),
    ("--schema", "*", "--exclude-schema", "public"),
)


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if cls is Base:
            raise unittest.SkipTest("a base class")
        cls.server = harness.Server(settings={"max_locks_per_transaction": 256})

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "server"):
            cls.server.close()

    def setUp(self):
        self.folder = harness.temp_dir()

    def run_holdfast(self, db, *args, **kwargs):
        return harness.holdfast(*args, "--dir", self.folder, timeout=300,
                                env={"DATABASE_URL": self.server.url(db)}, **kwargs)

    def backup(self, db, *args):
        made = self.run_holdfast(db, "backup", "--type", "dump", "--json", *args).json()
        result = made["results"][0]
        self.assertEqual("ok", result["status"])
        self.assertTrue(result["proof"]["ok"])
        return result["id"]

    def entries(self, archive):
        text = self.server.tool("pg_restore", "--list", archive).out
        return sorted(line.split(" ", 1)[1] for line in text.splitlines()
                      if line and not line.startswith(";"))

    def script(self, archive):
        text = self.server.tool("pg_restore", "-f", "-", archive).out
        return sorted(line for line in text.splitlines()
                      if not line.startswith(("--", "\\restrict", "\\unrestrict")))

    def expect_comes_back(self, db, *, verify=False):
        backup = self.backup(db)
        if verify:
            self.run_holdfast(db, "verify", backup, "--level", "restore")
        self.run_holdfast(db, "restore", backup, "--database", db + "_again")
        self.server.createdb(db + "_stock")
        self.server.tool("pg_restore", "-d", db + "_stock", "--exit-on-error",
                         self.folder / f"{backup}.dump")
        expected = harness.rows(self.server, db)
        for copy in (db + "_again", db + "_stock"):
            self.assertEqual("", harness.rows_difference(expected, harness.rows(self.server, copy)))
            self.assertEqual(harness.schema_dump(self.server, db),
                             harness.schema_dump(self.server, copy))
        return backup


class Patterns(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.createdb("care")
        cls.server.psql(SCHEMAS, db="care")

    def compare_with_pg_dump(self, selection):
        backup = self.backup("care", *selection)
        own = self.server.dir / "own.dump"
        self.server.tool("pg_dump", "-Fc", "-f", own, "-d", "care", *selection)
        archive = self.folder / f"{backup}.dump"
        self.assertEqual(self.entries(own), self.entries(archive))
        # As a script they say the same too, row for row.
        self.assertEqual(self.script(own), self.script(archive))

    def test_same_as_pg_dump(self):
        for selection in SELECTIONS:
            with self.subTest(" ".join(selection)):
                self.compare_with_pg_dump(selection)

    def test_partial_backup_says_so_and_restores(self):
        backup = self.backup("care", "--exclude-table-data", "audit_*", "--exclude-schema", "audit")
        shown = self.run_holdfast("care", "show", backup, "--json").json()
        self.assertEqual({"--exclude-table-data audit_*", "--exclude-schema audit"},
                         set(shown["excluded"]))
        self.run_holdfast("care", "verify", backup, "--level", "restore")
        done = self.run_holdfast("care", "restore", backup, "--database", "partial", "--json").json()
        self.assertTrue(done["ok"], done)
        rows = harness.rows(self.server, "partial")
        self.assertEqual(0, rows["public.audit_events"][0])
        self.assertEqual(3, rows["public.Audit_Odd"][0])
        self.assertNotIn("audit.log", rows)

    def test_a_schema_that_is_not_there(self):
        done = self.run_holdfast("care", "backup", "--type", "dump", "--schema", "nope", check=False)
        self.assertNotEqual(0, done.code)
        self.assertIn("no matching", done.err)
        self.assertIn("hint: ", done.err)
        self.assertEqual([], list(self.folder.glob("*.dump")))

    def test_patterns_that_look_like_options(self):
        self.backup("care", "--exclude-table-data=--help")
        self.backup("care", "--exclude-table-data", "a'; DROP TABLE visits; --")
        self.assertEqual("20", self.server.psql("SELECT count(*) FROM visits", db="care"))


class Contents(Base):
    def test_no_table_at_all(self):
        self.server.createdb("nothing")
        backup = self.expect_comes_back("nothing", verify=True)
        listed = self.run_holdfast("nothing", "list", "--json").json()["backups"][0]
        self.assertEqual((backup, 0, 0), (listed["id"], listed["tables"], listed["rows"]))

    def test_only_a_large_object(self):
        self.server.createdb("objects")
        self.server.psql("SELECT lo_from_bytea(4711, 'text'); SELECT lo_create(4712);", db="objects")
        self.expect_comes_back("objects", verify=True)

    def test_tables_without_rows_or_columns(self):
        self.server.createdb("empty")
        self.server.psql("CREATE TABLE none (id int); CREATE TABLE bare (); CREATE TABLE bare_rows ();"
                         "INSERT INTO bare_rows DEFAULT VALUES; INSERT INTO bare_rows DEFAULT VALUES;"
                         "CREATE TABLE gone (a int, b int); INSERT INTO gone VALUES (1, 2);"
                         "ALTER TABLE gone DROP COLUMN a; ALTER TABLE gone DROP COLUMN b;"
                         "CREATE TABLE computed (g int GENERATED ALWAYS AS (1) STORED);"
                         "INSERT INTO computed DEFAULT VALUES;", db="empty")
        self.expect_comes_back("empty", verify=True)

    def test_partitions(self):
        self.server.createdb("parted")
        self.server.psql(
            "CREATE TABLE m (id int, region int, note text, PRIMARY KEY (id, region))"
            " PARTITION BY LIST (region);"
            f"SELECT format('CREATE TABLE m_%s PARTITION OF m FOR VALUES IN (%s)', i, i)"
            f" FROM generate_series(1, {PARTITIONS}) i \\gexec\n"
            f"INSERT INTO m SELECT i, 1 + i % {PARTITIONS}, md5(i::text)"
            " FROM generate_series(1, 10000) i;", db="parted")
        self.expect_comes_back("parted")

    def test_rows_that_an_extension_lets_through(self):
        """pg_dump takes an extension's tables along if it was told to, by a condition even."""
        self.server.createdb("extended")
        self.server.psql(
            "SET allow_system_table_mods = on; CREATE EXTENSION pg_trgm;"
            "CREATE TABLE settings (name text, own bool); CREATE TABLE all_rows (i int);"
            "CREATE TABLE not_taken (i int);"
            "INSERT INTO settings VALUES ('mine', true), ('mine too', true), ('shipped', false);"
            "INSERT INTO all_rows SELECT generate_series(1, 12); INSERT INTO not_taken VALUES (1);"
            "ALTER EXTENSION pg_trgm ADD TABLE settings; ALTER EXTENSION pg_trgm ADD TABLE all_rows;"
            "ALTER EXTENSION pg_trgm ADD TABLE not_taken;"
            "UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass::oid, 'all_rows'::regclass],"
            " extcondition = ARRAY['WHERE own', ''] WHERE extname = 'pg_trgm';", db="extended")
        backup = self.backup("extended")
        own = self.server.dir / "own.dump"
        self.server.tool("pg_dump", "-Fc", "-f", own, "-d", "extended")
        archive = self.folder / f"{backup}.dump"
        self.assertEqual(self.entries(own), self.entries(archive))

        self.assertEqual(self.script(own), self.script(archive))
        self.assertIn("mine\tt", self.script(archive))
        self.assertNotIn("shipped\tf", self.script(archive))
        shown = self.run_holdfast("extended", "show", backup, "--json").json()
        self.assertEqual({"public.settings": 2, "public.all_rows": 12},
                         {table["name"]: table["rows"] for table in shown["tables"]})


class Many(Base):
    def test_many_small_tables(self):
        self.server.createdb("many")
        self.server.psql(
            "SELECT format('CREATE TABLE t%s (id int, note text); INSERT INTO t%s VALUES (%s, ''x'')',"
            f" i, i, i) FROM generate_series(1, {SMALL_TABLES}) i \\gexec\n", db="many")
        done = self.run_holdfast("many", "backup", "--type", "dump", "--json")
        self.assertLess(done.seconds, SMALL_TABLES_SECONDS_MAX)
        backup = done.json()["results"][0]
        self.assertEqual("ok", backup["status"])
        done = self.run_holdfast("many", "restore", backup["id"], "--database", "again")
        self.assertLess(done.seconds, SMALL_TABLES_SECONDS_MAX)
        self.assertEqual("", harness.rows_difference(harness.rows(self.server, "many"),
                                                     harness.rows(self.server, "again")))
        self.assertEqual(f"{SMALL_TABLES}", self.server.psql(
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 't%'"
            " AND relnamespace = 'public'::regnamespace", db="again"))


if __name__ == "__main__":
    harness.main()
