"""The judge of the API's traffic is judged: it passes what is right, and names each thing that is not."""

import copy
import http.client
import json
import sys
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402
from api_client import Api, ApiProxy, OperationFailed  # noqa: E402
from neon_cli import NeonCli, openapi  # noqa: E402

# Examples in the file that break the file's own rules.
BROKEN_EXAMPLES = {"getOrganizationInvitations"}


def setUpModule():
    global api
    try:
        api = openapi()
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


def example(operation: str, status: str):
    found, = [o for o in api.operations() if o.id == operation]
    answer = api._resolved(found.definition["responses"][status])
    content = answer["content"]["application/json"]
    return copy.deepcopy(content["example"] if "example" in content
                         else next(iter(content["examples"].values()))["value"])


class TheFile(unittest.TestCase):
    def test_its_own_examples_are_good(self):
        number = 0
        for operation in api.operations():
            parts = [api._resolved(operation.definition.get("requestBody", {}))]
            parts += [api._resolved(a) for a in operation.definition["responses"].values()]
            for part in parts:
                content = part.get("content", {}).get("application/json", {})
                values = [content["example"]] if "example" in content else \
                    [e["value"] for e in content.get("examples", {}).values() if "value" in e]
                for value in values:
                    number += 1
                    problems = api._errors(value, content["schema"], "body")
                    if operation.id not in BROKEN_EXAMPLES:
                        self.assertEqual([], problems, operation.id)
        self.assertGreater(number, 50)

    def test_paths_find_their_operation(self):
        for method, path, wanted in (("GET", "/projects/shared", "listSharedProjects"),
                                     ("GET", "/projects/a-b", "getProject"),
                                     ("GET", "/projects/a/branches/count", "countProjectBranches"),
                                     ("GET", "/projects/a/branches/br-x", "getProjectBranch"),
                                     ("POST", "/projects/a/branches/b/restore", "restoreProjectBranch")):
            self.assertEqual(wanted, api.operation(method, path).id)
        self.assertIsNone(api.operation("GET", "/nothing"))
        self.assertIsNone(api.operation("PUT", "/projects"))

    def test_unknown_keywords_are_not_passed_over(self):
        with self.assertRaisesRegex(ValueError, "uniqueItems"):
            api._check_schema({"type": "array", "items": {"type": "string", "uniqueItems": True}}, "x")


class Answers(unittest.TestCase):
    path = "/projects/shiny-wind-028834/branches"

    def problems(self, change, status=200, method="GET", path=None, operation="listProjectBranches"):
        value = example(operation, str(status))
        change(value)
        return api.check_response(method, path or self.path, status, "application/json; charset=utf-8",
                                  json.dumps(value).encode())

    def test_a_good_one_passes(self):
        self.assertEqual([], self.problems(lambda v: None))

    def test_each_wrong_one_is_named(self):
        def set_in(*way, to):
            def change(value):
                for step in way[:-1]:
                    value = value[step]
                value[way[-1]] = to
            return change

        def drop(*way):
            def change(value):
                for step in way[:-1]:
                    value = value[step]
                del value[way[-1]]
            return change

        for change, wanted in (
                (drop("branches"), "'branches' is missing"),
                (drop("annotations"), "'annotations' is missing"),
                (drop("branches", 1, "current_state"), r"branches\[1\]: 'current_state' is missing"),
                (set_in("branches", 0, "default", to="yes"), r"branches\[0\].default: 'yes' is no boolean"),
                (set_in("branches", 0, "logical_size", to=1.5), "is no integer"),
                (set_in("branches", 0, "logical_size", to=True), "is no integer"),
                (set_in("branches", 0, "logical_size", to=2**63), "is no int64"),
                (set_in("branches", 0, "created_at", to="yesterday"), "is no date-time"),
                (set_in("branches", 0, "created_at", to="2022-02-30T00:00:00Z"), "is no date-time"),
                (set_in("branches", 0, "id", to="Br_X"), "breaks pattern"),
                (set_in("branches", 0, "parent_id", to=None), "None is no string"),
                (set_in("branches", 0, "parent_lns", to="0/1"), "no property 'parent_lns'"),
                (set_in("branches", to={}), "is no array"),
                (set_in("extra", to=1), "no property 'extra'"),
                (set_in("annotations", "br-aged-salad-637688", "value", to={"a": 1}), "1 is no string"),
                (set_in("pagination", "next", to=5), "5 is no string")):
            problems = self.problems(change)
            self.assertEqual(1, len(problems), problems)
            self.assertRegex(problems[0], wanted)

    def test_status_and_media_are_judged(self):
        body = json.dumps(example("listProjectBranches", "200")).encode()
        for status, media, data, wanted in (
                (201, "application/json", body, "no answer with this status"),
                (200, "text/html", body, "media type 'text/html'"),
                (200, None, body, "media type ''"),
                (200, "application/json", body[:-1], "is no JSON"),
                (404, "application/json", b'{"code":""}', "'message' is missing"),
                (404, "application/json", b'{"message":"gone"}', "'code' is missing")):
            problem, = api.check_response("GET", self.path, status, media, data)
            self.assertRegex(problem, wanted)
        self.assertEqual([], api.check_response("GET", self.path, 404, "application/json",
                                                b'{"code":"","message":"gone"}'))
        where = "/projects/p/branches/br-a-b-1"
        self.assertEqual([], api.check_response("DELETE", where, 204, None, b""))
        self.assertEqual(1, len(api.check_response("DELETE", where, 204, None, b"{}")))


