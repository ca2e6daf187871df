"""FakeNeon speaks the API that stock `neon` speaks, keeps the cloud's rules, fails as told, and forgives nothing."""

import http.client
import subprocess
import sys
import time
import unittest
from datetime import timedelta
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402
from api_client import MOUNT, Api, OperationFailed  # noqa: E402
from fake_neon import ALWAYS, ROUTES, FakeNeon  # noqa: E402
from fake_neon_project import now, time_text  # noqa: E402
from neon_cli import CLIS, NeonCli, openapi  # noqa: E402

DROPS = (ConnectionError, http.client.HTTPException)  # how Python tells of a lost answer


def setUpModule():
    try:
        openapi()
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


def ago(**time) -> str:
    return time_text(now() - timedelta(**time))


class WithFake(unittest.TestCase):
    def start(self, **more) -> FakeNeon:
        self.fake = FakeNeon(**more)
        self.addCleanup(self.fake.close)  # fails if anything was not as the file says
        self.api = Api(self.fake.port, self.fake.key, self.fake.openapi)
        self.view = self.fake.project.view
        return self.fake

    def setUp(self):
        self.start()

    def create(self, name: str, expect: int = 201, **branch):
        return self.api.post("branches", {"branch": {"name": name, **branch}}, expect=expect)

    def restore(self, name: str, source: str, expect: int = 200, **more):
        return self.api.post(f"branches/{self.api.branch(name)['id']}/restore",
                             {"source_branch_id": self.api.branch(source)["id"], **more}, expect=expect)


class StockNeon(WithFake):
    def test_both_command_lines_work_on_it(self):
        for which in CLIS:
            with self.subTest(which):
                self.one_life(NeonCli(which, self.start().url, self.fake.key, None))

    def one_life(self, cli):
        made = cli("branches", "create", "--name", "care", "--protected").json()
        self.assertTrue(made["branch"]["protected"])
        self.assertIn(self.fake.project.called("care").roles["neondb_owner"],
                      made["connection_uris"][0]["connection_uri"])
        at = ago(hours=1)
        cli("branches", "create", "--name", "past", "--parent", at, "--no-compute")
        self.assertEqual(f"main's@{at}", self.view()["past"]["state"])
        self.assertIn("[default] main", cli("branches", "list", output="table").out)
        self.fake.project.looks = 1  # its answer shows the kept state while the two are being parted
        done = cli("branches", "restore", "main", f"^self@{at}", "--preserve-under-name", "kept").json()
        self.assertEqual(["main", "kept"], [done[n]["name"] for n in ("restored_branch", "backup_branch")])
        self.fake.project.looks = 0
        while cli("operations", "list").json()[0]["status"] != "finished":
            pass
        self.assertEqual("main's", self.view()["kept"]["state"])
        uri = cli("connection-string", "care").out.strip()
        self.assertRegex(uri, r"^postgresql://neondb_owner:[^@]+@ep-calm-rain-\d+\.eu-central-1\.aws\.neon\.tech/"
                              r"neondb\?sslmode=require&channel_binding=require$")
        cli("branches", "rename", "past", "gone")
        past = self.fake.project.called("gone").id
        for _ in range(2):  # the second time it is gone already, which is no error
            cli("branches", "delete", past)
        refused = cli("branches", "delete", "care", check=False)
        self.assertIn("protected", refused.err)
        snapshot = cli("snapshots", "create", "--branch", "main", "--name", "nightly").json()
        cli("snapshots", "restore", snapshot["id"], "--target-branch", "main", "--finalize")
        self.assertEqual(self.view()["main"]["state"], self.view()["main (old)"]["state"])
        self.assertEqual([("read_write", "active")], self.view()["main"]["computes"])
        cli("snapshots", "delete", snapshot["id"])
        self.assertEqual({}, self.fake.project.snapshots)


