"""What a database is made with comes back: what sorts its text, and the tablespace it lies in."""

import hashlib
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

# In German order a < B < c; by code points B is first, and neither partition could be made.
SORTED = """
CREATE TABLE people (name text PRIMARY KEY) PARTITION BY RANGE (name);
CREATE TABLE people_first PARTITION OF people FOR VALUES FROM ('a') TO ('M');
CREATE TABLE people_second PARTITION OF people FOR VALUES FROM ('M') TO ('zz');
INSERT INTO people VALUES ('adam'), ('Berta'), ('Zoe'), ('cäsar'), ('Öde'), ('ohne');
"""
PLAIN = "CREATE TABLE visits (id int PRIMARY KEY); INSERT INTO visits SELECT generate_series(1, 500);"


class Base(unittest.TestCase):
    major = 15

    @classmethod
    def setUpClass(cls):
        if cls is Base:
            raise unittest.SkipTest("a base class")
        cls.server = harness.Server(bindir=harness.skip_unless_server(cls.major), major=cls.major)
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.folder = harness.temp_dir()

    def holdfast(self, *args, server=None, **kwargs):
        return harness.holdfast(*args, "--pg-bindir", self.server.bindir, env={
            "DATABASE_URL": (server or self.server).url("care"), "BACKUP_DIR": self.folder,
            "HOLDFAST_TO_URL": (server or self.server).url()}, timeout=300, **kwargs)

    def make(self, options, schema):
        for name in self.server.psql("SELECT datname FROM pg_database WHERE datname ~ 'care'").split():
            self.server.dropdb(name)
        self.server.psql(f"CREATE DATABASE care TEMPLATE template0 {options}")
        self.server.psql(schema, db="care")
        self.rows = harness.rows(self.server, "care")
        return self.holdfast("backup", "--type", "dump", "--json").json()["results"][0]["id"]

    def expect_whole(self, name, server=None):
        self.assertEqual("", harness.rows_difference(
            self.rows, harness.rows(server or self.server, name)))


class Icu(Base):
    options = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.utf8'"
    columns = "datlocprovider, daticulocale, datcollate, datctype"
    wanted = "i|de-DE|C.utf8|C.utf8"

    def setUp(self):
        super().setUp()
        self.id = self.make(self.options, SORTED)

    def sorts(self, name, server=None):
        return (server or self.server).psql(
            f"SELECT {self.columns} FROM pg_database WHERE datname = '{name}'")

    def test_it_sorts_as_before_wherever_it_is_restored(self):
        done = self.holdfast("restore", self.id, "--database", "care_new", "--json").json()
        self.assertEqual([], [note for note in done["notes"] if "sorts by" in note])
        self.assertEqual(self.wanted, self.sorts("care_new"))
        self.expect_whole("care_new")
        self.holdfast("restore", self.id, "--database", "care", "--confirm", "care")
        self.assertEqual(self.wanted, self.sorts("care"))
        self.expect_whole("care")
        self.holdfast("recover", self.id, "--database", "care_recovered")
        self.assertEqual(self.wanted, self.sorts("care_recovered"))
        self.expect_whole("care_recovered")
        report = self.holdfast("verify", self.id, "--level", "restore", "--json").json()
        self.assertEqual("PASS", report["backups"][0]["verdict"], report)

    def test_an_archive_without_a_manifest(self):
        plain = self.folder / "plain.archive"
        self.server.tool("pg_dump", "-Fc", "-f", plain, "-d", "care")
        self.holdfast("restore", plain, "--database", "care_plain")
        self.assertEqual(self.wanted, self.sorts("care_plain"))
        self.expect_whole("care_plain")

    def test_an_empty_database_that_sorts_otherwise_is_said(self):
        self.make(self.options, PLAIN)
        self.server.psql("CREATE DATABASE care_empty TEMPLATE template0")
        # With an extension in it, it is filled as it is.
        self.server.psql("CREATE EXTENSION pgcrypto", db="care_empty")
        done = self.holdfast("restore", "latest", "--database", "care_empty", "--json").json()
        self.expect_whole("care_empty")
        said = [note for note in done["notes"] if "sorts by" in note]
        self.assertEqual(1, len(said), done)
        self.assertIn("the dumped one by", said[0])

    def change_manifest(self, pattern, by):
        path = self.folder / f"{self.id}.manifest.json"
        text = path.read_text()[:-92]
        changed = re.sub(pattern, by, text)
        self.assertNotEqual(text, changed)
        digest = hashlib.sha256(changed.encode()).hexdigest()
        path.write_text(f'{changed},\n  "manifest_sha256": "{digest}"\n}}\n')

    def test_a_manifest_that_is_older_than_these_members(self):
        self.change_manifest(r'  "(locale_provider|locale|icu_rules)": .*\n', "")
        done = self.holdfast("restore", self.id, "--database", "care_new", "--json").json()
        self.assertEqual([], [note for note in done["notes"] if "sorts by" in note])
        self.assertEqual(self.wanted, self.sorts("care_new"))
        self.expect_whole("care_new")

    def test_a_server_without_the_locale_of_the_c_library(self):
        self.change_manifest('"collate": "C.utf8"', '"collate": "xx_XX.utf8"')
        done = self.holdfast("restore", self.id, "--database", "care_new", "--json").json()
        said = [note for note in done["notes"] if "sorts by ICU locale de-DE" in note]
        self.assertEqual(1, len(said), done)
        self.assertIn("xx_XX.utf8", said[0])
        self.expect_whole("care_new")

    def test_a_server_without_the_provider(self):
        self.change_manifest('"locale_provider": "icu"', '"locale_provider": "other"')
        failed = self.holdfast("restore", self.id, "--database", "care_new", check=False)
        self.assertNotEqual(0, failed.code)
        self.assertEqual(1, failed.err.count("error: "), str(failed))
        self.assertIn("the server has no other locale de-DE", failed.err)
        self.assertEqual("", self.sorts("care_new"))
        report = self.holdfast("verify", self.id, "--level", "restore", "--json", check=False).json()
        self.assertEqual("INCONCLUSIVE", report["backups"][0]["verdict"], report)


