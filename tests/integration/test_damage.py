"""Every flipped bit, cut and added byte is found by `verify --level deep`, and its place is named."""

import os
import random
import re
import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
FLIPS = 1000 if LONG else 160        # per codec, in the archive
MANIFEST_FLIPS = 200 if LONG else 40  # per codec


class Damage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.createdb("care")
        cls.server.psql(
            "CREATE TABLE visits (id int PRIMARY KEY, note text);"
            "INSERT INTO visits SELECT i, md5(i::text) || repeat('x', i % 50)"
            " FROM generate_series(1, 20000) i;"
            "CREATE TABLE empty_one (id int);"
            "CREATE TABLE users (id int, name text);"
            "INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 300) i;"
            "SELECT lo_from_bytea(0, repeat(md5('x'), 300)::bytea) FROM generate_series(1, 3);",
            db="care")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def backup(self, codec):
        folder = harness.temp_dir()
        done = harness.holdfast("backup", "--type", "dump", "--dir", str(folder), "--json",
                                "--compression", codec,
                                env={"DATABASE_URL": self.server.url("care")}, check=False)
        if done.code != 0 and codec == "zstd":
            # A pg_restore before 16 cannot read zstd, so it is refused for this server: the archive
            # of a newer one serves.
            major = 17
            harness.skip_unless_server(major)
            server = harness.Server(major=major)
            server.createdb("care")
            server.psql("CREATE TABLE visits AS SELECT i, md5(i::text) AS note FROM"
                        " generate_series(1, 20000) i", db="care")
            done = harness.holdfast("backup", "--type", "dump", "--dir", str(folder), "--json",
                                    "--pg-bindir", str(harness.server_bindir(major)),
                                    env={"DATABASE_URL": server.url("care")})
            server.close()
        self.assertEqual(0, done.code, str(done))
        return folder, done.json()["results"][0]["id"]

    def deep(self, folder, *more):
        return harness.holdfast("verify", "--all", "--level", "deep", "--json", "--dir",
                                str(folder), *more, check=False)

    def expect_found(self, folder, what, name_of_object, offset=None):
        """Damage found (exit 4), the object named, and the bytes named contain the damaged one."""
        result = self.deep(folder)
        self.assertEqual(4, result.code, f"{what}: {result}")
        report = result.json()
        self.assertFalse(report["ok"], what)
        problems = [p for backup in report["backups"] for p in backup["problems"]]
        self.assertTrue(problems, what)
        places = " | ".join(problem["where"] for problem in problems)
        self.assertIn(name_of_object, places, what)
        if offset is not None:
            ranges = re.findall(r"bytes (\d+)-(\d+)", places)
            self.assertTrue(any(int(a) <= offset <= int(b) for a, b in ranges),
                            f"{what}: byte {offset} is not in {places}")

    def check_codec(self, codec):
        folder, backup_id = self.backup(codec)
        seed = int(os.environ.get("HOLDFAST_TEST_SEED", random.randrange(10**6)))
        dice = random.Random(seed)
        self.assertEqual(0, self.deep(folder).code)
        for name, flips in ((f"{backup_id}.dump", FLIPS),
                            (f"{backup_id}.manifest.json", MANIFEST_FLIPS)):
            path = folder / name
            whole = path.read_bytes()
            archive = name.endswith(".dump")
            for _ in range(flips):
                at, bit = dice.randrange(len(whole)), dice.randrange(8)
                damaged = bytearray(whole)
                damaged[at] ^= 1 << bit
                path.write_bytes(damaged)
                self.expect_found(folder, f"{codec} seed {seed}: bit {bit} of byte {at} of {name}",
                                  name, at if archive else None)
            for size in (0, 1, len(whole) // 50, len(whole) // 2, len(whole) - 1):
                path.write_bytes(whole[:size])
                self.expect_found(folder, f"{codec}: {name} cut to {size} of {len(whole)}", name)
            for extra in (b"\0", b"\n", dice.randbytes(5000)):
                path.write_bytes(whole + extra)
                self.expect_found(folder, f"{codec}: {len(extra)} bytes added to {name}", name)
            middle = len(whole) // 2
            path.write_bytes(whole[:middle] + b"x" + whole[middle:])
            self.expect_found(folder, f"{codec}: a byte put into {name}", name)
            path.unlink()
            if archive:
                self.expect_found(folder, f"{codec}: {name} missing", name)
            path.write_bytes(whole)
        self.assertEqual(0, self.deep(folder).code)

    def test_gzip(self):
        self.check_codec("gzip")

    def test_zstd(self):
        self.check_codec("zstd")

    def test_globals_are_covered(self):
        folder, backup_id = self.backup("gzip")
        path = folder / f"{backup_id}.globals.sql"
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"postgres", b"postgre5", 1))
        self.expect_found(folder, "a byte of the globals", path.name)

    def test_a_swapped_archive_is_found(self):
        """An archive that is sound by itself, but another backup's."""
        folder, first = self.backup("gzip")
        self.server.psql("UPDATE visits SET note = 'other' WHERE id = 7", db="care")
        harness.holdfast("backup", "--type", "dump", "--dir", str(folder),
                         env={"DATABASE_URL": self.server.url("care")})
        second = max(p.name for p in folder.glob("*.dump"))
        shutil.copyfile(folder / second, folder / f"{first}.dump")
        self.expect_found(folder, "an archive under another's name", first)

    def test_quick_finds_a_cut_archive(self):
        folder, backup_id = self.backup("gzip")
        path = folder / f"{backup_id}.dump"
        path.write_bytes(path.read_bytes()[:-1])
        result = harness.holdfast("verify", "latest", "--level", "quick", "--dir", str(folder),
                                  check=False)
        self.assertEqual(4, result.code, str(result))


if __name__ == "__main__":
    harness.main()
