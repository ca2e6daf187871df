"""holdfast backup with a branch leg, in a cloud in which everything goes wrong that can (fake_neon.py).

Whatever happens: a run makes one branch at most, and the run after it knows of it; no compute stays; one leg
costs the other nothing; the exit code and one error with a hint say how it is; no secret is shown.

By default each read meets one kind of failure and each mutation all of them; HOLDFAST_TEST_LONG=1 leaves none out.
"""

import random
import signal
import sys
import threading
import unittest
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from dual_cloud import (LONG, PASSING, DualCloud, FaultyRun, assert_swept, error_problems,  # noqa: E402
                        sampled, side_by_side, start_server)
from fake_neon import ALWAYS  # noqa: E402

PER_READ = 1
KILLS_AT_RANDOM = 30 if LONG else 10
BRANCH = ("backup", "--type", "branch")
server: harness.Server


def setUpModule():
    global server
    server = start_server()


def tearDownModule():
    server.close()


class Faulty(FaultyRun):
    """A run with one fault, and a healthy one after it."""

    def __init__(self, kind: str, number: int, more: dict):
        cloud = DualCloud(server)
        super().__init__((kind, number, more), cloud)
        met = cloud.fail(kind, first=number, **more)
        self.result = cloud.run(*BRANCH, expect=None)
        cloud.fake.settle()
        self.happened = bool(met.happened)
        self.found = self.problems_of_first(kind)
        self.healthy = cloud.run(*BRANCH, expect=None)
        cloud.fake.settle()
        self.found += self.problems_of_second()
        self.end()

    def problems_of_first(self, kind: str) -> list[str]:
        cloud, found = self.cloud, []
        if len(cloud.marked()) > 1:
            found.append(f"one run made {cloud.marked()}")
        if cloud.computes():
            found.append(f"a compute is left over: {cloud.computes()}")
        if self.result.code == 0:
            return found + (cloud.problems() if cloud.marked() else ["it says that it made a backup"])
        if kind in {passing for passing, _ in PASSING}:
            found.append("this should have been survived")
        if self.result.code == 3 and "the backup is safe" in self.result.err:  # retention alone failed
            return found + cloud.problems() + error_problems(self.result, (3,))
        return found + error_problems(self.result)

    def problems_of_second(self) -> list[str]:
        found = [f"after the next run: {problem}" for problem in self.cloud.problems()]
        if self.healthy.code != 0 or "warning" in self.healthy.err:
            found.append(f"the next run is not well: {self.healthy}")
        if not 1 <= len(self.cloud.marked()) <= 2:
            found.append(f"two runs left {self.cloud.marked()}")
        return found


class Sweep(unittest.TestCase):
    def test_every_request_may_fail_once(self):
        clean = DualCloud(server)
        clean.run(*BRANCH)
        self.assertEqual([], clean.problems())
        jobs = sampled(clean.fake.exchanges, PER_READ)
        clean.close()
        self.assertGreater(len(jobs), 60)
        assert_swept(self, Faulty, jobs)


class WithCloud(unittest.TestCase):
    def start(self, **more) -> DualCloud:
        self.cloud = DualCloud(server, **more)
        self.addCleanup(self.cloud.close)
        return self.cloud

    def legs(self, *args, expect: int, **more) -> dict:
        self.result = self.cloud.run("backup", "--json", *args, expect=expect, **more)
        return {leg["kind"]: leg for leg in self.result.json()["results"]}

    def failed(self, *args, words=(), codes=(1,), **more):
        result = self.cloud.run(*args, expect=None, **more)
        self.assertEqual([], error_problems(result, codes), str(result))
        for word in words:
            self.assertIn(word, result.err)
        return result


