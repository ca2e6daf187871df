"""Going back in place, and the life of branches: children, expiry, suspending, quarantine.

A managed source is restored in place while the engine is killed with SIGKILL at random moments: it always ends in
the old state or the new one, whole, running, on the same port, with the same roles and passwords, and what was there
before is kept as a branch. HOLDFAST_TEST_LONG: 30 kills instead of 10. HOLDFAST_TEST_SEED repeats a run.
"""

import http.client
import os
import random
import subprocess
import sys
import threading
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, kill_server, now_on, parse_time, time_text  # noqa: E402

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
KILLS = 30 if LONG else 10
GONE = (OSError, http.client.HTTPException)


def setUpModule():
    seed = int(os.environ.get("HOLDFAST_TEST_SEED") or random.randrange(10**9))
    print(f"HOLDFAST_TEST_SEED={seed}")
    random.seed(seed)


def make_engine(case, **more) -> EngineServer:
    """An engine for one test or (case is a class) one class of them."""
    try:
        engine = EngineServer(**more)
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None
    (case.addClassCleanup if isinstance(case, type) else case.addCleanup)(engine.close)
    return engine


def moment(engine: EngineServer) -> datetime:
    """An instant well apart from any commit before and after, that can be recovered to."""
    time.sleep(0.02)
    instant = now_on(engine.source)
    time.sleep(0.02)
    engine.source.psql("SELECT pg_logical_emit_message(true, 'test', 'a commit after it')")
    engine.wait_received()
    engine.wait_caught_up(instant)
    return instant


