"""The shell scripts of the house parse, are executable, and say so when they are used wrongly."""

import os
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("quickstart", "check", ".ci/run", "tools/install-dependencies", "tools/check-format",
           "fuzz/run-libfuzzer", "tools/fresh-debian", "tools/make-package",
           "tools/prove-fresh-machine", "packaging/install-postgresql-client",
           "tests/support/install-linters", "tests/support/install-neon",
           "tests/support/install-s3rver", "tests/support/postgres-from-suite")


def run(*args) -> subprocess.CompletedProcess:
    return subprocess.run([str(a) for a in args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)


class ShellScripts(unittest.TestCase):
    def test_they_parse_and_are_strict(self):
        for name in SCRIPTS:
            with self.subTest(name):
                done = run("bash", "-n", ROOT / name)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(os.access(ROOT / name, os.X_OK), "is not executable")
                self.assertIn("set -euo pipefail", (ROOT / name).read_text())

    def test_wrong_usage(self):
        for args in (("tools/install-dependencies", "--for", "nothing"),
                     ("tools/install-dependencies", "--for"), ("tools/install-dependencies", "x"),
                     ("tools/check-format", "x"), ("quickstart", "--nonsense"),
                     ("fuzz/run-libfuzzer", "x"), ("fuzz/run-libfuzzer", "x", "0"),
                     ("tools/fresh-debian",), ("tools/make-package", "x"), ("tools/make-package", "--program"),
                     ("packaging/install-postgresql-client",),
                     ("packaging/install-postgresql-client", "17; x"),
                     ("tests/support/install-linters",),
                     ("tests/support/install-neon",), ("tests/support/install-s3rver",)):
            with self.subTest(" ".join(args)):
                done = run(ROOT / args[0], *args[1:])
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn("usage:", done.stderr)

    def test_package_sets_contain_each_other(self):
        sets = [set(run(ROOT / "tools/install-dependencies", "--for", name, "--list").stdout.split())
                for name in ("quickstart", "check", "long")]
        self.assertTrue(sets[0] < sets[1] < sets[2], sets)


if __name__ == "__main__":
    unittest.main()