class Rules(WithFake):
    def test_who_and_where(self):
        self.assertEqual((10, "free_v3"), (self.api.call("GET", "/users/me")["branches_limit"],
                                           self.api.call("GET", "/users/me")["plan"]))
        project = self.api.get("")["project"]
        self.assertEqual((21600, 10), (project["history_retention_seconds"], project["owner"]["branches_limit"]))
        self.assertIn("route", self.api.get("history", expect=404, judged=False).message)
        stranger = Api(self.fake.port, "wrong", self.fake.openapi)
        self.assertIn("credentials", stranger.call("GET", "/projects", expect=401).message)

    def test_a_branch_is_a_child_of_a_point(self):
        at = ago(hours=2)
        made = self.api.post("branches", {"branch": {"name": "care", "parent_timestamp": at},
                                          "endpoints": [{"type": "read_write"}],
                                          "annotation_value": {"why": "test"}})
        id = made["branch"]["id"]
        self.assertRegex(made["connection_uris"][0]["connection_uri"], "^postgresql://neondb_owner:")
        self.assertEqual({"why": "test"}, self.api.get(f"branches/{id}")["annotation"]["value"])
        self.assertEqual({id: {"why": "test"}}, {
            branch: a["value"] for branch, a in self.api.get("branches")["annotations"].items()})
        self.assertEqual({"state": f"main's@{at}", "parent": "main", "default": False, "protected": False,
                          "expires": None, "computes": [("read_write", "active")]}, self.view()["care"])
        inherited = self.api.get(f"branches/{id}/roles/neondb_owner/reveal_password")["password"]
        main = self.api.default_branch()["id"]
        self.assertEqual(inherited, self.api.get(f"branches/{main}/roles/neondb_owner/reveal_password")["password"])
        self.api.patch(f"branches/{main}", {"branch": {"protected": True}})
        self.create("safe")
        self.assertNotIn(inherited, self.fake.project.called("safe").roles.values())

    def test_points_outside_the_window_are_refused(self):
        for point in ({"parent_timestamp": ago(hours=7)}, {"parent_timestamp": ago(hours=-1)},
                      {"parent_lsn": "0/1"}, {"parent_lsn": "FF/0"}):
            self.create("never", expect=400, **point)
        self.assertIn("not both", self.create("never", expect=400, parent_lsn="0/2000000",
                                              parent_timestamp=ago(hours=1)).message)

    def test_names_and_limits(self):
        self.create("one")
        self.assertIn("already exists", self.create("one", expect=409).message)
        main = self.api.default_branch()["id"]
        again = {"endpoint": {"branch_id": main, "type": "read_write"}}
        self.assertIn("already exists", self.api.post("endpoints", again, expect=409).message)
        for protected in ("p1", "p2"):
            self.create(protected, protected=True)
        self.assertEqual("BRANCHES_PROTECTED_LIMIT_EXCEEDED", self.create("p3", expect=422, protected=True)["code"])
        for kept in ("k1", "k2"):
            self.restore("main", "main", source_timestamp=ago(hours=1), preserve_under_name=kept)
        refused = self.restore("main", "main", 422, source_timestamp=ago(hours=1), preserve_under_name="k3")
        self.assertEqual("ROOT_BRANCHES_LIMIT_EXCEEDED", refused["code"])
        for number in range(4):
            self.create(f"more-{number}")
        self.assertEqual("BRANCHES_LIMIT_EXCEEDED", self.create("eleventh", expect=422)["code"])

    def test_what_cannot_be_deleted(self):
        self.create("safe", protected=True)
        self.create("parent")
        self.create("child", parent_id=self.api.branch("parent")["id"])
        for name, why in (("main", "default"), ("safe", "protected"), ("parent", "children")):
            self.assertIn(why, self.api.delete(f"branches/{self.api.branch(name)['id']}", expect=422).message)
        child = self.api.branch("child")["id"]
        self.api.delete(f"branches/{child}", expect=200)
        self.assertEqual(b"", self.api.delete(f"branches/{child}", expect=204).body)
        self.api.get(f"branches/{child}", expect=404)
        self.create("short", expires_at=ago(days=-1))
        self.create("never", expect=422, parent_id=self.api.branch("short")["id"])
        self.create("never", expect=422, expires_at=ago(days=-31))

    def test_a_restored_root_and_its_old_state_are_two_roots(self):
        self.create("child")
        at = ago(minutes=5)
        self.assertIn("preserve_under_name", self.restore("main", "main", 422, source_timestamp=at).message)
        self.restore("main", "main", 400, preserve_under_name="kept")
        self.restore("main", "main", 409, source_timestamp=at, preserve_under_name="child")
        self.restore("main", "main", source_timestamp=at, preserve_under_name="kept")
        view = self.view()
        self.assertEqual(("main's", None), (view["kept"]["state"], view["kept"]["parent"]))
        self.assertEqual((f"main's@{at}", None, True),
                         tuple(view["main"][n] for n in ("state", "parent", "default")))
        self.assertEqual([("read_write", "active")], view["main"]["computes"])
        self.assertEqual("kept", view["child"]["parent"], "children move to the kept state")
        self.restore("main", "child", preserve_under_name="original")
        original = self.api.branch("original")["id"]
        self.assertIn("root", self.api.delete(f"branches/{original}", expect=422).message)

    def test_the_old_state_of_a_child_becomes_its_parent(self):
        self.create("dev")
        self.restore("dev", "main", source_lsn="0/2000000", preserve_under_name="dev-old")
        view = self.view()
        self.assertEqual(("main's@0/2000000", "dev-old"), (view["dev"]["state"], view["dev"]["parent"]))
        self.assertEqual("main", view["dev-old"]["parent"])
        self.create("test")
        self.restore("test", "main")  # no name, no children: the old state is lost
        self.assertEqual("main's", self.view()["test"]["state"])

    def test_operations_take_looks_and_keep_others_out(self):
        self.start(looks=2)
        made = self.api.post("branches", {"branch": {"name": "care"}, "endpoints": [{"type": "read_write"}]})
        self.assertEqual(["running", "scheduling"], [o["status"] for o in made["operations"]])
        self.assertEqual("init", self.api.branch("care")["current_state"])
        self.assertIn("running operations", self.create("other", expect=423).message)
        self.api.wait(made)
        self.assertEqual("ready", self.api.branch("care")["current_state"])
        self.assertEqual("active", self.view()["care"]["computes"][0][1])
        endpoint = self.fake.project.writer(self.fake.project.called("care"))["id"]
        self.api.wait(self.api.post(f"endpoints/{endpoint}/suspend"))
        self.assertEqual("idle", self.view()["care"]["computes"][0][1])
        self.assertEqual("idle", self.api.get(f"endpoints/{endpoint}")["endpoint"]["current_state"])
        self.restore("main", "main", source_timestamp=ago(hours=1), preserve_under_name="kept")
        self.assertEqual("detaching", self.api.default_branch()["restore_status"])

    def test_the_styles_of_paging(self):
        self.start(branches_limit=500)
        for number in range(249):
            self.fake.project.add_branch(f"b{number:03}")
        names, cursor = [], None
        for size in (100, 100, 50):
            page = self.api.get("branches", query={"limit": 10000, "cursor": cursor})
            names += [b["name"] for b in page["branches"]]
            self.assertEqual(size, len(page["branches"]), "a page has 100 at most")
            cursor = page["pagination"].get("next")
        self.assertIsNone(cursor)
        self.assertEqual(250, len(set(names)))
        self.assertEqual(11, self.api.get("branches/count", query={"search": "b10"})["count"] + 1)
        self.assertTrue(self.api.call("GET", "/projects")["pagination"]["cursor"], "the last page has one too")
        for _ in range(3):
            self.create(f"more-{_}")
        page = self.api.get("operations", query={"limit": 2})
        rest = self.api.get("operations", query={"limit": 2, "cursor": page["pagination"]["cursor"]})
        self.assertEqual(3, len({o["id"] for o in page["operations"] + rest["operations"]}))

    def test_snapshots_are_previewed_and_finalized(self):
        main = self.api.default_branch()["id"]
        at = ago(hours=3)
        snapshot = self.api.post(f"branches/{main}/snapshot", query={"name": "n", "timestamp": at})["snapshot"]
        preview = self.api.post(f"snapshots/{snapshot['id']}/restore", {"name": "look"})["branch"]
        self.assertEqual("main's", self.view()["main"]["state"])
        self.api.post(f"branches/{preview['id']}/finalize_restore", {"name": "before"})
        self.assertEqual((f"main's@{at}", "main's"), (self.view()["main"]["state"], self.view()["before"]["state"]))
        self.assertEqual(preview["id"], self.api.default_branch()["id"])
        self.create("child")
        child = self.api.branch("child")["id"]
        self.assertIn("root", self.api.post(f"branches/{child}/snapshot", expect=422).message)


