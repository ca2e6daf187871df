"""holdfast branch against a cloud in which everything goes wrong that can (fake_neon.py).

Every command meets every kind of failure at every one of its requests. Whatever happens: a command that says it
did it has done it, once; one that did not says one error with a way on; nothing is made twice; what was there
before a restore is still there; no secret is shown; every request is as the API's OpenAPI file says.

By default each request meets some of the kinds and each mutation all of them; HOLDFAST_TEST_LONG=1 leaves none out.
"""

import os
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from fake_neon import ALWAYS, FakeNeon  # noqa: E402
from fake_neon_project import now, time_text  # noqa: E402
from neon_cli import openapi  # noqa: E402

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
AT_ONCE = 16  # runs: nearly all of their time is waiting between attempts
PER_READ = 2  # kinds that a read meets by default

# What passes: the command does what it should.
PASSING = (("423", {}), ("429", {"retry_after": 0}), ("503", {}), ("reset", {}), ("lost", {}), ("cut", {}),
           ("502", {}), ("504", {}), ("502-after", {}), ("504-after", {}), ("slow", {}),
           ("late", {"after": 1}), ("late", {"after": 4}), ("late", {"after": 6}))
# What does not: the command may fail.
LASTING = (("500", {}), ("403", {}), ("garbage", {}), ("failed", {}))
AT = time_text(now() - timedelta(hours=1))


def setUpModule():
    try:
        openapi()
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


def with_dev(compute):
    return lambda project: project.add_branch("dev", compute)


def with_family(project):
    """dev has a child, so that a restore has to move it."""
    project.add_branch("dev", "active")
    project.add_branch("child", parent="dev")


# name: (arguments of `holdfast branch`, what is there before, which branches are there afterwards)
COMMANDS = {
    "list": (["list"], with_family, "main dev child"),
    "window": (["window"], with_dev(None), "main dev"),
    "show": (["show", "dev"], with_dev("idle"), "main dev"),
    "create": (["create", "care"], with_dev(None), "main dev care"),
    "create at": (["create", "care", "--at", AT, "--parent", "dev", "--no-compute"], with_dev("active"),
                  "main dev care"),
    "restore main": (["restore", "main", "--at", AT, "--confirm", "main", "--preserve-under-name", "kept"],
                     with_dev("active"), "main dev kept"),
    "restore child": (["restore", "dev", "--from", "main", "--preserve-under-name", "kept"], with_family,
                      "main dev child kept"),
    "rename": (["rename", "dev", "test"], with_dev(None), "main test"),
    "delete": (["delete", "dev"], with_dev("active"), "main"),
    "start": (["start", "dev"], with_dev("idle"), "main dev"),
    "start without compute": (["start", "dev"], with_dev(None), "main dev"),
    "suspend": (["suspend", "dev"], with_dev("active"), "main dev"),
}
DESTRUCTIVE = ("delete",)  # the others lose no state


class Run:
    """One command against a cloud of its own. faults: (kind, number of the request, more) each."""

    def __init__(self, command: str, *faults):
        self.args, prepare, names = COMMANDS[command]
        self.names = set(names.split())
        self.command, self.faults = command, faults
        fake = FakeNeon(looks=1)
        prepare(fake.project)
        self.before, states = fake.project.view(), fake.project.states()
        self.met = [fake.fail(kind, first=number, **more) for kind, number, more in faults]
        self.result = harness.holdfast("branch", *self.args, env=fake.env(), check=False)
        with fake.lock:
            self.at_end = fake.project.view()
            self.running = [o.fields["action"] for o in fake.project.operations if not o.ended]
        fake.settle()
        self.after = fake.project.view()
        self.lost_states = states - fake.project.states()
        self.exchanges, self.problems = fake.exchanges, fake.problems
        fake.problems = []
        fake.close()

    @property
    def happened(self) -> bool:
        return all(fault.happened for fault in self.met)

    def __str__(self):
        story = "\n".join(f"  {e.method} {e.path} {e.status} {e.fault or ''}" for e in self.exchanges)
        return f"{self.command} {self.faults}\n{story}\n{self.result}\nbefore {self.before}\nafter {self.after}"


