"""The rules of a bucket: objects, multipart uploads, conditions, locks. Part of fake_s3.py.

No HTTP here: requests come as keys, lower-case headers and files, and what S3 refuses is raised as S3Error.
An object is a list of files (one per part), so that completing an upload copies nothing. Thread-safe: one
lock per bucket, held for no longer than a dictionary takes.
"""

import base64
import hashlib
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from fake_s3_signature import S3Error

PART_BYTES_MIN = 5 << 20
PARTS_MAX = 10_000
KEY_BYTES_MAX = 1024
STORAGE_CLASSES = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
LOCK_MODE, LOCK_DATE = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
SSE, SSE_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"


@dataclass
class Body:
    """A request's body, received into a file."""
    path: Path
    bytes: int
    md5: bytes
    sha256: str

    def check(self, headers: dict[str, str]) -> None:
        given = headers.get("content-md5")
        if given is None:
            return
        try:
            wanted = base64.b64decode(given, validate=True)
        except ValueError:
            wanted = b""
        if len(wanted) != 16:
            raise S3Error(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
        if wanted != self.md5:
            raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match.")


@dataclass
class Object:
    key: str
    files: list[tuple[Path, int]]
    etag: str  # with its quotes
    headers: dict[str, str]
    modified: float = field(default_factory=time.time)

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.files)

    def locked(self) -> bool:
        date = self.headers.get(LOCK_DATE)
        return bool(date) and parse_time(date) > datetime.now(timezone.utc)

    def spans(self, first: int, count: int):
        """(file, offset, bytes) that together are `count` bytes from `first` on."""
        for path, size in self.files:
            take = min(size - first, count)
            if take > 0:
                yield path, first, take
                count -= take
                first = 0
            else:
                first -= size


@dataclass
class Upload:
    key: str
    id: str
    headers: dict[str, str]
    begun: float = field(default_factory=time.time)
    parts: dict[int, Body] = field(default_factory=dict)


def parse_time(text: str) -> datetime:
    for form in ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            pass
    raise S3Error(400, "InvalidArgument", "The retain until date must be provided in ISO 8601 format")


def remove_files(files: list[tuple[Path, int]]) -> None:
    for path, _ in files:
        path.unlink(missing_ok=True)


