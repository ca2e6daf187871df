"""FakeAlertServices: GitHub, Slack, a webhook's receiver and a ping service in memory. For tests of alerts.

GitHub is strict: every request, and every answer of its own, is held against GitHub's own OpenAPI description
(install-octokit); answers are the description's example with this repository's facts in it. Slack is held against
the limits that its Block Kit reference documents. What is wrong is in `problems`, and makes close() fail.

    fake = FakeAlertServices()
    alert_tool(..., env=fake.env())
    fake.issues, fake.slack, fake.hooks, fake.pings
    fake.fail("reset", "github")       # of the next request; count= for more, ALWAYS for ever
    FakeAlertServices(github=False)    # the others alone, which need nothing from npm

Faults: a status ("500", "429" with Retry-After, "403-limit" with GitHub's rate limit headers), "reset" (no answer),
"stall" (until the client goes), "lost" (carried out, then a reset), "lost-post" (the same of the next POST).
Runs in threads of this process; thread-safe.
"""

import copy
import io
import json
import re
import socket
import struct
import subprocess
import threading
import time
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from fake_http import FakeHandler, FakeHttpServer
from harness_base import Unavailable, at_exit, forget_exit, random_secret
from harness_server import cache_dir
from openapi import OpenApi

MOUNT = "/api/v3"
REPOSITORY = "care/ops"
ALWAYS = float("inf")
SLACK_TEXTS = {"header": 150, "section": 3000}


