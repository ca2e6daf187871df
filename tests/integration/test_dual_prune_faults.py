"""Proving backups that are branches, letting them go, and going back to them, while everything goes wrong that
can (fake_neon.py).

Proof: what cannot be reached is no damage, and the compute is afterwards as it was before.
Retention: records and branches agree after the next prune; what is not only the backup's is left alone with its
reason; a hold in one store keeps it. Restore and promote: the old state is always kept.
"""

import sys
import time
import unittest
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
import test_neon_faults as sweep  # noqa: E402
from dual_cloud import (LONG, PASSING, DualCloud, FaultyRun, assert_swept, error_problems,  # noqa: E402
                        name_of, sampled, start_server)
from fake_neon import FakeNeon  # noqa: E402
from fake_neon_project import now, time_text  # noqa: E402

ONE = {"BRANCH_BACKUPS_MAX": "1", "BACKUP_RETENTION_DAYS": "1"}
server: harness.Server


# So young that both are of one day (UTC): retention by number takes the older one only where no rule of days keeps it.
OLD, OLDER = timedelta(seconds=20), timedelta(seconds=40)


def setUpModule():
    at = now()
    since_midnight = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    time.sleep(max(0, 2 * OLDER.total_seconds() - since_midnight))
    global server
    server = start_server()


def tearDownModule():
    server.close()


def with_two_backups(**more) -> tuple[DualCloud, str, str]:
    """The cloud, the backup that is to go, and the one that is to stay."""
    cloud = DualCloud(server, **more)
    old = cloud.add_backup(OLD).name
    cloud.run("backup", "--type", "branch", "--no-prune", "--verify", "quick")
    new, = cloud.marked() - {old}
    cloud.fake.exchanges.clear()
    return cloud, old, new


class Prune(FaultyRun):
    """A prune with one fault, and a healthy one after it."""

    def __init__(self, kind: str, number: int, more: dict):
        cloud, self.old, self.new = with_two_backups()
        super().__init__((kind, number, more), cloud)
        met = cloud.fail(kind, first=number, **more)
        self.result = cloud.run("prune", expect=None, **ONE)
        cloud.fake.settle()
        self.happened = bool(met.happened)
        self.found = self.problems_of_first(kind)
        healthy = cloud.run("prune", expect=None, **ONE)
        cloud.fake.settle()
        if healthy.code != 0:
            self.found.append(f"the next prune is not well: {healthy}")
        self.found += [f"after the next prune: {problem}" for problem in cloud.problems()]
        if cloud.marked() != {self.new}:
            self.found.append(f"two prunes left {cloud.marked()} of {self.old} and {self.new}")
        self.end()

    def problems_of_first(self, kind: str) -> list[str]:
        cloud = self.cloud
        if self.new not in cloud.marked() & cloud.records():
            return ["the newest went"]
        if self.result.code == 0:
            return cloud.problems() + (["the old one is still there"] if self.old in cloud.marked() else [])
        found = error_problems(self.result, (3,))
        if kind in {passing for passing, _ in PASSING}:
            found.append("this should have been survived")
        if strays := cloud.marked() - cloud.records():
            found.append(f"branches that no record tells of: {strays}")
        return found


