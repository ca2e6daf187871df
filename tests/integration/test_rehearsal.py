"""What a rehearsal (verify --level restore, a drill) must take for sound, however odd it is, and what it must not."""

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


if __name__ == "__main__":
    harness.main()
