"""A database brought back on a new server: what is there afterwards, what is said before, what is refused."""

import os
import random
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

KILLS = int(os.environ.get("HOLDFAST_TEST_KILLS", "20"))

ROLES = """
CREATE ROLE care_owner;
CREATE ROLE care_app LOGIN CONNECTION LIMIT 50;
CREATE ROLE "odd ""role" NOINHERIT;
COMMENT ON ROLE care_owner IS 'owns; everything';
GRANT care_owner TO care_app;
ALTER ROLE care_app SET statement_timeout TO '90s';
"""
CARE = """
CREATE EXTENSION pgcrypto;
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE visits (id serial PRIMARY KEY, client int REFERENCES clients, note text);
CREATE INDEX visits_client ON visits (client);
INSERT INTO clients SELECT i, 'client ' || i FROM generate_series(1, 500) i;
INSERT INTO visits (client, note) SELECT 1 + i % 500, md5(i::text) FROM generate_series(1, 20000) i;
ALTER TABLE clients OWNER TO care_owner;
ALTER TABLE visits OWNER TO care_owner;
GRANT SELECT ON visits TO care_app;
GRANT SELECT ON clients TO "odd ""role";
ALTER DATABASE care OWNER TO care_owner;
ALTER DATABASE care CONNECTION LIMIT 40;
ALTER DATABASE care SET work_mem = '7MB';
ALTER DATABASE care SET search_path = "$user", public, "odd ""schema";
ALTER ROLE care_app IN DATABASE care SET lock_timeout = '8s';
COMMENT ON DATABASE care IS 'the one that''s live';
REVOKE ALL ON DATABASE care FROM PUBLIC;
GRANT CONNECT ON DATABASE care TO care_app;
"""
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
GLOBALS = """
SELECT rolname, rolsuper, rolinherit, rolcanlogin, rolconnlimit, rolconfig,
  shobj_description(r.oid, 'pg_authid'),
  (SELECT string_agg(g.rolname, ',') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
   WHERE m.member = r.oid)
FROM pg_roles r WHERE rolname LIKE 'care%' OR rolname LIKE 'odd%' ORDER BY 1
"""
SYSTEM = {"postgres", "template0", "template1"}


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if cls is Base:
            raise unittest.SkipTest("a base class")
        cls.source = harness.Server()
        cls.addClassCleanup(cls.source.close)
        cls.source.psql(ROLES)
        cls.source.createdb("care")
        cls.source.psql(CARE, db="care")
        cls.folder = harness.temp_dir()
        cls.id = cls.backup()
        cls.saved = harness.rows(cls.source, "care")
        cls.schema = harness.schema_dump(cls.source, "care")

    @classmethod
    def backup(cls, *more, folder=None, env=None):
        made = harness.holdfast(
            "backup", "--type", "dump", "--json", "--dir", folder or cls.folder, *more,
            env={"DATABASE_URL": cls.source.url("care"), **(env or {})}, timeout=300).json()
        return made["results"][0]["id"]

    def setUp(self):
        self.target = harness.Server()
        self.addCleanup(self.target.close)

    def recover_args(self, *more, folder=None, target=None):
        return ("recover", *more, "--dir", folder or self.folder)

    def recover_env(self, target=None, **more):
        return {"HOLDFAST_TO_URL": (target or self.target).url(), **more}

    def recover(self, *more, env=None, folder=None, **kwargs):
        return harness.holdfast(*self.recover_args(*more, folder=folder),
                                env={**self.recover_env(), **(env or {})}, timeout=300, **kwargs)

    def databases(self):
        return set(self.target.psql("SELECT datname FROM pg_database").splitlines()) - SYSTEM

    def properties(self, server, name):
        return server.psql(PROPERTIES.replace("@", name))

    def expect_whole(self, name="care"):
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.target, name)))
        self.assertEqual(self.schema, harness.schema_dump(self.target, name))

    def expect_error(self, done, *words, code=1):
        self.assertEqual(code, done.code, str(done))
        errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
        self.assertEqual(1, len(errors), str(done))
        for word in words:
            self.assertIn(word, done.err)
        return done