class Retention(unittest.TestCase):
    def test_every_request_may_fail_once(self):
        cloud, _, new = with_two_backups()
        cloud.run("prune", **ONE)
        self.assertEqual({new}, cloud.marked())
        jobs = sampled(cloud.fake.exchanges, 1)
        cloud.close()
        self.assertGreater(len(jobs), 35)
        assert_swept(self, Prune, jobs)

    def start(self) -> tuple[DualCloud, str, str]:
        cloud, old, new = with_two_backups()
        self.addCleanup(cloud.close)
        return cloud, old, new

    def test_what_is_not_only_the_backups_is_left_alone(self):
        def is_default(cloud, branch):
            cloud.project.default().fields["default"] = False
            branch.fields["default"] = True

        def renamed(_, branch):
            branch.fields["name"] = "kept-by-hand"

        def unmarked(_, branch):
            branch.annotation = {}

        def parent(cloud, branch):
            cloud.project.add_branch("child", parent=branch.name)

        for spoil, reason in ((renamed, "renamed to kept-by-hand"), (is_default, "default branch now"),
                              (unmarked, "does not carry the mark"), (parent, "other branches were made from it")):
            with self.subTest(reason):
                cloud, old, new = self.start()
                older = cloud.add_backup(OLDER).name
                cloud.run("backup", "--type", "branch", "--no-prune", "--verify", "quick")
                spoil(cloud, cloud.project.called(old))
                before = {b.id: dict(b.fields) for b in cloud.project.branches.values() if b.name != older}
                result = cloud.run("prune", expect=3, **ONE)
                self.assertIn(reason, result.err)
                self.assertEqual([], error_problems(result, (3,)), str(result))
                self.assertIn(old, cloud.records())
                after = {b.id: dict(b.fields) for b in cloud.project.branches.values()}
                self.assertEqual(set(), {older, new} & {b.name for b in cloud.project.branches.values()},
                                 "it keeps none of the others from going")
                self.assertEqual({i: f for i, f in before.items() if f["name"] != new}, after, "touched")

    def test_another_project_is_left_alone(self):
        cloud, old, new = self.start()
        cloud.project.id = "warm-lake-87654321"
        result = cloud.run("prune", expect=3, **ONE)
        self.assertIn("cold-lake-12345678", result.err)
        self.assertEqual({old, new}, cloud.marked() & cloud.records())

    def test_a_key_that_does_not_see_the_project_tells_nothing_of_its_branches(self):
        cloud, old, new = self.start()
        id, cloud.project.id = cloud.project.id, "warm-lake-87654321"
        for command, code in ((["prune"], 3), (["verify", old], 1)):
            result = cloud.run(*command, expect=code, NEON_PROJECT_ID=id, **ONE)
            self.assertNotIn("gone", result.out + result.err)
        self.assertEqual({old, new}, cloud.records())
        self.assertEqual([], list(cloud.folder.glob("*.claim")))
        cloud.project.id = id
        cloud.run("prune", **ONE)
        self.assertEqual([], cloud.problems())

    def test_a_hold_in_one_of_two_stores_keeps_it(self):
        nas = harness.temp_dir("hf-nas-") / "backups"
        toml = harness.temp_dir("hf-toml-") / "holdfast.toml"
        toml.write_text(f"[store.nas]\ndir = '{nas}'\n")
        both = {"HOLDFAST_CONFIG": str(toml)}
        cloud = DualCloud(server)
        self.addCleanup(cloud.close)
        old = cloud.add_backup(OLD).name
        cloud.run("backup", "--type", "branch", "--no-prune", "--verify", "quick", **both)
        new, = cloud.marked() - {old}
        for where, env in (("nas", {"BACKUP_DIR": str(nas)}), ("local", {})):
            with self.subTest(where):
                cloud.run("hold", old, "--reason", "audit 2026", **env)
                self.assertIn("audit 2026", cloud.run("prune", **both, **ONE).out)
                self.assertEqual({old, new}, cloud.marked())
                if where == "nas":  # a store that cannot be asked may hold it
                    hidden = nas.with_name("hidden")
                    nas.rename(hidden)
                    nas.write_text("a file where the folder should be")
                    cloud.run("prune", expect=3, **both, **ONE)
                    nas.unlink()
                    hidden.rename(nas)
                    self.assertEqual({old, new}, cloud.marked())
                cloud.run("unhold", old, **env)
        cloud.run("prune", **both, **ONE)
        self.assertEqual([{new}] * 3, [cloud.marked(), cloud.records(), cloud.records(nas)])


class Proof(FaultyRun):
    """A proof with one fault. before: the backup's compute."""

    def __init__(self, before: str | None, kind: str, number: int, more: dict):
        cloud, backup, _ = with_two_backups()
        super().__init__((before, kind, number, more), cloud)
        project = cloud.project
        if before:
            project.endpoint_on(project.called(backup), {"type": "read_write"}, before)
        met = [cloud.fail(kind, first=number, **more)] if kind else []
        self.result = cloud.run("verify", backup, expect=None)
        cloud.fake.settle()
        self.happened = all(fault.happened for fault in met)
        computes = [e["current_state"] for e in project.endpoints_of(project.called(backup))]
        if computes != ([before] if before else []):
            self.found.append(f"its compute was {before}, and is {computes}")
        if self.result.code not in (0, 1) or "FAIL" in self.result.out:
            self.found.append(f"exit code {self.result.code}: nothing is wrong with it")
        if self.result.code == 1 and kind in {passing for passing, _ in PASSING}:
            self.found.append("this should have been survived")
        if self.result.code == 1 and "INCONCLUSIVE" not in self.result.out:
            self.found.append("why is not said")
        self.exchanges = list(cloud.fake.exchanges)
        self.end()


class Proofs(unittest.TestCase):
    def test_every_request_may_fail_once(self):
        jobs = []
        for before in (None, "idle", "active"):
            clean = Proof(before, "", 0, {})
            self.assertEqual([], clean.found, str(clean))
            jobs += [(before, *fault) for fault in sampled(clean.exchanges, 1)]
        self.assertGreater(len(jobs), 80)
        assert_swept(self, Proof, jobs)


# --- going back

