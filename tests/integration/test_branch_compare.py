"""holdfast branch compare, against an engine with a real PostgreSQL: what a branch holds against the present.

Its checksums are those of a dump's manifest of the same moment, for every kind of table; both sides are of one
moment also while others write; and the branches and computes of the look are gone afterwards.
"""

import json
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, pause  # noqa: E402

INTERRUPTIONS = 3
BIG_ROWS = 300_000  # some 40 MB: several pieces of the plan
LEDGERS = tuple(f"ledger_{n}" for n in range(8))  # written to alike by every transaction
ROUNDS = 4
DATABASES = ("sink", "care", "busy")

engine = source = None


def setUpModule():
    global engine, source
    source = harness.Server(settings={"max_wal_senders": 20})
    source.psql(harness.kitchen_sink_roles_sql())
    for name in DATABASES:
        source.createdb(name)
    source.psql(harness.kitchen_sink_sql(version=source.major), db="sink")
    source.psql("CREATE TABLE large (id int, body text);"
                f"INSERT INTO large SELECT g, repeat(md5(g::text), 3) FROM generate_series(1, {BIG_ROWS}) g;"
                "CREATE TABLE measures (at int) PARTITION BY RANGE (at);"
                "CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM (0) TO (10);"
                "CREATE TABLE measures_2 PARTITION OF measures FOR VALUES FROM (10) TO (20);"
                "INSERT INTO measures VALUES (1), (11), (12)", db="sink")
    source.psql("CREATE TABLE clients (id int PRIMARY KEY, allergies text);"
                "INSERT INTO clients SELECT g, 'none' FROM generate_series(1, 5) g;"
                "CREATE TABLE visits (id int); CREATE SCHEMA \"Odd one\";"
                "CREATE TABLE \"Odd one\".\"Bills\" (id int); INSERT INTO \"Odd one\".\"Bills\" VALUES (1);"
                "CREATE VIEW seen AS SELECT * FROM visits", db="care")
    source.create_role("reader")
    source.psql("GRANT SELECT ON clients TO reader", db="care")
    try:
        engine = EngineServer(source, settings={"databases": list(DATABASES), "roles": ["postgres", "reader"]})
    except harness.Unavailable as error:
        source.close()
        raise unittest.SkipTest(str(error)) from None


def tearDownModule():
    if engine is not None:
        engine.close()
        source.close()


def branch(*args, env=None, **more):
    return harness.holdfast("branch", *args, env={**engine.api_env(), **(env or {})}, timeout=300, **more)


def scratch_branches() -> list[str]:
    return [b["name"] for b in engine.api.branches().values() if b["name"].startswith("compare-")]


def compared(*args, database="care", role="postgres", env=None) -> dict:
    return branch("compare", *args, "--database", database, "--role", role, "--json", env=env).json()["comparison"]


def tables_of(comparison: dict) -> dict[str, dict]:
    return {table["table"]: table for table in comparison["tables"]}


class Base(unittest.TestCase):
    def make(self, name: str, *args):
        engine.wait_received()
        branch("create", name, *args)
        self.addCleanup(branch, "delete", name)

    def tearDown(self):
        self.assertEqual([], scratch_branches())


class Sums(Base):
    def test_every_table_has_the_checksum_of_a_dump(self):
        folder = harness.temp_dir()
        made = harness.holdfast("backup", "--type", "dump", "--dir", folder, "--jobs", "3", "--json", timeout=300,
                                env={"DATABASE_URL": source.url("sink"), "HOLDFAST_PG_BINDIR": source.bindir}
                                ).json()["results"][0]
        manifest = json.loads((folder / f"{made['id']}.manifest.json").read_text())
        dumped = {t["name"]: (t["rows"], t["checksum"]) for t in manifest["tables"]}
        self.assertGreater(len(dumped), 60)
        self.assertTrue(any(t["name"] == "public.large" and len(t["pieces"]) > 1 for t in manifest["tables"]))
        self.make("copy", "--no-compute")
        comparison = compared("copy", database="sink")
        self.assertTrue(comparison["all_equal"])
        for side in ("branch", "other"):
            read = {name: (table[side]["rows"], table[side]["checksum"])
                    for name, table in tables_of(comparison).items()}
            emptied = read.pop("ks.unlogged")  # recovery empties unlogged tables
            self.assertEqual(0, emptied[0])
            self.assertEqual({n: sum for n, sum in dumped.items() if n != "ks.unlogged"}, read)
        self.assertEqual(2, dumped["ks.unlogged"][0])

    def test_an_unlogged_table_too(self):
        self.make("own")
        there = engine.connect("own", dbname="sink")
        there.psql("INSERT INTO ks.unlogged (t) VALUES ('x')", db="sink")
        table = tables_of(compared("own", "--table", "ks.unlogged", database="sink"))["ks.unlogged"]
        self.assertEqual("different", table["state"])
        self.assertEqual((1, 0, 1), (table["branch"]["rows"], table["other"]["rows"],
                                     table["rows_more_in_branch"]))

    def test_a_partitioned_table_stands_for_its_partitions(self):
        self.make("parts", "--no-compute")
        self.assertEqual({"public.measures_1": 1, "public.measures_2": 2},
                         {name: table["branch"]["rows"] for name, table in
                          tables_of(compared("parts", "--table", "measures", database="sink")).items()})


