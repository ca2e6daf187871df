"""Sealed backups: stock gpg and pg_restore bring them back, damage is found, keys that are missing are
named, and neither a secret nor a row in the clear is ever where it should not be.

Keys here are made for the test in a folder of their own; gpg is the one of the machine.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
FLIPS = 500 if LONG else 110
KILLS = 60 if LONG else 15
MARKER = "Zebrafink-7781-Quittenbrot"  # stands in the rows, and must stand nowhere else
PASSPHRASE = "a passphrase's \\ \"own\" ünicode $x %41"
MAGIC = b"PGDMP"


def gpg(*args, home, stdin=None, check=True, **kwargs):
    env = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home), "LC_ALL": "C", "HOME": str(home)}
    done = subprocess.run(["gpg", "--batch", "--no-tty", *map(str, args)], env=env, input=stdin,
                          capture_output=True, **kwargs)
    if check and done.returncode != 0:
        raise AssertionError(f"gpg {args}: {done.stderr.decode()}")
    return done


def make_key(home, name, *, usage="default", expire="2y", passphrase="", when=None):
    """A key of `name`@example.org in the keyring `home`; its fingerprint."""
    more = ["--faked-system-time", when] if when else []
    gpg("--pinentry-mode", "loopback", "--passphrase", passphrase, *more, "--quick-gen-key",
        f"{name} <{name}@example.org>", "rsa2048" if usage == "sign" else "future-default", usage,
        expire, home=home)
    listed = gpg("--with-colons", "--list-keys", f"{name}@example.org", home=home).stdout.decode()
    return re.search(r"^fpr:+([0-9A-F]{40}):", listed, re.M).group(1)


def is_gpg(pid):
    try:
        return Path(f"/proc/{pid}/exe").readlink().name == "gpg"
    except OSError:
        return False


class Sealed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.createdb("care")
        cls.server.psql(
            "CREATE TABLE visits (id int PRIMARY KEY, note text, body text);"
            f"INSERT INTO visits SELECT i, '{MARKER} ' || i, repeat(md5(i::text), 20)"
            " FROM generate_series(1, 60000) i;"
            "CREATE TABLE users (id int PRIMARY KEY, name text);"
            "INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 3000) i;"
            "CREATE INDEX ON visits (note);"
            f"SELECT lo_from_bytea(0, repeat('{MARKER}', 3000)::bytea) FROM generate_series(1, 3);",
            db="care")
        cls.keys = harness.temp_dir("hf-gpg-", 0o700)     # public and secret
        cls.public = harness.temp_dir("hf-gpg-", 0o700)   # public only, as on a backup host
        cls.fingerprint = make_key(cls.keys, "keeper")
        exported = gpg("--export", cls.fingerprint, home=cls.keys).stdout
        gpg("--import", home=cls.public, stdin=exported)
        cls.private = harness.temp_dir(mode=0o700)
        cls.key_file = cls.private / "backup.key"
        cls.key_file.write_text(harness.random_secret() + harness.random_secret() +
                                harness.random_secret() + "\n")
        cls.key_file.chmod(0o600)
        harness.register_secret(cls.key_file.read_text().strip())
        harness.register_secret(PASSPHRASE)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        for home in (cls.keys, cls.public):
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False)

    def setUp(self):
        self.folder = harness.temp_dir("hf-store-")

    # --- ways to call it ---

    def to_keeper(self, home=None):
        return {"BACKUP_GPG_RECIPIENTS": "keeper@example.org", "GNUPGHOME": home or self.keys}

    def with_key_file(self):
        return {"BACKUP_KEY_FILE": self.key_file}

    def with_passphrase(self):
        return {"BACKUP_ENCRYPTION_KEY": PASSPHRASE}

    def run_holdfast(self, *args, env=None, **kwargs):
        return harness.holdfast(*args, "--dir", self.folder,
                                env={"DATABASE_URL": self.server.url("care"), **(env or {})}, **kwargs)

    def backup(self, env, *more, **kwargs):
        made = self.run_holdfast("backup", "--type", "dump", "--json", *more, env=env, **kwargs)
        return made.json()["results"][0]["id"]

    def ways(self):
        return {"recipients": self.to_keeper(), "key file": self.with_key_file(),
                "passphrase": self.with_passphrase()}

    def restored_as_the_source(self, database):
        self.assertEqual("", harness.rows_difference(harness.rows(self.server, "care"),
                                                     harness.rows(self.server, database)))

    def names(self):
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    # --- what it is for ---

    def test_every_way_seals_proves_and_restores(self):
        with harness.SecretWatch() as watch:
            for number, (way, env) in enumerate(self.ways().items()):
                with self.subTest(way):
                    backup = self.backup(env)
                    archive = (self.folder / f"{backup}.dump.gpg").read_bytes()
                    self.assertNotIn(MAGIC, archive)
                    self.assertIn(f"{backup}.globals.sql.gpg", self.names())
                    self.assertNotIn(f"{backup}.dump", self.names())
                    manifest = (self.folder / f"{backup}.manifest.json").read_text()
                    self.assertNotIn(MARKER, manifest)
                    for level in ("quick", "deep", "restore"):
                        report = self.run_holdfast("verify", backup, "--level", level, "--json",
                                                   env=env).json()
                        self.assertTrue(report["ok"], report)
                    database = f"again_{number}"
                    self.run_holdfast("restore", backup, "--database", database, "--jobs", "4",
                                      env=env)
                    self.restored_as_the_source(database)
                    self.run_holdfast("restore", backup, "--database", f"part_{number}", "--table",
                                      "users", env=env)
                    self.assertEqual("3000", self.server.psql("SELECT count(*) FROM users",
                                                              db=f"part_{number}"))
                    shown = self.run_holdfast("show", backup, env=env).out
                    self.assertIn("sealed", shown)
                    self.server.dropdb(database)
                    self.server.dropdb(f"part_{number}")
            self.assertGreater(watch.samples, 10)
        for path in self.folder.iterdir():
            harness.assert_no_secrets(path.read_bytes(), path.name)

    def test_stock_gpg_and_pg_restore_are_enough(self):
        """The original's own procedure: gpg -d X.dump.gpg | pg_restore -d DATABASE."""
        opening = {
            "recipients": [],
            "key file": ["--pinentry-mode", "loopback", "--passphrase-file", self.key_file],
            "passphrase": ["--pinentry-mode", "loopback", "--passphrase-fd", "3"],
        }
        for number, (way, env) in enumerate(self.ways().items()):
            with self.subTest(way):
                backup = self.backup(env, "--verify", "none")
                pipe, said = os.pipe()
                os.write(said, PASSPHRASE.encode() + b"\n")
                os.close(said)
                extra = {"preexec_fn": lambda fd=pipe: os.dup2(fd, 3), "close_fds": False} \
                    if way == "passphrase" else {}
                plain = gpg(*opening[way], "-d", self.folder / f"{backup}.dump.gpg", home=self.keys,
                            **extra).stdout
                os.close(pipe)
                self.assertTrue(plain.startswith(MAGIC))
                database = f"stock_{number}"
                self.server.createdb(database)
                path = self.private / "opened.dump"
                path.write_bytes(plain)
                self.server.tool("pg_restore", "-d", database, path)
                path.unlink()
                self.restored_as_the_source(database)
                self.server.dropdb(database)

    def test_a_file_that_the_original_made(self):
        """gpg -e of a pg_dump -Fc: verified and restored by its path."""
        plain, sealed = self.private / "old.dump", self.private / "old.dump.gpg"
        self.server.tool("pg_dump", "-Fc", "-f", plain, "-d", "care")
        gpg("--trust-model", "always", "-e", "-r", self.fingerprint, "-o", sealed, plain,
            home=self.keys)
        plain.unlink()
        env = {"GNUPGHOME": self.keys}
        report = self.run_holdfast("verify", sealed, "--json", env=env).json()
        self.assertEqual(60000, max(t["rows"] for t in report["backups"][0]["tables"]))
        self.run_holdfast("restore", sealed, "--database", "from_old", env=env)
        self.restored_as_the_source("from_old")
        self.server.dropdb("from_old")
        refused = self.run_holdfast("verify", sealed, env={"GNUPGHOME": self.public}, expect=1)
        self.assertIn("no secret key", refused.err)
        whole = bytearray(sealed.read_bytes())
        whole[len(whole) // 2] ^= 4
        sealed.write_bytes(whole)
        self.run_holdfast("verify", sealed, env=env, expect=4)
        refused = self.run_holdfast("restore", sealed, "--database", "from_old", env=env, check=False)
        self.assertNotEqual(0, refused.code)
        self.assertEqual("0", self.server.psql(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'from_old%'"))

    def test_unsealed_and_other_keys_live_side_by_side(self):
        plain = self.backup({})
        first = self.backup(self.with_passphrase())
        second = self.backup(self.with_key_file())
        both = {**self.with_passphrase(), **self.with_key_file()}
        report = self.run_holdfast("verify", "--all", "--json", env=both).json()
        self.assertTrue(report["ok"], report)
        self.assertEqual({plain, first, second}, {b["id"] for b in report["backups"]})

    # --- keys that are not there ---

    def refused_before_anything(self, env, *words, code=None):
        done = self.run_holdfast("backup", "--type", "dump", env=env, check=False)
        self.assertNotEqual(0, done.code)
        if code is not None:
            self.assertEqual(code, done.code, str(done))
        for word in words:
            self.assertIn(word, done.err)
        self.assertIn("hint:", done.err)
        self.assertEqual([], self.names())

    def test_recipients_without_a_usable_key(self):
        home = harness.temp_dir("hf-gpg-", 0o700)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])
        make_key(home, "signer", usage="sign")
        make_key(home, "twin")
        gpg("--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "--yes",
            "twin <twin@example.org>", "future-default", "default", "1y", home=home, check=False)
        expired = make_key(home, "expired", expire="1d", when="20200101T000000")
        revoked = make_key(home, "revoked")
        certificate = (home / "openpgp-revocs.d" / f"{revoked}.rev").read_text()
        gpg("--import", home=home, stdin=certificate.replace(":-----BEGIN", "-----BEGIN").encode())
        disabled = make_key(home, "disabled")
        gpg("--command-fd", "0", "--edit-key", disabled, home=home, stdin=b"disable\nsave\n",
            check=False)
        cases = {"nobody@example.org": "no public key", "signer@example.org": "encrypt",
                 expired: "expired", revoked: "revoked", disabled: "disabled"}
        if gpg("--with-colons", "--list-keys", "twin@example.org",
               home=home).stdout.count(b"\npub:") > 1:
            cases["twin@example.org"] = "2 keys"
        for recipient, word in cases.items():
            with self.subTest(recipient):
                self.refused_before_anything(
                    {"BACKUP_GPG_RECIPIENTS": recipient, "GNUPGHOME": home}, recipient, word)
                found = self.run_holdfast("doctor", env={"BACKUP_GPG_RECIPIENTS": recipient,
                                                         "GNUPGHOME": home}, check=False)
                self.assertNotEqual(0, found.code)
                self.assertIn(recipient, found.out)
        nowhere = self.private / "no-such-home"
        self.refused_before_anything({"BACKUP_GPG_RECIPIENTS": "keeper@example.org",
                                      "GNUPGHOME": nowhere}, "keeper@example.org")
        self.assertFalse(nowhere.exists())

    def test_several_recipients_each_open_it(self):
        home = harness.temp_dir("hf-gpg-", 0o700)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])
        auditor = make_key(home, "auditor")
        gpg("--import", home=self.public, stdin=gpg("--export", auditor, home=home).stdout)
        backup = self.backup({"BACKUP_GPG_RECIPIENTS": f"keeper@example.org, {auditor}",
                              "GNUPGHOME": self.public}, "--verify", "stored")
        for keyring in (self.keys, home):
            self.run_holdfast("verify", backup, env={"GNUPGHOME": keyring})

    def test_weak_keys_are_refused(self):
        path = self.private / "weak"
        for text, word in (("", "empty"), ("\n", "empty"), ("changeme\n", "random"), ("0a1b2c3d4e5f67" + "98\n", "bits"),
                           ("a" * 100, "random"),
                           ("0123456789abcdef" * 8, "random"),
                           ("Zm9v" * 40, "random"), ("two\nlines\n", "line"),
                           ("x" * 50 + "\r\n", "Windows")):
            with self.subTest(text[:20]):
                path.write_text(text, newline="")
                path.chmod(0o600)
                self.refused_before_anything({"BACKUP_KEY_FILE": path}, word, code=2)
        path.unlink()
        self.refused_before_anything({"BACKUP_KEY_FILE": path}, "weak", code=2)
        self.refused_before_anything({"BACKUP_ENCRYPTION_KEY": "short"}, "BACKUP_ENCRYPTION_KEY",
                                     code=2)
        self.key_file.chmod(0o644)
        self.addCleanup(self.key_file.chmod, 0o600)
        told = self.run_holdfast("doctor", env=self.with_key_file())
        self.assertIn("can be read by other users", told.out)

    def test_a_host_without_the_secret_key(self):
        """It can seal, and say honestly what it could not look at."""
        env = self.to_keeper(self.public)
        backup = self.backup(env, "--verify", "stored")
        for level in ("quick", "deep", "restore"):
            done = self.run_holdfast("verify", backup, "--level", level, env=env, expect=1)
            self.assertIn("INCONCLUSIVE", done.out)
            self.assertIn(self.fingerprint, done.out)
        self.assertIn("every sealed byte", done.out)
        done = self.run_holdfast("backup", "--type", "dump", env=env, expect=1)
        self.assertIn("--verify stored", done.err)
        refused = self.run_holdfast("restore", backup, "--database", "shut", env=env, expect=1)
        self.assertIn(self.fingerprint, refused.err)
        self.assertIn("hint:", refused.err)
        self.assertEqual("0", self.server.psql(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'shut%'"))
        # Damage is found all the same.
        path = self.folder / f"{backup}.dump.gpg"
        whole = bytearray(path.read_bytes())
        whole[-5] ^= 1
        path.write_bytes(whole)
        self.run_holdfast("verify", backup, "--level", "deep", env=env, expect=4)
        path.unlink()
        self.run_holdfast("verify", backup, "--level", "deep", env=env, expect=4)
        # And where the key is, the proof counts.
        whole[-5] ^= 1
        path.write_bytes(whole)
        self.run_holdfast("verify", backup, env=self.to_keeper())

    def test_a_wrong_passphrase(self):
        backup = self.backup(self.with_passphrase())
        for env in ({}, {"BACKUP_ENCRYPTION_KEY": "another passphrase than that"},
                    self.with_key_file()):
            done = self.run_holdfast("verify", backup, env=env, expect=1)
            self.assertIn("passphrase", done.out)
            self.assertIn("INCONCLUSIVE", done.out)
            refused = self.run_holdfast("restore", backup, env=env, expect=1)
            self.assertIn("passphrase", refused.err)

    def test_a_secret_key_with_a_passphrase(self):
        home = harness.temp_dir("hf-gpg-", 0o700)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])
        make_key(home, "locked", passphrase="lock-and-quay-9988")
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
        env = {"BACKUP_GPG_RECIPIENTS": "locked@example.org", "GNUPGHOME": home}
        backup = self.backup(env, "--verify", "stored")
        path = self.private / "lock"
        path.write_text(harness.register_secret("lock-and-quay-9988") + "\n")
        path.chmod(0o600)
        self.run_holdfast("verify", backup, "--passphrase-file", path, env=env)
        self.run_holdfast("doctor", "--check-keys", "--passphrase-file", path, env=env)

    def test_doctor_tries_the_keys(self):
        for env in (self.to_keeper(), self.with_key_file(), self.with_passphrase()):
            self.run_holdfast("doctor", "--check-keys", env=env)
        shut = self.run_holdfast("doctor", "--check-keys", env=self.to_keeper(self.public),
                                 check=False)
        self.assertNotEqual(0, shut.code)
        self.assertIn("secret key", shut.out)
        self.assertIn("not encrypted", self.run_holdfast("doctor").out)

    # --- damage ---

    def test_every_damage_to_a_sealed_archive_is_found(self):
        seed = int(os.environ.get("HOLDFAST_TEST_SEED", random.randrange(10**6)))
        dice = random.Random(seed)
        small = "small"
        if self.server.psql("SELECT 1 FROM pg_database WHERE datname = 'small'") != "1":
            self.server.createdb(small)
            self.server.psql("CREATE TABLE visits AS SELECT i, md5(i::text) AS note FROM"
                             " generate_series(1, 20000) i", db=small)
        for way, env in (("recipients", self.to_keeper()), ("passphrase", self.with_passphrase())):
            shutil.rmtree(self.folder)
            env = {**env, "DATABASE_URL": self.server.url(small)}
            backup = self.backup(env)
            for name, flips in ((f"{backup}.dump.gpg", FLIPS // 2), (f"{backup}.globals.sql.gpg", 6)):
                path = self.folder / name
                whole = path.read_bytes()
                cases = []
                for number in range(flips):
                    # The first bytes, where the keys are, and the last, where the seal is, as well.
                    at = dice.randrange(min(40, len(whole))) if number % 8 == 0 else \
                        len(whole) - 1 - dice.randrange(25) if number % 8 == 1 else \
                        dice.randrange(len(whole))
                    damaged = bytearray(whole)
                    damaged[at] ^= 1 << dice.randrange(8)
                    cases.append((f"byte {at}", bytes(damaged)))
                for size in (0, 1, 20, len(whole) // 2, len(whole) - 1):
                    cases.append((f"cut to {size}", whole[:size]))
                cases += [("a zero byte added", whole + b"\0"), ("itself added", whole + whole),
                          ("a byte put in", whole[:999] + b"x" + whole[999:])]
                for what, content in cases:
                    path.write_bytes(content)
                    done = self.run_holdfast("verify", backup, "--level", "deep", "--json", env=env,
                                             check=False)
                    said = f"{way} seed {seed}: {name} {what}: {done}"
                    self.assertEqual(4, done.code, said)
                    problems = done.json()["backups"][0]["problems"]
                    self.assertTrue(any(name in p["where"] for p in problems), said)
                path.unlink()
                self.run_holdfast("verify", backup, "--level", "deep", env=env, expect=4)
                path.write_bytes(whole)
            self.run_holdfast("verify", backup, "--level", "deep", env=env)

    def test_a_damaged_archive_is_not_restored(self):
        backup = self.backup(self.with_key_file())
        path = self.folder / f"{backup}.dump.gpg"
        whole = path.read_bytes()
        for at in (len(whole) // 2, len(whole) - 3):
            damaged = bytearray(whole)
            damaged[at] ^= 16
            path.write_bytes(damaged)
            done = self.run_holdfast("restore", backup, "--database", "damaged",
                                     env=self.with_key_file(), check=False)
            self.assertEqual(4, done.code, str(done))
            self.assertIn(path.name, done.err)
            self.assertEqual("0", self.server.psql(
                "SELECT count(*) FROM pg_database WHERE datname LIKE 'damaged%'"))

    # --- what goes wrong on the way ---

    def test_a_gpg_that_dies_ends_the_dump(self):
        process = harness.spawn_holdfast("backup", "--type", "dump", "--dir", self.folder, env={
            "DATABASE_URL": self.server.url("care"), **self.with_key_file()})

        def sealing():
            for pid in harness.descendants(process.pid):
                try:
                    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"--symmetric" in arguments:
                    return pid
            return None

        pid = harness.wait_until(lambda: sealing() or process.poll() is not None)
        if pid is True:
            self.skipTest("it was done before gpg was found")
        os.kill(pid, signal.SIGKILL)
        done = process.finish()
        self.assertEqual(1, done.code, str(done))
        self.assertEqual(1, sum(line.startswith("error:") for line in done.err.splitlines()), done.err)
        self.assertIn("gpg", done.err)
        self.assertEqual([], self.names())

    def test_kill_9_while_sealing_leaves_nothing_broken(self):
        env = {"DATABASE_URL": self.server.url("care"), **self.with_key_file()}
        args = ("backup", "--type", "dump", "--verify", "none", "--dir", self.folder)
        start = time.monotonic()
        harness.holdfast(*args, env=env)
        whole = time.monotonic() - start
        for _ in range(KILLS):
            process = harness.spawn_holdfast(*args, env=env)
            time.sleep(random.uniform(0, whole))
            children = harness.descendants(process.pid)
            process.kill_group()
            harness.wait_until(lambda: not any(is_gpg(child) for child in children), timeout=30,
                               what="gpg to end after holdfast was killed")
        report = self.run_holdfast("verify", "--all", "--json", env=env, timeout=600).json()
        self.assertTrue(report["ok"], report)
        harness.holdfast(*args, env=env)
        ids = {b["id"] for b in self.run_holdfast("list", "--json").json()["backups"]}
        for name in self.names():
            self.assertTrue(any(name.startswith(backup + ".") for backup in ids), name)
            self.assertNotIn(".claim", name)

    def test_no_plain_row_on_a_disk(self):
        """Every file that holdfast or a child of it writes, by strace, and what stands in the folders."""
        strace = shutil.which("strace")
        probe = subprocess.run([strace, "-qq", "-o", "/dev/null", "true"]) if strace else None
        if probe is None or probe.returncode != 0:
            self.skipTest("strace cannot be used here")
        scratch = harness.temp_dir("hf-tmp-", 0o777)
        scratch.chmod(0o1777)
        seen = []
        done = threading.Event()

        def watch():
            while not done.is_set():
                for folder in (scratch, self.folder):
                    for path in folder.rglob("*"):
                        try:
                            if path.is_file() and MARKER.encode() in path.read_bytes():
                                seen.append(str(path))
                        except OSError:
                            continue
                time.sleep(0.01)

        watcher = threading.Thread(target=watch)
        watcher.start()
        env = {"PATH": os.environ["PATH"], "HOME": str(harness.home()), "TMPDIR": str(scratch),
               "DATABASE_URL": self.server.url("care"), "LANG": "C.UTF-8"}
        env.update({name: str(value) for name, value in self.to_keeper().items()})
        trace = self.private / "trace"
        written = set()
        try:
            for args in (("backup", "--type", "dump", "--compression", "gzip"),
                         ("verify", "latest", "--level", "quick"), ("verify", "latest"),
                         ("restore", "latest", "--database", "traced")):
                subprocess.run([strace, "-f", "-qq", "-o", trace, "-e",
                                "trace=open,openat,creat,openat2", harness.holdfast_bin(), *args,
                                "--dir", self.folder], env=env, check=True, capture_output=True)
                for line in trace.read_text().splitlines():
                    opened = re.search(r'"([^"]*)", [^)]*O_(?:WRONLY|RDWR|CREAT|TMPFILE)', line)
                    if opened and not line.rstrip().endswith(")") and " = -1 " not in line:
                        written.add(opened.group(1))
            self.run_holdfast("verify", "latest", "--level", "restore",
                              env={**self.to_keeper(), "TMPDIR": scratch})
        finally:
            done.set()
            watcher.join()
            trace.unlink(missing_ok=True)
            self.server.psql("DROP DATABASE IF EXISTS traced")
        self.assertEqual([], seen)
        allowed = (str(self.folder), "/dev/", "/proc/", str(self.keys))
        self.assertEqual([], sorted(path for path in written if path.startswith("/") and
                                    not path.startswith(allowed)))
        self.assertTrue(any(str(self.folder) in path for path in written), "nothing was traced")


if __name__ == "__main__":
    harness.main()