def error_problems(result) -> list[str]:
    lines = result.err.splitlines()
    found = []
    for word, number in (("error:", 1), ("hint:", 1)):
        if (count := sum(line.startswith(word) for line in lines)) != number:
            found.append(f"{count} lines begin with {word}")
    if result.code != 1:
        found.append(f"exit code {result.code}, not 1")
    return found


def problems_of(run: Run, clean: Run) -> list[str]:
    """What is wrong with a run in which something failed, beside one in which nothing did."""
    found = list(run.problems)
    kinds = {kind for kind, *_ in run.faults}
    if run.lost_states and run.command not in DESTRUCTIVE:
        found.append(f"lost states: {run.lost_states}")
    for name, branch in run.after.items():
        if sum(kind == "read_write" for kind, _ in branch["computes"]) > 1:
            found.append(f"{name} has two computes")
    if strange := run.after.keys() - run.before.keys() - clean.after.keys():
        found.append(f"strange branches: {strange}")
    if run.result.code == 0:
        if run.after.keys() != run.names:
            found.append(f"these are not the branches {run.names}")
        if run.after != clean.after:
            found.append(f"it says that it did it, but this is not {clean.after}")
        if (run.running or run.at_end != run.after) and "late" not in kinds:
            found.append(f"it says that it did it while it is still being done: {run.running}")
        return found
    found += error_problems(run.result)
    if kinds <= {kind for kind, _ in PASSING}:
        found.append("this should have been survived")
    if kinds <= {"500", "403"} and run.after not in (run.before, clean.after):
        found.append("half done")
    return found


def run_all(case: unittest.TestCase, jobs: list[tuple]) -> int:
    """jobs: (command, faults…). Returns how many met their faults."""
    clean = {name: Run(name) for name in {name for name, *_ in jobs}}
    for run in clean.values():
        case.assertEqual(([], 0), (problems_of(run, run), run.result.code), str(run))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(lambda job: Run(*job), jobs))
    for run in runs:
        if problems := problems_of(run, clean[run.command]):
            with case.subTest(run.command, faults=run.faults):
                case.fail("\n".join([*problems, str(run)]))
    return sum(run.happened for run in runs)


class Sweep(unittest.TestCase):
    def jobs_of(self, command: str) -> list[tuple]:
        kinds = PASSING + LASTING
        jobs = []
        for number, exchange in enumerate(Run(command).exchanges, 1):
            some = [kinds[(number * PER_READ + i) % len(kinds)] for i in range(PER_READ)]
            chosen = kinds if LONG or exchange.method != "GET" else some
            jobs += [(command, (kind, number, more)) for kind, more in chosen]
        return jobs

    def test_every_request_may_fail_once(self):
        jobs = [job for command in COMMANDS for job in self.jobs_of(command)]
        self.assertGreater(len(jobs), 200)
        self.assertEqual(len(jobs), run_all(self, jobs), "a fault was not met")

    def test_a_second_failure_while_it_finds_out(self):
        """The answer to the mutation is lost, and then one of the requests that look what became of it."""
        jobs = []
        for command in ("create", "restore main", "restore child", "start without compute"):
            mutation = next(n for n, e in enumerate(Run(command).exchanges, 1) if e.method == "POST")
            seconds = [(kind, more) for kind, more in PASSING if kind != "late"] + [("late", {"after": 1})]
            for first in (("lost", {}), ("reset", {}), ("late", {"after": 2})):
                for later in range(1, 7 if LONG else 5):
                    chosen = seconds if LONG else [seconds[(3 * later + len(jobs)) % len(seconds)]]
                    jobs += [(command, (first[0], mutation, first[1]), (kind, mutation + later, more))
                             for kind, more in chosen]
        self.assertEqual(len(jobs), run_all(self, jobs), "a fault was not met")

    def test_the_sweep_sees_what_it_is_there_for(self):
        """A cloud that makes what it is asked for twice, or loses the old state, is found out."""
        clean = Run("create")
        for spoil in (lambda run: run.after.update(other=run.after["care"]),
                      lambda run: run.after["care"]["computes"].append(("read_write", "active")),
                      lambda run: run.lost_states.add("main's"),
                      lambda run: run.problems.append("POST /x: no such operation"),
                      lambda run: run.after.pop("care")):
            run = Run("create", ("lost", 1, {}))
            self.assertEqual([], problems_of(run, clean))
            spoil(run)
            self.assertNotEqual([], problems_of(run, clean))


