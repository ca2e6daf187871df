"""The branch engine's plain storage against real servers: pg_receivewal kept running, snapshots, and points that
hold exactly the right commits, by LSN and by time; and everything that goes wrong on the way.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness
from gathering_proxy import GatheringProxy
from harness_base import wait_until
from storage_session import (Ledger, Storage, StorageError, commits, ledger_xids, lsn, lsn_text, milliseconds,
                             own_folder, point_words, rfc3339, start_brought, tool_path)

RANDOM = random.Random(int(os.environ.get("HOLDFAST_TEST_SEED", "1")))
SETTINGS = {"wal_level": "replica", "max_wal_size": "64MB", "min_wal_size": "32MB"}


def xids_by_lsn(found, position: int) -> set[int]:
    """Of the commits that end at or before `position`; a record ends at a multiple of 8."""
    return {c.xid for c in found if (c.end_min + 7) // 8 * 8 <= position}


def xids_by_time(found, ms: int) -> set[int]:
    """PostgreSQL's rule: all before the first commit, in the order of the WAL, that is later."""
    held = set()
    for commit in found:
        if commit.time_us > ms * 1000:
            break
        held.add(commit.xid)
    return held


class StorageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not tool_path().exists():
            raise unittest.SkipTest("storage_tool is not built")

    def server(self, major: int = 15, **settings):
        bindir = harness.skip_unless_server(major)
        server = harness.Server(major, bindir, settings={**SETTINGS, **settings})
        self.addCleanup(server.close)
        return server

    def storage(self, server, **options):
        storage = Storage(server, **options)
        self.addCleanup(storage.close)
        return storage

    def brought(self, source, storage, point, extra=None):
        """A server at `point`."""
        folder = own_folder("hf-compute-") / "data"
        answer = storage.bring(point, folder)
        server = start_brought(source, folder, answer["settings"], extra)
        self.addCleanup(server.close)
        return server

    def assert_holds(self, source, storage, point, expected: set[int], what: str):
        server = self.brought(source, storage, point)
        held = ledger_xids(server)
        server.close()
        self.assertEqual(sorted(expected), sorted(held), what)

    def flushed(self, server) -> str:
        return server.psql("SELECT pg_current_wal_flush_lsn()")

    def refused(self, code: str, call, *words) -> StorageError:
        with self.assertRaises(StorageError) as caught:
            call(*words)
        self.assertEqual(code, caught.exception.code, str(caught.exception))
        return caught.exception


