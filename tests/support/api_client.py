"""A client of the Neon API that believes nothing, and a proxy that listens in on those who do. Part of harness.py.

`Api` holds every request and every answer against the API's OpenAPI file (openapi.py), so each test that
uses it is a test of that too. `ApiProxy` stands between a stock client and a server, passes everything on as it
is, and holds both directions against the file: `proxy.exchanges` is what went over the wire, `proxy.problems`
what was not as the file says.

Failure is an AssertionError that names request, status and message. Bodies hold passwords, so they are not shown.
"""

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode

from harness_base import at_exit, forget_exit
from openapi import OpenApi

MOUNT = "/api/v2"
TIMEOUT_S = 120
POLL_S = 0.05
ENDED_WELL = ("finished", "skipped")
ENDED_BADLY = ("failed", "error", "cancelled")
# What the stock command lines send and the API's own file does not know: no problem of the engine's.
STOCK_CLIENTS_OWN = ("body.snapshot: the API has no property 'expires_at' here",)
HOP_BY_HOP = frozenset("connection keep-alive transfer-encoding te trailer upgrade host content-length".split())


class Answer:
    """`status`, `headers` (lower case), `body` (bytes), `seconds`, and `json` where it is JSON."""

    def __init__(self, method: str, path: str, status: int, headers, body: bytes, seconds: float):
        self.method, self.path, self.status, self.body, self.seconds = method, path, status, body, seconds
        self.headers = {name.lower(): value for name, value in headers}

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AssertionError(f"{self}: the body is no JSON: {error}") from None

    @property
    def message(self) -> str:
        return self.json["message"] if self.status >= 400 and self.body else ""

    def __getitem__(self, name):
        return self.json[name]

    def __str__(self):
        message = ""
        if self.status >= 400:
            message = f": {self.body[:400].decode(errors='replace')}"
        return f"{self.method} {self.path}: {self.status}{message}"


class OperationFailed(AssertionError):
    """An operation of the API ended as failed."""


class Api:
    """The API at 127.0.0.1:`port`. Any thread may use it; every call is a connection of its own.

    key: the bearer key, or None. Paths are below the mount path.
    """

    def __init__(self, port: int, key: str | None, openapi: OpenApi, host: str = "127.0.0.1"):
        self.host, self.port, self.key, self.openapi = host, port, key, openapi
        self._project: str | None = None

    def call(self, method: str, path: str, body=None, query: dict | None = None,
             expect: int | tuple[int, ...] | None = None, headers: dict | None = None,
             judged: bool = True, timeout: float = TIMEOUT_S) -> Answer:
        """expect: the status that must come; without it any below 400. judged: False for what breaks
        the API's rules on purpose, where only the answer is held against the file."""
        sent = {"Accept": "application/json", **(headers or {})}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        query = {n: v for n, v in (query or {}).items() if v is not None}
        if judged:
            text = [(n, _as_text(v)) for n, v in query.items()]
            self._no(self.openapi.check_request(method, path, text, data))
        target = MOUNT + path + ("?" + urlencode({n: _as_text(v) for n, v in query.items()}) if query else "")
        answer = self._exchange(method, path, target, data, sent, timeout)
        wanted = (expect,) if isinstance(expect, int) else expect
        if (answer.status not in wanted) if wanted else answer.status >= 400:
            raise AssertionError(f"expected {wanted or 'success'}: {answer}")
        if self.openapi.operation(method, path) is not None:
            self._no(self.openapi.check_response(method, path, answer.status,
                                                 answer.headers.get("content-type"), answer.body))
        elif answer.status >= 400:
            self._no(self.openapi.errors(answer.json, "GeneralError"))
        return answer

    def _exchange(self, method, path, target, data, headers, timeout) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        began = time.monotonic()
        try:
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
            return Answer(method, path, response.status, response.getheaders(), response.read(),
                          time.monotonic() - began)
        finally:
            connection.close()

    @staticmethod
    def _no(problems: list[str]) -> None:
        if problems:
            raise AssertionError("not as the OpenAPI file says:\n" + "\n".join(problems))

    # what tests mostly do

    @property
    def project(self) -> str:
        """The id of the only project."""
        if self._project is None:
            self._project, = [p["id"] for p in self.call("GET", "/projects")["projects"]]
        return self._project

    def get(self, path: str, **more) -> Answer:
        return self.call("GET", self.at(path), **more)

    def post(self, path: str, body=None, **more) -> Answer:
        return self.call("POST", self.at(path), body, **more)

    def patch(self, path: str, body=None, **more) -> Answer:
        return self.call("PATCH", self.at(path), body, **more)

    def put(self, path: str, body=None, **more) -> Answer:
        return self.call("PUT", self.at(path), body, **more)

    def delete(self, path: str, **more) -> Answer:
        return self.call("DELETE", self.at(path), **more)

    def at(self, path: str) -> str:
        """Paths that do not begin with a slash are below the project."""
        if path.startswith("/"):
            return path
        return f"/projects/{self.project}/{path}" if path else f"/projects/{self.project}"

    def branches(self) -> dict[str, dict]:
        """Name → branch."""
        return {b["name"]: b for b in self.get("branches")["branches"]}

    def branch(self, name: str) -> dict:
        branches = self.branches()
        if name not in branches:
            raise AssertionError(f"there is no branch {name!r}, but {sorted(branches)}")
        return branches[name]

    def default_branch(self) -> dict:
        found, = [b for b in self.branches().values() if b["default"]]
        return found

    def wait(self, answer: Answer | list[dict], timeout: float = TIMEOUT_S) -> None:
        """Until the operations of an answer have ended; OperationFailed if one of them failed."""
        deadline = time.monotonic() + timeout
        for operation in answer if isinstance(answer, list) else answer["operations"]:
            while operation["status"] not in ENDED_WELL:
                if operation["status"] in ENDED_BADLY:
                    raise OperationFailed(f"operation {operation['action']} of branch "
                                          f"{operation.get('branch_id')}: {operation.get('error')}")
                if time.monotonic() > deadline:
                    raise AssertionError(f"operation {operation['action']} was {operation['status']} "
                                         f"after {timeout} s")
                time.sleep(POLL_S)
                operation = self.get(f"operations/{operation['id']}")["operation"]


