"""A running ledger, and judges of what a copy of it must hold at a time or an LSN. Imported by tests.

`Ledger` keeps writers at work on a server: numbered rows, each its own commit. `WalJudge` reads the server's own WAL
with stock pg_waldump, so it knows every commit's place and time without asking holdfast. `Reference` is what
stock PostgreSQL makes of the same point: pg_basebackup, and recovery to a target.

The rule for a time, PostgreSQL's own: recovery stops just before the first commit, in WAL order, that is later.
For an LSN: what ends at or before it is in.
"""

import random
import re
import shutil
import subprocess
import threading
from datetime import datetime, timezone
from pathlib import Path

from harness_base import at_exit, forget_exit, temp_dir, wait_until
from harness_server import Server

from engine import lsn

PAGE = 8192
SEGMENT = 16 << 20
PAGE_HEADER, SEGMENT_HEADER = 24, 40
_COMMIT = re.compile(
    r"rmgr: Transaction +len \(rec/tot\): +\d+/ *(\d+), tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev \S+ "
    r"desc: COMMIT(?:_PREPARED)? (?:gid \S+: )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")

_SETUP = """
CREATE TABLE ledger (writer int, number int, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
                     at timestamptz NOT NULL DEFAULT clock_timestamp(), body text,
                     PRIMARY KEY (writer, number));
CREATE TABLE totals (writer int PRIMARY KEY, count int NOT NULL);
CREATE TABLE ledger_stop (stop bool);
CREATE PROCEDURE write_ledger(w int, rest float) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    EXIT WHEN EXISTS (SELECT FROM ledger_stop);
    INSERT INTO totals VALUES (w, 1) ON CONFLICT (writer) DO UPDATE SET count = totals.count + 1;
    INSERT INTO ledger (writer, number, body)
      SELECT w, count, repeat(md5(random()::text), 1 + (random() * 8)::int) FROM totals WHERE writer = w;
    IF random() < 0.05 THEN ROLLBACK; ELSE COMMIT; END IF;
    PERFORM pg_sleep(random() * rest);
  END LOOP;
END $$;
"""


