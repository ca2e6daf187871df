"""The stock Neon command lines, unmodified, against a server of the test. Part of harness.py.

    cli = NeonCli("newest", proxy.url, key, project)
    cli("branches", "list").json()

Each call has an empty HOME and folder of its own and no analytics. Outputs hold passwords on purpose
(`connection-string`), so they are not searched for secrets; what a failure shows is.
"""

import json
import os
import subprocess
import time
from functools import cache
from pathlib import Path

from harness_base import Unavailable, temp_dir
from harness_program import Result
from harness_server import cache_dir
from openapi import OpenApi

CLIS = ("older", "newest")  # neonctl 4.22.0, neon 6.2.3: neon-cli/package.json


@cache
def neon_folder() -> Path:
    """Where install-neon put everything; Unavailable when it cannot."""
    folder = cache_dir() / "neon"
    script = Path(__file__).resolve().parent / "install-neon"
    made = subprocess.run([script, folder], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        raise Unavailable(f"the Neon command line: {made.stderr.strip()}")
    return folder


@cache
def openapi() -> OpenApi:
    return OpenApi(neon_folder() / "openapi.json")


class NeonCli:
    """One of CLIS. host: with the mount path. project: None lets the CLI find the only one."""

    def __init__(self, which: str, host: str, key: str, project: str | None):
        self.which, self.host, self.key, self.project = which, host, key, project
        self._program = neon_folder() / f"neon-{which}"
        self.folder = temp_dir(f"hf-neon-{which}-", 0o700)

    def __call__(self, *args, check: bool = True, output: str = "json", env: dict | None = None,
                 timeout: float = 120, stdin: bytes = b"", path: str | None = None) -> Result:
        """output: json, yaml or table. What stands after "--" stays at the end. path: of programs."""
        given = [str(a) for a in args]
        after = given[given.index("--"):] if "--" in given else []
        command = [str(self._program), *given[:len(given) - len(after)], "--no-analytics"]
        if output != "table":
            command += ["--output", output]
        if self.project:
            command += ["--project-id", self.project]
        command += after
        began = time.monotonic()
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=timeout, cwd=self.folder,
            env={"PATH": path or os.environ.get("PATH", os.defpath), "HOME": str(self.folder),
                 "LANG": "C.UTF-8", "TZ": "UTC", "CI": "1", "NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1",
                 "NEON_API_HOST": self.host, "NEON_API_KEY": self.key, **(env or {})})
        result = Result([f"neon-{self.which}", *command[1:]], done.returncode, done.stdout, done.stderr,
                        time.monotonic() - began)
        if check and result.code != 0:
            raise AssertionError(str(result))
        return result

    def write_context(self, branch: str | None = None) -> None:
        """.neon in its folder, as `neon link` leaves it."""
        (self.folder / ".neon").write_text(json.dumps({"projectId": self.project, "branch": branch}))