class Bucket:
    def __init__(self, folder: Path, has_lock: bool):
        self.folder, self.has_lock = folder, has_lock
        self.lock = threading.Lock()
        self.objects: dict[str, Object] = {}
        self.hidden: list[Object] = []  # older versions, of a bucket with Object Lock
        self.uploads: dict[str, Upload] = {}

    # what a new object gets

    def new_headers(self, headers: dict[str, str], body: Body | None) -> dict[str, str]:
        """What an object keeps of its request; raises what S3 would say of it."""
        kept = {n: v for n, v in headers.items()
                if n.startswith("x-amz-meta-") or n in ("content-type", SSE, SSE_KEY)}
        kept.setdefault("content-type", "binary/octet-stream")
        if sum(len(n) - 11 + len(v) for n, v in kept.items() if n.startswith("x-amz-meta-")) > 2048:
            raise S3Error(400, "MetadataTooLarge")
        if kept.get(SSE) not in (None, "AES256", "aws:kms"):
            raise S3Error(400, "InvalidArgument", "The encryption method specified is not supported")
        if SSE_KEY in kept and kept.get(SSE) != "aws:kms":
            raise S3Error(400, "InvalidArgument", "a KMS key goes with aws:kms only")
        kept.setdefault(SSE, "AES256")
        kind = headers.get("x-amz-storage-class", "STANDARD")
        if kind not in STORAGE_CLASSES:
            raise S3Error(400, "InvalidStorageClass", "The storage class you specified is not valid")
        if kind != "STANDARD":
            kept["x-amz-storage-class"] = kind
        kept.update(self._lock_headers(headers, body))
        return kept

    def _lock_headers(self, headers: dict[str, str], body: Body | None) -> dict[str, str]:
        mode, date = headers.get(LOCK_MODE), headers.get(LOCK_DATE)
        if mode is None and date is None:
            return {}
        if mode is None or date is None:
            raise S3Error(400, "InvalidArgument", f"{LOCK_MODE} and {LOCK_DATE} must both be supplied")
        if mode not in ("GOVERNANCE", "COMPLIANCE"):
            raise S3Error(400, "InvalidArgument", "Unknown wormMode directive")
        if parse_time(date) <= datetime.now(timezone.utc):
            raise S3Error(400, "InvalidArgument", "The retain until date must be in the future!")
        if not self.has_lock:
            raise S3Error(400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
        if body is not None and "content-md5" not in headers:
            raise S3Error(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is "
                          "required for Put Object requests with Object Lock parameters")
        return {LOCK_MODE: mode, LOCK_DATE: date}

    def _place(self, made: Object, headers: dict[str, str]) -> None:
        """Under the lock: makes it visible, unless If-None-Match forbids that."""
        old = self.objects.get(made.key)
        condition = headers.get("if-none-match")
        if condition not in (None, "*"):
            raise S3Error(501, "NotImplemented", "If-None-Match of a write must be *")
        if condition and old:
            raise S3Error(412, "PreconditionFailed",
                          "At least one of the pre-conditions you specified did not hold",
                          Condition="If-None-Match")
        if old and self.has_lock:
            self.hidden.append(old)
        elif old:
            remove_files(old.files)
        self.objects[made.key] = made

    @staticmethod
    def etag(md5: bytes, kept: dict[str, str]) -> str:
        """With KMS it is not the MD5 of the content, as with AWS."""
        text = md5.hex() if kept[SSE] != "aws:kms" else hashlib.md5(md5 + b"kms").hexdigest()
        return f'"{text}"'

    def put(self, key: str, headers: dict[str, str], body: Body) -> Object:
        body.check(headers)
        kept = self.new_headers(headers, body)
        made = Object(key, [(body.path, body.bytes)], self.etag(body.md5, kept), kept)
        with self.lock:
            self._place(made, headers)
        return made

    def get(self, key: str) -> Object:
        with self.lock:
            found = self.objects.get(key)
        if not found:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.", Key=key)
        return found

    def delete(self, key: str) -> None:
        """With Object Lock a bucket has versions, and even a locked object only seems to go."""
        with self.lock:
            old = self.objects.pop(key, None)
            if old and self.has_lock:
                self.hidden.append(old)
            elif old:
                remove_files(old.files)

    def list_objects(self, prefix: str, after: str, count: int) -> tuple[list[Object], bool]:
        """In the order of the keys' UTF-8; whether there are more."""
        with self.lock:
            keys = sorted((k for k in self.objects if k.startswith(prefix) and
                           k.encode() > after.encode()), key=str.encode)
            return [self.objects[k] for k in keys[:count]], len(keys) > count

    # multipart uploads

    def begin_upload(self, key: str, headers: dict[str, str]) -> Upload:
        upload = Upload(key, os.urandom(24).hex(), self.new_headers(headers, None))
        with self.lock:
            self.uploads[upload.id] = upload
        return upload

    def upload(self, key: str, id: str) -> Upload:
        """Under the lock."""
        found = self.uploads.get(id)
        if not found or found.key != key:
            raise S3Error(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may "
                          "be invalid, or the upload may have been aborted or completed.")
        return found

    def put_part(self, key: str, id: str, number: int, headers: dict[str, str], body: Body) -> str:
        if not 1 <= number <= PARTS_MAX:
            raise S3Error(400, "InvalidArgument", f"Part number must be between 1 and {PARTS_MAX}")
        body.check(headers)
        with self.lock:
            upload = self.upload(key, id)
            if old := upload.parts.get(number):
                old.path.unlink(missing_ok=True)
            upload.parts[number] = body
            return self.etag(body.md5, upload.headers)

    def complete(self, key: str, id: str, wanted: list[tuple[int, str]],
                 headers: dict[str, str]) -> Object:
        with self.lock:
            upload = self.upload(key, id)
            if not wanted:
                raise S3Error(400, "MalformedXML", "no parts")
            if [n for n, _ in wanted] != sorted({n for n, _ in wanted}):
                raise S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
            parts = []
            for number, etag in wanted:
                part = upload.parts.get(number)
                if not part or etag.strip('"') != self.etag(part.md5, upload.headers).strip('"'):
                    raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be "
                                  "found, or its ETag did not match.", PartNumber=number)
                parts.append(part)
            if any(part.bytes < PART_BYTES_MIN for part in parts[:-1]):
                raise S3Error(400, "EntityTooSmall",
                              "Your proposed upload is smaller than the minimum allowed size")
            digest = hashlib.md5(b"".join(part.md5 for part in parts)).hexdigest()
            made = Object(key, [(p.path, p.bytes) for p in parts], f'"{digest}-{len(parts)}"',
                          upload.headers)
            self._place(made, headers)
            used = {number for number, _ in wanted}
            remove_files([(p.path, 0) for n, p in upload.parts.items() if n not in used])
            del self.uploads[id]
            return made

    def abort(self, key: str, id: str) -> None:
        with self.lock:
            upload = self.upload(key, id)
            remove_files([(part.path, part.bytes) for part in upload.parts.values()])
            del self.uploads[id]

    def list_uploads(self, prefix: str, after: tuple[str, str],
                     count: int) -> tuple[list[Upload], bool]:
        with self.lock:
            found = sorted((u for u in self.uploads.values() if u.key.startswith(prefix) and
                            (u.key.encode(), u.id) > (after[0].encode(), after[1])),
                           key=lambda u: (u.key.encode(), u.id))
            return found[:count], len(found) > count