class Faults(WithFake):
    def created(self) -> bool:
        return "care" in self.view()

    def test_refusals_do_nothing(self):
        for kind in ("423", "429", "503", "500", "502", "504", "403"):
            self.fake.fail(kind, op="createProjectBranch")
            refused = self.create("care", expect=int(kind))
            self.assertEqual("1" if kind == "429" else None, refused.headers.get("retry-after"))
        self.assertFalse(self.created())
        self.create("care")

    def test_answers_get_lost_before_and_after(self):
        for kind, done in (("reset", False), ("lost", True), ("cut", True)):
            with self.subTest(kind):
                self.start().fail(kind, op="createProjectBranch")
                self.assertRaises(DROPS, self.create, "care")
                self.assertEqual(done, self.created())

    def test_answers_are_wrong_afterwards(self):
        for kind, status in (("502-after", 502), ("504-after", 504)):
            self.start().fail(kind, op="createProjectBranch")
            self.create("care", expect=status)
            self.assertTrue(self.created())
        self.start().fail("garbage", op="createProjectBranch")
        self.assertRaisesRegex(AssertionError, "media type", self.create, "care")
        self.assertTrue(self.created())

    def test_late_is_after_the_next_requests(self):
        self.fake.fail("late", op="createProjectBranch", after=2)
        self.create("care", expect=504)
        self.assertNotIn("care", self.api.branches())  # project, branches: the second one
        self.assertIn("care", self.api.branches())

    def test_operations_are_slow_and_fail(self):
        self.fake.fail("slow", op="createProjectBranch", looks=3)
        operations = self.create("care")["operations"]
        for status in ("running", "running", "finished"):
            self.assertEqual(status, self.api.get(f"operations/{operations[0]['id']}")["operation"]["status"])
        self.fake.fail("failed", op="createProjectBranch", error="no space")
        self.assertRaisesRegex(OperationFailed, "no space", self.api.wait, self.create("other"))
        self.fake.fail("failed", op="deleteProjectBranch")
        self.api.delete(f"branches/{self.api.branch('care')['id']}")
        self.assertTrue(self.created(), "what could not be deleted is still there")

    def test_a_stall_lasts_until_the_client_goes(self):
        self.fake.fail("stall", op="getProject")
        self.api.project
        began = time.monotonic()
        self.assertRaises(TimeoutError, self.api.get, "", timeout=0.5)
        self.assertGreater(time.monotonic() - began, 0.4)
        self.api.get("")

    def test_the_nth_of_all_requests(self):
        self.api.project
        fault = self.fake.fail("503", first=2, count=2, then=lambda: self.fake.project.add_branch("rival"))
        for status in (200, 503, 503, 200):
            self.api.get("branches", expect=status)
        self.assertEqual(2, fault.happened)
        self.fake.fail("500", count=ALWAYS)
        for _ in range(3):
            self.api.get("branches", expect=500)
        self.assertRaises(ValueError, self.fake.fail, "50O")


