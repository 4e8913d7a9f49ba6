"""Errors: reading those of the whole family, and saying no in its words.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from relay.values.content import Content
from relay.wire.dialect import Refusal, Surface
from relay.wire.sse import sse
from relay.wire.vocabulary import Failure

_STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "moderation_blocked": 400,
    "bad_request": 400,
    "Client specified an invalid argument": 400,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "UNAUTHENTICATED": 401,
    "permission_error": 403,
    "PERMISSION_DENIED": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "NOT_FOUND": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "too_many_requests": 429,
    "RESOURCE_EXHAUSTED": 429,
    "tokens": 429,
    "requests": 429,
    "server_error": 500,
    "internal_error": 500,
    "api_error": 500,
    "INTERNAL": 500,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "overloaded_error": 503,
    "UNAVAILABLE": 503,
    "timeout": 504,
    "DEADLINE_EXCEEDED": 504,
}
"""The words of `code`, `type` and `status`, and the HTTP status that goes with them."""

_TOO_LONG = (
    "maximum context length",
    "context_length_exceeded",
    "context window",
    "prompt is too long",
    "input is too long",
)
"""How providers say without a code of its own that a prompt does not fit."""

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_JSON = {"content-type": "application/json"}


def read_error(document: Any) -> Failure | None:
    """The error a document reports, in any of the family's shapes; None: it reports none.

    `{"error": {…}}`, `{"error": "words"}` (xAI), `{"detail": …}` (Mistral, Voyage), `{"object": "error", …}` (vLLM),
    `{"type": "error", …}` (events), and a list with one of these (Gemini's OpenAI mode).
    """
    if isinstance(document, list):
        return read_error(document[0]) if len(document) == 1 and isinstance(document[0], dict) else None
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if error:
        return _failure(error, document)
    if document.get("object") == "error" or document.get("type") == "error":
        return _failure(document, {})
    if "detail" in document and not document.keys() - {"detail", "message", "type", "code"}:
        return _failure(document["detail"], document)
    return None


def failure(error: Any) -> Failure:
    """An error object as it stands behind an `error` member (`response.failed`, realtime)."""
    return _failure(error, {})


def _failure(error: Any, around: Mapping[str, Any]) -> Failure:
    fields = error if isinstance(error, dict) else {}
    words = [fields.get("code"), around.get("code"), fields.get("status"), fields.get("type")]
    message = fields.get("message") if fields else error
    if message is not None and not isinstance(message, str):
        message = orjson.dumps(message).decode()
    kind = next((word for word in words if isinstance(word, str) and word and not word.isdecimal()), "")
    if kind in ("", "error", "invalid_request_error", "BadRequestError") and message:
        lowered = message.lower()
        kind = "context_length_exceeded" if any(words in lowered for words in _TOO_LONG) else kind
    return Failure(_status(words, kind), kind, Content(message) if message else None)


def _status(words: list[Any], kind: str) -> int:
    for word in words:
        # OpenRouter and Perplexity give the status as a number, Azure as a string of one.
        number = int(word) if isinstance(word, str) and word.isdecimal() and len(word) == 3 else word
        if isinstance(number, int) and not isinstance(number, bool) and 400 <= number < 600:
            return number
    return next((_STATUSES[word] for word in (kind, *words) if isinstance(word, str) and word in _STATUSES), 500)


def refuse(refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
    """A refusal as OpenAI would say it; the status alone decides which exception the SDKs raise."""
    headers = {**_JSON, "x-request-id": refusal.exchange_id}
    return refusal.status, headers, orjson.dumps({"error": _envelope(refusal)})


def refuse_in_stream(surface: Surface, content_type: str, refusal: Refusal) -> bytes:
    """The end of a stream that has begun. The SDKs raise on any event whose data has an `error`; no `[DONE]` may follow it.

    A JSON body that has begun cannot be mended: nothing is added, and what was cut does not parse.
    """
    error = _envelope(refusal)
    if surface.websocket:
        return orjson.dumps({"type": "error", "event_id": refusal.exchange_id, "error": {**error, "event_id": None}})
    if not content_type.startswith("text/event-stream"):
        return b""
    if surface.name.startswith("responses"):
        # Clients differ in which of the two they read, and in where they look for the words.
        failed = {
            "id": refusal.exchange_id,
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": {"code": refusal.code, "message": refusal.message},
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        flat = {"type": "error", "code": error["code"], "message": refusal.message, "param": None, "error": error}
        return sse(orjson.dumps({**flat, "sequence_number": 0}), "error") + sse(
            orjson.dumps({"type": "response.failed", "response": failed, "sequence_number": 0}), "response.failed"
        )
    if surface.name.startswith(("images", "audio")):
        return sse(orjson.dumps({"type": "error", "error": error}), "error")
    return sse(orjson.dumps({"error": error}))


def _envelope(refusal: Refusal) -> dict[str, str | None]:
    kind = _TYPES.get(refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error")
    # OpenAI's clients know this word; Relay's own stands in `x-relay-error`.
    code = "model_not_found" if refusal.code == "unknown_model" else refusal.code
    return {
        "message": refusal.message,
        "type": kind,
        "param": "model" if code == "model_not_found" else None,
        "code": code,
    }