class InPlace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = make_engine(cls, managed=True, source_settings={"work_mem": "5MB"})
        cls.source = cls.engine.source
        cls.source.create_role("care_app")
        cls.source.psql("CREATE TABLE state (n int PRIMARY KEY, body text); GRANT ALL ON state TO care_app;"
                        "CREATE TABLE bulk AS SELECT i, md5(i::text) AS t FROM generate_series(1, 20000) i")
        cls.generation = 0

    def numbers(self, server, user: str = "care_app") -> list[int]:
        return [int(line) for line in server.psql("SELECT n FROM state ORDER BY n", user=user).split()]

    def add(self) -> int:
        type(self).generation += 1
        self.source.psql(f"INSERT INTO state VALUES ({self.generation}, 'x')", user="care_app")
        return self.generation

    def two_states(self) -> tuple[datetime, list[int], list[int]]:
        """An instant, what was there then, and what is there now."""
        self.add()
        then = self.numbers(self.source)
        instant = moment(self.engine)
        self.add()
        self.source.psql("UPDATE bulk SET t = 'changed' WHERE i % 100 = 0")
        self.engine.wait_received()
        return instant, then, self.numbers(self.source)

    def request(self, instant: datetime, name: str) -> tuple[str, dict]:
        main = self.engine.api.branch("main")["id"]
        return f"branches/{main}/restore", {"source_branch_id": main, "preserve_under_name": name,
                                            "source_timestamp": time_text(instant)}

    def check_running(self, port: int, passwords: dict) -> None:
        self.assertEqual(str(port), self.source.psql("SHOW port"))
        self.assertEqual("5MB", self.source.psql("SHOW work_mem"), "the source's own settings")
        self.assertEqual(passwords, self.source.passwords)
        self.assertEqual("f", self.source.psql("SELECT pg_is_in_recovery()"))
        self.assertEqual("care_app", self.source.psql("SELECT current_user", user="care_app"))
        wrong = self.source.tool("psql", "-X", "-w", "-d", self.source.url(password="not it at all"), "-c",
                                 "SELECT 1", check=False)
        self.assertIn("password authentication failed", wrong.err)

    def check_preserved(self, name: str, wanted: list[int]) -> None:
        """The old state, on a compute of its branch."""
        engine = self.engine
        branch = engine.api.branch(name)
        if not engine.api.get(f"branches/{branch['id']}/endpoints")["endpoints"]:
            engine.settle(engine.api.post("endpoints", {"endpoint": {"branch_id": branch["id"],
                                                                      "type": "read_write"}}))
        with engine.connect(name) as client:
            self.assertEqual(wanted, self.numbers(client, "postgres"))
            self.assertNotEqual(str(self.source.port), client.psql("SHOW port"))
        engine.settle(engine.api.post(f"endpoints/{engine.endpoint(branch['id'])['id']}/suspend"))

    def check_head(self) -> None:
        """What is written from now on is received, on whatever timeline."""
        name = f"head-{self.add()}"
        self.engine.wait_received()
        made = self.engine.create_branch(name)
        with self.engine.connect(name) as client:
            self.assertEqual(self.numbers(self.source), self.numbers(client, "postgres"))
        self.engine.settle(self.engine.api.delete(f"branches/{made['branch']['id']}"))

    def test_1_undisturbed(self):
        """Restored to a time and then, over the fork, to a time before it, and to an LSN."""
        engine, port, passwords = self.engine, self.source.port, dict(self.source.passwords)
        first, at_first, _ = self.two_states()
        # A role that comes, and a password that changes, after the point: they are as they are now.
        self.source.create_role("care_new")
        changed = harness.random_secret()
        self.source.psql(f"ALTER ROLE care_app PASSWORD '{changed}'")
        self.source.passwords["care_app"] = changed
        self.source._write_passfile()
        passwords = dict(self.source.passwords)
        now = self.numbers(self.source)
        system = self.source.psql("SELECT system_identifier FROM pg_control_system()")
        began = time.monotonic()
        answer = engine.api.post(*self.request(first, "before-first"))
        engine.settle(answer)
        type(self).seconds = time.monotonic() - began
        self.assertEqual(at_first, self.numbers(self.source))
        self.check_running(port, passwords)
        self.assertEqual("care_new", self.source.psql("SELECT current_user", user="care_new"))
        self.assertEqual(system, self.source.psql("SELECT system_identifier FROM pg_control_system()"))
        main = engine.api.branch("main")
        self.assertEqual((True, answer["branch"]["id"]), (main["default"], main["id"]))
        self.check_preserved("before-first", now)
        self.check_head()
        # Once more, now from the new timeline.
        second, at_second, now = self.two_states()
        where = self.source.psql("SELECT pg_current_wal_insert_lsn()")
        then = self.numbers(self.source)
        self.add()
        engine.settle(engine.api.post(*self.request(second, "before-second")))
        self.assertEqual(at_second, self.numbers(self.source))
        self.check_running(port, passwords)
        self.check_head()
        # The way not taken is there: from the preserved branch, by its own history.
        preserved = engine.api.branch("before-second")
        made = engine.create_branch("aside", parent_id=preserved["id"], parent_lsn=where)
        with engine.connect("aside") as client:
            self.assertEqual(then, self.numbers(client, "postgres"))
        engine.settle(engine.api.delete(f"branches/{made['branch']['id']}"))
        # A time before both forks.
        made = engine.create_branch("long-ago", parent_timestamp=time_text(first))
        with engine.connect("long-ago") as client:
            self.assertEqual(at_first, self.numbers(client, "postgres"))
        engine.settle(engine.api.delete(f"branches/{made['branch']['id']}"))

    def test_2_killed_at_any_moment(self):
        engine, port, passwords = self.engine, self.source.port, dict(self.source.passwords)
        self.assertGreater(getattr(self, "seconds", 0), 0, "test_1 measures how long it takes")
        ended = {"old": 0, "new": 0}
        for number in range(KILLS):
            with self.subTest(f"kill {number}"):
                instant, then, now = self.two_states()
                name = f"before-kill-{number}"
                # Once it is accepted it is gone through with; so every third kill comes right at the beginning.
                delay = self.seconds * (10 ** random.uniform(-3, -1) if number % 3 == 2
                                        else random.uniform(0, 1.3))
                self.kill_in_restore(self.request(instant, name), delay)
                if number % 4 == 3:  # and again while it goes on with it
                    engine.start(ready=False)
                    time.sleep(random.uniform(0, self.seconds))
                    engine.kill9()
                engine.start(ready=False)
                self.wait_settled()
                engine.wait_for(lambda: self.source.running, 60, "the source to run")
                self.check_running(port, passwords)
                found = self.numbers(self.source)
                self.assertIn(found, (then, now), "neither the old state nor the new")
                ended["new" if found == then else "old"] += 1
                if found == then:
                    self.check_preserved(name, now)
                else:
                    self.assertNotIn(name, engine.api.branches(), "a branch of what did not happen")
                self.assertFalse(Path(f"{self.source.data}.new").exists(), "half a folder is left")
                engine.wait_for(lambda: engine.history()["windows"], 60, "a window")
                self.check_head()
                # Each keeps a data folder and a port; one restored before is the child of the newest.
                engine.drop_branches(lambda branch: branch["name"].startswith("before-kill-")
                                     and branch["name"] != name)
        print(f"ended: {ended}")
        if KILLS >= 30:
            self.assertTrue(ended["old"] and ended["new"], ended)

    def kill_in_restore(self, request, delay: float) -> None:
        """Asks for it, and kills the engine `delay` seconds later: while it does so, or shortly before or after."""
        def ask():
            try:
                self.engine.api.post(*request)
            except GONE:
                pass

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(delay)
        self.engine.kill9()
        asking.join()

    def wait_settled(self) -> None:
        flying = {"scheduling", "running", "cancelling"}
        self.engine.wait_for(lambda: not flying & {o["status"] for o in self.engine.api.get(
            "operations", query={"limit": 20})["operations"]}, 180, "the restore to end")

    def test_3_what_cannot_be_is_refused(self):
        api, main = self.engine.api, self.engine.api.branch("main")["id"]
        path = f"branches/{main}/restore"
        before = self.numbers(self.source)
        instant = time_text(moment(self.engine))
        for body, status in (
                ({"source_branch_id": main, "source_timestamp": instant}, 422),  # no way back
                ({"source_branch_id": main, "preserve_under_name": "x"}, 422),  # from itself, no point
                ({"source_branch_id": main, "source_timestamp": "2001-01-01T00:00:00Z",
                  "preserve_under_name": "x"}, 400),
                ({"source_branch_id": main, "source_lsn": "7FFFFFFF/0", "preserve_under_name": "x"}, 400),
                ({"source_branch_id": main, "source_timestamp": instant, "preserve_under_name": "main"},
                 409),
                ({"source_branch_id": "br-no-such-12345678", "preserve_under_name": "x"}, 404)):
            with self.subTest(body):
                self.assertNotEqual("", api.post(path, body, expect=status).message)
        self.assertEqual(before, self.numbers(self.source))
        self.assertNotIn("x", api.branches())