class LeftOver(WithCloud):
    """What a run could not clear up, the next one knows of."""

    def test_a_half_made_branch_that_cannot_be_removed(self):
        cloud = self.start()
        cloud.fail("failed", op="createProjectBranch", error="the pageserver is full")
        refusal = cloud.fail("403", op="deleteProjectBranch", count=ALWAYS)
        self.failed(*BRANCH, words=["the pageserver is full", "is left over"])
        left, = cloud.marked()
        refusal.count = 0
        said = cloud.run(*BRANCH)
        self.assertIn(f"{left} was made and not recorded: it is now", said.err)
        self.assertEqual([], cloud.problems())

    def test_a_branch_that_goes_while_it_is_looked_at(self):
        cloud = self.start()
        stray = cloud.add_backup(timedelta(hours=1))
        cloud.fail("reset", op="getProjectBranch", then=lambda: cloud.project.branches.pop(stray.id))
        cloud.run(*BRANCH)
        self.assertEqual(1, len(cloud.marked()))
        self.assertEqual([], cloud.problems())

    def test_branches_of_others_are_not_taken_for_ours(self):
        cloud = self.start()
        strays = [cloud.add_backup(timedelta(hours=hours)) for hours in (1, 2, 3)]
        strays[0].annotation["holdfast-database"] = "payroll"
        strays[1].annotation["holdfast"] = "scratch"
        strays[2].annotation = {}
        cloud.run(*BRANCH)
        self.assertEqual(set(), cloud.records() & {branch.name for branch in strays})


class Legs(WithCloud):
    """A leg that is down costs the other nothing."""

    def break_it(self, how: str) -> dict:
        self.start()
        if how == "401":
            return {"NEON_API_KEY": "napi_" + harness.random_secret()}
        if how == "500":
            self.cloud.fail("500", count=ALWAYS)
        elif how == "operation":
            self.cloud.fail("failed", op="createProjectBranch", error="the pageserver is full")
        elif how == "compute":
            self.cloud.fail("failed", op="createProjectEndpoint", count=ALWAYS)
        elif how == "nobody":
            return {"NEON_API_HOST": f"http://127.0.0.1:{harness.free_port()}/api/v2"}
        return {}

    def test_a_branch_leg_that_is_down_costs_the_dump_nothing(self):
        def one(how, dump_from):
            case = Legs()
            env = case.break_it(how)
            legs = case.legs("--dump-from", dump_from, expect=3, **env)
            return how, dump_from, legs, case
        hows = ["401", "500", "operation", "compute", "nobody"]
        for how, dump_from, legs, case in side_by_side(one, [(h, f) for h in hows for f in ("source", "branch")]):
            with self.subTest(how=how, dump_from=dump_from):
                self.addCleanup(case.doCleanups)
                dump, branch = legs["dump"], legs["branch"]
                self.assertEqual(("ok", "failed"), (dump["status"], branch["status"]), str(case.result))
                self.assertTrue(dump["proof"]["ok"])
                self.assertFalse(dump.get("taken_from"))
                self.assertEqual([], error_problems(case.result, (3,)), str(case.result))
                self.assertEqual(dump_from == "branch", "taken from the source itself" in case.result.err)
                case.cloud.fake.settle()
                self.assertEqual([], case.cloud.problems())

    @unittest.skipUnless(LONG, "in long runs only: it takes minutes")
    def test_a_branch_leg_that_stalls_for_ever(self):
        self.start().fail("stall", count=ALWAYS)
        legs = self.legs(expect=3)
        self.assertEqual(("ok", "failed"), (legs["dump"]["status"], legs["branch"]["status"]))

    def test_a_dump_leg_that_is_down_costs_the_branch_nothing(self):
        wrong = server.url("care", password="wrong-" + harness.random_secret())
        for dump_from in ("source", "branch"):
            self.start()
            legs = self.legs("--dump-from", dump_from, expect=3 if dump_from == "source" else 0,
                             DATABASE_URL=wrong)
            self.assertEqual("ok", legs["branch"]["status"], str(self.result))
            self.assertTrue(legs["branch"]["proof"]["ok"])
            # From the branch, with the branch's own login, there is a dump all the same.
            self.assertEqual("failed" if dump_from == "source" else "ok", legs["dump"]["status"])
            self.assertEqual([], self.cloud.problems())


