"""holdfast branch, psql, key and serve, against an engine: what they do, say and refuse.

The engine manages its source, so that restoring in place is tested as well. Everything that is branched off is
looked at with stock psql.
"""

import os
import signal
import subprocess
import sys
import time
import unittest
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, ManagedSource, now_on, time_text  # noqa: E402

engine = source = None


def setUpModule():
    global engine, source
    source = ManagedSource(settings={"track_commit_timestamp": "on", "max_wal_senders": 20})
    source.psql("CREATE TABLE visits (id int PRIMARY KEY)")
    try:
        engine = EngineServer(source, managed=True)
    except harness.Unavailable as error:
        source.close()
        raise unittest.SkipTest(str(error)) from None


def tearDownModule():
    engine.close()
    source.close()


def api_env(**more) -> dict:
    return engine.api_env(HOLDFAST_PG_BINDIR=source.bindir, **more)


def branch(*args, env=None, **more):
    return harness.holdfast("branch", *args, env={**api_env(), **(env or {})}, **more)


def on_branch(name: str, sql: str, *args, **more) -> str:
    """What psql prints, through `holdfast psql`."""
    return harness.holdfast("psql", name, *args, "--", "-XAtc", sql, env=api_env(), **more).out.strip()


def state_of(name: str) -> dict:
    return branch("show", name, "--json").json()["branch"]


class Branches(unittest.TestCase):
    def tearDown(self):
        for entry in branch("list", "--json").json()["branches"]:
            if not entry["default"] and "_old_" not in entry["name"] and entry["name"] != "kept":
                branch("delete", entry["id"], "--confirm", entry["name"])

    def test_a_branch_at_a_second_holds_what_was_there(self):
        source.psql("INSERT INTO visits VALUES (1)")
        time.sleep(0.02)
        before = time_text(now_on(source))
        time.sleep(0.02)
        source.psql("INSERT INTO visits VALUES (2)")
        engine.wait_received()
        made = branch("create", "before", "--at", before, "--json").json()["branch"]
        self.assertEqual(made["name"], "before")
        self.assertEqual(made["parent"], "main")
        self.assertEqual(made["endpoint"]["state"], "active")
        self.assertEqual(on_branch("before", "SELECT string_agg(id::text, ',') FROM visits"), "1")
        by_id = branch("show", made["id"], "--json").json()["branch"]
        self.assertEqual(by_id["name"], "before")
        listed = branch("list")
        self.assertIn("main (default)", listed.out)
        self.assertRegex(listed.out, r"before +br-\S+ +ready +active +main ")
        source.psql("TRUNCATE visits")

    def test_its_whole_life(self):
        branch("create", "one", "--no-compute")
        self.assertIsNone(state_of("one")["endpoint"])
        harness.holdfast("psql", "one", env=api_env(), expect=1)
        branch("start", "one")
        self.assertEqual(on_branch("one", "CREATE TABLE own (); SELECT 7"), "CREATE TABLE\n7")
        branch("rename", "one", "two")
        branch("create", "child", "--parent", "two", "--json")
        self.assertEqual(state_of("child")["parent"], "two")
        self.assertEqual(on_branch("child", "SELECT count(*) FROM own"), "0")
        branch("delete", "child")
        branch("suspend", "two")
        self.assertEqual(state_of("two")["endpoint"]["state"], "idle")
        self.assertEqual(on_branch("two", "SELECT count(*) FROM own"), "0")  # psql wakes it
        gone = branch("delete", "two", "--json").json()["deleted"]
        self.assertEqual(gone["name"], "two")
        refused = branch("show", "two", expect=1)
        self.assertIn("there is no branch 'two'", refused.err)
        self.assertIn("hint: holdfast branch list", refused.err)

    def test_expiry_and_protection(self):
        expiry = time_text(now_on(source) + timedelta(hours=1))
        branch("create", "mortal", "--no-compute", "--expires-at", expiry)
        self.assertEqual(state_of("mortal")["expires_at"], expiry)
        branch("create", "kept-safe", "--no-compute", "--protected")
        refused = branch("delete", "kept-safe", expect=2)
        self.assertIn("protected", refused.err)
        engine.api.patch(f"branches/{state_of('kept-safe')['id']}", {"branch": {"protected": False}})

    def test_psql_keeps_the_password_to_itself_and_gives_its_exit_code(self):
        branch("create", "quiet")
        password = engine.api.get(f"branches/{state_of('quiet')['id']}/roles/postgres/reveal_password")
        harness.register_secret(password["password"])
        running = harness.spawn_holdfast("psql", "quiet", "--", "-Xc", "SELECT pg_sleep(600)", env=api_env())
        process = Path("/proc") / str(running.pid)
        harness.wait_until(lambda: b"pg_sleep" in (process / "cmdline").read_bytes()
                           and os.readlink(process / "exe").endswith("/psql"), 60, "psql to run")
        for what in ("cmdline", "environ"):
            harness.assert_no_secrets((process / what).read_bytes(), f"the {what} of psql")
        self.assertIn(b"PGSERVICEFILE=/proc/self/fd/", (process / "environ").read_bytes())
        running.stop()
        harness.holdfast("psql", "quiet", "--", "-v", "ON_ERROR_STOP=1", "-Xc", "SELECT 1/0", env=api_env(),
                         expect=1)
        ended = harness.holdfast("psql", "quiet", "--", "-X", env=api_env(), stdin="\\! kill -TERM $PPID\n",
                                 check=False)
        self.assertIn(ended.code, (-signal.SIGTERM, 143))  # a signal reaches it: none is left blocked
        url = subprocess.run([harness.holdfast_bin(), "branch", "url", "quiet"], capture_output=True,
                             env={**os.environ, **{n: str(v) for n, v in api_env().items()}}, check=True)
        self.assertIn(password["password"].encode(), url.stdout)
        on_branch("quiet", "CREATE DATABASE other")
        there = harness.holdfast("psql", "quiet", "--", "-d", "other", "-XAtc", "SELECT current_database()",
                                 env=api_env())  # psql's own -d changes the database alone
        self.assertEqual(there.out.strip(), "other")

    def test_points_that_cannot_be_are_refused_with_the_way_on(self):
        window = branch("window", "--json").json()
        self.assertTrue(window["receiving"]["ok"])
        self.assertEqual(len(window["windows"]), 1)
        for point in (("--at", "2020-01-01T00:00:00Z"),
                      ("--at", time_text(now_on(source) + timedelta(hours=1))), ("--lsn", "FFFF/0")):
            refused = branch("create", "never", *point, expect=2)
            self.assertIn("hint: ", refused.err, point)
            self.assertNotIn("(hint: ", refused.err, point)
        names = [entry["name"] for entry in branch("list", "--json").json()["branches"]]
        self.assertNotIn("never", names)
        taken = branch("create", "main", expect=1)
        self.assertIn("already exists", taken.err)

    def test_a_wrong_key_and_a_wrong_address_say_so(self):
        wrong = harness.random_secret()
        refused = branch("list", env={"NEON_API_KEY_FILE": None, "NEON_API_KEY": wrong}, expect=1)
        self.assertIn("does not accept the key", refused.err)
        self.assertIn("holdfast key add", refused.err)
        bare = branch("list", env={"NEON_API_HOST": f"http://127.0.0.1:{engine.port}"}, expect=1)
        self.assertIn("/api/v2", bare.err)
        document = branch("list", "--json", env={"NEON_PROJECT_ID": "other"}, expect=1).json()
        self.assertEqual(document["error"]["code"], "not_found")


