"""Swift: OpenStack's object store with its S3 layer, from Debian's python3-swift. Part of harness.py.

Why: of the S3 servers that other people wrote and run in earnest, it is the one that starts here without
root, a daemon or a disk of its own. It checks signatures, splits objects over four services, keeps
the parts of uploads as objects of their own, and has its own idea of ETags, errors and listings.

One account server, one container server, one object server and the proxy with `s3api`, one device and one
replica, all children of this process. Deleted objects and finished uploads leave nothing that lists.
"""

import os
import pwd
import subprocess

from harness_base import Unavailable, free_port, random_secret
from s3_servers import ChildProcesses, S3Server

PYTHON = "/usr/bin/python3"  # the one that sees Debian's modules
SERVICES = {"account": "swift.account.server", "container": "swift.container.server",
            "object": "swift.obj.server"}
# Swift reads `swift_dir` too late for its own swift.conf, hence set_swift_dir.
RUN = """
import sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
from swift.common.wsgi import run_wsgi
extra = {}
if sys.argv[3] == "object-server":
    from swift.obj import server
    extra["global_conf_callback"] = server.global_conf_callback
sys.exit(run_wsgi(sys.argv[2], sys.argv[3], verbose=True, **extra))
"""
MAKE_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1",
                     "weight": 1.0, "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""
PARTS_MAX = 10_000
FACTORIES = {"cache": "memcache", "proxy-logging": "proxy_logging"}
PROXY_PIPELINE = ("catch_errors gatekeeper healthcheck proxy-logging cache listing_formats s3api tempauth "
                  "copy bulk slo dlo proxy-logging proxy-server")


class Swift(S3Server):
    def __init__(self):
        super().__init__("holdfast:backup", random_secret())
        probe = subprocess.run([PYTHON, "-c", "import swift.common.middleware.s3api.s3api"],
                               capture_output=True, text=True)
        if probe.returncode != 0:
            raise Unavailable(f"Swift: {probe.stderr.strip().splitlines()[-1]} (python3-swift)")
        self._conf, self._logs = self.dir / "conf", self.dir / "logs"
        for folder in (self._conf, self._logs, self.dir / "devices" / "d1"):
            folder.mkdir(parents=True)
        self._needs_xattr()
        (self._conf / "swift.conf").write_text(
            f"[swift-hash]\nswift_hash_path_suffix = {os.urandom(8).hex()}\n"
            "[storage-policy:0]\nname = one\ndefault = yes\n")
        self._children = ChildProcesses(self._logs)
        ports = {name: free_port() for name in SERVICES}
        self._python(MAKE_RINGS, self._conf, *(word for pair in ports.items() for word in pair))
        for name, port in ports.items():
            self._run(name, self._service_conf(name, port))
        self._run("proxy", self._proxy_conf())
        for name, port in (*ports.items(), ("proxy", self.port)):
            self._children.wait_for_port(port, f"Swift's {name} server")

    def _needs_xattr(self) -> None:
        """Swift keeps its metadata in extended attributes of files."""
        try:
            os.setxattr(self.dir, "user.holdfast", b"1")
        except OSError as error:
            raise Unavailable(f"Swift: {self.dir} takes no extended attributes ({error})") from None

    @staticmethod
    def _python(code: str, *args) -> None:
        done = subprocess.run([PYTHON, "-c", code, *map(str, args)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"cannot make Swift's rings\n{done.stderr}")

    def _run(self, name: str, conf: str) -> None:
        path = self._conf / f"{name}-server.conf"
        path.write_text(conf)
        path.chmod(0o600)
        self._children.start(name, [PYTHON, "-c", RUN, self._conf, path, f"{name}-server"])

    def _default(self, port: int) -> str:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return (f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {user}\n"
                f"swift_dir = {self._conf}\ndevices = {self.dir / 'devices'}\nmount_check = false\n"
                "disable_fallocate = true\nlog_level = WARNING\n")

    def _service_conf(self, name: str, port: int) -> str:
        return self._default(port) + (f"[pipeline:main]\npipeline = {name}-server\n"
                                      f"[app:{name}-server]\nuse = egg:swift#{name}\n")

    def _proxy_conf(self) -> str:
        account, user = self.access_key.split(":")
        settings = {
            # tempauth wants a cache to be there, but need not find anything in it.
            "cache": f"memcache_servers = 127.0.0.1:{free_port()}\n",
            "s3api": f"location = {self.region}\nmax_upload_part_num = {PARTS_MAX}\n",
            "slo": f"max_manifest_segments = {PARTS_MAX}\nmax_manifest_size = {PARTS_MAX * 400}\n",
            "tempauth": f"user_{account}_{user} = {self.secret_key} .admin\n"}
        filters = "".join(
            f"[filter:{name}]\nuse = egg:swift#{FACTORIES.get(name, name)}\n{settings.get(name, '')}"
            for name in dict.fromkeys(PROXY_PIPELINE.split()[:-1]))
        return self._default(self.port) + (
            f"[pipeline:main]\npipeline = {PROXY_PIPELINE}\n{filters}"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            "allow_account_management = true\nnode_timeout = 60\n")

    def log_tail(self) -> str:
        return self._children.log_tail().replace(self.secret_key, "<secret>")

    def close(self) -> None:
        self._children.close()
        super().close()
