"""The stock Neon command lines, the older and the newest, unmodified, against the engine.

Every command that concerns branches, computes, roles, databases, snapshots, operations and connection strings is
run as a user would, and what it did is looked at with psql. All that goes over the wire, both ways, is held
against the API's OpenAPI file. At the end the requests of the action `create-branch-action` are replayed.
"""

import os
import re
import subprocess
import sys
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from engine import (EngineServer, ManagedSource, lsn, now_on, parse_time, time_text,  # noqa: E402
                    use_tls)

LONG = bool(os.environ.get("HOLDFAST_TEST_LONG"))
# What the older command line does in every run; the rest, which it shares with the newest, in long ones.
OLDER_OFTEN = ("test_create_and_connect", "test_delete", "test_list_and_get", "test_restore_a_branch")
ACTION_PATIENCE_S = 10  # of create-branch-action, for one request

engine = source = None


def setUpModule():
    global engine, source
    source = ManagedSource(settings={"track_commit_timestamp": "on", "max_wal_senders": 20})
    use_tls(source)
    source.psql("CREATE TABLE visits (id int PRIMARY KEY, note text)")
    try:
        engine = EngineServer(source, managed=True, settings={"computes_max": 40}, computes=40)
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


def tearDownModule():
    engine.close()
    source.close()