class InPlace(unittest.TestCase):
    def test_the_source_goes_back_and_what_it_was_is_kept(self):
        source.psql("CREATE TABLE ledger (id int); INSERT INTO ledger VALUES (1)")
        time.sleep(0.02)
        good = time_text(now_on(source))
        time.sleep(0.02)
        source.psql("DROP TABLE ledger")
        engine.wait_received()
        unconfirmed = branch("restore", "main", "--at", good, expect=2)
        self.assertIn("--confirm main", unconfirmed.err)
        mistyped = branch("restore", "main", "--at", good, "--confirm", "mian", expect=2)
        self.assertIn("--confirm names another branch", mistyped.err)
        self.assertEqual(source.psql("SELECT to_regclass('ledger') IS NULL"), "t")

        done = branch("restore", "main", "--at", good, "--confirm", "main", "--preserve-under-name", "kept",
                      "--json", timeout=300).json()
        self.assertEqual(done["kept_as"], "kept")
        self.assertEqual(source.psql("SELECT count(*) FROM ledger"), "1")
        again = branch("restore", "main", "--at", good, "--confirm", "main", "--preserve-under-name", "kept",
                       expect=1)
        self.assertIn("already exists", again.err)
        branch("start", "kept", timeout=300)
        self.assertEqual(on_branch("kept", "SELECT to_regclass('ledger') IS NULL"), "t")
        needs = branch("delete", "kept", expect=2)
        self.assertIn("--confirm kept", needs.err)


class Serving(unittest.TestCase):
    def test_root_is_refused(self):
        if os.geteuid() != 0:
            self.skipTest("is not root")
        folder = harness.temp_dir()
        refused = harness.holdfast("serve", "--work-dir", folder / "w", "--storage-dir", folder / "s",
                                   env={"DATABASE_URL": source.url(password=None)}, expect=1)
        self.assertIn("does not run as root", refused.err)
        self.assertIn("sudo -u postgres", refused.err)
        self.assertEqual(list(folder.iterdir()), [])

    def test_it_says_where_it_listens_and_ends_cleanly(self):
        self.assertIn(f"serving http://127.0.0.1:{engine.port}/api/v2", engine.process.out())
        branch("create", "survivor")
        engine.stop()  # 0, or it fails
        engine.start()
        self.assertEqual(on_branch("survivor", "SELECT 1"), "1")
        branch("delete", "survivor")

    def test_keys(self):
        made = engine.holdfast("key", "add", "ci", "--json").json()
        key = harness.register_secret(made["key"])
        env = {"NEON_API_KEY_FILE": None, "NEON_API_KEY": key}
        branch("list", env=env)
        self.assertRegex(engine.holdfast("key", "list").out, rf"(?m)^ *{made['id']}  ci ")
        engine.holdfast("key", "revoke", made["id"])
        branch("list", env=env, expect=1)
        again = engine.holdfast("key", "revoke", made["id"], check=False)
        self.assertEqual(again.code, 1)


if __name__ == "__main__":
    harness.main()
