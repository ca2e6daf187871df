"""holdfast branch find, against an engine with a real PostgreSQL: the last second at which something was so.

What is found is held against PostgreSQL's own commit timestamps. Whatever happens, no branch stays behind.
"""

import re
import signal
import sys
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import EngineServer, now_on, pause, time_text  # noqa: E402

INTERRUPTIONS = 4
SECOND = timedelta(seconds=1)

engine = source = None
changes: dict[str, datetime] = {}  # what was done → when it was committed, by PostgreSQL's own account


def commit(sql: str) -> datetime:
    """Runs it in a transaction of its own, in the midst of a second that nothing else is in."""
    time.sleep(1.2)
    xid = source.psql(f"BEGIN; {sql}; SELECT pg_current_xact_id()::xid; COMMIT").splitlines()[-1]
    micros = int(source.psql(
        f"SELECT (extract(epoch FROM pg_xact_commit_timestamp('{xid}'::xid)) * 1000000)::bigint"))
    return datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=micros)


def setUpModule():
    global engine, source
    source = harness.Server(settings={"track_commit_timestamp": "on", "max_wal_senders": 20})
    source.psql("CREATE TABLE clients (id int PRIMARY KEY, allergies text);"
                "INSERT INTO clients SELECT g, 'none of ' || g FROM generate_series(1, 20) g;"
                "CREATE SCHEMA \"Odd one\"; CREATE TABLE \"Odd one\".\"Visits\" (id int);"
                "INSERT INTO \"Odd one\".\"Visits\" VALUES (1);"
                "CREATE VIEW allergic AS SELECT id FROM clients WHERE allergies IS NOT NULL;"
                "CREATE SEQUENCE counter")
    try:
        engine = EngineServer(source)
    except harness.Unavailable as error:
        source.close()
        raise unittest.SkipTest(str(error)) from None
    changes["made"] = commit("CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)")
    changes["spoilt"] = commit("UPDATE clients SET allergies = NULL")
    changes["deleted"] = commit("DELETE FROM clients WHERE id = 7")
    changes["odd"] = commit("TRUNCATE \"Odd one\".\"Visits\"")
    changes["dropped"] = commit("DROP TABLE notes")
    changes["rewritten"] = commit("ALTER TABLE clients DROP COLUMN allergies CASCADE")
    time.sleep(1.2)
    source.psql("CREATE TABLE later ()")  # something for the window to reach
    engine.wait_caught_up(now_on(source))


def tearDownModule():
    if engine is not None:
        engine.close()
        source.close()


def branch(*args, env=None, **more):
    return harness.holdfast("branch", *args, env={**engine.api_env(), **(env or {})}, timeout=300, **more)


def find(table: str, where: str, *args, **more):
    return branch("find", "--table", table, "--where", where, *args, **more)


def found(table: str, where: str, *args) -> dict:
    return find(table, where, "--json", *args).json()


def second(instant: datetime) -> str:
    return instant.replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def scratch_branches() -> list[str]:
    return [b["name"] for b in engine.api.branches().values() if b["name"].startswith("find-")]


def branches_made() -> int:
    return len(re.findall(r"POST /projects/\{project_id\}/branches 201", engine.log_text()))


class Base(unittest.TestCase):
    def tearDown(self):
        self.assertEqual([], scratch_branches())

    def expect_moment(self, result: dict, change: str):
        """The state of the second before the commit has it, that of the next one has not."""
        self.assertFalse(result["still_holds"])
        self.assertEqual(second(changes[change]), result["last_held_at"])
        self.assertEqual(second(changes[change] + SECOND), result["first_not_held_at"])


