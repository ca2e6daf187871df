"""`holdfast doctor` beside the troubleshooting section of the procedures that it replaces: each of its rows as a
fault that is injected, and the finding that names it with a next step.

What the section does by hand: is the API reached, the database, the bucket, is there room on the disk; is the
file corrupted, may it be read, is the copy in the bucket good; do the versions fit, would a restore succeed.
"""

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from dual_cloud import DualCloud  # noqa: E402
from harness_server import _unprivileged  # noqa: E402

BUCKET = "safe"


def setUpModule():
    global source, bucket
    source = harness.Server()
    source.createdb("care")
    source.psql("""
        CREATE ROLE care_app LOGIN;
        CREATE TABLE clients (id int PRIMARY KEY, name text);
        INSERT INTO clients SELECT i, 'client ' || md5(i::text) FROM generate_series(1, 20000) i;
        ALTER TABLE clients OWNER TO care_app""", "care")
    bucket = harness.FakeS3()
    bucket.make_bucket(BUCKET)


def tearDownModule():
    bucket.close()
    source.close()


class Doctor(unittest.TestCase):
    def setUp(self):
        bucket.heal()
        self.folder = harness.temp_dir("hf-doctor-", 0o755) / "local"
        self.prefix = self.id().rpartition(".")[2]

    def env(self, **more) -> dict:
        return {"DATABASE_URL": source.url("care"), "BACKUP_DIR": self.folder, **more}

    def in_bucket(self, **more) -> dict:
        return {"S3_BACKUP_BUCKET": BUCKET, "S3_BACKUP_PREFIX": self.prefix, **bucket.env(), **more}

    def backup(self, **more) -> str:
        done = harness.holdfast("backup", "--type", "dump", "--json", env=self.env(**more))
        return done.json()["results"][0]["id"]

    def findings(self, *args, expect: int = 1, **more) -> list[dict]:
        return harness.holdfast("doctor", "--json", *args, env=self.env(**more), expect=expect).json()["findings"]

    def failures(self, *args, **more) -> dict:
        """check → its first failure; every failure has a next step."""
        found = {}
        for finding in self.findings(*args, **more):
            if finding["level"] == "failure":
                self.assertTrue(finding["hint"], finding)
                found.setdefault(finding["check"], finding)
        return found

    def assert_names(self, finding: dict, *words: str):
        said = f"{finding['message']} | {finding['hint']}"
        for word in words:
            self.assertIn(word, said)

    def damage(self, backup: str, at: float = 0.75) -> Path:
        path = self.folder / f"{backup}.dump"
        content = bytearray(path.read_bytes())
        content[int(len(content) * at)] ^= 1
        path.write_bytes(content)
        return path


class Healthy(Doctor):
    def test_nothing_is_found_where_nothing_is_wrong(self):
        self.assertEqual(["there is no backup in " + str(self.folder)],
                         [f["message"] for f in self.findings(expect=0) if f["check"] == "backups"])
        made = self.backup(**self.in_bucket())
        found = self.findings("--level", "deep", expect=0, **self.in_bucket())
        self.assertEqual([("ok", True)] * 2, [(f["level"], made in f["message"]) for f in found
                                              if f["check"] == "backups"], found)
        self.assertEqual(["ok"], [f["level"] for f in found if f["check"] == "restore tools"])

    def test_a_backup_that_was_never_proven_is_said(self):
        harness.holdfast("backup", "--type", "dump", "--verify", "none", env=self.env())
        found = [f for f in self.findings(expect=0) if f["check"] == "backups"]
        self.assertEqual([("note", True)], [(f["level"], "not proven" in f["message"]) for f in found])


