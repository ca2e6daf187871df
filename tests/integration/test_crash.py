"""kill -9 at random moments: no listed backup is ever broken, nothing needs repair, the next run works."""

import os
import random
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

KILLS = 200 if os.environ.get("HOLDFAST_TEST_LONG") else 50


class KilledBackups(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.createdb("care")
        cls.server.psql(
            "CREATE TABLE visits (id int PRIMARY KEY, note text);"
            "INSERT INTO visits SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 40000) i;"
            "CREATE TABLE users (id int PRIMARY KEY, name text);"
            "INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 5000) i;"
            "SELECT lo_from_bytea(0, repeat('x', 300000)::bytea) FROM generate_series(1, 5);",
            db="care")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def backup_args(self, folder):
        return ("backup", "--type", "dump", "--dir", str(folder)), {"DATABASE_URL":
                                                                    self.server.url("care")}

    def test_no_listed_backup_is_ever_broken(self):
        folder = harness.temp_dir()
        args, env = self.backup_args(folder)
        start = time.monotonic()
        harness.holdfast(*args, env=env)
        whole = time.monotonic() - start
        # What a run takes changes with what else the machine does: each that was done in time tells anew.
        seed = int(os.environ.get("HOLDFAST_TEST_SEED", random.randrange(10**6)))
        moments = random.Random(seed)
        killed = completed = 0
        while killed < KILLS:
            start = time.monotonic()
            process = harness.spawn_holdfast(*args, env=env)
            try:
                process.wait(moments.uniform(0, whole * 1.05))
                completed += 1
                whole = time.monotonic() - start
            except subprocess.TimeoutExpired:
                killed += 1
                whole = max(whole, time.monotonic() - start)
            process.kill_group()
            process.wait()
            self.assertLess(completed, KILLS, f"seed {seed}: the moments miss the run")
        # Everything that is listed is whole, to the last byte.
        listed = harness.holdfast("list", "--json", "--dir", str(folder)).json()["backups"]
        self.assertGreaterEqual(len(listed), 1 + completed, f"seed {seed}")
        report = harness.holdfast("verify", "--all", "--level", "deep", "--json", "--dir",
                                  str(folder), timeout=600).json()
        self.assertTrue(report["ok"], f"seed {seed}: {report}")
        self.assertEqual(len(listed), len(report["backups"]))
        # The next run needs nobody's help, and clears what the others left.
        harness.holdfast(*args, env=env)
        left = [name for name in os.listdir(folder) if ".partial" in name or ".claim" in name]
        self.assertEqual([], left, f"seed {seed}")
        ids = {backup["id"] for backup in
               harness.holdfast("list", "--json", "--dir", str(folder)).json()["backups"]}
        for name in os.listdir(folder):
            if name.endswith(".dump"):
                self.assertIn(name.removesuffix(".dump"), ids, f"seed {seed}: an archive nobody lists")

    def test_interrupt_leaves_nothing(self):
        folder = harness.temp_dir()
        args, env = self.backup_args(folder)
        for number in (signal.SIGINT, signal.SIGTERM):
            process = harness.spawn_holdfast(*args, env=env)
            harness.wait_until(lambda: any(".partial" in n for n in os.listdir(folder)) or
                               process.poll() is not None)
            result = process.stop(number)
            if result.code == 0:
                continue  # it was done before the signal came
            self.assertEqual(130, result.code, str(result))
            self.assertEqual([], [n for n in os.listdir(folder)
                                  if n.endswith((".dump", ".claim", ".partial"))])

    def test_no_children_survive_a_kill(self):
        folder = harness.temp_dir()
        args, env = self.backup_args(folder)
        process = harness.spawn_holdfast(*args, env=env)
        harness.wait_until(lambda: harness.descendants(process.pid) or process.poll() is not None)
        children = harness.descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        def gone():
            return all(child not in harness.processes() or
                       not _is_client(child) for child in children)

        harness.wait_until(gone, timeout=30, what="pg_dump to end after holdfast was killed")


def _is_client(pid):
    try:
        return b"pg_dump" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    harness.main()
