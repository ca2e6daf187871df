"""Watching the machine's process listing for secrets. Part of harness.py."""

import os
import sys
import threading
from pathlib import Path

from harness_base import descendants, processes, redact, secrets


class SecretWatch:
    """Watches, while its block runs, that no secret appears in a process listing; fails at the end if so.

    Looked at: the arguments of every process on the machine, and the environment of every descendant of
    this test except holdfast itself (the test hands holdfast its secrets there; its children are another
    matter). Once seen as a descendant, a process stays one, also when its parent dies. Sampling may miss a
    process that lives for less than a few milliseconds; `samples` says how often it looked.
    """

    def __init__(self, known=None, interval_s: float = 0.005):
        self._known = known
        self._interval_s = interval_s
        self.samples = 0
        self.violations: dict[tuple, str] = {}
        self._stop = threading.Event()
        self._ours: set[tuple[int, str]] = set()
        self._thread = threading.Thread(target=self._run, name="secret-watch", daemon=True)
        self._failure: BaseException | None = None
        binary = os.environ.get("HOLDFAST_BIN")
        self._holdfast = os.path.realpath(binary) if binary else None

    def __enter__(self) -> "SecretWatch":
        self._thread.start()
        return self

    def __exit__(self, kind, value, trace) -> None:
        self._stop.set()
        self._thread.join()
        problem = self.report()
        if self._failure is not None and kind is None:
            raise AssertionError("the watch itself failed") from self._failure
        if problem and kind is None:
            raise AssertionError(problem)
        if problem:
            print(problem, file=sys.stderr)

    def report(self) -> str:
        """Empty, or what was seen where, without the secrets."""
        return "\n".join(self.violations.values())

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.look()
                self._stop.wait(self._interval_s)
        except BaseException as error:  # handed to the test's thread by __exit__
            self._failure = error

    def look(self) -> None:
        """One sample."""
        known = {s.encode() for s in (secrets if self._known is None else self._known).copy()}
        table = processes()
        self._ours = {key for key in self._ours if key[0] in table and table[key[0]][1] == key[1]}
        roots = {os.getpid()} | {pid for pid, _ in self._ours}
        for root in roots:
            self._ours |= {(pid, table[pid][1]) for pid in descendants(root, table)}
        ours = {pid for pid, _ in self._ours}
        for pid in table:
            self._check(pid, "cmdline", known)
            if pid in ours and not self._is_holdfast(pid):
                self._check(pid, "environ", known)
        self.samples += 1

    def _is_holdfast(self, pid: int) -> bool:
        try:
            return os.readlink(f"/proc/{pid}/exe") == self._holdfast
        except FileNotFoundError:  # it ended: what was read may have been holdfast's own
            return True
        except OSError:
            return False

    def _check(self, pid: int, what: str, known: set[bytes]) -> None:
        try:
            with open(f"/proc/{pid}/{what}", "rb") as handle:
                data = handle.read()
        except OSError:  # gone, or another user's
            return
        hit = [secret for secret in known if secret in data]
        if not hit:
            return
        if what == "environ" and self._is_holdfast(pid):  # it became holdfast between two reads
            return
        items = [item for item in data.split(b"\0") if any(secret in item for secret in hit)]
        shown = redact(b" ".join(items).decode(errors="replace"), [s.decode() for s in hit])
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            name = "?"
        self.violations.setdefault(
            (pid, what, name, shown), f"a secret stands in the {what} of process {pid} ({name}): {shown}")
