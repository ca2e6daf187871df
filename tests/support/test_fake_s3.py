"""FakeS3 speaks the S3 that stock `aws` speaks, refuses what S3 refuses, and fails as told."""

import json
import os
import unittest

import harness
from fake_s3_signature import EMPTY_SHA256, canonical_request, signature

STRANGE = "a b+c%20&=ü/日本 ~'()*.dump"


class Signature(unittest.TestCase):
    def test_the_example_that_aws_publishes(self):
        """"Example: GET Object" of AWS's description of Signature Version 4 for S3."""
        headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9",
                   "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": "20130524T000000Z"}
        request = canonical_request("GET", "/test.txt", "", headers, sorted(headers), EMPTY_SHA256)
        self.assertEqual(
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1",
                      "20130524T000000Z", request))


class StockAws(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = harness.FakeS3()

    @classmethod
    def tearDownClass(cls):
        cls.fake.close()

    def setUp(self):
        self.fake.heal()
        self.fake.make_bucket("safe")
        self.addCleanup(self.fake.drop_bucket, "safe")

    def failure(self, *args, **more):
        result = self.fake.aws(*args, check=False, **more)
        self.assertNotEqual(0, result.code, str(result))
        return result.err

    def test_objects_small_and_large_under_strange_keys(self):
        self.fake.aws("s3", "mb", "s3://made")
        self.assertEqual({}, self.fake.objects("made"))
        for content in (b"x", os.urandom(20 << 20)):
            self.fake.upload("safe", STRANGE, content)
            self.assertEqual(content, self.fake.download("safe", STRANGE))
            self.assertEqual(content, self.fake.content("safe", STRANGE))
        self.assertIn("CompleteMultipartUpload", [seen.op for seen in self.fake.seen])
        listed = json.loads(self.fake.aws("s3api", "list-objects-v2", "--bucket", "safe").out)
        self.assertEqual([(STRANGE, 20 << 20)], [(o["Key"], o["Size"]) for o in listed["Contents"]])
        self.fake.aws("s3", "rm", f"s3://safe/{STRANGE}")
        self.assertEqual({}, self.fake.objects("safe"))
        self.assertEqual([], [p for p in self.fake.data.rglob("*") if p.is_file()], "left behind")

    def test_lists_go_on_over_pages(self):
        names = {f"k {number:04}" for number in range(2345)}
        for name in names:
            self.fake.place("safe", name, b"")
        self.assertEqual(names, set(harness.S3Server.objects(self.fake, "safe")))
        self.assertEqual(3, [seen.op for seen in self.fake.seen].count("ListObjectsV2"))

    def test_unfinished_uploads_are_listed_and_aborted(self):
        made = json.loads(self.fake.aws("s3api", "create-multipart-upload", "--bucket", "safe",
                                        "--key", STRANGE).out)
        self.assertEqual([STRANGE], harness.S3Server.uploads(self.fake, "safe"))
        self.fake.aws("s3api", "abort-multipart-upload", "--bucket", "safe", "--key", STRANGE,
                      "--upload-id", made["UploadId"])
        self.assertEqual([], harness.S3Server.uploads(self.fake, "safe"))
        self.assertIn("NoSuchUpload", self.failure(
            "s3api", "abort-multipart-upload", "--bucket", "safe", "--key", STRANGE,
            "--upload-id", made["UploadId"]))

    def test_parts_too_small_or_not_in_order_are_refused(self):
        folder = harness.temp_dir()
        (folder / "part").write_bytes(b"small")
        begun = json.loads(self.fake.aws("s3api", "create-multipart-upload", "--bucket", "safe",
                                         "--key", "k").out)["UploadId"]
        where = ("--bucket", "safe", "--key", "k", "--upload-id", begun)
        etag = [json.loads(self.fake.aws("s3api", "upload-part", *where, "--part-number", number,
                                         "--body", folder / "part").out)["ETag"]
                for number in (1, 2)]

        def complete(*numbers, tag=etag[0]):
            parts = {"Parts": [{"PartNumber": n, "ETag": tag} for n in numbers]}
            return self.failure("s3api", "complete-multipart-upload", *where, "--multipart-upload",
                                json.dumps(parts))

        self.assertIn("EntityTooSmall", complete(1, 2))
        self.assertIn("InvalidPartOrder", complete(2, 1))
        self.assertIn("InvalidPart", complete(1, 3))
        self.assertIn("InvalidPart", complete(1, tag="0" * 32))
        self.assertEqual({}, self.fake.objects("safe", "k"))
        self.fake.aws("s3api", "abort-multipart-upload", *where)

    def test_what_new_objects_ask_for_is_kept_or_refused(self):
        put = ("s3api", "put-object", "--key", "k")
        self.fake.aws(*put, "--bucket", "safe", "--storage-class", "STANDARD_IA",
                      "--server-side-encryption", "aws:kms", "--metadata", "who=me")
        head = json.loads(self.fake.aws("s3api", "head-object", "--bucket", "safe", "--key", "k").out)
        self.assertEqual(("STANDARD_IA", "aws:kms", {"who": "me"}),
                         (head["StorageClass"], head["ServerSideEncryption"], head["Metadata"]))
        self.assertIn("InvalidStorageClass",
                      self.failure(*put, "--bucket", "safe", "--storage-class", "BEST"))
        lock = ("--object-lock-mode", "COMPLIANCE", "--object-lock-retain-until-date",
                "2999-01-01T00:00:00Z")
        md5 = ("--content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
        self.assertIn("Object Lock", self.failure(*put, "--bucket", "safe", *lock, *md5))
        self.fake.aws("s3api", "create-bucket", "--bucket", "locked",
                      "--object-lock-enabled-for-bucket")
        self.assertIn("BadDigest", self.failure(*put, "--bucket", "locked", "--content-md5",
                                                "AAAAAAAAAAAAAAAAAAAAAA=="))
        self.fake.aws(*put, "--bucket", "locked", *lock, *md5)
        head = json.loads(self.fake.aws("s3api", "head-object", "--bucket", "locked", "--key",
                                        "k").out)
        self.assertEqual("COMPLIANCE", head["ObjectLockMode"])

    def test_wrong_logins_are_refused(self):
        self.assertIn("SignatureDoesNotMatch", self.with_login(secret=harness.random_secret()))
        self.assertIn("InvalidAccessKeyId", self.with_login(key="AKNOBODY"))
        self.fake.heal()
        self.assertEqual("", self.with_login(region="eu-central-1"))
        self.assertEqual([400, 200], [self.fake.seen[0].status, self.fake.seen[-1].status],
                         "the region it should have is told in a way that aws understands")

    def with_login(self, key=None, secret=None, region=None):
        other = harness.S3Server(key or self.fake.access_key, secret or self.fake.secret_key)
        other.endpoint, other.region = self.fake.endpoint, region or "us-east-1"
        with other:
            return other.aws("s3api", "list-objects-v2", "--bucket", "safe", check=False).err

    def test_faults_happen_when_they_should(self):
        content = os.urandom(17 << 20)
        for kind, op in (("503", "UploadPart"), ("500", "CreateMultipartUpload"),
                         ("reset", "UploadPart"), ("reset-body", "UploadPart"),
                         ("lost", "UploadPart"), ("200-error", "CompleteMultipartUpload")):
            with self.subTest(kind):
                fault = self.fake.fail(kind, op=op)
                self.fake.upload("safe", "k", content)
                self.assertEqual(1, fault.happened)
                self.assertEqual(content, self.fake.download("safe", "k"))
        fault = self.fake.fail("truncated", op="GetObject", first=2)
        self.assertEqual(content, self.fake.download("safe", "k"))
        self.assertEqual(1, fault.happened)
        self.fake.fail("cut", op="GetObject")
        self.assertIn("reset by peer", self.failure("s3", "cp", "s3://safe/k", "-"))
        self.fake.fail("flip", op="GetObject")
        self.assertNotEqual(content, self.fake.download("safe", "k"))
        self.fake.fail("denied", op="ListObjectsV2", first=2)
        harness.S3Server.objects(self.fake, "safe")
        self.assertIn("AccessDenied", self.failure("s3", "ls", "s3://safe"))


if __name__ == "__main__":
    harness.main()
