"""The branch engine's storage for tests: storage_tool as a session, and brought folders as servers.

The tool runs as the servers' user (PostgreSQL refuses a data folder of somebody else's), speaks one line each
way, and is killed at exit. An answer that is an error raises StorageError with its code.

Ledger is the truth that points are held against: pgbench writers insert numbered rows with their transaction's
id, and pg_waldump, PostgreSQL's own reader, says in which order they committed, where and when.
"""

import json
import os
import re
import signal
import subprocess
import threading
from datetime import datetime, timezone
from pathlib import Path

import harness
from harness_base import at_exit, forget_exit, temp_dir, wait_until
from harness_server import _unprivileged


class StorageError(AssertionError):
    def __init__(self, answer: dict):
        super().__init__(f"[{answer['code']}] {answer['error']}")
        self.code, self.hint = answer["code"], answer["hint"]


def tool_path() -> Path:
    return harness.holdfast_bin().parent / "tests" / "storage_tool"


def own_folder(prefix: str = "hf-storage-") -> Path:
    """A folder that the servers' user owns."""
    path = temp_dir(prefix, 0o700)
    if owner := _unprivileged():
        os.chown(path, owner["user"], owner["group"])
    return path


class Storage:
    """A session of storage_tool over `folder`. `url` may be changed before start()."""

    def __init__(self, server, folder: Path | None = None, url: str | None = None, held_max: int | None = None,
                 start: bool = True):
        self.bindir = server.bindir
        self.folder = folder or own_folder()
        self.url = url or server.url()
        self.held_max = held_max
        self.log = own_folder("hf-storage-log-") / "log"
        self.process = None
        self._lock = threading.Lock()
        at_exit(self.kill)
        if start:
            self.start()

    def start(self) -> "Storage":
        source = self.log.parent / "source"
        source.write_text(self.url)
        source.chmod(0o600)
        if owner := _unprivileged():
            os.chown(source, owner["user"], owner["group"])
        command = [tool_path(), "--folder", self.folder, "--source-file", source, "--bindir", self.bindir]
        if self.held_max is not None:
            command += ["--held-max", str(self.held_max)]
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LANG": "C.UTF-8"}
        env.update({name: os.environ[name] for name in harness.ENV_PASSED_ON if name in os.environ})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env=env, cwd=self.folder, **_unprivileged())
        return self

    def ask(self, *words):
        with self._lock:
            self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"storage_tool ended\n{self.log_text()[-4000:]}")
        harness.assert_no_secrets(line, "storage_tool's answer")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer and "code" in answer:
            raise StorageError(answer)
        return answer

    def health(self) -> dict:
        return self.ask("health")

    def windows(self) -> list[dict]:
        return self.ask("windows")

    def bring(self, point: dict, folder: Path) -> dict:
        return self.ask("bring", *point_words(point), folder)

    def wait_healthy(self, timeout: float = 60) -> dict:
        return wait_until(lambda: (h := self.health())["receiving"] and not h["trouble"] and h, timeout,
                          f"the receiver to be well: {self.health()}")

    def receiver_pids(self) -> list[int]:
        found = []
        for pid in harness.descendants(self.process.pid):
            try:
                if b"pg_receivewal" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
                    found.append(pid)
            except OSError:
                pass
        return found

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, condition, timeout: float, what: str) -> None:
        """As the harness's; with what the storage said if it takes too long."""
        try:
            wait_until(condition, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.health()}\n{self.log_text()[-4000:]}") from None

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(30)
        self._end()

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self._end()

    def _end(self) -> None:
        if self.process:
            for pipe in (self.process.stdin, self.process.stdout):
                try:
                    pipe.close()
                except OSError:
                    pass
        if self.log.exists():
            harness.assert_no_secrets(self.log.read_bytes(), "storage_tool's log")

    def close(self) -> None:
        self.kill()
        forget_exit(self.kill)


def point_words(point: dict) -> list:
    return [point["line"], point["timeline"], point["record"], point["end"]]


