"""Computes of the branch engine under test, one at a time, by compute_tool: without storage and without API.

`History` is a source with a base backup, its archive and a ledger of numbered commits whose records are known;
`Compute` is a data folder made from it with a hand-made restore_command. Servers and tool run as the servers'
user. Everything is removed at exit. Failure is an AssertionError with what the program printed.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import harness
from harness_base import at_exit, descendants, temp_dir
from harness_server import _unprivileged

COMMITS = 30
CLIENT_SECONDS = 120  # what a single statement may take, so that one that hangs says where


def own(path: Path) -> Path:
    """Gives a folder to the servers' user, for itself alone."""
    if user := _unprivileged():
        os.chown(path, user["user"], user["group"])
    path.chmod(0o700)
    return path


def as_servers_user(command, **options) -> subprocess.CompletedProcess:
    env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8",
           "PGOPTIONS": "-c default_transaction_read_only=off"}  # which a source may have for its roles
    env.update({name: os.environ[name] for name in harness.ENV_PASSED_ON if name in os.environ})
    return subprocess.run([str(word) for word in command], env=env, text=True, capture_output=True,
                          **_unprivileged(), **options)


def tool_path() -> Path:
    return harness.holdfast_bin().parent / "tests" / "compute_tool"


class History:
    """A source that archives: a base backup, then COMMITS commits, of which the n-th wrote number n."""

    def __init__(self, major: int = 15, settings: dict | None = None, prepare=None):
        self.dir = own(temp_dir("hf-history-"))
        self.archive = self.dir / "archive"
        self.archive.mkdir()
        own(self.archive)
        self.server = harness.Server(major, settings={
            "archive_mode": "on", "archive_command": f'cp "%p" "{self.archive}/%f"', "log_statement": "none",
            **(settings or {})})
        self.server.psql("CREATE TABLE ledger (n int PRIMARY KEY)")
        if prepare:
            prepare(self)
        self.base = self.dir / "base"
        self.tablespaces = self.dir / "tablespaces"
        self._take_base()
        first = self.server.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        xids = self.server.psql("".join(
            f"BEGIN READ WRITE; INSERT INTO ledger VALUES ({n}); SELECT txid_current(); COMMIT;\n"
            for n in range(1, COMMITS + 1))).split()
        last = self.server.psql("SELECT pg_walfile_name(pg_current_wal_insert_lsn()); SELECT pg_switch_wal()")
        self.segments = sorted({first, last.split()[0]})
        self.records = self._starts(xids)
        self.source_settings = dict(
            line.split("\t", 1) for line in self.server.psql(
                "SELECT name || E'\\t' || setting FROM pg_settings WHERE setting !~ E'[\\n\\t]'").splitlines())

    def _take_base(self) -> None:
        mapping = []
        for line in self.server.psql("SELECT pg_tablespace_location(oid) FROM pg_tablespace "
                                     "WHERE spcname !~ '^pg_'").splitlines():
            mapping.append(f"--tablespace-mapping={line}={self.tablespaces}/{Path(line).name}")
        done = subprocess.run(
            [self.server.bindir / "pg_basebackup", "-D", self.base, "-X", "none", "-c", "fast", *mapping],
            env=self.server.client_env(), capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def _starts(self, xids: list[str]) -> list[str]:
        """Where the commit record of each transaction starts."""
        starts = {}
        for segment in self.segments:
            harness.wait_until((self.archive / segment).exists, what=f"{segment} in the archive")
            shown = subprocess.run([self.server.bindir / "pg_waldump", "-r", "Transaction", self.archive / segment],
                                   capture_output=True, text=True, cwd=self.dir).stdout
            for line in shown.splitlines():
                if " COMMIT " in line:
                    starts[line.split("tx:")[1].split(",")[0].strip()] = line.split("lsn: ")[1].split(",")[0]
        return [starts[xid] for xid in xids]


class Compute:
    """A compute that recovers to just after commit number `n` of a History."""

    certificates: Path | None = None

    def __init__(self, history: History, n: int, passwords: dict | None = None, restore_command=None,
                 **settings):
        self.history, self.n = history, n
        self.folder, self.plans = own(temp_dir("hf-ep-")), own(temp_dir("hf-plan-"))
        self.data = self.folder / "data"
        self.port = harness.free_port()
        self.passwords = passwords or {}
        self.settings, self.at = settings, {}
        self.brought = {
            "restore_command": restore_command or f'cp "{history.archive}/%f" "%p"',
            "recovery_target_lsn": history.records[n - 1], "recovery_target_inclusive": "on",
            "recovery_target_timeline": "1", "recovery_target_action": "promote", "hot_standby": "off",
            "max_prepared_transactions": history.source_settings["max_prepared_transactions"]}
        self._bring()
        self.certificate, self.key = self._certificate()
        at_exit(self.remove)

    def _bring(self) -> None:
        shutil.copytree(self.history.base, self.data, symlinks=True)
        for link in (self.data / "pg_tblspc").iterdir():
            target = self.folder / "tablespaces" / link.name
            shutil.copytree(link.resolve(), target)
            link.unlink()
            link.symlink_to(target)
        (self.data / "recovery.signal").touch()
        self.data.chmod(0o700)
        if user := _unprivileged():
            for parent, folders, files in os.walk(self.folder):
                for name in (".", *folders, *files):
                    os.chown(os.path.join(parent, name), user["user"], user["group"], follow_symlinks=False)

    @classmethod
    def _certificate(cls) -> tuple[str, str]:
        if cls.certificates is None:
            cls.certificates = own(temp_dir("hf-tls-"))
        made = as_servers_user([tool_path(), "-", "certificate", cls.certificates, "127.0.0.1"])
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        certificate, key = made.stdout.strip().split("\t")
        return certificate, key

    # the tool

    def plan(self) -> Path:
        lines = [("set", "bindir", self.history.server.bindir), ("set", "folder", self.folder),
                 ("set", "listen", "127.0.0.1"), ("set", "port", self.port),
                 ("set", "certificate", self.certificate), ("set", "key", self.key)]
        for kind, values in (("pg", self.settings), ("brought", self.brought),
                             ("source", self.history.source_settings), ("password", self.passwords), ("at", self.at)):
            lines += [(kind, name, value) for name, value in values.items()]
        path = self.plans / "plan"
        path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
        if user := _unprivileged():
            os.chown(path, user["user"], user["group"])
        path.chmod(0o600)
        return path

    def command(self, *words) -> list:
        return [tool_path(), self.plan(), *words]

    def tool(self, *words, check: bool = True, stdin: str = "", timeout: float = 120):
        done = as_servers_user(self.command(*words), input=stdin, timeout=timeout)
        harness.assert_no_secrets(done.stdout + done.stderr, "compute_tool")
        if check and done.returncode != 0:
            raise AssertionError(f"compute_tool {words}: {done.stderr}\n{self.log()}")
        return done if not check else done.stdout.strip()

    def start_in_background(self, *words) -> subprocess.Popen:
        return subprocess.Popen([str(word) for word in self.command(*words)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, **_unprivileged())

    def first_start(self) -> str:
        """What it said, times among it."""
        self.at = {}
        done = self.tool("first-start", check=False)
        if done.returncode != 0:
            raise AssertionError(f"{done.stderr}\n{self.log()}")
        return done.stderr

    def state(self) -> str:
        return self.tool("state")

    # the server

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def sql(self, sql: str, db: str = "postgres", check: bool = True, user: str = "postgres"):
        """As the engine does: through its socket, as its user."""
        try:
            done = self._psql(sql, db, user, CLIENT_SECONDS)
        except subprocess.TimeoutExpired as hung:
            raise AssertionError(f"{hung}\n{self._who_waits()}") from None
        if check and done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout.strip() if check else done

    def _psql(self, sql: str, db: str, user: str, timeout: float) -> subprocess.CompletedProcess:
        return as_servers_user([self.history.server.bindir / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h",
                                self.folder / "run", "-p", self.port, "-U", user, "-d", db, "-f", "-"], input=sql,
                               timeout=timeout)

    def _who_waits(self) -> str:
        """What the server's processes are doing, as the system sees them and as the server does."""
        postmaster = self.postmaster()
        seen = ["process, its name and its state: " + Path(f"/proc/{pid}/stat").read_text().rsplit(" ", 49)[0]
                for pid in (postmaster, *descendants(postmaster))]
        try:
            seen.append(self._psql("SELECT pid, backend_type, state, wait_event_type, wait_event, query "
                                   "FROM pg_stat_activity; SELECT * FROM pg_locks WHERE NOT granted",
                                   "postgres", "postgres", 10).stdout)
        except subprocess.TimeoutExpired:
            seen.append("and it answers nobody")
        return "\n".join([*seen, self.log()])

    def client(self, sql: str, user: str, password: str, db: str = "postgres", host: str = "127.0.0.1",
               parameters: str = "sslmode=require channel_binding=require") -> subprocess.CompletedProcess:
        """As a user does: by TCP, as the stock connection strings say."""
        passfile = harness.temp_dir(mode=0o700) / "pass"
        passfile.write_text(f"*:*:*:*:{password}\n")
        passfile.chmod(0o600)
        return subprocess.run(
            [self.history.server.bindir / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d",
             f"host={host} port={self.port} user={user} dbname={db} {parameters}", "-c", sql],
            env={"PATH": os.environ["PATH"], "PGPASSFILE": str(passfile), "HOME": "/nonexistent",
                 "LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=CLIENT_SECONDS)

    def ledger(self) -> list[int]:
        return [int(n) for n in self.sql("SELECT n FROM ledger ORDER BY n").split()]

    def crash(self) -> None:
        """kill -9 of the postmaster alone: its children are left to notice it."""
        os.kill(self.postmaster(), signal.SIGKILL)

    def remove(self) -> None:
        if tool_path().exists() and self.folder.exists():
            self.tool("remove", check=False)
