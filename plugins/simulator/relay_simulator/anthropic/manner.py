"""How Anthropic carries keys, names requests and says no."""

from __future__ import annotations

from aiohttp import web

from relay_simulator import sse
from relay_simulator.ask import Document, last, objects, text_of
from relay_simulator.fault import Fault

_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic:
    """The manner of the dialect."""

    name = "anthropic"
    request_header = "request-id"

    def credential(self, request: web.Request) -> str | None:
        """`x-api-key`, or a bearer token."""
        if key := request.headers.get("x-api-key"):
            return key
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token else None

    def wrong_key(self, is_missing: bool) -> Fault:
        return Fault(401, "x-api-key header is required" if is_missing else "invalid x-api-key")

    def failure(self, fault: Fault, request_id: str) -> Document:
        kind = _KINDS.get(fault.status, "api_error" if fault.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": fault.message}, "request_id": request_id}

    def trouble(self, fault: Fault, request_id: str) -> bytes:
        return sse.event(self.failure(fault, request_id), "error")

    def headers(self) -> dict[str, str]:
        return {
            "anthropic-organization-id": "org-simulator",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2030-01-01T00:00:00Z",
        }

    def steering(self, document: Document) -> str:
        message = last(objects(document, "messages"), "user")
        while message is not None and _is_result(message):
            earlier = objects(document, "messages")
            message = last(earlier[: earlier.index(message)], "user")
        return _spoken(message.get("content")) if message else ""


MANNER = Anthropic()


def _is_result(message: Document) -> bool:
    """A user's message that only hands over tools' results: nothing the user said."""
    content = message.get("content")
    return isinstance(content, list) and all(
        isinstance(one, dict) and one.get("type") == "tool_result" for one in content
    )


def _spoken(content: object) -> str:
    if isinstance(content, list):
        content = [one for one in content if isinstance(one, dict) and one.get("type") == "text"]
    return text_of(content)
