"""AWS Signature Version 4 as a server checks it, derived from what arrived. Part of fake_s3.py.

Written from AWS's description ("Authenticating Requests: Using the Authorization Header"), not from
holdfast's signer, so that one error in reading it does not hide another. Strict where AWS is: host and every
x-amz-* header must be signed, the payload's hash must be the payload's, the date must be near.
"""

import hashlib
import hmac
import re
from datetime import datetime, timezone
from urllib.parse import quote, unquote_to_bytes

SKEW_MAX_S = 15 * 60
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/,\s]+)/(?P<day>\d{8})/"
                         r"(?P<region>[^/,\s]+)/s3/aws4_request,\s*"
                         r"SignedHeaders=(?P<names>[a-z0-9;.-]+),\s*Signature=(?P<hex>[0-9a-f]{64})$")


class S3Error(Exception):
    """What S3 answers with: an HTTP status, a code, a message; `more` are further elements."""

    def __init__(self, status: int, code: str, message: str = "", headers: dict | None = None, **more):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.more = status, code, message or code, more
        self.headers = headers or {}


def encode(raw: bytes, keep: str = "") -> str:
    """RFC 3986: everything but letters, digits and -._~ in upper-case hexadecimal."""
    return quote(raw, safe="-._~" + keep)


def split_query(query: str) -> list[tuple[str, str]]:
    """The parameters as text, in the order sent; a bare + would mean different things to different readers."""
    if "+" in query:
        raise S3Error(400, "InvalidURI", "a + in the query has to be %2B or %20")
    pairs = []
    for piece in query.split("&") if query else []:
        name, _, value = piece.partition("=")
        try:
            pairs.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
        except UnicodeDecodeError:
            raise S3Error(400, "InvalidURI", "the query is no UTF-8") from None
    return pairs


def canonical_request(method: str, raw_path: str, query: str, headers: dict[str, str],
                      names: list[str], payload: str) -> str:
    pairs = sorted((encode(n.encode()), encode(v.encode())) for n, v in split_query(query))
    return "\n".join([
        method, encode(unquote_to_bytes(raw_path), keep="/"), "&".join(f"{n}={v}" for n, v in pairs),
        *(f"{name}:{' '.join(headers[name].split())}" for name in names), "",
        ";".join(names), payload])


def signature(secret: str, day: str, region: str, stamp: str, request: str) -> str:
    key = ("AWS4" + secret).encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, f"{day}/{region}/s3/aws4_request",
                      hashlib.sha256(request.encode()).hexdigest()])
    return hmac.digest(key, text.encode(), "sha256").hex()


def _check_time(stamp: str, day: str) -> None:
    try:
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise S3Error(403, "AccessDenied", "AWS authentication requires a valid x-amz-date") from None
    if stamp[:8] != day:
        raise S3Error(400, "AuthorizationHeaderMalformed", "the credential's date is not the request's")
    if abs((datetime.now(timezone.utc) - at).total_seconds()) > SKEW_MAX_S:
        raise S3Error(403, "RequestTimeTooSkewed",
                      "The difference between the request time and the current time is too large.")


def check_signature(login, region: str, method: str, raw_path: str, query: str,
                    headers: dict[str, str], body_sha256: str) -> None:
    """login: an object with access_key, secret_key, session_token (or None). Raises S3Error."""
    given = headers.get("authorization", "")
    if not given:
        raise S3Error(403, "AccessDenied", "anonymous access is forbidden")
    match = _CREDENTIAL.match(given)
    if not match:
        raise S3Error(400, "AuthorizationHeaderMalformed", "the authorization header is malformed")
    names = match["names"].split(";")
    if names != sorted(set(names)) or any(name not in headers for name in names):
        raise S3Error(400, "AuthorizationHeaderMalformed", "SignedHeaders is not what was sent")
    if unsigned := [n for n in headers if (n == "host" or n.startswith("x-amz-")) and n not in names]:
        raise S3Error(403, "AccessDenied", f"there were headers which were not signed: {unsigned}")
    if match["id"] != login.access_key:
        raise S3Error(403, "InvalidAccessKeyId",
                      "The AWS Access Key Id you provided does not exist in our records.")
    if headers.get("x-amz-security-token") != login.session_token:
        raise S3Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if match["region"] != region:
        raise S3Error(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; "
                      f"the region '{match['region']}' is wrong; expecting '{region}'", Region=region)
    stamp = headers.get("x-amz-date", "")
    _check_time(stamp, match["day"])
    payload = headers.get("x-amz-content-sha256", "")
    if payload != "UNSIGNED-PAYLOAD" and not re.fullmatch(r"[0-9a-f]{64}", payload):
        raise S3Error(400, "InvalidRequest", "x-amz-content-sha256 must be a hash or UNSIGNED-PAYLOAD")
    request = canonical_request(method, raw_path, query, headers, names, payload)
    good = signature(login.secret_key, match["day"], region, stamp, request)
    if not hmac.compare_digest(good, match["hex"]):
        raise S3Error(403, "SignatureDoesNotMatch", "The request signature we calculated does not "
                      "match the signature you provided. Check your key and signing method.",
                      CanonicalRequest=request)
    if payload not in ("UNSIGNED-PAYLOAD", body_sha256):
        raise S3Error(400, "XAmzContentSHA256Mismatch",
                      "The provided 'x-amz-content-sha256' header does not match what was computed.")