BACKUP = name_of(now() - timedelta(hours=1))


def with_backup(project):
    branch = project.add_branch(BACKUP, protected=True, parent_lsn="0/2000000",
                                parent_timestamp=time_text(now() - timedelta(hours=1)))
    branch.annotation = {"holdfast": "backup", "holdfast-database": "care"}


def with_children(project):
    with_backup(project)
    project.add_branch("dev", "active")


KEPT = ["--confirm", "main", "--preserve-under-name", "kept"]
COMMANDS = {
    "restore backup": (["restore", BACKUP, *KEPT], with_children, f"main dev kept {BACKUP}"),
    "promote": (["promote", BACKUP, *KEPT], with_backup, f"main kept {BACKUP}"),
}


class Back(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sweep.COMMANDS.update(COMMANDS)

    @classmethod
    def tearDownClass(cls):
        for name in COMMANDS:
            del sweep.COMMANDS[name]

    def start(self, **more) -> FakeNeon:
        fake = FakeNeon(looks=1, **more)
        self.addCleanup(fake.close)
        with_backup(fake.project)
        return fake

    def go(self, fake: FakeNeon, *args, expect: int | None = None):
        return harness.holdfast("branch", *args, env=fake.env(), check=False, expect=expect, timeout=300)

    def test_every_request_may_fail_once(self):
        jobs = [(name, fault) for name in COMMANDS for fault in sampled(sweep.Run(name).exchanges, 1)]
        self.assertGreater(len(jobs), 40)
        self.assertEqual(len(jobs), sweep.run_all(self, jobs), "a fault was not met")

    def test_a_second_failure_while_it_finds_out(self):
        jobs = []
        for name in COMMANDS:
            post = next(n for n, e in enumerate(sweep.Run(name).exchanges, 1) if e.method == "POST")
            seconds = [fault for fault in PASSING if fault[0] != "late"]
            for first in (("lost", {}), ("reset", {}), ("late", {"after": 2})):
                for later in range(1, 7 if LONG else 4):
                    chosen = seconds if LONG else [seconds[(3 * later + len(jobs)) % len(seconds)]]
                    jobs += [(name, (first[0], post, first[1]), (kind, post + later, more))
                             for kind, more in chosen]
        self.assertEqual(len(jobs), sweep.run_all(self, jobs), "a fault was not met")

    def test_423_storms_pass(self):
        for command in ("restore", "promote"):
            fake = self.start()
            fake.fail("423", op="restoreProjectBranch", count=5)
            said = self.go(fake, command, BACKUP, *KEPT, expect=0)
            self.assertEqual(1, said.err.count("another operation is running"), said.err)
            view = fake.project.view()
            self.assertEqual(("main's", f"{BACKUP}'s"), (view["kept"]["state"], view["main"]["state"]))
            self.assertEqual([BACKUP, "kept", "main"], sorted(view))

    def test_a_failed_operation_is_told_and_the_old_state_kept(self):
        for command in ("restore", "promote"):
            fake = self.start()
            fake.fail("failed", op="restoreProjectBranch", error="the pageserver is full")
            said = self.go(fake, command, BACKUP, *KEPT)
            self.assertEqual([], error_problems(said), str(said))
            self.assertIn("the pageserver is full", said.err)
            self.assertEqual("main's", fake.project.view()["kept"]["state"])

    def test_a_window_that_closed_meanwhile(self):
        fake = self.start()
        at = time_text(now() - timedelta(hours=5))
        fake.fail("503", op="restoreProjectBranch", then=lambda: setattr(fake.project, "retention_s", 3600))
        said = self.go(fake, "restore", "main", "--at", at, *KEPT)
        self.assertEqual([], error_problems(said, (1, 2)), str(said))
        self.assertIn("holdfast branch window", said.err)
        self.assertEqual({"main", BACKUP}, fake.project.view().keys())
        before = len(fake.requests("POST"))
        said = self.go(fake, "restore", "main", "--at", at, *KEPT)
        self.assertEqual([], error_problems(said, (2,)), str(said))
        self.assertEqual(before, len(fake.requests("POST")), "known to be closed, it is not asked for")

    def test_a_dry_run_sends_no_mutation(self):
        fake = self.start()
        before = fake.project.view()
        for args in (["restore", BACKUP], ["promote", BACKUP], ["restore", "main", "--from", BACKUP],
                     ["restore", "main", "--at", time_text(now() - timedelta(hours=1))]):
            self.assertIn("stays as", self.go(fake, *args, "--dry-run", expect=0).out)
        self.assertEqual([], fake.requests("POST", "PATCH", "PUT", "DELETE"))
        self.assertEqual(before, fake.project.view())


if __name__ == "__main__":
    harness.main()