class Requests(unittest.TestCase):
    def test_bodies_and_parameters_are_judged(self):
        branches, branch = "/projects/p/branches", "/projects/p/branches/br-a-b-1"
        for method, path, query, body, wanted in (
                ("POST", branches, [], {"branch": {"name": "x"}, "endpoints": [{"type": "read_write"}]}, None),
                ("POST", branches, [], None, None),
                ("PATCH", branch, [], {"branch": {"expires_at": None}}, None),
                ("GET", branches, [("limit", "10"), ("search", "")], None, None),
                ("POST", branches, [], {"endpoints": [{"type": "writer"}]}, "is none of"),
                ("POST", branches, [], {"endpoints": [{}]}, "'type' is missing"),
                ("POST", branches, [], {"branch": {"parent_timestamp": "now"}}, "is no date-time"),
                ("POST", branches, [], {"branch": {"nam": "x"}}, "no property 'nam'"),
                ("PATCH", branch, [], {"branch": {"name": None}}, "None is no string"),
                ("PATCH", branch, [], None, "body: is missing"),
                ("POST", f"{branch}/restore", [], {}, "'source_branch_id' is missing"),
                ("POST", f"{branch}/set_as_default", [], {"a": 1}, "takes none"),
                ("GET", branches, [("limit", "ten")], None, "is no integer"),
                ("GET", branches, [("sort_by", "size")], None, "is none of"),
                ("GET", branches, [("serach", "x")], None, "no such parameter"),
                ("GET", "/projects/P_1/branches", [], None, "path project_id"),
                ("GET", "/projects/p/connection_uri", [("role_name", "r")], None,
                 "database_name: is missing"),
                ("GET", "/projects/p/branchez", [], None, "no such operation")):
            with self.subTest(f"{method} {path} {query} {body}"):
                problems = api.check_request(method, path, query,
                                             json.dumps(body).encode() if body is not None else None)
                self.assertEqual(0 if wanted is None else 1, len(problems), problems)
                if wanted:
                    self.assertRegex(problems[0], wanted)


class Fake(BaseHTTPRequestHandler):
    """Answers with what the test put into `answers`: (method, path) → (status, JSON)."""

    protocol_version = "HTTP/1.1"
    answers: dict = {}

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/api/v2")
        status, value = self.answers.get((self.command, path),
                                         (404, {"code": "", "message": "this route does not exist"}))
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        if value is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


class ProxyAndClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = HTTPServer(("127.0.0.1", 0), Fake)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.key = harness.random_secret()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        Fake.answers = {}
        self.proxy = ApiProxy(self.server.server_address[1], api)
        self.addCleanup(self.proxy.close)

    def test_both_stock_clients_are_heard(self):
        listed = example("listProjectBranches", "200")
        path = "/projects/shiny-wind-028834/branches"
        Fake.answers[("GET", path)] = (200, listed)
        created = {"branch": {**listed["branches"][0], "id": "br-new-new-1", "default": False},
                   "endpoints": [], "operations": [], "roles": [], "databases": []}
        Fake.answers[("POST", path)] = (201, created)
        gone = f"{path}/br-new-new-1"
        Fake.answers[("DELETE", gone)] = (204, None)
        for which in ("older", "newest"):
            with self.subTest(which):
                self.proxy.clear()
                cli = NeonCli(which, self.proxy.url, self.key, "shiny-wind-028834")
                self.assertEqual(["main", "dev2", "dev1"], [b["name"] for b in cli("branches", "list").json()])
                self.assertIn("main", cli("branches", "list", output="table").out)
                self.assertEqual("br-new-new-1",
                                 cli("branches", "create", "--name", "x", "--no-compute").json()["id"])
                self.assertEqual("", cli("branches", "delete", "br-new-new-1").out.strip())
                self.assertEqual([f"GET {path}"] * 3 + [f"POST {path}", f"DELETE {gone}"],
                                 self.proxy.requests())
                self.assertEqual([], self.proxy.problems)
                sent, = [e.json for e in self.proxy.exchanges if e.method == "POST"]
                self.assertEqual({"branch": {"name": "x", "parent_id": "br-aged-salad-637688"},
                                  "endpoints": [], "annotation_value": {}}, sent)
                failed = cli("branches", "get", "br-not-there-1", check=False)
                self.assertEqual(1, failed.code)
                self.assertIn("this route does not exist", failed.err)

    def test_the_proxy_tells_of_what_is_wrong(self):
        path = "/projects/p/branches"
        listed = example("listProjectBranches", "200")
        del listed["annotations"]
        Fake.answers[("GET", path)] = (200, listed)
        Fake.answers[("GET", "/not-in-the-api")] = (200, {})
        for method, target, body, wanted in (
                ("GET", f"/api/v2{path}", None, "'annotations' is missing"),
                ("GET", f"/api/v2{path}?limit=x", None, "limit: 'x' is no integer"),
                ("POST", f"/api/v2{path}", b'{"branch":{"id":"x"}}', "no property 'id'"),
                ("GET", "/api/v2/not-in-the-api", None, "the API has no such operation"),
                ("GET", "/elsewhere", None, "is outside")):
            self.proxy.clear()
            connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port)
            connection.request(method, target, body, {"Content-Type": "application/json"})
            connection.getresponse().read()
            connection.close()
            self.assertRegex("\n".join(self.proxy.problems), wanted)

    def test_the_client_judges_and_waits(self):
        client = Api(self.server.server_address[1], self.key, api)
        path = "/projects/p/branches"
        with self.assertRaisesRegex(AssertionError, "expected success.*does not exist"):
            client.call("GET", path)
        self.assertEqual("this route does not exist", client.call("GET", path, expect=404).message)
        with self.assertRaisesRegex(AssertionError, r"expected \(422,\)"):
            client.call("GET", path, expect=422)
        Fake.answers[("GET", path)] = (200, {"branches": []})
        with self.assertRaisesRegex(AssertionError, "'annotations' is missing"):
            client.call("GET", path)
        with self.assertRaisesRegex(AssertionError, "no property 'naem'"):
            client.call("POST", path, {"branch": {"naem": "x"}})
        operation = {**example("getProjectOperation", "200")["operation"], "status": "running"}
        client._project = "p"
        poll = ("GET", f"/projects/p/operations/{operation['id']}")
        Fake.answers[poll] = (200, {"operation": {**operation, "status": "finished"}})
        client.wait([operation])
        Fake.answers[poll] = (200, {"operation": {**operation, "status": "failed", "error": "no room"}})
        with self.assertRaisesRegex(OperationFailed, "no room"):
            client.wait([operation])


if __name__ == "__main__":
    harness.main()