class Icu17(Icu):
    major = 17
    options = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' ICU_RULES '&V << w' LOCALE 'C.utf8'"
    columns = "datlocprovider, datlocale, daticurules, datcollate, datctype"
    wanted = "i|de-DE|&V << w|C.utf8|C.utf8"


class Builtin(Base):
    major = 17

    def test_the_built_in_provider_and_a_server_that_does_not_have_it(self):
        id = self.make("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'", PLAIN)
        done = self.holdfast("restore", id, "--database", "care_new", "--json").json()
        self.assertEqual([], [note for note in done["notes"] if "sorts by" in note])
        self.assertEqual("b|C.UTF-8|C", self.server.psql(
            "SELECT datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = 'care_new'"))
        older = harness.Server()
        self.addCleanup(older.close)
        plan = self.holdfast("recover", id, "--dry-run", "--json", "--database", "care_older",
                             server=older, expect=1).json()
        said = [finding for finding in plan["findings"] if finding["check"] == "locale"]
        self.assertEqual(["choice"], [finding["weight"] for finding in said])
        self.assertIn("builtin locale C.UTF-8", said[0]["message"])
        done = self.holdfast("restore", id, "--database", "care_older", "--json", server=older).json()
        self.assertIn("the server has no builtin locale C.UTF-8", " ".join(done["notes"]))
        self.expect_whole("care_older", older)


class Tablespaces(Base):
    @staticmethod
    def tablespace(server, name):
        place = server.data.parent / name
        place.mkdir()
        server._give_away(place)
        server.psql(f"CREATE TABLESPACE {name} LOCATION '{place}'")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tablespace(cls.server, "disk")
        cls.tablespace(cls.server, "other")

    def setUp(self):
        super().setUp()
        self.id = self.make("TABLESPACE disk", PLAIN)

    def lies_in(self, name, server=None):
        return (server or self.server).psql(
            "SELECT spcname FROM pg_database JOIN pg_tablespace t ON t.oid = dattablespace"
            f" WHERE datname = '{name}'")

    def test_where_the_server_has_it(self):
        done = self.holdfast("restore", self.id, "--database", "care_new", "--json").json()
        self.assertNotIn("tablespace", " ".join(done["notes"]))
        self.assertEqual("disk", self.lies_in("care_new"))
        self.holdfast("recover", self.id, "--database", "care_recovered")
        self.assertEqual("disk", self.lies_in("care_recovered"))
        self.expect_whole("care_recovered")

    def test_the_live_database_stays_where_it_is(self):
        self.holdfast("restore", self.id, "--database", "care", "--confirm", "care")
        self.assertEqual("disk", self.lies_in("care"))
        for place in ("other", "pg_default"):
            with self.subTest(place):
                self.server.psql(f"ALTER DATABASE care SET TABLESPACE {place}")
                self.holdfast("restore", self.id, "--database", "care", "--confirm", "care")
                self.assertEqual(place, self.lies_in("care"))
                self.expect_whole("care")

    def test_a_server_without_it(self):
        target = harness.Server()
        self.addCleanup(target.close)
        done = self.holdfast("restore", self.id, "--database", "care_new", "--json",
                             server=target).json()
        self.assertIn("no tablespace disk", " ".join(done["notes"]))
        self.assertEqual("pg_default", self.lies_in("care_new", target))
        self.expect_whole("care_new", target)
        refused = self.holdfast("recover", self.id, server=target, check=False)
        self.assertEqual(1, refused.code, str(refused))
        self.assertIn("tablespace disk", refused.err)
        done = self.holdfast("recover", self.id, "--ignore-missing", "--json", server=target).json()
        self.assertIn("no tablespace disk", " ".join(done["notes"]))
        self.expect_whole("care", target)


if __name__ == "__main__":
    harness.main()
