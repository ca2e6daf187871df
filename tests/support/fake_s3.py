"""FakeS3: a strict S3 server of our own that fails on demand. Part of harness.py, which tests import.

Why: real servers forgive much (a missing Content-MD5, an unsigned header, parts out of order) and cannot be
told to fail at the seventh request. This one refuses what AWS would refuse and injects faults. It is
cross-checked with stock `aws` (test_fake_s3.py), so that holdfast is not tested against a
misunderstanding of ours alone.

    fake = harness.FakeS3(); fake.make_bucket("safe")
    fake.fail("503", op="UploadPart", first=2)       # the second part sent is refused once
    fake.seen                                        # every request so far: op, key, status, fault

Signatures: fake_s3_signature.py. Buckets: fake_s3_bucket.py. Here: requests, answers, faults. Runs in
threads of this process; as a program (`fake_s3.py --dir D --port P --bucket B`, the login from AWS's
variables) it is the server of bench/s3. Thread-safe.

Faults, by what has happened to the request:
- nothing: `500`, `503`, `429` (with Retry-After), `expired`, `denied`, `skew`; `reset` (before the body is
  read), `reset-body` (half-way through it), `stall` (no answer), `200-error` (an error in an answer of 200, as S3 answers to the end of an upload)
- it was carried out: `lost` (a reset instead of an answer), `500-after`, `garbage` (a web page instead),
  `wrong-etag` (of what was stored)
- of bodies sent: `cut` (reset half-way), `truncated` (closed half-way), `short` (less, and said so),
  `flip` (one bit of it is wrong)
"""

import argparse
import hashlib
import html
import io
import os
import re
import select
import shutil
import socket
import ssl
import struct
import sys
import threading
from collections import namedtuple
from datetime import datetime, timezone
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes
from xml.etree import ElementTree

from fake_http import STALL_MAX_S, FakeHandler, FakeHttpServer
from fake_s3_bucket import KEY_BYTES_MAX, Body, Bucket, Object
from fake_s3_signature import S3Error, check_signature, split_query
from harness_base import random_secret
from s3_servers import S3Server

BLOCK_BYTES = 1 << 20
BODY_BYTES_MAX = 5 << 30
LIST_MAX = 1000
HEADERS_KNOWN = frozenset(
    "x-amz-date x-amz-content-sha256 x-amz-security-token x-amz-storage-class x-amz-acl "
    "x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id "
    "x-amz-object-lock-mode x-amz-object-lock-retain-until-date "
    "x-amz-bucket-object-lock-enabled x-amz-expected-bucket-owner".split())
# What each operation may have in its query, beside what names it.
PARAMETERS = {
    "ListObjectsV2": {"list-type", "prefix", "delimiter", "max-keys", "continuation-token",
                      "start-after", "encoding-type", "fetch-owner"},
    "ListMultipartUploads": {"uploads", "prefix", "max-uploads", "key-marker", "upload-id-marker",
                             "encoding-type", "delimiter"},
    "CreateMultipartUpload": {"uploads"}, "UploadPart": {"partNumber", "uploadId"},
    "CompleteMultipartUpload": {"uploadId"}, "AbortMultipartUpload": {"uploadId"},
    "GetBucketLocation": {"location"},
}
REFUSALS = {
    "500": (500, "InternalError"), "503": (503, "SlowDown"), "429": (429, "TooManyRequests"),
    "expired": (400, "ExpiredToken"), "denied": (403, "AccessDenied"),
    "skew": (403, "RequestTimeTooSkewed"),
}
FAULTS = frozenset(REFUSALS) | frozenset(
    "reset reset-body stall 200-error lost 500-after garbage wrong-etag cut truncated short flip"
    .split())
Seen = namedtuple("Seen", "op key status fault")


