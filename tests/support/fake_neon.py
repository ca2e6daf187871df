"""FakeNeon: Neon's cloud in memory, strict, and failing on demand. Part of harness.py's family, for tests.

Why: the cloud itself cannot be had in a test, never loses an answer when asked to, and forgives. This one holds
every request and every answer of its own against the API's OpenAPI file: what is not as the file says is in
`problems`, and makes close() fail. Stock `neon` works on it (test_fake_neon.py), so that holdfast is not
tested against a misunderstanding of ours alone. It is the cloud, not holdfast's engine: /history is a 404.

    fake = FakeNeon(looks=1)                          # operations end at the first look
    fake.project.add_branch("dev", compute="idle")    # the state that a test begins with
    fake.fail("lost", op="createProjectBranch")       # by operationId; without one, of all requests
    harness.holdfast("branch", "create", "care", env=fake.env())
    fake.exchanges, fake.project.view()               # what was asked, and what came of it
    fake.close()                                      # AssertionError if anything was not as the file says

With `postgres=` (a harness.Server) all branches have their computes there: connection strings lead to it.

Rules and state: fake_neon_project.py. Answers: fake_neon_routes.py, fake_neon_snapshots.py. Here: requests,
faults. Runs in threads of this process; thread-safe.

Faults, by what has happened to the request:
- nothing: `423`, `429` (with Retry-After), `503`, `500`, `502`, `504`, `403`; `reset` (no answer), `stall` (until
  the client goes)
- it was carried out: `lost` (a reset instead of an answer), `502-after`, `504-after`, `cut` (reset half-way
  through the answer), `garbage` (a web page instead)
- `late`: 504 at once, carried out only `after` further requests came: the nastiest of them
- of the operations that it schedules: `slow` (`looks` until they end), `failed` (the last one, with `error`)
"""

import io
import json
import re
import select
import socket
import struct
import threading
from urllib.parse import parse_qsl, unquote

import fake_neon_routes
import fake_neon_snapshots
from api_client import MOUNT, Exchange
from fake_http import STALL_MAX_S, FakeHandler, FakeHttpServer
from fake_neon_project import Project, Refused
from harness_base import at_exit, forget_exit, random_secret
from neon_cli import openapi

ROUTES = fake_neon_routes.ROUTES | fake_neon_snapshots.ROUTES
# Of holdfast's engine alone: its client asks whether they are there.
NOT_THE_CLOUDS = re.compile(r"/projects/[^/]+/history")
REFUSALS = {
    "423": (423, "project already has running operations, scheduling of new ones is prohibited"),
    "429": (429, "you've exceeded the rate limit"), "503": (503, "service is temporarily unavailable"),
    "500": (500, "internal error"), "502": (502, "bad gateway"), "504": (504, "gateway timeout"),
    "403": (403, "not allowed to access the resource"),
}
AFTER = {"502-after": 502, "504-after": 504, "late": 504}
FAULTS = (frozenset(REFUSALS) | frozenset(AFTER) |
          frozenset("reset stall lost cut garbage slow failed".split()))
PAGE = b"<html><head><title>Welcome</title></head><body>a page of another server</body></html>"
BODY_BYTES_MAX = 1 << 20
SLOW_LOOKS = 3
ALWAYS = float("inf")


class Fault:
    """A kind of failure that happens to the `first` matching request and `count - 1` after it."""

    def __init__(self, kind: str, op: str | None, first: int, count: float, more: dict):
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        self.kind, self.op, self.first, self.count = kind, op, first, count
        self.retry_after, self.error = more.pop("retry_after", 1), more.pop("error", "no space left on device")
        self.looks, self.after = more.pop("looks", SLOW_LOOKS), more.pop("after", 2)
        self.then = more.pop("then", None)
        if more:
            raise TypeError(f"a fault has no {sorted(more)}")
        self.matched = self.happened = 0

    def meets(self, op: str) -> bool:
        if self.op not in (None, op):
            return False
        self.matched += 1
        if not self.first <= self.matched < self.first + self.count:
            return False
        self.happened += 1
        return True


class Drop(Exception):
    """No answer: the connection is reset, after what was sent already."""


