"""The stock `neon` command line and `holdfast branch`, side by side: the same intent makes the same requests.

Both act on a fake of Neon's cloud (fake_neon.py) in the same state, with the same ids. All mutations have to agree
in method, path, parameters and the meaning of their bodies, and in what comes of them; reads may differ in number and
order, but where both ask for the same thing they ask in the same place. Where the two differ on purpose is listed
below, with the reason, and nothing is listed that no intent needs. Setting an expiry or the default branch has no
command in holdfast.

By default the older command line shows a part of this; HOLDFAST_TEST_LONG=1 lets it show all.
"""

import os
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from fake_neon import FakeNeon  # noqa: E402
from fake_neon_project import now, parse_lsn, parse_time, time_text  # noqa: E402
from neon_cli import CLIS, NeonCli, openapi  # noqa: E402

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
OLDER_OFTEN = ("create", "create at a time", "restore to a time", "delete", "connection string")
AT_ONCE = 4
TIMES = ("parent_timestamp", "source_timestamp", "expires_at")
LSNS = ("parent_lsn", "source_lsn")

# (operation, property of the body): what one of the two sends and the other does not.
HOLDFASTS_OWN = {
    ("createProjectBranch", "annotation_value"):
        "a word of its own, by which it knows its branch when the answer was lost",
    ("restoreProjectBranch", "preserve_under_name"):
        "no restore without a way back: where the API would let the old state go, it is kept too",
}
STOCKS_OWN = {
    ("createProjectEndpoint", "endpoint.name"):
        "its argument for the branch ends up as the compute's name, which nobody asked for",
}
# The API's own defaults: said or not, they mean the same.
DEFAULTS = {("createProjectBranch", "branch.protected"): False, ("createProjectBranch", "branch.archived"): False,
            ("createProjectBranch", "branch.init_source"): "parent-data"}

SECRET = harness.random_secret()
AT = time_text(now().replace(microsecond=0) - timedelta(hours=1)).replace(".000", "")
EXPIRY = time_text(now().replace(microsecond=0) + timedelta(days=2)).replace(".000", "")
LSN = "0/2ABCDEF"


def setUpModule():
    try:
        openapi()
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


@dataclass
class Intent:
    """stock, ours: the arguments; ours is behind `holdfast branch`, unless it begins with psql. mutates: how many
    mutations there are. same_end: whether the project looks the same afterwards."""

    stock: list
    ours: list
    mutates: int = 1
    same_end: bool = True


INTENTS = {
    "list": Intent(["branches", "list"], ["list"], 0),
    "get by name": Intent(["branches", "get", "dev"], ["show", "dev"], 0),
    "get by id": Intent(["branches", "get", "DEV"], ["show", "DEV"], 0),
    "window": Intent(["projects", "get", "PROJECT"], ["window"], 0),
    "create": Intent(["branches", "create", "--name", "care"], ["create", "care"]),
    "create without compute": Intent(["branches", "create", "--name", "care", "--no-compute"],
                                     ["create", "care", "--no-compute"]),
    "create from another, by name": Intent(["branches", "create", "--name", "care", "--parent", "dev"],
                                           ["create", "care", "--parent", "dev"]),
    "create from another, by id": Intent(["branches", "create", "--name", "care", "--parent", "DEV"],
                                         ["create", "care", "--parent", "DEV"]),
    "create at a time": Intent(["branches", "create", "--name", "care", "--parent", AT],
                               ["create", "care", "--at", AT]),
    "create at an LSN": Intent(["branches", "create", "--name", "care", "--parent", LSN],
                               ["create", "care", "--lsn", LSN]),
    "create until": Intent(["branches", "create", "--name", "care", "--expires-at", EXPIRY],
                           ["create", "care", "--expires-at", EXPIRY]),
    "create protected": Intent(["branches", "create", "--name", "care", "--protected", "--no-compute"],
                               ["create", "care", "--protected", "--no-compute"]),
    "rename": Intent(["branches", "rename", "dev", "test"], ["rename", "dev", "test"]),
    "delete": Intent(["branches", "delete", "dev"], ["delete", "dev"]),
    "restore to a time": Intent(
        ["branches", "restore", "main", f"^self@{AT}", "--preserve-under-name", "kept"],
        ["restore", "main", "--at", AT, "--confirm", "main", "--preserve-under-name", "kept"]),
    "restore to an LSN": Intent(
        ["branches", "restore", "dev", f"^self@{LSN}", "--preserve-under-name", "kept"],
        ["restore", "dev", "--lsn", LSN, "--preserve-under-name", "kept"]),
    "restore from another": Intent(
        ["branches", "restore", "dev", "main", "--preserve-under-name", "kept"],
        ["restore", "dev", "--from", "main", "--preserve-under-name", "kept"]),
    "restore from another at a time": Intent(
        ["branches", "restore", "dev", f"main@{AT}", "--preserve-under-name", "kept"],
        ["restore", "dev", "--from", "main", "--at", AT, "--preserve-under-name", "kept"]),
    "restore and keep nothing": Intent(["branches", "restore", "dev", "main"], ["restore", "dev", "--from", "main"],
                                       same_end=False),
    "give a compute": Intent(["branches", "add-compute", "bare", "--type", "read_write"], ["start", "bare"]),
    "connection string": Intent(["connection-string", "dev"], ["url", "dev"], 0),
    "psql": Intent(["psql", "dev", "--", "-c", "SELECT 1"], ["psql", "dev", "--", "-c", "SELECT 1"], 0),
}


