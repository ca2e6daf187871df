"""Running the program under test: holdfast, in the foreground or in the background. Part of harness.py.

Every finished call is checked for registered secrets in its output. Failure is an AssertionError that shows
what the program printed, without the secrets.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from harness_base import assert_no_secrets, at_exit, forget_exit, redact, temp_dir, wait_until

# What may pass into holdfast's otherwise empty environment: only what sanitizers and coverage need.
ENV_PASSED_ON = ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
                 "LLVM_PROFILE_FILE", "GCOV_PREFIX", "GCOV_PREFIX_STRIP")


class Result:
    """What a finished program left: `code`, `out`, `err` (text), `args`, `seconds`."""

    def __init__(self, args, code: int, out: bytes, err: bytes, seconds: float = 0):
        self.args, self.code, self.seconds = [str(a) for a in args], code, seconds
        self.out_bytes, self.err_bytes = out, err
        self.out = out.decode(errors="replace")
        self.err = err.decode(errors="replace")

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"standard output is no JSON ({error})\n{self}") from None

    def __str__(self):
        return redact(f"{' '.join(self.args)}\nexit code {self.code}\n"
                      f"--- stdout\n{self.out}\n--- stderr\n{self.err}")


def holdfast_bin() -> Path:
    path = os.environ.get("HOLDFAST_BIN")
    if not path:
        raise RuntimeError("HOLDFAST_BIN names no program; set it to the holdfast binary under test")
    return Path(path).resolve()


_home: Path | None = None


def home() -> Path:
    """The HOME that holdfast gets in this test file: a temporary folder, the same in every call."""
    global _home
    if _home is None:
        _home = temp_dir("hf-home-", 0o700)
    return _home


def _clean_env(extra: dict | None) -> dict[str, str]:
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home()), "LANG": "C.UTF-8"}
    env.update({name: os.environ[name] for name in ENV_PASSED_ON if name in os.environ})
    env.update({name: str(value) for name, value in (extra or {}).items() if value is not None})
    return env


def holdfast(*args, env: dict | None = None, check: bool = True, expect: int | None = None,
             timeout: float = 120, stdin: str | bytes | None = None, cwd=None) -> Result:
    """Runs holdfast in a clean environment (PATH, HOME, LANG and `env`) and returns its Result.

    check: a code other than 0 fails the test. expect: exactly this code, whatever `check` says.
    A registered secret in its output, or `timeout` seconds gone, fails the test as well.
    """
    process = spawn_holdfast(*args, env=env, stdin=stdin, cwd=cwd)
    result = process.finish(timeout)
    wanted = expect if expect is not None else 0 if check else None
    if wanted is not None and result.code != wanted:
        raise AssertionError(f"expected exit code {wanted}: {result}")
    return result


class Spawned(subprocess.Popen):
    """holdfast in the background, in its own process group; its output goes to files, so it never blocks.

    `.out()`, `.err()`: the text so far. `.wait_for(text)`: until one of them shows `text`.
    `.finish(timeout)`: the Result once it ends. `.stop(signal, timeout)`: signal it, then finish.
    A process still there at exit is killed with its group. login: as whom it runs, see Server.
    """

    def __init__(self, args, env=None, stdin=None, cwd=None, login: dict | None = None):
        folder = temp_dir("hf-run-", 0o700)
        self._out, self._err = folder / "out", folder / "err"
        self._began = time.monotonic()
        data = stdin.encode() if isinstance(stdin, str) else stdin
        if data is not None:
            (folder / "in").write_bytes(data)
        with open(self._out, "wb") as out, open(self._err, "wb") as err, \
                open(os.devnull if data is None else folder / "in", "rb") as source:
            super().__init__([str(a) for a in args], env=env, cwd=cwd, stdin=source, stdout=out,
                             stderr=err, start_new_session=True, **(login or {}))
        at_exit(self.kill_group)

    def out(self) -> str:
        return self._out.read_bytes().decode(errors="replace")

    def err(self) -> str:
        return self._err.read_bytes().decode(errors="replace")

    def wait_for(self, text: str, timeout: float = 30) -> None:
        def seen():
            ended = self.poll() is not None  # asked first: what came before the end still counts
            if text in self.out() or text in self.err():
                return True
            if ended:
                raise AssertionError(f"ended before it said {text!r}: {self._result()}")
            return False

        try:
            wait_until(seen, timeout, repr(text))
        except AssertionError as error:
            raise AssertionError(f"{redact(str(error))}\n--- stdout\n{redact(self.out())}\n"
                                 f"--- stderr\n{redact(self.err())}") from None

    def _result(self) -> Result:
        return Result(self.args, self.returncode, self._out.read_bytes(), self._err.read_bytes(),
                      time.monotonic() - self._began)

    def finish(self, timeout: float = 120) -> Result:
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill_group()
            raise AssertionError(f"still running after {timeout} s: {self._result()}") from None
        forget_exit(self.kill_group)
        result = self._result()
        assert_no_secrets(result.out_bytes, f"standard output of {redact(' '.join(result.args))}")
        assert_no_secrets(result.err_bytes, f"standard error of {redact(' '.join(result.args))}")
        return result

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> Result:
        if self.poll() is None:
            self.send_signal(number)
        return self.finish(timeout)

    def kill_group(self) -> None:
        """SIGKILL to it and everything it started that stayed in its group."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.wait()


def spawn_holdfast(*args, env: dict | None = None, stdin: str | bytes | None = None,
                   cwd=None) -> Spawned:
    """Like `holdfast`, but returns at once with the running process."""
    return Spawned([holdfast_bin(), *args], env=_clean_env(env), stdin=stdin, cwd=cwd)
