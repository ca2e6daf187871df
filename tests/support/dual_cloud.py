"""A cloud with a real PostgreSQL behind it, a folder for the records, and what must agree between the two.

For the tests of backups that are branches (test_dual_faults.py, test_dual_prune_faults.py).

    cloud = DualCloud(server)                 # a harness.Server with the database "care"
    cloud.run("backup", "--type", "branch")
    cloud.problems()                          # what is wrong with records and branches, in words
    cloud.close()
"""

import os
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import harness
from fake_neon import FakeNeon
from fake_neon_project import Branch
from neon_cli import openapi

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
AT_ONCE = 12  # runs: much of their time is waiting between attempts
RECORD = ".branch.json"
SAMPLE = """
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO clients SELECT n, 'client ' || n FROM generate_series(1, 300) n;
CREATE TABLE visits (id int PRIMARY KEY, client int REFERENCES clients);
INSERT INTO visits SELECT n, n % 300 + 1 FROM generate_series(1, 500) n;
"""

# What passes: the command does what it should.
PASSING = (("423", {}), ("429", {"retry_after": 0}), ("503", {}), ("reset", {}), ("lost", {}), ("cut", {}),
           ("502", {}), ("504", {}), ("502-after", {}), ("504-after", {}), ("slow", {}),
           ("late", {"after": 1}), ("late", {"after": 4}))
# What does not: the command may fail.
LASTING = (("500", {}), ("403", {}), ("garbage", {}), ("failed", {}))


def start_server() -> harness.Server:
    """For a module's setUpModule: skips it where the API's description cannot be had."""
    try:
        openapi()
        server = harness.Server()
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None
    server.createdb("care")
    server.psql(SAMPLE, db="care")
    return server


def name_of(at: datetime) -> str:
    return f"backup-{at.astimezone(timezone.utc):%Y-%m-%dT%H-%M-%S}-{at.microsecond // 1000:03d}Z"


class DualCloud:
    """more: of FakeNeon. folder: of the records; a new one unless said."""

    def __init__(self, server: harness.Server, folder: Path | None = None, **more):
        self.fake = FakeNeon(postgres=server, database="care", **{"looks": 1, **more})
        self.project, self.fail = self.fake.project, self.fake.fail
        self.server = server
        self.folder = folder or harness.temp_dir("hf-dual-faults-") / "backups"

    def env(self, **more) -> dict:
        return self.fake.env(**{"DATABASE_URL": self.server.url("care"), "BACKUP_DIR": str(self.folder), **more})

    def run(self, *args, expect: int | None = 0, **more):
        return harness.holdfast(*args, env=self.env(**more), check=False, expect=expect, timeout=600)

    def close(self) -> None:
        self.fake.close()

    def marked(self) -> set[str]:
        """The names of the branches that are backups."""
        return {b.name for b in self.project.branches.values() if b.annotation.get("holdfast") == "backup"}

    def records(self, folder: Path | None = None) -> set[str]:
        folder = folder or self.folder
        found = folder.iterdir() if folder.is_dir() else ()
        return {path.name.removesuffix(RECORD) for path in found if path.name.endswith(RECORD)}

    def computes(self) -> set[str]:
        """The branches, besides the live one, that have a compute."""
        return {self.project.branches[e["branch_id"]].name for e in self.project.endpoints.values()} - {"main"}

    def problems(self) -> list[str]:
        found = []
        if strays := self.marked() - self.records():
            found.append(f"branches that no record tells of: {strays}")
        if ghosts := self.records() - self.marked():
            found.append(f"records of no branch: {ghosts}")
        if running := self.computes():
            found.append(f"computes left over on {running}")
        if claims := [path.name for path in self.folder.glob("*.claim")]:
            found.append(f"claims left over: {claims}")
        return found

    def add_backup(self, age: timedelta, **fields) -> Branch:
        """A branch as an earlier run made it: the next run takes it up."""
        at = datetime.now(timezone.utc) - age
        branch = self.project.add_branch(name_of(at), **{
            "protected": True, "parent_timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "parent_lsn": "0/2000000", **fields})
        branch.annotation = {"holdfast": "backup", "holdfast-database": "care", "holdfast-source": "care"}
        return branch

    def story(self) -> str:
        lines = [f"  {e.method} {e.path} {e.status} {e.fault or ''}" for e in self.fake.exchanges]
        return "\n".join([*lines, f"branches {self.project.view()}", f"records {sorted(self.records())}"])


class FaultyRun:
    """What came of a run with one fault: `what` it was, whether it `happened`, and what was `found` wrong."""

    def __init__(self, what: tuple, cloud: DualCloud):
        self.what, self.cloud = what, cloud
        self.happened, self.found, self.result = False, [], None

    def __str__(self):
        return "\n".join([str(self.what), *self.found, str(self.result), self.cloud.story()])

    def end(self) -> None:
        self.found += self.cloud.fake.problems
        self.cloud.fake.problems = []
        self.cloud.close()


def assert_swept(case: unittest.TestCase, make, jobs) -> None:
    """A FaultyRun for each job, side by side; none may have found anything, and each must have met its fault."""
    runs = side_by_side(make, jobs)
    for run in runs:
        if run.found:
            with case.subTest(run.what):
                case.fail(str(run))
    case.assertEqual(len(jobs), sum(run.happened for run in runs), "a fault was not met")


def error_problems(result, codes=(1,)) -> list[str]:
    """What is wrong with how a failure is told: one error, one hint."""
    lines = result.err.splitlines()
    found = [f"{count} lines begin with {word}" for word in ("error:", "hint:")
             if (count := sum(line.startswith(word) for line in lines)) != 1]
    return found + ([] if result.code in codes else [f"exit code {result.code}, not one of {codes}"])


def side_by_side(work, jobs) -> list:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda job: work(*job), jobs))


def sampled(exchanges, per_read: int) -> list[tuple]:
    """(kind, number of the request, more): every kind at every mutation, and some at every read; in long
    runs all of them everywhere."""
    kinds, jobs = PASSING + LASTING, []
    for number, exchange in enumerate(exchanges, 1):
        some = [kinds[(number * (per_read + 4) + i) % len(kinds)] for i in range(per_read)]
        chosen = kinds if LONG or exchange.method != "GET" else some
        jobs += [(kind, number, more) for kind, more in chosen]
    return jobs
