"""Backups in a bucket: with S3 servers of other makers, with stock tools, and with a server that fails.

The servers and what they cannot do: s3_servers.py, swift_server.py, fake_s3.py.
"""

import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

BUCKET = "safe"
LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
PEAK_MIB_MAX = 320
CARRIED_OUT = ("lost", "500-after", "garbage", "cut", "truncated", "short", "flip")
# More than two parts of 8 MiB, and more than one: digests in hexadecimal compress by half and no further.
ROWS = {"care": 350_000, "two_parts": 180_000}


def setUpModule():
    global source
    source = harness.Server()
    for name, rows in ROWS.items():
        source.createdb(name)
        source.psql("CREATE TABLE visits AS SELECT i AS id, sha512(i::text::bytea) AS note"
                    f" FROM generate_series(1, {rows}) i; ALTER TABLE visits ADD PRIMARY KEY (id);", name)
    source.createdb("small")
    source.psql("CREATE TABLE clients AS SELECT i AS id, 'client ' || i AS name"
                " FROM generate_series(1, 500) i", "small")


def tearDownModule():
    source.close()


class Case(unittest.TestCase):
    """What all tests here need; `s3` is the class's server."""

    s3: harness.S3Server
    make_server = None
    db = "care"  # what is backed up where a test does not say

    @classmethod
    def setUpClass(cls):
        if cls.make_server is None:
            raise unittest.SkipTest("what the tests of each server share")
        try:
            cls.s3 = cls.make_server()
        except harness.Unavailable as error:
            raise unittest.SkipTest(str(error)) from None
        cls.addClassCleanup(cls.s3.close)
        cls.s3.make_bucket(BUCKET)

    def setUp(self):
        self.folder = harness.temp_dir() / "local"
        # A prefix of its own for each test, with all that is easily encoded wrongly.
        self.prefix = f"care+commons/100% = sûr 日本@~/{self.id().rpartition('.')[2]}"

    def env(self, db=None, **more):
        return {"DATABASE_URL": source.url(db or self.db), "BACKUP_DIR": self.folder, "S3_BACKUP_BUCKET": BUCKET,
                "S3_BACKUP_PREFIX": self.prefix, **self.s3.env(), **more}

    def run_it(self, *args, db=None, expect=0, check=True, timeout=300, **more):
        return harness.holdfast(*args, env=self.env(db, **more), check=check, timeout=timeout,
                                expect=expect if check else None)

    def backup(self, *args, **more):
        result = self.run_it("backup", "--type", "dump", "--json", *args, **more).json()
        return result["results"][0]

    def keys(self):
        return {key.removeprefix(self.prefix + "/"): size
                for key, size in self.s3.objects(BUCKET, self.prefix + "/").items()}

    def listed(self, *args, **more):
        return [b["id"] for b in self.run_it("list", "--json", *args, **more).json()["backups"]]

    def key(self, name):
        return f"{self.prefix}/{name}"

    def restored(self, *args, db=None, **more):
        """Restores from the bucket alone and compares every row with the source."""
        name = f"restored_{os.urandom(4).hex()}"
        result = self.run_it("restore", "latest", "--store", "s3", "--database", name, "--json", *args,
                             db=db, **more)
        self.assertEqual("PASS", result.json()["verdict"])
        self.same_rows(name, db)

    def same_rows(self, name, db=None):
        try:
            self.assertEqual("", harness.rows_difference(harness.rows(source, db or self.db),
                                                         harness.rows(source, name)))
        finally:
            source.dropdb(name)


