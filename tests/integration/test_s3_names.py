"""The S3 store and the stock `aws` command read each other's objects, on every server.

test_s3.py does the same with backups; here the store itself is driven, by store_tool: objects of every size around
the borders of parts, and names with all that is easily encoded wrongly. Of an upload's parts, whatever is
expected, S3's limits hold.
"""

import hashlib
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

BUCKET = "names"
MIB = 1 << 20
PART = 8 * MIB
NAMES = ("plain", "with space", "two  spaces", "plus+sign", "100%done", "percent%20twenty", "a=b@c~d",
         "käse-ñ-日本", "🩺", "sub/folder/object", "dots.in.the.name")


def store_tool(server, *args, prefix="backups/", bucket=BUCKET, stdin=b"", check=True, env=None):
    tool = harness.holdfast_bin().parent / "tests" / "store_tool"
    argv = [tool, *map(str, args), "--bucket", bucket, "--prefix", prefix]
    done = subprocess.run(argv, env={"PATH": os.defpath, "HOME": str(harness.home()), **server.env(),
                                     **(env or {})},
                          input=stdin, capture_output=True, timeout=300)
    result = harness.Result(argv, done.returncode, done.stdout, done.stderr)
    if check and result.code != 0:
        raise AssertionError(f"{result}\n{server.log_tail()}")
    return result


def some_bytes(size: int) -> bytes:
    return hashlib.shake_256(str(size).encode()).digest(size)


class AnyServer(unittest.TestCase):
    make_server = None

    @classmethod
    def setUpClass(cls):
        if cls.make_server is None:
            raise unittest.SkipTest("what the tests of each server share")
        if not (harness.holdfast_bin().parent / "tests" / "store_tool").exists():
            raise unittest.SkipTest("store_tool is not built")
        try:
            cls.s3 = cls.make_server()
        except harness.Unavailable as error:
            raise unittest.SkipTest(str(error)) from None
        cls.addClassCleanup(cls.s3.close)
        cls.s3.make_bucket(BUCKET)

    def test_sizes_both_ways(self):
        ours, theirs = harness.temp_dir(), harness.temp_dir()
        sizes = (0, 1, 100_000, PART - 1, PART, PART + 1, 3 * PART + 5)
        for size in sizes:
            (theirs / f"{size}").write_bytes(some_bytes(size))
            store_tool(self.s3, "put", size, prefix="ours/", stdin=some_bytes(size))
        self.s3.aws("s3", "cp", "--recursive", "--quiet", theirs, f"s3://{BUCKET}/theirs/")
        self.s3.aws("s3", "cp", "--recursive", "--quiet", f"s3://{BUCKET}/ours/", ours)
        for size in sizes:
            with self.subTest(size=size):
                content = some_bytes(size)
                self.assertTrue(content == (ours / f"{size}").read_bytes(), "aws reads something else")
                got = store_tool(self.s3, "get", size, prefix="theirs/").out_bytes
                self.assertTrue(content == got, "holdfast reads something else")
                self.assertEqual(f"{size} -", store_tool(self.s3, "head", size, prefix="theirs/").out.strip())
        got = store_tool(self.s3, "range", 3 * PART + 5, PART - 3, 11, prefix="theirs/").out_bytes
        self.assertEqual(some_bytes(3 * PART + 5)[PART - 3:PART + 8], got)
        if self.s3.lists_uploads:
            self.assertEqual([], self.s3.uploads(BUCKET))

    def test_names_both_ways(self):
        ours, theirs = harness.temp_dir(), harness.temp_dir()
        for name in NAMES:
            (theirs / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs / name).write_bytes(name.encode())
            store_tool(self.s3, "put", name, stdin=name.encode(), prefix="our names/")
        self.s3.aws("s3", "cp", "--recursive", "--quiet", theirs, f"s3://{BUCKET}/their names/")
        self.s3.aws("s3", "cp", "--recursive", "--quiet", f"s3://{BUCKET}/our names/", ours)
        for name in NAMES:
            with self.subTest(name=name):
                self.assertEqual(name.encode(), (ours / name).read_bytes())
                got = store_tool(self.s3, "get", name, prefix="their names/").out_bytes
                self.assertEqual(name.encode(), got)
        for prefix in ("our names/", "their names/"):
            listed = store_tool(self.s3, "list", prefix=prefix).out.splitlines()
            self.assertEqual(sorted(NAMES, key=str.encode), [line.split(" ", 1)[1] for line in listed])
            self.assertEqual({prefix + name for name in NAMES}, set(self.s3.objects(BUCKET, prefix)))
        for name in NAMES:
            store_tool(self.s3, "remove", name, prefix="their names/")
        self.assertEqual({}, self.s3.objects(BUCKET, "their names/"))
        self.assertEqual(len(NAMES), len(self.s3.objects(BUCKET, "our names/")))

    def test_a_bucket_that_is_not_there_is_named(self):
        refused = store_tool(self.s3, "list", bucket="no-such-bucket", check=False)
        self.assertNotEqual(0, refused.code)
        self.assertIn("no-such-bucket", refused.err)


class WithS3rver(AnyServer):
    make_server = harness.S3rver


class WithSwift(AnyServer):
    make_server = harness.Swift


class WithCeph(AnyServer):
    make_server = harness.Ceph


class WithFake(AnyServer):
    make_server = harness.FakeS3

    def test_keys_of_a_shared_file_with_a_profile(self):
        folder = harness.temp_dir("hf-aws-", 0o700)
        (folder / "keys").write_text(f"[care]\naws_access_key_id = {self.s3.access_key}\n"
                                     f"aws_secret_access_key = {self.s3.secret_key}\n")
        env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "care",
               "AWS_SHARED_CREDENTIALS_FILE": folder / "keys"}
        store_tool(self.s3, "put", "by-profile", stdin=b"x", env=env)
        self.assertEqual(b"x", self.s3.download(BUCKET, "backups/by-profile"))
        (folder / "keys").write_text("[other]\n")
        refused = store_tool(self.s3, "list", env=env, check=False)
        self.assertIn("no profile care in", refused.err)


class PartSizes(unittest.TestCase):
    def test_limits_of_s3_hold_up_to_five_terabytes(self):
        tool = harness.holdfast_bin().parent / "tests" / "store_tool"
        if not tool.exists():
            self.skipTest("store_tool is not built")
        for total in (1, PART, 10**9, 10**10, 10**11, 10**12, 5 * 2**40):
            with self.subTest(total=total):
                out = subprocess.run([tool, "parts", str(total)], capture_output=True, text=True, check=True)
                first, count = map(int, out.stdout.split())
                self.assertGreaterEqual(first, 5 * MIB)
                self.assertLessEqual(first, 5 << 30)
                # Twice as many would still be allowed: what is expected is an estimate.
                self.assertLessEqual(2 * count, 10_000)


if __name__ == "__main__":
    harness.main()
