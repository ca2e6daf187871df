"""The reading of WAL against PostgreSQL itself: pg_waldump reads the same records, commit timestamps lie where
the archive says, and no changed bit of verified WAL goes unnoticed. Driven by wal_tool (tests/support/wal_tool.cc).
"""

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

SEGMENT = 1 << 20  # initdb --wal-segsize=1: many borders in little WAL
FLIPS = 300
CRASHES_MAX = 12
RECORD = re.compile(r"^rmgr: (\S+)\s+len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: (\S+), prev (\S+), desc: (\S*)")
SETTINGS = {"wal_level": "logical", "track_commit_timestamp": "on", "max_prepared_transactions": 20,
            "wal_keep_size": "10GB", "min_wal_size": "32MB", "max_wal_senders": 10, "autovacuum": "off"}


def tool() -> Path:
    path = harness.holdfast_bin().parent / "tests" / "wal_tool"
    if not path.exists():
        raise unittest.SkipTest("wal_tool is not built")
    return path


def lsn(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def as_servers_user(argv, **kwargs):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, **kwargs)


class Archive:
    """A running wal_tool; ask() returns the lines of an answer."""

    def __init__(self, *argv):
        self.process = subprocess.Popen([tool(), *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, *words) -> list[str]:
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != ".\n":
            if not line:
                raise AssertionError("wal_tool went away")
            lines.append(line.rstrip("\n"))
        return lines

    def refresh(self) -> dict:
        words = self.ask("refresh")[0].split()
        return dict(zip(words[::2], map(float, words[1::2])))

    def stretches(self) -> list[list[str]]:
        return [line.split(" ", 6) for line in self.ask("stretches")]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def make_server(major: int, settings=None, segment_megabytes=1) -> harness.Server:
    """A server whose segments are small; initdb is run again for that."""
    server = harness.Server(major=major, start=False)
    shutil.rmtree(server.data)
    server.data.mkdir(mode=0o700)
    server._give_away(server.data)
    made = as_servers_user([server.bindir / "initdb", "-D", server.data, "-U", "postgres", "--auth=trust",
                            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                            f"--wal-segsize={segment_megabytes}"],
                           env=server._server_env(), cwd=server.dir, **server._as)
    if made.returncode != 0:
        raise RuntimeError(made.stdout + made.stderr)
    server.configure({"fsync": "off", "shared_buffers": "32MB", **SETTINGS, **(settings or {})})
    server.start()
    return server


def busy(server, rounds=6) -> None:
    """A little of everything that makes records of different kinds, sizes and ends."""
    server.psql("CREATE TABLE IF NOT EXISTS ledger (id bigserial PRIMARY KEY, note text, pad text); "
                "CREATE TABLE IF NOT EXISTS big (v text); ALTER TABLE big ALTER v SET STORAGE EXTERNAL")
    for i in range(rounds):
        server.psql(f"""
            INSERT INTO ledger (note, pad) SELECT 'n' || g, repeat('x', g % 700) FROM generate_series(1, 600) g;
            UPDATE ledger SET note = note || '!' WHERE id % 7 = {i};
            DELETE FROM ledger WHERE id % 11 = {i};
            INSERT INTO big SELECT string_agg(md5(g::text), '') FROM generate_series(1, 20000) g;
            BEGIN; INSERT INTO ledger (note) VALUES ('undone'); ROLLBACK;
            BEGIN; INSERT INTO ledger (note) VALUES ('both'); PREPARE TRANSACTION 'p{i}'; COMMIT PREPARED 'p{i}';
            BEGIN; INSERT INTO ledger (note) VALUES ('gone'); PREPARE TRANSACTION 'q{i}'; ROLLBACK PREPARED 'q{i}';
            SELECT pg_logical_emit_message(false, 'test', repeat('m', {3_000_000 if i == 2 else 40 + i}));
            CHECKPOINT; VACUUM ledger;
            SELECT pg_create_restore_point('round {i}');
        """)
        if i % 2:
            server.psql("SELECT pg_switch_wal()")


def segments(folder: Path, timeline: int) -> list[Path]:
    return sorted(p for p in folder.iterdir() if re.fullmatch(rf"{timeline:08X}[0-9A-F]{{16}}", p.name))


def give_readable(folder: Path) -> Path:
    """A copy of a pg_wal folder, so that what is read stands still."""
    copy = harness.temp_dir() / "wal"
    shutil.copytree(folder, copy)
    return copy


class WaldumpBase:
    major = 15

    @classmethod
    def setUpClass(cls):
        harness.skip_unless_server(cls.major)
        tool()
        cls.server = make_server(cls.major)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def compare(self, folder: Path, timeline: int):
        files = segments(folder, timeline)
        theirs = as_servers_user([self.server.bindir / "pg_waldump", files[0], files[-1]],
                                 env={"LC_ALL": "C", "PATH": os.defpath})
        expected = []
        for line in theirs.stdout.splitlines():
            if match := RECORD.match(line):
                expected.append((lsn(match[4]), lsn(match[5]), int(match[3]), int(match[2])))
        ours = as_servers_user([tool(), "dump", timeline, *files])
        self.assertEqual(0, ours.returncode, ours.stderr)
        lines = ours.stdout.splitlines()
        found = [(lsn(w[0]), lsn(w[1]), int(w[5]), int(w[6]))
                 for w in map(str.split, lines) if w[0] != "stop"]
        self.assertGreater(len(expected), 1000)
        self.assertEqual(len(expected), len(found))
        self.assertEqual(expected, found)
        self.assertFalse(lines[-1].startswith("stop damage"), lines[-1])
        return theirs.stdout

    def test_every_record_is_the_one_that_pg_waldump_reads(self):
        busy(self.server)
        self.server.psql("SELECT pg_switch_wal()")
        self.compare(give_readable(self.server.data / "pg_wal"), 1)

    def test_after_crashes(self):
        """kill -9 under load leaves records that were cut off; they are passed over as PostgreSQL does."""
        for attempt in range(CRASHES_MAX):
            def load():
                self.server.psql("SELECT pg_logical_emit_message(false, 'x', repeat('y', 50000)) "
                                 "FROM generate_series(1, 20000)", check=False)

            thread = threading.Thread(target=load)
            thread.start()
            time.sleep(0.3 + 0.1 * attempt)
            self.server.kill9()
            thread.join()
            self.server.start()
            busy(self.server, rounds=1)
            self.server.psql("SELECT pg_switch_wal()")
            if "OVERWRITE_CONTRECORD" in self.compare(give_readable(self.server.data / "pg_wal"), 1):
                return
        self.fail(f"no record was cut off by {CRASHES_MAX} crashes")


class Waldump15(WaldumpBase, unittest.TestCase):
    pass


class Waldump17(WaldumpBase, unittest.TestCase):
    major = 17


class Waldump18(WaldumpBase, unittest.TestCase):
    major = 18


class Received(unittest.TestCase):
    """What pg_receivewal keeps, while it is being written."""

    @classmethod
    def setUpClass(cls):
        tool()
        cls.server = make_server(15)
        cls.server.psql("CREATE TABLE receipts (id bigserial PRIMARY KEY, note text)")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.folder = harness.temp_dir() / "wal"
        self.folder.mkdir()
        self.index = harness.temp_dir() / "index"
        self.receiver = None

    def tearDown(self):
        if self.receiver:
            self.receiver.terminate()
            self.receiver.wait()

    def receive(self):
        self.receiver = subprocess.Popen(
            [self.server.bindir / "pg_receivewal", "-D", self.folder, "--synchronous", "--no-loop"],
            env=self.server.client_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def received(self, archive, position):
        def there():
            archive.refresh()
            stretches = archive.stretches()
            return stretches and lsn(stretches[-1][2]) >= position
        harness.wait_until(there, 60, "the WAL to be received and indexed")

    def now(self) -> int:
        return lsn(self.server.psql("SELECT pg_current_wal_flush_lsn()"))

    def test_times_are_those_of_the_commits(self):
        self.receive()
        archive = Archive("archive", self.folder, self.index)
        self.addCleanup(archive.close)
        harness.wait_until(lambda: any(self.folder.iterdir()), 30, "the receiver")
        writers = [threading.Thread(target=lambda: [self.server.psql(
            "INSERT INTO receipts (note) SELECT repeat('z', 900) FROM generate_series(1, 40)") for _ in range(40)])
            for _ in range(3)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            archive.refresh()
            time.sleep(0.05)
        for writer in writers:
            writer.join()
        self.received(archive, self.now())
        dump = as_servers_user([tool(), "dump", 1, *segments(self.folder, 1),
                                *self.folder.glob("*.partial")])
        records = [line.split() for line in dump.stdout.splitlines() if not line.startswith("stop")]
        ends = [(lsn(w[0]), lsn(w[2])) for w in records]
        commit_of = {int(w[5]): lsn(w[0]) for w in records if w[3] == "1" and int(w[4]) & 0x70 in (0, 0x30)}
        # The judge: the server's own record of when each transaction was committed.
        commits = [tuple(map(int, row.split("|"))) for row in self.server.psql(
            "SELECT x, (extract(epoch FROM pg_xact_commit_timestamp(x::text::xid)) * 1000000)::bigint"
            f" FROM unnest(ARRAY[{','.join(map(str, commit_of))}]) x").splitlines()]
        self.assertGreater(len(commits), 100)
        in_order = sorted((commit_of[xid], when) for xid, when in commits)
        for _, when in random.Random(1).sample(commits, 60):
            for instant in (when, when - 1):
                # PostgreSQL's rule: just before the first commit record that is later.
                later = [start for start, time_of in in_order if time_of > instant]
                found = archive.ask("time", 1, instant)[0].split()
                if not later:
                    self.assertEqual("head", found[4])
                    continue
                self.assertEqual("exact", found[4])
                self.assertEqual([pair for pair in ends if pair[1] <= later[0]][-1],
                                 (lsn(found[1]), lsn(found[2])))
        for start, end in random.Random(2).sample(ends, 60):
            for position in (end, end + 5):
                found = archive.ask("lsn", 1, f"{position >> 32:X}/{position & 0xffffffff:X}")[0].split()
                if found[0] == "error":
                    continue  # the last record
                self.assertEqual((start, end), (lsn(found[1]), lsn(found[2])))

    def test_growing_and_restarted(self):
        archive = Archive("archive", self.folder, self.index)
        self.addCleanup(archive.close)
        for _ in range(4):
            self.receive()
            self.server.psql("INSERT INTO receipts (note) SELECT repeat('g', 500) FROM generate_series(1, 2500)")
            self.received(archive, self.now())
            self.receiver.kill()
            self.receiver.wait()
        self.receiver = None
        stretches = archive.stretches()
        self.assertEqual(1, len(stretches), stretches)
        self.assertEqual("head", stretches[0][4])
        read = archive.refresh()["read"]
        self.assertLessEqual(read, 1 << 17)
        again = Archive("archive", self.folder, self.index)
        self.addCleanup(again.close)
        self.assertLessEqual(again.refresh()["read"], 2 * SEGMENT)
        self.assertEqual(stretches, again.stretches())

    def test_parameters_and_tablespaces(self):
        place = harness.temp_dir("hf-ts-")
        self.server._give_away(place)
        place.chmod(0o700)
        if owner := self.server._as:
            os.chown(place, owner["user"], owner["group"])
        self.server.psql("SELECT pg_switch_wal()")  # past what the first start wrote
        self.receive()
        archive = Archive("archive", self.folder, self.index)
        self.addCleanup(archive.close)
        harness.wait_until(lambda: any(self.folder.iterdir()), 30, "the receiver")
        self.server.psql(f"CREATE TABLESPACE fast LOCATION '{place}'")
        oid = self.server.psql("SELECT oid FROM pg_tablespace WHERE spcname = 'fast'")
        self.server.configure({"max_connections": 77, "max_worker_processes": 13})
        self.server.restart()
        self.receiver.wait()
        self.receive()
        self.server.psql("DROP TABLESPACE fast")
        self.received(archive, self.now())
        needs = archive.ask("needs", 1)[0].split()
        self.assertEqual(["77", "13", "10", "20", "64", "-", f"{oid}:{place}"], needs)

    def test_no_flipped_bit_is_overlooked(self):
        busy(self.server, rounds=3)
        folder = give_readable(self.server.data / "pg_wal")
        files = segments(folder, 1)
        dump = as_servers_user([tool(), "dump", 1, *files]).stdout.splitlines()
        records = [w for w in map(str.split, dump) if w[0] != "stop"]
        verified = lsn(records[-1][2])
        base = lsn(records[0][0]) // SEGMENT * SEGMENT
        means_nothing = []  # what stands behind a switch, or is left of a record that was cut off
        for this, following in zip(records, records[1:] + [records[-1]]):
            start, end = lsn(this[0]), lsn(this[2])
            body = start + (int(this[6]) + 7) // 8 * 8
            if this[3] == "0" and this[4] == "64":
                means_nothing.append((body, end))
            elif lsn(following[0]) - end > 40:
                means_nothing.append((end, lsn(following[0])))
        noise = random.Random(4)
        flipped = 0
        while flipped < FLIPS:
            at = noise.randrange(base, verified)
            if flipped % 3 == 0:  # page headers
                at = at // 8192 * 8192 + noise.randrange(24)
            bit = noise.randrange(8)
            if any(a <= at < b for a, b in means_nothing) or at < lsn(records[0][0]) or at >= verified:
                continue
            if at % 8192 == 2 and bit == 2:  # XLP_BKP_REMOVABLE: of no meaning
                continue
            path = files[(at - base) // SEGMENT]
            with open(path, "r+b") as file:
                file.seek(at % SEGMENT)
                byte = file.read(1)[0]
                file.seek(at % SEGMENT)
                file.write(bytes([byte ^ 1 << bit]))
            archive = Archive("archive", folder, "-")
            archive.refresh()
            stretches = archive.stretches()
            archive.close()
            for stretch in stretches:
                self.assertFalse(lsn(stretch[1]) <= at < lsn(stretch[2]), (hex(at), bit, stretches))
            with open(path, "r+b") as file:
                file.seek(at % SEGMENT)
                file.write(bytes([byte]))
            flipped += 1


class Forked(unittest.TestCase):
    """A server recovered to a point and promoted: its own pg_wal goes on from the archive's."""

    def test_a_lineage_over_two_folders(self):
        tool()
        server = make_server(15)
        self.addCleanup(server.close)
        busy(server, rounds=2)
        base = harness.temp_dir() / "base"
        server.tool("pg_basebackup", "-D", base, "-X", "none", "-c", "fast", "--no-sync")
        busy(server, rounds=2)
        server.psql("CREATE TABLE parting AS SELECT 1")
        server.psql("SELECT pg_switch_wal()")
        main = give_readable(server.data / "pg_wal")
        archive = Archive("archive", main, "-")
        archive.refresh()
        target = archive.ask("head", 1)[0].split()
        # One commit back from the head.
        when = int(target[3])
        point = archive.ask("time", 1, when - 1)[0].split()
        archive.close()
        server._give_away(main.parent)
        for path in (main.parent, main):
            path.chmod(0o755)
        with open(base / "postgresql.conf", "a") as conf:
            conf.write(f"restore_command = 'cp {main}/%f %p'\nrecovery_target_lsn = '{point[1]}'\n"
                       "recovery_target_inclusive = on\nrecovery_target_action = promote\n"
                       "recovery_target_timeline = 1\nhot_standby = off\n")
        (base / "recovery.signal").touch()
        branch = harness.Server(major=15, data=base, password=server.passwords["postgres"])
        self.addCleanup(branch.close)
        harness.wait_until(lambda: branch.psql("SELECT pg_is_in_recovery()", check=False) == "f", 60, "promotion")
        self.assertEqual("", branch.psql("SELECT 1 FROM pg_class WHERE relname = 'parting'"))
        busy(branch, rounds=2)
        flushed = branch.psql("SELECT pg_current_wal_flush_lsn()")
        for own in (branch.data / "pg_wal", give_readable(branch.data / "pg_wal")):
            both = Archive("archive-of", "-", f"1={main}", f"2={own}")
            both.refresh()
            self.assertEqual(["-"], both.ask("missing", 2))
            head = both.ask("head", 2)[0].split()
            self.assertEqual("2", head[0])
            self.assertGreaterEqual(lsn(head[2]), lsn(flushed))
            # The fork is where the target said: the end of the last record that is in the point.
            history = (own / "00000002.history").read_text().split()
            self.assertEqual(point[2], history[1])
            fork = both.ask("lsn", 2, point[2])[0].split()
            self.assertEqual(["1", *point[1:3]], fork[:3])
            both.close()


if __name__ == "__main__":
    harness.main()
