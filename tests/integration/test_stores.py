"""Several stores: a backup goes to all of them, each can fail without harming the others, and every command
finds what any of them holds."""

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402


class Stores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.createdb("care")
        cls.server.psql("CREATE TABLE visits (id int PRIMARY KEY, note text);"
                        "INSERT INTO visits SELECT i, md5(i::text) FROM generate_series(1, 60000) i",
                        db="care")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.folder = harness.temp_dir()
        self.local, self.nas = self.folder / "local", self.folder / "nas"
        self.toml = self.folder / "holdfast.toml"
        self.toml.write_text(f"dir = '{self.local}'\n[store.nas]\ndir = '{self.nas}'\n")

    def run_it(self, *args, expect=0, **env):
        return harness.holdfast(*args, expect=expect, env={
            "DATABASE_URL": self.server.url("care"), "HOLDFAST_CONFIG": self.toml, **env})

    def backup(self, expect=0):
        return self.run_it("backup", "--type", "dump", "--json", expect=expect)

    def names(self, folder):
        return sorted(n for n in os.listdir(folder) if not n.startswith("."))

    def test_a_backup_stands_in_every_store_and_is_proven_there(self):
        result = self.backup().json()["results"][0]
        self.assertEqual(["ok", "ok"], [store["status"] for store in result["stores"]])
        self.assertTrue(all(store["proof"]["ok"] for store in result["stores"]))
        archive = result["id"] + ".dump"
        self.assertEqual((self.local / archive).read_bytes(), (self.nas / archive).read_bytes())
        self.assertEqual([n for n in self.names(self.local) if "proof" not in n],
                         [n for n in self.names(self.nas) if "proof" not in n])
        listed = self.run_it("list", "--json").json()["backups"]
        self.assertEqual([[str(self.local), str(self.nas)]], [b["stores"] for b in listed])
        self.assertIn("local,nas", self.run_it("list").out)

    def test_a_store_that_cannot_be_written_harms_no_other(self):
        self.nas.write_text("a file where the folder should be")
        result = self.backup(expect=3)
        outcome = result.json()["results"][0]
        self.assertEqual(["ok", "failed"], [store["status"] for store in outcome["stores"]])
        self.assertTrue(outcome["proof"]["ok"])
        self.assertIn("store nas", outcome["error"])
        self.assertIn("is safe in", outcome["error"])
        self.assertEqual(1, len(self.run_it("list", "--json").json()["backups"]))

    def test_a_safety_backup_goes_where_it_can(self):
        made = self.backup().json()["results"][0]["id"]
        shutil.rmtree(self.local)
        self.local.write_text("a file where the folder should be")
        self.server.psql("INSERT INTO visits VALUES (70000, 'after the backup')", db="care")
        try:
            done = self.run_it("restore", made, "--confirm", "care")
            self.assertIn("no safety backup in store local", done.err)
            self.assertEqual("0", self.server.psql("SELECT count(*) FROM visits WHERE id = 70000", db="care"))
            self.assertEqual(2, len(self.run_it("list", "--json").json()["backups"]))
            # With no store for one, nothing is replaced.
            shutil.move(self.nas, self.folder / "kept")
            self.nas.write_text("neither")
            refused = self.run_it("restore", self.folder / "kept" / f"{made}.dump",
                                  "--confirm", "care", expect=2)
            self.assertIn("error: safety backup: ", refused.err)
        finally:
            self.server.psql("DELETE FROM visits WHERE id = 70000", db="care")
            for name in self.server.psql(
                    "SELECT datname FROM pg_database WHERE datname LIKE 'care\\_before%'").split():
                self.server.dropdb(name)

    def test_a_store_that_fills_up_half_way_harms_no_other(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        self.nas.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", self.nas],
                          capture_output=True).returncode != 0:
            self.skipTest("mount is not allowed here")
        try:
            # Enough by the estimate, which does not know that these rows do not compress.
            self.server.psql("CREATE TABLE noise AS SELECT gen_random_uuid() AS a, gen_random_uuid()"
                             " AS b FROM generate_series(1, 50000)", db="care")
            result = self.backup(expect=3)
            self.assertEqual(["ok", "failed"], [store["status"] for store in
                                                result.json()["results"][0]["stores"]])
            self.assertIn("space", result.err)
            self.assertEqual([], self.names(self.nas))
        finally:
            self.server.psql("DROP TABLE IF EXISTS noise", db="care")
            subprocess.run(["umount", self.nas], check=True)

    def test_no_store_left_is_a_failure(self):
        self.local.write_text("a file")
        self.nas.write_text("a file")
        result = self.backup(expect=2)
        self.assertEqual("failed", result.json()["results"][0]["status"])

    def test_copy_brings_a_backup_to_another_store_and_proves_it(self):
        id = self.run_it("backup", "--type", "dump", "--store", "local", "--json").json()["results"][0]["id"]
        self.assertFalse(self.nas.exists())
        copied = self.run_it("copy", "latest", "--to", "nas", "--json").json()
        self.assertEqual((id, True, "deep"), (copied["id"], copied["ok"], copied["proof"]["level"]))
        self.assertEqual((self.local / f"{id}.dump").read_bytes(), (self.nas / f"{id}.dump").read_bytes())
        again = self.run_it("copy", id, "--to", "nas", expect=1)
        self.assertIn("exists already", again.err)
        self.assertEqual(2, len(self.run_it("verify", id, "--json").json()["backups"]))
        self.run_it("copy", id, expect=2)
        self.assertIn("did you mean 'nas'?", self.run_it("copy", id, "--to", "nass", expect=2).err)

    def test_a_damaged_archive_is_not_copied(self):
        id = self.run_it("backup", "--type", "dump", "--store", "local", "--json").json()["results"][0]["id"]
        archive = self.local / f"{id}.dump"
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        archive.write_bytes(content)
        self.assertIn("not what its manifest says",
                      self.run_it("copy", id, "--to", "nas", expect=4).err)
        self.assertEqual([], self.names(self.nas))

    def test_damage_in_one_store_is_found_and_the_other_copy_is_used(self):
        id = self.backup().json()["results"][0]["id"]
        archive = self.nas / f"{id}.dump"
        archive.write_bytes(archive.read_bytes()[:-1])
        verified = self.run_it("verify", id, "--json", expect=4).json()
        self.assertEqual({"local": True, "nas": False},
                         {copy["store"]: copy["ok"] for copy in verified["backups"]})
        (self.local / f"{id}.manifest.json").write_text("{}")
        shown = self.run_it("show", id, "--json").json()
        self.assertEqual("nas", shown["backup"]["copies"][0]["store"])
        self.assertIn("local(damaged)", self.run_it("list").out)

    def test_a_restore_takes_the_store_that_has_the_backup(self):
        self.backup()
        shutil.rmtree(self.local)
        result = self.run_it("restore", "latest", "--database", "from_nas", "--json")
        self.assertEqual("PASS", result.json()["verdict"])
        self.assertEqual("60000", self.server.psql("SELECT count(*) FROM visits", db="from_nas").strip())
        self.server.psql("DROP DATABASE from_nas")


if __name__ == "__main__":
    unittest.main()