class Differences(Base):
    def test_equal_branches(self):
        self.make("same")
        said = branch("compare", "same", "--database", "care", "--role", "postgres")
        self.assertRegex(said.out, r"(?m)^TABLE +IN same +IN main +DIFFERENCE$")
        self.assertRegex(said.out, r"(?m)^public\.clients +5 rows +5 rows +equal$")
        self.assertRegex(said.out, r'(?m)^"Odd one"\."Bills" +1 row +1 row +equal$')
        self.assertIn("all equal: 3 tables\n", said.out)
        self.make("same-too", "--parent", "same")
        self.assertTrue(compared("same", "same-too")["all_equal"])
        self.assertEqual("same-too", compared("same", "same-too")["other"])
        self.assertEqual("same-too", compared("same", env={"NEON_BRANCH": "same-too"})["other"])

    def test_rows_tables_that_came_and_tables_that_went(self):
        self.make("before")
        source.psql("UPDATE clients SET allergies = NULL WHERE id = 3; INSERT INTO visits VALUES (1), (2);"
                    "CREATE TABLE letters (id int); ALTER TABLE \"Odd one\".\"Bills\" RENAME TO kept", db="care")
        self.addCleanup(source.psql, "UPDATE clients SET allergies = 'none'; TRUNCATE visits; DROP TABLE letters;"
                                     "ALTER TABLE \"Odd one\".kept RENAME TO \"Bills\"", db="care")
        engine.wait_received()
        comparison = compared("before")
        self.assertEqual({"public.clients": "different", "public.visits": "different",
                          "public.letters": "only_in_other", '"Odd one"."Bills"': "only_in_branch",
                          '"Odd one".kept': "only_in_other"},
                         {name: table["state"] for name, table in tables_of(comparison).items()})
        self.assertEqual(-2, tables_of(comparison)["public.visits"]["rows_more_in_branch"])
        self.assertEqual((0, 5), (comparison["tables_equal"], comparison["tables_different"]))
        said = branch("compare", "before", "--database", "care", "--role", "postgres").out
        self.assertRegex(said, r"(?m)^public\.clients +5 rows +5 rows +as many rows, but not the same$")
        self.assertRegex(said, r"(?m)^public\.visits +0 rows +2 rows +2 rows fewer in before$")
        self.assertRegex(said, r"(?m)^public\.letters +- +0 rows +only in main$")
        self.assertIn("5 tables differ, 0 equal", said)
        turned = compared("main", "before")
        self.assertEqual(2, tables_of(turned)["public.visits"]["rows_more_in_branch"])

        some = compared("before", "--table", "clients", "--table", "letters")
        self.assertEqual(["public.clients", "public.letters"], list(tables_of(some)))
        self.assertEqual([], compared("before", "--table", "visits")["tables"][1:])
        missing = branch("compare", "before", "--database", "care", "--role", "postgres", "--table", "nonsuch",
                         expect=1)
        self.assertIn("there is no table nonsuch, neither in before nor in main", missing.err)
        for name in ("seen", "pg_class"):
            view = branch("compare", "before", "--database", "care", "--role", "postgres", "--table", name,
                          expect=2)
            self.assertIn(f"{name} is no table of a user", view.err)

        # Made at the head, it has what is there now; asked for at once, it comes with the branch.
        embedded = branch("create", "now", "--compare", "--database", "care", "--role", "postgres",
                          "--json").json()
        self.addCleanup(branch, "delete", "now")
        self.assertEqual("now", embedded["branch"]["name"])
        self.assertTrue(embedded["comparison"]["all_equal"])
        shown = branch("create", "then", "--parent", "before", "--compare", "--table", "visits", "--database",
                       "care", "--role", "postgres").out
        self.addCleanup(branch, "delete", "then")
        self.assertRegex(shown, r"^CREATED then")
        self.assertIn("2 rows fewer in then", shown)

    def test_what_cannot_be_compared(self):
        self.make("one", "--no-compute")
        self.assertIn("cannot be compared with itself",
                      branch("compare", "main", "--database", "care", expect=2).err)
        self.assertIn("which branch?", branch("compare", expect=2).err)
        self.assertIn("has several databases", branch("compare", "one", "--role", "postgres", expect=2).err)
        denied = branch("compare", "one", "--database", "care", "--role", "reader", expect=1)
        self.assertIn('error: one: table "Odd one"."Bills": permission denied', denied.err)
        self.assertEqual(["public.clients"],
                         list(tables_of(compared("one", "--table", "clients", role="reader"))))
        document = branch("compare", "nonsuch", "--json", expect=1).json()
        self.assertEqual("not_found", document["error"]["code"])
        made = branch("create", "half", "--compare", "--database", "nonsuch", "--role", "postgres", expect=1)
        self.addCleanup(branch, "delete", "half")
        self.assertIn("half is made, but could not be compared: ", made.err)


