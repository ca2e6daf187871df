"""Drills: a recovery rehearsed with the program itself, what its record says, and what stays behind (nothing).

The source is a real server; the scratch servers are holdfast's own. Months are made by copying one real
backup under earlier times (history.py).
"""

import json
import os
import re
import signal
import sys
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from dual_cloud import DualCloud, start_server  # noqa: E402
from history import age_backup  # noqa: E402

MARKER = "Zebrafink-7781-Quittenbrot"  # stands in the rows, and must stand nowhere else
ROWS = 4000
SAMPLE = f"""
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO clients SELECT n, '{MARKER} ' || n FROM generate_series(1, 300) n;
CREATE TABLE visits (id int PRIMARY KEY, client int REFERENCES clients, note text, paid boolean);
INSERT INTO visits SELECT n, n % 300 + 1, '{MARKER} ' || md5(n::text), true FROM generate_series(1, {ROWS}) n;
CREATE INDEX ON visits (note);
CREATE SCHEMA audit;
CREATE TABLE audit.events (id int PRIMARY KEY, what text);
INSERT INTO audit.events SELECT n, 'event' FROM generate_series(1, 50) n;
"""
PHASES = ["fetch", "server", "globals", "restore", "compare", "queries", "amcheck", "destroy"]


def setUpModule():
    global source
    source = harness.Server()
    source.createdb("care")
    source.psql(SAMPLE, db="care")


def tearDownModule():
    source.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temp_dir() / "backups"
        self.scratch = harness.temp_dir("hf-scratch-")
        self.now = datetime.now(timezone.utc)
        self.watch = harness.SecretWatch()
        self.watch.__enter__()
        self.addCleanup(self.nothing_stays_behind)
        self.addCleanup(self.watch.__exit__, None, None, None)

    def nothing_stays_behind(self):
        self.assertEqual([], list(self.scratch.iterdir()), "scratch data stayed behind")
        for path in (self.folder / "drills").glob("*"):
            content = path.read_bytes()
            harness.assert_no_secrets(content, path.name)
            self.assertNotIn(MARKER.encode(), content, f"{path.name} shows a row")

    def env(self, **more):
        return {"DATABASE_URL": source.url("care"), "BACKUP_DIR": self.folder,
                "HOLDFAST_SCRATCH_DIR": self.scratch, **more}

    def run_it(self, *args, expect=0, **more):
        result = harness.holdfast(*args, env=self.env(**more), expect=expect)
        self.assertNotIn(MARKER, result.out + result.err)
        return result

    def backup(self, *args, **more):
        return self.run_it("backup", "--type", "dump", "--json", *args, **more).json()["results"][0]["id"]

    def drill(self, *args, expect=0, **more):
        document = self.run_it("drill", *args, "--json", expect=expect, **more).json()
        self.assertEqual(expect == 0, document["ok"], document)
        return document

    def records(self):
        return [json.loads(path.read_text()) for path in sorted((self.folder / "drills").glob("*.json"))]

    def record(self):
        records = self.records()
        self.assertEqual(1, len(records))
        return records[0]

    def configured(self, text):
        """The environment under which holdfast.toml says `text`."""
        path = harness.temp_dir(mode=0o700) / "holdfast.toml"
        path.write_text(text)
        return {"HOLDFAST_CONFIG": path}


