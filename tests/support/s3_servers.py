"""S3 servers for the tests, on free ports of 127.0.0.1. Part of harness.py, which tests import.

`S3rver` (npm), `Swift` (OpenStack's, with its S3 layer) and `Ceph` (its gateway; large, so not everywhere)
were not written by this project, so they answer whether the S3 store speaks S3 and not merely its authors'
idea of it. `FakeS3`, which is ours, does what those do not do on demand; it has a module of its own,
fake_s3.py.

All of them are an `S3Server`: an endpoint, a login, and stock `aws` against it. Each runs as a child of this
process, keeps its objects in a temporary folder, and ends with this process at the latest. Failure is an
exception that holds the server's log; `Unavailable` means that it cannot be had on this machine.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from harness_base import (
    Unavailable, at_exit, descendants, forget_exit, free_port, send_signal, temp_dir, wait_until,
)
from harness_program import Result
from harness_server import cache_dir

START_TIMEOUT_S = 60
LOG_TAIL_CHARS = 4000
OUT_SHOWN_BYTES = 2000  # of a download that failed half-way
AWS = "/usr/bin/aws"  # Debian's, whatever else comes first in PATH


class S3Server:
    """What every server here has: `endpoint`, `access_key`, `secret_key`, `region`, `dir`."""

    region = "us-east-1"
    lists_uploads = checks_signatures = True

    def __init__(self, access_key: str, secret_key: str):
        self.access_key, self.secret_key = access_key, secret_key
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.dir = temp_dir("hf-s3-")
        (self.dir / "home").mkdir()

    def close(self) -> None:
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> "S3Server":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def env(self, **more) -> dict[str, str]:
        """Under which holdfast, aws and everything else that knows AWS's variables reach it."""
        return {"AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": self.region,
                "AWS_EC2_METADATA_DISABLED": "true", **more}

    def aws(self, *args, check: bool = True, stdin: bytes | None = None,
            config: dict | None = None, timeout: float = 300) -> Result:
        """Runs stock `aws` against it. config: settings of its `s3` section, for one call."""
        home = temp_dir("hf-aws-", 0o700, self.dir / "home")
        (home / "config").write_text(
            f"[default]\nregion = {self.region}\noutput = json\ncli_pager =\n"
            "s3 =\n  addressing_style = path\n"
            + "".join(f"  {name} = {value}\n" for name, value in (config or {}).items()))
        env = {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC",
               "AWS_CONFIG_FILE": str(home / "config"),
               **{n: v for n, v in self.env().items() if n != "AWS_ENDPOINT_URL_S3"}}
        command = [AWS, "--endpoint-url", self.endpoint, *(str(a) for a in args)]
        began = time.monotonic()
        try:
            done = subprocess.run(command, input=stdin if stdin is not None else b"",
                                  capture_output=True, env=env, cwd=home, timeout=timeout)
        except FileNotFoundError:
            raise Unavailable("there is no /usr/bin/aws (Debian's package awscli)") from None
        finally:
            shutil.rmtree(home, ignore_errors=True)
        result = Result(command, done.returncode, done.stdout, done.stderr,
                        time.monotonic() - began)
        if check and result.code != 0:
            shown = Result(command, result.code, done.stdout[:OUT_SHOWN_BYTES], done.stderr)
            raise AssertionError(f"{shown}\n{self.log_tail()}")
        return result

    def log_tail(self) -> str:
        return ""

    def make_bucket(self, name: str) -> str:
        self.aws("s3api", "create-bucket", "--bucket", name)
        return name

    def objects(self, bucket: str, prefix: str = "") -> dict[str, int]:
        """Key → bytes of all that the bucket holds, asked by `aws`."""
        answer = self.aws("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix)
        found = json.loads(answer.out or "{}").get("Contents") or []
        return {item["Key"]: item["Size"] for item in found}

    def uploads(self, bucket: str) -> list[str]:
        """The keys of unfinished multipart uploads, asked by `aws`."""
        answer = self.aws("s3api", "list-multipart-uploads", "--bucket", bucket)
        return [u["Key"] for u in json.loads(answer.out or "{}").get("Uploads") or []]

    def download(self, bucket: str, key: str) -> bytes:
        return self.aws("s3", "cp", f"s3://{bucket}/{key}", "-").out_bytes

    def upload(self, bucket: str, key: str, content: bytes) -> None:
        self.aws("s3", "cp", "-", f"s3://{bucket}/{key}", stdin=content)


class ChildProcesses:
    """Programs that run until close(), each with a log in `folder`; ended by their own process ids."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._running: list[subprocess.Popen] = []
        at_exit(self.close)

    def start(self, name: str, command: list, env: dict | None = None) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._running.append(subprocess.Popen(
                [str(a) for a in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder),
                     "LANG": "C.UTF-8", **(env or {})}))

    def wait_for_port(self, port: int, what: str, timeout: float = START_TIMEOUT_S) -> None:
        def answers():
            if any(p.poll() is not None for p in self._running):
                raise RuntimeError(f"{what} did not start\n{self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        try:
            wait_until(answers, timeout, what)
        except AssertionError:
            raise RuntimeError(f"{what} was not ready after {timeout} s\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')[-LOG_TAIL_CHARS:]}\n"
                       for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        for process in self._running:
            doomed = [process.pid, *descendants(process.pid)] if process.poll() is None else []
            for pid in doomed:
                send_signal(pid, signal.SIGKILL)
            process.wait()
        self._running.clear()
        forget_exit(self.close)


class S3rver(S3Server):
    """The npm package s3rver, over plain files; fetched by install-s3rver when it is not there.

    It can neither list nor abort unfinished uploads, knows no If-None-Match, and takes any signature of
    version 4 that is well-formed.
    """

    lists_uploads = checks_signatures = False

    def __init__(self):
        super().__init__("S3RVER", "S3RVER")  # it knows only these
        folder = cache_dir() / "s3rver"
        script = Path(__file__).resolve().parent / "install-s3rver"
        made = subprocess.run([script, folder], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if made.returncode != 0:
            raise Unavailable(f"s3rver: {made.stderr.strip()}")
        data = self.dir / "data"
        data.mkdir()
        self._children = ChildProcesses(self.dir)
        # Its tokens for the next page of a list are made by a cipher that OpenSSL 3 has put away.
        self._children.start("s3rver", ["node", "--openssl-legacy-provider",
                                        folder / "node_modules/.bin/s3rver", "--directory", data,
                                        "--address", "127.0.0.1", "--port", self.port,
                                        "--no-vhost-buckets"])
        self._children.wait_for_port(self.port, "s3rver")

    def log_tail(self) -> str:
        return self._children.log_tail()

    def close(self) -> None:
        self._children.close()
        super().close()