class Side:
    """One of the two and its cloud: `fake`, `out`, and what was asked."""

    def __init__(self, act, arguments: list):
        self.fake = FakeNeon(roles={"neondb_owner": SECRET})
        project = self.fake.project
        dev = project.add_branch("dev", "active")
        project.add_branch("bare")
        names = {"DEV": dev.id, "PROJECT": project.id}
        self.out = act(self.fake, [names.get(a, a) for a in arguments])
        self.end = project.view()
        self.default_id = project.default().id
        self.fake.close()
        self.reads: dict[str, set[str]] = {}  # operationId → paths
        self.mutations: list[tuple] = []  # (method, path, parameters, operationId, meaning of the body)
        for exchange in self.fake.exchanges:
            if (operation := self.fake.openapi.operation(exchange.method, exchange.path)) is None:
                continue  # holdfast's question whether this is its engine; FakeNeon lets nothing else pass
            if exchange.method == "GET":
                self.reads.setdefault(operation.id, set()).add(exchange.path)
            else:
                self.mutations.append((exchange.method, exchange.path, exchange.query, operation.id,
                                       self.meaning(operation.id, exchange.json)))

    def meaning(self, operation: str, body) -> dict:
        """Property → value: flat, without what is empty or the API's default, points as what they say."""
        flat = {}

        def walk(value, where: str) -> None:
            if isinstance(value, dict):
                for name, inner in value.items():
                    walk(inner, f"{where}.{name}" if where and where != "annotation_value" else
                         where or name)
            elif isinstance(value, list):
                for number, inner in enumerate(value):
                    walk(inner, f"{where}[{number}]")
            elif value is not None and DEFAULTS.get((operation, where)) != value:
                name = where.rpartition(".")[2]
                flat[where] = (parse_time(value) if name in TIMES else parse_lsn(value) if name in LSNS
                               else value)

        walk(body, "")
        if operation == "createProjectBranch":  # "if omitted, the branch is created from the default one"
            flat.setdefault("branch.parent_id", self.default_id)
        return flat


def stub_psql() -> Path:
    """A folder with a psql that does nothing: what is asked of the API is all that matters here."""
    folder = harness.temp_dir()
    for name in ("psql", "pg_dump", "pg_restore"):  # by the latter holdfast knows the folder
        path = folder / name
        path.write_text(f"#!/bin/sh\ncase $1 in --version) echo '{name} (PostgreSQL) 15.4';; esac\n")
        path.chmod(0o755)
    return folder