def start_brought(source, data: Path, settings: list, extra: dict | None = None):
    """A server on a brought folder, promoted: what a compute's first start does, in short."""
    for name in ("postgresql.auto.conf",):
        (data / name).write_text("")
    server = harness.Server(major=source.major, bindir=source.bindir, data=data,
                            password=source.passwords["postgres"], start=False,
                            settings={**dict(settings), "archive_mode": "off", "primary_conninfo": "",
                                      "primary_slot_name": "", "wal_keep_size": "10GB", **(extra or {})})
    server.start()
    wait_until(lambda: server.psql("SELECT pg_is_in_recovery()", check=False) == "f", 60, "the promotion")
    return server


def lsn(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


class Commit:
    """A commit record: its transaction, where it begins, how long it is, its time in microseconds."""

    def __init__(self, xid: int, start: int, length: int, time_us: int):
        self.xid, self.start, self.length, self.time_us = xid, start, length, time_us

    @property
    def end_min(self) -> int:
        return self.start + self.length


COMMIT = re.compile(r"rmgr: Transaction\s+len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: (\S+), prev \S+,"
                    r" desc: COMMIT (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,6}) UTC")


def commits(bindir: Path, wal_folders, start: str, end: str, timeline: int = 1) -> list[Commit]:
    """In the order of the WAL. The segments must be complete."""
    pool = own_folder("hf-wal-")
    for folder in wal_folders:
        for path in Path(folder).iterdir():
            if re.fullmatch(r"[0-9A-F]{24}(\.partial)?", path.name):
                target = pool / path.name.removesuffix(".partial")
                if not target.exists() or not path.name.endswith(".partial"):
                    target.unlink(missing_ok=True)
                    target.symlink_to(path)
    done = subprocess.run([bindir / "pg_waldump", "-p", pool, "-r", "Transaction", "-t", str(timeline), "-s", start,
                           "-e", end], capture_output=True, text=True,
                          env={"PATH": os.defpath, "TZ": "UTC", "LANG": "C.UTF-8"})
    found = []
    for match in COMMIT.finditer(done.stdout):
        length, xid, where, stamp = match.groups()
        moment = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
        time_us = int(moment.timestamp()) * 1_000_000 + moment.microsecond
        found.append(Commit(int(xid), lsn(where), int(length), time_us))
    if not found:
        raise AssertionError(f"pg_waldump found no commits: {done.stderr}")
    return found


def milliseconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def rfc3339(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


class Ledger:
    """Writers that number their commits; each row holds the id of its transaction."""

    def __init__(self, server, clients: int = 4, rate: int = 200):
        self.server = server
        server.psql("CREATE TABLE IF NOT EXISTS ledger (id bigserial PRIMARY KEY, "
                    "xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint, "
                    "at timestamptz NOT NULL DEFAULT clock_timestamp(), body text)")
        self.script = own_folder("hf-ledger-") / "script.sql"
        self.script.write_text("\\set size random(1, 2000)\n"
                               "INSERT INTO ledger (body) VALUES (repeat('x', :size));\n")
        self.clients, self.rate = clients, rate
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.server.bindir / "pgbench", "-n", "-f", self.script, "-c", str(self.clients), "-T", "600",
             "-R", str(self.rate), "postgres"], env=self.server.client_env(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=self.server.dir)
        at_exit(self.end)
        return self

    def __exit__(self, *_):
        writing = self.process.poll() is None
        self.end()
        if writing:  # what was sent is still being done: the ledger stands when nobody writes any more
            wait_until(lambda: self.server.psql("SELECT count(*) FROM pg_stat_activity "
                                                "WHERE application_name = 'pgbench'") == "0",
                       30, "the last commits")

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        forget_exit(self.end)

    def run_for(self, seconds: float):
        """Lets them write until about that many seconds' worth of rows are there."""
        goal = self.rows() + int(seconds * self.rate * 0.5) + 1
        wait_until(lambda: self.rows() >= goal, 60, "the ledger to grow")

    def rows(self) -> int:
        return int(self.server.psql("SELECT count(*) FROM ledger"))


def ledger_xids(server) -> set[int]:
    return {int(x) for x in server.psql("SELECT xid FROM ledger").split()}