def psql(uri: str, sql: str, check: bool = True) -> str:
    """Stock psql on a connection string, just as it was printed."""
    done = subprocess.run([source.bindir / "psql", "-X", "-w", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, uri],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"})
    if check and done.returncode != 0:
        raise AssertionError(f"psql: {done.stderr}\n{engine.log_tail()}")
    return done.stdout.strip() if check else done.stderr


class Commands:
    """One command line's tests; subclasses say which."""

    which = ""

    def setUp(self):
        engine.proxy.clear()
        self.cli = engine.cli(self.which)
        self.names: list[str] = []

    def tearDown(self):
        problems = engine.proxy.problems
        for snapshot in engine.api.get("snapshots")["snapshots"]:  # they hold their branches
            engine.settle(engine.api.delete(f"snapshots/{snapshot['id']}"))
        engine.drop_branches()
        self.assertEqual([], problems)

    def name(self, text: str) -> str:
        """A name of this command line's own; the branch goes at the end of the test."""
        self.names.append(f"{self.which}-{text}")
        return self.names[-1]

    def main(self) -> dict:
        return engine.api.branch("main")

    def create(self, text: str, *options) -> dict:
        """`branches create`; the branch, once its operations are done."""
        made = self.cli("branches", "create", "--name", self.name(text), *options).json()
        branch = made.get("branch", made)
        self.settle(branch["id"])
        return branch

    def settle(self, branch_id: str | None = None) -> None:
        """Until no operation (of this branch) is in flight; none may have failed."""
        engine.settle([o for o in engine.api.get("operations", query={"limit": 100})["operations"]
                       if branch_id in (None, o.get("branch_id"))])

    def uri(self, branch: str, *options) -> str:
        return harness.register_secret(self.cli("connection-string", branch, *options).out.strip())

    def insert(self, *ids: int) -> None:
        source.psql(f"INSERT INTO visits SELECT i FROM unnest('{{{','.join(map(str, ids))}}}'::int[]) i"
                    " ON CONFLICT DO NOTHING")

    def moment(self) -> datetime:
        """An instant between two commits that lie well apart, that can be recovered to."""
        time.sleep(0.02)
        instant = now_on(source)
        time.sleep(0.02)
        return instant

    def points(self) -> tuple[str, str, int]:
        """A time and an LSN with the row `n`, before the row `n + 1`; and n."""
        n = int(source.psql("SELECT coalesce(max(id), 0) + 1 FROM visits"))
        self.insert(n)
        where = source.psql("SELECT pg_current_wal_insert_lsn()")
        when = self.moment()
        self.insert(n + 1)
        engine.wait_received()
        engine.wait_caught_up(when)
        return time_text(when), where, n

    def rows_max(self, uri: str) -> int:
        return int(psql(uri, "SELECT max(id) FROM visits"))

    # who and where

    def test_account_and_project(self):
        self.assertIn("email", self.cli("me").json())
        self.assertIsInstance(self.cli("orgs", "list").json(), list)
        listed = self.cli("projects", "list").json()
        projects = listed["projects"] if isinstance(listed, dict) else listed
        self.assertEqual([engine.api.project], [p["id"] for p in projects])
        self.assertEqual(engine.api.project, self.cli("projects", "get", engine.api.project).json()["id"])

    def test_the_only_project_is_found(self):
        project, self.cli.project = self.cli.project, None
        try:
            self.assertIn("main", [b["name"] for b in self.cli("branches", "list").json()])
        finally:
            self.cli.project = project

    def test_wrong_key(self):
        failed = self.cli("branches", "list", check=False, env={"NEON_API_KEY": "wrong-" + "k" * 40})
        self.assertEqual(1, failed.code)
        self.assertIn("Authentication failed", failed.err)

    def test_api_passes_through(self):
        if self.cli("api", "--help", check=False).code != 0:
            self.skipTest("this one has no `api`")
        shown = self.cli("api", f"/projects/{engine.api.project}/branches").json()
        self.assertIn("main", [b["name"] for b in shown["branches"]])

    # branches

    def test_list_and_get(self):
        branch = self.create("listed", "--no-compute")
        listed = self.cli("branches", "list").json()
        self.assertIn(branch["id"], [b["id"] for b in listed])
        table = self.cli("branches", "list", output="table").out
        self.assertIn("[default] main", table)
        self.assertIn(branch["id"], table)
        for ref in (branch["id"], branch["name"]):
            self.assertEqual(branch["id"], self.cli("branches", "get", ref).json()["id"])
        gone = self.cli("branches", "get", "br-no-such-12345678", check=False)
        self.assertEqual(1, gone.code)
        self.assertRegex(gone.err, "(?i)not found")

    def test_create_and_connect(self):
        self.insert(1)
        engine.wait_received()
        made = self.cli("branches", "create", "--name", self.name("made")).json()
        self.assertEqual("read_write", made["endpoints"][0]["type"])
        self.settle(made["branch"]["id"])
        shown = harness.register_secret(made["connection_uris"][0]["connection_uri"])
        uri = self.uri(self.names[-1])
        self.assertIn("sslmode=require&channel_binding=require", uri)
        for each in (shown, uri):
            self.assertGreaterEqual(self.rows_max(each), 1)
            self.assertEqual("t|scram-sha-256", psql(
                each, "SELECT s.ssl, split_part(current_setting('password_encryption'), ',', 1)"
                      " FROM pg_stat_ssl s WHERE pid = pg_backend_pid()"))
        psql(uri, "INSERT INTO visits VALUES (-1)")
        self.assertEqual("0", source.psql("SELECT count(*) FROM visits WHERE id = -1"))
        secretless = self.cli("branches", "create", "--name", self.name("secretless"), "--no-secrets")
        self.assertNotIn("connection_uri\"", secretless.out)

    def test_duplicate_names_are_refused(self):
        self.create("twice", "--no-compute")
        failed = self.cli("branches", "create", "--name", self.names[-1], "--no-compute", check=False)
        self.assertEqual(1, failed.code)
        self.assertIn("already exists", failed.err)

    def test_create_at_a_point(self):
        when, where, n = self.points()
        for text, parent in (("at-time", when), ("at-lsn", where)):
            with self.subTest(parent):
                branch = self.create(text, "--parent", parent)
                self.assertEqual(self.main()["id"], branch["parent_id"])
                self.assertEqual(n, self.rows_max(self.uri(self.names[-1])))
        head = self.create("at-head")
        self.assertGreater(self.rows_max(self.uri(head["name"])), n)

    def test_points_that_are_not_there_are_refused(self):
        for parent in ("2001-01-01T00:00:00Z", "0/1", "FFFFFFF/0",
                       time_text(datetime.now(timezone.utc) + timedelta(days=1))):
            failed = self.cli("branches", "create", "--name", self.name("nowhere"), "--parent", parent,
                              "--no-compute", check=False)
            self.assertEqual(1, failed.code, parent)
            self.assertIn("ERROR", failed.err)
            self.assertNotIn(self.names[-1], engine.api.branches())

    def test_branch_of_a_branch(self):
        first = self.create("first")
        psql(self.uri(first["name"]), "CREATE TABLE only_here (i int); INSERT INTO only_here VALUES (7)")
        for text, parent in (("by-name", first["name"]), ("by-id", first["id"])):
            child = self.create(text, "--parent", parent)
            self.assertEqual(first["id"], child["parent_id"])
            self.assertEqual("7", psql(self.uri(child["name"]), "SELECT i FROM only_here"))

    def test_create_with_settings(self):
        until = (datetime.now(timezone.utc) + timedelta(days=2)).replace(microsecond=0)
        branch = self.create("set", "--expires-at", until.isoformat(), "--cu", "0.25-1",
                             "--suspend-timeout", "600")
        self.assertEqual(until, parse_time(branch["expires_at"]))
        endpoint = engine.endpoint(branch["id"])
        self.assertEqual((0.25, 1, 600), tuple(endpoint[n] for n in (
            "autoscaling_limit_min_cu", "autoscaling_limit_max_cu", "suspend_timeout_seconds")))
        protected = self.create("protected", "--protected", "--no-compute")
        self.assertTrue(protected["protected"])
        self.assertEqual([], engine.api.get(f"branches/{protected['id']}/endpoints")["endpoints"])
        refused = self.cli("branches", "delete", protected["name"], check=False)
        self.assertEqual(1, refused.code)
        self.assertIn("protected", refused.err)

    def test_schema_only_is_refused_with_words(self):
        failed = self.cli("branches", "create", "--name", self.name("schema"), "--schema-only", check=False)
        self.assertEqual(1, failed.code)
        self.assertIn("schema-only", failed.err)

    def test_rename_and_expiration(self):
        branch = self.create("before", "--no-compute")
        renamed = self.cli("branches", "rename", branch["name"], self.name("after")).json()
        self.assertEqual((branch["id"], self.names[-1]), (renamed["id"], renamed["name"]))
        until = (datetime.now(timezone.utc) + timedelta(days=1)).replace(microsecond=0)
        kept = self.cli("branches", "set-expiration", branch["id"], "--expires-at", until.isoformat()).json()
        self.assertEqual(until, parse_time(kept["expires_at"]))
        self.assertNotIn("expires_at", self.cli("branches", "set-expiration", branch["id"]).json())

    def test_set_default(self):
        branch = self.create("default", "--no-compute")
        self.assertTrue(self.cli("branches", "set-default", branch["name"]).json()["default"])
        self.assertFalse(engine.api.branch("main")["default"])
        self.assertTrue(self.cli("branches", "set-default", "main").json()["default"])

    def test_add_compute(self):
        self.insert(1)
        engine.wait_received()
        branch = self.create("computes", "--no-compute")
        made = self.cli("branches", "add-compute", branch["name"], "--type", "read_write", "--cu", "0.5").json()
        self.settle(branch["id"])
        self.assertEqual(made["id"], engine.endpoint(branch["id"])["id"])
        self.assertGreaterEqual(self.rows_max(self.uri(branch["name"])), 0)
        again = self.cli("branches", "add-compute", branch["name"], "--type", "read_write", check=False)
        self.assertEqual(1, again.code)
        self.assertIn("already exists", again.err)

    def test_add_read_only_compute(self):
        branch = self.create("reader")
        psql(self.uri(branch["name"]), "CREATE TABLE seen (i int); INSERT INTO seen VALUES (1)")
        made = self.cli("branches", "add-compute", branch["name"], check=False)
        if made.code != 0:  # a 4xx with words is an answer, too
            self.assertIn("read_only", made.err)
            self.skipTest("no read-only computes here")
        self.settle(branch["id"])
        uri = self.uri(branch["name"], "--endpoint-type", "read_only")
        self.assertEqual("1", psql(uri, "SELECT i FROM seen"))
        self.assertIn("read-only transaction", psql(uri, "INSERT INTO seen VALUES (2)", check=False))

    def test_delete(self):
        branch = self.create("deleted")
        folder_before = len(engine.postmasters())
        self.assertEqual(branch["id"], self.cli("branches", "delete", branch["name"]).json()["id"])
        self.settle(branch["id"])
        self.assertNotIn(branch["name"], [b["name"] for b in self.cli("branches", "list").json()])
        self.assertEqual("", self.cli("branches", "delete", branch["id"]).out.strip())
        engine.wait_for(lambda: len(engine.postmasters()) < folder_before, 30, "its compute to end")
        kept = self.cli("branches", "delete", "main", check=False)
        self.assertEqual(1, kept.code)
        self.assertIn("ERROR", kept.err)

    def test_restore_a_branch(self):
        branch = self.create("restored")
        uri = self.uri(branch["name"])
        psql(uri, "CREATE TABLE kept (i int); INSERT INTO kept VALUES (1)")
        where = psql(uri, "SELECT pg_current_wal_insert_lsn()")
        psql(uri, "INSERT INTO kept VALUES (2)")
        done = self.cli("branches", "restore", branch["name"], f"^self@{where}",
                        "--preserve-under-name", self.name("preserved")).json()
        self.assertEqual(branch["id"], done["restored_branch"]["id"])
        self.assertEqual(self.names[-1], done["backup_branch"]["name"])
        self.settle()
        self.assertEqual("1", psql(self.uri(branch["name"]), "SELECT max(i) FROM kept"))
        self.assertEqual("1", psql(uri, "SELECT max(i) FROM kept"), "host and password stay")
        self.assertEqual("2", self.in_preserved(self.names[-1], "SELECT max(i) FROM kept"))
        # and from another branch
        other = self.create("other")
        psql(self.uri(other["name"]), "CREATE TABLE kept AS SELECT 9 AS i")
        self.cli("branches", "restore", branch["name"], other["name"], "--preserve-under-name",
                 self.name("preserved-again"))
        self.settle()
        self.assertEqual("9", psql(uri, "SELECT max(i) FROM kept"))

    def in_preserved(self, name: str, sql: str) -> str:
        """sql on a branch that has no compute yet."""
        branch = engine.api.branch(name)
        if not engine.api.get(f"branches/{branch['id']}/endpoints")["endpoints"]:
            self.cli("branches", "add-compute", branch["id"], "--type", "read_write")
            self.settle(branch["id"])
        return psql(self.uri(name), sql)

    def test_reset_to_parent(self):
        branch = self.create("reset")
        uri = self.uri(branch["name"])
        psql(uri, "CREATE TABLE gone (i int)")
        n = int(source.psql("SELECT coalesce(max(id), 0) + 1 FROM visits"))
        self.insert(n)
        engine.wait_received()
        reset = self.cli("branches", "reset", branch["name"], "--parent").json()
        self.assertEqual(branch["id"], reset["id"])
        self.settle()
        self.assertEqual(n, self.rows_max(uri))
        self.assertEqual("", psql(uri, "SELECT to_regclass('gone')"))

    def test_schema_diff(self):
        branch = self.create("differs")
        uri = self.uri(branch["name"])
        where = psql(uri, "SELECT pg_current_wal_insert_lsn()")
        psql(uri, "CREATE TABLE added (i int PRIMARY KEY)")
        self.assertRegex(self.cli("branches", "schema-diff", "main", branch["name"], output="table").out,
                         r"(?m)^\+CREATE TABLE public\.added")
        self.assertRegex(self.cli("branches", "schema-diff", branch["name"], "^parent", "--database",
                                  "postgres", output="table").out, r"added")
        self.assertRegex(self.cli("branches", "schema-diff", branch["name"], f"^self@{where}",
                                  output="table").out, r"(?m)^-CREATE TABLE public\.added")
        self.assertNotIn("CREATE", self.cli("branches", "schema-diff", "main", "main", output="table").out)

    # connection strings

    def test_connection_strings(self):
        branch = self.create("strings")
        plain = self.uri(branch["name"])
        self.assertEqual("1", psql(plain, "SELECT 1"))
        for options in (["--role-name", "postgres", "--database-name", "postgres"], ["--pooled"],
                        ["--ssl", "omit"], ["--endpoint-type", "read_write"], ["--prisma"]):
            with self.subTest(options):
                uri = self.uri(branch["name"], *options)
                if "--prisma" not in options:
                    self.assertEqual("1", psql(uri, "SELECT 1"))
        shown = self.cli("connection-string", branch["name"], "--extended").json()
        self.assertEqual(("postgres", "postgres"), (shown["role"], shown["database"]))
        self.assertEqual(plain, self.uri(branch["id"]))
        failed = self.cli("connection-string", branch["name"], "--database-name", "nothing", check=False)
        self.assertIn("Database not found", failed.err)

    def test_connection_string_of_the_source(self):
        self.insert(1)
        self.assertGreaterEqual(self.rows_max(self.uri("main")), 1)
        self.assertEqual(str(source.port), psql(self.uri("main"), "SHOW port"))

    def test_points_in_connection_strings_are_refused_by_the_server(self):
        """`options=neon_lsn:…` needs Neon's proxy: it must never be taken for the present silently."""
        branch = self.create("points")
        where = psql(self.uri(branch["name"]), "SELECT pg_current_wal_insert_lsn()")
        for point in (where, time_text(datetime.now(timezone.utc) - timedelta(minutes=1))):
            uri = self.uri(f"{branch['name']}@{point}")
            self.assertIn("neon_", psql(uri, "SELECT 1", check=False))

    def test_psql(self):
        branch = self.create("psql")
        path = f"{source.bindir}:{os.environ['PATH']}"
        self.assertIn("|42|", self.cli("psql", branch["name"], "--", "-X", "-At", "-c", "SELECT '|42|'",
                                       path=path).out)
        self.assertIn("|43|", self.cli("connection-string", branch["name"], "--psql", "--", "-X", "-At", "-c",
                                       "SELECT '|43|'", path=path).out)

    # roles and databases

    def test_roles(self):
        branch = self.create("roles")
        self.assertEqual(["postgres"], [r["name"] for r in self.cli(
            "roles", "list", "--branch", branch["name"]).json()])
        made = self.cli("roles", "create", "--branch", branch["name"], "--name", "nurse").json()
        self.assertEqual("nurse", made["name"])
        self.settle(branch["id"])
        uri = self.uri(branch["name"], "--role-name", "nurse")
        self.assertEqual("nurse", psql(uri, "SELECT current_user"))
        self.cli("roles", "create", "--branch", branch["name"], "--name", "group", "--no-login")
        ambiguous = self.cli("connection-string", branch["name"], check=False)
        self.assertIn("Multiple roles found", ambiguous.err)
        again = self.cli("roles", "create", "--branch", branch["name"], "--name", "nurse", check=False)
        self.assertIn("already exists", again.err)
        for _ in range(2):  # the second time it is gone already, which is no error
            self.cli("roles", "delete", "nurse", "--branch", branch["name"])
            self.settle(branch["id"])
        self.assertNotEqual("", psql(uri, "SELECT 1", check=False))
        self.assertEqual("0", source.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'nurse'"))

    def test_databases(self):
        branch = self.create("databases")
        self.assertEqual(["postgres"], [d["name"] for d in self.cli(
            "databases", "list", "--branch", branch["name"]).json()])
        made = self.cli("databases", "create", "--branch", branch["name"], "--name", "care").json()
        self.assertEqual(("care", "postgres"), (made["name"], made["owner_name"]))
        self.settle(branch["id"])
        uri = self.uri(branch["name"], "--database-name", "care")
        self.assertEqual("care", psql(uri, "SELECT current_database()"))
        again = self.cli("databases", "create", "--branch", branch["name"], "--name", "care", "--owner-name",
                         "postgres", check=False)
        self.assertIn("already exists", again.err)
        for _ in range(2):
            self.cli("databases", "delete", "care", "--branch", branch["name"])
            self.settle(branch["id"])
        self.assertIn("does not exist", psql(uri, "SELECT 1", check=False))

    # operations

    def test_operations(self):
        branch = self.create("operated")
        listed = self.cli("operations", "list").json()
        mine = [o for o in listed if o.get("branch_id") == branch["id"]]
        self.assertEqual({"finished"}, {o["status"] for o in mine})
        self.assertIn("start_compute", [o["action"] for o in mine])

    # snapshots

    def test_snapshots(self):
        when, where, n = self.points()
        until = (datetime.now(timezone.utc) + timedelta(days=3)).replace(microsecond=0)
        made = []
        for text, options in (("now", []), ("time", ["--timestamp", when]), ("lsn", ["--lsn", where]),
                              ("expiring", ["--expires-at", until.isoformat()])):
            snapshot = self.cli("snapshots", "create", "--branch", "main", "--name",
                                f"{self.which}-{text}", *options).json()
            self.settle()
            made.append(snapshot)
        self.assertEqual(until, parse_time(made[3]["expires_at"]))
        ids = [s["id"] for s in self.cli("snapshots", "list").json()]
        for snapshot in made:
            self.assertIn(snapshot["id"], ids)
        self.assertEqual(made[1]["id"], self.cli("snapshots", "get", f"{self.which}-time").json()["id"])
        renamed = self.cli("snapshots", "update", made[0]["id"], "--name", f"{self.which}-renamed").json()
        self.assertEqual(f"{self.which}-renamed", renamed["name"])
        kept = self.cli("snapshots", "update", made[3]["id"], "--clear-expiration").json()
        self.assertNotIn("expires_at", kept)
        for snapshot, text in ((made[1], "from-time"), (made[2], "from-lsn")):
            done = self.cli("snapshots", "restore", snapshot["id"], "--name", self.name(text)).json()
            branch = done.get("branch", done.get("restored_branch", done))
            self.settle()
            self.assertEqual(n, int(self.in_preserved(self.names[-1], "SELECT max(id) FROM visits")), branch)
        for snapshot in made:
            for name in list(self.names):
                if (branch := engine.api.branches().get(name)) is not None:
                    engine.settle(engine.api.delete(f"branches/{branch['id']}"))
            self.cli("snapshots", "delete", snapshot["id"])
        self.settle()
        left = [s["id"] for s in self.cli("snapshots", "list").json()]
        self.assertEqual([], [s["id"] for s in made if s["id"] in left])

    def test_snapshot_slug(self):
        if self.which == "older":
            self.skipTest("the older one knows no slugs")
        made = self.cli("snapshots", "create", "--branch", "main", "--name", "Before it", "--slug",
                        "before-it").json()
        self.settle()
        self.assertEqual("before-it", made["slug"])
        self.assertEqual(made["id"], self.cli("snapshots", "get", "before-it").json()["id"])
        self.cli("snapshots", "delete", "before-it")
        self.settle()

    def test_snapshot_over_a_branch(self):
        for finalize in (True, False):
            with self.subTest(finalize=finalize):
                branch = self.create(f"target-{finalize}".lower())
                uri = self.uri(branch["name"])
                psql(uri, "CREATE TABLE state AS SELECT 'old' AS it")
                snapshot = self.cli("snapshots", "create", "--branch", branch["name"], "--name",
                                    f"{self.which}-{finalize}").json()
                self.settle()
                psql(uri, "UPDATE state SET it = 'new'")
                before = set(engine.api.branches())
                done = self.cli("snapshots", "restore", snapshot["id"], "--target-branch", branch["name"],
                                *(["--finalize"] if finalize else [])).json()
                restored = done.get("branch", done.get("restored_branch", done))
                self.settle()
                if not finalize:
                    self.assertEqual("new", psql(uri, "SELECT it FROM state"), "nothing is swapped yet")
                    self.cli("snapshots", "finalize", restored["id"])
                    self.settle()
                self.names += sorted(set(engine.api.branches()) - before)
                self.assertEqual("old", psql(uri, "SELECT it FROM state"), "host and password stay")
                self.assertEqual("old", psql(self.uri(branch["name"]), "SELECT it FROM state"))

    def test_snapshot_schedule(self):
        self.cli("snapshots", "schedule", "set", "--branch", "main", "--frequency", "daily", "--hour", "3",
                 "--retention", "604800")
        self.assertEqual([{"frequency": "daily", "hour": 3, "retention_seconds": 604800}],
                         self.cli("snapshots", "schedule", "get", "--branch", "main").json())
        self.cli("snapshots", "schedule", "set", "--branch", "main", "--schedule", "[]")
        self.assertEqual([], self.cli("snapshots", "schedule", "get", "--branch", "main").json())

    # the working folder

    def test_checkout_and_status(self):
        branch = self.create("checked-out")
        self.cli.write_context()
        try:
            self.cli("checkout", branch["name"], *(["--no-env-pull"] if self.which == "newest" else []))
            context = (self.cli.folder / ".neon").read_text()
            self.assertRegex(context, f"{branch['id']}|{branch['name']}")
            self.assertEqual("1", psql(self.cli("connection-string").out.strip(), "SELECT 1"))
            shown = self.cli("status", output="table")
            self.assertIn(branch["name"], shown.out + shown.err)
        finally:
            (self.cli.folder / ".neon").unlink(missing_ok=True)


class Older(Commands, unittest.TestCase):
    which = "older"

    def setUp(self):
        if not LONG and self._testMethodName not in OLDER_OFTEN:
            self.skipTest("in long runs only")
        super().setUp()


class Newest(Commands, unittest.TestCase):
    which = "newest"

    def test_env_pull(self):
        branch = self.create("env")
        self.cli.write_context(branch["name"])
        try:
            self.cli("env", "pull")
            text = "".join(p.read_text() for p in self.cli.folder.glob(".env*"))
            uri = re.search(r'(?m)^DATABASE_URL="?([^"\n]+)', text).group(1)
            self.assertEqual("1", psql(harness.register_secret(uri), "SELECT 1"))
        finally:
            (self.cli.folder / ".neon").unlink(missing_ok=True)


class CreateBranchAction(unittest.TestCase):
    """What neondatabase/create-branch-action asks, in its order, each within its 10 seconds."""

    def test_requests_of_a_run(self):
        api, name = engine.api, "preview/pr-12-the-change"

        def quick(answer):
            self.assertLess(answer.seconds, ACTION_PATIENCE_S)
            return answer

        found = quick(api.get("branches", query={"search": name, "limit": 10000}))["branches"]
        self.assertEqual([], found)
        until = (datetime.now(timezone.utc) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"branch": {"name": name, "parent_id": api.default_branch()["id"], "expires_at": until},
                "endpoints": [{"type": "read_write"}], "annotation_value": {"created-by": "github-action"}}
        made = quick(api.post("branches", body))
        branch = made["branch"]
        self.addCleanup(api.delete, f"branches/{branch['id']}")
        below = f"branches/{branch['id']}"
        endpoint, = quick(api.get(f"{below}/endpoints"))["endpoints"]
        database = quick(api.get(f"{below}/databases/postgres"))["database"]
        role = quick(api.get(f"{below}/roles/{database['owner_name']}"))["role"]
        password = harness.register_secret(
            quick(api.get(f"{below}/roles/{role['name']}/reveal_password"))["password"])
        uri = (f"postgresql://{role['name']}:{password}@{endpoint['host']}/{database['name']}"
               "?sslmode=require&channel_binding=require")
        engine.settle(made)
        self.assertEqual("1", psql(uri, "SELECT 1"))
        # A second run finds it, and a race is told as such.
        again = api.get("branches", query={"search": name, "limit": 10000})
        self.assertEqual([branch["id"]], [b["id"] for b in again["branches"]])
        self.assertEqual({"created-by": "github-action"}, again["annotations"][branch["id"]]["value"])
        self.assertIn("already exists", api.post("branches", body, expect=409).message)


if __name__ == "__main__":
    harness.main()
