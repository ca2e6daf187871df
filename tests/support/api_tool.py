"""The HTTP API over an engine without PostgreSQL (tests/support/api_tool.cc) as a process, and raw requests to it.

Part of the tests of the API server: they say exact bytes, which no HTTP library would send.
"""

import json
import os
import select
import socket
import subprocess
import threading
import time
import unittest
from urllib.parse import urlsplit

import harness

PROJECT = "holdfast-fake-00000001"
MAIN = "br-quiet-sun-00000001"


class Answer:
    """One answer, read to its end; `raw` is empty if the connection was closed without one."""

    def __init__(self, raw: bytes, status: int = 0, headers: dict | None = None, body: bytes = b""):
        self.raw, self.status, self.headers, self.body = raw, status, headers or {}, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Connection:
    """A socket that reads answers one by one (a body has a Content-Length, or the status has none)."""

    def __init__(self, address, timeout_s: float = 15):
        self.socket = socket.create_connection(address, timeout=timeout_s)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def answer(self, is_head: bool = False) -> Answer:
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return Answer(self.buffer)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        if status == 100:
            return Answer(head, status, headers)
        size = 0 if is_head or status == 204 else int(headers["content-length"])
        while len(self.buffer) < size:
            if not self.more():
                raise AssertionError(f"an answer was cut: {first} {headers}")
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return Answer(head, status, headers, body)

    def closed_within(self, seconds: float) -> bool:
        """Whether the server closes it; what it sends before is thrown away."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0] and not self.more():
                return True
        return False

    def close(self) -> None:
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class ApiTool:
    def __init__(self, *options):
        tool = harness.holdfast_bin().parent / "tests" / "api_tool"
        if not tool.exists():
            raise unittest.SkipTest("api_tool is not built")
        folder = harness.temp_dir()
        self.log: list[str] = []
        self.connections: list[Connection] = []
        self.process = subprocess.Popen([tool, folder, *map(str, options)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={"PATH": os.defpath})
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()
        line = self.process.stdout.readline().split()
        if len(line) != 2:
            raise AssertionError(f"api_tool did not start: {''.join(self.log)}")
        self.url, key = line
        self.key = harness.register_secret(key)
        parts = urlsplit(self.url)
        self.address, self.prefix = (parts.hostname, parts.port), parts.path

    def connect(self, timeout_s: float = 15) -> Connection:
        connection = Connection(self.address, timeout_s)
        self.connections.append(connection)
        return connection

    def close_connections(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def request(self, method: str, path: str, body: bytes | None = None, headers=(), key: str | None = None,
                length: bool = True) -> bytes:
        """The bytes of a request. `path` is under the prefix; none of it is encoded."""
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", "Host: test",
                 f"Authorization: Bearer {self.key if key is None else key}", *headers]
        if body is not None and length:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")

    def call(self, method: str, path: str, body=None, **options) -> Answer:
        """One request on a connection of its own."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with self.connect() as connection:
            connection.send(self.request(method, path, body, **options))
            return connection.answer(method == "HEAD")

    def raw(self, data: bytes, half_close: bool = False) -> Answer:
        with self.connect() as connection:
            try:
                connection.send(data)
                if half_close:
                    connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it answered, and closed, before it had read all
            return connection.answer()

    def memory_kib(self) -> int:
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

    def close(self) -> None:
        """Ends it; its log and output may hold no key, and it has to end well."""
        self.close_connections()
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.reader.join(timeout=10)
        self.process.stderr.close()
        harness.assert_no_secrets("".join(self.log), "the log")
        if code != 0:
            raise AssertionError(f"api_tool ended with {code}:\n{''.join(self.log[-20:])}")
