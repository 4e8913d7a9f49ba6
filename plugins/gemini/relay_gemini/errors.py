"""Errors, read and written. https://google.aip.dev/193"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import orjson

from relay.values.content import Content
from relay.wire.dialect import Refusal
from relay.wire.vocabulary import Failure

_STATUS: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CODE: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_DETAIL = "type.googleapis.com/google.rpc."


def read(document: Mapping[str, Any]) -> Failure:
    """An error as the provider tells it, in a body or inside a stream. One without a usable code counts as a 500."""
    error = document.get("error")
    if not isinstance(error, Mapping):
        return Failure(500, "", Content(error) if isinstance(error, str) else None)
    code, kind, message = error.get("code"), error.get("status"), error.get("message")
    kind = kind if isinstance(kind, str) else ""
    status = code if isinstance(code, int) and 400 <= code <= 599 else _CODE.get(kind, 500)
    return Failure(status, kind, Content(message) if isinstance(message, str) else None)


def refuse(refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of a refusal."""
    headers = {"content-type": "application/json; charset=UTF-8"}
    if refusal.retry_after_s is not None:
        headers["retry-after"] = str(_seconds(refusal.retry_after_s))
    return refusal.status, headers, _body(refusal)


def refuse_in_stream(content_type: str, refusal: Refusal) -> bytes:
    """What ends an answer that has begun.

    A stream of events gets an event, with CRLF as its others. A stream that is an array, and every other JSON document, gets the
    error as one more element and the end of the array: what was sent before ends with an element, since frames go out whole, so
    the array parses and its last element is the error; a document that is no open array becomes no JSON at all, which its client
    notices as well. Other bytes cannot hold an error: nothing is added, and the connection has to be broken.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return b"data: %b\r\n\r\n" % _body(refusal)
    return b",\n%b]" % _body(refusal) if "json" in kind else b""


def _body(refusal: Refusal) -> bytes:
    """`error` comes first and alone: the Python client looks for it at the start of a chunk."""
    status = _STATUS.get(refusal.status, "INVALID_ARGUMENT" if refusal.status < 500 else "INTERNAL")
    details: list[dict[str, Any]] = [
        {"@type": _DETAIL + "ErrorInfo", "reason": refusal.code, "domain": "relay"},
        {"@type": _DETAIL + "RequestInfo", "requestId": refusal.exchange_id},
    ]
    if refusal.retry_after_s is not None:
        details.append({"@type": _DETAIL + "RetryInfo", "retryDelay": f"{_seconds(refusal.retry_after_s)}s"})
    error = {"code": refusal.status, "message": refusal.message, "status": status, "details": details}
    return orjson.dumps({"error": error})


def _seconds(wait_s: float) -> int:
    return max(0, ceil(wait_s))