class BackupCreationFails(Doctor):
    def test_the_api_cannot_be_reached(self):
        cloud = DualCloud(source)
        self.addCleanup(cloud.close)
        access = cloud.fake.env()
        self.assertNotIn("branch leg", self.failures(expect=0, **access))
        cloud.close()
        self.assert_names(self.failures(**access)["branch leg"], "NEON_API_HOST")

    def test_the_api_takes_no_such_key(self):
        cloud = DualCloud(source)
        self.addCleanup(cloud.close)
        wrong = harness.random_secret()
        self.assert_names(self.failures(**cloud.fake.env(NEON_API_KEY=wrong))["branch leg"], "NEON_API_KEY")

    def test_the_database_cannot_be_reached(self):
        port = harness.free_port()
        self.assert_names(self.failures(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{port}/care")["connection"],
                          str(port))

    def test_the_login_is_refused(self):
        url = source.url("care", password=harness.random_secret())
        self.assert_names(self.failures(DATABASE_URL=url)["connection"], "password")

    def test_there_is_no_such_database(self):
        self.assert_names(self.failures(DATABASE_URL=source.url("caer"))["connection"], "caer")

    def test_the_bucket_refuses_the_key(self):
        wrong = self.in_bucket(AWS_SECRET_ACCESS_KEY=harness.random_secret())
        self.assert_names(self.failures(**wrong)["store"], "AWS_SECRET_ACCESS_KEY")

    def test_there_is_no_such_bucket(self):
        self.assert_names(self.failures(**self.in_bucket(S3_BACKUP_BUCKET="saef"))["store"], "saef")

    def test_what_serve_would_refuse_of_the_configuration(self):
        for text, words in {
            '[schedule]\nbackup = "0 2 * *"\n': ("holdfast.toml:2", "fields"),
            '[schedule]\nbackup = "@daily"\nzone = "Europe/Berln"\n': ("holdfast.toml:3", "Europe/Berln"),
            '[objectives]\nstale_after = "50h"\nstale_critical = "49h"\n': ("holdfast.toml:3", "stale_critical"),
            '[objectives]\nstale_after = "50h"\n': ("holdfast.toml:2", "stale_after"),
        }.items():
            with self.subTest(text):
                path = harness.temp_dir(mode=0o700) / "holdfast.toml"
                path.write_text(text)
                failures = self.failures(HOLDFAST_CONFIG=path)
                self.assertEqual(["configuration"], list(failures))
                self.assert_names(failures["configuration"], *words)

    def test_there_is_no_room_on_the_disk(self):
        small = harness.temp_dir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small],
                                 capture_output=True) if os.geteuid() == 0 else None
        if mounted is None or mounted.returncode != 0:
            self.skipTest("no small file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", small], capture_output=True)
        self.assert_names(self.failures("--dir", str(small))["store"], "space", str(small))


class VerificationFails(Doctor):
    def test_the_file_is_cut(self):
        made = self.backup()
        path = self.folder / f"{made}.dump"
        path.write_bytes(path.read_bytes()[:-100])
        self.assert_names(self.failures()["backups"], made, "bytes", "make another backup now")

    def test_the_file_is_corrupted(self):
        made = self.backup()
        self.damage(made)
        self.assertEqual({}, self.failures(expect=0), "only reading it all shows one changed bit among the rows")
        self.assert_names(self.failures("--level", "deep")["backups"], made, "make another backup now")

    def test_the_list_of_contents_is_corrupted(self):
        made = self.backup()
        self.damage(made, at=0.001)
        self.assert_names(self.failures()["backups"], made)

    def test_a_proof_that_failed_stays_known(self):
        made = self.backup()
        path = self.damage(made)
        whole = harness.holdfast("verify", made, env=self.env(), expect=4)
        self.assertIn(made, whole.out)
        self.assertTrue(path.exists())
        self.assert_names(self.failures()["backups"], made, "FAIL", f"holdfast verify {made}")

    def test_the_file_may_not_be_read(self):
        made = self.backup()
        path = self.folder / f"{made}.dump"
        path.chmod(0o000)
        login = _unprivileged()
        if login:  # root reads everything: somebody else asks
            for each in (self.folder, *self.folder.iterdir()):
                each.chmod(each.stat().st_mode | (0o755 if each.is_dir() else 0o044))
            path.chmod(0o000)
        home = harness.temp_dir("hf-home-", 0o777)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_STATE_HOME": str(home),
               **{name: str(value) for name, value in self.env().items()}}
        done = harness.Spawned([harness.holdfast_bin(), "doctor", "--json"], env=env, login=login).finish()
        self.assertEqual(1, done.code, done)
        found = [f for f in done.json()["findings"] if f["check"] == "backups" and f["level"] == "failure"]
        self.assertTrue(found, done)
        self.assert_names(found[0], made, "ermission", "right")

    def test_the_copy_in_the_bucket_is_good(self):
        made = self.backup(**self.in_bucket())
        path = self.damage(made)
        found = self.failures("--level", "deep", **self.in_bucket())["backups"]
        self.assert_names(found, str(self.folder), f"holdfast copy {made} --store s3 --to local")
        # And what it says to do helps.
        for each in self.folder.glob(f"{made}.*"):
            shutil.move(each, harness.temp_dir() / each.name)
        self.assertFalse(path.exists())
        harness.holdfast("copy", made, "--store", "s3", "--to", "local", env=self.env(**self.in_bucket()))
        self.assertEqual({}, self.failures("--level", "deep", expect=0, **self.in_bucket()))


