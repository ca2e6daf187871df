"""`holdfast serve` for tests: a source, an engine of its own beside it, and ways to talk to both. Imported by tests.

    engine = EngineServer()                       # unmanaged source; ready when it has a window
    engine.api.post("branches", {…})              # validated both ways against the OpenAPI file
    engine.cli("newest")("branches", "list")      # the stock command line, through a listening proxy
    engine.connect("my-branch").psql("SELECT 1")  # over TLS and SCRAM, as a client would

The engine runs as the servers' user (as root: `postgres`), in a folder of its own, which holds all that it
writes. close() ends it, its computes and whatever else runs in that folder, and looks for secrets in what it said.

`ManagedSource` is a source that the engine stops and starts. Failure is an exception with the engine's last words.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

from api_client import Api, ApiProxy
from harness_base import (assert_no_secrets, at_exit, descendants, forget_exit, free_port, free_ports,
                          process_stat, processes, redact, register_secret, send_signal,
                          temp_dir, wait_gone, wait_until)
from harness_program import ENV_PASSED_ON, Result, Spawned, holdfast_bin
from harness_server import STOP_TIMEOUT_S, Server, _unprivileged
from neon_cli import NeonCli, openapi

READY_TIMEOUT_S = 120
LOG_TAIL_CHARS = 6000
STEP_S = 0.05


def lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def lsn_text(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


class ManagedSource(Server):
    """A Server that others may stop, start and put a new folder under: its process is found by its pid file."""

    def __init__(self, settings: dict | None = None, **more):
        start = more.pop("start", True)
        super().__init__(start=False, **more)
        self.configure({"port": self.port, "listen_addresses": self.host,
                        "unix_socket_directories": self.socket_dir, **(settings or {})})
        self.log.chmod(0o666)  # written by whoever starts it
        if self._as:  # who restores it in place puts a new folder beside the old one
            os.chown(self.dir, self._as["user"], self._as["group"])
        if start:
            self.start()

    @property
    def pid(self) -> int:
        try:
            number = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            raise RuntimeError("the source is not running") from None
        if process_stat(number) is None:
            raise RuntimeError("the source is not running")
        return number

    @property
    def running(self) -> bool:
        try:
            return self.pid > 0
        except RuntimeError:
            return False

    def _pg_ctl(self, *args) -> None:
        with open(self.log, "ab") as log:  # not a pipe: the server would keep it open
            done = subprocess.run([self.bindir / "pg_ctl", "-D", self.data, "-s", "-w", *args],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  env=self._server_env(), cwd=self.dir, **self._as)
        if done.returncode != 0:
            raise RuntimeError(f"pg_ctl {args} failed\n{self.log_tail()}")

    def start(self, timeout: float = READY_TIMEOUT_S) -> None:
        if not self.running:
            self._pg_ctl("-t", str(int(timeout)), "-l", str(self.log), "start")

    def stop(self, mode: str = "fast", timeout: float = STOP_TIMEOUT_S) -> None:
        if self.running:
            self._pg_ctl("-t", str(int(timeout)), "-m", mode, "stop")

    def kill9(self) -> None:
        if self.running:
            kill_server(self.pid)


def kill_server(postmaster: int, number: int = signal.SIGKILL) -> None:
    """SIGKILL (or another signal) to a postmaster and all its descendants; returns when they are gone."""
    send_signal(postmaster, signal.SIGSTOP)
    table = processes()
    doomed = [(pid, table[pid][1]) for pid in (postmaster, *descendants(postmaster, table)) if pid in table]
    for pid, _ in reversed(doomed):
        send_signal(pid, number)
    wait_gone(doomed, "killed processes to go")


class Client(Server):
    """The part of Server that talks to one, for a server that somebody else runs: a branch's compute."""

    def __init__(self, bindir, host: str, port: int, user: str, password: str, dbname: str = "postgres"):
        self.bindir, self.host, self.port, self.dbname, self.user = Path(bindir), host, port, dbname, user
        self.major, self.passwords = 0, {user: register_secret(password)}
        self.dir = temp_dir("hf-client-", 0o700)
        self._write_passfile()

    def env(self, user: str | None = None) -> dict[str, str]:
        return {**super().env(user or self.user), "PGSSLMODE": "require", "PGCHANNELBINDING": "require"}

    def client_env(self, user: str | None = None) -> dict[str, str]:
        return super().client_env(user or self.user)

    def close(self) -> None:
        shutil.rmtree(self.dir, ignore_errors=True)

    __exit__ = lambda self, *_: self.close()  # noqa: E731