class WithFake(unittest.TestCase):
    def start(self, **more) -> FakeNeon:
        self.fake = FakeNeon(**more)
        self.addCleanup(self.fake.close)
        self.view = self.fake.project.view
        return self.fake

    def setUp(self):
        self.start()

    def branch(self, *args, expect: int = 0, **more):
        return harness.holdfast("branch", *args, env=self.fake.env(), expect=expect, **more)

    def refused(self, *args, code: int = 1, words=(), **more):
        """One error with these words, one hint, and nothing has changed."""
        before = self.view()
        result = self.branch(*args, expect=code, **more)
        lines = result.err.splitlines()
        for word in ("error:", "hint:"):
            self.assertEqual(1, sum(line.startswith(word) for line in lines), str(result))
        for word in words:
            self.assertIn(word, result.err)
        self.assertEqual(before, self.view())
        return result

    def restore(self, **more):
        return self.branch("restore", "main", "--at", AT, "--confirm", "main", "--preserve-under-name", "kept",
                           **more)


class Storms(WithFake):
    """What is said again and again passes in the end, or is told."""

    def test_423_at_every_mutation(self):
        self.fake.project.add_branch("dev", "active")
        for op in ("createProjectBranch", "restoreProjectBranch", "updateProjectBranch", "suspendProjectEndpoint",
                   "startProjectEndpoint", "deleteProjectBranch"):
            self.fake.fail("423", op=op, count=3)
        said = self.branch("create", "care")
        self.assertEqual(1, said.err.count("another operation is running"), said.err)
        self.restore()
        for args in (["rename", "dev", "test"], ["suspend", "test"], ["start", "test"], ["delete", "test"]):
            self.branch(*args)
        self.assertEqual({"main", "kept", "care"}, self.view().keys())

    def test_429_waits_as_long_as_it_is_told(self):
        self.fake.fail("429", op="createProjectBranch", count=2, retry_after=1)
        self.assertGreater(self.branch("create", "care").seconds, 2)

    def test_429_for_an_hour_is_told(self):
        self.fake.fail("429", count=ALWAYS, retry_after=3600)
        self.refused("create", "care", words=["rate limit", "try again in a minute"])

    def test_503_and_resets_in_turns(self):
        for first in range(1, 9, 2):
            self.fake.fail("503", first=first)
            self.fake.fail("reset", first=first + 1)
        self.branch("create", "care")
        self.assertEqual([("read_write", "active")], self.view()["care"]["computes"])

    def test_a_mutation_that_is_never_answered_nor_done(self):
        for op, args in (("createProjectBranch", ["create", "care"]),
                         ("restoreProjectBranch", ["restore", "main", "--at", AT, "--confirm", "main"])):
            self.start().fail("reset", op=op, count=ALWAYS)
            self.refused(*args, words=["does not answer, and nothing came of it", "try again later"])

    def test_a_mutation_that_is_never_answered_but_done(self):
        for kind in ("lost", "504-after", "cut"):
            self.start().fail(kind, op="createProjectBranch", count=ALWAYS)
            self.fake.fail(kind, op="restoreProjectBranch", count=ALWAYS)
            self.branch("create", "care")
            self.restore()
            view = self.view()
            self.assertEqual(("main's", f"main's@{AT}"), (view["kept"]["state"], view["main"]["state"]))
            self.assertEqual(2, len(self.fake.requests("POST")))

    @unittest.skipUnless(LONG, "in long runs only: it takes minutes")
    def test_423_for_ever(self):
        self.fake.fail("423", count=ALWAYS)
        self.refused("create", "care", code=6, words=["running operations", "wait for its end"], timeout=900)

    @unittest.skipUnless(LONG, "in long runs only: it takes a minute")
    def test_a_server_that_stalls(self):
        self.fake.fail("stall", op="createProjectBranch")
        self.branch("create", "care", timeout=300)