class RestorationFails(Doctor):
    def older_clients(self) -> Path:
        """Programs that say they are of PostgreSQL 11, as those of an old distribution do."""
        bindir = harness.temp_dir(mode=0o755)
        for tool in ("pg_dump", "pg_restore", "psql"):
            program = bindir / tool
            program.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo '{tool} (PostgreSQL) 11.22' && exit 0\n"
                               f"exec {source.bindir}/{tool} \"$@\"\n")
            program.chmod(0o755)
        return bindir

    def test_the_programs_are_older_than_the_backup(self):
        made = self.backup()
        found = self.failures("--pg-bindir", self.older_clients())
        self.assert_names(found["restore tools"], made, "postgresql-client-")

    def recovery(self, server, expect: int, *args) -> dict:
        more = {"HOLDFAST_TO_URL": server.url("postgres")}
        if expect == 0:
            return {f["check"]: f for f in self.findings(*args, expect=0, **more)}
        return self.failures(*args, expect=expect, **more)

    def test_the_server_to_restore_to(self):
        self.backup()
        taken = self.recovery(source, 1)["restore target"]
        self.assert_names(taken, "care")  # the database is there already: nothing is replaced
        fresh = harness.Server()
        self.addCleanup(fresh.close)
        good = self.recovery(fresh, 0)["restore target"]
        self.assertEqual("ok", good["level"], good)
        gone = harness.Server()
        gone.close()
        self.assert_names(self.recovery(gone, 1)["restore target"], str(gone.port))

    def test_the_server_lacks_an_extension(self):
        self.addCleanup(source.psql, "DROP EXTENSION IF EXISTS hf_absent", "care")
        share = Path(subprocess.run([source.bindir / "pg_config", "--sharedir"], capture_output=True, text=True,
                                    check=False).stdout.strip() or "/nonexistent") / "extension"
        if not os.access(share, os.W_OK):
            self.skipTest("the server's folder of extensions cannot be written here")
        files = [share / "hf_absent.control", share / "hf_absent--1.0.sql"]
        for path in files:
            self.addCleanup(path.unlink, missing_ok=True)
        files[0].write_text("default_version = '1.0'\nrelocatable = true\n")
        files[1].write_text("CREATE FUNCTION hf_absent() RETURNS int LANGUAGE sql AS 'SELECT 1';\n")
        for path in files:
            path.chmod(0o644)
        source.psql("CREATE EXTENSION hf_absent", "care")
        self.backup()
        fresh = harness.Server()
        self.addCleanup(fresh.close)
        for path in files:
            path.unlink()
        self.assert_names(self.recovery(fresh, 1)["restore target"], "hf_absent")


if __name__ == "__main__":
    unittest.main()