class Fault:
    """A kind of failure that happens to the `first` matching request and `count - 1` after it."""

    def __init__(self, kind: str, op: str | None, key: str, first: int, count: float):
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        self.kind, self.op, self.key, self.first, self.count = kind, op, key, first, count
        self.matched = self.happened = 0

    def meets(self, op: str, key: str) -> bool:
        if self.op not in (None, op) or self.key not in key:
            return False
        self.matched += 1
        if not self.first <= self.matched < self.first + self.count:
            return False
        self.happened += 1
        return True


class Drop(Exception):
    """No answer: the connection is reset."""


def element(name: str, *inside) -> str:
    return f"<{name}>{''.join(str(i) for i in inside)}</{name}>"


def text(name: str, value) -> str:
    return element(name, html.escape(str(value), quote=False))


def document(name: str, *inside) -> bytes:
    """As S3 does it: a name space for results, none for errors."""
    space = "" if name == "Error" else ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<{name}{space}>{''.join(inside)}</{name}>").encode()


def iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class FakeS3(S3Server):
    """session_token: asked for with every request. tls: (certificate, key), for https. data: its folder.
    knows_if_none_match: False answers a conditional write with 501, as older servers do."""

    def __init__(self, session_token: str | None = None, tls: tuple | None = None, port: int = 0,
                 data: Path | None = None, login: tuple | None = None,
                 knows_if_none_match: bool = True):
        super().__init__(*(login or ("AKFAKE" + os.urandom(5).hex().upper(), random_secret())))
        self.session_token, self.knows_if_none_match = session_token, knows_if_none_match
        self.port = port or self.port
        self.data = data or self.dir / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.buckets: dict[str, Bucket] = {}
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = _HttpServer(("127.0.0.1", self.port), self, tls)
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def env(self, **more) -> dict[str, str]:
        token = {"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {}
        return super().env(**token, **more)

    def make_bucket(self, name: str, has_lock: bool = False) -> str:
        folder = self.data / name
        folder.mkdir()
        with self._lock:
            self.buckets[name] = Bucket(folder, has_lock)
        return name

    def fail(self, kind: str, op: str | None = None, key: str = "", first: int = 1,
             count: float = 1) -> Fault:
        """key: what the key contains. count: float('inf') for ever after. See the list above."""
        fault = Fault(kind, op, key, first, count)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """No more faults; forgets what it has seen."""
        with self._lock:
            self._faults.clear()
        self.seen = []

    def fault_for(self, op: str, key: str) -> str | None:
        with self._lock:
            kinds = [fault.kind for fault in self._faults if fault.meets(op, key)]
        return kinds[0] if kinds else None

    def objects(self, bucket: str, prefix: str = "") -> dict[str, int]:
        return {o.key: o.bytes for o in self.buckets[bucket].list_objects(prefix, "", sys.maxsize)[0]}

    def uploads(self, bucket: str) -> list[str]:
        return [u.key for u in self.buckets[bucket].list_uploads("", ("", ""), sys.maxsize)[0]]

    def drop_bucket(self, name: str) -> None:
        with self._lock:
            del self.buckets[name]
        shutil.rmtree(self.data / name)

    def place(self, bucket: str, key: str, content: bytes) -> None:
        """An object that nobody sent."""
        path = self.data / bucket / os.urandom(12).hex()
        path.write_bytes(content)
        body = Body(path, len(content), hashlib.md5(content).digest(), "")
        self.buckets[bucket].put(key, {}, body)

    def content(self, bucket: str, key: str) -> bytes:
        return b"".join(path.read_bytes() for path, _ in self.buckets[bucket].get(key).files)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        super().close()


class _HttpServer(FakeHttpServer):
    def __init__(self, address, fake: FakeS3, tls):
        super().__init__(address, Handler, fake)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)


