"""Settings of a server, a database or a login neither break a backup and its way back, nor change what comes back.

Every database here is backed up, rehearsed (`verify --level restore`) and restored beside the original, whose
rows, generated columns among them, the server then compares.
"""

import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

ROWS = """CREATE TABLE public.notes(id int PRIMARY KEY, text text, at timestamptz);
INSERT INTO public.notes SELECT n, repeat(md5(n::text), 8), '2026-01-01 00:30Z'::timestamptz + n * interval '5 hours'
  FROM generate_series(1, {0}) n;
CREATE INDEX ON public.notes(text);"""


class SessionSettings(unittest.TestCase):
    major = 15

    @classmethod
    def setUpClass(cls):
        bindir = None if cls.major == 15 else harness.skip_unless_server(cls.major)
        cls.server = harness.Server(major=cls.major, bindir=bindir, settings={"timezone": "America/New_York"})

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.backups = harness.temp_dir("hf-backups-")
        self.scratch = harness.temp_dir("hf-scratch-")

    def holdfast(self, *args, db, **more):
        env = {"PATH": f"{self.server.bindir}:{os.environ['PATH']}", "DATABASE_URL": self.server.url(db),
               "BACKUP_DIR": str(self.backups), "HOLDFAST_SCRATCH_DIR": str(self.scratch),
               "PGPASSFILE": str(self.server.passfile)}
        return harness.holdfast(*args, env=env, **more)

    def there_and_back(self, db):
        """Returns the name of the restored database."""
        self.holdfast("backup", "--type", "dump", db=db)
        self.assertIn("PROVEN", self.holdfast("verify", "latest", "--level", "restore", db=db).out)
        self.holdfast("restore", "latest", "--database", f"{db}_back", "--jobs", "2", db=db)
        return f"{db}_back"

    def expect_equal(self, db, back, tables):
        for table in tables:
            rows = [self.server.psql(f"SET timezone = 'UTC'; SELECT md5(string_agg(t::text, '|' ORDER BY t::text))"
                                     f" FROM {table} t", db=name) for name in (db, back)]
            self.assertEqual(*rows, table)

    def test_a_time_zone_that_constraints_and_generated_columns_depend_on(self):
        self.server.createdb("zone")
        self.server.psql(
            "CREATE FUNCTION day_of(timestamptz) RETURNS date IMMUTABLE LANGUAGE sql AS 'SELECT $1::date';"
            "CREATE TABLE kept(id int PRIMARY KEY, at timestamptz, day date, CHECK (day = at::date));"
            "CREATE TABLE made(id int PRIMARY KEY, at timestamptz,"
            "                  day date GENERATED ALWAYS AS (public.day_of(at)) STORED);"
            "INSERT INTO kept SELECT n, at, at::date FROM (SELECT n, '2026-01-01 00:30-05'::timestamptz"
            "   + n * interval '5 hours' AS at FROM generate_series(1, 50) n) s;"
            "INSERT INTO made SELECT id, at FROM kept;"
            "CREATE TABLE months(at timestamptz) PARTITION BY RANGE (at);"
            "CREATE TABLE january PARTITION OF months FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"
            "INSERT INTO months VALUES ('2026-01-01'), ('2026-01-31 23:59');"
            "CREATE VIEW recent AS SELECT * FROM months WHERE at > timestamptz '2026-01-15';"
            "CREATE MATERIALIZED VIEW days AS SELECT at::date AS day, count(*) FROM kept GROUP BY 1;", db="zone")
        back = self.there_and_back("zone")
        self.expect_equal("zone", back, ("kept", "made", "months", "recent", "days"))

    def test_timeouts_of_the_login_and_the_database(self):
        role = "ALTER ROLE postgres {} {}"
        names = {"statement_timeout": "150ms", "lock_timeout": "1ms", "idle_session_timeout": "1s",
                 "idle_in_transaction_session_timeout": "500ms"}
        self.server.createdb("timeouts")
        self.server.psql(ROWS.format(200_000), db="timeouts")
        self.server.psql("ALTER DATABASE timeouts SET statement_timeout = '100ms'")
        try:
            for name, value in names.items():
                self.server.psql(role.format("SET", f"{name} = '{value}'"))
            back = self.there_and_back("timeouts")
        finally:
            for name in names:
                self.server.psql(role.format("RESET", name))
            self.server.psql("ALTER DATABASE timeouts RESET statement_timeout")
        self.expect_equal("timeouts", back, ("notes",))

    def test_a_database_set_read_only(self):
        self.server.createdb("frozen")
        self.server.psql(ROWS.format(10), db="frozen")
        self.server.psql("ALTER DATABASE frozen SET default_transaction_read_only = on")
        self.expect_equal("frozen", self.there_and_back("frozen"), ("notes",))

    def test_functions_of_the_databases_owner_do_not_run_with_our_rights(self):
        self.server.create_role("mallory")
        self.server.createdb("trap", owner="mallory")
        # Names that a program might leave unqualified, before pg_catalog's and better fitting than them.
        body = "BEGIN EXECUTE 'ALTER ROLE mallory CREATEROLE'; RETURN {}; EXCEPTION WHEN OTHERS THEN RETURN {}; END"
        functions = (("current_database()", "name", "pg_catalog.current_database()"),
                     ("quote_ident(name)", "text", "pg_catalog.quote_ident($1::pg_catalog.text)"),
                     ("format(text, name, name)", "text", "pg_catalog.format($1, $2::text, $3::text)"),
                     ("current_setting(text)", "text", "pg_catalog.current_setting($1)"))
        self.server.psql("CREATE SCHEMA trap;" + "".join(
            f"CREATE FUNCTION {schema}.{name} RETURNS {kind} LANGUAGE plpgsql AS $${body.format(value, value)}$$;"
            for name, kind, value in functions for schema in ("trap", "public")) +
            ROWS.format(10), db="trap", user="mallory")
        self.server.psql("ALTER DATABASE trap SET search_path = trap, public, pg_catalog", db="trap", user="mallory")
        self.there_and_back("trap")
        self.holdfast("recover", "latest", "--to", self.server.url(password=None), "--database", "trap_recovered",
                      db="trap")
        self.assertEqual("f", self.server.psql("SELECT rolcreaterole FROM pg_roles WHERE rolname = 'mallory'"))


class SessionSettings18(SessionSettings):
    major = 18


if __name__ == "__main__":
    unittest.main()
