"""Branches of a running ledger hold exactly the right commits, and nothing that was received is ever lost.

Writers commit numbered rows all the while. What a branch must hold is said by two judges that know nothing of
holdfast: stock pg_waldump on the source's own WAL, and a stock pg_basebackup recovered to the same point.
The engine is killed with SIGKILL at random moments, and the source crashes; afterwards every point still recovers.

HOLDFAST_TEST_LONG: 30 kills instead of 8. HOLDFAST_TEST_SEED repeats the choices of a run that failed.
"""

import http.client
import os
import random
import sys
import threading
import unittest
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from api_client import OperationFailed  # noqa: E402
from engine import (EngineServer, lsn, lsn_text, now_on, parse_time, pause, time_text)  # noqa: E402
from ledger import Background, Ledger, Reference, WalJudge, ledger_xids  # noqa: E402

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
BRANCHES = 20
AT_ONCE = 10
KILLS = 30 if LONG else 8
SOURCE = {"wal_keep_size": "4GB", "max_wal_size": "64MB", "checkpoint_timeout": "30s"}
GONE = (OSError, http.client.HTTPException)  # what a client sees of an engine that was killed


def setUpModule():
    seed = int(os.environ.get("HOLDFAST_TEST_SEED") or random.randrange(10**9))
    print(f"HOLDFAST_TEST_SEED={seed}")
    random.seed(seed)


def make_engine(**settings) -> EngineServer:
    try:
        return EngineServer(source_settings=SOURCE, settings=settings)
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


def in_parallel(work, items) -> list:
    """work(item) of each in a thread of its own; the results in order, or the first error."""
    results: dict = {}

    def run(number, item):
        try:
            results[number] = work(item)
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(items)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in sorted(results):
        if isinstance(results[number], BaseException):
            raise results[number]
    return [results[number] for number in sorted(results)]


class Point:
    """Where a branch begins, and what must be in it."""

    def __init__(self, text: str, wanted: set[int], request: dict, reference: dict):
        self.text, self.wanted, self.request, self.reference = text, wanted, request, reference
        self.id = ""


