"""What a rehearsal (verify --level restore, a drill) must take for sound, however odd it is, and what it must not."""

import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402


class Rehearsal(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)
        self.server.createdb("care")
        self.env = {"DATABASE_URL": self.server.url("care"), "BACKUP_DIR": harness.temp_dir()}

    def backup(self, schema):
        self.server.psql(schema, db="care")
        harness.holdfast("backup", "--type", "dump", env=self.env)

    def expect_sound(self, *reworded):
        """Sound by both commands, with a note that names `reworded`."""
        done = self.verify()
        self.assertEqual([], done["problems"])
        notes = " ".join(done["notes"])
        self.assertIn("just as pg_restore makes", notes)
        for name in reworded:
            self.assertIn(name, notes)
        self.assertEqual("passed", self.drill()["verdict"])

    def verify(self, *args, expect=0):
        done = harness.holdfast("verify", "latest", "--level", "restore", "--json", *args, env=self.env, expect=expect)
        return done.json()["backups"][0]

    def drill(self, *args, expect=0):
        return harness.holdfast("drill", "latest", "--json", *args, env=self.env, expect=expect).json()


class EventTriggers(Rehearsal):
    def test_one_that_forbids_ddl_is_restored_and_does_not_forbid_the_rehearsals(self):
        self.backup("""
            CREATE TABLE visits (id int PRIMARY KEY);
            INSERT INTO visits SELECT generate_series(1, 100);
            CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no DDL here'; END $$;
            CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl();
            CREATE EVENT TRIGGER "No 2" ON ddl_command_end EXECUTE FUNCTION no_ddl();
            ALTER EVENT TRIGGER "No 2" ENABLE ALWAYS""")
        self.assertEqual((True, []), (self.verify()["ok"], self.verify()["problems"]))
        drill = self.drill()
        self.assertEqual(("passed", "1 index sound"), (drill["verdict"], drill["amcheck"]))


NET = """
CREATE TABLE net (c cidr, r regclass, CHECK (c IN ('10.0.0.0/8'::cidr, '192.168.0.0/16')),
    CHECK (r IN ('pg_class'::regclass, 'pg_type'::regclass)));
INSERT INTO net VALUES ('10.0.0.0/8', 'pg_class');
"""
KID = """
CREATE TABLE par (a int, b text);
CREATE TABLE kid (b text, c int);
ALTER TABLE kid ADD a int;
ALTER TABLE kid INHERIT par;
INSERT INTO kid (a, b, c) VALUES (1, 'b', 3);
"""


class Rewordings(Rehearsal):
    """What pg_dump words anew of a database that pg_restore has made of its own words."""

    def test_casts_of_lists(self):
        self.backup(NET)
        self.expect_sound("TABLE public.net")

    def test_inherited_columns_come_first(self):
        self.backup(KID)
        self.expect_sound("TABLE public.kid")

    def test_settings_of_the_database(self):
        self.server.psql("ALTER DATABASE care SET standard_conforming_strings = off;"
                         "ALTER DATABASE care SET quote_all_identifiers = on")
        self.backup(r"""
            CREATE TABLE visits (id int PRIMARY KEY, note text);
            CREATE VIEW slashes AS SELECT id, E'a\\b' AS path, note LIKE E'%\\%' AS odd FROM visits;
            COMMENT ON VIEW slashes IS E'back\\slash'""")
        done = self.verify()
        self.assertEqual([], done["problems"])
        self.assertEqual("passed", self.drill()["verdict"])

    def test_what_was_really_changed_is_damage_all_the_same(self):
        self.backup(NET + KID + """
            CREATE SEQUENCE ids START 5;
            SELECT nextval('ids');
            CREATE VIEW plain AS SELECT c FROM net""")
        for change, damaged in (
                ("CREATE OR REPLACE VIEW plain AS SELECT c FROM net WHERE c IS NOT NULL", "VIEW public.plain"),
                ("ALTER TABLE net DROP CONSTRAINT net_c_check, ADD CONSTRAINT net_c_check"
                 " CHECK (c IN ('10.0.0.0/8'::cidr, '192.168.0.0/24'))", "TABLE public.net"),
                ("ALTER TABLE kid ALTER c SET DEFAULT 5", "TABLE public.kid"),
                ("ALTER SEQUENCE ids RESTART 5", "SEQUENCE SET public.ids"),
                ("ALTER TABLE kid OWNER TO pg_monitor", "OWNER OF TABLE public.kid")):
            with self.subTest(change):
                done = self.verify("--pg-bindir", self.meddling_tools(change), expect=4)
                self.assertEqual(["different: " + damaged], [p["what"] for p in done["problems"]
                                                             if p["what"].startswith("different: ")])

    def meddling_tools(self, sql):
        """PostgreSQL's programs, with a pg_restore that does `sql` as well; but not where definitions are restored
        alone."""
        folder = harness.temp_dir(mode=0o755)
        for tool in self.server.bindir.iterdir():
            if tool.name not in ("pg_dump", "pg_restore"):  # the folder of the real pg_dump is taken
                (folder / tool.name).symlink_to(tool)
        shutil.copy(self.server.bindir / "pg_dump", folder)
        (folder / "meddling.sql").write_text(sql)
        wrapper = folder / "pg_restore"
        wrapper.write_text(f"""#!/bin/sh
{self.server.bindir}/pg_restore "$@" || exit
for word; do
    case $word in
    --schema-only) exit 0 ;;
    --dbname=*) db=$word ;;
    esac
done
[ -z "$db" ] || {self.server.bindir}/psql -Xq "$db" -f {folder}/meddling.sql >/dev/null 2>&1
exit 0
""")
        wrapper.chmod(0o755)
        return folder


if __name__ == "__main__":
    harness.main()