class EngineServer:
    """`holdfast serve` on a source.

    source: a Server (unmanaged) or a ManagedSource; one is made when there is none. settings: for [engine],
    beside what is chosen here. computes: how many ports there are for them. start: False leaves it stopped.
    """

    def __init__(self, source: Server | None = None, managed: bool = False, settings: dict | None = None,
                 source_settings: dict | None = None, computes: int = 24, start: bool = True):
        self._openapi = openapi()
        self.own_source = source is None
        if source is None:
            source = (ManagedSource if managed else Server)(settings={
                "track_commit_timestamp": "on", "max_wal_senders": 20, **(source_settings or {})})
        self.source, self.managed = source, managed
        self.login = _unprivileged()
        self.dir = temp_dir("hf-engine-")
        self.storage, self.work, self.home = (self._make(n) for n in ("storage", "work", "home"))
        self._give(self.dir, 0o755)
        self.port = free_port()
        first = free_ports(computes)
        self.settings = {"storage_dir": str(self.storage), "work_dir": str(self.work),
                         "listen": f"127.0.0.1:{self.port}", "ports": f"{first}-{first + computes - 1}",
                         **({"data_dir": str(source.data)} if managed else {}), **(settings or {})}
        self.config = self.dir / "holdfast.toml"
        self.process: Spawned | None = None
        self._said: list[Spawned] = []
        self._proxy: ApiProxy | None = None
        self._clis: dict[str, NeonCli] = {}
        self.api: Api | None = None
        self.key = ""
        self._key_file: Path | None = None
        at_exit(self.close)
        self.write_config()
        if start:
            self.start()

    # making it

    def _make(self, name: str) -> Path:
        path = self.dir / name
        path.mkdir()
        self._give(path, 0o700)
        return path

    def _give(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if self.login:
            os.chown(path, self.login["user"], self.login["group"])

    def write_config(self, **changed) -> None:
        """holdfast.toml anew; takes effect at the next start. A value of None takes a setting away."""
        self.settings = {n: v for n, v in {**self.settings, **changed}.items() if v is not None}
        url = self.dir / "url"
        url.write_text(self.source.url() + "\n")
        self._give(url, 0o600)
        lines = [f'database_url_file = "{url}"', f'pg_bindir = "{self.source.bindir}"', "[engine]"]
        for name, value in self.settings.items():
            if isinstance(value, list):
                value = "[" + ", ".join(f'"{v}"' for v in value) + "]"
            elif isinstance(value, str):
                value = f'"{value}"'
            lines.append(f"{name} = {value}")
        self.config.write_text("\n".join(lines) + "\n")
        self._give(self.config, 0o600)

    # running it

    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home), "LANG": "C.UTF-8",
                "TMPDIR": str(self.home),
                **{n: os.environ[n] for n in ENV_PASSED_ON if n in os.environ}}

    def spawn(self, *args, env: dict | None = None, login: dict | None = None,
              stdin: str | None = None) -> Spawned:
        """holdfast as the engine's user, with its configuration."""
        return Spawned([self._program(), *args, "--config", self.config], env={**self._env(), **(env or {})},
                       cwd=self.dir, stdin=stdin, login=self.login if login is None else login)

    def holdfast(self, *args, check: bool = True, timeout: float = 120, **more) -> Result:
        """Not searched for secrets: a key is shown once."""
        process = self.spawn(*args, **more)
        process.wait(timeout)
        forget_exit(process.kill_group)
        result = process._result()
        if check and result.code != 0:
            raise AssertionError(f"{result}\n{self.log_tail()}")
        return result

    def _program(self) -> Path:
        """The program, where the engine's user can run it."""
        program = holdfast_bin()
        if not self.login:
            return program
        done = subprocess.run(["test", "-x", program], **self.login, check=False)
        if done.returncode == 0:
            return program
        copy = self.dir / "holdfast"
        if not copy.exists():
            shutil.copy2(program, copy)
            copy.chmod(0o755)
        return copy

    def start(self, ready: bool = True, timeout: float = READY_TIMEOUT_S) -> None:
        """ready: waits until there is something to recover to."""
        if not self.key:
            self.key = self.add_key("test")
        if self.api is None:
            self.api = Api(self.port, self.key, self._openapi)
        if self.process is None or self.process.poll() is not None:
            self.process = self.spawn("serve")
            self._said.append(self.process)
        self.wait_listening(timeout)
        if ready:
            self.wait_for(lambda: self.history()["windows"], timeout, "a window")

    def wait_listening(self, timeout: float = READY_TIMEOUT_S) -> None:
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"holdfast serve ended with {self.process.returncode}\n{self.log_tail()}")
            try:
                self.api.call("GET", "/users/me")
            except OSError:
                return False
            return True

        self.wait_for(answers, timeout, "holdfast serve to answer")

    def add_key(self, name: str) -> str:
        return register_secret(self.holdfast("key", "add", name, "--json").json()["key"])

    def api_env(self, **more) -> dict[str, str]:
        """What leads the client to this engine; its key is in a file."""
        if self._key_file is None:
            self._key_file = temp_dir("hf-key-", 0o700) / "key"
            self._key_file.touch(0o600)
            self._key_file.write_text(self.key + "\n")
        return {"NEON_API_HOST": f"http://127.0.0.1:{self.port}/api/v2", "NEON_API_KEY_FILE": str(self._key_file),
                **more}

    def wait_for(self, condition, timeout: float = 60, what: str = "the condition"):
        """wait_until, with the engine's last words when it is in vain."""
        try:
            return wait_until(condition, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout: float = 60) -> None:
        """SIGTERM; computes go on."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"not stopped after {timeout} s\n{self.log_tail()}") from None
            if self.process.returncode != 0:
                raise AssertionError(f"exit code {self.process.returncode}\n{self.log_tail()}")

    def kill9(self) -> None:
        """SIGKILL to the engine alone: what it started goes on or ends by itself."""
        if self.running:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def restart(self, **more) -> None:
        self.stop()
        self.start(**more)

    def log_text(self) -> str:
        return "".join(process.err() for process in self._said)

    def log_tail(self) -> str:
        """Without the polling of tests that wait."""
        said = re.sub(r"(?m)^.*GET /projects/\{project_id\}/(history|operations\S*) 200 .*\n", "",
                      self.log_text())
        return redact(f"--- the engine said\n{said[-LOG_TAIL_CHARS:]}")

    def inhabitants(self) -> list[int]:
        """Processes that work in the engine's folder: itself, computes, receivers."""
        found = []
        for pid in processes():
            try:
                where = os.readlink(f"/proc/{pid}/cwd")
            except OSError:
                continue
            if where == str(self.dir) or where.startswith(f"{self.dir}/"):
                found.append(pid)
        return found

    def drop_branches(self, chosen=lambda branch: branch.get("parent_id")) -> None:
        """Deletes those of the branches that are chosen (all that have a parent), but never the default one;
        children before their parents."""
        while True:
            left = self.api.branches()
            parents = {branch.get("parent_id") for branch in left.values()}
            leaves = [branch for branch in left.values()
                      if branch["id"] not in parents and chosen(branch) and not branch["default"]]
            if not leaves:
                return
            for branch in leaves:
                if branch["protected"]:
                    self.api.patch(f"branches/{branch['id']}", {"branch": {"protected": False}})
                self.settle(self.api.delete(f"branches/{branch['id']}"))

    def postmasters(self) -> dict[int, Path]:
        """pid → data folder of the computes that run."""
        found = {}
        # Not rglob, which fails over a folder that goes while it looks.
        for folder, _, files in os.walk(self.work):
            if "postmaster.pid" not in files:
                continue
            file = Path(folder) / "postmaster.pid"
            try:
                number = int(file.read_text().split("\n", 1)[0])
                if os.readlink(f"/proc/{number}/cwd").startswith(str(self.dir)):
                    found[number] = file.parent
            except (OSError, ValueError):
                pass
        return found

    def close(self) -> None:
        """Ends all that runs here, whatever state it is in, and removes the folder."""
        forget_exit(self.close)
        if self._proxy is not None:
            self._proxy.close()
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill9()
        for pid in self.postmasters():  # so that their shared memory is given back
            send_signal(pid, signal.SIGQUIT)
        try:
            wait_until(lambda: not self.postmasters(), 10)
        except AssertionError:
            pass
        for pid in self.inhabitants():
            send_signal(pid, signal.SIGKILL)
        for process in self._said:
            forget_exit(process.kill_group)
        said = self.log_text()
        if self.own_source:
            self.source.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert_no_secrets(said, "the engine's log")

    def __enter__(self) -> "EngineServer":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # talking to it

    @property
    def proxy(self) -> ApiProxy:
        if self._proxy is None:
            self._proxy = ApiProxy(self.port, self._openapi)
        return self._proxy

    def cli(self, which: str) -> NeonCli:
        """A stock command line; what it says and hears is in `proxy`."""
        if which not in self._clis:
            self._clis[which] = NeonCli(which, self.proxy.url, self.key, self.api.project)
        return self._clis[which]

    def history(self) -> dict:
        """{"windows": […], "receiving": {…}}: an addition to the API of this engine's own."""
        return self.api.get("history", judged=False).json

    def wait_received(self, until: str | None = None, timeout: float = 60) -> str:
        """Until WAL up to `until` (default: all that the source has written) is here; that LSN."""
        until = until or self.source.psql("SELECT pg_current_wal_flush_lsn()")
        self.wait_for(lambda: lsn(self.history()["receiving"]["received_lsn"]) >= lsn(until), timeout,
                      f"WAL up to {until}")
        return until

    def wait_caught_up(self, instant, timeout: float = 60) -> None:
        """Until a point in time at `instant` (datetime) can be asked for."""
        def reached():
            windows = self.history()["windows"]
            return windows and parse_time(windows[-1]["to"]) >= instant

        self.wait_for(reached, timeout, f"the window to reach {instant}")

    def create_branch(self, name: str, compute: bool = True, expect: int = 201, wait: bool = True,
                      **branch):
        """A branch (parent_id, parent_lsn, parent_timestamp, … in `branch`) and, by default, its compute."""
        answer = self.api.post("branches", {
            "branch": {"name": name, **branch},
            "endpoints": [{"type": "read_write"}] if compute else []}, expect=expect)
        if wait and expect == 201:
            self.settle(answer)
        return answer

    def settle(self, answer, timeout: float = 120) -> None:
        try:
            self.api.wait(answer, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def endpoint(self, branch_id: str) -> dict:
        """The read-write endpoint of a branch."""
        found, = [e for e in self.api.get(f"branches/{branch_id}/endpoints")["endpoints"]
                  if e["type"] == "read_write"]
        return found

    def connect(self, branch: str, role: str = "postgres", dbname: str = "postgres") -> Client:
        """branch: its name or id. The password comes from the API, the way in from its endpoint."""
        ids = {b["name"]: b["id"] for b in self.api.branches().values()}
        id = ids.get(branch, branch)
        password = self.api.get(f"branches/{id}/roles/{role}/reveal_password")["password"]
        host, _, port = self.endpoint(id)["host"].rpartition(":")
        return Client(self.source.bindir, host, int(port), role, password, dbname)


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def time_text(instant: datetime) -> str:
    """As clients write it: UTC, milliseconds (the rest is cut off)."""
    return instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def now_on(server: Server) -> datetime:
    """The server's clock, cut to the milliseconds of the API's times."""
    seconds = server.psql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return datetime.fromtimestamp(int(seconds) / 1000, timezone.utc)


def use_tls(server: Server) -> None:
    """A certificate of its own for a stopped or running server, which then speaks TLS."""
    for name in ("server.key", "server.crt"):
        (server.data / name).unlink(missing_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "2", "-subj", "/CN=holdfast test source", "-keyout",
                    server.data / "server.key", "-out", server.data / "server.crt"],
                   check=True, capture_output=True)
    for name in ("server.key", "server.crt"):
        server._give_away_file(server.data / name)
    server.configure({"ssl": "on"}, reload=server.running)


def pause(low: float, high: float) -> None:
    """A random while, for tests that strike at random moments."""
    time.sleep(random.uniform(low, high))