class FakeNeon:
    """looks, retention_s, *_limit, plan: see Project. roles: name → password; databases: name → owner.

    postgres: a harness.Server for all computes; role and database are then its own (`role`, `database`).
    parameters: of connection strings; with a server without TLS they have to be "sslmode=disable".
    """

    def __init__(self, postgres=None, role: str = "postgres", database: str = "postgres",
                 parameters: str | None = None, roles: dict | None = None, databases: dict | None = None,
                 **more):
        self.key = "napi_" + random_secret()
        if postgres:
            roles, databases = {role: postgres.passwords[role]}, {database: role}
        else:
            roles = roles or {"neondb_owner": random_secret()}
            databases = databases or {"neondb": next(iter(roles))}
        parameters = parameters or ("sslmode=disable" if postgres else "sslmode=require&channel_binding=require")
        self.project = Project(
            roles, databases,
            host_of=lambda id: f"{postgres.host}:{postgres.port}" if postgres else
                    f"{id}.eu-central-1.aws.neon.tech",
            uri_of=lambda *of: fake_neon_routes.cloud_uri(*of, parameters),
            new_password=None if postgres else random_secret, **more)
        self.openapi = openapi()
        self.exchanges: list[Exchange] = []  # Exchange.fault: the kind that it met
        self.problems: list[str] = []
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._late: list[list] = []  # [requests left, what is then carried out]
        self.lock = threading.RLock()
        self._server = FakeHttpServer(("127.0.0.1", 0), _Handler, self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        at_exit(self._stop)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{MOUNT}"

    def env(self, **more) -> dict[str, str]:
        """For holdfast and for stock `neon`."""
        return {"NEON_API_HOST": self.url, "NEON_API_KEY": self.key, "NEON_PROJECT_ID": self.project.id, **more}

    def fail(self, kind: str, op: str | None = None, first: int = 1, count: float = 1, **more) -> Fault:
        """op: an operationId. count: ALWAYS for ever after. more: retry_after (429; a number of seconds), error
        (failed), looks (slow), after (late), then (called once the fault has happened: a rival, say)."""
        fault = Fault(kind, op, first, count, more)
        with self.lock:
            self._faults.append(fault)
        return fault

    def requests(self, *methods: str) -> list[str]:
        """"GET /projects/…" of each so far, in order; of these methods, or of all."""
        with self.lock:
            return [f"{e.method} {e.path}" for e in self.exchanges if not methods or e.method in methods]

    def close(self) -> None:
        self._stop()
        if self.problems:
            raise AssertionError("not as the OpenAPI file says:\n" + "\n".join(self.problems))

    def __enter__(self) -> "FakeNeon":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _stop(self) -> None:
        if not self.closing.is_set():
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()
            forget_exit(self._stop)

    # one request, under the lock

    def fault_for(self, op: str) -> Fault | None:
        found = [fault for fault in self._faults if fault.meets(op)]
        return found[0] if found else None

    def pass_time(self) -> None:
        """What is late may be due now."""
        for entry in list(self._late):
            entry[0] -= 1
            if entry[0] <= 0:
                self._late.remove(entry)
                try:
                    entry[1]()
                except Refused:
                    pass  # as it would be at any server: nobody waits for its answer

    def settle(self) -> None:
        """What is late is carried out now, and all operations end."""
        with self.lock:
            while self._late:
                self.pass_time()
            while any(not operation.ended for operation in self.project.operations):
                self.project.look()

    def carry_out(self, method: str, path: str, query: dict, body, fault: Fault | None):
        """Status and JSON (None: no body); raises Refused."""
        operation = self.openapi.operation(method, path)
        if operation is None:
            if method != "GET" or not NOT_THE_CLOUDS.fullmatch(path):
                self.problems.append(f"{method} {path}: the API has no such operation")
            raise Refused(404, "this route does not exist")
        if operation.id not in ROUTES:
            self.problems.append(f"{method} {path}: FakeNeon does not imitate {operation.id}")
            raise Refused(501, "not imitated")
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", operation.template)
        names = {n: unquote(v) for n, v in re.fullmatch(pattern, path).groupdict().items()}
        status, waits, answer_of = ROUTES[operation.id]
        call = fake_neon_routes.Call(self.project, names, query, body)
        if waits:
            self.project.require_idle()
        kind = fault.kind if fault else None
        self.project.next_looks = fault.looks if kind == "slow" else None
        self.project.next_error = fault.error if kind == "failed" else None
        try:
            answer = answer_of(call)
        finally:
            self.project.next_looks = self.project.next_error = None
        return (204, None) if answer is None else (status, answer)


class _Handler(FakeHandler):
    server_version = "FakeNeon"

    def _serve(self):
        try:
            fake = self.server.fake
            size = int(self.headers.get("Content-Length") or 0)
            if size > BODY_BYTES_MAX or "Transfer-Encoding" in self.headers:
                raise Drop
            body = self.rfile.read(size)
            with fake.lock:
                fault, answer = self._answer_to(fake, body)
            if fault and fault.kind == "stall":
                self._stall(fake)
            if fault and fault.kind in ("reset", "lost"):
                raise Drop
            self._send(*answer, cut=bool(fault and fault.kind == "cut"))
        except (Drop, ConnectionError, TimeoutError):
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.wfile = io.BytesIO()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _answer_to(self, fake: FakeNeon, body: bytes):
        """The fault that it met; status, headers, body of the answer."""
        raw, _, query_text = self.path.partition("?")
        path, query = raw.removeprefix(MOUNT), parse_qsl(query_text, keep_blank_values=True)
        fake.pass_time()
        media = self.headers.get("Content-Type") or "application/json"
        problems = [] if raw.startswith(MOUNT + "/") else [f"{self.command} {raw}: is outside {MOUNT}"]
        operation = fake.openapi.operation(self.command, path)
        if operation is not None:
            problems += fake.openapi.check_request(self.command, path, query, body, media)
        fault = fake.fault_for(operation.id if operation else "?")
        kind = fault.kind if fault else None
        headers = {}
        if self.headers.get("Authorization") != f"Bearer {fake.key}":
            status, answer = 401, self._error("supplied credentials do not pass authentication")
        elif problems:
            status, answer = 400, self._error("; ".join(problems))
        elif kind in REFUSALS:
            status, answer = REFUSALS[kind][0], self._error(REFUSALS[kind][1])
            if status == 429:
                headers["Retry-After"] = str(fault.retry_after)
        elif kind in ("reset", "stall"):
            status, answer = 0, None
        else:
            status, answer, headers = self._carried_out(fake, path, dict(query), body, fault)
        data = b"" if answer is None else json.dumps(answer).encode()
        media_type = "application/json" if answer is not None else None
        if status:
            problems += self._response_problems(fake, path, status, media_type, data)
        if kind == "garbage":
            data, media_type, status = PAGE, "text/html", 200 if status == 204 else status
        elif kind in AFTER and status < 400:
            status, data = AFTER[kind], json.dumps(self._error("no answer from upstream")).encode()
            media_type = "application/json"
        shown = {n: v for n, v in self.headers.items() if n.lower() not in ("authorization", "cookie")}
        exchange = Exchange(self.command, path, query, shown, body, status, media_type, data, problems)
        exchange.fault = kind
        fake.exchanges.append(exchange)
        fake.problems += problems
        if fault and fault.then:
            fault.then()
        if media_type:
            headers["Content-Type"] = media_type
        return fault, (status, headers, data)

    def _carried_out(self, fake: FakeNeon, path: str, query: dict, body: bytes, fault: Fault | None):
        """Status, JSON and headers; a `late` one is put down for later."""
        method = self.command  # not this connection's next one, if it is late

        def now():
            return fake.carry_out(method, path, query, json.loads(body) if body else {}, fault)

        if fault and fault.kind == "late":
            fake._late.append([fault.after, now])
            return 504, self._error("gateway timeout"), {}
        try:
            return *now(), {}
        except Refused as refused:
            return refused.status, self._error(refused.message, refused.code), refused.headers

    def _response_problems(self, fake, path, status, media, data) -> list[str]:
        if fake.openapi.operation(self.command, path) is not None:
            return fake.openapi.check_response(self.command, path, status, media, data)
        return fake.openapi.errors(json.loads(data), "GeneralError")

    def _error(self, message: str, code: str = "") -> dict:
        request_id = self.headers.get("X-Request-ID")
        return {"code": code, "message": message} | ({"request_id": request_id} if request_id else {})

    def _send(self, status: int, headers: dict, data: bytes, cut: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:len(data) // 2] if cut else data)
        self.wfile.flush()
        if cut:
            self._wait_read()
            raise Drop

    def _wait_read(self):
        """A reset overtakes what the client has not read yet: give it a moment to read."""
        select.select([self.connection], [], [], 0.05)

    def _stall(self, fake: FakeNeon) -> None:
        """Until the client has gone."""
        for _ in range(STALL_MAX_S * 10):
            if fake.closing.is_set():
                break
            if select.select([self.connection], [], [], 0.1)[0] and not self.connection.recv(1 << 16):
                break
        raise Drop