class Handler(FakeHandler):
    server_version = "FakeS3"

    # one request

    def _serve(self):
        fake = self.server.fake
        self.fault, self.op, self.key, self.body = None, "?", "", None
        self.status = 0
        try:
            try:
                self._read_request(fake)
                self._answer_to(fake)
            except S3Error as error:
                self._send_error(error)
            self.wfile.flush()
        except (Drop, ConnectionError, TimeoutError):
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.wfile = io.BytesIO()
        finally:
            if self.body and not self.body_kept:
                self.body.path.unlink(missing_ok=True)
            fake.seen.append(Seen(self.op, self.key, self.status, self.fault))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    def _read_request(self, fake):
        self.low = {name.lower(): value for name, value in self.headers.items()}
        self.path_raw, _, self.query_raw = self.path.partition("?")
        try:
            path = unquote_to_bytes(self.path_raw).decode()
        except UnicodeDecodeError:
            raise S3Error(400, "InvalidURI", "the path is no UTF-8") from None
        host = self.low.get("host", "").partition(":")[0]
        if host.endswith(".localhost"):
            self.bucket_name, self.key = host.removesuffix(".localhost"), path[1:]
        else:
            self.bucket_name, _, self.key = path[1:].partition("/")
        self.query = dict(split_query(self.query_raw))
        self.op = self._operation()
        self.fault = fake.fault_for(self.op, self.key)
        if self.fault == "reset":
            raise Drop
        if self.fault == "stall":
            self._stall(fake)
        self._read_body(fake)
        if self.fault in REFUSALS:
            status, code = REFUSALS[self.fault]
            raise S3Error(status, code, headers={"Retry-After": "1"} if status == 429 else None)
        check_signature(fake, fake.region, self.command, self.path_raw, self.query_raw, self.low,
                        self.body.sha256)
        unknown = [n for n in self.low if n.startswith("x-amz-") and n not in HEADERS_KNOWN
                   and not n.startswith("x-amz-meta-")]
        strange = set(self.query) - PARAMETERS.get(self.op, set())
        if unknown or strange:
            raise S3Error(501, "NotImplemented", f"unknown here: {[*unknown, *strange]}")
        if "if-none-match" in self.low and not fake.knows_if_none_match:
            raise S3Error(501, "NotImplemented", "If-None-Match is not implemented")
        if len(self.key.encode()) > KEY_BYTES_MAX:
            raise S3Error(400, "KeyTooLongError", "Your key is too long")

    def _operation(self) -> str:
        has = self.query.__contains__
        if not self.bucket_name:
            table = {"GET": "ListBuckets"}
        elif not self.key:
            table = {"PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket",
                     "GET": "ListMultipartUploads" if has("uploads") else
                     "GetBucketLocation" if has("location") else "ListObjectsV2"}
        else:
            part = has("uploadId")
            table = {"PUT": "UploadPart" if part else "PutObject", "HEAD": "HeadObject",
                     "GET": "GetObject", "DELETE": "AbortMultipartUpload" if part else "DeleteObject",
                     "POST": "CreateMultipartUpload" if has("uploads") else "CompleteMultipartUpload"}
        return table.get(self.command, "MethodNotAllowed")

    def _stall(self, fake):
        """Until the client has gone."""
        for _ in range(STALL_MAX_S * 10):
            if fake.closing.wait(0.05):
                break
            if select.select([self.connection], [], [], 0.05)[0]:
                if not self.connection.recv(BLOCK_BYTES):
                    break
        raise Drop

    def _read_body(self, fake):
        given = self.low.get("content-length")
        if "transfer-encoding" in self.low or (given is None and self.command in ("PUT", "POST")):
            self.close_connection = True
            raise S3Error(411, "MissingContentLength", "You must provide the Content-Length header.")
        count = int(given or 0)
        if count > BODY_BYTES_MAX:
            self.close_connection = True
            raise S3Error(400, "EntityTooLarge")
        folder = fake.data / self.bucket_name
        path = (folder if self.bucket_name in fake.buckets else fake.data) / os.urandom(12).hex()
        md5, sha256, left = hashlib.md5(), hashlib.sha256(), count
        self.body_kept = False
        with open(path, "wb", buffering=0) as file:
            self.body = Body(path, count, b"", "")
            while left:
                if self.fault == "reset-body" and left <= count // 2:
                    raise Drop
                block = self.rfile.read(min(left, BLOCK_BYTES, max(1, count // 2)))
                if not block:
                    raise Drop  # the client went away
                left -= len(block)
                file.write(block)
                md5.update(block)
                sha256.update(block)
        if self.fault == "reset-body":
            raise Drop
        self.body = Body(path, count, md5.digest(), sha256.hexdigest())

    # answers

    def _answer_to(self, fake):
        if self.fault == "200-error" and self.op != "CompleteMultipartUpload":
            raise S3Error(500, "InternalError")
        if self.fault == "200-error":
            return self._send(200, document("Error", text("Code", "InternalError"),
                                            text("Message", "We encountered an internal error.")))
        status, headers, body = getattr(self, "_op_" + self.op, self._not_allowed)(fake)
        if self.fault == "lost":
            raise Drop
        if self.fault == "500-after":
            raise S3Error(500, "InternalError")
        if self.fault == "garbage":
            headers, body = {"Content-Type": "text/html"}, b"<html><body>Please log in</body></html>"
        if self.fault == "wrong-etag" and self.command == "PUT" and "ETag" in headers:
            headers["ETag"] = f'"{hashlib.md5(headers["ETag"].encode()).hexdigest()}"'
        return self._send(status, body, headers)

    def _send_error(self, error: S3Error):
        more = "".join(text(name, value) for name, value in error.more.items())
        body = document("Error", text("Code", error.code), text("Message", error.message), more,
                        text("RequestId", "FAKE"))
        self._send(error.status, body, {"Content-Type": "application/xml", **error.headers})

    def _send(self, status: int, body, headers: dict | None = None):
        """body: bytes, or the spans of an Object."""
        self.status = status
        count = len(body) if isinstance(body, bytes) else sum(span[2] for span in body)
        limit = count // 2 if self.fault in ("cut", "truncated", "short") else count
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            if value is not None:
                self.send_header(name, value)
        if not (self.command == "HEAD" and headers and "Content-Length" in headers) and status != 204:
            self.send_header("Content-Length", str(limit if self.fault == "short" else count))
        if self.close_connection or self.fault == "truncated":
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD" or status == 204:
            return
        self._send_body(body, limit)
        if self.fault == "cut":
            self.wfile.flush()
            raise Drop

    def _send_body(self, body, limit: int):
        if isinstance(body, bytes):
            self.wfile.write(self._flipped(body[:limit]))
            return
        self.wfile.flush()
        for path, offset, size in body:
            size = min(size, limit)
            limit -= size
            with open(path, "rb", buffering=0) as file:
                if self.fault == "flip" and size:
                    self.connection.sendall(self._flipped(os.pread(file.fileno(), size, offset)))
                    self.fault = "flip (done)"
                elif size and isinstance(self.connection, ssl.SSLSocket):
                    self.connection.sendall(os.pread(file.fileno(), size, offset))
                elif size:
                    self.connection.sendfile(file, offset, size)

    def _flipped(self, content: bytes) -> bytes:
        if self.fault != "flip" or not content:
            return content
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]

    # operations: (status, headers, body)

    def _not_allowed(self, _):
        raise S3Error(405, "MethodNotAllowed",
                      "The specified method is not allowed against this resource.")

    def _bucket(self, fake) -> Bucket:
        if self.bucket_name not in fake.buckets:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
        return fake.buckets[self.bucket_name]

    def _op_ListBuckets(self, fake):
        names = "".join(element("Bucket", text("Name", n)) for n in sorted(fake.buckets))
        return 200, {}, document("ListAllMyBucketsResult", element("Buckets", names))

    def _op_CreateBucket(self, fake):
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", self.bucket_name):
            raise S3Error(400, "InvalidBucketName", "The specified bucket is not valid.")
        if self.bucket_name in fake.buckets:
            raise S3Error(409, "BucketAlreadyOwnedByYou")
        fake.make_bucket(self.bucket_name,
                         self.low.get("x-amz-bucket-object-lock-enabled", "").lower() == "true")
        return 200, {"Location": "/" + self.bucket_name}, b""

    def _op_HeadBucket(self, fake):
        self._bucket(fake)
        return 200, {"x-amz-bucket-region": fake.region}, b""

    def _op_GetBucketLocation(self, fake):
        self._bucket(fake)
        return 200, {}, document("LocationConstraint",
                                 "" if fake.region == "us-east-1" else fake.region)

    def _shown(self, key: str) -> str:
        if self.query.get("encoding-type") == "url":
            return quote(key, safe="/-._~")
        if any(ord(c) < 32 for c in key):
            raise S3Error(500, "InternalError", "XML cannot hold this key")
        return key

    def _op_ListObjectsV2(self, fake):
        bucket, query = self._bucket(fake), self.query
        if query.get("list-type") != "2":
            raise S3Error(501, "NotImplemented", "only ListObjectsV2 is")
        if query.get("encoding-type", "url") != "url":
            raise S3Error(400, "InvalidArgument", "Invalid Encoding Method specified in Request")
        try:
            count = min(LIST_MAX, int(query.get("max-keys", LIST_MAX)))
            after = bytes.fromhex(query["continuation-token"]).decode() \
                if "continuation-token" in query else query.get("start-after", "")
        except ValueError:
            raise S3Error(400, "InvalidArgument", "The continuation token is incorrect") from None
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        found, more = bucket.list_objects(prefix, after, count)
        folders, items = [], []
        for one in found:
            at = one.key.find(delimiter, len(prefix)) if delimiter else -1
            if at >= 0:
                folders.append(one.key[:at + len(delimiter)])
                continue
            items.append(element(
                "Contents", text("Key", self._shown(one.key)), text("Size", one.bytes),
                text("LastModified", iso_time(one.modified)), text("ETag", one.etag),
                text("StorageClass", one.headers.get("x-amz-storage-class", "STANDARD"))))
        token = text("NextContinuationToken", found[-1].key.encode().hex()) if more else ""
        encoding = text("EncodingType", "url") if "encoding-type" in query else ""
        common = "".join(element("CommonPrefixes", text("Prefix", self._shown(name)))
                         for name in dict.fromkeys(folders))
        return 200, {}, document(
            "ListBucketResult", text("Name", self.bucket_name), text("Prefix", self._shown(prefix)),
            text("MaxKeys", count), text("KeyCount", len(found)),
            text("IsTruncated", str(more).lower()), token, encoding, *items, common)

    def _op_ListMultipartUploads(self, fake):
        query = self.query
        key = query.get("key-marker", "")
        # Without an id, all of the marker's own key count as seen.
        after = (key, query.get("upload-id-marker", "~" if key else ""))
        count = min(LIST_MAX, int(query.get("max-uploads", LIST_MAX)))
        found, more = self._bucket(fake).list_uploads(query.get("prefix", ""), after, count)
        items = [element("Upload", text("Key", self._shown(u.key)), text("UploadId", u.id),
                         text("Initiated", iso_time(u.begun))) for u in found]
        tail = [text("NextKeyMarker", self._shown(found[-1].key)),
                text("NextUploadIdMarker", found[-1].id)] if more else []
        return 200, {}, document(
            "ListMultipartUploadsResult", text("Bucket", self.bucket_name),
            text("IsTruncated", str(more).lower()), *tail,
            text("EncodingType", "url") if "encoding-type" in query else "", *items)

    def _op_PutObject(self, fake):
        made = self._bucket(fake).put(self.key, self.low, self.body)
        self.body_kept = True
        return 200, {"ETag": made.etag, **self._kept(made, encryption_only=True)}, b""

    @staticmethod
    def _kept(of, encryption_only: bool = False) -> dict[str, str]:
        return {n: v for n, v in of.headers.items()
                if not encryption_only or n.startswith("x-amz-server-side-encryption")}

    def _conditions(self, found: Object):
        wanted = self.low.get("if-match")
        if wanted is not None and wanted != found.etag:
            raise S3Error(412, "PreconditionFailed", Condition="If-Match")

    def _facts(self, found: Object) -> dict[str, str]:
        return {"ETag": found.etag, "Accept-Ranges": "bytes",
                "Last-Modified": formatdate(found.modified, usegmt=True),
                **{n: v for n, v in self._kept(found).items() if n != "content-type"},
                "Content-Type": found.headers["content-type"]}

    def _op_HeadObject(self, fake):
        found = self._bucket(fake).get(self.key)
        self._conditions(found)
        return 200, {**self._facts(found), "Content-Length": str(found.bytes)}, b""

    def _op_GetObject(self, fake):
        found = self._bucket(fake).get(self.key)
        self._conditions(found)
        size, given = found.bytes, self.low.get("range")
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", given) if given else None
        if not match or match.groups() == ("", ""):
            return 200, self._facts(found), list(found.spans(0, size))
        first, last = match.groups()
        if not first:
            first, last = max(0, size - int(last)), size - 1
        first, last = int(first), min(int(last) if last != "" else size - 1, size - 1)
        if first >= size or first > last:
            raise S3Error(416, "InvalidRange", "The requested range is not satisfiable",
                          headers={"Content-Range": f"bytes */{size}"})
        return 206, {**self._facts(found), "Content-Range": f"bytes {first}-{last}/{size}"}, \
            list(found.spans(first, last - first + 1))

    def _op_DeleteObject(self, fake):
        self._bucket(fake).delete(self.key)
        return 204, {}, b""

    def _op_CreateMultipartUpload(self, fake):
        upload = self._bucket(fake).begin_upload(self.key, self.low)
        return 200, self._kept(upload, encryption_only=True), document(
            "InitiateMultipartUploadResult", text("Bucket", self.bucket_name), text("Key", self.key),
            text("UploadId", upload.id))

    def _op_UploadPart(self, fake):
        try:
            number = int(self.query.get("partNumber", ""))
        except ValueError:
            raise S3Error(400, "InvalidArgument", "Part number must be an integer") from None
        bucket, id = self._bucket(fake), self.query["uploadId"]
        etag = bucket.put_part(self.key, id, number, self.low, self.body)
        self.body_kept = True
        with bucket.lock:
            upload = bucket.uploads.get(id)
        return 200, {"ETag": etag, **(self._kept(upload, True) if upload else {})}, b""

    def _op_CompleteMultipartUpload(self, fake):
        try:
            root = ElementTree.fromstring(self.body.path.read_bytes())
            space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
            if root.tag != space + "CompleteMultipartUpload":
                raise ValueError(root.tag)
            wanted = [(int(part.findtext(space + "PartNumber")), part.findtext(space + "ETag"))
                      for part in root.findall(space + "Part")]
        except (ElementTree.ParseError, ValueError, TypeError):
            raise S3Error(400, "MalformedXML", "The XML you provided was not well-formed") from None
        made = self._bucket(fake).complete(self.key, self.query["uploadId"], wanted, self.low)
        return 200, self._kept(made, encryption_only=True), document(
            "CompleteMultipartUploadResult", text("Bucket", self.bucket_name), text("Key", self.key),
            text("ETag", made.etag))

    def _op_AbortMultipartUpload(self, fake):
        self._bucket(fake).abort(self.key, self.query["uploadId"])
        return 204, {}, b""


def main() -> int:
    parser = argparse.ArgumentParser(description="FakeS3 until its standard input ends")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bucket", action="append", default=[])
    args = parser.parse_args()
    login = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    fake = FakeS3(port=args.port, data=args.dir, login=login)
    for name in args.bucket:
        fake.make_bucket(name)
    print(fake.endpoint, flush=True)
    sys.stdin.read()
    fake.close()
    shutil.rmtree(args.dir, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