class Looks(Base):
    def endpoints(self, name: str) -> list[str]:
        id = {b["name"]: b["id"] for b in engine.api.branches().values()}[name]
        return [e["current_state"] for e in engine.api.get(f"branches/{id}/endpoints")["endpoints"]]

    def test_computes_are_afterwards_as_they_were(self):
        self.make("none", "--no-compute")
        self.make("asleep")
        branch("suspend", "asleep")
        self.make("awake")
        for name, state in (("none", []), ("asleep", ["idle"]), ("awake", ["active"])):
            self.assertTrue(compared(name)["all_equal"], name)
            self.assertEqual(state, self.endpoints(name))

    def test_interrupted_it_leaves_everything_as_it_was(self):
        self.make("woken")
        branch("suspend", "woken")
        for _ in range(INTERRUPTIONS):
            running = harness.spawn_holdfast("branch", "compare", "woken", "--database", "sink", "--role", "postgres",
                                             env=engine.api_env())
            harness.wait_until(lambda: self.endpoints("woken") == ["active"], 60, "the compute to be woken")
            pause(0, 3)
            ended = running.stop(signal.SIGINT)
            self.assertIn(ended.code, (0, 130), ended)
            self.assertNotIn("left ", ended.err)
            self.assertEqual([], scratch_branches(), ended)
            self.assertEqual(["idle"], self.endpoints("woken"), ended)

    def test_both_sides_are_of_one_moment_while_others_write(self):
        """As many connections as ledgers: if each saw a moment of its own, the ledgers would differ."""
        with harness.Writers(source, "busy", connections=4, tables=LEDGERS) as at_source:
            at_source.wait_for(50)
            self.make("busy")
            there = engine.connect("busy", dbname="busy")
            with harness.Writers(there, "busy", connections=4, tables=LEDGERS) as at_branch:
                at_branch.wait_for(50)
                for _ in range(ROUNDS):
                    before = at_source.transactions, at_branch.transactions
                    tables = tables_of(branch("compare", "busy", "--database", "busy", "--role", "postgres", "--json",
                                              env={"HOLDFAST_JOBS": len(LEDGERS)}).json()["comparison"])
                    self.assertGreater(at_source.transactions, before[0])
                    self.assertGreater(at_branch.transactions, before[1])
                    for side in ("branch", "other"):
                        sums = [tables[f"public.{name}"][side] for name in LEDGERS]
                        self.assertGreater(sums[0]["rows"], 0)
                        self.assertEqual([sums[0]] * len(LEDGERS), sums, side)
                    self.assertEqual("different", tables["public.ledger_0"]["state"])
                at_branch.stop()
            at_source.stop()


if __name__ == "__main__":
    harness.main()