class Limits(WithCloud):
    def test_no_room_is_told_before_anything_is_made(self):
        self.start(branches_limit=2).project.add_branch("dev")
        self.failed(*BRANCH, words=["allows 2 branches, and there are 2", "free_v3", "branch_backups_max"])
        self.assertEqual([], self.cloud.fake.requests("POST", "PATCH", "DELETE"))

    def test_retention_makes_room_first(self):
        self.start(branches_limit=3, protected_limit=3)
        self.cloud.run(*BRANCH, "--no-prune")
        self.cloud.run(*BRANCH, "--no-prune")
        before = self.cloud.marked()
        self.failed(*BRANCH, "--no-prune", words=["allows 3 branches"])
        self.assertEqual(before, self.cloud.marked(), "what may not be pruned was")
        said = self.cloud.run(*BRANCH)
        self.assertIn(f"removed branch {min(before)}", said.out)
        self.assertNotIn(min(before), self.cloud.marked())
        self.assertEqual([], self.cloud.problems())

    def test_what_keeps_retention_from_making_room_is_told(self):
        self.start(branches_limit=3, protected_limit=3)
        self.cloud.run(*BRANCH, "--no-prune")
        self.cloud.run(*BRANCH, "--no-prune")
        self.cloud.fail("failed", op="deleteProjectBranch", count=ALWAYS, error="the pageserver is full")
        said = self.failed(*BRANCH, words=["allows 3 branches", "retention of branches failed",
                                           "the pageserver is full"])
        self.assertNotIn("the backup is safe", said.err, "there is none")

    def test_a_race_for_the_last_place(self):
        cloud = self.start(branches_limit=2)
        cloud.fail("503", op="createProjectBranch", then=lambda: cloud.project.add_branch("dev"))
        self.failed(*BRANCH, words=["BRANCHES_LIMIT_EXCEEDED", "delete branches"])
        self.assertEqual((set(), set()), (cloud.marked(), cloud.records()))

    def test_without_protection_it_is_made_all_the_same(self):
        for limit in (0, 1):
            cloud = self.start(protected_limit=limit)
            if limit:
                cloud.project.add_branch("safe", protected=True)
            said = cloud.run(*BRANCH)
            self.assertIn("no protected branch left", said.out)
            self.assertEqual(1, len(cloud.marked()))
            self.assertEqual([False], [b.fields["protected"] for b in cloud.project.branches.values()
                                       if b.name in cloud.marked()])
            self.assertEqual([], cloud.problems())

    def plan(self, expect: int = 0, **more) -> tuple[str, str]:
        found = self.cloud.run("doctor", "--json", expect=expect, **more).json()["findings"]
        return next((f["level"], f["message"]) for f in found if f["check"] == "plan")

    def test_doctor_sees_limits_ahead_of_time(self):
        cloud = self.start(branches_limit=10)
        self.assertEqual("note", self.plan()[0])
        few = {"BRANCH_BACKUPS_MAX": "5"}
        self.assertEqual("ok", self.plan(**few)[0])
        for number in range(4):  # and what is not a backup takes places too
            cloud.project.add_branch(f"dev{number}")
        level, said = self.plan(**few)
        self.assertEqual("note", level)
        self.assertIn("6 backups beside 5 others", said)
        for number in range(4, 9):
            cloud.project.add_branch(f"dev{number}")
        self.assertEqual("failure", self.plan(expect=1, **few)[0])
        self.assertEqual([], cloud.fake.requests("POST", "PATCH", "DELETE"))