class Passing(Case):
    def test_everything_is_recorded_and_nothing_stays(self):
        backup = self.backup()
        document = self.drill(backup)
        record = self.record()
        self.assertEqual("passed", record["verdict"])
        self.assertEqual((backup, "care", "local", "named"),
                         tuple(record[key] for key in ("backup", "database", "store", "chosen")))
        self.assertEqual(PHASES, [phase["name"] for phase in record["phases"]])
        tables = {table["name"]: table for table in record["tables"]}
        self.assertEqual({"public.clients": 300, "public.visits": ROWS, "audit.events": 50},
                         {name: table["rows"] for name, table in tables.items()})
        self.assertTrue(all(table["same"] and table["rows"] == table["expected"] for table in tables.values()))
        # Of the procedure's six, those that the backup has.
        self.assertEqual({"public.clients", "public.visits"},
                         {name for name, table in tables.items() if table["critical"]})
        self.assertEqual(ROWS + 350, record["rows"])
        self.assertRegex(record["amcheck"], r"^4 indexes sound$")
        self.assertEqual([], record["problems"])
        self.assertGreater(record["rto_seconds"], 0)
        self.assertLessEqual(record["rto_seconds"], sum(p["seconds"] for p in record["phases"]) + 1)
        self.assertLess(record["rpo_seconds"], 600)
        self.assertEqual((4 * 3600, 24 * 3600), (record["rto_target_seconds"], record["rpo_target_seconds"]))
        self.assertLess(record["began_at"], record["destroyed_at"])
        self.assertLessEqual(record["destroyed_at"], record["ended_at"])
        archive = next(self.folder.glob("*.dump"))
        self.assertEqual(archive.stat().st_size, record["bytes"])
        manifest = json.loads((self.folder / f"{backup}.manifest.json").read_text())
        self.assertEqual(manifest["archive"]["sha256"], record["archive_sha256"])
        # What is printed is what is kept.
        record.pop("drill_sha256")
        self.assertEqual(record, {key: document[key] for key in record})
        self.assertEqual(["local"], document["kept_in"])
        # People sign it.
        page = (self.folder / "drills" / f"{record['id']}.md").read_text()
        for part in ("Sign-off", "Performed by", "Reviewed by", "Corrective actions", "**passed**"):
            self.assertIn(part, page)
        # It is a proof as well, and neither lists nor retention see the record as a backup.
        listed = self.run_it("list", "--json").json()["backups"]
        self.assertEqual([(backup, "restore")], [(b["id"], b["proof"]["level"]) for b in listed])
        self.run_it("prune")
        self.assertEqual(2, len(list((self.folder / "drills").iterdir())))

    def test_no_server_needs_to_run(self):
        self.backup()
        source.stop()
        try:
            self.drill("latest")
        finally:
            source.start()
        self.assertEqual("newest", self.record()["chosen"])

    def test_a_random_one_of_last_month(self):
        newest = self.backup()
        day = self.now.day
        eligible = {age_backup(self.folder, newest, self.now, day + n) for n in (3, 7, 11)}
        others = {newest, age_backup(self.folder, newest, self.now, day + 70)}
        last = self.now.replace(day=1) - timedelta(days=1)
        chosen = set()
        for seed in range(4):
            document = self.drill("--seed", str(seed))
            self.assertEqual(f"random of {last:%Y-%m}", document["chosen"])
            chosen.add(document["backup"])
        self.assertLessEqual(chosen, eligible)
        self.assertFalse(chosen & others)
        self.assertGreater(len(chosen), 1)
        again = self.drill("random", "--seed", "3")
        self.assertEqual(again["backup"], self.records()[3]["backup"])
        self.assertEqual(5, len(self.records()))

    def test_without_one_of_last_month_all_are_there_to_choose_from(self):
        backup = self.backup()
        document = self.drill()
        self.assertEqual(backup, document["backup"])
        self.assertRegex(document["chosen"], r"^random of all \(\d{4}-\d\d has none\)$")

    def test_a_sealed_backup(self):
        key = harness.temp_dir(mode=0o700) / "backup.key"
        key.write_text("".join(harness.random_secret() for _ in range(3)) + "\n")
        key.chmod(0o600)
        backup = self.backup(BACKUP_KEY_FILE=key)
        sealed = next(self.folder.glob("*.dump.gpg"))
        document = self.drill("latest", BACKUP_KEY_FILE=key)
        self.assertEqual(sealed.stat().st_size, document["bytes"])
        self.assertEqual("passed", document["verdict"])
        # Without the key nothing can be said, and that is recorded too.
        document = self.drill(backup, expect=1)
        self.assertEqual("inconclusive", document["verdict"])
        self.assertTrue(document["problems"])
        self.assertEqual(2, len(self.records()))

    def test_the_record_goes_to_every_store_that_takes_it(self):
        with harness.FakeS3() as bucket:
            bucket.make_bucket("safe")
            both = {"S3_BACKUP_BUCKET": "safe", **bucket.env()}
            self.backup(**both)
            document = self.drill("latest", **both)
            self.assertEqual(["local", "s3"], document["kept_in"])
            name = f"drills/{document['id']}"
            for suffix in (".json", ".md"):
                self.assertEqual((self.folder / (name + suffix)).read_bytes(),
                                 bucket.content("safe", "backups/" + name + suffix))
            # From the bucket alone.
            document = self.drill("latest", "--store", "s3", **both)
            self.assertEqual(("s3", ["s3"]), (document["store"], document["kept_in"]))
            bucket.fail("denied", "PutObject", "drills/", count=99)
            result = self.run_it("drill", "latest", "--json", **both)
            self.assertEqual(["local"], result.json()["kept_in"])
            self.assertIn("store s3 does not keep the drill's record", result.err)


