"""What all of the harness builds on: secrets, temporary folders, ports, waiting, processes, clean-up.

Part of harness.py, which tests import. At exit everything announced by at_exit ends, latest first, then the
folders go. Thread-safe.
"""

import atexit
import fcntl
import os
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

POLL_S = 0.02
SECRET_CHARS_MIN = 6  # shorter ones occur by chance

secrets: set[str] = set()


class Unavailable(RuntimeError):
    """This machine has no such PostgreSQL and cannot get it."""


# ---- secrets -----------------------------------------------------------------------------------


def register_secret(text: str) -> str:
    """From now on `text` (also percent-encoded) may occur in no output and no process listing."""
    if len(text) < SECRET_CHARS_MIN:
        raise ValueError("a secret this short occurs by chance; make it longer")
    secrets.add(text)
    secrets.add(quote(text, safe=""))
    return text


def random_secret() -> str:
    """A fresh registered secret of characters that need no quoting anywhere."""
    return register_secret("pw" + os.urandom(15).hex())


def redact(text: str, known=None) -> str:
    for secret in sorted(secrets if known is None else known, key=len, reverse=True):
        text = text.replace(secret, "<secret>")
    return text


def assert_no_secrets(text: str | bytes, where: str) -> None:
    data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    if any(secret.encode() in data for secret in tuple(secrets)):  # other threads add some
        raise AssertionError(f"{where} shows a secret:\n{redact(data.decode(errors='replace'))}")


# ---- files, ports, waiting ---------------------------------------------------------------------

_owner_pid = os.getpid()
_temp_dirs: list[Path] = []
_endings: list = []
_port_locks: list = []
_lock = threading.Lock()


def temp_root() -> Path:
    """Where temporary folders go: one that another user can enter, since servers may run as another."""
    root = Path(tempfile.gettempdir()).resolve()
    if os.geteuid() == 0 and not all(p.stat().st_mode & 0o001 for p in (root, *root.parents)):
        return Path("/tmp")
    return root


def temp_dir(prefix: str = "hf-", mode: int = 0o755, parent: Path | None = None) -> Path:
    """A new folder, removed at exit; others may enter it unless `mode` says otherwise."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent or temp_root()))
    path.chmod(mode)
    with _lock:
        _temp_dirs.append(path)
    return path


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody else gets from here until this process ends.

    Below the range the kernel hands out for outgoing connections, and reserved by a lock on a file, so
    neither a client nor a test file running beside this one takes it between stop and start.
    """
    return free_ports(1)


def free_ports(number: int) -> int:
    """The first of so many ports in a row, each as `free_port` gives them."""
    folder = temp_root() / f"holdfast-test-ports-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    for _ in range(500):
        first = random.randrange(17000, 32000 - number)
        handles = []
        try:
            for port in range(first, first + number):
                handles.append(open(folder / str(port), "w"))
                fcntl.flock(handles[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
        except OSError:
            for handle in handles:
                handle.close()
            continue
        with _lock:
            _port_locks.extend(handles)
        return first
    raise RuntimeError(f"no {number} free ports between 17000 and 32000")


def wait_until(condition, timeout: float = 30, what: str = "the condition"):
    """Polls until `condition()` is true and returns its value; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(POLL_S)


def at_exit(ending) -> None:
    """`ending()` is called when this process exits, latest first, unless forget_exit came before."""
    with _lock:
        _endings.append(ending)


def forget_exit(ending) -> None:
    with _lock:
        if ending in _endings:
            _endings.remove(ending)


def _clean_up() -> None:
    if os.getpid() != _owner_pid:  # a forked child owns none of this
        return
    for ending in reversed(list(_endings)):
        try:
            ending()
        except Exception as error:  # the other endings still have to happen
            print(f"clean-up: {error!r}", file=sys.stderr)
    for path in _temp_dirs:
        shutil.rmtree(path, ignore_errors=True)
    for handle in _port_locks:
        handle.close()


atexit.register(_clean_up)


# ---- processes ---------------------------------------------------------------------------------


def process_stat(pid: int) -> tuple[int, str] | None:
    """Parent and start time of a process that has not ended (proc(5), stat fields 3, 4 and 22)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else (int(fields[1]), fields[19].decode())


def processes() -> dict[int, tuple[int, str]]:
    """pid → (parent, start time) of everything that runs now."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := process_stat(int(name))):
            found[int(name)] = stat
    return found


def descendants(root: int, table=None) -> list[int]:
    """Children, grandchildren and so on of `root`, without `root`."""
    table = processes() if table is None else table
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found.append(pid)
            todo.append(pid)
    return found


def wait_gone(doomed: list[tuple[int, str]], what: str) -> None:
    """Until processes, each a pid and its start time, have ended."""
    wait_until(lambda: not any((s := process_stat(p)) and s[1] == t for p, t in doomed), 30, what)


def send_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