class NewServer(Base):
    def test_everything_is_back(self):
        done = self.recover("--json").json()
        self.assertTrue(done["ok"], done)
        self.assertEqual((self.id, "care", "local"), (done["id"], done["database"], done["store"]))
        self.expect_whole()
        self.assertEqual(self.properties(self.source, "care"), self.properties(self.target, "care"))
        self.assertEqual(self.source.psql(GLOBALS), self.target.psql(GLOBALS))
        self.assertEqual({"care_owner", "care_app", 'odd "role'}, set(done["roles"]["created"]))
        self.assertIn("postgres", done["roles"]["kept"])
        # A password is in no backup: who needs a new one is said.
        self.assertIn("care_app", " ".join(done["notes"]))
        # Statistics are there, at once.
        self.assertEqual("20000", self.target.psql(
            "SELECT reltuples::int FROM pg_class WHERE relname = 'visits'", db="care"))
        phases = [phase["name"] for phase in done["phases"]]
        for name in ("roles and tablespaces", "loading data", "building indexes", "analyzing",
                     "comparing", "giving the database its name"):
            self.assertIn(name, phases)
        self.assertGreater(done["seconds"], 0)
        self.assertLessEqual(sum(p["seconds"] for p in done["phases"]), done["seconds"] + 0.1)
        self.assertEqual({"care"}, self.databases())

    def test_under_another_name_beside_roles_that_are_there(self):
        self.target.psql("CREATE ROLE care_app NOLOGIN CONNECTION LIMIT 3")
        done = self.recover("--database", "care drill", "--json").json()
        self.assertTrue(done["ok"], done)
        self.expect_whole("care drill")
        self.assertEqual(self.properties(self.source, "care"),
                         self.properties(self.target, "care drill"))
        self.assertIn("care_app", done["roles"]["kept"])
        self.assertEqual("f|3", self.target.psql(
            "SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'care_app'"))

    def test_into_an_empty_database(self):
        self.target.createdb("care")
        self.assertTrue(self.recover("--json").json()["ok"])
        self.expect_whole()
        self.assertEqual(self.properties(self.source, "care"), self.properties(self.target, "care"))
        self.assertEqual({"care"}, self.databases())

    def test_as_a_login_that_is_no_superuser(self):
        """As on a managed server: what it may not do is said, the rest is done."""
        self.target.create_role("admin", "LOGIN CREATEDB CREATEROLE")
        self.target.psql("CREATE ROLE care_owner; GRANT care_owner TO admin;")
        done = self.recover("--json", env={"HOLDFAST_TO_URL": self.target.url(user="admin")},
                            check=False)
        self.assertEqual(0, done.code, str(done))
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.target, "care")))
        self.assertEqual("care_owner", self.target.psql(
            "SELECT tableowner FROM pg_tables WHERE tablename = 'visits'", db="care"))

    def test_from_a_sealed_backup(self):
        """The plan reads table of contents and roles, the restore everything: with the key, and not without."""
        folder, key = harness.temp_dir(), harness.temp_dir("hf-key-", 0o700) / "backup.key"
        key.write_text(harness.random_secret() + harness.random_secret() + "\n")
        key.chmod(0o600)
        sealed = {"BACKUP_KEY_FILE": key}
        self.backup(folder=folder, env=sealed)
        self.assertEqual([], [name for name in os.listdir(folder) if name.endswith((".dump", ".sql"))])
        self.expect_error(self.recover("--dry-run", folder=folder, check=False), ".dump.gpg", code=1)
        self.assertTrue(self.recover("--dry-run", "--json", folder=folder, env=sealed).json()["ok"])
        self.assertTrue(self.recover("--json", folder=folder, env=sealed).json()["ok"])
        self.expect_whole()
        self.assertEqual(self.source.psql(GLOBALS), self.target.psql(GLOBALS))

    def test_twice(self):
        self.recover()
        done = self.recover(check=False)
        self.expect_error(done, "care exists and is not empty", "--confirm care")
        self.recover("--database", "again")
        self.expect_whole("again")

    def test_no_server_is_named(self):
        done = harness.holdfast("recover", "--dir", self.folder, check=False)
        self.expect_error(done, "--to", code=2)

    def test_another_database_in_the_url(self):
        done = self.recover(check=False, env={"HOLDFAST_TO_URL": self.target.url("other")})
        self.expect_error(done, "other", "--database other", code=2)


