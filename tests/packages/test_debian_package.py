"""The Debian package, from being made to being purged, on a Debian 12 that has nothing else.

Long runs only, as root: a folder is made by debootstrap, and in it apt installs the package as it would for an
operator. The package's user then makes a backup of a database there with the very command line of
holdfast-backup.service, proves it in a scratch server and restores it. systemd itself does not run in such a
folder, so the units' sandbox is not part of this (test_files.py has systemd judge it).

The image of packaging/docker/Dockerfile cannot be built where no registry is reached. What its last stage runs is
taken from the file and run in a second folder instead; its first stage is tools/make-package, which is the first test.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import unittest
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import harness  # noqa: E402
from harness_base import at_exit  # noqa: E402

UNIT = ROOT / "packaging" / "systemd" / "holdfast-backup.service"
DOCKERFILE = ROOT / "packaging" / "docker" / "Dockerfile"
BACKUPS = "/var/backups/holdfast"
LOGS = "/var/log/holdfast"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What apt, dpkg, the system and the server keep for themselves, whatever was installed.
NOT_OURS = re.compile(r"/(proc|dev|run|tmp|srv|var/(cache|lib/(apt|dpkg|postgresql|systemd)|log)"
                      r"|etc/(passwd|group|g?shadow|subuid|subgid)-?$)")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", folder], check=False)


class Machine:
    """A Debian in a folder of its own."""

    def __init__(self, base: Path, folder: Path):
        self.root = folder
        subprocess.run(["cp", "-a", base, folder], check=True)
        for kind, place in (("proc", "proc"), ("tmpfs", "dev/shm")):
            (folder / place).mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", kind, kind, folder / place], check=True)
            at_exit(lambda path=folder / place: unmount(path))
        # No service is started by being installed: a folder has no init.
        policy = folder / "usr" / "sbin" / "policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

    def run(self, *command, user: str | None = None, env: dict | None = None, cwd: str = "/",
            check: bool = True, stdin: str = "", umask: int = 0o022) -> subprocess.CompletedProcess:
        login = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if user else []
        inner = 'cd "$1" && shift && exec "$@"'
        done = subprocess.run(
            ["chroot", self.root, *login, "sh", "-c", inner, "sh", cwd, *map(str, command)],
            env={"PATH": PATH, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **(env or {})},
            input=stdin, capture_output=True, text=True, timeout=900, umask=umask)
        harness.assert_no_secrets(done.stdout + done.stderr, " ".join(map(str, command)))
        if check and done.returncode != 0:
            said = done.stdout[-3000:] + done.stderr[-3000:]
            raise AssertionError(f"{command}: exit code {done.returncode}\n{said}")
        return done

    def apt(self, *args) -> str:
        done = self.run("apt-get", "-q", "-y", "-o", "Acquire::Retries=3", *args)
        return done.stdout + done.stderr

    def stat(self, path: str) -> str:
        return self.run("stat", "-c", "%a %U:%G", path).stdout.strip()

    def files(self) -> set[str]:
        found = self.run("find", "/", "-xdev", "-not", "-type", "d").stdout.splitlines()
        return {path for path in found if not NOT_OURS.match(path)}

    def folders(self) -> set[str]:
        found = self.run("find", "/", "-xdev", "-type", "d").stdout.splitlines()
        return {path for path in found if not NOT_OURS.match(path)}


@unittest.skipUnless(os.environ.get("HOLDFAST_TEST_LONG"), "in long runs only")
@unittest.skipIf(os.environ.get("HOLDFAST_TEST_SANITIZED"), "the package has no program with sanitizers")
@unittest.skipUnless(os.geteuid() == 0 and shutil.which("debootstrap") and shutil.which("dh"),
                     "needs root, debootstrap and debhelper")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temp_dir("hf-package-")
        cls.deb = cls.make("first")

    @classmethod
    def make(cls, name: str) -> Path:
        made = subprocess.run([ROOT / "tools" / "make-package", "--program", harness.holdfast_bin(),
                               "--output", cls.folder / name], capture_output=True, text=True)
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        return Path(made.stdout.strip())

    @classmethod
    @cache
    def base(cls) -> Path:
        base = cls.folder / "base"
        made = subprocess.run([ROOT / "tools" / "fresh-debian", base], capture_output=True, text=True)
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        return base

    def machine(self, name: str) -> Machine:
        machine = Machine(self.base(), self.folder / name)
        machine.apt("update")
        shutil.copy(self.deb, machine.root / "srv")
        return machine

    def test_the_same_program_makes_the_same_package(self):
        again = self.make("second")
        self.assertEqual(*(hashlib.sha256(deb.read_bytes()).hexdigest() for deb in (self.deb, again)))

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian_has_nothing_to_say(self):
        done = subprocess.run(["lintian", "--fail-on=error,warning", "--allow-root", self.deb],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_from_installing_to_purging(self):
        machine = self.machine("machine")
        self.give_server(machine)
        before = (machine.files(), machine.folders())
        machine.apt("install", "--no-install-recommends", f"/srv/{self.deb.name}")
        self.check_installed(machine)
        self.give_database_url(machine)
        backup = self.make_backup(machine)
        self.rehearse(machine, backup)
        self.restore(machine, backup)
        self.check_trail(machine)
        self.install_again(machine)
        self.purge(machine, before, backup)
        machine.run("pg_ctlcluster", "15", "care", "stop", "-m", "immediate")

    # the steps

    def give_server(self, machine: Machine) -> None:
        no_main = machine.root / "etc/postgresql-common/createcluster.d/none.conf"
        no_main.parent.mkdir(parents=True)
        no_main.write_text("create_main_cluster = false\n")
        machine.apt("install", "--no-install-recommends", "postgresql")
        self.port, self.password = harness.free_port(), harness.random_secret()
        machine.run("pg_createcluster", "15", "care", "-p", self.port)
        machine.run("pg_ctlcluster", "15", "care", "start")
        at_exit(lambda: machine.run("pg_ctlcluster", "15", "care", "stop", "-m", "immediate", check=False))
        self.psql(machine, "postgres", f"""
            create role holdfast login createdb bypassrls in role pg_read_all_data password '{self.password}';
            create database care;
            grant create on database care to holdfast""".replace("\n", " ").split(";"))
        self.psql(machine, "care", [
            "create table visits (id int primary key, note text)",
            "insert into visits select i, md5(i::text) from generate_series(1, 20000) i"])

    def psql(self, machine: Machine, database: str, statements: list[str]) -> str:
        command = ("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-p", self.port, "-d", database)
        script = ";\n".join(statements) + ";\n"
        return machine.run(*command, user="postgres", stdin=script).stdout.strip()

    def check_installed(self, machine: Machine) -> None:
        self.assertEqual(machine.stat(BACKUPS), "700 holdfast:holdfast")
        self.assertEqual(machine.stat("/var/lib/holdfast"), "700 holdfast:holdfast")
        self.assertEqual(machine.stat(LOGS), "700 holdfast:holdfast")
        self.assertEqual(machine.stat("/etc/holdfast"), "750 root:holdfast")
        entry = machine.run("getent", "passwd", "holdfast").stdout.strip().split(":")
        self.assertEqual(entry[5:], ["/var/lib/holdfast", "/usr/sbin/nologin"])
        for path in ("lib/systemd/system/holdfast.service", "lib/systemd/system/holdfast-backup.service",
                     "lib/systemd/system/holdfast-backup.timer",
                     "usr/share/bash-completion/completions/holdfast",
                     "usr/share/zsh/vendor-completions/_holdfast",
                     "usr/share/fish/vendor_completions.d/holdfast.fish",
                     "usr/share/holdfast/holdfast.spdx.json",
                     "usr/share/holdfast/grafana/holdfast.json",
                     "usr/share/holdfast/prometheus/holdfast.rules.yml"):
            self.assertTrue((machine.root / path).is_file(), path)
        wants = list((machine.root / "etc/systemd").rglob("holdfast*"))
        self.assertEqual(wants, [], "something was enabled that nobody asked for")
        # As an administrator does it; the purge takes the links away again.
        if shutil.which("systemctl"):
            for unit in ("holdfast.service", "holdfast-backup.timer"):
                subprocess.run(["systemctl", f"--root={machine.root}", "--quiet", "enable", unit], check=True)
            self.assertEqual(len(list((machine.root / "etc/systemd").rglob("holdfast*"))), 2)

    def give_database_url(self, machine: Machine) -> None:
        machine.run("install", "-m", "640", "-o", "root", "-g", "holdfast", "/dev/null",
                    "/etc/holdfast/database.url")
        url = f"postgresql://holdfast:{self.password}@127.0.0.1:{self.port}/care\n"
        (machine.root / "etc/holdfast/database.url").write_text(url)

    def holdfast(self, machine: Machine, *args) -> str:
        """As the unit does it: its user, its environment, its folder, its umask."""
        env = {"HOME": "/var/lib/holdfast", "DATABASE_URL_FILE": "/etc/holdfast/database.url"}
        done = machine.run("/usr/bin/holdfast", *args, user="holdfast", env=env, cwd="/var/lib/holdfast",
                           umask=0o077)
        return done.stdout + done.stderr

    def make_backup(self, machine: Machine) -> str:
        command = re.search(r"^ExecStart=(.*)$", UNIT.read_text(), re.M).group(1).split()
        self.assertEqual(command[0], "/usr/bin/holdfast")
        self.assertRegex(self.holdfast(machine, *command[1:]), r"PROVEN 1 table · 20,000 rows")
        archive, = (machine.root / BACKUPS[1:]).glob("care_*.dump")
        self.assertEqual(archive.stat().st_mode & 0o077, 0)
        return archive.name.removesuffix(".dump")

    def rehearse(self, machine: Machine, backup: str) -> None:
        said = self.holdfast(machine, "drill", backup)
        self.assertRegex(said, r"PASSED care_\S+ · 1 table · 20,000 rows")
        self.assertIn("starting a scratch server", said)

    def check_trail(self, machine: Machine) -> None:
        said = self.holdfast(machine, "audit", "show")
        for action in ("backup", "drill", "restore"):
            self.assertRegex(said, rf"\b{action}\b")
        self.assertTrue(any((machine.root / LOGS[1:] / "audit").iterdir()))

    def restore(self, machine: Machine, backup: str) -> None:
        self.holdfast(machine, "restore", backup, "--database", "care_back", "--no-owner",
                      "--no-privileges")
        both = [self.psql(machine, name, ["select count(*), sum(hashtext(note)) from visits"])
                for name in ("care", "care_back")]
        self.assertEqual(both[0], both[1])
        self.assertTrue(both[0].startswith("20000|"))

    def install_again(self, machine: Machine) -> None:
        """An upgrade keeps what the administrator changed."""
        conf = machine.root / "etc/holdfast/holdfast.toml"
        conf.write_text(conf.read_text() + "# mine\n")
        machine.run("chmod", "711", BACKUPS)
        machine.apt("install", "--reinstall", "--no-install-recommends", f"/srv/{self.deb.name}")
        self.assertTrue(conf.read_text().endswith("# mine\n"))
        self.assertEqual(machine.stat(BACKUPS), "711 holdfast:holdfast")
        self.assertEqual(machine.stat("/etc/holdfast"), "750 root:holdfast")

    def purge(self, machine: Machine, before: tuple[set, set], backup: str) -> None:
        kept = {path for path in machine.files() if path.startswith(BACKUPS)}
        machine.apt("purge", "holdfast")
        machine.apt("autoremove", "--purge")
        secret = "/etc/holdfast/database.url"
        self.assertEqual(machine.files() - before[0] - {secret}, kept)
        self.assertTrue(any(path.endswith(backup + ".dump") for path in kept))
        self.assertEqual(machine.folders() - before[1], {BACKUPS, BACKUPS + "/drills", "/etc/holdfast"})
        self.assertEqual(machine.run("getent", "passwd", "holdfast", check=False).stdout, "")
        owners = machine.run("find", BACKUPS, "-not", "-user", "root").stdout
        self.assertEqual(owners, "")
        self.assertEqual(machine.stat(BACKUPS), "700 root:root")
        # So is the audit trail kept, and it goes on.
        self.assertEqual(machine.stat(LOGS), "700 root:root")
        self.assertTrue(any((machine.root / LOGS[1:] / "audit").iterdir()))
        # Installed again, the package finds them.
        machine.apt("install", "--no-install-recommends", f"/srv/{self.deb.name}")
        self.assertIn(backup, self.holdfast(machine, "list"))
        self.holdfast(machine, "audit", "verify")

    def test_what_the_dockerfile_runs(self):
        machine = self.machine("image")
        last = DOCKERFILE.read_text().split("\nFROM ")[-1].replace("\\\n", " ")
        run = re.search(r"^RUN (.*)$", last, re.M).group(1)
        # What the stage copies, by its COPY lines.
        shutil.copy(ROOT / "packaging" / "install-postgresql-client", machine.root / "usr/local/sbin")
        (machine.root / "tmp/package").mkdir()
        shutil.copy(self.deb, machine.root / "tmp/package")
        machine.run("sh", "-c", run, env={"POSTGRES_MAJOR": "15"})
        user = re.search(r"^USER (\d+):\1$", last, re.M).group(1)
        self.assertEqual(machine.run("id", "-u", "holdfast").stdout.strip(), user)
        entry = re.search(r'^ENTRYPOINT \["(.*)"\]$', last, re.M).group(1)
        env = dict(shlex.split(line)[0].split("=", 1) for line in re.findall(r"^ENV (.*)$", last, re.M))
        env["DATABASE_URL"] = "postgresql://x@127.0.0.1:1/x"
        doctor = machine.run(entry, "doctor", user=user, env=env, check=False)
        self.assertRegex(doctor.stdout, r"ok +store +/var/backups/holdfast can be written")
        self.assertRegex(doctor.stdout, r"ok +client version +pg_dump 15")
        self.assertFalse((machine.root / "tmp/package").exists())


if __name__ == "__main__":
    unittest.main()
