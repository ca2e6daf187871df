"""What goes wrong around a backup gets one clear error with a hint, the right exit code, and no half
backup."""

import os
import stat
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.createdb("care")
        cls.server.psql(
            "CREATE TABLE visits (id int PRIMARY KEY, note text);"
            "INSERT INTO visits SELECT i, md5(i::text) FROM generate_series(1, 20000) i;"
            "CREATE TABLE clients (id int PRIMARY KEY, org int, name text);"
            "INSERT INTO clients SELECT i, i % 5, 'client ' || i FROM generate_series(1, 5000) i;"
            "ALTER TABLE clients ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY one_org ON clients USING (org = 1);", db="care")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.folder = harness.temp_dir()
        self.good = harness.holdfast(*self.args(), env=self.env(), expect=0)
        self.before = self.ids()

    def args(self, *more):
        return ("backup", "--type", "dump", "--dir", str(self.folder), *more)

    def env(self, url=None, **more):
        return {"DATABASE_URL": url or self.server.url("care"), **more}

    def ids(self):
        listed = harness.holdfast("list", "--json", "--dir", str(self.folder)).json()
        return [backup["id"] for backup in listed["backups"]]

    def expect_fault(self, result, code, *words):
        """One error line, one hint; nothing half-made, nothing pruned."""
        self.assertEqual(code, result.code, str(result))
        errors = [line for line in result.err.splitlines() if line.startswith("error:")]
        self.assertEqual(1, len(errors), result.err)
        self.assertIn("hint:", result.err)
        for word in words:
            self.assertIn(word, result.err)
        self.assertEqual(self.before, self.ids())
        self.assertEqual([], [n for n in os.listdir(self.folder)
                              if n.endswith((".partial", ".claim"))])
        archives = [n for n in os.listdir(self.folder) if n.endswith(".dump")]
        self.assertEqual(len(self.before), len(archives))

    def test_wrong_password(self):
        url = self.server.url("care", password=harness.random_secret())
        self.expect_fault(harness.holdfast(*self.args(), env=self.env(url), check=False), 1,
                          "password")

    def test_no_such_database(self):
        self.expect_fault(harness.holdfast(*self.args(), env=self.env(self.server.url("cares")),
                                           check=False), 1, "cares")

    def test_dead_server(self):
        url = f"postgresql://postgres@127.0.0.1:{harness.free_port()}/care"
        self.expect_fault(harness.holdfast(*self.args(), env=self.env(url), check=False), 1)

    def test_unknown_type(self):
        for kind in ("Dump", "dmup", ""):
            result = harness.holdfast("backup", "--type", kind, "--dir", str(self.folder),
                                      env=self.env(), check=False)
            self.expect_fault(result, 2, "type")

    def test_row_security(self):
        self.server.create_role("hemmed_in")
        self.server.psql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO hemmed_in", db="care")
        url = self.server.url("care", user="hemmed_in")
        self.expect_fault(harness.holdfast(*self.args(), env=self.env(url), check=False), 1,
                          "row security", "BYPASSRLS")
        self.server.psql("ALTER ROLE hemmed_in BYPASSRLS")
        harness.holdfast(*self.args(), env=self.env(url))

    def test_a_table_the_login_may_not_read(self):
        self.server.create_role("outsider")
        url = self.server.url("care", user="outsider")
        self.expect_fault(harness.holdfast(*self.args(), env=self.env(url), check=False), 1)

    def test_unwritable_folder(self):
        blocked = self.folder / "a-file"
        blocked.write_text("not a folder")
        result = harness.holdfast("backup", "--type", "dump", "--dir", str(blocked / "backups"),
                                  env=self.env(), check=False)
        blocked.unlink()
        self.assertNotEqual(0, result.code)
        self.expect_fault(result, result.code, "a-file")

    def test_client_older_than_the_server(self):
        old = harness.temp_dir()
        for name in ("pg_dump", "pg_restore"):
            path = old / name
            path.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 13.4'\n")
            path.chmod(0o755)
        result = harness.holdfast(*self.args("--pg-bindir", str(old)), env=self.env(), check=False)
        self.expect_fault(result, 1, "13", "postgresql-client-15")

    def test_pooled_endpoint_is_replaced_and_said(self):
        # No pooler answers under this name; what is asserted is that the direct name was tried.
        url = "postgresql://care@ep-cool-1-pooler.localhost:1/care"
        result = harness.holdfast(*self.args(), env=self.env(url), check=False)
        self.assertIn("-pooler", result.err)
        self.expect_fault(result, 1, "ep-cool-1.localhost")

    def test_two_runs_at_once(self):
        first = harness.spawn_holdfast(*self.args("--verify", "restore"), env=self.env())
        harness.wait_until(lambda: any(n.endswith(".claim") for n in os.listdir(self.folder)) or
                           first.poll() is not None)
        second = harness.holdfast(*self.args(), env=self.env(), check=False)
        done = first.finish()
        self.assertEqual(0, done.code, str(done))
        self.before = self.ids()
        self.expect_fault(second, 6, str(first.pid))

    def test_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        small = harness.temp_dir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small],
                                 capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("mount is not allowed here")
        try:
            result = harness.holdfast("backup", "--type", "dump", "--dir", str(small),
                                      env=self.env(), check=False)
            self.assertEqual([], [n for n in os.listdir(small) if n != ".holdfast.lock"])
        finally:
            subprocess.run(["umount", small], check=True)
        self.expect_fault(result, 1, "space")

    def test_a_limit_on_the_size_of_files(self):
        folder = harness.temp_dir()
        done = subprocess.run(["sh", "-c", 'ulimit -f 100; exec "$0" "$@"', str(harness.holdfast_bin()), "backup",
                               "--type", "dump", "--dir", str(folder)], capture_output=True, text=True, timeout=120,
                              env={"PATH": os.environ["PATH"], "HOME": str(harness.home()), **self.env()})
        self.assertEqual(1, done.returncode, done)  # not a death by SIGXFSZ
        self.assertIn("File too large", done.stderr)
        self.assertIn("ulimit -f", done.stderr)
        self.assertEqual([], list(folder.glob("*.dump")))

    def test_source_dies_in_the_middle(self):
        server = harness.Server()
        server.createdb("big")
        server.psql("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 40) FROM"
                    " generate_series(1, 150000) i", db="big")
        process = harness.spawn_holdfast(*self.args(), env=self.env(server.url("big")))
        harness.wait_until(lambda: process.poll() is not None or any(
            n.endswith(".partial") and (self.folder / n).stat().st_size > 100_000
            for n in os.listdir(self.folder) if (self.folder / n).exists()))
        server.kill9()
        self.expect_fault(process.finish(), 1)
        server.close()

    def test_a_waiting_migration_is_not_queued_behind(self):
        holder = subprocess.Popen(
            [self.server.bindir / "psql", "-X", "-q", "-d", "care", "-c",
             "BEGIN; LOCK TABLE visits IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)"],
            env=self.server.client_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            harness.wait_until(lambda: self.server.psql(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
                " AND granted AND relation IS NOT NULL", db="care") != "0")
            start = time.monotonic()
            result = harness.holdfast(*self.args("--lock-timeout", "1"), env=self.env(), check=False)
            self.assertLess(time.monotonic() - start, 30)
            self.expect_fault(result, 1, "lock")
        finally:
            # The server would sleep on, lock in hand, if only the client ended.
            self.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                             " WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()")
            holder.wait()
            harness.wait_until(lambda: self.server.psql(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
                " AND relation = 'visits'::regclass", db="care") == "0")

    def test_backups_are_private(self):
        for name in os.listdir(self.folder):
            mode = stat.S_IMODE((self.folder / name).stat().st_mode)
            self.assertEqual(0, mode & 0o077, name)


if __name__ == "__main__":
    harness.main()
