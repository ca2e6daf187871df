"""PostgreSQL for tests: finding its programs and running throwaway servers. Part of harness.py.

As root the servers run as an unprivileged user. This process's own clients get passwords by PGPASSFILE only.
"""

import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
import unittest
from pathlib import Path
from urllib.parse import quote

from harness_base import (Unavailable, at_exit, descendants, forget_exit, free_port,
                          processes, random_secret, register_secret, send_signal, temp_dir,
                          wait_gone, wait_until)
from harness_program import Result

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
LOG_TAIL_CHARS = 4000


def cache_dir() -> Path:
    """Where fetched PostgreSQL versions stay: as root a folder that the servers' user can enter."""
    if os.geteuid() == 0:
        return Path("/var/cache/holdfast-test")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "holdfast-test"


def server_bindir(major: int) -> Path:
    """The folder with postgres, pg_dump and so on of a major version; fetches it when it is not there."""
    named = os.environ.get(f"HOLDFAST_TEST_PG{major}")
    if named:
        if not os.access(os.path.join(named, "bin", "postgres"), os.X_OK):
            raise Unavailable(f"HOLDFAST_TEST_PG{major} names {named}, which has no bin/postgres")
        return Path(named).resolve() / "bin"
    packaged = Path(f"/usr/lib/postgresql/{major}/bin")
    if os.access(packaged / "postgres", os.X_OK):
        return packaged
    cached = cache_dir() / f"pg{major}"
    script = Path(__file__).resolve().parent / "postgres-from-suite"
    made = subprocess.run([script, str(major), cached], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        raise Unavailable(f"PostgreSQL {major}: {made.stderr.strip()}")
    return cached / "bin"


def skip_unless_server(major: int) -> Path:
    """server_bindir for setUp and setUpClass: skips the test when this machine cannot have that version."""
    try:
        return server_bindir(major)
    except Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


def _unprivileged() -> dict:
    """subprocess arguments under which PostgreSQL agrees to run."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Unavailable("PostgreSQL refuses root, and there is neither a user postgres nor a user nobody")


def ident(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted SQL string."""
    escaped = text.replace("'", "''")
    return " E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


class Server:
    """A PostgreSQL server of its own: made, started and, at exit at the latest, removed.

    major, bindir: which PostgreSQL. settings: written to postgresql.conf. auth: 'scram' or 'trust', for
    the socket, 127.0.0.1 and replication alike. fsync: off unless a test is about durability.
    data, password: adopt an existing data folder (a restored backup, say) instead of running initdb; it
    is given to the servers' user, and the password is the one its superuser `postgres` already has.
    start: False leaves it stopped, for a test that prepares the data folder first.

    Where: 127.0.0.1:`port` and a socket in `socket_dir`. Port and folders stay the same over restarts.
    Not thread-safe, except that psql, url and env may be called from several threads.
    """

    def __init__(self, major: int = 15, bindir=None, settings: dict | None = None,
                 auth: str = "scram", fsync: bool = False, data=None, password: str | None = None,
                 start: bool = True):
        self.major = major
        self.bindir = Path(bindir) if bindir else server_bindir(major)
        self.dir = temp_dir("hf-pg-")
        self.socket_dir = self._make_socket_dir()
        self.log = self.dir / "log"
        self.log.touch()
        self.port = free_port()
        self.host = "127.0.0.1"
        self.passwords = {"postgres": register_secret(password) if password else random_secret()}
        self._as = _unprivileged()
        self._process: subprocess.Popen | None = None
        self._passfile_lock = threading.Lock()
        self._write_passfile()
        at_exit(self.close)
        if data is None:
            self.data = self.dir / "data"
            self._initdb(auth, fsync)
        else:
            self.data = Path(data)
            self._give_away(self.data)
        self.configure(settings or {})
        if start:
            self.start()

    # making it

    def _make_socket_dir(self) -> Path:
        """Socket paths end at 107 bytes, so a long TMPDIR is passed by."""
        path = self.dir / "run"
        if len(str(path)) > 80:
            path = temp_dir(parent=Path("/tmp"))
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
        if owner := _unprivileged():
            os.chown(path, owner["user"], owner["group"])
        return path

    def _give_away(self, folder: Path) -> None:
        if not self._as:
            return
        for parent, folders, files in os.walk(folder):
            for name in (".", *folders, *files):
                os.chown(os.path.join(parent, name), self._as["user"], self._as["group"],
                         follow_symlinks=False)

    def _initdb(self, auth: str, fsync: bool) -> None:
        self.data.mkdir(mode=0o700)
        self._give_away(self.data)
        pwfile = self.dir / "pwfile"
        pwfile.write_text(self.passwords["postgres"] + "\n")
        self._give_away_file(pwfile)
        method = {"scram": "scram-sha-256", "trust": "trust"}[auth]
        done = subprocess.run(
            [self.bindir / "initdb", "-D", self.data, "-U", "postgres", "--pwfile", pwfile,
             f"--auth={method}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            capture_output=True, text=True, env=self._server_env(), cwd=self.dir, **self._as)
        pwfile.unlink()
        if done.returncode != 0:
            raise RuntimeError(f"initdb of PostgreSQL {self.major} failed\n{done.stdout}{done.stderr}")
        self.configure({"fsync": "on" if fsync else "off", "max_connections": 60,
                        "shared_buffers": "32MB", "log_line_prefix": "%m [%p] %q%u@%d ",
                        # goes with the folder, also when the server is killed
                        "dynamic_shared_memory_type": "mmap"})

    def _give_away_file(self, path: Path) -> None:
        path.chmod(0o600)
        if self._as:
            os.chown(path, self._as["user"], self._as["group"])

    def _server_env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(self.dir)}

    def configure(self, settings: dict, reload: bool = False) -> None:
        """Appends to postgresql.conf; takes effect at the next start, or now where `reload` suffices."""
        if not settings:
            return
        lines = []
        for name, value in settings.items():
            text = str(value).replace("\\", "\\\\").replace("'", "''")
            lines.append(f"{name} = '{text}'\n")
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.writelines(lines)
        if reload:
            os.kill(self.pid, signal.SIGHUP)

    # running it

    @property
    def pid(self) -> int:
        if not self.running:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = START_TIMEOUT_S) -> None:
        """Starts it and waits until it accepts connections (a standby: read-only ones)."""
        if self.running:
            return
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [self.bindir / "postgres", "-D", self.data, "-c", f"port={self.port}",
                 "-c", f"listen_addresses={self.host}",
                 "-c", f"unix_socket_directories={self.socket_dir}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._server_env(),
                cwd=self.dir, start_new_session=True, **self._as)

        def ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL {self.major} did not start\n{self.log_tail()}")
            try:  # PostgreSQL's own note of its state: line 1 the process, line 8 the state
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except OSError:
                return False
            return len(lines) >= 8 and lines[0] == str(self._process.pid) and \
                lines[7].strip() in ("ready", "standby")

        try:
            wait_until(ready, timeout, "the server to accept connections")
        except AssertionError:
            tail = self.log_tail()
            self.kill9()
            raise RuntimeError(f"PostgreSQL {self.major} was not ready after {timeout} s\n{tail}") from None

    def stop(self, mode: str = "fast", timeout: float = STOP_TIMEOUT_S) -> None:
        """mode: 'smart' (waits for clients), 'fast' or 'immediate' (as after a crash)."""
        if not self.running:
            return
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self._process.send_signal(number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            tail = self.log_tail()
            self.kill9()
            raise RuntimeError(f"a {mode} stop took more than {timeout} s\n{tail}") from None

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill9(self) -> None:
        """SIGKILL to the postmaster and all its descendants: what a power cut leaves (with fsync on)."""
        if not self.running:
            return
        postmaster = self._process.pid
        send_signal(postmaster, signal.SIGSTOP)  # so that it starts no more children
        table = processes()
        doomed = [(pid, table[pid][1]) for pid in descendants(postmaster, table)]
        for pid, _ in doomed:
            send_signal(pid, signal.SIGKILL)
        send_signal(postmaster, signal.SIGKILL)
        self._process.wait()
        # The next postmaster refuses to start while a child still holds the shared memory.
        wait_gone(doomed, "killed children to go")

    def close(self) -> None:
        """Stops it at once and removes its folder (an adopted data folder stays)."""
        try:
            self.stop("immediate", timeout=15)
        except RuntimeError:
            pass
        forget_exit(self.close)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def log_tail(self) -> str:
        return self.log_text()[-LOG_TAIL_CHARS:]

    # using it

    def _write_passfile(self) -> None:
        """For this process's own clients: a password in their environment would trip SecretWatch."""
        def field(text):
            return text.replace("\\", "\\\\").replace(":", "\\:")

        path = self.dir / "pgpass"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            for user, password in self.passwords.items():
                handle.write(f"*:*:*:{field(user)}:{field(password)}\n")

    @property
    def passfile(self) -> Path:
        """A PGPASSFILE that holds the passwords of all known roles; readable by this process's user only."""
        return self.dir / "pgpass"

    def url(self, dbname: str = "postgres", user: str = "postgres",
            password: str | bool | None = True) -> str:
        """A postgresql:// address; with the role's known password (True), another one, or none (None)."""
        if password is True:
            password = self.passwords.get(user)
        login = quote(user, safe="") + (":" + quote(password, safe="") if password else "")
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(dbname, safe='')}"

    def env(self, user: str = "postgres") -> dict[str, str]:
        """PG* variables under which libpq reaches this server, the password by PGPASSFILE."""
        return {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": user,
                "PGPASSFILE": str(self.passfile), "PGCONNECT_TIMEOUT": "10"}

    def client_env(self, user: str = "postgres") -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.dir),
                "LANG": "C.UTF-8", "TZ": "UTC", **self.env(user)}

    def tool(self, name: str, *args, user: str = "postgres", check: bool = True,
             stdin: str | bytes | None = None, timeout: float = 300) -> Result:
        """Runs one of PostgreSQL's own programs (pg_dump, …) of this version against this server."""
        command = [str(self.bindir / name), *(str(a) for a in args)]
        data = stdin.encode() if isinstance(stdin, str) else stdin
        began = time.monotonic()
        done = subprocess.run(command, input=data if data is not None else b"", capture_output=True,
                              env=self.client_env(user), cwd=self.dir, timeout=timeout)
        result = Result(command, done.returncode, done.stdout, done.stderr, time.monotonic() - began)
        if check and result.code != 0:
            raise AssertionError(str(result))
        return result

    def psql(self, sql: str, db: str = "postgres", user: str = "postgres", check: bool = True,
             timeout: float = 300) -> str:
        """Runs a script through psql and returns its unaligned output without the last line's end.

        The first failing statement raises AssertionError with psql's words; with check=False its error
        text is returned instead.
        """
        result = self.tool("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
                           f"dbname={conninfo(db)}", "-f", "-", user=user, stdin=sql,
                           check=check, timeout=timeout)
        return result.out.removesuffix("\n") if result.code == 0 else result.err

    def createdb(self, name: str, owner: str | None = None, template: str = "template0") -> str:
        """Creates an empty database and returns its name."""
        self.psql(f"CREATE DATABASE {ident(name)} TEMPLATE {ident(template)}"
                  + (f" OWNER {ident(owner)}" if owner else ""))
        return name

    def dropdb(self, name: str) -> None:
        self.psql(f"DROP DATABASE IF EXISTS {ident(name)} WITH (FORCE)")

    def create_role(self, name: str, options: str = "LOGIN", password: str | None = None) -> str:
        """Creates a role with a registered (by default random) password and returns the password."""
        password = register_secret(password) if password else random_secret()
        self.psql(f"CREATE ROLE {ident(name)} {options} PASSWORD {literal(password)}")
        with self._passfile_lock:
            self.passwords[name] = password
            self._write_passfile()
        return password


def conninfo(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
