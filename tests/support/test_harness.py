"""The harness checks itself, against PostgreSQL 15: a test support that lies makes every test worthless.

HOLDFAST_TEST_MAJORS="15 17 18" repeats the round trip of the kitchen sink on those versions (fetched on demand).
"""

import os
import stat
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402

MAJORS = [int(major) for major in os.environ.get("HOLDFAST_TEST_MAJORS", "15").split()]


def setUpModule():
    global server
    server = harness.Server()


def tearDownModule():
    server.close()


class ServerTest(unittest.TestCase):
    def test_answers_with_and_without_password(self):
        self.assertEqual(server.psql("SELECT 6 * 7"), "42")
        wrong = server.tool("psql", "-X", "-w", "-d", server.url(password="not this one"), "-c", "SELECT 1",
                            check=False)
        self.assertIn("password authentication failed", wrong.err)
        with harness.Server(auth="trust") as trusting:
            env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
            done = subprocess.run([trusting.bindir / "psql", "-X", "-w", "-At", "-c", "SELECT 1",
                                   trusting.url(password=None)], env=env, capture_output=True, text=True)
            self.assertEqual(done.stdout, "1\n", done.stderr)

    def test_names_and_passwords_may_be_odd(self):
        name = server.createdb('odd "name\' \\ ü')
        server.create_role("rö le's\\", password="p:w'\\ä \"x")
        self.assertEqual(server.psql("SELECT current_database(), current_user", name, "rö le's\\"),
                         f"{name}|rö le's\\")
        address = server.url(name, "rö le's\\")
        self.assertEqual(server.tool("psql", "-XAt", "-d", address, "-c", "SELECT 1").out, "1\n")
        server.dropdb(name)

    def test_survives_stop_and_kill(self):
        with harness.Server(settings={"work_mem": "7MB", "application_name": "it's"}) as own:
            own.psql("CREATE TABLE t AS SELECT 1 AS i")
            own.kill9()
            self.assertFalse(own.running)
            own.start()
            self.assertIn("not properly shut down", own.log_text())
            for mode in ("smart", "fast", "immediate"):
                own.restart(mode)
            self.assertEqual(own.psql("SELECT i, current_setting('work_mem') FROM t"), "1|7MB")
            pid, folder = own.pid, own.dir
        self.assertFalse(Path(f"/proc/{pid}").exists() or folder.exists())

    def test_adopts_a_restored_data_folder(self):
        copy = server.dir / "copy"
        server.tool("pg_basebackup", "-D", copy, "-X", "stream", "-c", "fast")
        with harness.Server(data=copy, password=server.passwords["postgres"]) as restored:
            self.assertEqual(restored.psql("SELECT 1"), "1")
            self.assertNotEqual(restored.port, server.port)

    def test_failed_start_says_why(self):
        with self.assertRaisesRegex(RuntimeError, "no_such_setting"):
            harness.Server(settings={"no_such_setting": "1"})

    def test_sql_error_fails(self):
        with self.assertRaisesRegex(AssertionError, "division by zero"):
            server.psql("SELECT 1 / 0; SELECT 2")
        self.assertIn("division by zero", server.psql("SELECT 1 / 0", check=False))


class CleanUpTest(unittest.TestCase):
    def test_nothing_is_left_after_a_failure(self):
        script = ("import sys; sys.path.insert(0, sys.argv[1]); import harness\n"
                  "own = harness.Server(); print(own.pid, own.dir, flush=True); raise SystemExit(1 / 0)")
        done = subprocess.run([sys.executable, "-c", script, str(Path(__file__).parent)],
                              capture_output=True, text=True)
        self.assertIn("ZeroDivisionError", done.stderr)
        pid, folder = done.stdout.split()
        self.assertFalse(Path(f"/proc/{pid}").exists() or Path(folder).exists())

    def test_temp_dirs_can_be_entered_and_ports_differ(self):
        self.assertEqual(stat.S_IMODE(harness.temp_dir().stat().st_mode), 0o755)
        ports = [harness.free_port() for _ in range(20)]
        self.assertEqual(len(set(ports)), 20)


