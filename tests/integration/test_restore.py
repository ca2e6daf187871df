"""Nothing live is overwritten without its name typed back and a way back; a failed restore leaves nothing."""

import signal
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

SCHEMA = """
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO clients SELECT i, 'client ' || i FROM generate_series(1, 3000) i;
CREATE TABLE visits (id int PRIMARY KEY, client_id int NOT NULL REFERENCES clients, note text);
INSERT INTO visits SELECT i, i % 3000 + 1, repeat(md5(i::text), 8) FROM generate_series(1, 60000) i;
CREATE INDEX visits_client ON visits (client_id);
CREATE SEQUENCE visit_numbers START 4711;
SELECT nextval('visit_numbers');
"""


class Restore(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)
        self.server.createdb("care")
        self.server.psql(SCHEMA, db="care")
        self.folder = harness.temp_dir()
        self.env = {"DATABASE_URL": self.server.url("care"), "BACKUP_DIR": self.folder}
        self.id = self.holdfast("backup", "--type", "dump", "--json").json()["results"][0]["id"]
        self.before = harness.rows(self.server, "care")

    def holdfast(self, *args, **kwargs):
        return harness.holdfast(*args, env=self.env, **kwargs)

    def databases(self):
        return set(self.server.psql("SELECT datname FROM pg_database WHERE datname LIKE '%care%'"
                                    " OR datname LIKE '%holdfast%'").split())

    def backups(self):
        return [b["id"] for b in self.holdfast("list", "--json").json()["backups"]]

    def ruin(self):
        self.server.psql("UPDATE clients SET name = 'x'; DROP TABLE visits;", db="care")
        return harness.rows(self.server, "care")

    def equal(self, db, wanted):
        self.assertEqual(harness.rows_difference(harness.rows(self.server, db), wanted), "")

    def test_new_database_by_default(self):
        ruined = self.ruin()
        self.holdfast("restore", "latest")
        new = self.databases() - {"care"}
        self.assertEqual(len(new), 1, new)
        self.equal(new.pop(), self.before)
        self.equal("care", ruined)

    def test_live_database_is_refused_without_its_name(self):
        ruined = self.ruin()
        for args in ((), ("--confirm", "Care"), ("--confirm", "clients"), ("--confirm", "")):
            with self.subTest(args):
                result = self.holdfast("restore", "latest", "--database", "care", *args, check=False)
                self.assertIn(result.code, (1, 2), str(result))
                self.assertIn("error:", result.err)
                self.equal("care", ruined)
                self.assertEqual(self.databases(), {"care"})
                self.assertEqual(self.backups(), [self.id])

    def test_live_database_with_a_way_back(self):
        self.server.psql("ALTER DATABASE care SET statement_timeout = '7min';"
                         "GRANT CONNECT ON DATABASE care TO pg_monitor;")
        ruined = self.ruin()
        self.holdfast("restore", self.id, "--confirm", "care")
        self.equal("care", self.before)
        self.assertEqual(self.server.psql("SHOW statement_timeout", db="care"), "7min")
        self.assertEqual(self.server.psql(
            "SELECT has_database_privilege('pg_monitor', 'care', 'CONNECT')"
            " AND EXISTS (SELECT FROM pg_database WHERE datname = 'care' AND datacl::text LIKE '%pg_monitor%')"),
            "t")
        # The way back: the old database, and the safety backup of it.
        kept = self.databases() - {"care"}
        self.assertEqual(len(kept), 1, kept)
        self.equal(kept.pop(), ruined)
        safety = [i for i in self.backups() if i != self.id]
        self.assertEqual(len(safety), 1)
        self.holdfast("restore", safety[0], "--database", "care_as_it_was")
        self.equal("care_as_it_was", ruined)

    def test_safety_backup_that_fails_changes_nothing(self):
        ruined = self.ruin()
        # Somebody holds a table's lock, so that it cannot be read.
        holder = threading.Thread(target=self.server.psql, kwargs={
            "sql": "BEGIN; LOCK TABLE clients; SELECT pg_sleep(60);", "db": "care", "check": False})
        holder.start()
        self.addCleanup(holder.join)
        locked = ("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
                  " AND relation = 'clients'::regclass")
        harness.wait_until(lambda: self.server.psql(locked, db="care") == "1", what="the lock")
        self.env["HOLDFAST_LOCK_TIMEOUT"] = "1"
        result = self.holdfast("restore", self.id, "--confirm", "care", check=False)
        self.assertNotEqual(result.code, 0, str(result))
        self.assertIn("safety backup", result.err)
        self.assertEqual(self.databases(), {"care"})
        self.assertEqual(self.backups(), [self.id])
        self.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()")
        holder.join()
        self.equal("care", ruined)

    def test_single_tables(self):
        self.holdfast("restore", "latest", "--table", "visits", "--database", "care_visits")
        found = harness.rows(self.server, "care_visits")
        self.assertEqual(found["public.visits"], self.before["public.visits"])
        self.assertNotIn("public.clients", found)
        self.assertEqual(self.server.psql("SELECT count(*) FROM pg_indexes WHERE tablename = 'visits'",
                                          db="care_visits"), "2")
        result = self.holdfast("restore", "latest", "--table", "visit", "--database", "care_2", check=False)
        self.assertNotEqual(result.code, 0)
        self.assertIn("visits", result.err)
        self.assertNotIn("care_2", self.databases())
        result = self.holdfast("restore", "latest", "--table", "visits", "--database", "care",
                               "--confirm", "care", check=False)
        self.assertEqual(result.code, 2, str(result))
        self.equal("care", self.before)

    def test_empty_database_is_filled(self):
        self.server.createdb("care_empty")
        self.holdfast("restore", "latest", "--database", "care_empty")
        self.equal("care_empty", self.before)
        self.assertEqual(self.databases(), {"care", "care_empty"})

    def test_damaged_archive_is_not_restored(self):
        archive = self.folder / f"{self.id}.dump"
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.chmod(0o600)
        archive.write_bytes(data)
        result = self.holdfast("restore", "latest", "--database", "care_2", expect=4)
        self.assertIn("(table public.", result.err)
        self.assertEqual(self.databases(), {"care"})

    def test_interrupted_restore_leaves_the_live_database(self):
        for number in (signal.SIGINT, signal.SIGKILL):
            with self.subTest(number.name):
                process = harness.spawn_holdfast("restore", self.id, "--database", "care", "--confirm",
                                                 "care", env=self.env)
                process.wait_for("loading data" if number == signal.SIGINT else "restoring definitions")
                result = process.stop(number)
                if number == signal.SIGINT and result.code != 0:
                    self.assertEqual(result.code, 130, str(result))
                    self.assertEqual(self.databases(), {"care"})
                self.equal("care", self.before)
        self.holdfast("restore", self.id, "--database", "care_after")
        self.equal("care_after", self.before)

    def test_plain_pg_dump_archive(self):
        plain = self.folder / "plain.archive"
        self.server.tool("pg_dump", "-Fc", "-f", plain, "-d", "care")
        self.holdfast("restore", plain, "--database", "care_plain")
        self.equal("care_plain", self.before)
        data = plain.read_bytes()
        plain.write_bytes(data[:len(data) * 2 // 3])
        result = self.holdfast("restore", plain, "--database", "care_cut", check=False)
        self.assertEqual(result.code, 4, str(result))
        self.assertNotIn("care_cut", self.databases())

    def test_counts_only(self):
        self.holdfast("restore", "latest", "--database", "care_counts", "--read-back", "counts")
        self.equal("care_counts", self.before)


if __name__ == "__main__":
    harness.main()