class Plan(Base):
    def test_dry_run_writes_nothing(self):
        before = self.target.psql("SELECT rolname FROM pg_roles"), self.databases()
        shown = self.recover("--dry-run", "--json", env={
            "HOLDFAST_POST_RESTORE": "touch /nonexistent/x", "HOLDFAST_CUTOVER": "true"}).json()
        self.assertTrue(shown["ok"] and shown["dry_run"], shown)
        steps = [step["name"] for step in shown["steps"]]
        self.assertEqual(["post_restore", "cutover"], steps[-2:])
        self.assertLess(steps.index("loading data"), steps.index("building indexes"))
        timed = [step["estimate_seconds"] for step in shown["steps"][:-2]]
        self.assertNotIn(None, timed)
        self.assertAlmostEqual(sum(timed), shown["estimate_seconds"], delta=0.1)
        self.assertIn("the dump of", shown["estimate_basis"])
        self.assertIn("disk space", [finding["check"] for finding in shown["findings"]])
        self.assertEqual(before,
                         (self.target.psql("SELECT rolname FROM pg_roles"), self.databases()))
        text = self.recover("--dry-run").out
        self.assertIn("loading data", text)
        self.assertIn("READY", text)

    def test_the_newest_proven_one_is_taken(self):
        unproven = self.backup("--verify", "none")
        try:
            done = self.recover("--dry-run", "--json")
            self.assertEqual(self.id, done.json()["id"])
            self.assertIn(unproven, done.err)
            # By its id it is taken, and said.
            named = self.recover(unproven, "--dry-run", "--json").json()
            self.assertEqual(unproven, named["id"])
            self.assertIn("not proven", str(named["findings"]))
        finally:
            for path in Path(self.folder).glob(f"{unproven}*"):
                path.unlink()

    def test_none_is_proven(self):
        folder = harness.temp_dir()
        harness.holdfast("backup", "--type", "dump", "--verify", "none", "--dir", folder,
                         env={"DATABASE_URL": self.source.url("care")})
        self.expect_error(self.recover(check=False, folder=folder), "proven", "hint: ")
        self.assertEqual(set(), self.databases())

    def test_a_store_that_cannot_be_reached(self):
        """The next one is used, and it is said."""
        config = harness.temp_dir() / "holdfast.toml"
        config.write_text(f'dir = "/proc/none"\n[store.second]\ndir = "{self.folder}"\n')
        done = harness.holdfast("recover", "--json", "--config", config, env=self.recover_env(),
                                timeout=300)
        self.assertEqual((self.id, "second"), (done.json()["id"], done.json()["store"]))
        self.expect_whole()

    def test_databases_of_several_sources(self):
        folder = harness.temp_dir()
        self.source.createdb("billing")
        self.addCleanup(self.source.dropdb, "billing")
        for name in ("care", "billing"):
            harness.holdfast("backup", "--type", "dump", "--dir", folder,
                             env={"DATABASE_URL": self.source.url(name)})
        self.expect_error(self.recover(check=False, folder=folder), "billing, care", code=2)
        done = self.recover("--dry-run", "--json", folder=folder,
                            env={"DATABASE_URL": self.source.url("care")}).json()
        self.assertEqual("care", done["database"])


class Missing(Base):
    """What the new server lacks is said before anything is written."""

    def hide_extension(self, name):
        """A server of its own whose extension is not there cannot be had; a backup that names one can."""
        self.source.psql(f"UPDATE pg_extension SET extname = '{name}' WHERE extname = 'pgcrypto'",
                         db="care")
        self.addCleanup(self.source.psql, "UPDATE pg_extension SET extname = 'pgcrypto'"
                        f" WHERE extname = '{name}'", db="care")

    def one_off(self):
        folder = harness.temp_dir()
        harness.holdfast("backup", "--type", "dump", "--dir", folder,
                         env={"DATABASE_URL": self.source.url("care")})
        return folder

    def test_an_extension(self):
        self.hide_extension("nobody_has_this")
        folder = self.one_off()
        plan = self.recover("--dry-run", "--json", folder=folder, expect=1).json()
        self.assertFalse(plan["ok"])
        said = [f for f in plan["findings"] if f["check"] == "extension"]
        self.assertEqual(["choice"], [f["weight"] for f in said])
        self.assertIn("nobody_has_this@1.3", said[0]["message"])
        self.expect_error(self.recover(folder=folder, check=False), "nobody_has_this",
                          "--ignore-missing", "othing has been changed")
        self.assertEqual("", self.target.psql("SELECT rolname FROM pg_roles WHERE rolname ~ '^care'"))
        self.assertEqual(set(), self.databases())
        done = self.recover("--ignore-missing", "--json", folder=folder).json()
        self.assertIn("nobody_has_this", " ".join(done["notes"]))
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.target, "care")))

    def test_roles(self):
        # Where pg_dumpall is not there, a backup is made without them.
        folder, programs = harness.temp_dir(), harness.temp_dir()
        for name in ("pg_dump", "pg_restore"):
            shutil.copy(self.source.bindir / name, programs)
        harness.holdfast("backup", "--type", "dump", "--dir", folder, "--pg-bindir", programs,
                         env={"DATABASE_URL": self.source.url("care")})
        self.assertEqual([], list(folder.glob("*.globals.sql")))
        done = self.recover(folder=folder, check=False)
        self.expect_error(done, "care_owner", "--ignore-missing")
        self.assertEqual(set(), self.databases())
        done = self.recover("--ignore-missing", "--json", folder=folder).json()
        self.assertIn("care_owner", done["roles"]["placeholders"])
        self.assertEqual("f", self.target.psql(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'care_app'"))
        self.assertEqual("care_owner", self.target.psql(
            "SELECT tableowner FROM pg_tables WHERE tablename = 'visits'", db="care"))

    def test_a_tablespace(self):
        place = self.source.data.parent / "disk"
        place.mkdir()
        self.source._give_away(place)
        self.source.psql(f"CREATE TABLESPACE disk LOCATION '{place}'")
        self.source.psql("ALTER TABLE clients SET TABLESPACE disk", db="care")
        self.addCleanup(self.source.psql, "DROP TABLESPACE disk")
        self.addCleanup(self.source.psql, "ALTER TABLE clients SET TABLESPACE pg_default", db="care")
        folder = self.one_off()
        # The folder is another server's: it cannot be used twice.
        self.expect_error(self.recover(folder=folder, check=False), "disk", "in use",
                          "--ignore-missing")
        done = self.recover("--ignore-missing", "--json", folder=folder).json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.target, "care")))


