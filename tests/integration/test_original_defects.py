"""What the script that Holdfast replaces got wrong, one test each, by the numbers of the list that was made of it.

Here are those about dumps, but for 1, 2, 3 and 6, which are about retention (test_retention.py). 10 to 12
are about branches, 17 about operations. Where it is cheap, a test first shows the defect: that what the
script relied on (pg_restore --list, say) does not notice.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
import zlib
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from history import age_backup  # noqa: E402

BUCKET = "safe"
MARKER = "Quittenbrot-5502-Zebrafink"  # stands in the rows
STDERR_MIB = 120  # more than the script's buffer took
PEAK_MIB_MAX = 256


def setUpModule():
    global source, bucket
    source = harness.Server()
    source.psql("CREATE ROLE care_reader")
    source.createdb("care")
    source.psql(f"""
        CREATE TABLE visits (id int PRIMARY KEY, note text);
        INSERT INTO visits SELECT i, '{MARKER} ' || md5(i::text) FROM generate_series(1, 30000) i;
        CREATE TABLE clients (id int PRIMARY KEY, name text);
        INSERT INTO clients SELECT i, 'client ' || i FROM generate_series(1, 500) i;
        GRANT SELECT ON visits TO care_reader;""", "care")
    bucket = harness.FakeS3()
    bucket.make_bucket(BUCKET)


def tearDownModule():
    bucket.close()
    source.close()


class Case(unittest.TestCase):
    def setUp(self):
        bucket.heal()
        self.folder = harness.temp_dir() / "local"
        self.prefix = self.id().rpartition(".")[2]

    def env(self, **more):
        return {"DATABASE_URL": source.url("care"), "BACKUP_DIR": self.folder, **more}

    def in_bucket(self, **more):
        return {"S3_BACKUP_BUCKET": BUCKET, "S3_BACKUP_PREFIX": self.prefix, **bucket.env(), **more}

    def run_it(self, *args, expect=0, cwd=None, **more):
        return harness.holdfast(*args, expect=expect, env=self.env(**more), timeout=300, cwd=cwd)

    def backup(self, *args, expect=0, **more):
        result = self.run_it("backup", "--type", "dump", "--json", *args, expect=expect, **more)
        return result.json()["results"][0]

    def ids(self, **more):
        return [b["id"] for b in self.run_it("list", "--json", **more).json()["backups"]]

    def archive(self, id):
        return self.folder / f"{id}.dump"

    def table_of_contents_reads(self, path):
        """What the script took for a proof."""
        return source.tool("pg_restore", "--list", path, check=False).code == 0


class Verification(Case):
    def test_defect_4_more_than_the_newest_tables_of_contents_is_verified(self):
        old, new = self.backup()["id"], self.backup()["id"]
        content = bytearray(self.archive(old).read_bytes())
        content[len(content) * 3 // 4] ^= 1
        self.archive(old).write_bytes(content)
        self.assertTrue(self.table_of_contents_reads(self.archive(old)))
        verified = self.run_it("verify", "--all", "--json", expect=4).json()
        self.assertEqual({old: False, new: True}, {b["id"]: b["ok"] for b in verified["backups"]})
        self.assertTrue(verified["backups"][[b["id"] for b in verified["backups"]].index(old)]["problems"])

    def test_defect_4_the_copy_in_the_bucket_is_verified_too(self):
        made = self.backup(**self.in_bucket())["id"]
        key = f"{self.prefix}/{made}.dump"
        content = bytearray(bucket.download(BUCKET, key))
        content[len(content) * 3 // 4] ^= 1
        bucket.upload(BUCKET, key, bytes(content))
        self.assertTrue(self.table_of_contents_reads(self.archive(made)))
        verified = self.run_it("verify", made, "--json", expect=4, **self.in_bucket()).json()
        self.assertEqual({"local": True, "s3": False},
                         {copy["store"]: copy["ok"] for copy in verified["backups"]})

    def test_defect_8_a_partial_file_is_never_taken_for_a_backup(self):
        good = self.backup()["id"]
        cut = harness.temp_dir() / "cut.dump"
        cut.write_bytes(self.archive(good).read_bytes()[:-self.archive(good).stat().st_size // 2])
        self.assertTrue(self.table_of_contents_reads(cut))
        self.run_it("verify", cut, expect=4)
        for _ in range(5):
            process = harness.spawn_holdfast("backup", "--type", "dump", env=self.env())
            while process.poll() is None and not list(self.folder.glob("*.partial*")) \
                    and not list(self.folder.glob(".*partial*")):
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
        # What carries the final name is whole, whatever moment the run was killed at.
        for path in self.folder.glob("*.dump"):
            self.run_it("verify", path)
        self.assertTrue(self.run_it("verify", "latest", "--json").json()["ok"])
        self.assertIn(good, self.ids())
        again = self.backup()["id"]
        self.assertEqual(again, self.ids()[0])
        self.assertEqual(sorted(f"{id}.dump" for id in self.ids()),
                         sorted(path.name for path in self.folder.glob("*.dump")))

    def test_defect_16_roles_counts_checksums_and_versions_are_recorded(self):
        made = self.backup()["id"]
        manifest = json.loads((self.folder / f"{made}.manifest.json").read_text())
        content = self.archive(made).read_bytes()
        self.assertEqual(hashlib.sha256(content).hexdigest(), manifest["archive"]["sha256"])
        self.assertEqual(len(content), manifest["archive"]["bytes"])
        rows = {table["name"]: table["rows"] for table in manifest["tables"]}
        self.assertEqual((30000, 500), (rows["public.visits"], rows["public.clients"]))
        self.assertTrue(all(table["checksum"] for table in manifest["tables"]))
        self.assertRegex(manifest["schema_fingerprint"], "^[0-9a-f]{64}$")
        self.assertIn(source.psql("SHOW server_version").split()[0], manifest["server_version"])
        self.assertIn("care_reader", (self.folder / f"{made}.globals.sql").read_text())
        # The size is looked at: a file that lost its end is found without reading it.
        self.archive(made).write_bytes(content[:-1])
        self.run_it("verify", made, "--level", "quick", expect=4)


class Independence(Case):
    def test_defect_5_missing_neon_credentials_do_not_cost_the_dump(self):
        done = self.run_it("backup")
        self.assertIn("branch leg: not configured", done.out + done.err)
        half = self.run_it("backup", "--json", expect=3, NEON_API_KEY=harness.random_secret())
        legs = {leg["kind"]: leg for leg in half.json()["results"]}
        self.assertEqual(("ok", "failed"), (legs["dump"]["status"], legs["branch"]["status"]))
        self.assertTrue(legs["dump"]["proof"]["ok"])
        self.assertIn("NEON_PROJECT_ID", legs["branch"]["error"])
        self.assertEqual(2, len(self.ids()))

    def test_defect_13_two_runs_at_once_do_not_harm_each_other(self):
        first = harness.spawn_holdfast("backup", "--type", "dump", env=self.env())
        second = harness.spawn_holdfast("backup", "--type", "dump", env=self.env())
        codes = sorted(p.finish().code for p in (first, second))
        self.assertIn(codes, ([0, 6], [0, 0]))  # 0, 0: the second began when the first was done
        self.assertEqual(codes.count(0), len(self.ids()))

    def test_defect_13_two_machines_and_one_bucket(self):
        """No lock reaches across machines, so the names have to keep runs apart."""
        runs = []
        for _ in range(3):
            state = harness.temp_dir()
            runs.append(harness.spawn_holdfast(
                "backup", "--type", "dump", "--store", "s3", "--json",
                env=self.env(XDG_STATE_HOME=state, **self.in_bucket())))
        results = [run.finish() for run in runs]
        self.assertEqual([0, 0, 0], [result.code for result in results], "\n".join(map(str, results)))
        made = {result.json()["results"][0]["id"] for result in results}
        self.assertEqual(3, len(made))
        verified = self.run_it("verify", "--all", "--store", "s3", "--json", **self.in_bucket()).json()
        self.assertEqual((True, made), (verified["ok"], {b["id"] for b in verified["backups"]}))

    def test_defect_14_what_pg_dump_says_has_no_bound(self):
        bindir = harness.temp_dir(mode=0o755)
        for tool in source.bindir.iterdir():
            if tool.name != "pg_dump":
                (bindir / tool.name).symlink_to(tool)
        wrapper = bindir / "pg_dump"
        wrapper.write_text("#!/bin/sh\n"
                           f"[ \"$1\" = --version ] || yes 'pg_dump: dumping' | head -c {STDERR_MIB << 20} >&2\n"
                           f"exec {source.bindir}/pg_dump \"$@\"\n")
        wrapper.chmod(0o755)
        process = harness.spawn_holdfast("backup", "--type", "dump", "--pg-bindir", bindir,
                                         env=self.env())
        peak_kib = 0
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                peak_kib = max([peak_kib, *(int(line.split()[1]) for line in status.splitlines()
                                            if line.startswith("VmHWM:"))])
            except OSError:
                pass
            time.sleep(0.01)
        result = process.finish()
        self.assertEqual(0, result.code, str(result)[:4000])
        self.assertGreater(peak_kib, 0)
        self.assertLess(peak_kib, PEAK_MIB_MAX << 10)
        self.assertTrue(self.run_it("verify", "latest", "--json").json()["ok"])


class Secrecy(Case):
    def test_defect_7_the_key_is_used_and_the_bucket_holds_nothing_in_the_clear(self):
        key = harness.random_secret() + harness.random_secret()
        self.backup("--store", "s3", **self.in_bucket())
        plain = bucket.objects(BUCKET, self.prefix)
        self.assertTrue(any(self.is_readable(bucket.download(BUCKET, name)) for name in plain),
                        "the marker is not looked for in the right way")
        self.prefix += "-sealed"
        sealed = self.backup("--store", "s3", **self.in_bucket(BACKUP_ENCRYPTION_KEY=key))["id"]
        names = bucket.objects(BUCKET, self.prefix + "/")
        self.assertIn(f"{self.prefix}/{sealed}.dump.gpg", names)
        for name in names:
            content = bucket.download(BUCKET, name)
            self.assertFalse(self.is_readable(content), name)
            self.assertNotIn(b"care_reader", content, name)  # roles
        self.expect_opened(bucket.download(BUCKET, f"{self.prefix}/{sealed}.dump.gpg"), key)

    def is_readable(self, content):
        """Whether rows can be read out of it with no key: as they are, or out of a compressed stream."""
        if MARKER.encode() in content or content.startswith(b"PGDMP"):
            return True
        at = -1
        while (at := content.find(b"\x1f\x8b", at + 1)) >= 0:
            try:
                if MARKER.encode() in zlib.decompressobj(31).decompress(content[at:], 1 << 20):
                    return True
            except zlib.error:
                continue
        return False

    def expect_opened(self, content, key):
        folder = harness.temp_dir("hf-gpg-", 0o700)
        (folder / "key").write_text(key)
        (folder / "key").chmod(0o600)
        opened = subprocess.run(
            ["gpg", "--batch", "--no-tty", "--homedir", folder, "--pinentry-mode", "loopback",
             "--passphrase-file", folder / "key", "--decrypt"], input=content, capture_output=True)
        self.assertEqual(0, opened.returncode, opened.stderr.decode())
        self.assertTrue(self.is_readable(opened.stdout))

    def test_defect_9_no_shell_and_no_password_anywhere(self):
        trap = harness.temp_dir()
        name = "care\"; touch a; $(touch b) `touch c` '"  # run in `trap`, should anything run it
        source.createdb(name)
        source.psql("CREATE TABLE t AS SELECT 1 AS id", name)
        with harness.SecretWatch() as watch:
            made = self.backup("--verify", "restore", cwd=trap, DATABASE_URL=source.url(name))
            self.run_it("restore", made["id"], "--database", name + "2", cwd=trap,
                        DATABASE_URL=source.url(name))
            wrong = harness.register_secret("no-" + harness.random_secret())
            failed = self.run_it("backup", "--type", "dump", "--json", expect=1, cwd=trap,
                                 DATABASE_URL=source.url(name, password=wrong))
        self.assertGreater(watch.samples, 10)
        self.assertNotIn(wrong, failed.out + failed.err)
        self.assertEqual([], os.listdir(trap))
        self.assertEqual("1", source.psql("SELECT count(*) FROM t", name + "2"))


class Removal(Case):
    def test_defect_15_foreign_objects_stay_and_failures_are_told(self):
        foreign = [f"{self.prefix}/care_commons_2019-01-01T00-00-00-000Z.dump", f"{self.prefix}/notes.txt",
                   f"{self.prefix}/app/care_2019.dump"]
        for key in foreign:
            bucket.upload(BUCKET, key, b"not ours")
        made = self.backup()["id"]
        now = datetime.now(timezone.utc)
        old, *_ = [age_backup(self.folder, made, now, days) for days in (400, *range(1, 9))]
        bucket.aws("s3", "cp", "--recursive", "--quiet", "--exclude", ".*", self.folder,
                   f"s3://{BUCKET}/{self.prefix}/")
        shutil.rmtree(self.folder)
        self.assertIn(old, self.ids(**self.in_bucket()))
        bucket.fail("denied", op="DeleteObject", count=float("inf"))
        failed = self.run_it("prune", "--store", "s3", expect=1, **self.in_bucket())
        self.assertIn("error:", failed.err)
        bucket.heal()
        self.run_it("prune", "--store", "s3", **self.in_bucket())
        self.assertNotIn(old, self.ids(**self.in_bucket()))
        keys = bucket.objects(BUCKET, self.prefix + "/")
        self.assertEqual([], [key for key in keys if old in key])
        for key in foreign:
            self.assertIn(key, keys)
        self.assertIn(made, self.ids(**self.in_bucket()))


if __name__ == "__main__":
    harness.main()
