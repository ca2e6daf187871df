"""The contract of all stores (src/store/store_contract.h), and more, against real S3 servers and the fake.

The unit tests' program beside the one under test holds the S3 store to its contract at a server that is
named to it; here are the servers.
"""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

BUCKET = "contract"


class Contract(unittest.TestCase):
    def hold(self, make_server):
        program = harness.holdfast_bin().parent / "store_test"
        if not program.exists():
            self.skipTest(f"{program} is not built")
        try:
            server = make_server()
        except harness.Unavailable as error:
            self.skipTest(str(error))
        with server:
            server.make_bucket(BUCKET)
            # Where they cannot be listed, unfinished uploads stay until the server clears them.
            without = "" if server.lists_uploads else "-*.ReapRemovesOnlyTheUnfinished"
            done = subprocess.run(
                [program, f"--gtest_filter=*S3Live*{without}"], capture_output=True, text=True,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **server.env(),
                     "HOLDFAST_TEST_S3": f"{server.endpoint}/{BUCKET}"}, timeout=900)
            self.assertEqual(0, done.returncode, f"{done.stdout}{done.stderr}\n{server.log_tail()}")
            self.assertRegex(done.stdout, r"\[  PASSED  \] [1-9][0-9]* tests?")
            self.assertNotIn("SKIPPED", done.stdout)
            if server.lists_uploads:
                self.assertEqual([], server.uploads(BUCKET))
            self.assertEqual({}, server.objects(BUCKET))

    def test_s3rver(self):
        self.hold(harness.S3rver)

    def test_swift(self):
        self.hold(harness.Swift)

    def test_ceph(self):
        self.hold(harness.Ceph)

    def test_fake(self):
        self.hold(harness.FakeS3)


if __name__ == "__main__":
    harness.main()