class Killed(unittest.TestCase):
    """kill -9 at any moment: before and after each request is carried out, and at random."""

    def run_killed(self, number: int, kind: str | None, after_s: float):
        cloud = DualCloud(server)
        started, runs = threading.Event(), []

        def kill():
            started.wait(30)
            runs[0].send_signal(signal.SIGKILL)

        if kind:
            cloud.fail(kind, first=number, then=kill)
        runs.append(harness.spawn_holdfast(*BRANCH, env=cloud.env()))
        started.set()
        if not kind:
            threading.Event().wait(after_s)
            kill()
        code = runs[0].finish().code
        cloud.fake.settle()
        made = cloud.marked()
        next_run = cloud.run(*BRANCH, expect=None)
        found = list(cloud.fake.problems)
        if code != -signal.SIGKILL and kind:
            found.append(f"it was not killed: {code}")
        if len(made) > 1 or len(cloud.marked()) != len(made) + 1:
            found.append(f"the killed run made {made}, and both {cloud.marked()}")
        # A compute that nobody was left to stop runs on until it goes to sleep by itself.
        found += [problem for problem in cloud.problems() if not problem.startswith("computes")]
        if next_run.code != 0:
            found.append(str(next_run))
        if self.listed(cloud) != cloud.marked():
            found.append(f"the list shows {self.listed(cloud)}")
        cloud.fake.problems = []
        cloud.close()
        return (number, kind, after_s), found, cloud.story()

    def listed(self, cloud: DualCloud) -> set[str]:
        return {backup["id"] for backup in cloud.run("list", "--json").json()["backups"]}

    def test_the_next_run_leaves_a_consistent_catalogue(self):
        clean = DualCloud(server)
        seconds = clean.run(*BRANCH).seconds
        requests = len(clean.fake.exchanges)
        clean.close()
        kinds = [(number, kind, 0.0) for number in range(1, requests + 1) for kind in ("stall", "lost")]
        jobs = kinds + [(0, None, random.uniform(0, 3 * seconds)) for _ in range(KILLS_AT_RANDOM)]
        self.assertGreaterEqual(len(jobs), 50 if LONG else 20)
        for what, found, story in side_by_side(self.run_killed, jobs):
            if found:
                with self.subTest(what):
                    self.fail("\n".join([*found, story]))


class TwoStores(WithCloud):
    def setUp(self):
        self.start(protected_limit=5)
        self.nas = harness.temp_dir("hf-nas-") / "backups"
        self.toml = harness.temp_dir("hf-toml-") / "holdfast.toml"
        self.toml.write_text(f"[store.nas]\ndir = '{self.nas}'\n")
        self.both = {"HOLDFAST_CONFIG": str(self.toml)}

    def test_a_store_that_cannot_be_written_harms_no_other(self):
        for bad, good in ((self.nas, self.cloud.folder), (self.cloud.folder, self.nas)):
            bad.write_text("a file where the folder should be")
            branch = self.legs("--type", "branch", expect=3, **self.both)["branch"]
            self.assertEqual({"ok", "failed"}, {store["status"] for store in branch["stores"]})
            self.assertTrue(branch["proof"]["ok"])
            self.assertIn("recorded elsewhere", branch["error"])
            self.assertEqual([], error_problems(self.result, (3,)), str(self.result))
            self.assertEqual(self.cloud.marked(), self.cloud.records(good))
            bad.unlink()
            for entry in good.iterdir():
                entry.unlink()
            good.rmdir()
            self.cloud.project.branches = {i: b for i, b in self.cloud.project.branches.items() if b.name == "main"}

    def test_no_store_at_all(self):
        self.nas.write_text("a file")
        self.cloud.folder.write_text("a file")
        self.failed(*BRANCH, codes=(1, 2), **self.both)
        self.assertEqual(set(), self.cloud.marked(), "a branch that no store can tell of")
        self.nas.unlink()
        self.cloud.folder.unlink()
        self.cloud.run(*BRANCH, **self.both)
        self.assertEqual(self.cloud.records(), self.cloud.records(self.nas))
        self.assertEqual([], self.cloud.problems())


if __name__ == "__main__":
    harness.main()