class Queries(Case):
    def test_they_are_asked_of_the_restored_data(self):
        self.backup()
        queries = {
            "no-orphans": ("SELECT count(*) FROM visits v LEFT JOIN clients c ON c.id = v.client"
                           " WHERE c.id IS NULL", "= 0"),
            "enough": ("SELECT count(*) FROM visits", f">= {ROWS}"),
            "all-paid": ("SELECT bool_and(paid) FROM visits", "true"),
            "works": ("SELECT * FROM visits", ""),
        }
        document = self.drill("latest", **self.configured("".join(
            f"[drill.query.{name}]\nsql = \"{sql}\"\n" + (f"expect = \"{expect}\"\n" if expect else "")
            for name, (sql, expect) in queries.items())))
        self.assertEqual(sorted(queries), sorted(query["name"] for query in document["queries"]))
        self.assertTrue(all(query["passed"] for query in document["queries"]))

    def test_one_that_fails_fails_the_drill_and_shows_no_row(self):
        backup = self.backup()
        document = self.drill("latest", expect=4, **self.configured(
            "[drill]\nquery_timeout = 1\n"
            "[drill.query.a-number]\nsql = 'SELECT count(*) FROM visits'\nexpect = '= 5'\n"
            "[drill.query.b-text]\nsql = 'SELECT note FROM visits LIMIT 1'\nexpect = '= 5'\n"
            "[drill.query.c-cast]\nsql = 'SELECT note::int FROM visits'\n"
            "[drill.query.d-rows]\nsql = 'SELECT id FROM visits'\nexpect = '> 0'\n"
            "[drill.query.e-missing]\nsql = 'SELECT 1 FROM nothing_here'\n"
            "[drill.query.f-slow]\nsql = 'SELECT pg_sleep(60)'\n"
            "[drill.query.g-writes]\nsql = 'DELETE FROM visits RETURNING 1'\n"
            "[drill.query.h-two]\nsql = 'SELECT 1; COMMIT; DELETE FROM visits'\n"
            "[drill.query.i-last]\nsql = 'SELECT count(*) FROM visits'\n"
            f"expect = '= {ROWS}'\n"))
        self.assertEqual("failed", document["verdict"])
        problems = {query["name"]: query["problem"] for query in document["queries"]}
        self.assertEqual(f"expected = 5, found {ROWS}", problems["a-number"])
        self.assertEqual("expected = 5, found neither a number nor true or false", problems["b-text"])
        self.assertEqual(f"expected > 0, found {ROWS:,} rows of 1 column", problems["d-rows"])
        self.assertIn("nothing_here", problems["e-missing"])
        self.assertIn("timeout", problems["f-slow"])
        self.assertIn("read-only", problems["g-writes"])
        self.assertTrue(problems["c-cast"] and problems["h-two"])
        self.assertEqual("", problems["i-last"], "the queries before it must not have changed anything")
        self.assertEqual(8, len(document["problems"]))
        # The backup itself came through: its proof says so.
        proof = next(b["proof"] for b in self.run_it("list", "--json").json()["backups"] if b["id"] == backup)
        self.assertEqual(("restore", True), (proof["level"], proof["ok"]))

    def test_what_the_server_says_of_a_row_is_not_recorded(self):
        source.psql("CREATE TABLE people AS SELECT 'n42'::text AS note", db="care")
        self.addCleanup(source.psql, "DROP TABLE people", db="care")
        self.backup()
        casts = ("note::regclass", "note::regtype", "note::regrole", "nextval(note)", "encode('x', note)",
                 "pg_read_file(note)", "timezone(replace(note, '42', 'xyz'), now())", "note::regoper", "to_tsquery(note || ' &')")
        text = "".join(f"[drill.query.q{n}]\nsql = \"SELECT {cast} FROM people\"\n" for n, cast in enumerate(casts))
        document = self.drill("latest", expect=4, **self.configured(
            text + "[drill.query.wrong]\nsql = 'SELECT 1 FROM peeple'\n"))
        for row in ("n42", "nxyz"):
            self.assertNotIn(row, json.dumps(document))
        problems = {query["name"]: query["problem"] for query in document["queries"]}
        self.assertTrue(all(problems.values()), problems)
        self.assertIn('relation "peeple" does not exist', problems["wrong"])

    def test_what_is_no_condition_is_refused_before_anything_is_done(self):
        self.backup()
        for text, part in (("sql = 'SELECT 1'\nexpect = 'about 5'\n", "is no condition"),
                           ("expect = '= 5'\n", "has no sql"),
                           ("sql = 'SELECT 1'\nexpects = '= 5'\n", "did you mean 'expect'"),
                           ("sql = 5\n", "sql must be text")):
            result = self.run_it("drill", expect=2, **self.configured("[drill.query.q]\n" + text))
            self.assertIn(part, result.err)
        self.assertEqual([], self.records())


