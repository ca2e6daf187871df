"""Bringing a database back over the live one, and everything around it that must not go wrong."""

import os
import random
import subprocess
import sys
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

KILLS = int(os.environ.get("HOLDFAST_TEST_KILLS", "20"))

CARE = """
CREATE TYPE level AS ENUM ('low', 'high');
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL, level level DEFAULT 'low');
CREATE TABLE visits (id serial PRIMARY KEY, client int REFERENCES clients, note text);
CREATE INDEX visits_client ON visits (client);
CREATE TABLE alone (id int, body text);
CREATE VIEW high_clients AS SELECT * FROM clients WHERE level = 'high';
INSERT INTO clients SELECT i, 'client ' || i FROM generate_series(1, 500) i;
INSERT INTO visits (client, note) SELECT 1 + i % 500, md5(i::text) FROM generate_series(1, 20000) i;
INSERT INTO alone SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 2000) i;
"""
CHANGE = "DELETE FROM visits WHERE id % 7 = 0; INSERT INTO alone VALUES (-1, 'after the backup');"

# What a database has beside its contents.
PROPERTIES = """
SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(d.oid, 'pg_database'),
  (SELECT string_agg(coalesce(r.rolname, '') || ':' || c, ';' ORDER BY r.rolname, c)
   FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = setrole, unnest(setconfig) c
   WHERE setdatabase = d.oid),
  (SELECT string_agg(concat_ws(' ', grantee::regrole, privilege_type, is_grantable), ';'
                     ORDER BY grantee::regrole::text, privilege_type)
   FROM aclexplode(datacl))
FROM pg_database d WHERE datname = '@'
"""


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if cls is Base:
            raise unittest.SkipTest("a base class")
        cls.server = harness.Server()

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "server"):
            cls.server.close()

    def setUp(self):
        self.folder = harness.temp_dir()

    def run_holdfast(self, *args, url=None, env=None, **kwargs):
        return harness.holdfast(*args, "--dir", self.folder, env={
            "DATABASE_URL": url or self.server.url("care"), **(env or {})}, timeout=300, **kwargs)

    def backup(self, **kwargs):
        made = self.run_holdfast("backup", "--type", "dump", "--json", **kwargs).json()
        return made["results"][0]["id"]

    def listed(self, **kwargs):
        backups = self.run_holdfast("list", "--json", **kwargs).json()["backups"]
        self.assertEqual([], [backup for backup in backups if backup.get("damaged")])
        return [backup["id"] for backup in backups]

    def databases(self, server=None):
        return set((server or self.server).psql("SELECT datname FROM pg_database").splitlines())

    def drop_others(self):
        for name in self.databases() - {"postgres", "template0", "template1", "care"}:
            self.server.dropdb(name)

    def make_care(self):
        self.server.dropdb("care")
        self.drop_others()
        self.server.createdb("care")
        self.server.psql(CARE, db="care")

    def expect_error(self, done, *words, code=1):
        self.assertEqual(code, done.code, str(done))
        errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
        self.assertEqual(1, len(errors), str(done))
        for word in words:
            self.assertIn(word, done.err)
        return done