class Points(StorageTest):
    def points_of(self, major: int, count: int):
        source = self.server(major)
        storage = self.storage(source)
        with Ledger(source) as ledger:
            ledger.run_for(1)
            first = storage.ask("snapshot")
            ledger.run_for(4)
            storage.ask("snapshot")
            ledger.run_for(3)
        ledger_all = ledger_xids(source)
        head = storage.ask("head", "main")
        source.psql("SELECT pg_switch_wal(); CHECKPOINT")
        storage.ask("wait-received", self.flushed(source), 30)
        found = [c for c in commits(source.bindir, [storage.folder / "wal"], first["start"], head["end"])
                 if c.xid in ledger_all]
        before = ledger_all - {c.xid for c in found}  # committed before the first snapshot began
        self.assertGreater(len(found), 300)
        inside = [c for c in found if c.start > lsn(first["end"])]
        first_ms = milliseconds(first["ended_at"])
        last_ms = inside[-1].time_us // 1000

        with self.subTest("head"):
            self.assert_holds(source, storage, head, ledger_all, "head")
        for i in range(count):
            commit = RANDOM.choice(inside[1:-1])
            position = commit.start + RANDOM.choice([0, 0, 1, 7, commit.length - 1, commit.length + 7])
            expected = before | xids_by_lsn(found, position)
            with self.subTest("lsn", i=i, position=lsn_text(position)):
                point = storage.ask("at-lsn", "main", lsn_text(position))
                self.assertLessEqual(lsn(point["end"]), position)
                self.assert_holds(source, storage, point, expected, f"LSN {lsn_text(position)}")
            moment = RANDOM.randint(first_ms, last_ms)
            with self.subTest("time", i=i, moment=rfc3339(moment)):
                point = storage.ask("at-time", "main", rfc3339(moment))
                self.assert_holds(source, storage, point, before | xids_by_time(found, moment),
                                  f"time {rfc3339(moment)}")
        return source, storage, first

    def test_random_points(self):
        source, storage, first = self.points_of(15, 5)
        with self.subTest("refused points name the windows"):
            window = storage.windows()[0]
            for words in (("at-lsn", "main", lsn_text(lsn(first["end"]) - 8)),
                          ("at-lsn", "main", lsn_text(lsn(window["to"]) + (1 << 24))),
                          ("at-time", "main", "2001-01-01T00:00:00.000Z"),
                          ("at-time", "main", "2999-01-01T00:00:00.000Z")):
                error = self.refused("invalid", storage.ask, *words)
                self.assertIn(first["end"], str(error))
            point = storage.ask("at-lsn", "main", first["end"])
            self.assertEqual(first["end"], point["end"])
        with self.subTest("an instant just gone by is waited for"):
            now = int(source.psql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
            point = storage.ask("at-time", "main", rfc3339(now))
            self.assertGreaterEqual(lsn(point["end"]), lsn(first["end"]))

    def test_versions(self):
        for major in (17, 18):
            with self.subTest(major=major):
                try:
                    self.points_of(major, 1)
                except unittest.SkipTest as skipped:
                    print(f"PostgreSQL {major}: {skipped}", file=sys.stderr)

    def test_modes_and_secrets(self):
        source = self.server()
        watch = harness.SecretWatch()
        with watch:
            storage = self.storage(source)
            storage.ask("snapshot")
            point = storage.ask("head", "main")
            folder = own_folder() / "data"
            storage.bring(point, folder)
        self.assertTrue(storage.receiver_pids())
        for parent, _, files in os.walk(folder):
            self.assertEqual(0o700, os.stat(parent).st_mode & 0o777, parent)
            for name in files:
                self.assertEqual(0, os.stat(os.path.join(parent, name)).st_mode & 0o077, name)
        self.refused("exists", storage.bring, point, folder)
        for path in storage.folder.rglob("*"):
            if path.is_file() and path.stat().st_size < 1 << 20 and "data" not in path.parts:
                harness.assert_no_secrets(path.read_bytes(), str(path))


class Lines(StorageTest):
    def test_branches_of_branches(self):
        source = self.server()
        storage = self.storage(source)
        source.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        storage.ask("snapshot")
        source.psql("INSERT INTO t VALUES (2)")
        fork = storage.ask("head", "main")
        source.psql("INSERT INTO t VALUES (3)")
        branch = self.brought(source, storage, fork)
        self.assertEqual("1\n2", branch.psql("SELECT n FROM t ORDER BY 1"))
        storage.ask("add-line", "br-one", branch.data / "pg_wal", *point_words(fork))
        storage.ask("add-line", "br-one", branch.data / "pg_wal", *point_words(fork))
        branch.psql("INSERT INTO t VALUES (10)")
        at_ten = storage.ask("at-lsn", "br-one", self.flushed(branch))
        moment = int(branch.psql("SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
        wait_until(lambda: int(branch.psql(
            "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")) > moment)
        branch.psql("INSERT INTO t VALUES (11)")
        by_time = storage.ask("at-time", "br-one", rfc3339(moment))
        self.assertEqual((at_ten["line"], at_ten["timeline"]), ("br-one", 2))
        child = self.brought(source, storage, by_time)
        self.assertEqual("1\n2\n10", child.psql("SELECT n FROM t ORDER BY 1"))
        storage.ask("add-line", "br-two", child.data / "pg_wal", *point_words(by_time))
        child.psql("INSERT INTO t VALUES (20); CHECKPOINT")
        child.stop()
        grandchild = self.brought(source, storage, storage.ask("head", "br-two"))
        self.assertEqual("1\n2\n10\n20", grandchild.psql("SELECT n FROM t ORDER BY 1"))
        # A sibling of the same timeline number is not mixed up with it.
        sibling_point = storage.ask("head", "main")
        sibling = self.brought(source, storage, sibling_point)
        self.assertEqual("1\n2\n3", sibling.psql("SELECT n FROM t ORDER BY 1"))
        self.assertEqual(branch.psql("SELECT timeline_id FROM pg_control_checkpoint()"),
                         sibling.psql("SELECT timeline_id FROM pg_control_checkpoint()"))
        # What lies before a branch's beginning is its parent's.
        self.assertEqual(fork["end"], storage.ask("at-lsn", "br-one", fork["end"])["end"])
        early = storage.ask("at-lsn", "br-two", fork["end"])
        self.assertEqual(("main", fork["end"]), (early["line"], early["end"]))
        self.refused("not_found", storage.ask, "head", "br-none")
        storage.ask("remove-line", "br-two")
        self.refused("not_found", storage.ask, "head", "br-two")

    def test_in_place_restore_is_adopted(self):
        source = self.server()
        source.stop()
        home = own_folder("hf-managed-")
        source.data = source.data.rename(home / "data")
        source.start()
        storage = self.storage(source)
        source.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        storage.ask("snapshot")
        fork = storage.ask("head", "main")
        source.psql("INSERT INTO t VALUES (2)")
        for round_number in (1, 2):
            source.stop()
            old_head = storage.ask("head", "main")
            storage.ask("pause")
            new_folder = source.data.parent / "data.new"
            answer = storage.bring(fork, new_folder)
            restored = start_brought(source, new_folder, answer["settings"])
            restored.psql("INSERT INTO t VALUES (100)")
            restored.psql("SELECT pg_switch_wal(); INSERT INTO t VALUES (101)")
            restored.stop()
            storage.ask("adopt", new_folder, *point_words(fork))
            storage.ask("adopt", new_folder, *point_words(fork))  # told twice: harmless
            kept = source.data.parent / f"kept{round_number}"
            source.data.rename(kept)
            new_folder.rename(source.data)
            source.start()
            storage.ask("resume")
            storage.wait_healthy()
            source.psql(f"INSERT INTO t VALUES ({200 + round_number})")
            head = storage.ask("head", "main")
            self.assertEqual(1 + round_number, head["timeline"])
            server = self.brought(source, storage, head)
            self.assertEqual(f"1\n100\n101\n{200 + round_number}", server.psql("SELECT n FROM t ORDER BY 1"))
            server.close()
            # The state before it is a branch that goes on with the old timeline.
            line = f"br-kept-{round_number}"
            storage.ask("add-line", line, kept / "pg_wal", *point_words(old_head))
            server = self.brought(source, storage, storage.ask("head", line))
            self.assertIn("2" if round_number == 1 else "201", server.psql("SELECT n FROM t").split())
            server.close()
            if round_number == 1:
                source.psql("CHECKPOINT")
        self.assertEqual(0, storage.health()["gaps"])
        self.assertEqual(1, len(storage.windows()))


class Trouble(StorageTest):
    def test_receiver_and_source_killed(self):
        source = self.server()
        storage = self.storage(source)
        storage.ask("snapshot")
        with Ledger(source) as ledger:
            for _ in range(3):
                ledger.run_for(0.5)
                pids = storage.receiver_pids()
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                wait_until(lambda: storage.receiver_pids() and storage.receiver_pids() != pids, 60, "a new one")
        source.kill9()
        wait_until(lambda: "cannot" in storage.health()["trouble"] or storage.health()["trouble"], 30, "trouble")
        before = storage.ask("head", "main")
        source.start()
        storage.wait_healthy()
        source.psql("INSERT INTO ledger (body) VALUES ('after')")
        head = storage.ask("head", "main")
        self.assertGreater(lsn(head["end"]), lsn(before["end"]))
        self.assert_holds(source, storage, head, ledger_xids(source), "after all that")
        health = storage.health()
        self.assertEqual(0, health["gaps"])
        self.assertGreaterEqual(health["restarts"], 3)
        self.assertEqual(1, len(storage.windows()))

    def test_storage_killed(self):
        source = self.server()
        storage = self.storage(source)
        storage.ask("snapshot")
        with Ledger(source) as ledger:
            for i in range(4):
                ledger.run_for(0.3)
                if i == 2:  # in the midst of a snapshot
                    storage.process.stdin.write("snapshot\n")
                    storage.process.stdin.flush()
                    wait_until(lambda: any(p.name.endswith(".partial")
                                           for p in (storage.folder / "snapshots").iterdir()), 30, "a snapshot")
                pids = storage.receiver_pids()
                storage.kill()
                wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 30, "receivers to end")
                storage.start()
                storage.wait_healthy()
        self.assertFalse([p for p in (storage.folder / "snapshots").iterdir() if p.name.endswith(".partial")])
        self.assert_holds(source, storage, storage.ask("head", "main"), ledger_xids(source), "head")
        self.assertEqual(0, storage.health()["gaps"])
        second = Storage(source, folder=storage.folder)
        self.addCleanup(second.close)
        self.refused("busy", second.ask, "health")

    def test_standby_promoted(self):
        source = self.server()
        standby_data = source.dir / "standby"
        storage = self.storage(source)
        source.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        storage.ask("snapshot")
        source.tool("pg_basebackup", "-D", standby_data, "-d", source.url(password=None), "-R", "-X", "stream",
                    "-c", "fast")
        standby = harness.Server(15, source.bindir, data=standby_data, password=source.passwords["postgres"],
                                 start=False, settings={"port": 1})
        self.addCleanup(standby.close)
        # Its own way to the primary, with the password that its conninfo names a file for.
        with open(standby.data / "postgresql.auto.conf", "a") as conf:
            conf.write(f"primary_conninfo = '{source.url()}'\n")
        standby.start()
        source.psql("INSERT INTO t VALUES (2)")
        at = self.flushed(source)
        wait_until(lambda: lsn(standby.psql("SELECT pg_last_wal_replay_lsn()")) >= lsn(at), 30, "the standby")
        with open(standby.data / "postgresql.auto.conf", "a") as conf:
            conf.write("primary_conninfo = ''\n")
        os.kill(standby.pid, signal.SIGHUP)
        wait_until(lambda: standby.psql("SELECT count(*) FROM pg_stat_wal_receiver") == "0", 60, "no stream")
        # What the old primary writes now is lost in the failover, though it was received: over a segment's border.
        source.psql("INSERT INTO t VALUES (3); SELECT pg_switch_wal(); INSERT INTO t VALUES (4)")
        dead = storage.ask("head", "main")
        storage.stop()
        source.stop("immediate")
        standby.psql("SELECT pg_promote()")
        wait_until(lambda: standby.psql("SELECT pg_is_in_recovery()") == "f", 30, "the promotion")
        standby.psql("INSERT INTO t VALUES (50)")
        storage.url = standby.url()
        storage.start()
        storage.wait_healthy()
        head = storage.ask("head", "main")
        self.assertEqual(2, head["timeline"])
        server = self.brought(standby, storage, head)
        self.assertEqual("1\n2\n50", server.psql("SELECT n FROM t ORDER BY 1"))
        server.close()
        self.assertEqual(0, storage.health()["gaps"], storage.log_text())
        self.assertEqual(1, len(storage.windows()))
        # What the old primary had written is still there for a branch that was made of it.
        server = self.brought(source, storage, dead)
        self.assertEqual("1\n2\n3\n4", server.psql("SELECT n FROM t ORDER BY 1"))

    def lose_slot(self):
        """A source whose slot was dropped while nobody received, and has thrown away what was not; and the
        storage, stopped; the slot's name and the last point that was received."""
        source = self.server(max_wal_size="32MB", min_wal_size="32MB", checkpoint_timeout="1h")
        storage = self.storage(source)
        source.psql("CREATE TABLE t (n int, body text); INSERT INTO t VALUES (1)")
        storage.ask("snapshot")
        source.psql("INSERT INTO t VALUES (2)")
        before = storage.ask("head", "main")
        slot = storage.health()["slot"]
        storage.stop()
        wait_until(lambda: source.psql(
            f"SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'") == "f", 30, "the slot's rest")
        source.psql(f"SELECT pg_drop_replication_slot('{slot}')")
        for _ in range(6):
            source.psql("INSERT INTO t SELECT 3, repeat('x', 1000) FROM generate_series(1, 2000);"
                        "SELECT pg_switch_wal(); CHECKPOINT")
        return source, storage, slot, before

    def test_slot_that_asked_in_vain(self):
        """pg_receivewal sets its slot back to what it asks for, even where the source says that it is gone."""
        source, storage, slot, before = self.lose_slot()
        source.psql(f"SELECT pg_create_physical_replication_slot('{slot}', true)")
        folder = next(storage.folder.rglob("*.partial")).parent
        copy = shutil.copytree(folder, own_folder() / "wal")

        def is_set_back() -> bool:
            subprocess.run([source.bindir / "pg_receivewal", "-d", source.url(), "-D", copy, "--slot", slot,
                            "--no-loop", "--status-interval=1"], capture_output=True, check=False)
            return source.psql(f"SELECT restart_lsn <= '{before['end']}' FROM pg_replication_slots"
                               f" WHERE slot_name = '{slot}'") == "t"

        wait_until(is_set_back, 60, "the slot to be set back")
        storage.start()
        storage.wait_until(lambda: len(storage.windows()) == 2, 90, "a new snapshot by itself")
        self.assertEqual(1, storage.health()["gaps"])

    def test_lost_wal_where_the_answers_come_together(self):
        """That WAL is gone comes in one piece with the beginning of its stream, as on a busy machine."""
        source, storage, _, _ = self.lose_slot()
        proxy = GatheringProxy(source.port)
        self.addCleanup(proxy.close)
        storage.url = source.url().replace(f":{source.port}/", f":{proxy.port}/")
        self.assertIn(str(proxy.port), storage.url)
        storage.start()
        storage.wait_until(lambda: storage.health()["gaps"] == 1, 60, "the gap to be noticed")

    def test_slot_dropped(self):
        source, storage, _, before = self.lose_slot()
        moment = int(source.psql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
        storage.start()
        storage.wait_until(lambda: storage.health()["gaps"] == 1, 60, "the gap to be noticed")
        storage.wait_until(lambda: len(storage.windows()) == 2, 90, "a new snapshot by itself")
        old, new = storage.windows()
        self.assertLessEqual(lsn(old["to"]), lsn(new["from"]))
        self.assertEqual(before["end"], old["to"])
        self.refused("invalid", storage.ask, "at-time", "main", rfc3339(moment))
        self.refused("invalid", storage.ask, "at-lsn", "main", lsn_text((lsn(old["to"]) + lsn(new["from"])) // 2))
        source.psql("INSERT INTO t VALUES (4)")
        server = self.brought(source, storage, storage.ask("head", "main"))
        self.assertEqual("1\n2\n3\n4", server.psql("SELECT DISTINCT n FROM t ORDER BY 1"))
        server.close()
        server = self.brought(source, storage, storage.ask("at-lsn", "main", before["end"]))
        self.assertEqual("1\n2", server.psql("SELECT n FROM t ORDER BY 1"))

    def test_slot_holds_too_much(self):
        source = self.server()
        storage = self.storage(source, held_max=40 << 20)
        source.psql("CREATE TABLE t (n int, body text)")
        storage.ask("snapshot")
        pid, = storage.receiver_pids()
        os.kill(pid, signal.SIGSTOP)
        for _ in range(4):
            source.psql("INSERT INTO t SELECT 3, repeat('x', 1000) FROM generate_series(1, 2000);"
                        "SELECT pg_switch_wal()")
        wait_until(lambda: storage.health()["gaps"] == 1, 60, "the slot to be given up")
        storage.wait_until(lambda: len(storage.windows()) == 2, 90, "a new snapshot by itself")
        storage.wait_healthy()
        self.assertLess(storage.health()["held_bytes"], 40 << 20)
        server = self.brought(source, storage, storage.ask("head", "main"))
        self.assertEqual("8000", server.psql("SELECT count(*) FROM t"))

    def test_another_cluster(self):
        source, other = self.server(), self.server()
        storage = self.storage(source)
        storage.ask("snapshot")
        head = storage.ask("head", "main")
        storage.stop()
        storage.url = other.url()
        storage.start()
        wait_until(lambda: "another cluster" in storage.health()["trouble"], 30, "it to be refused")
        self.assertEqual([], storage.receiver_pids())
        self.assertEqual("0", other.psql("SELECT count(*) FROM pg_replication_slots"))
        self.assertEqual(head["end"], storage.ask("head", "main")["end"])
        self.refused("invalid", storage.ask, "snapshot")

    def test_tablespaces(self):
        source = self.server()
        storage = self.storage(source)
        place, late = own_folder("hf-space-"), own_folder("hf-space-")
        source.psql(f"CREATE TABLESPACE roomy LOCATION '{place}'")
        source.psql("CREATE TABLE t (n int) TABLESPACE roomy; INSERT INTO t VALUES (1)")
        storage.ask("snapshot")
        source.psql("INSERT INTO t VALUES (2)")
        point = storage.ask("head", "main")
        first, second = self.brought(source, storage, point), self.brought(source, storage, point)
        first.psql("INSERT INTO t VALUES (3)")
        self.assertEqual("1\n2", second.psql("SELECT n FROM t ORDER BY 1"))
        self.assertEqual("1\n2", source.psql("SELECT n FROM t ORDER BY 1"))
        self.assertTrue((first.data.parent / "tablespaces").is_dir())
        location = first.psql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'roomy'")
        self.assertTrue(location.startswith(str(first.data.parent)), location)
        # One that is made later would be replayed into the source's own folder: refused until the next snapshot.
        source.psql(f"CREATE TABLESPACE later LOCATION '{late}'")
        source.psql("CREATE TABLE u (n int) TABLESPACE later; INSERT INTO u VALUES (1)")
        behind = self.flushed(source)
        storage.ask("wait-received", behind, 30)
        self.refused("invalid", storage.ask, "at-lsn", "main", behind)
        storage.wait_until(lambda: len(storage.windows()) == 2, 90, "a new snapshot by itself")
        server = self.brought(source, storage, storage.ask("head", "main"))
        self.assertEqual("1", server.psql("SELECT n FROM u"))

    def test_full_disk(self):
        source = self.server()
        folder = own_folder()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=0700", "tmpfs", folder],
                                 capture_output=True) if os.geteuid() == 0 else None
        if mounted is None or mounted.returncode != 0:
            self.skipTest("no small file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], capture_output=True)
        shutil.chown(folder, *[os.stat(source.data).st_uid, os.stat(source.data).st_gid])
        storage = self.storage(source, folder=folder)
        source.psql("CREATE TABLE t (n int)")
        storage.ask("snapshot")
        names = {p.name for p in (folder / "wal").iterdir()}
        filler = folder / "filler"
        with open(filler, "wb") as file:
            while True:
                try:
                    file.write(bytes(1 << 20))
                    file.flush()
                except OSError:
                    break
        for _ in range(3):
            source.psql("INSERT INTO t VALUES (1); SELECT pg_switch_wal()")
        wait_until(lambda: "full" in storage.health()["trouble"], 60, "the trouble to be told")
        self.assertLessEqual({n.removesuffix(".partial") for n in names},
                             {p.name.removesuffix(".partial") for p in (folder / "wal").iterdir()})
        filler.unlink()
        storage.wait_healthy(90)
        self.assertEqual(0, storage.health()["gaps"])


class Trim(StorageTest):
    def test_what_is_needed_stays(self):
        source = self.server()
        storage = self.storage(source)
        source.psql("CREATE TABLE t (n int)")
        points, taken = [], []
        for n in range(1, 5):
            taken.append(storage.ask("snapshot"))
            source.psql(f"INSERT INTO t VALUES ({n})")
            points.append(storage.ask("head", "main"))
            source.psql("SELECT pg_switch_wal(); INSERT INTO t VALUES (0); SELECT pg_switch_wal(); CHECKPOINT")
        storage.ask("wait-received", self.flushed(source), 30)
        before = len(list((storage.folder / "wal").iterdir()))
        storage.ask("trim", taken[2]["ended_at"], *point_words(points[0]))
        self.assertEqual([taken[0]["id"], taken[2]["id"], taken[3]["id"]],
                         [s["id"] for s in storage.ask("snapshots")])
        self.assertLess(len(list((storage.folder / "wal").iterdir())), before)
        for number, point in enumerate(points, 1):
            if number == 2:
                self.refused("invalid", storage.bring, point, own_folder() / "data")
                continue
            server = self.brought(source, storage, point)
            self.assertEqual(str(number), server.psql("SELECT max(n) FROM t"))
            server.close()
        self.refused("not_found", storage.ask, "remove-snapshot", taken[1]["id"])
        storage.ask("trim", taken[3]["ended_at"])
        self.assertEqual([taken[3]["id"]], [s["id"] for s in storage.ask("snapshots")])
        self.assertEqual(1, len(storage.windows()))
        storage.ask("remove-snapshot", taken[3]["id"])
        self.assertEqual([], storage.windows())


if __name__ == "__main__":
    harness.main()