@cache
def github_openapi() -> OpenApi:
    folder = cache_dir() / "octokit"
    script = Path(__file__).resolve().parent / "install-octokit"
    made = subprocess.run([script, folder], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        raise Unavailable(f"GitHub's description of its API: {made.stderr.strip()}")
    return OpenApi(folder / "openapi.json")


class Drop(Exception):
    """The connection is reset."""


class FakeAlertServices:
    def __init__(self, per_page_max: int = 100, github: bool = True):
        self.openapi = github_openapi() if github else None
        self.token, self.slack_key, self.hook_key = (random_secret() for _ in range(3))
        self.hook_secret, self.ping_key = random_secret(), random_secret()
        self.per_page_max = per_page_max
        self.issues: list[dict] = []  # number, title, body, state, labels, comments
        self.slack: list[dict] = []
        self.hooks: list[tuple[dict, bytes]] = []  # headers, body
        self.pings: list[tuple[str, str]] = []  # path and query, body
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._faults: list[list] = []  # [kind, service, left]
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self._server = FakeHttpServer(("127.0.0.1", 0), _Handler, self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        at_exit(self._stop)

    def env(self, *services: str, **more) -> dict[str, str]:
        """The settings of these services, or of all of them."""
        settings = {
            "github": {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_API_URL": self.url + MOUNT,
                       "GITHUB_TOKEN": self.token},
            "slack": {"SLACK_WEBHOOK": f"{self.url}/slack/{self.slack_key}"},
            "webhook": {"WEBHOOK_URL": f"{self.url}/hook/{self.hook_key}", "WEBHOOK_SECRET": self.hook_secret},
            "ping": {"PING_URL": f"{self.url}/ping/{self.ping_key}"},
        }
        found = {}
        for service in services or settings:
            found |= settings[service]
        return found | more

    def fail(self, kind: str, service: str, count: float = 1) -> None:
        with self.lock:
            self._faults.append([kind, service, count])

    def heal(self) -> None:
        with self.lock:
            self._faults.clear()

    def close(self) -> None:
        self._stop()
        if self.problems:
            raise AssertionError("not as the services say:\n" + "\n".join(self.problems))

    def _stop(self) -> None:
        if not self.closing.is_set():
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()
            forget_exit(self._stop)

    def fault_for(self, service: str, method: str) -> str | None:
        for fault in self._faults:
            if fault[1] == service and fault[2] > 0 and (fault[0] != "lost-post" or method == "POST"):
                fault[2] -= 1
                return fault[0]
        return None

    # GitHub

    def github(self, method: str, path: str, query, headers, body: bytes):
        path = path.removeprefix(MOUNT)
        problems = self.openapi.check_request(method, path, query, body,
                                              headers.get("Content-Type") or "application/json")
        for name, value in {"X-GitHub-Api-Version": "2022-11-28", "Accept": "application/vnd.github+json"}.items():
            if headers.get(name) != value:
                problems.append(f"{method} {path}: {name} is {headers.get(name)!r}")
        if not headers.get("User-Agent"):
            problems.append(f"{method} {path}: GitHub refuses requests without a User-Agent")
        self.problems += problems
        if headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {}, {"message": "Bad credentials"}
        status, more, answer = self._github_answer(method, path, dict(query), json.loads(body) if body else {})
        data = json.dumps(answer).encode()
        self.problems += self.openapi.check_response(method, path, status, "application/json", data)
        return status, more, answer

    def _github_answer(self, method: str, path: str, query: dict, body: dict):
        match = re.fullmatch(rf"/repos/{REPOSITORY}/issues(?:/(\d+))?(/comments)?", path)
        number, comments = match[1], match[2]
        if number is None and method == "POST":
            self.issues.append({"number": len(self.issues) + 1, "title": body["title"], "body": body["body"],
                                "state": "open", "labels": body["labels"], "comments": []})
            return 201, {}, self._issue(self.issues[-1])
        if number is None:
            wanted = set(query["labels"].split(","))
            found = [i for i in self.issues if i["state"] == query["state"] and wanted <= set(i["labels"])]
            return self._page(path, query, [self._issue(i) for i in found])
        if int(number) > len(self.issues):
            return 404, {}, {"message": "Not Found", "documentation_url": "https://docs.github.com"}
        issue = self.issues[int(number) - 1]
        if comments and method == "POST":
            issue["comments"].append(body["body"])
            return 201, {}, self._comment(body["body"])
        if comments:
            return self._page(path, query, [self._comment(text) for text in issue["comments"]])
        if method == "PATCH":
            issue.update(state=body["state"], reason=body["state_reason"])
        return 200, {}, self._issue(issue)

    def _page(self, path: str, query: dict, entries: list):
        per_page = min(int(query.get("per_page", 30)), self.per_page_max)
        page = int(query.get("page", 1))
        headers = {}
        if len(entries) > page * per_page:
            headers["Link"] = f'<{self.url}{MOUNT}{path}?per_page={per_page}&page={page + 1}>; rel="next"'
        return 200, headers, entries[(page - 1) * per_page:page * per_page]

    def _example(self, name: str) -> dict:
        value = self.openapi.document["components"]["examples"][name]["value"]
        return copy.deepcopy(value[0] if isinstance(value, list) else value)

    def _issue(self, issue: dict) -> dict:
        answer = self._example("issue")
        answer.pop("pull_request", None)  # GitHub's example is a pull request's
        return answer | {key: issue[key] for key in ("number", "title", "body", "state")} | {
            "labels": [{"name": label} for label in issue["labels"]], "comments": len(issue["comments"])}

    def _comment(self, text: str) -> dict:
        return self._example("issue-comment") | {"body": text}

    # the others

    def take_slack(self, headers, body: bytes):
        message = json.loads(body)
        self.problems += [f"slack: {problem}" for problem in slack_problems(message)]
        if headers.get("Content-Type") != "application/json":
            self.problems.append("slack: the body is not said to be JSON")
        self.slack.append(message)
        return 200, {}, b"ok"


def slack_problems(message: dict) -> list[str]:
    """Against docs.slack.dev: Block Kit's blocks, composition objects, formatting text."""
    problems = [f"no such member {name}" for name in message.keys() - {"text", "blocks"}]
    if not message.get("text"):
        problems.append("a message with blocks needs text, which notifications show")
    if len(message["blocks"]) > 50:
        problems.append("more than 50 blocks")
    texts = []
    for block in message["blocks"]:
        kind = block["type"]
        if kind not in ("header", "section", "context", "actions"):
            problems.append(f"no such block {kind}")
        if kind == "section" and not block.get("text") and not block.get("fields"):
            problems.append("a section without text and fields")
        if len(block.get("fields", ())) > 10 or len(block.get("elements", ())) > 25:
            problems.append(f"a {kind} with too many entries")
        for entry in [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]:
            if not entry:
                continue
            if entry["type"] == "button":
                if len(entry["text"]["text"]) > 75 or len(entry["url"]) > 3000:
                    problems.append("a button that is too long")
                entry = entry["text"]
            most = 2000 if entry in block.get("fields", ()) else SLACK_TEXTS.get(kind, 3000)
            if not 1 <= len(entry["text"]) <= most:
                problems.append(f"a text of {len(entry['text'])} characters in a {kind}")
            if kind == "header" and entry["type"] != "plain_text":
                problems.append("a header that is not plain text")
            texts.append(entry["text"])
    for text in [message["text"], *texts]:
        if re.search(r"<|>|&(?!amp;|lt;|gt;)", text):
            problems.append(f"unescaped: {text[:60]!r}")
    return problems


class _Handler(FakeHandler):
    server_version = "FakeAlertServices"

    def _serve(self):
        try:
            fake = self.server.fake
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            raw, _, query = self.path.partition("?")
            service = {"slack": "slack", "hook": "webhook", "ping": "ping"}.get(raw.split("/")[1], "github")
            with fake.lock:
                kind = fake.fault_for(service, self.command)
                fake.requests.append(f"{service} {self.command}")
                answer = self._answer(fake, service, raw, query, body, kind)
            if kind == "stall":
                self.connection.settimeout(0.1)
                while not fake.closing.is_set():
                    try:
                        if not self.connection.recv(1):
                            break
                    except TimeoutError:
                        time.sleep(0.02)
            if kind in ("reset", "stall", "lost", "lost-post"):
                raise Drop
            self._send(*answer)
        except (Drop, ConnectionError, TimeoutError):
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.wfile = io.BytesIO()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

    def _answer(self, fake, service, raw, query, body, kind):
        if kind in ("reset", "stall"):
            return None
        if kind == "403-limit":
            return 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1800)}, b"{}"
        if kind and kind.isdigit():
            return int(kind), {"Retry-After": "1800"} if kind == "429" else {}, b"no"
        if service == "github":
            status, headers, answer = fake.github(self.command, raw, parse_qsl(query), self.headers, body)
            return status, headers | {"Content-Type": "application/json"}, json.dumps(answer).encode()
        key = {"slack": fake.slack_key, "webhook": fake.hook_key, "ping": fake.ping_key}[service]
        if raw.split("/")[2] != key or self.command != "POST":
            return 404, {}, b"no"
        if service == "slack":
            return fake.take_slack(self.headers, body)
        if service == "webhook":
            fake.hooks.append((dict(self.headers), body))
        else:
            fake.pings.append(("/".join(raw.split("/")[3:]) + ("?" + query if query else ""), body.decode()))
        return 200, {}, b"OK"

    def _send(self, status: int, headers: dict, data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()