class Moments(Base):
    def test_a_deletion_in_the_whole_window(self):
        result = found("clients", "id = 7")
        self.expect_moment(result, "deleted")
        window = branch("window", "--json").json()["windows"][-1]
        width = (datetime.fromisoformat(result["to"]) - datetime.fromisoformat(result["from"])).seconds
        self.assertLessEqual(result["probes"], width.bit_length() + 2)
        self.assertGreaterEqual(result["from"], window["from"][:19])
        print(f"\n{result['probes']} probes, {result['seconds'] / result['probes']:.2f} s each",
              file=sys.__stderr__)

    def test_a_bad_update(self):
        self.expect_moment(found("clients", "allergies IS NOT NULL",
                                 "--to", second(changes["dropped"])), "spoilt")

    def test_a_table_that_came_and_went(self):
        since = second(changes["made"] + SECOND)
        self.expect_moment(found("notes", "true", "--from", since), "dropped")
        both = find("notes", "true", expect=1)  # neither at the beginning nor at the end
        self.assertIn("there is no table notes, neither at", both.err)
        self.assertIn("if it was there in between only, give a --from", both.err)

    def test_names_that_need_quoting(self):
        self.expect_moment(found('"Odd one"."Visits"', "id = 1"), "odd")

    def test_a_view_and_a_column_that_went(self):
        end = ("--to", second(changes["dropped"]))
        self.expect_moment(found("allergic", "true", *end), "spoilt")
        gone = find("clients", "allergies IS NOT NULL", expect=2)
        self.assertIn('column "allergies" does not exist', gone.err)
        self.assertIn("hint: a column that was not always there can be asked for as to_jsonb(clients)", gone.err)
        self.expect_moment(found("clients", "to_jsonb(clients) ->> 'allergies' IS NOT NULL"), "spoilt")

    def test_what_still_holds(self):
        result = found("clients", "id = 1")
        self.assertTrue(result["still_holds"])
        self.assertEqual(result["to"], result["last_held_at"])
        self.assertIsNone(result["first_not_held_at"])
        self.assertEqual(1, result["probes"])
        said = find("clients", "id = 1")
        self.assertRegex(said.out, r"^STILL HOLDS at \S+Z · 1 look in ")

    def test_what_is_said(self):
        begin, end = second(changes["deleted"] - SECOND), second(changes["deleted"] + 2 * SECOND)
        before = branches_made()
        said = find("clients", "id = 7", "--from", begin, "--to", end)
        self.assertEqual(4, branches_made() - before)
        at = second(changes["deleted"])
        self.assertRegex(said.out, rf"^FOUND {at} · 4 looks in ")
        self.assertIn(f"look at it       holdfast branch create NAME --at {at} --compare", said.out)
        self.assertIn("one of the changes", said.out)
        for number in range(-1, 3):
            looked = second(changes["deleted"] + number * SECOND)
            self.assertRegex(said.err, rf"(?m)^look at {looked}: ")