class Differential(unittest.TestCase):
    def setUp(self):
        self.bindir = stub_psql()
        self.used: set[tuple] = set()

    def stock(self, which: str):
        path = f"{self.bindir}:{os.environ['PATH']}"

        def act(fake, arguments):
            output = "table" if "connection-string" in arguments else "json"
            return NeonCli(which, fake.url, fake.key, fake.project.id)(*arguments, output=output, path=path).out
        return act

    def ours(self, fake, arguments):
        if arguments[0] == "url":  # shows a password, as it should
            shown = subprocess.run([harness.holdfast_bin(), "branch", *arguments], capture_output=True, text=True,
                                   env={"PATH": os.environ["PATH"], "HOME": str(harness.home()), **fake.env()})
            self.assertEqual(0, shown.returncode)
            return shown.stdout
        before = [] if arguments[0] == "psql" else ["branch"]
        return harness.holdfast(*before, *arguments, env=fake.env(HOLDFAST_PG_BINDIR=self.bindir)).out

    def strip(self, operation: str, theirs: dict, other: dict, own: dict) -> dict:
        """Without what only this side says, where it is listed."""
        kept = dict(theirs)
        for (of, name) in own:
            if of == operation and name in kept and name not in other:
                del kept[name]
                self.used.add((of, name))
        return kept

    def compare(self, intent: Intent, stock: Side, ours: Side) -> None:
        for side, who in ((stock, "neon"), (ours, "holdfast")):
            self.assertEqual(intent.mutates, len(side.mutations), f"{who}: {side.fake.requests()}")
        for theirs, mine in zip(stock.mutations, ours.mutations):
            self.assertEqual(theirs[:4], mine[:4])
            operation = mine[3]
            self.assertEqual(self.strip(operation, theirs[4], mine[4], STOCKS_OWN),
                             self.strip(operation, mine[4], theirs[4], HOLDFASTS_OWN))
        for operation in stock.reads.keys() & ours.reads.keys():
            a, b = stock.reads[operation], ours.reads[operation]
            self.assertTrue(a <= b or b <= a, f"{operation}: neon asks {a}, holdfast {b}")
        if intent.same_end:
            self.assertEqual(stock.end, ours.end)

    def run_side(self, which: str | None, intent: Intent) -> Side:
        return Side(self.stock(which), intent.stock) if which else Side(self.ours, intent.ours)

    def test_the_same_intent_makes_the_same_requests(self):
        jobs = [(which, name) for which in (None, *CLIS) for name in INTENTS
                if which != "older" or LONG or name in OLDER_OFTEN]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sides = dict(zip(jobs, pool.map(lambda job: self.run_side(job[0], INTENTS[job[1]]), jobs)))
        for which, name in jobs:
            if which:
                with self.subTest(name, which=which):
                    stock, ours = sides[which, name], sides[None, name]
                    self.compare(INTENTS[name], stock, ours)
                    if name == "connection string":
                        self.assertEqual(*(urlsplit(side.out.strip())[1:3] for side in (stock, ours)))
        self.assertEqual(HOLDFASTS_OWN.keys() | STOCKS_OWN.keys(), self.used, "a listed difference is none")

    def test_differences_are_found(self):
        intent = INTENTS["create from another, by name"]  # both have to look for the name
        stock, ours = (self.run_side(which, intent) for which in ("newest", None))
        (method, path, query, operation, meaning), = ours.mutations
        right = ours.mutations
        self.compare(intent, stock, ours)
        for wrong in ((method, path, query, operation, meaning | {"branch.parent_timestamp": now()}),
                      (method, path, query, operation, meaning | {"branch.protected": True}),
                      (method, path, query, operation, {n: v for n, v in meaning.items() if n != "branch.name"}),
                      (method, path + "/x", query, operation, meaning), ("PATCH", path, query, operation, meaning),
                      (method, path, [("limit", "1")], operation, meaning)):
            ours.mutations = [wrong]
            self.assertRaises(AssertionError, self.compare, intent, stock, ours)
        ours.mutations = right * 2
        self.assertRaises(AssertionError, self.compare, intent, stock, ours)
        ours.mutations = right
        self.compare(intent, stock, ours)
        self.assertIn("listProjectBranches", stock.reads)
        ours.reads["listProjectBranches"] = {"/projects/other/branches"}
        self.assertRaises(AssertionError, self.compare, intent, stock, ours)


if __name__ == "__main__":
    harness.main()