class OverTheLiveOne(Base):
    def setUp(self):
        super().setUp()
        self.make_care()
        self.saved = harness.rows(self.server, "care")
        self.schema = harness.schema_dump(self.server, "care")
        self.id = self.backup()
        self.server.psql(CHANGE, db="care")
        self.live = harness.rows(self.server, "care")
        self.assertNotEqual("", harness.rows_difference(self.saved, self.live))

    def expect_untouched(self, databases):
        self.assertEqual(databases, self.databases())
        self.assertEqual("", harness.rows_difference(self.live, harness.rows(self.server, "care")))

    def give_properties(self):
        self.server.psql(
            "DO $$ BEGIN CREATE ROLE hf_owner; CREATE ROLE hf_app; EXCEPTION WHEN duplicate_object"
            " THEN NULL; END $$;"
            "ALTER DATABASE care OWNER TO hf_owner;"
            "ALTER DATABASE care CONNECTION LIMIT 40;"
            "COMMENT ON DATABASE care IS 'the one that''s live';"
            "ALTER DATABASE care SET work_mem = '7MB';"
            "ALTER DATABASE care SET search_path = \"$user\", public, \"odd \"\"schema\";"
            "ALTER DATABASE care SET application_name = 'it''s; a \\ name';"
            "ALTER DATABASE care SET my.setting = '1';"
            "ALTER ROLE hf_app IN DATABASE care SET statement_timeout = '8s';"
            "REVOKE ALL ON DATABASE care FROM PUBLIC;"
            "GRANT CONNECT ON DATABASE care TO hf_app WITH GRANT OPTION;")

    def properties(self, name):
        return self.server.psql(PROPERTIES.replace("@", name))

    def session(self):
        """Somebody who is connected to the live database and stays."""
        process = subprocess.Popen(
            [self.server.bindir / "psql", "-X", "-q", "-d", "care", "-c",
             "SET application_name = 'stays'; SELECT pg_sleep(600)"],
            env=self.server.client_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_replaced_after_a_safety_backup(self):
        self.give_properties()
        before = self.properties("care")
        self.assertIn("statement_timeout", before)
        sessions = [self.session() for _ in range(3)]
        harness.wait_until(lambda: self.server.psql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stays'") == "3")
        done = self.run_holdfast("restore", self.id, "--database", "care", "--confirm", "care",
                                 "--json").json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("care", done["database"])
        for session in sessions:
            self.assertNotEqual(0, session.wait(30))  # they were ended, not left on the old one
        # What came is what was saved, with all that the database had around its contents.
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.server, "care")))
        self.assertEqual(self.schema, harness.schema_dump(self.server, "care"))
        self.assertEqual(before, self.properties("care"))
        # What went is kept beside it, and in a backup.
        kept = done["kept_old_as"]
        self.assertEqual("", harness.rows_difference(self.live, harness.rows(self.server, kept)))
        self.assertEqual([done["safety_backup"], self.id], self.listed())
        self.run_holdfast("restore", done["safety_backup"], "--database", "from_safety")
        self.assertEqual("", harness.rows_difference(self.live,
                                                     harness.rows(self.server, "from_safety")))
        self.assertEqual({"care", kept, "from_safety"},
                         self.databases() - {"postgres", "template0", "template1"})

    def test_the_old_ones_name_is_taken(self):
        """As by another restore in the same second: here those of the next seconds all are."""
        now = datetime.now(timezone.utc)
        taken = {f"care_before_{now + timedelta(seconds=n):%Y%m%d_%H%M%S}" for n in range(25)}
        for name in taken:
            self.server.createdb(name)
        kept = self.run_holdfast("restore", self.id, "--confirm", "care", "--json").json()["kept_old_as"]
        self.assertIn(kept, {f"{name}_2" for name in taken})
        self.assertEqual("", harness.rows_difference(self.live, harness.rows(self.server, kept)))

    def test_the_newest_backup_by_default(self):
        """Without --database: --confirm names the source's own."""
        done = self.run_holdfast("restore", "--confirm", "care", "--json").json()
        self.assertEqual(("care", self.id), (done["database"], done["id"]))
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.server, "care")))

    def test_busy_with_new_sessions(self):
        """Applications reconnect at once; the swap happens all the same, and they find the new one."""
        with harness.Writers(self.server, "care", connections=2, tolerate_errors=True) as writers:
            writers.wait_for(5)
            done = self.run_holdfast("restore", self.id, "--confirm", "care", "--json").json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.server, "care")))
        self.assertIn("public.hf_ledger_a", harness.rows(self.server, done["kept_old_as"]))

    def test_wrong_confirmation(self):
        databases, backups = self.databases(), self.listed()
        for wrong in ("Care", "car", "care ", self.id, "yes"):
            self.expect_error(self.run_holdfast("restore", self.id, "--database", "care", "--confirm",
                                                wrong, check=False), "hint: ", code=2)
        self.expect_untouched(databases)
        self.assertEqual(backups, self.listed())

    def test_no_confirmation(self):
        databases, backups = self.databases(), self.listed()
        self.expect_error(self.run_holdfast("restore", self.id, "--database", "care", check=False),
                          "not empty", "hint: ", "--confirm care")
        self.expect_untouched(databases)
        self.assertEqual(backups, self.listed())

    def test_single_tables_do_not_replace_a_database(self):
        databases = self.databases()
        done = self.run_holdfast("restore", self.id, "--table", "alone", "--confirm", "care",
                                 check=False)
        self.expect_error(done, "hint: ", code=2)
        self.expect_untouched(databases)

    def test_a_damaged_archive(self):
        databases = self.databases()
        path = self.folder / f"{self.id}.dump"
        data = bytearray(path.read_bytes())
        shown = self.run_holdfast("show", self.id, "--json").json()
        place = shown["archive"]["bytes"] - 3000  # table data ends the file
        data[place] ^= 0x10
        path.write_bytes(data)
        done = self.run_holdfast("restore", self.id, "--confirm", "care", check=False)
        self.expect_error(done, "hint: ", code=4)
        self.expect_untouched(databases)

    def test_no_safety_backup_no_restore(self):
        """Where the safety backup cannot be stored, nothing is replaced."""
        databases = self.databases()
        archive = self.folder / f"{self.id}.dump"
        blocked = self.folder / "a-file"
        blocked.write_text("no folder")
        done = harness.holdfast("restore", archive, "--confirm", "care", "--dir", blocked / "x",
                                env={"DATABASE_URL": self.server.url("care")}, check=False)
        self.assertNotEqual(0, done.code, str(done))
        self.expect_untouched(databases)

    def test_into_an_empty_database(self):
        self.server.createdb("fresh")
        self.server.psql("ALTER DATABASE fresh SET work_mem = '9MB'")
        done = self.run_holdfast("restore", self.id, "--database", "fresh", "--json").json()
        self.assertIsNone(done["kept_old_as"])
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.server, "fresh")))
        self.assertEqual("9MB", self.server.psql("SHOW work_mem", db="fresh"))

    def test_as_an_ordinary_login(self):
        self.server.dropdb("care")
        if "app" not in self.server.passwords:
            self.server.create_role("app", "LOGIN CREATEDB")
        self.server.createdb("care", owner="app")
        self.server.psql(CARE, db="care", user="app")
        saved = harness.rows(self.server, "care")
        url = self.server.url("care", user="app")
        backup = self.backup(url=url)
        self.server.psql(CHANGE, db="care", user="app")
        done = self.run_holdfast("restore", backup, "--confirm", "care", "--json", url=url).json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("", harness.rows_difference(saved, harness.rows(self.server, "care")))
        self.assertEqual("app", self.server.psql(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'care'"))


class Killed(Base):
    def test_the_live_database_is_always_one_of_the_two(self):
        self.make_care()
        saved = harness.rows(self.server, "care")
        backup = self.backup()
        self.server.psql(CHANGE, db="care")
        changed = harness.rows(self.server, "care")
        args = ("restore", backup, "--confirm", "care")
        seconds = self.run_holdfast(*args).seconds
        seed = random.randrange(1 << 30)
        moments = random.Random(seed)
        outcomes = {"old": 0, "new": 0}
        for number in range(KILLS):
            self.drop_others()
            if harness.rows(self.server, "care") != changed:
                self.server.psql(CHANGE, db="care")
                changed = harness.rows(self.server, "care")
            process = harness.spawn_holdfast(*args, "--dir", self.folder,
                                             env={"DATABASE_URL": self.server.url("care")})
            try:  # half of them near the end, where the swap is
                process.wait(moments.uniform(0, seconds) if number % 2 else
                             moments.uniform(seconds * 0.8, seconds * 1.1))
            except subprocess.TimeoutExpired:
                pass
            process.kill()  # holdfast alone: its children and sessions are left to themselves
            process.finish()
            found = harness.rows(self.server, "care")
            outcome = "old" if found == changed else "new" if found == saved else "neither"
            self.assertIn(outcome, outcomes, f"seed {seed}, kill {number}: "
                          + harness.rows_difference(changed, found))
            outcomes[outcome] += 1
            self.assertIn(backup, self.listed())
        self.assertGreater(outcomes["old"], 0, "no kill came in time")
        done = self.run_holdfast(*args, "--json").json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("", harness.rows_difference(saved, harness.rows(self.server, "care")))

    def test_interrupted_politely(self):
        self.make_care()
        self.backup()
        databases = self.databases()
        process = harness.spawn_holdfast("restore", "--database", "again", "--dir", self.folder,
                                         env={"DATABASE_URL": self.server.url("care")})
        harness.wait_until(lambda: process.poll() is not None or self.databases() != databases)
        done = process.stop()
        if done.code == 0:  # too late: it had been done
            return
        self.assertEqual(130, done.code, str(done))
        self.assertEqual(databases, self.databases())


class SingleTables(Base):
    def setUp(self):
        super().setUp()
        self.make_care()
        self.id = self.backup()

    def restore(self, *args, **kwargs):
        return self.run_holdfast("restore", self.id, *args, **kwargs)

    def tables(self, db):
        return {name: rows for name, (rows, _) in harness.rows(self.server, db).items()
                if name.startswith("public.")}

    def test_one(self):
        done = self.restore("--table", "alone", "--database", "one", "--json").json()
        self.assertEqual((1, 2000), (done["tables"], done["rows"]))
        self.assertEqual({"public.alone": 2000}, self.tables("one"))

    def test_with_a_foreign_key_to_a_table_that_is_absent(self):
        done = self.restore("--table", "public.visits", "--database", "two", "--json").json()
        self.assertEqual({"public.visits": 20000}, self.tables("two"))
        self.assertIn("visits_client_fkey", " ".join(done["notes"]))
        # The rest of it is there: primary key, index, default and its sequence.
        self.server.psql("INSERT INTO visits (client) VALUES (-1)", db="two")
        self.assertEqual("20001", self.server.psql("SELECT max(id) FROM visits", db="two"))
        self.assertEqual("2", self.server.psql(
            "SELECT count(*) FROM pg_indexes WHERE tablename = 'visits'", db="two"))

    def test_several_with_what_they_need(self):
        self.restore("--table", "visits", "--table", "clients", "--database", "three")
        self.assertEqual({"public.visits": 20000, "public.clients": 500}, self.tables("three"))
        error = self.server.psql("INSERT INTO visits (client) VALUES (-1)", db="three", check=False)
        self.assertIn("visits_client_fkey", error)

    def test_unknown_table(self):
        databases = self.databases()
        for asked, meant in (("vists", "visits"), ("public.client", "public.clients")):
            self.expect_error(self.restore("--table", asked, "--database", "four", check=False),
                              f"'{asked}'", f"did you mean {meant}")
        self.assertEqual(databases, self.databases())


class ElsewhereOrFromElsewhere(Base):
    """Another server; another version; archives that pg_dump made."""

    def setUp(self):
        super().setUp()
        self.make_care()

    def test_a_server_that_lacks_a_role(self):
        self.server.psql("DO $$ BEGIN CREATE ROLE hf_missing; EXCEPTION WHEN duplicate_object THEN"
                         " NULL; END $$; ALTER TABLE alone OWNER TO hf_missing;"
                         "GRANT SELECT ON clients TO hf_missing", db="care")
        backup = self.backup()
        with harness.Server() as other:
            databases = self.databases(other)
            env = {"HOLDFAST_TO_URL": other.url("postgres")}
            self.expect_error(
                self.run_holdfast("restore", backup, "--database", "moved", env=env, check=False),
                "hf_missing", "hint: ", "--no-owner", f"{backup}.globals.sql")
            self.assertEqual(databases, self.databases(other))
            self.run_holdfast("restore", backup, "--database", "moved", "--no-owner",
                              "--no-privileges", env=env)
            self.assertEqual("", harness.rows_difference(harness.rows(self.server, "care"),
                                                         harness.rows(other, "moved")))
            # With the roles from the backup's own globals it works as it stands.
            other.tool("psql", "-X", "-q", "-f", self.folder / f"{backup}.globals.sql", check=False)
            self.run_holdfast("restore", backup, "--database", "moved_whole", env=env)
            self.assertEqual(harness.schema_dump(self.server, "care"),
                             harness.schema_dump(other, "moved_whole"))

    def test_a_server_that_lacks_an_extension(self):
        harness.skip_unless_server(17)
        self.server.psql("CREATE EXTENSION adminpack", db="care")  # gone since PostgreSQL 17
        backup = self.backup()
        with harness.Server(major=17) as newer:
            databases = self.databases(newer)
            self.expect_error(
                self.run_holdfast("restore", backup, "--database", "moved", check=False,
                                  env={"HOLDFAST_TO_URL": newer.url("postgres")}),
                "no extension adminpack", "hint: ")
            self.assertEqual(databases, self.databases(newer))

    def test_a_newer_server(self):
        harness.skip_unless_server(17)
        backup = self.backup()
        with harness.Server(major=17) as newer:
            done = self.run_holdfast("restore", backup, "--to", newer.url("moved", password=None),
                                     "--json", env={"PGPASSFILE": newer.passfile,
                                                    "DATABASE_URL": newer.url("care")}).json()
            self.assertTrue(done["ok"], done)
            self.assertEqual("", harness.rows_difference(harness.rows(self.server, "care"),
                                                         harness.rows(newer, "moved")))

    def restore_plain(self, server, path, name):
        done = self.run_holdfast("restore", path, "--database", name, "--json",
                                 "--pg-bindir", server.bindir, url=server.url("care")).json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("", harness.rows_difference(harness.rows(server, "care"),
                                                     harness.rows(server, name)))
        self.assertEqual(harness.schema_dump(server, "care"), harness.schema_dump(server, name))

    def test_plain_archives(self):
        for level in (0, 1, 9):
            path = self.folder / f"level{level}.dump"
            self.server.tool("pg_dump", "-Fc", f"-Z{level}", "-f", path, "-d", "care")
            self.restore_plain(self.server, path, f"plain{level}")
        piped = self.folder / "piped.dump"
        piped.write_bytes(self.server.tool("pg_dump", "-Fc", "-d", "care").out_bytes)
        self.restore_plain(self.server, piped, "piped")
        self.assertEqual([], self.listed())  # a stranger's archive is no backup of ours

    def test_plain_archives_of_17(self):
        harness.skip_unless_server(17)
        with harness.Server(major=17) as newer:
            newer.createdb("care")
            newer.psql(CARE, db="care")
            for codec in ("none", "gzip:3", "zstd", "zstd:level=7", "lz4"):
                path = self.folder / f"{codec}.dump"
                newer.tool("pg_dump", "-Fc", f"--compress={codec}", "-f", path, "-d", "care")
                self.restore_plain(newer, path, "plain_" + codec)

    def test_a_damaged_plain_archive(self):
        whole = self.folder / "whole.dump"
        self.server.tool("pg_dump", "-Fc", "-f", whole, "-d", "care")
        databases, data = self.databases(), whole.read_bytes()
        cut = self.folder / "cut.dump"
        cut.write_bytes(data[:len(data) * 9 // 10])
        flipped = self.folder / "flipped.dump"
        flipped.write_bytes(data[:-5000] + bytes([data[-5000] ^ 4]) + data[-4999:])
        for path in (cut, flipped):
            self.expect_error(self.run_holdfast("restore", path, "--confirm", "care", check=False),
                              path.name, "hint: ", code=4)
        nothing = self.folder / "nothing.dump"
        nothing.write_bytes(b"")
        text = self.folder / "text.dump"
        text.write_text("-- a script of pg_dump -Fp\nSELECT 1;\n" * 50)
        for path in (nothing, text, self.folder / "absent.dump"):
            done = self.run_holdfast("restore", path, "--confirm", "care", check=False)
            self.assertNotEqual(0, done.code, str(done))
            self.assertIn(path.name, done.err)
            self.assertIn("hint: ", done.err)
        self.assertEqual(databases, self.databases())

    def test_over_the_live_one_from_a_plain_archive(self):
        saved = harness.rows(self.server, "care")
        path = self.folder / "plain.dump"
        self.server.tool("pg_dump", "-Fc", "-f", path, "-d", "care")
        self.server.psql(CHANGE, db="care")
        live = harness.rows(self.server, "care")
        done = self.run_holdfast("restore", path, "--confirm", "care", "--json").json()
        self.assertEqual("", harness.rows_difference(saved, harness.rows(self.server, "care")))
        self.assertEqual("", harness.rows_difference(
            live, harness.rows(self.server, done["kept_old_as"])))
        self.assertEqual([done["safety_backup"]], self.listed())


if __name__ == "__main__":
    harness.main()