class Ledger:
    """`writers` connections that commit numbered rows into `server` until stop(), crash or close().

    rest_s: the longest pause after a commit. A writer whose connection breaks is started again by resume().
    """

    def __init__(self, server: Server, writers: int = 4, rest_s: float = 0.02):
        self.server, self._writers, self._rest_s = server, writers, rest_s
        server.psql(_SETUP)
        self._processes: list[subprocess.Popen] = []
        at_exit(self.close)
        self.resume()

    def resume(self) -> None:
        """Starts the writers that are not there: after stop(), or when the server crashed."""
        self._end()
        self.server.psql("TRUNCATE ledger_stop")
        for number in range(self._writers):
            self._processes.append(subprocess.Popen(
                [self.server.bindir / "psql", "-X", "-q", "-d", "postgres", "-c",
                 f"CALL write_ledger({number}, {self._rest_s})"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=self.server.client_env(), cwd=self.server.dir))

    def stop(self) -> None:
        """Returns when the last commit is done."""
        self.server.psql("INSERT INTO ledger_stop VALUES (true)")
        for process in self._processes:
            process.wait(30)
        self._processes.clear()

    def count(self) -> int:
        return int(self.server.psql("SELECT count(*) FROM ledger"))

    def wait_for(self, more: int, timeout: float = 120) -> None:
        goal = self.count() + more
        wait_until(lambda: self.count() >= goal, timeout, f"{more} commits")

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        self._end()
        forget_exit(self.close)


def ledger_xids(server: Server) -> set[int]:
    """The transactions whose rows a server has; AssertionError if one is there by half."""
    wrong = server.psql("SELECT t.writer, t.count, max(l.number), count(l) FROM totals t"
                        " LEFT JOIN ledger l USING (writer) GROUP BY 1, 2"
                        " HAVING max(l.number) IS DISTINCT FROM t.count OR count(l) <> t.count")
    if wrong:
        raise AssertionError(f"torn: writer|total|last row|rows: {wrong}")
    return {int(line) for line in server.psql("SELECT xid FROM ledger").split()}


class Commit:
    __slots__ = ("xid", "start", "end", "time")

    def __init__(self, xid: int, start: int, end: int, time: datetime):
        self.xid, self.start, self.end, self.time = xid, start, end, time


def record_end(start: int, length: int) -> int:
    """Where the record after one of `length` bytes at `start` would begin: headers of pages count in."""
    place, rest = start, length
    while True:
        offset = place % PAGE
        if offset == 0:
            place += SEGMENT_HEADER if place % SEGMENT == 0 else PAGE_HEADER
            offset = place % PAGE
        room = PAGE - offset
        if rest <= room:
            return place + (rest + 7) // 8 * 8
        place, rest = place + room, rest - room


class WalJudge:
    """Every commit in a server's WAL from `start` on, as pg_waldump tells it. The WAL must still be there."""

    def __init__(self, server: Server, start: str):
        self.server, self.start = server, start
        self.commits: list[Commit] = []
        self.read()

    def read(self) -> None:
        """Anew, up to the present."""
        text = subprocess.run(
            [self.server.bindir / "pg_waldump", "-p", self.server.data / "pg_wal", "-r", "Transaction", "-s",
             self.start], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC"}).stdout
        self.commits = []
        for match in _COMMIT.finditer(text):
            length, xid, where, time = match.groups()
            place = lsn(where)
            self.commits.append(Commit(int(xid), place, record_end(place, int(length)),
                                       datetime.fromisoformat(time).replace(tzinfo=timezone.utc)))
        if not self.commits:
            raise AssertionError(f"pg_waldump shows no commits after {self.start}")

    def at_time(self, instant: datetime) -> set[int]:
        """The transactions from `start` on that are in at an instant."""
        found = set()
        for commit in self.commits:
            if commit.time > instant:
                break
            found.add(commit.xid)
        return found

    def at_lsn(self, place: int) -> set[int]:
        return {commit.xid for commit in self.commits if commit.end <= place}

    def all(self) -> set[int]:
        return {commit.xid for commit in self.commits}

    def random_commit(self, after: int = 0) -> Commit:
        return random.choice([c for c in self.commits if c.start >= after])


class Reference:
    """A stock pg_basebackup of a server, and servers recovered from it with the WAL that the server keeps."""

    def __init__(self, server: Server):
        self.server = server
        self.folder = temp_dir("hf-reference-")
        self.base = self.folder / "base"
        server.tool("pg_basebackup", "-D", self.base, "-X", "stream", "-c", "fast")
        label = (self.base / "backup_label").read_text()
        self.start = re.search(r"START WAL LOCATION: (\S+)", label).group(1)
        self.end = server.psql("SELECT pg_current_wal_flush_lsn()")

    def recover(self, **target) -> Server:
        """A running server, promoted at recovery_target_… (`time`, a datetime; `lsn`, `inclusive`)."""
        if isinstance(target.get("time"), datetime):
            target["time"] = target["time"].astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        data = temp_dir("recovered-", parent=self.folder) / "data"
        shutil.copytree(self.base, data, symlinks=True)
        (data / "recovery.signal").touch()
        wal = self.server.data / "pg_wal"
        server = Server(bindir=self.server.bindir, data=data, password=self.server.passwords["postgres"],
                        settings={"restore_command": f'cp "{wal}/%f" "%p"', "hot_standby": "off",
                                  "recovery_target_action": "promote", "archive_mode": "off",
                                  **{f"recovery_target_{n}": v for n, v in target.items()}})
        # Recovery that reaches no target ends the server: then this says so.
        wait_until(lambda: server.pid and server.psql("SELECT pg_is_in_recovery()", check=False) == "f", 120,
                   "the reference to be promoted")
        return server

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Background:
    """Calls `work()` again and again in a thread until stop(); errors of `tolerated` types do not end it."""

    def __init__(self, work, tolerated: tuple = ()):
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self.rounds = 0

        def run():
            while not self._stop.is_set():
                try:
                    work()
                    self.rounds += 1
                except tolerated:
                    self._stop.wait(0.1)
                except BaseException as error:
                    self.error = error
                    return

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(120)
        if self.error is not None:
            raise self.error


