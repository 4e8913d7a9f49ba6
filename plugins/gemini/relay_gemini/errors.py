"""Errors, read and written. https://google.aip.dev/193"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import orjson

from relay.values.content import Content
from relay.wire.dialect import Refusal, Surface
from relay.wire.vocabulary import Failure
from relay_gemini.surfaces import OPERATIONS

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
    """Status, headers and body of a refusal. How long to wait stands in the body, where this provider tells it, and in the relay's own
    header, the same for all dialects.
    """
    return refusal.status, {"content-type": "application/json; charset=UTF-8"}, _body(refusal)


def refuse_in_stream(surface: Surface, content_type: str, refusal: Refusal) -> bytes:
    """What ends an answer that has begun.

    A stream of events gets an event, with CRLF as its others. A stream that is an array gets one more element and its end: frames
    go out whole, so what was sent before ends with an element, and the last element of the array is the error. (Before the first
    element this is no JSON, which a client notices as well.) Nothing else can hold an error, so nothing is added there, and the
    connection has to be broken.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return b"data: %b\r\n\r\n" % _body(refusal)
    return (
        b",\n%b]" % _body(refusal)
        if OPERATIONS[surface.name] == "generate.stream" and kind == "application/json"
        else b""
    )


def _body(refusal: Refusal) -> bytes:
    """`error` comes first and alone: the Python client looks for it at the start of a chunk."""
    status = _STATUS.get(refusal.status, "INVALID_ARGUMENT" if refusal.status < 500 else "INTERNAL")
    details: list[dict[str, Any]] = [
        {"@type": _DETAIL + "ErrorInfo", "reason": refusal.code, "domain": "relay"},
        {"@type": _DETAIL + "RequestInfo", "requestId": refusal.exchange_id},
    ]
    if refusal.retry_after_s is not None:
        details.append({"@type": _DETAIL + "RetryInfo", "retryDelay": f"{max(0, ceil(refusal.retry_after_s))}s"})
    error = {"code": refusal.status, "message": refusal.message, "status": status, "details": details}
    return orjson.dumps({"error": error})
