"""Errors, read and written. https://docs.anthropic.com/en/api/errors"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from relay.values.content import Content
from relay.wire.dialect import Refusal
from relay.wire.sse import sse
from relay.wire.vocabulary import Failure

_STATUS: dict[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPE: dict[int, str] = {status: kind for kind, status in _STATUS.items()} | {408: "timeout_error"}
_OVERLOADED = 529
"""What this provider answers where others answer 503; its clients know it and wait longer before they try again."""


def read(document: Mapping[str, Any]) -> Failure:
    """An error as the provider tells it, in a body or inside a stream. An unknown type counts as a 500."""
    error = document.get("error")
    if not isinstance(error, Mapping):
        return Failure(500, "", Content(error) if isinstance(error, str) else None)
    kind, message = error.get("type"), error.get("message")
    kind = kind if isinstance(kind, str) else ""
    return Failure(_STATUS.get(kind, 500), kind, Content(message) if isinstance(message, str) else None)


def refuse(refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of a refusal. How long to wait is the relay's own header, the same for all dialects."""
    status = _OVERLOADED if refusal.status == 503 else refusal.status
    headers = {"content-type": "application/json", "request-id": refusal.exchange_id}
    return status, headers, _body(refusal)


def refuse_in_stream(content_type: str, refusal: Refusal) -> bytes:
    """What ends an answer that has begun: an error event in a stream of events. Nothing else can hold an error, so nothing is added
    there, and the connection has to be broken.
    """
    return sse(_body(refusal), "error") if content_type.lower().lstrip().startswith("text/event-stream") else b""


def _body(refusal: Refusal) -> bytes:
    status = _OVERLOADED if refusal.status == 503 else refusal.status
    kind = _TYPE.get(status, "invalid_request_error" if status < 500 else "api_error")
    error = {"type": kind, "message": refusal.message, "details": {"error_code": refusal.code}}
    return orjson.dumps({"type": "error", "error": error, "request_id": refusal.exchange_id})