class Exactness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = make_engine(computes_max=AT_ONCE)
        cls.addClassCleanup(cls.engine.close)
        cls.source = cls.engine.source
        cls.reference = Reference(cls.source)
        cls.addClassCleanup(cls.reference.close)
        # In branches the ledger's table is there from the first point on, but not in the first window.
        cls.ledger = Ledger(cls.source)
        cls.addClassCleanup(cls.ledger.close)
        cls.ledger.wait_for(200)
        cls.first = lsn(cls.source.psql("SELECT pg_current_wal_insert_lsn()"))
        cls.first_time = now_on(cls.source)

    def judge(self) -> WalJudge:
        return WalJudge(self.source, self.reference.start)

    def in_ledger(self, xids: set[int]) -> set[int]:
        """Those that wrote to the ledger (some commits are the set-up's and autovacuum's)."""
        return xids & self.ledger_of_source

    def choose(self) -> list[Point]:
        judge = self.judge()
        self.ledger_of_source = ledger_xids(self.source)
        commits = [c for c in judge.commits if c.start >= self.first]
        last = self.caught_up  # all commits up to then are known to the judge
        points = []

        def at_time(instant):
            wanted = self.in_ledger(judge.at_time(instant))
            points.append(Point(f"time {time_text(instant)}", wanted,
                                {"parent_timestamp": time_text(instant)}, {"time": instant}))

        def at_lsn(place, border):
            wanted = self.in_ledger(judge.at_lsn(place))
            points.append(Point(f"LSN {lsn_text(place)}", wanted, {"parent_lsn": lsn_text(place)},
                                {"lsn": lsn_text(place), "inclusive": "off"} if border else {}))

        for _ in range(5):  # any time, and the millisecond of some commit
            span = (last - self.first_time).total_seconds()
            instant = self.first_time + timedelta(seconds=random.uniform(0, span))
            at_time(instant.replace(microsecond=instant.microsecond // 1000 * 1000))
            instant = random.choice([c for c in commits if self.first_time < c.time < last]).time
            at_time(instant.replace(microsecond=instant.microsecond // 1000 * 1000))
        for _ in range(3):  # a commit's very end, the byte before it, its start, and any byte
            at_lsn(random.choice(commits).end, True)
            at_lsn(random.choice(commits).end - 1, False)
            at_lsn(random.choice(commits).start, True)
        at_lsn(random.randrange(self.first, commits[-1].end), False)
        self.assertEqual(BRANCHES, len(points))
        random.shuffle(points)
        return points

    def test_branches_hold_exactly_what_was_committed(self):
        engine, api = self.engine, self.engine.api
        self.ledger.wait_for(500)
        # A second snapshot in their midst, so that points begin from either.
        engine.settle(api.post(f"branches/{api.default_branch()['id']}/snapshot", query={"name": "midst"}))
        self.source.psql("SELECT pg_switch_wal()")
        self.ledger.wait_for(800)
        self.caught_up = now_on(self.source)
        self.ledger.wait_for(100)
        engine.wait_received()
        engine.wait_caught_up(self.caught_up)
        points = self.choose()
        for number, point in enumerate(points):
            answer = engine.create_branch(f"point-{number}", compute=False, **point.request)
            point.id = answer["branch"]["id"]
        # The writers go on: what comes later must not leak into a branch that starts only now.
        self.ledger.wait_for(200)
        for begin in range(0, BRANCHES, AT_ONCE):
            batch = points[begin:begin + AT_ONCE]
            self.start_all(batch)
            in_parallel(self.check_commits, batch)
            for point in batch:
                self.check_reference(point)
            in_parallel(self.stop, batch)
        self.ledger.stop()

    def start_all(self, batch: list[Point]) -> None:
        def start(point):
            answer = self.engine.api.post("endpoints", {"endpoint": {"branch_id": point.id,
                                                                      "type": "read_write"}})
            self.engine.settle(answer)

        in_parallel(start, batch)
        self.assertEqual(AT_ONCE, len(self.engine.postmasters()), "computes at once")
        extra = self.engine.api.post("branches", {"branch": {"name": "one-too-many"},
                                                  "endpoints": [{"type": "read_write"}]}, expect=422)
        self.assertRegex(extra.json["code"], "LIMIT_EXCEEDED")
        self.assertNotIn("one-too-many", self.engine.api.branches())

    def stop(self, point: Point) -> None:
        self.engine.settle(self.engine.api.delete(f"branches/{point.id}"))

    def check_commits(self, point: Point) -> None:
        with self.engine.connect(point.id) as client:
            found = ledger_xids(client)
            self.assertEqual((set(), set()), (point.wanted - found, found - point.wanted),
                             f"{point.text}: (missing, too many)")

    def check_reference(self, point: Point) -> None:
        if not point.reference:
            return
        stock = self.reference.recover(**point.reference)
        try:
            with self.engine.connect(point.id) as client:
                self.assertEqual("", harness.rows_difference(harness.rows(stock, "postgres"),
                                                             harness.rows(client, "postgres")), point.text)
                self.assertEqual(harness.schema_dump(stock, "postgres"),
                                 harness.schema_dump(client, "postgres"), point.text)
        finally:
            stock.close()

    def test_points_outside_are_refused_with_the_windows(self):
        engine = self.engine
        engine.wait_received()
        windows = engine.history()["windows"]
        self.assertEqual(1, len(windows), windows)
        before = parse_time(windows[0]["from"]) - timedelta(seconds=1)
        after = now_on(self.source) + timedelta(hours=1)
        for branch in ({"parent_timestamp": time_text(before)}, {"parent_timestamp": time_text(after)},
                       {"parent_lsn": lsn_text(lsn(windows[0]["from_lsn"]) - 1)},
                       {"parent_lsn": "7FFFFFFF/0"}):
            refused = engine.create_branch("nowhere", compute=False, expect=400, **branch)
            self.assertIn(windows[0]["from_lsn"] if "parent_lsn" in branch else windows[0]["from"][:19],
                          refused.message)
        self.assertNotIn("nowhere", engine.api.branches())


class Kills(unittest.TestCase):
    """The engine is killed at any moment, and the source crashes: no received WAL is lost."""

    def setUp(self):
        # A kill between making a busy branch and deleting it leaves one that runs, until drop_stranded().
        self.engine = make_engine(computes_max=8)
        self.addCleanup(self.engine.close)
        self.source = self.engine.source
        self.start = self.source.psql("SELECT pg_current_wal_insert_lsn()")
        self.ledger = Ledger(self.source)
        self.addCleanup(self.ledger.close)
        self.ledger.wait_for(100)
        self.first_time = now_on(self.source)
        self.number = 0

    def busy(self) -> None:
        """What goes on while the engine is killed: branches come, start, and go; snapshots are taken."""
        engine, api = self.engine, self.engine.api
        self.number += 1
        name = f"busy-{self.number}"
        try:
            made = engine.create_branch(name, wait=False)
            pause(0, 2)
            if random.random() < 0.2:
                api.post(f"branches/{made['branch']['parent_id']}/snapshot", query={"name": name})
            api.delete(f"branches/{made['branch']['id']}")
        except AssertionError as error:
            if "ACTIVE_ENDPOINTS_LIMIT_EXCEEDED" in str(error):
                pause(0, 2)  # killed so often that deleted ones still run
            elif engine.running:  # else it was killed in the midst of an answer
                raise

    def drop_stranded(self) -> None:
        """Busy branches that nobody will delete any more."""
        now = self.number

        def stranded(branch):
            kind, _, number = branch["name"].partition("-")
            return kind == "busy" and int(number) < now

        self.engine.drop_branches(stranded)

    def test_nothing_received_is_lost(self):
        engine = self.engine
        busy = Background(self.busy, (*GONE, OperationFailed))
        self.addCleanup(busy.stop)
        oldest = engine.history()["windows"][0]["from_lsn"]
        for number in range(KILLS):
            pause(0.1, 3)
            received = engine.history()["receiving"]["received_lsn"]
            engine.kill9()
            if number % 3 == 1:
                self.source.kill9()
                self.start_without_source(received, number)
                self.source.start()
                self.ledger.resume()
            elif number % 3 == 2:
                self.ledger.wait_for(50)  # written while nobody receives
            engine.start()
            self.check_received(received, number)
            self.check_history(oldest, f"kill {number}")
            self.check_some_point(f"kill {number}")
            self.drop_stranded()
        # The source crashes while the engine runs.
        self.source.kill9()
        pause(0, 2)
        self.source.start()
        self.ledger.resume()
        self.ledger.wait_for(50)
        engine.wait_received()
        self.check_history(oldest, "a crash of the source")
        self.check_some_point("a crash of the source")
        busy.stop()
        self.assertGreater(busy.rounds, 0)
        self.check_head()
        self.check_operations_end()

    def check_received(self, before: str, number: int) -> None:
        now = self.engine.history()["receiving"]["received_lsn"]
        self.assertGreaterEqual(lsn(now), lsn(before), f"received WAL is gone after kill {number}")

    def start_without_source(self, received: str, number: int) -> None:
        """When it matters most, the source is away: what was received is there and can be branched from."""
        engine = self.engine
        engine.start()
        self.check_received(received, number)
        name = f"without-source-{number}"
        made = engine.create_branch(name, parent_lsn=received)
        with engine.connect(name) as client:
            self.assertGreater(len(ledger_xids(client)), 0)
        engine.settle(engine.api.delete(f"branches/{made['branch']['id']}"))

    def check_history(self, oldest: str, when: str) -> None:
        state = self.engine.history()
        self.assertEqual(0, state["receiving"]["gaps"], when)
        self.assertEqual([oldest], [w["from_lsn"] for w in state["windows"]], when)

    def check_some_point(self, when: str) -> None:
        """A random instant of all that was received up to now, the newest included."""
        engine = self.engine
        self.ledger.wait_for(20)
        last = now_on(self.source)
        self.ledger.wait_for(20)
        engine.wait_received()
        engine.wait_caught_up(last)
        span = (last - self.first_time).total_seconds()
        instant = self.first_time + timedelta(seconds=random.choice((1, random.random())) * span)
        instant = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
        name = f"checked-{when.replace(' ', '-')}"
        made = engine.create_branch(name, parent_timestamp=time_text(instant))
        judge = WalJudge(self.source, self.start)
        wanted = judge.at_time(instant) & ledger_xids(self.source)
        with engine.connect(name) as client:
            found = ledger_xids(client)
        self.assertEqual((set(), set()), (wanted - found, found - wanted),
                         f"after {when}, at {time_text(instant)}: (missing, too many)")
        engine.settle(engine.api.delete(f"branches/{made['branch']['id']}"))

    def check_head(self) -> None:
        self.ledger.stop()
        self.engine.wait_received()
        self.engine.create_branch("head")
        with self.engine.connect("head") as client:
            self.assertEqual("", harness.rows_difference(harness.rows(self.source, "postgres"),
                                                         harness.rows(client, "postgres")))

    def check_operations_end(self) -> None:
        """What a crash interrupted was gone on with: nothing hangs, and no folder is left of what is gone."""
        api = self.engine.api
        open_states = {"scheduling", "running", "cancelling"}
        self.engine.wait_for(lambda: not open_states & {
            o["status"] for o in api.get("operations", query={"limit": 1000})["operations"]}, 60,
            "all operations to end")
        kept = {b["id"] for b in api.branches().values()}
        left = [p for p in self.engine.work.rglob("postmaster.pid")
                if not any(part.startswith(tuple(kept)) for part in p.parts)]
        self.assertEqual([], left, "computes of branches that are gone")


class Gaps(unittest.TestCase):
    def test_a_gap_is_noticed_and_told(self):
        """WAL that the source threw away before it was received: never recovered over, and said."""
        engine = make_engine()
        self.addCleanup(engine.close)
        source = engine.source
        source.psql("CREATE TABLE t AS SELECT 1 AS i")
        first = source.psql("SELECT pg_current_wal_insert_lsn()")
        engine.wait_received()
        slot = engine.history()["receiving"]["slot"]
        engine.stop()
        engine.wait_for(lambda: source.psql(
            f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active") == "1", 30,
            "the slot to be left")
        source.psql(f"SELECT pg_drop_replication_slot('{slot}')")
        source.configure({"wal_keep_size": "0", "max_wal_size": "32MB"}, reload=True)
        for i in range(8):
            source.psql(f"INSERT INTO t VALUES ({i}); SELECT pg_switch_wal(); CHECKPOINT")
        lost = source.psql("SELECT pg_current_wal_insert_lsn()")
        for i in range(4):
            source.psql("INSERT INTO t VALUES (0); SELECT pg_switch_wal(); CHECKPOINT")
        engine.start()
        engine.wait_for(lambda: engine.history()["receiving"]["gaps"] > 0, 60, "the gap to be told")
        # What was received before it still recovers; what lies in it is refused, however it is asked for.
        engine.create_branch("before", parent_lsn=first)
        with engine.connect("before") as client:
            self.assertEqual("1", client.psql("SELECT count(*) FROM t"))
        engine.create_branch("lost", compute=False, expect=400, parent_lsn=lost)
        # History goes on behind it, with a snapshot that the engine takes of itself.
        engine.wait_for(lambda: len(engine.history()["windows"]) == 2, 120, "a window behind the gap")
        engine.wait_received()
        engine.create_branch("after", expect=201)
        with engine.connect("after") as client:
            self.assertEqual(source.psql("SELECT count(*) FROM t"), client.psql("SELECT count(*) FROM t"))


if __name__ == "__main__":
    harness.main()