class Hooks(Base):
    def test_they_get_what_they_need_and_are_logged(self):
        migrate = ('psql -Atc "select count(*) from visits" "$DATABASE_URL"; echo "$HOLDFAST_BACKUP_ID'
                   ' $HOLDFAST_DATABASE"; echo "url $DATABASE_URL"; echo "to ${HOLDFAST_TO_URL-none}'
                   ' pg ${PGPASSWORD-none} key ${AWS_SECRET_ACCESS_KEY-none} own $OPERATORS_OWN"; '
                   'echo on stderr >&2')
        done = self.recover("--json", env={
            "HOLDFAST_POST_RESTORE": migrate, "HOLDFAST_CUTOVER": "echo switched",
            "PATH": f"{self.target.bindir}:{os.environ['PATH']}", "OPERATORS_OWN": "kept",
            "AWS_SECRET_ACCESS_KEY": "not-for-hooks"})
        for line in ("post_restore: 20000", f"post_restore: {self.id} care", "post_restore: on stderr",
                     "to none pg none key none own kept", "cutover: switched",
                     "post_restore: url postgresql://postgres:***@"):
            self.assertIn(line, done.err)
        hooks = done.json()["hooks"]
        self.assertEqual([("post_restore", True, 0), ("cutover", True, 0)],
                         [(h["name"], h["ok"], h["exit_code"]) for h in hooks])
        self.assertLess(done.err.index("comparing"), done.err.index("post_restore: 20000"))

    def test_a_failed_migration_keeps_the_cutover_away(self):
        flag = harness.temp_dir() / "switched"
        done = self.recover("--json", expect=3, env={
            "HOLDFAST_POST_RESTORE": "echo broken; exit 7", "HOLDFAST_CUTOVER": f"touch {flag}"})
        report = done.json()
        self.assertFalse(report["ok"])
        self.assertEqual(7, report["hooks"][0]["exit_code"])
        self.assertIn("post_restore failed", report["hooks"][1]["error"])
        self.assertFalse(flag.exists())
        self.expect_whole()  # the data is recovered all the same

    def test_a_hook_that_takes_too_long(self):
        report = self.recover("--json", expect=3, env={
            "HOLDFAST_POST_RESTORE": "sleep 300 & sleep 300", "HOLDFAST_HOOK_TIMEOUT": "1"}).json()
        self.assertIn("time limit", report["hooks"][0]["error"])
        self.assertLess(report["hooks"][0]["seconds"], 20)
        self.expect_whole()

    def test_no_cutover(self):
        report = self.recover("--no-cutover", "--json", env={
            "HOLDFAST_POST_RESTORE": "true", "HOLDFAST_CUTOVER": "false"}).json()
        self.assertEqual(["post_restore"], [hook["name"] for hook in report["hooks"]])