class Strictness(WithFake):
    def expect_problem(self, words: str) -> None:
        self.assertRaisesRegex(AssertionError, words, self.fake.close)
        self.fake.problems.clear()  # for the clean-up

    def test_a_wrong_request_is_refused_and_told_at_the_end(self):
        self.api.post("branches", {"branch": {"nmae": "x"}}, expect=400, judged=False)
        self.expect_problem("nmae")

    def test_unknown_routes_and_parameters_are_told(self):
        self.api.get("branchs", expect=404, judged=False)
        self.api.get("branches", query={"limits": 1}, expect=400, judged=False)
        self.assertRegex("\n".join(self.fake.problems), "no such operation")
        self.expect_problem("limits")

    def test_outside_the_mount_path(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.fake.port)
        connection.request("GET", "/projects", headers={"Authorization": f"Bearer {self.fake.key}"})
        self.assertEqual(400, connection.getresponse().status)
        connection.close()
        self.expect_problem(f"outside {MOUNT}")

    def test_its_own_wrong_answers_are_told(self):
        with mock.patch.dict(ROUTES, {"getProject": (200, False, lambda call: {"project": {"id": 1}})}):
            self.assertRaisesRegex(AssertionError, "not as the OpenAPI file says", self.api.call, "GET",
                                   f"/projects/{self.fake.project.id}")
        self.expect_problem("is no string")

    def test_keys_are_not_kept(self):
        self.api.get("")
        for exchange in self.fake.exchanges:
            harness.assert_no_secrets(str(exchange.headers), "what FakeNeon keeps of headers")


class WithAServer(WithFake):
    def test_all_computes_are_there(self):
        with harness.Server() as server:
            self.start(postgres=server)
            made = self.api.post("branches", {"branch": {"name": "care"}, "endpoints": [{"type": "read_write"}]})
            uris = [made["connection_uris"][0]["connection_uri"], self.api.get("connection_uri", query={
                "branch_id": made["branch"]["id"], "role_name": "postgres", "database_name": "postgres"})["uri"]]
            for uri in uris:
                shown = subprocess.run([server.bindir / "psql", "-XAtc", "SHOW port", uri], capture_output=True,
                                       text=True, check=True)
                self.assertEqual(str(server.port), shown.stdout.strip())


if __name__ == "__main__":
    harness.main()