class HoldfastTest(unittest.TestCase):
    """With a shell in holdfast's place."""

    def setUp(self):
        patch = mock.patch.dict(os.environ, {"HOLDFAST_BIN": "/bin/sh", "STRAY": "1"})
        patch.start()
        self.addCleanup(patch.stop)

    def test_environment_is_clean(self):
        names = {line.partition("=")[0] for line in
                 harness.holdfast("-c", "env", env={"GIVEN": 1}).out.splitlines()}
        self.assertEqual(names - {"PWD", "OLDPWD", "SHLVL", "_", *harness.ENV_PASSED_ON},
                         {"PATH", "HOME", "LANG", "GIVEN"})

    def test_codes_json_and_time(self):
        self.assertEqual(harness.holdfast("-c", "cat", stdin='{"a": [1]}').json(), {"a": [1]})
        self.assertEqual(harness.holdfast("-c", "exit 3", check=False).code, 3)
        self.assertEqual(harness.holdfast("-c", "exit 3", expect=3).code, 3)
        for expect, script in ((None, "echo why >&2; exit 3"), (4, "echo why >&2; exit 3")):
            with self.assertRaisesRegex(AssertionError, "why"):
                harness.holdfast("-c", script, expect=expect)
        with self.assertRaisesRegex(AssertionError, "still running"):
            harness.holdfast("-c", "sleep 60 & sleep 60", timeout=0.1)
        with self.assertRaisesRegex(AssertionError, "no JSON"):
            harness.holdfast("-c", "echo no").json()

    def test_background(self):
        process = harness.spawn_holdfast("-c", "trap 'echo bye; exit 5' TERM; echo ready; read x || "
                                         "while :; do sleep 0.02; done")
        process.wait_for("ready")
        result = process.stop()
        self.assertEqual((result.code, result.out), (5, "ready\nbye\n"))
        with self.assertRaisesRegex(AssertionError, "ended before"):
            harness.spawn_holdfast("-c", "echo other").wait_for("ready")

    def test_shown_secret_fails_without_being_shown_again(self):
        secret = harness.random_secret()
        for script in ('echo "a $S b"', 'echo "a $S b" >&2'):
            with self.assertRaises(AssertionError) as caught:
                harness.holdfast("-c", script, env={"S": secret})
            self.assertIn("<secret>", str(caught.exception))
            self.assertNotIn(secret, str(caught.exception))

    def watched(self, script: str) -> str:
        watch = harness.SecretWatch()
        try:
            with watch:
                harness.holdfast("-c", script, env={"S": harness.random_secret()})
        except AssertionError as error:
            self.assertEqual(str(error), watch.report())
        self.assertGreater(watch.samples, 0)
        return watch.report()

    def test_watch_sees_arguments_and_environments(self):
        self.assertRegex(self.watched("env -u S sh -c 'sleep 1; :' $S; :"), "cmdline of .*<secret>")
        self.assertRegex(self.watched("env sleep 1; :"), "environ of .*sleep.*<secret>")
        self.assertRegex(self.watched("env sleep 1 & sleep 0.5; exit 0"), "environ")

    def test_watch_is_silent_when_all_is_well(self):
        self.assertEqual(self.watched("x=$S; unset S; env sleep 0.2; :"), "")
        with harness.SecretWatch():
            server.psql("SELECT pg_sleep(0.05)")
            server.tool("pg_dump", "-s")

    def test_watch_fails_its_block(self):
        with self.assertRaisesRegex(AssertionError, "environ of"):
            with harness.SecretWatch():
                harness.holdfast("-c", "env sleep 1; :", env={"S": harness.random_secret()})


class CompareTest(unittest.TestCase):
    def test_rows_sees_every_kind_of_change(self):
        left = server.createdb("left")
        server.psql("CREATE TABLE t (i int, s text); INSERT INTO t VALUES (1, NULL), (2, 'b'), (2, 'b');"
                    "CREATE SEQUENCE s; SELECT lo_from_bytea(5, 'abc')", left)
        before = harness.rows(server, left)
        self.assertEqual(before["public.t"][0], 3)
        for change in ("INSERT INTO t VALUES (NULL, NULL)", "UPDATE t SET s = '' WHERE i = 1",
                       "UPDATE t SET s = 'c'", "SELECT nextval('s')", "SELECT lo_put(5, 1, 'x')",
                       "CREATE TABLE more (i int)"):
            after = harness.rows(server, left)
            server.psql(change, left)
            self.assertTrue(harness.rows_difference(after, harness.rows(server, left)), change)
        server.psql("DROP TABLE t; CREATE TABLE t (i int, s text);"
                    "INSERT INTO t VALUES (2, 'b'), (2, 'b'), (1, NULL)", left)
        self.assertEqual(before["public.t"], harness.rows(server, left)["public.t"])

    def test_dump_under_writers_is_consistent(self):
        source, target = server.createdb("busy"), server.createdb("calm")
        with harness.Writers(server, source) as writers:
            writers.wait_for(50)
            dump = server.tool("pg_dump", "-Fc", "-d", source).out_bytes
            writers.wait_for(50)
        self.assertEqual(writers.mismatch(), "")
        server.tool("pg_restore", "-d", target, "--exit-on-error", stdin=dump)
        self.assertEqual(writers.mismatch(server, target), "")
        self.assertNotEqual(harness.rows(server, source), harness.rows(server, target))
        server.psql("DELETE FROM hf_ledger_a WHERE id = (SELECT min(id) FROM hf_ledger_a)", target)
        self.assertIn("hf_ledger_b", writers.mismatch(server, target))

    def test_writers_tell_of_a_dead_server(self):
        with harness.Server() as own:
            writers = harness.Writers(own)
            writers.wait_for(5)
            own.kill9()
            harness.wait_until(lambda: writers.errors, what="a writer to notice")
            with self.assertRaisesRegex(AssertionError, "a writer failed"):
                writers.stop()


class KitchenSinkTest(unittest.TestCase):
    def test_stock_dump_and_restore_keep_everything(self):
        for major in MAJORS:
            with self.subTest(major=major), harness.Server(major) as own:
                self.round_trip(own)

    def round_trip(self, own):
        source, target = own.createdb("sink"), own.createdb("target")
        own.psql(harness.kitchen_sink_roles_sql())
        own.psql(harness.kitchen_sink_sql(own.major), source)
        dump = own.dir / "dump"
        self.assertEqual(own.tool("pg_dump", "-Fd", "-j2", "-f", dump, "-d", source).err, "")
        self.assertEqual(own.tool("pg_restore", "-j2", "-d", target, "--exit-on-error", dump).err, "")
        found = harness.rows(own, source)
        self.assertEqual(harness.rows_difference(found, harness.rows(own, target)), "")
        self.assertEqual(found["large objects"][0], 44)
        self.assertEqual(found["ks.no_columns"][0], 5)
        self.assertEqual(harness.schema_dump(own, source), harness.schema_dump(own, target))
        for name in (source, target):
            own.dropdb(name)
        own.psql(harness.kitchen_sink_drop_roles_sql())


if __name__ == "__main__":
    harness.main()
