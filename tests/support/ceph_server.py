"""Ceph: its S3 gateway, radosgw, in front of one monitor and one OSD in memory. Part of harness.py.

Why: it is the S3 server that people run in their own machine rooms, in C++ and strict about signatures and parts,
and shares no code with the others. Everything is in one folder and owned by this process: no systemd, no manager
daemon, no disk, any user. It takes about 15 s to start and keeps objects in memory.

Its packages are large, so only `install-dependencies --for long` brings them; without them it is `Unavailable`.
"""

import http.client
import json
import shutil
import subprocess
from pathlib import Path

from harness_base import Unavailable, free_port, redact, register_secret, wait_until
from s3_servers import ChildProcesses, S3Server

STEP_TIMEOUT_S = 120
MEMORY_BYTES = 8 << 30  # the most that objects may take; none of it is taken beforehand
PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
EVERYTHING = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")


class Ceph(S3Server):
    def __init__(self):
        for program in PROGRAMS:
            if not shutil.which(program):
                raise Unavailable(f"there is no {program} (Debian's packages ceph-mon, ceph-osd, radosgw)")
        super().__init__("", "")  # the gateway makes up the keys
        self._conf, self._logs = self.dir / "ceph.conf", self.dir / "logs"
        self._logs.mkdir()
        self._children = ChildProcesses(self._logs)
        self._fsid, self._monitor = self._uuid(), f"v2:127.0.0.1:{free_port()}"
        self._write_conf()
        self._start_monitor()
        self._start_osd()
        self._start_gateway()

    @staticmethod
    def _uuid() -> str:
        return Path("/proc/sys/kernel/random/uuid").read_text().strip()

    def _write_conf(self) -> None:
        for name in ("mon", "osd", "rgw", "run"):
            (self.dir / name).mkdir()
        (self.dir / "osd" / "type").write_text("memstore\n")
        self._conf.write_text(
            f"[global]\nfsid = {self._fsid}\nmon host = {self._monitor}\nmon initial members = a\n"
            f"public addr = 127.0.0.1\nkeyring = {self.dir}/keyring\n"
            f"run dir = {self.dir}/run\nadmin socket = {self.dir}/run/$type.$pid.asok\n"
            f"pid file = {self.dir}/run/$type.pid\ncrash dir = {self.dir}/run\n"
            f"log file = {self._logs}/$type.log\nmon data = {self.dir}/mon\nosd data = {self.dir}/osd\n"
            f"rgw data = {self.dir}/rgw\nosd objectstore = memstore\nmemstore device bytes = {MEMORY_BYTES}\n"
            "osd pool default size = 1\nosd pool default min size = 1\nosd pool default pg num = 1\n"
            "osd pool default pgp num = 1\nosd pool default pg autoscale mode = off\n"
            "osd crush chooseleaf type = 0\nmon allow pool size one = true\nmon max pg per osd = 1000\n"
            "mon data avail crit = 1\nmon data avail warn = 1\n"
            f"rgw frontends = beast endpoint=127.0.0.1:{self.port}\nrgw thread pool size = 32\n"
            "rgw dynamic resharding = false\n")

    def _run(self, *command) -> str:
        try:
            done = subprocess.run([str(a) for a in command], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, cwd=self.dir, timeout=STEP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{command[0]} did not end\n{self.log_tail()}") from None
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed\n{done.stderr}\n{self.log_tail()}")
        return done.stdout

    def _start_monitor(self) -> None:
        keyring, monmap = self.dir / "keyring", self.dir / "monmap"
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *EVERYTHING)
        for name in ("client.admin", "osd.0"):
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *EVERYTHING)
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", f"[{self._monitor}]", monmap)
        self._run("ceph-mon", "--conf", self._conf, "--mkfs", "-i", "a", "--keyring", keyring,
                  "--monmap", monmap)
        self._children.start("mon", ["ceph-mon", "--conf", self._conf, "-i", "a", "-f"])

    def _start_osd(self) -> None:
        uuid = self._uuid()
        self._run("ceph", "--conf", self._conf, "--connect-timeout", "60", "osd", "new", uuid, "0")
        self._run("ceph-osd", "--conf", self._conf, "-i", "0", "--mkfs", "--osd-uuid", uuid)
        self._children.start("osd", ["ceph-osd", "--conf", self._conf, "-i", "0", "-f"])

    def _start_gateway(self) -> None:
        made = self._run("radosgw-admin", "--conf", self._conf, "user", "create", "--uid=care",
                         "--display-name=care")
        keys = json.loads(made[made.index("{"):])["keys"][0]
        self.access_key, self.secret_key = keys["access_key"], register_secret(keys["secret_key"])
        self._children.start("rgw", ["radosgw", "--conf", self._conf, "-n", "client.admin", "-f"])
        self._children.wait_for_port(self.port, "radosgw", STEP_TIMEOUT_S)
        wait_until(self._answers, STEP_TIMEOUT_S, "radosgw to answer")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log_tail(self) -> str:
        return redact(self._children.log_tail())

    def close(self) -> None:
        self._children.close()
        super().close()