class Failing(Case):
    def test_a_damaged_archive_is_a_record_that_says_where(self):
        backup = self.backup()
        archive = self.folder / f"{backup}.dump"
        content = bytearray(archive.read_bytes())
        content[len(content) * 3 // 4] ^= 1
        archive.chmod(0o600)
        archive.write_bytes(content)
        self.drill("latest", expect=4)
        record = self.record()
        self.assertEqual("failed", record["verdict"])
        self.assertRegex(" ".join(record["problems"]), rf"{re.escape(backup)}\.dump bytes \d+-\d+")
        self.assertEqual(0, record["rto_seconds"])
        self.assertIn("destroy", [phase["name"] for phase in record["phases"]])
        self.assertIsNotNone(record["destroyed_at"])
        proof = self.run_it("list", "--json").json()["backups"][0]["proof"]
        self.assertEqual(("restore", False), (proof["level"], proof["ok"]))

    def test_a_damaged_manifest_and_a_missing_archive(self):
        backup = self.backup()
        (self.folder / f"{backup}.dump").rename(self.folder / "elsewhere")
        document = self.drill("latest", expect=4)
        self.assertIn("the archive is missing", " ".join(document["problems"]))
        manifest = self.folder / f"{backup}.manifest.json"
        text = manifest.read_text()
        manifest.write_text(text.replace("public.visits", "public.visitz", 1))
        document = self.drill(backup, expect=4)
        self.assertIn("SHA-256", " ".join(document["problems"]))
        self.assertEqual(["failed", "failed"], [record["verdict"] for record in self.records()])

    def test_a_critical_table_that_is_missing(self):
        self.backup()
        document = self.drill("latest", "--critical-table", "visits", "--critical-table", "invoices",
                              "--critical-table", "audit.events", expect=4)
        self.assertEqual(["critical table invoices is not in the backup"], document["problems"])
        self.assertEqual({"public.visits", "audit.events"},
                         {table["name"] for table in document["tables"] if table["critical"]})
        self.assertTrue(all(table["same"] for table in document["tables"]))

    def test_too_late_and_too_old(self):
        self.backup()
        document = self.drill("latest", "--rto", "0s", expect=5)
        self.assertEqual(("passed", False, True),
                         (document["verdict"], document["within_rto"], document["within_rpo"]))
        document = self.drill("latest", HOLDFAST_RPO="0s", expect=5)
        self.assertEqual((True, False), (document["within_rto"], document["within_rpo"]))
        page = sorted((self.folder / "drills").glob("*.md"))[0].read_text()
        self.assertIn("**missed**", page)
        for wrong in ("4", "soon", "4 h", "-1h", "", "1h30"):
            self.run_it("drill", "--rto", wrong, expect=2)

    def test_a_scratch_server_that_cannot_be_made_says_nothing_against_the_backup(self):
        backup = self.backup()
        document = self.drill("latest", "--scratch-dir", self.folder / "not-there", expect=1)
        self.assertEqual("inconclusive", document["verdict"])
        self.assertTrue(document["problems"])
        self.assertIsNone(document["destroyed_at"])
        proof = self.run_it("list", "--json").json()["backups"][0]["proof"]
        self.assertEqual((backup, True), (document["backup"], proof["ok"]))

    def test_an_interrupted_one_is_recorded_and_cleared(self):
        self.backup()
        queries = self.configured("[drill.query.slow]\nsql = 'SELECT pg_sleep(600)'\n")
        # A phase is told when it has ended: the last one is followed by the query that sleeps.
        moments = {"initdb": lambda _: any(self.scratch.iterdir())}
        for said in ("starting a scratch server", "building indexes", "comparing"):
            moments[said] = lambda running, said=said: f"{said}: " in running.err()
        for moment, has_come in moments.items():
            with self.subTest(moment):
                running = harness.spawn_holdfast("drill", "latest", "--json", env=self.env(**queries))
                harness.wait_until(lambda: has_come(running), 60, moment)
                result = running.stop(signal.SIGINT)
                self.assertEqual(130, result.code, str(result))
                self.assertEqual([], list(self.scratch.iterdir()))
                self.assertEqual("inconclusive", result.json()["verdict"])
        self.assertEqual([["interrupted"]] * 4, [record["problems"][:1] for record in self.records()])

    def test_what_a_killed_one_leaves_is_named_by_doctor_and_cleared_by_the_next_backup(self):
        self.backup()
        queries = self.configured("[drill.query.slow]\nsql = 'SELECT pg_sleep(600)'\n")
        running = harness.spawn_holdfast("drill", "latest", env=self.env(**queries))
        harness.wait_until(lambda: "comparing: " in running.err(), 60, "restored data")
        left = list(self.scratch.iterdir())
        self.assertEqual(1, len(left))
        self.assertNotIn("scratch data", self.run_it("doctor").out)  # it is in use
        running.kill()
        running.wait()
        self.assertTrue((left[0] / "data" / "base").exists(), "the restored data stay")
        os.utime(left[0], (0, 0))  # not one that has just been made
        self.assertIn(str(left[0]), self.run_it("doctor").out)
        other = self.scratch / "holdfast-scratch-another"  # nobody's that we know: without a lock of ours
        other.mkdir(mode=0o700)
        os.utime(other, (0, 0))
        self.backup()
        self.assertEqual([other], list(self.scratch.iterdir()))
        other.rmdir()
        self.assertNotIn("scratch data", self.run_it("doctor").out)

    def test_without_a_backup_there_is_nothing_to_drill(self):
        os.makedirs(self.folder)
        result = self.run_it("drill", expect=1)
        self.assertIn("there is no backup", result.err)
        self.assertIn("there is no branch backup", self.run_it("drill", "--kind", "branch", expect=1).err)


class Branches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start_server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.cloud = DualCloud(self.server)
        self.addCleanup(self.cloud.close)

    def drill(self, *args, expect=0, **more):
        return self.cloud.run("drill", *args, "--json", expect=expect, **more).json()

    def test_a_branch_is_started_compared_and_left_as_it_was(self):
        backup = self.cloud.run("backup", "--type", "branch", "--json").json()["results"][0]["id"]
        before = self.cloud.computes()
        document = self.drill("--kind", "branch")
        self.assertEqual(("passed", "branch", backup),
                         (document["verdict"], document["kind"], document["backup"]))
        self.assertEqual(["fetch", "server", "compare", "queries", "destroy"],
                         [phase["name"] for phase in document["phases"]])
        self.assertEqual({"public.clients": 300, "public.visits": 500},
                         {table["name"]: table["rows"] for table in document["tables"] if table["same"]})
        self.assertGreater(document["rto_seconds"], 0)
        self.assertEqual(before, self.cloud.computes())
        self.assertEqual("named", self.drill(backup)["chosen"])

    def test_without_a_way_to_the_api_nothing_can_be_said(self):
        backup = self.cloud.run("backup", "--type", "branch", "--json").json()["results"][0]["id"]
        document = self.drill(backup, expect=1, NEON_API_KEY=None)
        self.assertEqual("inconclusive", document["verdict"])
        self.assertIn("NEON_API_KEY", document["problems"][0])

    def test_a_branch_that_is_gone_fails(self):
        backup = self.cloud.run("backup", "--type", "branch", "--json").json()["results"][0]["id"]
        for branch in list(self.cloud.fake.project.branches.values()):
            if branch.name == backup:
                del self.cloud.fake.project.branches[branch.id]
        document = self.drill("latest", "--kind", "branch", expect=4)
        self.assertIn("is gone", " ".join(document["problems"]))
        self.assertEqual("failed", document["verdict"])


if __name__ == "__main__":
    harness.main()