class Unmanaged(unittest.TestCase):
    def test_restoring_the_source_is_refused_with_the_way(self):
        engine = make_engine(self)
        engine.source.psql("CREATE TABLE t (i int)")
        instant = moment(engine)
        main = engine.api.branch("main")["id"]
        refused = engine.api.post(f"branches/{main}/restore", {
            "source_branch_id": main, "source_timestamp": time_text(instant), "preserve_under_name": "old"},
            expect=422)
        self.assertRegex(refused.message, "data_dir|managed")
        self.assertNotIn("old", engine.api.branches())
        self.assertEqual("0", engine.source.psql("SELECT count(*) FROM t"))


class Life(unittest.TestCase):
    """Branches of one unmanaged source."""

    @classmethod
    def setUpClass(cls):
        cls.archive = harness.temp_dir("hf-archive-", 0o777)
        cls.engine = make_engine(cls, source_settings={
            "archive_mode": "on", "archive_command": f'cp "%p" "{cls.archive}/%f"', "wal_level": "logical",
            "synchronous_commit": "local", "synchronous_standby_names": "nobody",
            "primary_conninfo": "host=192.0.2.1", "log_min_duration_statement": "77s"})
        cls.source = cls.engine.source
        cls.source.create_role("care_app")
        cls.source.psql("CREATE TABLE visits (id int PRIMARY KEY); INSERT INTO visits VALUES (1);"
                        "GRANT SELECT ON visits TO care_app;"
                        "CREATE PUBLICATION a_few FOR TABLE visits;"
                        "CREATE SUBSCRIPTION stolen CONNECTION 'host=192.0.2.1 dbname=x' PUBLICATION y"
                        " WITH (connect = false)")
        cls.source.psql("ALTER SYSTEM SET maintenance_work_mem = '33MB'")
        cls.engine.wait_received()

    def tearDown(self):
        """Nothing is left of a test."""
        self.engine.drop_branches()
        self.assertEqual(["main"], sorted(self.engine.api.branches()))
        self.engine.wait_for(lambda: not self.engine.postmasters(), 60, "all computes to end")

    def drop(self, *names: str) -> None:
        for name in reversed(names):
            if branch := self.engine.api.branches().get(name):
                self.engine.settle(self.engine.api.delete(f"branches/{branch['id']}"))

    def test_branches_of_branches(self):
        engine, api = self.engine, self.engine.api
        first = engine.create_branch("first")["branch"]
        with engine.connect("first") as client:
            client.psql("CREATE TABLE own (i int); INSERT INTO own VALUES (1)")
            where = client.psql("SELECT pg_current_wal_insert_lsn()")
            client.psql("INSERT INTO own VALUES (2)")
            engine.create_branch("second", parent_id=first["id"])
            engine.create_branch("second-earlier", parent_id=first["id"], parent_lsn=where)
            client.psql("INSERT INTO own VALUES (3)")
        for name, wanted in (("second", "2"), ("second-earlier", "1")):
            with engine.connect(name) as client:
                self.assertEqual(wanted, client.psql("SELECT max(i) FROM own"), name)
                self.assertEqual("1", client.psql("SELECT count(*) FROM visits"))
                client.psql("INSERT INTO own VALUES (100)")
        with engine.connect("first") as client:
            self.assertEqual("3", client.psql("SELECT max(i) FROM own"))
        # A grandchild, of a branch that is suspended, and whose parent is, too.
        for name in ("first", "second"):
            engine.settle(api.post(f"endpoints/{engine.endpoint(api.branch(name)['id'])['id']}/suspend"))
        engine.create_branch("third", parent_id=api.branch("second")["id"])
        with engine.connect("third") as client:
            self.assertEqual("1,2,100", client.psql("SELECT string_agg(i::text, ',' ORDER BY i) FROM own"))
            client.psql("INSERT INTO own VALUES (1000)")
        # By time, of a branch's own history.
        with engine.connect("third") as client:
            time.sleep(0.02)
            instant = now_on(client)
            time.sleep(0.02)
            client.psql("INSERT INTO own VALUES (2000)")
        engine.create_branch("fourth", parent_id=api.branch("third")["id"], parent_timestamp=time_text(instant))
        with engine.connect("fourth") as client:
            self.assertEqual("1000", client.psql("SELECT max(i) FROM own"))
        refused = api.delete(f"branches/{first['id']}", expect=422)
        self.assertIn("children", refused.message)
        engine.restart()
        for name in ("third", "fourth"):  # computes outlive the engine
            with engine.connect(name) as client:
                self.assertEqual("1", client.psql("SELECT count(*) FROM own WHERE i = 1000"))
        self.drop("first", "second", "second-earlier", "third", "fourth")

    def test_restore_of_a_branch_moves_its_children(self):
        engine, api = self.engine, self.engine.api
        parent = engine.create_branch("moved")["branch"]
        with engine.connect("moved") as client:
            client.psql("CREATE TABLE own AS SELECT 1 AS i")
            where = client.psql("SELECT pg_current_wal_insert_lsn()")
            client.psql("UPDATE own SET i = 2")
        engine.create_branch("moved-child", parent_id=parent["id"])
        path, body = f"branches/{parent['id']}/restore", {"source_branch_id": parent["id"], "source_lsn": where}
        self.assertIn("preserve_under_name", api.post(path, body, expect=422).message)
        engine.settle(api.post(path, {**body, "preserve_under_name": "moved-old"}))
        self.assertEqual(api.branch("moved-old")["id"], api.branch("moved-child")["parent_id"])
        for name, wanted in (("moved", "1"), ("moved-child", "2")):
            with engine.connect(name) as client:
                self.assertEqual(wanted, client.psql("SELECT i FROM own"), name)

    def test_expiry(self):
        engine, api = self.engine, self.engine.api
        until = (datetime.now(timezone.utc) + timedelta(seconds=8)).replace(microsecond=0)
        text = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        engine.create_branch("brief", expires_at=text)
        brief = api.branch("brief")
        with engine.connect("brief") as client:
            self.assertEqual("1", client.psql("SELECT 1"))
        self.assertEqual(until, parse_time(brief["expires_at"]))
        for body, status in (({"expires_at": "2001-01-01T00:00:00Z"}, 400), ({"protected": True}, 422)):
            api.patch(f"branches/{brief['id']}", {"branch": body}, expect=(status, 400, 422))
        engine.wait_for(lambda: "brief" not in api.branches(), 60, "the branch to expire")
        self.assertGreaterEqual(datetime.now(timezone.utc), until)
        engine.wait_for(lambda: not engine.postmasters(), 60, "its compute to end")
        api.get(f"branches/{brief['id']}", expect=404)

    def test_suspend_and_start(self):
        engine, api = self.engine, self.engine.api
        branch = engine.create_branch("sleeper")["branch"]
        endpoint = engine.endpoint(branch["id"])
        with engine.connect("sleeper") as client:
            client.psql("CREATE TABLE own AS SELECT 5 AS i")
            engine.settle(api.post(f"endpoints/{endpoint['id']}/suspend"))
            self.assertEqual("idle", engine.endpoint(branch["id"])["current_state"])
            self.assertNotEqual("5", client.psql("SELECT i FROM own", check=False))
            for action in ("start", "start", "restart"):
                engine.settle(api.post(f"endpoints/{endpoint['id']}/{action}"))
                self.assertEqual("active", engine.endpoint(branch["id"])["current_state"])
                self.assertEqual("5", client.psql("SELECT i FROM own"))  # same port, same password
        self.assertEqual(endpoint["host"], engine.endpoint(branch["id"])["host"])

    def test_a_compute_that_crashes_comes_back(self):
        engine = self.engine
        branch = engine.create_branch("crasher")["branch"]
        with engine.connect("crasher") as client:
            client.psql("CREATE TABLE own AS SELECT 6 AS i")
            for pid in engine.postmasters():
                kill_server(pid)
            engine.wait_for(lambda: client.psql("SELECT i FROM own", check=False) == "6", 60,
                            "the compute to be started again")
            engine.wait_for(lambda: "pending_state" not in engine.endpoint(branch["id"]), 60, "it to be told")
            self.assertEqual("active", engine.endpoint(branch["id"])["current_state"])

    def test_quarantine(self):
        engine = self.engine
        branch = engine.create_branch("quarantined")["branch"]
        with engine.connect("quarantined") as client:
            shown = dict(line.split("|", 1) for line in client.psql(
                "SELECT name, setting FROM pg_settings WHERE name IN ('archive_mode', 'archive_command',"
                " 'primary_conninfo', 'primary_slot_name', 'synchronous_standby_names', 'ssl',"
                " 'max_logical_replication_workers', 'password_encryption', 'log_min_duration_statement',"
                " 'maintenance_work_mem')").split("\n"))
            self.assertEqual(
                ("off", "", "", "", "0", "on", "scram-sha-256"),
                (shown["archive_mode"], shown["primary_conninfo"], shown["primary_slot_name"],
                 shown["synchronous_standby_names"], shown["max_logical_replication_workers"], shown["ssl"],
                 shown["password_encryption"]))
            self.assertIn(shown["archive_command"], ("", "(disabled)"))
            self.assertEqual("0", client.psql("SELECT count(*) FROM pg_replication_slots"))
            self.assertEqual("0", client.psql("SELECT count(*) FROM pg_subscription WHERE subenabled"))
            self.assertEqual("0", client.psql("SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL"))
            before = set(os.listdir(self.archive))
            client.psql("CREATE TABLE own (i int); SELECT pg_switch_wal(); CHECKPOINT")
            time.sleep(0.5)
            timeline = client.psql("SELECT timeline_id FROM pg_control_checkpoint()")
            self.assertNotEqual("1", timeline)
            archived = {n for n in set(os.listdir(self.archive)) - before if not n.startswith("00000001")}
            self.assertEqual(set(), archived, "the branch wrote into the source's archive")
            host, port = client.host, client.port
            password = client.passwords["postgres"]
        # Nobody gets in with the source's passwords, without TLS, or without a password.
        for user, secret, options in (("postgres", self.source.passwords["postgres"], "require"),
                                      ("care_app", self.source.passwords["care_app"], "require"),
                                      ("postgres", password, "disable"), ("postgres", "", "require")):
            text = self.try_in(host, port, user, secret, options)
            self.assertRegex(text, "password|no pg_hba.conf entry", f"{user} {options}")
        self.assertEqual("1", self.try_in(host, port, "postgres", password, "require"))
        self.assertIn("no pg_hba.conf entry", self.try_in(host, port, "postgres", password, "require",
                                                          replication=True))
        self.assertEqual("nobody", self.source.psql("SHOW synchronous_standby_names"))
        folder = next(iter(engine.postmasters().values()))
        self.assertEqual(0o700, folder.stat().st_mode & 0o777)
        self.assertEqual(branch["id"], engine.api.branch("quarantined")["id"])

    def try_in(self, host, port, user, password, sslmode, replication=False) -> str:
        """What psql says: "1", or why it was not let in."""
        folder = harness.temp_dir("hf-try-", 0o700)
        file = folder / "pgpass"
        if password:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as handle:
                handle.write(f"*:*:*:*:{password}\n")
        done = subprocess.run(
            [self.source.bindir / "psql", "-X", "-w", "-At", "-c",
             "IDENTIFY_SYSTEM" if replication else "SELECT 1",
             f"host={host} port={port} user={user} dbname=postgres sslmode={sslmode}"
             + (" replication=true" if replication else "")],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PGPASSFILE": str(file), "LANG": "C.UTF-8"})
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    def test_passwords(self):
        engine, api = self.engine, self.engine.api
        branch = engine.create_branch("secrets")["branch"]
        below = f"branches/{branch['id']}/roles"
        with engine.connect("secrets") as client:
            old = client.passwords["postgres"]
            reset = api.post(f"{below}/postgres/reset_password")
            engine.settle(reset)
            new = harness.register_secret(reset["role"]["password"])
            self.assertNotEqual(old, new)
            self.assertEqual(new, api.get(f"{below}/postgres/reveal_password")["password"])
            self.assertIn("password authentication failed", client.psql("SELECT 1", check=False))
        with engine.connect("secrets") as client:
            self.assertEqual("1", client.psql("SELECT 1"))
        uri = harness.register_secret(api.get("connection_uri", query={
            "branch_id": branch["id"], "database_name": "postgres", "role_name": "postgres"})["uri"])
        done = subprocess.run([self.source.bindir / "psql", "-X", "-w", "-At", "-c", "SELECT 1", uri],
                              capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": "/"})
        self.assertEqual("1\n", done.stdout, done.stderr)
        api.get(f"{below}/nobody/reveal_password", expect=404)


class Idle(unittest.TestCase):
    def test_idle_computes_are_suspended(self):
        engine = make_engine(self, settings={"suspend_timeout": 10})
        branch = engine.create_branch("dozer")["branch"]
        with engine.connect("dozer") as client:
            busy = subprocess.Popen([client.bindir / "psql", "-X", "-q", "-d", "postgres", "-c",
                                     "CREATE TABLE own AS SELECT 1 AS i; SELECT pg_sleep(15)"],
                                    env=client.client_env(), cwd=client.dir, stdout=subprocess.DEVNULL)
            self.assertEqual(0, busy.wait(60), "a working client was thrown out")
            engine.wait_for(lambda: engine.endpoint(branch["id"])["current_state"] == "idle", 60,
                            "the idle compute to be suspended")
            self.assertEqual({}, engine.postmasters())
            # Its own setting counts before the engine's.
            endpoint = f"endpoints/{engine.endpoint(branch['id'])['id']}"
            engine.settle(engine.api.patch(endpoint, {"endpoint": {"suspend_timeout_seconds": -1}}))
            engine.settle(engine.api.post(f"{endpoint}/start"))
            time.sleep(15)
            self.assertEqual("1", client.psql("SELECT i FROM own"))


if __name__ == "__main__":
    harness.main()