class AnyServer(Case):
    """The same for every server."""

    def test_there_and_back_and_with_stock_tools(self):
        made = self.backup()
        self.assertEqual(["ok", "ok"], [store["status"] for store in made["stores"]])
        self.assertTrue(all(store["proof"]["ok"] for store in made["stores"]))
        archive = made["id"] + ".dump"
        local = (self.folder / archive).read_bytes()
        self.assertGreater(len(local), 17 << 20, "this is to be an upload of several parts")

        # Written by holdfast, read by aws and pg_restore: the original's procedure.
        self.assertEqual(len(local), self.keys()[archive])
        self.assertEqual(local, self.s3.download(BUCKET, self.key(archive)))
        source.createdb("by_hand")
        dump = harness.temp_dir() / "care.dump"
        self.s3.aws("s3", "cp", "--quiet", f"s3://{BUCKET}/{self.key(archive)}", dump)
        source.tool("pg_restore", "-d", "by_hand", dump)
        self.same_rows("by_hand")

        # What the bucket alone says, with the folder gone.
        shutil.rmtree(self.folder)
        self.assertEqual([made["id"]], self.listed())
        self.assertTrue(self.run_it("verify", "latest", "--store", "s3", "--json").json()["ok"])
        self.restored()

    def test_sealed_backups_open_with_stock_tools_alone(self):
        key = harness.temp_dir("hf-key-", 0o700) / "backup.key"
        key.write_text(harness.random_secret() + harness.random_secret() + "\n")
        key.chmod(0o600)
        made = self.backup("--store", "s3", db="small", BACKUP_KEY_FILE=key)
        archive = made["id"] + ".dump.gpg"
        self.assertIn(archive, self.keys())
        self.assertNotIn(made["id"] + ".dump", self.keys())
        folder = harness.temp_dir("hf-gpg-", 0o700)
        self.s3.aws("s3", "cp", "--quiet", f"s3://{BUCKET}/{self.key(archive)}", folder / archive)
        opened = subprocess.run(
            ["gpg", "--batch", "--no-tty", "--homedir", folder, "--pinentry-mode", "loopback",
             "--passphrase-file", key, "--output", folder / "care.dump", "--decrypt", folder / archive],
            capture_output=True)
        self.assertEqual(0, opened.returncode, opened.stderr.decode())
        source.createdb("by_hand")
        source.tool("pg_restore", "-d", "by_hand", folder / "care.dump")
        self.same_rows("by_hand", "small")
        self.restored(db="small", BACKUP_KEY_FILE=key)

    def test_what_aws_uploaded_is_read(self):
        made = self.backup("--store", "local", db="small")
        self.assertEqual({}, self.keys())
        self.s3.aws("s3", "cp", "--recursive", "--quiet", "--exclude", ".*", self.folder,
                    f"s3://{BUCKET}/{self.prefix}/")
        shutil.rmtree(self.folder)
        self.assertEqual([made["id"]], self.listed("--store", "s3", db="small"))
        self.restored(db="small")

    def test_damage_in_the_bucket_is_found(self):
        made = self.backup()
        archive = made["id"] + ".dump"
        content = bytearray((self.folder / archive).read_bytes())
        content[len(content) // 2] ^= 1
        self.s3.upload(BUCKET, self.key(archive), bytes(content))
        verified = self.run_it("verify", made["id"], "--json", expect=4).json()
        self.assertEqual({"local": True, "s3": False},
                         {copy["store"]: copy["ok"] for copy in verified["backups"]})
        self.s3.aws("s3", "rm", f"s3://{BUCKET}/{self.key(archive)}")
        self.run_it("verify", made["id"], "--store", "s3", expect=4)

    def test_an_unwritable_bucket_harms_no_folder(self):
        result = self.run_it("backup", "--type", "dump", "--json", db="small", expect=3,
                             S3_BACKUP_BUCKET="there-is-no-such-bucket")
        made = result.json()["results"][0]
        self.assertEqual(["ok", "failed"], [store["status"] for store in made["stores"]])
        self.assertIn("there-is-no-such-bucket", result.err)
        self.assertEqual([made["id"]], self.listed("--store", "local", db="small"))

    def test_a_wrong_key_is_refused_and_said(self):
        if not self.s3.checks_signatures:
            self.skipTest("this server takes any")
        result = self.run_it("backup", "--type", "dump", "--store", "s3", db="small", check=False,
                             AWS_SECRET_ACCESS_KEY=harness.random_secret())
        self.assertNotEqual(0, result.code)
        self.assertIn("hint:", result.err)
        self.assertIn("signature", result.err.lower())
        self.assertEqual({}, self.keys())

    def test_copies_go_both_ways(self):
        made = self.backup("--store", "local")
        self.run_it("copy", "latest", "--to", "s3")
        first = (self.folder / (made["id"] + ".dump")).read_bytes()
        shutil.rmtree(self.folder)
        self.run_it("copy", "latest", "--to", "local")
        self.assertEqual(first, (self.folder / (made["id"] + ".dump")).read_bytes())


class WithS3rver(AnyServer):
    make_server = harness.S3rver

    def test_more_keys_than_a_page_holds(self):
        folder = harness.temp_dir()
        for number in range(1100):
            (folder / f"aaa {number:04}.txt").write_text("of somebody else")
        self.s3.aws("s3", "cp", "--recursive", "--quiet", folder, f"s3://{BUCKET}/{self.prefix}/",
                    config={"max_concurrent_requests": 20})
        made = self.backup(db="small")
        self.assertEqual([made["id"]], self.listed("--store", "s3", db="small"))


class WithSwift(AnyServer):
    make_server = harness.Swift

    def test_uploads_that_nobody_finishes_are_cleared(self):
        id = "care_2026-01-02T03-04-05-678Z"
        for name in (f"{id}.dump", "of somebody else.bin"):
            begun = self.s3.aws("s3api", "create-multipart-upload", "--bucket", BUCKET, "--key",
                                self.key(name))
            part = harness.temp_dir() / "part"
            part.write_bytes(b"x")
            self.s3.aws("s3api", "upload-part", "--bucket", BUCKET, "--key", self.key(name),
                        "--part-number", 1, "--upload-id", begun.json()["UploadId"], "--body", part)
        made = self.backup("--store", "s3", db="small")
        self.assertEqual([self.key("of somebody else.bin")], self.s3.uploads(BUCKET))
        self.assertEqual([made["id"]], self.listed("--store", "s3", db="small"))


class WithFake(AnyServer):
    make_server = harness.FakeS3

    def setUp(self):
        super().setUp()
        self.s3.heal()

    def test_more_keys_than_a_page_holds(self):
        for number in range(2100):
            self.s3.place(BUCKET, self.key(f"aaa {number:04}.txt"), b"")
        made = self.backup(db="small")
        self.assertEqual([made["id"]], self.listed("--store", "s3", db="small"))


    def test_locked_backups_stay_until_retention_lets_go_of_them(self):
        locked = self.s3.make_bucket("locked", has_lock=True)
        toml = harness.temp_dir() / "holdfast.toml"
        toml.write_text('s3_object_lock = "compliance"\n')
        more = {"db": "small", "S3_BACKUP_BUCKET": "locked", "HOLDFAST_CONFIG": toml}
        made = self.backup("--store", "s3", **more)
        head = self.s3.aws("s3api", "head-object", "--bucket", "locked",
                           "--key", self.key(made["id"] + ".dump")).json()
        self.assertEqual("COMPLIANCE", head["ObjectLockMode"])
        # The first of its month: until the monthly rule ends, a year from now.
        self.assertGreater(head["ObjectLockRetainUntilDate"][:4], made["id"][6:10])
        refused = self.s3.aws("s3api", "delete-object", "--bucket", "locked", "--key",
                              self.key(made["id"] + ".dump"), check=False)
        self.assertEqual([made["id"]], self.listed("--store", "s3", **more), refused)
        second = self.backup("--store", "s3", **more)
        head = self.s3.aws("s3api", "head-object", "--bucket", "locked",
                           "--key", self.key(second["id"] + ".dump")).json()
        self.assertLess(head["ObjectLockRetainUntilDate"][:7], f"{int(made['id'][6:10]) + 1}-01" + "z")


class Faults(Case):
    make_server = harness.FakeS3
    db = "two_parts"  # so many runs: the smallest that is uploaded in parts

    def setUp(self):
        super().setUp()
        self.s3.heal()
        # Of each test and subtest alone.
        self.s3.drop_bucket(BUCKET)
        self.s3.make_bucket(BUCKET)

    def expect_whole_or_nothing(self, result):
        """After whatever went wrong: what is listed is whole, what is not leaves nothing."""
        # An upload whose beginning got no answer has no name that its maker could abort it by; and who may
        # not abort, cannot.
        nameless = any((seen.op == "CreateMultipartUpload" and seen.fault in CARRIED_OUT)
                       or (seen.op == "AbortMultipartUpload" and seen.fault == "denied")
                       for seen in self.s3.seen)
        self.s3.heal()
        ids = self.listed("--store", "s3")
        archives = [key for key in self.keys() if key.endswith((".dump", ".sql"))]
        left = self.s3.uploads(BUCKET)
        if nameless and left:
            self.backup("--store", "s3")  # the next run clears it
            # But for the upload that a preflight tried, empty here, which no run may clear for a week:
            # it could be another machine's.
            left = [key for key in self.s3.uploads(BUCKET) if "/holdfast-check-" not in key]
        self.assertEqual([], left, f"an upload was left\n{result}")
        if result.code == 0:
            self.assertEqual(1, len(ids), str(result))
            self.run_it("verify", ids[0], "--store", "s3")
        elif not ids:
            self.assertEqual([], archives, str(result))
            self.assertIn("error:", result.err)
        else:  # written, but its proof did not come through: said, and yet whole
            self.run_it("verify", ids[0], "--store", "s3")

    def one_fault(self, kind, number):
        """A backup in which request `number` meets `kind`. Returns whether there was such a request."""
        self.s3.drop_bucket(BUCKET)
        self.s3.make_bucket(BUCKET)
        self.s3.heal()
        fault = self.s3.fail(kind, first=number)
        result = self.run_it("backup", "--type", "dump", "--store", "s3", check=False)
        met = [seen for seen in self.s3.seen if seen.fault]
        happened = fault.happened > 0
        with self.subTest(kind, number=number, op=met[0].op if met else None):
            self.expect_whole_or_nothing(result)
            if kind not in ("denied", "flip", "skew"):
                self.assertEqual(0, result.code, f"should have been survived\n{result}")
        return happened

    def test_every_request_may_fail_once(self):
        kinds = ("500", "503", "429", "reset", "reset-body", "lost", "500-after", "cut", "truncated",
                 "expired", "garbage", "wrong-etag", "200-error", "short", "denied", "flip")
        self.one_fault("500", 10_000)
        requests = len(self.s3.seen)
        self.assertGreater(requests, 0)
        number = 0
        while True:
            number += 1
            # By default each request meets one of the faults, each fault several of the requests.
            chosen = kinds if LONG else [kinds[number % len(kinds)]]
            if not any([self.one_fault(kind, number) for kind in chosen]):
                break
        self.assertGreater(number, 10, "there are more requests in a backup than this")

    def test_answers_to_the_end_of_an_upload_may_be_lost(self):
        for op in ("CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart", "PutObject",
                   "AbortMultipartUpload"):
            for kind in ("lost", "500-after", "200-error", "reset", "503"):
                with self.subTest(op, kind=kind):
                    self.setUp()
                    self.s3.fail(kind, op=op, count=2)
                    result = self.run_it("backup", "--type", "dump", "--store", "s3", check=False)
                    self.assertEqual(0, result.code, str(result))
                    self.expect_whole_or_nothing(result)

    def test_a_server_that_stays_broken_is_reported(self):
        for kind, op in (("denied", "UploadPart"), ("denied", "PutObject"),
                         ("denied", "CreateMultipartUpload"), ("denied", "CompleteMultipartUpload"),
                         ("expired", "UploadPart"), ("skew", None)):
            with self.subTest(kind, op=op):
                self.setUp()
                self.s3.fail(kind, op=op, count=float("inf"))
                result = self.run_it("backup", "--type", "dump", "--store", "s3", check=False)
                self.assertNotEqual(0, result.code, str(result))
                self.assertIn("hint:", result.err)
                self.expect_whole_or_nothing(result)

    def test_reading_survives_what_passes(self):
        self.backup("--store", "s3")
        for kind in ("500", "503", "429", "reset", "cut", "truncated", "short", "expired"):
            with self.subTest(kind):
                self.s3.heal()
                fault = self.s3.fail(kind, op="GetObject", key=".dump", first=2, count=2)
                self.run_it("verify", "latest", "--store", "s3")
                self.assertEqual(2, fault.happened)
        self.s3.heal()
        self.s3.fail("503", op="GetObject", first=3, count=3)
        self.restored()

    def test_a_bit_that_is_wrong_on_the_way_is_noticed(self):
        self.backup("--store", "s3")
        self.s3.fail("flip", op="GetObject", key=".dump", count=float("inf"))
        self.run_it("verify", "latest", "--store", "s3", expect=4)

    def test_a_server_without_conditional_writes_serves_as_well(self):
        self.s3.knows_if_none_match = False
        try:
            self.backup("--store", "s3")
            self.restored()
        finally:
            self.s3.knows_if_none_match = True

    def test_a_killed_run_leaves_nothing_that_lists_and_is_cleared(self):
        fault = self.s3.fail("stall", op="UploadPart", first=2, count=float("inf"))
        process = harness.spawn_holdfast("backup", "--type", "dump", "--store", "s3", env=self.env())
        harness.wait_until(lambda: fault.happened or process.poll() is not None, 60)
        process.kill()
        process.wait()
        self.assertEqual(1, len(self.s3.uploads(BUCKET)))
        self.s3.heal()
        self.assertEqual([], self.listed("--store", "s3"))
        made = self.backup("--store", "s3")
        self.assertEqual([], self.s3.uploads(BUCKET))
        self.assertEqual([made["id"]], self.listed("--store", "s3"))

    def test_an_interrupted_run_aborts_its_upload(self):
        fault = self.s3.fail("stall", op="UploadPart", first=2, count=float("inf"))
        process = harness.spawn_holdfast("backup", "--type", "dump", "--store", "s3", env=self.env())
        harness.wait_until(lambda: fault.happened or process.poll() is not None, 60)
        result = process.stop(signal.SIGINT)
        self.assertNotEqual(0, result.code)
        self.s3.heal()
        self.assertEqual([], self.s3.uploads(BUCKET))
        self.assertEqual({}, self.keys())

    def test_memory_stays_bounded_when_the_server_is_slow_to_take_parts(self):
        self.s3.fail("503", op="UploadPart", first=2, count=9)
        env = {"PATH": os.environ["PATH"], "HOME": str(harness.home()), "LANG": "C.UTF-8",
               **{name: str(value) for name, value in self.env("care").items()}}
        process = subprocess.Popen([harness.holdfast_bin(), "backup", "--type", "dump", "--store", "s3"],
                                   env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(0, process.returncode)
        self.assertLess(usage.ru_maxrss / 1024, PEAK_MIB_MAX)


class Connections(Case):
    """How the server is reached."""

    make_server = harness.FakeS3

    def test_temporary_credentials(self):
        with harness.FakeS3(session_token=harness.random_secret()) as server:
            server.make_bucket(BUCKET)
            more = server.env()
            self.backup("--store", "s3", db="small", **more)
            self.assertEqual(1, len(self.listed("--store", "s3", **more)))
            result = self.run_it("list", "--store", "s3", check=False,
                                 **{**more, "AWS_SESSION_TOKEN": None})
            self.assertNotEqual(0, result.code)

    def test_tls_is_verified(self):
        folder = harness.temp_dir()
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key",
             "-out", folder / "cert"], capture_output=True, text=True)
        self.assertEqual(0, made.returncode, made.stderr)
        with harness.FakeS3(tls=(folder / "cert", folder / "key")) as server:
            server.make_bucket(BUCKET)
            more = server.env()
            result = self.run_it("backup", "--type", "dump", "--store", "s3", db="small", check=False,
                                 **more)
            self.assertNotEqual(0, result.code)
            self.assertIn("certificate", result.err)
            self.assertEqual([], server.seen, "something was sent to a server nobody vouches for")
            self.backup("--store", "s3", db="small", AWS_CA_BUNDLE=folder / "cert", **more)

    def test_what_objects_get_is_what_was_chosen(self):
        toml = harness.temp_dir() / "holdfast.toml"
        toml.write_text("s3_storage_class = 'STANDARD_IA'\ns3_sse = 'aws:kms'\ns3_kms_key = 'of-care'\n")
        made = self.backup("--store", "s3", HOLDFAST_CONFIG=toml)
        archive = self.s3.buckets[BUCKET].get(self.key(made["id"] + ".dump"))
        self.assertEqual("STANDARD_IA", archive.headers["x-amz-storage-class"])
        self.assertEqual("aws:kms", archive.headers["x-amz-server-side-encryption"])
        self.assertEqual("of-care", archive.headers["x-amz-server-side-encryption-aws-kms-key-id"])
        self.restored()


if __name__ == "__main__":
    harness.main()