def _as_text(value) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


class Exchange:
    """One request and its answer, as they went through the proxy; `path` is below the mount path."""

    def __init__(self, method, path, query, headers, body, status, media, answer, problems):
        self.method, self.path, self.query, self.headers, self.body = method, path, query, headers, body
        self.status, self.media, self.answer, self.problems = status, media, answer, problems

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    def __str__(self):
        return f"{self.method} {self.path} {self.status}"


class ApiProxy:
    """Listens on a port of its own and passes requests on to 127.0.0.1:`upstream`. Thread-safe.

    Requests for what the API does not have (a newer client's features) are passed on too, and only the
    answer to them is judged: it must be an error that the API's clients can read.
    """

    def __init__(self, upstream: int, openapi: OpenApi):
        self.upstream, self._openapi = upstream, openapi
        self.exchanges: list[Exchange] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                proxy._pass_on(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        at_exit(self.close)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{MOUNT}"

    @property
    def problems(self) -> list[str]:
        with self._lock:
            return [problem for exchange in self.exchanges for problem in exchange.problems]

    def clear(self) -> None:
        with self._lock:
            self.exchanges.clear()

    def requests(self) -> list[str]:
        """"GET /projects/…" of each so far, in order."""
        with self._lock:
            return [f"{e.method} {e.path}" for e in self.exchanges]

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {n: v for n, v in handler.headers.items() if n.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=TIMEOUT_S)
        try:
            connection.request(handler.command, handler.path, body=body or None, headers=headers)
            response = connection.getresponse()
            answer = response.read()
        except OSError:
            handler.close_connection = True  # as a client would see it without the proxy
            return
        finally:
            connection.close()
        self._note(handler, body, response, answer)
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP | {"date", "server"}:
                handler.send_header(name, value)
        if response.status != 204:
            handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def _note(self, handler, body: bytes, response, answer: bytes) -> None:
        raw, _, query_text = handler.path.partition("?")
        path, query = raw.removeprefix(MOUNT), parse_qsl(query_text, keep_blank_values=True)
        method, media = handler.command, response.getheader("Content-Type")
        problems = []
        if not raw.startswith(MOUNT + "/"):
            problems.append(f"{method} {raw}: is outside {MOUNT}")
        elif self._openapi.operation(method, path) is None:
            if response.status < 400:
                problems.append(f"{method} {path}: {response.status}: the API has no such operation")
            else:
                problems += self._error_problems(f"{method} {path}", answer)
        else:
            problems += [problem for problem in self._openapi.check_request(
                method, path, query, body, handler.headers.get("Content-Type") or "application/json")
                if not any(known in problem for known in STOCK_CLIENTS_OWN)]
            problems += self._openapi.check_response(method, path, response.status, media, answer)
        with self._lock:
            self.exchanges.append(Exchange(method, path, query, dict(handler.headers.items()), body,
                                           response.status, media, answer, problems))

    def _error_problems(self, where: str, answer: bytes) -> list[str]:
        try:
            return [f"{where}: {p}" for p in self._openapi.errors(json.loads(answer), "GeneralError")]
        except ValueError:
            return [f"{where}: the error is no JSON"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        forget_exit(self.close)

    def __enter__(self) -> "ApiProxy":
        return self

    def __exit__(self, *_) -> None:
        self.close()