class Checks(Base):
    def test_before_the_database_gets_its_name(self):
        queries = harness.temp_dir() / "checks.sql"
        queries.write_text("-- is it all there?\nSELECT count(*) > 19000 FROM visits;\n"
                           "SELECT max(id), 'it''s; so' FROM clients;")
        done = self.recover("--check", queries, "--check-query", "SELECT true", "--json")
        self.assertEqual([(True, "t"), (True, "500 | it's; so"), (True, "t")],
                         [(c["ok"], c["result"]) for c in done.json()["checks"]])
        self.expect_whole()

    def test_one_that_fails(self):
        flag = harness.temp_dir() / "ran"
        for query, said in (("SELECT count(*) > 20000 FROM visits", "→ f"),
                            ("SELECT 1 FROM visits WHERE id < 0", "no row"),
                            ("SELECT max(id) FROM visits WHERE id < 0", "NULL"),
                            ("SELECT * FROM nowhere", "nowhere"),
                            ("DELETE FROM visits RETURNING 1", "read-only")):
            done = self.recover("--check-query", "SELECT true", "--check-query", query, check=False,
                                env={"HOLDFAST_POST_RESTORE": f"touch {flag}"})
            self.expect_error(done, "1 of 2 checks failed", said, code=5)
            kept = self.databases()
            self.assertEqual(1, len(kept), kept)
            aside = kept.pop()
            self.assertRegex(aside, r"^care_unchecked_\d{8}_\d{6}$")
            self.assertIn(aside, done.err)
            self.assertEqual("", harness.rows_difference(self.saved, harness.rows(self.target, aside)))
            self.target.dropdb(aside)
        self.assertFalse(flag.exists())


class Statistics(unittest.TestCase):
    def test_those_that_cannot_be_had_cost_a_note_and_no_more(self):
        server = harness.Server()
        self.addCleanup(server.close)
        server.createdb("care")
        server.psql("""
            CREATE EXTENSION postgres_fdw;
            CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
            CREATE USER MAPPING FOR PUBLIC SERVER away OPTIONS (user 'nobody');
            CREATE TABLE near (id int, note text);
            CREATE TABLE parts (id int, note text) PARTITION BY RANGE (id);
            CREATE TABLE parts_here PARTITION OF parts FOR VALUES FROM (0) TO (1000);
            CREATE FOREIGN TABLE parts_away PARTITION OF parts FOR VALUES FROM (1000) TO (2000) SERVER away;
            CREATE TABLE more (id int) PARTITION BY RANGE (id);
            CREATE FOREIGN TABLE more_away PARTITION OF more FOR VALUES FROM (0) TO (9) SERVER away;
            INSERT INTO near SELECT i, 'near ' || i FROM generate_series(1, 700) i;
            INSERT INTO parts SELECT i, 'here ' || i FROM generate_series(1, 900) i""", db="care")
        env = {"DATABASE_URL": server.url("care"), "BACKUP_DIR": harness.temp_dir()}
        harness.holdfast("backup", "--type", "dump", env=env)
        target = harness.Server()
        self.addCleanup(target.close)
        done = harness.holdfast("recover", "--json", env={**env, "HOLDFAST_TO_URL": target.url()}).json()
        self.assertTrue(done["ok"], done)
        notes = [note for note in done["notes"] if "statistics" in note]
        self.assertEqual(1, len(notes), done["notes"])
        self.assertRegex(notes[0], r"^2 tables .*public\.(parts|more): .*away.* \(and 1 more\)")
        self.assertEqual("near 700\nparts_here 900", target.psql(
            "SELECT relname || ' ' || reltuples::int FROM pg_class WHERE relname IN ('near', 'parts_here')"
            " ORDER BY 1", db="care"))


class Killed(Base):
    def test_nothing_half_made_under_the_final_name(self):
        seconds = self.recover().seconds
        seed = random.randrange(1 << 30)
        moments = random.Random(seed)
        absent = whole = 0
        for number in range(KILLS):
            for name in self.databases():
                self.target.dropdb(name)
            process = harness.spawn_holdfast(*self.recover_args(), env=self.recover_env())
            try:
                process.wait(moments.uniform(0, seconds * 1.05))
            except subprocess.TimeoutExpired:
                pass
            process.kill()  # holdfast alone: its children and sessions are left to themselves
            process.finish()
            if "care" in self.databases():
                self.assertEqual("", harness.rows_difference(
                    self.saved, harness.rows(self.target, "care")), f"seed {seed}, kill {number}")
                self.assertEqual(self.properties(self.source, "care"),
                                 self.properties(self.target, "care"), f"seed {seed}")
                whole += 1
            else:
                absent += 1
        self.assertGreater(absent, 0, "no kill came in time")
        if "care" in self.databases():
            self.target.dropdb("care")
        self.assertTrue(self.recover("--json").json()["ok"])
        self.expect_whole()
        self.assertEqual(self.source.psql(GLOBALS), self.target.psql(GLOBALS))


if __name__ == "__main__":
    harness.main()
