"""Computes of the branch engine: exact recovery, quarantine, TLS and SCRAM, crashes at every step, adoption.

Driven by compute_tool over base backups and archives made with PostgreSQL's own programs, so that nothing here
depends on how the engine keeps history.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from computes import COMMITS, Compute, History, as_servers_user, own, tool_path  # noqa: E402
from harness_base import descendants, send_signal  # noqa: E402
from harness_server import _unprivileged  # noqa: E402

ALICE_AT_SOURCE = harness.random_secret()
ROW = "row-" + os.urandom(8).hex()  # stands in people's records and may be in no log


def everything(history: History) -> None:
    """What a branch must not take with it, at the source."""
    server = history.server
    tablespace = history.dir / "space"
    tablespace.mkdir()
    own(tablespace)
    server.psql(f"CREATE TABLESPACE space LOCATION '{tablespace}'")
    server.psql("CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 500) AS i")
    server.create_role("alice", password=ALICE_AT_SOURCE)
    server.create_role("sleeper", "NOLOGIN")
    server.create_role("Bob \"the\" 'builder'")
    server.createdb("publisher")
    server.createdb("subscriber")
    server.psql("CREATE TABLE p (i int PRIMARY KEY); CREATE TABLE endless AS SELECT 1 AS i; "
                "CREATE PUBLICATION pub FOR TABLE p, endless", db="publisher")
    server.psql("SELECT pg_create_logical_replication_slot('stolen', 'pgoutput')", db="publisher")
    passfile = server.dir / "subscriber.pgpass"
    passfile.write_bytes(server.passfile.read_bytes())
    passfile.chmod(0o600)
    if user := _unprivileged():
        os.chown(passfile, user["user"], user["group"])
    # A table whose first copy is never done: it has a slot of its own.
    server.psql("CREATE TABLE endless (i int); CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN PERFORM pg_sleep(100000); RETURN new; END'; CREATE TRIGGER wait BEFORE INSERT ON endless "
                "FOR EACH ROW EXECUTE FUNCTION wait(); ALTER TABLE endless ENABLE ALWAYS TRIGGER wait",
                db="subscriber")
    server.psql(f"CREATE TABLE p (i int PRIMARY KEY); CREATE SUBSCRIPTION sub CONNECTION 'host={server.host} "
                f"port={server.port} user=postgres dbname=publisher passfile={passfile}' PUBLICATION pub "
                "WITH (create_slot = false, slot_name = 'stolen')", db="subscriber")
    harness.wait_until(lambda: server.psql("SELECT count(*), count(*) FILTER (WHERE slot_name = 'stolen' AND active) "
                                           "FROM pg_replication_slots") == "2|1" and
                       server.psql("SELECT string_agg(srsubstate, ' ' ORDER BY srrelid::regclass::text) "
                                   "FROM pg_subscription_rel", db="subscriber") == "d r",
                       what="the subscription's workers")
    server.psql("BEGIN; INSERT INTO spaced VALUES (0); PREPARE TRANSACTION 'left behind'")
    for setting in ("archive_timeout = '1h'", "work_mem = '77MB'", "log_min_messages = 'debug1'",
                    "synchronous_commit = 'local'", "synchronous_standby_names = 'nobody'",
                    "primary_conninfo = 'host=elsewhere'"):
        server.psql(f"ALTER SYSTEM SET {setting}")
    server.psql("SELECT pg_reload_conf()")
    server.psql("ALTER ROLE postgres SET log_statement = 'all'; ALTER DATABASE postgres SET log_duration = 'on';"
                "ALTER ROLE ALL SET log_min_messages = 'info'; "
                "ALTER ROLE alice IN DATABASE postgres SET log_min_error_statement = 'error'")
    # Which the ledger's commits below turn off.
    server.psql("ALTER ROLE postgres SET default_transaction_read_only = 'on'")


@unittest.skipUnless(os.environ.get("HOLDFAST_BIN"), "needs HOLDFAST_BIN")
class Computes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not tool_path().exists():
            raise unittest.SkipTest("compute_tool is not built")
        cls.history = History(settings={
            "wal_level": "logical", "max_prepared_transactions": 7, "DateStyle": "German, DMY",
            "default_text_search_config": "pg_catalog.german", "shared_preload_libraries": "pg_stat_statements"},
            prepare=everything)

    def compute(self, n: int = 20, start: bool = True, **options) -> Compute:
        compute = Compute(self.history, n, **options)
        self.addCleanup(compute.remove)
        if start:
            print(compute.first_start(), file=sys.stderr)
        return compute

    def assert_recovered(self, compute: Compute, timelines=("2",)) -> None:
        self.assertEqual(compute.ledger(), list(range(1, compute.n + 1)))
        self.assertEqual(compute.sql("SELECT pg_is_in_recovery()"), "f")
        self.assertIn(compute.tool("timeline"), timelines)

    # recovery and access

    def test_holds_exactly_the_commits_up_to_its_point(self):
        for n in (1, 17, COMMITS):
            with self.subTest(n=n):
                compute = self.compute(n)
                self.assert_recovered(compute)
                self.assertEqual(compute.sql("SELECT count(*) FROM spaced"), "500")
                lsn = compute.sql("SELECT pg_current_wal_flush_lsn()")
                self.assertGreaterEqual(compute.tool("lsn").split("/"), lsn.split("/"))
                self.assertEqual(compute.state(), "running")
                compute.sql("INSERT INTO ledger VALUES (1000)")
                self.assertEqual(compute.ledger()[-1], 1000)

    def test_lets_clients_in_by_tls_and_scram_only(self):
        alice, boss = harness.random_secret(), harness.random_secret()
        compute = self.compute(passwords={"alice": alice, "postgres": boss})
        shown = compute.client("SELECT current_user, ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                               "alice", alice)
        self.assertEqual(shown.stdout.strip(), "alice|t|TLSv1.3", shown.stderr)
        checked = compute.client("SELECT 1", "postgres", boss, host="localhost",
                                 parameters=f"sslmode=verify-full sslrootcert={compute.certificate}")
        self.assertEqual(checked.stdout.strip(), "1", checked.stderr)
        for what, refused in {
                "no TLS": compute.client("SELECT 1", "alice", alice, parameters="sslmode=disable"),
                "the wrong password": compute.client("SELECT 1", "alice", boss),
                "the source's password": compute.client("SELECT 1", "alice", ALICE_AT_SOURCE),
                "the source's superuser password": compute.client(
                    "SELECT 1", "postgres", self.history.server.passwords["postgres"]),
                "replication": compute.client("IDENTIFY_SYSTEM", "postgres", boss,
                                              parameters="sslmode=require replication=yes")}.items():
            self.assertNotEqual(refused.returncode, 0, what)
            self.assertIn("FATAL", refused.stderr, what)
        self.assertIn("no encryption", compute.client("SELECT 1", "alice", alice,
                                                      parameters="sslmode=disable").stderr)
        harness.assert_no_secrets(compute.log(), "the server's log")
        harness.assert_no_secrets((compute.folder / "compute.json").read_text(), "compute.json")
        for name in ("run", "data"):
            self.assertEqual((compute.folder / name).stat().st_mode & 0o777, 0o700)
        self.assertEqual((compute.folder / "log").stat().st_mode & 0o777, 0o600)

    def test_a_client_before_the_end_of_the_quarantine_is_refused(self):
        compute = self.compute(start=False)
        compute.at = {"quarantining": "kill"}
        compute.tool("first-start", check=False)
        early = compute.client("SELECT 1", "alice", ALICE_AT_SOURCE)
        self.assertIn("no pg_hba.conf entry", early.stderr)
        self.assertEqual(compute.state(), "starting")
        self.assertEqual(compute.tool("done"), "false")
        compute.first_start()
        self.assertIn("password authentication failed",
                      compute.client("SELECT 1", "alice", ALICE_AT_SOURCE).stderr)

    # quarantine

    def test_takes_nothing_of_the_source_with_it_that_reaches_outside(self):
        compute = self.compute()
        shown = dict(line.split("\t", 1) for line in compute.sql(
            "SELECT name || E'\\t' || setting FROM pg_settings").splitlines() if "\t" in line)
        for name, wanted in {
                "archive_mode": "off", "archive_command": "(disabled)", "synchronous_standby_names": "",
                "primary_conninfo": "", "max_logical_replication_workers": "0", "ssl": "on",
                "password_encryption": "scram-sha-256", "log_min_error_statement": "panic",
                "log_error_verbosity": "terse", "wal_level": "logical", "max_prepared_transactions": "7",
                "DateStyle": "German, DMY", "default_text_search_config": "pg_catalog.german",
                "shared_preload_libraries": '"pg_stat_statements"', "work_mem": "4096", "shared_buffers": "16384",
                "unix_socket_permissions": "0700"}.items():
            self.assertEqual(shown[name], wanted, name)
        self.assertEqual(compute.sql("SELECT count(*) FROM pg_subscription WHERE subenabled "
                                     "OR subslotname IS NOT NULL"), "0")
        self.assertEqual(compute.sql("SELECT count(*) FROM pg_subscription"), "1")
        self.assertEqual(compute.sql("SELECT count(*) FROM pg_replication_slots"), "0")
        self.assertEqual(compute.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'logical'"), "0")
        self.assertEqual(compute.sql("SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL "
                                     "AND NOT rolcanlogin"), "0")
        self.assertEqual(compute.sql("SELECT gid FROM pg_prepared_xacts"), "left behind")
        compute.sql("ROLLBACK PREPARED 'left behind'")
        # The tablespace is the branch's own, and so is what is written to it.
        compute.sql("INSERT INTO spaced SELECT generate_series(501, 1000)")
        self.assertEqual(compute.sql("SELECT count(*) FROM spaced"), "1000")
        self.assertEqual(self.history.server.psql("SELECT count(*) FROM spaced"), "500")
        # Dropping the subscription here leaves the slots there: its own, and that of a table's first copy.
        slots = "SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name <> 'stolen'"
        copying = self.history.server.psql(slots)
        self.assertIn("_sync_", copying)
        compute.sql("DROP SUBSCRIPTION sub", db="subscriber")
        self.assertEqual(self.history.server.psql(slots), copying)
        self.assertEqual(self.history.server.psql("SELECT active FROM pg_replication_slots "
                                                  "WHERE slot_name = 'stolen'"), "t")
        for name in ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf"):
            self.assertTrue((compute.folder / "source-config" / name).exists(), name)
        self.assertIn("nobody", (compute.folder / "source-config/postgresql.auto.conf").read_text())

    def test_says_that_prepared_transactions_came_along(self):
        compute = self.compute(start=False)
        self.assertIn("1 prepared transaction came along and holds its locks: left behind", compute.first_start())

    def test_no_alter_system_leads_out_of_the_quarantine(self):
        compute = self.compute()
        for setting in ("archive_mode = 'always'", "synchronous_standby_names = 'somebody'", "port = '1'",
                        "max_logical_replication_workers = '4'", "hba_file = '/dev/null'", "ssl = 'off'",
                        "wal_keep_size = '0'", "work_mem = '9MB'"):
            compute.sql(f"ALTER SYSTEM SET {setting}")
        compute.tool("stop")
        compute.tool("start")
        self.assertEqual(compute.sql(
            "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('archive_mode', "
            "'synchronous_standby_names', 'max_logical_replication_workers', 'ssl', 'work_mem')"), "off 0 on  9216")

    def test_the_log_shows_no_rows(self):
        password = harness.random_secret()
        compute = self.compute(passwords={"alice": password, "postgres": password})
        for sql in (f"SELECT '{ROW}'::int", f"INSERT INTO ledger VALUES (1) /* {ROW} */",
                    f"DO $$ BEGIN RAISE WARNING '{ROW}'; RAISE EXCEPTION '{ROW}'; END $$",
                    f"SELECT no_such_function('{ROW}')"):
            self.assertNotEqual(compute.client(sql, "postgres", password).returncode, 0)
        compute.client("SELECT 1", "nobody_here", password)
        self.assertNotIn(ROW, compute.log())
        self.assertIn("password authentication failed", compute.log())

    def test_keeps_its_wal(self):
        compute = self.compute()
        first = min(p.name for p in (compute.data / "pg_wal").glob("00000002" + "?" * 16))
        for _ in range(5):
            compute.sql("INSERT INTO spaced VALUES (1); SELECT pg_switch_wal()")
            compute.sql("CHECKPOINT")
        segments = sorted(p.name for p in (compute.data / "pg_wal").glob("00000002" + "?" * 16))
        self.assertEqual(segments[0], first)
        self.assertGreaterEqual(len(segments), 6)

    def test_refuses_a_tablespace_that_is_the_sources(self):
        compute = self.compute(start=False)
        link = next((compute.data / "pg_tblspc").iterdir())
        link.unlink()
        link.symlink_to(self.history.dir / "space")
        failed = compute.tool("first-start", check=False)
        self.assertIn("leads out of the branch's folder", failed.stderr)
        self.assertIn("[invalid]", failed.stderr)
        self.assertEqual(compute.state(), "stopped")

    # crashes

    def test_a_first_start_that_is_cut_short_anywhere_is_gone_on_with(self):
        for phase in ("recovering", "quarantining", "opening", "open"):
            for action in ("kill", "crash"):
                if (phase, action) == ("recovering", "crash"):
                    continue  # there is no server yet
                with self.subTest(phase=phase, action=action):
                    password = harness.random_secret()
                    compute = self.compute(start=False, passwords={"alice": password})
                    compute.at = {phase: action}
                    compute.tool("first-start", check=False)
                    if action == "crash":
                        self.assertEqual(compute.state(), "stopped")
                    compute.first_start()
                    self.assertEqual(compute.state(), "running")
                    self.assert_recovered(compute)
                    shown = compute.client("SELECT 1", "alice", password)
                    self.assertEqual(shown.stdout.strip(), "1", shown.stderr)
                    self.assertEqual(compute.sql("SELECT count(*) FROM pg_subscription WHERE subenabled"), "0")

    def test_an_engine_that_is_killed_during_recovery_finds_the_server_again(self):
        slow = self.history.dir / "slow-restore"
        slow.write_text(f'#!/bin/sh\nsleep 0.3\nexec cp "{self.history.archive}/$1" "$2"\n')
        slow.chmod(0o755)
        compute = self.compute(start=False, restore_command=f'"{slow}" "%f" "%p"')
        for _ in range(2):
            engine = compute.start_in_background("first-start")
            harness.wait_until(lambda: (compute.data / "postmaster.pid").exists(), what="the server")
            time.sleep(0.1)
            self.assertEqual(compute.state(), "starting")
            engine.kill()
            engine.wait()
            server = compute.postmaster()
        compute.first_start()
        self.assertEqual(compute.postmaster(), server)
        self.assert_recovered(compute)

    def held_compute(self) -> tuple[Compute, Path]:
        """A compute whose recovery waits before it fetches a file for which there is one of its name in a folder."""
        held = own(harness.temp_dir("hf-held-"))
        fetch = self.history.dir / "held-restore"
        fetch.write_text(f'#!/bin/sh\nwhile [ -e "{held}/$1" ]; do : >"{held}/waits"; sleep 0.05; done\n'
                         f'exec cp "{self.history.archive}/$1" "$2"\n')
        fetch.chmod(0o755)
        script = held / "fetch"
        fetch.rename(script)
        return self.compute(start=False, restore_command=f'"{script}" "%f" "%p"'), held

    def start_until(self, compute: Compute, held: Path, wanted: str) -> subprocess.Popen:
        """The engine's first start, whose server waits for the file."""
        (held / wanted).touch()
        engine = compute.start_in_background("first-start")
        harness.wait_until((held / "waits").exists, what=f"the server to ask for {wanted}")
        self.assertEqual(compute.state(), "starting")
        return engine

    def test_a_server_that_is_killed_during_recovery_recovers_anew(self):
        compute, held = self.held_compute()
        # Before its first record, with the last segment to come, and when it has reached its point.
        for wanted in (self.history.segments[0], self.history.segments[-1], "00000002.history"):
            engine = self.start_until(compute, held, wanted)
            compute.crash()
            engine.wait()
            (held / wanted).unlink()
            self.assertEqual(compute.state(), "stopped")
            (held / "waits").unlink()
        compute.first_start()
        self.assert_recovered(compute, timelines=("2", "3"))

    def test_a_server_that_is_killed_while_it_is_promoted_stops_at_its_point(self):
        """recovery.signal is gone before the promotion counts: what then starts must not replay all it finds."""
        hits = 0
        for _ in range(30):
            compute, held = self.held_compute()
            engine = self.start_until(compute, held, "00000002.history")
            postmaster = compute.postmaster()
            server = [*descendants(postmaster), postmaster]  # looked up now: there will be no time
            (held / "00000002.history").unlink()
            signal_file = compute.data / "recovery.signal"
            while signal_file.exists() and engine.poll() is None:
                pass
            for process in server:
                send_signal(process, signal.SIGKILL)
            engine.wait()
            control = as_servers_user([self.history.server.bindir / "pg_controldata", compute.data]).stdout
            hits += re.search(r"Latest checkpoint's TimeLineID: +1\n", control) is not None
            compute.first_start()
            self.assert_recovered(compute, timelines=("2", "3"))
            compute.remove()
            if hits == 3:
                break
        self.assertGreater(hits, 0, "no kill came in time")

    def test_later_starts_after_a_stop_a_crash_and_a_power_cut(self):
        compute = self.compute()
        compute.sql("INSERT INTO ledger VALUES (1000)")
        compute.tool("stop")
        compute.tool("stop")
        self.assertEqual(compute.state(), "stopped")
        compute.tool("start")
        server = compute.postmaster()
        compute.tool("start")
        self.assertEqual(compute.postmaster(), server)
        self.assertEqual(compute.ledger()[-1], 1000)

        compute.sql("INSERT INTO ledger VALUES (1001)")
        compute.crash()
        harness.wait_until(lambda: compute.state() == "stopped", what="the end of the server")
        compute.tool("start")
        self.assertEqual(compute.ledger()[-1], 1001)

        # After a power cut, the process id in postmaster.pid can be anybody's.
        compute.tool("stop")
        stranger = subprocess.Popen(["sleep", "60"], **_unprivileged())
        try:
            stale = compute.data / "postmaster.pid"
            stale.write_text(f"{stranger.pid}\n{compute.data}\n1\n{compute.port}\n\n\n\nready   \n")
            stale.chmod(0o600)
            owner = compute.data.stat()
            os.chown(stale, owner.st_uid, owner.st_gid)
            self.assertEqual(compute.state(), "stopped")
            compute.tool("stop")
            compute.tool("start")
            self.assertEqual(compute.ledger()[-1], 1001)
            compute.tool("remove")
            self.assertIsNone(stranger.poll())
        finally:
            stranger.kill()
            stranger.wait()
        self.assertEqual(compute.state(), "absent")

    def test_children_of_a_killed_postmaster_do_not_stop_the_next_start(self):
        password = harness.random_secret()
        compute = self.compute(passwords={"postgres": password})
        # Stopped children cannot notice that their postmaster is gone.
        children = [pid for pid, (parent, _) in harness.processes().items() if parent == compute.postmaster()]
        for pid in children:
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                pass  # it had just done its work
        compute.crash()
        harness.wait_until(lambda: compute.state() == "stopped", what="the end of the postmaster")
        compute.tool("start")
        self.assert_recovered(compute)

    def test_is_nobodys_child_and_outlives_the_engine(self):
        compute = self.compute()
        parent, _ = harness.processes()[compute.postmaster()]
        self.assertNotEqual(parent, os.getpid())
        self.assertEqual(os.getsid(compute.postmaster()) == os.getsid(0), False)

    def test_remove_leaves_nothing(self):
        compute = self.compute()
        server = compute.postmaster()
        compute.tool("remove")
        self.assertNotIn(server, harness.processes())
        self.assertFalse(compute.folder.exists())
        self.assertFalse(compute.folder.with_name(compute.folder.name + ".removed").exists())
        compute.tool("remove")

    # errors

    def test_says_clearly_why_it_does_not_start(self):
        compute = self.compute(start=False)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", compute.port))
            taken.listen()
            failed = compute.tool("first-start", check=False)
        self.assertIn(f"port {compute.port} of 127.0.0.1 is taken by another program", failed.stderr)
        self.assertIn("[unavailable]", failed.stderr)

        compute.settings = {"work_mem": "much"}
        failed = compute.tool("first-start", check=False)
        self.assertIn("refuses its settings", failed.stderr)
        self.assertIn("[invalid]", failed.stderr)

        compute.settings = {}
        failed = compute.tool("start", check=False)
        self.assertIn("was not completed", failed.stderr)
        compute.first_start()
        self.assert_recovered(compute)

        beyond = self.compute(start=False)
        beyond.brought["recovery_target_lsn"] = "7/0"
        failed = beyond.tool("first-start", check=False)
        self.assertIn("recovery ended before configured recovery target was reached", failed.stderr)
        self.assertIn("[unavailable]", failed.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_refuses_root(self):
        compute = self.compute(start=False)
        done = subprocess.run([str(word) for word in compute.command("first-start")], capture_output=True,
                              text=True)
        self.assertIn("refuses to run as root", done.stderr)

    # roles and databases

    def test_roles(self):
        compute = self.compute()
        password, second = harness.random_secret(), harness.random_secret()
        names = [line.split("\t")[0] for line in compute.tool("roles").splitlines()]
        self.assertEqual(names, ["Bob \"the\" 'builder'", "alice", "postgres", "sleeper"])
        odd = "wil;d \"role\" 'n"
        compute.tool("create-role", odd, stdin=password)
        self.assertIn(f"{odd}\ttrue\tfalse\tfalse", compute.tool("roles").splitlines())
        again = compute.tool("create-role", odd, stdin=password, check=False)
        self.assertIn("already exists", again.stderr)
        self.assertIn("[exists]", again.stderr)
        compute.tool("set-password", "alice", stdin=password)
        self.assertEqual(compute.client("SELECT 1", "alice", password).stdout.strip(), "1")
        compute.tool("set-password", "alice", stdin=second)
        self.assertNotEqual(compute.client("SELECT 1", "alice", password).returncode, 0)
        self.assertEqual(compute.client("SELECT 1", "alice", second).stdout.strip(), "1")
        for words in (("set-password", "ghost"), ("drop-role", "ghost")):
            missing = compute.tool(*words, stdin=password, check=False)
            self.assertIn("[not_found]", missing.stderr)
            self.assertIn('role "ghost" does not exist', missing.stderr)
        for name in ("pg_mine", "x" * 64, ""):
            self.assertIn("[invalid]", compute.tool("create-role", name, stdin=password, check=False).stderr)
        self.assertIn("[unsupported]", compute.tool("drop-role", "postgres", check=False).stderr)
        # One that owns things: they stay.
        compute.tool("create-database", "alices", "alice")
        compute.sql("GRANT ALL ON SCHEMA public TO alice; SET ROLE alice; CREATE TABLE mine AS SELECT 5 AS five",
                    db="alices")
        compute.sql("GRANT SELECT ON ledger TO alice")
        compute.tool("drop-role", "alice")
        self.assertEqual(compute.sql("SELECT five FROM mine", db="alices"), "5")
        self.assertNotIn("alice", [line.split("\t")[0] for line in compute.tool("roles").splitlines()])
        harness.assert_no_secrets(compute.log(), "the server's log")

    def test_databases(self):
        compute = self.compute()
        odd = "wil;d \"base\" 'n"
        compute.tool("create-database", odd, "alice")
        found = {line.split("\t")[1]: line.split("\t") for line in compute.tool("databases").splitlines()}
        self.assertEqual(set(found), {odd, "postgres", "publisher", "subscriber"})
        self.assertEqual(found[odd][2], "alice")
        self.assertEqual(found[odd][0], compute.sql("SELECT oid FROM pg_database WHERE datname ~ 'wil'"))
        again = compute.tool("create-database", odd, "alice", check=False)
        self.assertIn("already exists", again.stderr)
        self.assertIn("[exists]", again.stderr)
        for words in (("create-database", "x", "ghost"), ("drop-database", "ghost"),
                      ("update-database", "ghost", "other", ""), ("update-database", odd, "", "ghost")):
            self.assertIn("[not_found]", compute.tool(*words, check=False).stderr, words)
        self.assertIn("[exists]", compute.tool("update-database", odd, "postgres", "", check=False).stderr)
        compute.tool("update-database", odd, "renamed", "postgres")
        found = {line.split("\t")[1]: line.split("\t")[2] for line in compute.tool("databases").splitlines()}
        self.assertEqual(found["renamed"], "postgres")
        self.assertNotIn(odd, found)
        compute.tool("drop-database", "renamed")
        # Even the one that the engine itself uses.
        held = compute.tool("update-database", "postgres", "was_postgres", "", check=False)
        self.assertIn("prepared transaction", held.stderr)
        compute.sql("ROLLBACK PREPARED 'left behind'")
        compute.tool("update-database", "postgres", "was_postgres", "")
        self.assertIn("was_postgres", compute.tool("databases"))
        compute.tool("stop")
        compute.tool("start")
        self.assertEqual(compute.tool("timeline"), "2")
        compute.tool("update-database", "was_postgres", "postgres", "")

    def test_activity(self):
        password = harness.random_secret()
        compute = self.compute(passwords={"postgres": password})
        clients, last, sessions, size = compute.tool("activity").split("\t")
        self.assertEqual((clients, last), ("0", "-"))
        self.assertGreater(int(size), 10 << 20)
        compute.client("SELECT 1", "postgres", password)
        harness.wait_until(lambda: int(compute.tool("activity").split("\t")[2]) > int(sessions),
                           what="the session that came and went")
        sessions = compute.tool("activity").split("\t")[2]
        self.assertEqual(compute.tool("activity").split("\t")[2], sessions)  # looking is no session
        busy = threading.Thread(target=lambda: compute.client("SELECT pg_sleep(5)", "postgres", password))
        busy.start()
        try:
            harness.wait_until(lambda: compute.tool("activity").split("\t")[0] == "1", what="the client")
            first = compute.tool("activity").split("\t")[1]
            self.assertGreater(compute.tool("activity").split("\t")[1], first)
        finally:
            busy.join()

    def test_five_at_once(self):
        computes = [self.compute(n, start=False) for n in (5, 10, 15, 20, 25)]
        said = [""] * len(computes)

        def start(at):
            said[at] = computes[at].first_start()

        threads = [threading.Thread(target=start, args=(at,)) for at in range(len(computes))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for compute, words in zip(computes, said):
            self.assertIn("first start in", words)
            self.assert_recovered(compute)
        print("".join(said), file=sys.stderr)


@unittest.skipUnless(os.environ.get("HOLDFAST_BIN"), "needs HOLDFAST_BIN")
class OtherMajors(unittest.TestCase):
    def check(self, major: int) -> None:
        harness.skip_unless_server(major)
        if not tool_path().exists():
            raise unittest.SkipTest("compute_tool is not built")

        history = History(major, prepare=lambda history: history.server.create_role("alice"))
        password = harness.random_secret()
        compute = Compute(history, 12, passwords={"alice": password})
        self.addCleanup(compute.remove)
        print(compute.first_start(), file=sys.stderr)
        self.assertEqual(compute.ledger(), list(range(1, 13)))
        self.assertEqual(compute.client("SELECT 1", "alice", password).stdout.strip(), "1")
        compute.tool("create-database", "fresh", "alice")
        compute.tool("stop")
        compute.tool("start")
        self.assertIn("fresh", compute.tool("databases"))
        self.assertEqual(compute.tool("timeline"), "2")

    def test_17(self):
        self.check(17)

    def test_18(self):
        self.check(18)


@unittest.skipUnless(os.environ.get("HOLDFAST_BIN"), "needs HOLDFAST_BIN")
class OtherSuperuser(unittest.TestCase):
    def test_a_cluster_whose_superuser_is_not_called_postgres(self):
        if not tool_path().exists():
            raise unittest.SkipTest("compute_tool is not built")
        history = History()
        server = history.server
        server.create_role("helper", "SUPERUSER LOGIN")
        server.psql('ALTER ROLE postgres RENAME TO "the ""bœss"', user="helper")
        history.server.psql("INSERT INTO ledger VALUES (500); SELECT pg_switch_wal()", user="helper")
        compute = Compute(history, COMMITS)
        self.addCleanup(compute.remove)
        # On, past the last of the ledger's commits, to where the rename is in.
        del compute.brought["recovery_target_lsn"]
        self.assertIn("single-user mode", compute.first_start())
        self.assertEqual(compute.tool("conninfo").split("\t")[1], 'the "bœss')
        self.assertIn("helper", compute.tool("roles"))


if __name__ == "__main__":
    harness.main()