class Edges(Base):
    def test_the_last_second_before_and_the_first_one_after(self):
        at, after = changes["deleted"], changes["deleted"] + SECOND
        result = found("clients", "id = 7", "--from", second(at), "--to", second(after))
        self.expect_moment(result, "deleted")
        self.assertEqual(2, result["probes"])
        self.assertTrue(found("clients", "id = 7", "--from", second(at), "--to", second(at))["still_holds"])
        late = find("clients", "id = 7", "--from", second(after), expect=1)
        self.assertIn(f"it held neither at {second(after)} nor at", late.err)

    def test_fractions_of_seconds_are_cut_inwards(self):
        begin = time_text(changes["spoilt"].replace(microsecond=500_000))
        end = time_text(changes["deleted"].replace(microsecond=999_000) + SECOND)
        result = found("clients", "id = 7", "--from", begin, "--to", end)
        self.assertEqual(second(changes["spoilt"] + SECOND), result["from"])
        self.assertEqual(second(changes["deleted"] + SECOND), result["to"])
        self.expect_moment(result, "deleted")

    def test_what_cannot_be_gone_back_to_is_refused_in_the_engines_words(self):
        early = find("clients", "id = 7", "--from", "2020-01-01T00:00:00Z", expect=2)
        self.assertIn("at 2020-01-01T00:00:00Z: create branch", early.err)
        self.assertIn("hint: ", early.err)
        future = time_text(now_on(source) + timedelta(hours=1))
        late = find("clients", "id = 7", "--to", future, expect=2)
        self.assertIn("hint: ", late.err)
        turned = find("clients", "id = 7", "--from", second(changes["deleted"]),
                      "--to", second(changes["made"]), expect=2)
        self.assertIn("there is no whole second from", turned.err)

    def test_what_never_held(self):
        before = branches_made()
        never = find("clients", "id = 999", expect=1)
        self.assertIn("it held neither at", never.err)
        self.assertIn("hint: give an earlier --from", never.err)
        self.assertEqual(2, branches_made() - before)
        unknown = find("clinets", "true", expect=1)
        self.assertIn("there is no table clinets, neither at", unknown.err)
        document = find("clinets", "true", "--json", expect=1).json()
        self.assertEqual("not_found", document["error"]["code"])

    def test_a_condition_that_is_none(self):
        for where, said in (("id = ", "syntax error"), ("id = 7; DROP TABLE clients", "syntax error"),
                            ("nonsuch > 1", 'column "nonsuch" does not exist'), ("id", "must be type boolean"),
                            ("id = 'x'", "--where: "), ("id / 0 = 1", "division by zero"),
                            ("id = $1", "requires 1")):
            with self.subTest(where):
                self.refuse_at_first_look("clients", where, said)
        self.refuse_at_first_look("notes", "id = ", "syntax error")  # where the table is not there any more

    def refuse_at_first_look(self, table: str, where: str, said: str):
        before = branches_made()
        refused = find(table, where, expect=2)
        self.assertRegex(refused.err, r"(?m)^error: at \S+Z: --where: ")
        self.assertIn(said, refused.err)
        self.assertEqual(1, branches_made() - before)

    def test_a_condition_changes_nothing(self):
        for where in ("nextval('counter') > 0", "setval('counter', 5) > 0"):
            self.refuse_at_first_look("clients", where, "read-only")
        comment = found("clients", "id = 7 -- not ) here", "--from", second(changes["deleted"]))
        self.expect_moment(comment, "deleted")

    def test_what_is_no_table(self):
        self.assertIn("counter is no table", find("counter", "true", expect=2).err)
        self.assertIn("is not a table's name", find("a.b.c.d", "true", expect=2).err)


class Otherwise(Base):
    def test_along_another_branch(self):
        branch("create", "side")
        side = engine.connect("side")
        self.addCleanup(branch, "delete", "side")
        time.sleep(1.2)
        before = now_on(source)
        side.psql("DELETE FROM clients WHERE id = 1")
        after = now_on(source)
        time.sleep(1.2)
        side.psql("CREATE TABLE later_there ()")
        time.sleep(1.2)
        result = found("clients", "id = 1", "--parent", "side", "--from", second(before),
                       "--to", second(after + SECOND))
        self.assertEqual("side", result["branch"])
        self.assertLessEqual(second(before), result["last_held_at"])
        self.assertLessEqual(result["last_held_at"], second(after))
        said = find("clients", "id = 1", "--parent", "side", "--from", second(before),
                    "--to", second(after + SECOND))
        self.assertIn("--parent side --compare", said.out)
        live = find("clients", "id = 1", "--from", second(before), "--to", second(after + SECOND), "--json",
                    env={"NEON_BRANCH": "side"}).json()
        self.assertEqual((result["branch"], result["last_held_at"]), (live["branch"], live["last_held_at"]))

    def test_interrupted_it_leaves_nothing(self):
        for _ in range(INTERRUPTIONS):
            running = harness.spawn_holdfast("branch", "find", "--table", "clients", "--where", "id = 7",
                                             env=engine.api_env())
            harness.wait_until(scratch_branches, 60, "a look")
            pause(0, 1.5)
            ended = running.stop(signal.SIGINT)
            self.assertEqual(130, ended.code, ended)
            self.assertNotIn("left over", ended.err)
            self.assertEqual([], scratch_branches(), ended)
        harness.wait_until(lambda: not engine.postmasters(), 60, "the computes to go")


if __name__ == "__main__":
    harness.main()