class Rivals(WithFake):
    """Somebody else does the same at the same moment."""

    def test_a_branch_of_that_name_is_not_taken_for_ours(self):
        for kind in ("reset", "503"):
            fake = self.start()
            fake.fail(kind, op="createProjectBranch", then=lambda: fake.project.add_branch("care"))
            result = self.branch("create", "care", expect=1)
            self.assertRegex(result.err, "already exists|not known to be ours")
            self.assertIn("hint:", result.err)
            self.assertEqual("care's", self.view()["care"]["state"])

    def test_a_branch_under_the_name_for_the_old_state(self):
        self.fake.project.add_branch("kept")
        self.refused("restore", "main", "--at", AT, "--confirm", "main", "--preserve-under-name", "kept",
                     words=["already exists", "choose another --preserve-under-name"])
        self.assertEqual([], self.fake.requests("POST"))

    def test_a_branch_that_goes_while_it_is_looked_at(self):
        self.fake.project.add_branch("dev")
        id = self.fake.project.called("dev").id
        self.fake.fail("504", op="deleteProjectBranch", then=lambda: self.fake.project.branches.pop(id))
        self.branch("delete", "dev")


class Limits(WithFake):
    def test_branches(self):
        self.start(branches_limit=1)
        self.refused("create", "care", words=["BRANCHES_LIMIT_EXCEEDED", "delete branches"])
        self.refused("restore", "main", "--at", AT, "--confirm", "main", words=["BRANCHES_LIMIT_EXCEEDED"])

    def test_roots(self):
        self.start(roots_limit=1)
        self.refused("restore", "main", "--at", AT, "--confirm", "main",
                     words=["ROOT_BRANCHES_LIMIT_EXCEEDED", "kept old states"])
        self.assertEqual("main's", self.view()["main"]["state"])

    def test_protected_branches(self):
        self.start(protected_limit=0)
        self.refused("create", "care", "--protected", words=["BRANCHES_PROTECTED_LIMIT_EXCEEDED", "--protected"])

    def test_outside_the_window(self):
        shown = self.branch("window", "--json").json()
        self.assertEqual(6 * 3600, shown["retention_seconds"])
        for point in (["--at", time_text(now() - timedelta(hours=7))], ["--lsn", "0/1"],
                      ["--at", time_text(now() + timedelta(hours=1))]):
            for args in (["create", "care", *point], ["restore", "main", *point, "--confirm", "main"]):
                self.refused(*args, code=2, words=["holdfast branch window"])

    def test_what_cannot_be_deleted(self):
        self.fake.project.add_branch("safe", protected=True)
        self.fake.project.add_branch("parent")
        self.fake.project.add_branch("child", parent="parent")
        self.refused("delete", "safe", code=2, words=["protected", "take the protection off"])
        self.refused("delete", "parent", code=2, words=["children", "were made from it first"])
        self.refused("delete", "main", "--confirm", "main", code=2, words=["default branch"])

    def test_a_key_that_is_none(self):
        self.fake.key = "napi_" + harness.random_secret()
        env = self.fake.env(NEON_API_KEY="napi_" + harness.random_secret())
        result = harness.holdfast("branch", "list", env=env, expect=1)
        self.assertIn("does not accept the key", result.err)


class Operations(WithFake):
    def test_slow_ones_are_waited_for(self):
        self.fake.fail("slow", op="createProjectBranch", looks=2)
        self.branch("create", "care")
        self.assertEqual([("read_write", "active")], self.view()["care"]["computes"])

    def test_failed_ones_are_told_in_their_words(self):
        for op, args in (("createProjectBranch", ["create", "care"]), ("restoreProjectBranch", [
                "restore", "main", "--at", AT, "--confirm", "main", "--preserve-under-name", "kept"])):
            self.start(looks=1).fail("failed", op=op, error="the pageserver is full")
            result = self.branch(*args, expect=1)
            self.assertRegex(result.err, "failed: the pageserver is full")
            self.assertIn("hint:", result.err)
        self.assertEqual("main's", self.view()["kept"]["state"], "whatever failed, the old state is there")

    def test_what_another_does_is_waited_for(self):
        """A rival's operation runs on the project: a 423 until it ends."""
        self.start(looks=3).project.schedule(("apply_config", self.fake.project.default().id, None, None))
        self.branch("create", "care", "--no-compute")
        self.assertEqual([201], [e.status for e in self.fake.exchanges if e.method == "POST"][-1:])


if __name__ == "__main__":
    harness.main()
