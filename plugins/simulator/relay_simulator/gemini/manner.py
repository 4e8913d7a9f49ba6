"""How Gemini carries keys, names requests and says no."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from relay_simulator import sse
from relay_simulator.ask import Document, objects
from relay_simulator.fault import Fault

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
NEWLINE = b"\r\n"


class Gemini:
    """The manner of the dialect. A wrong key is a 400 there, and the delay before a retry stands in the body."""

    name = "gemini"
    request_header = "x-request-id"

    def credential(self, request: web.Request) -> str | None:
        """`x-goog-api-key`, or `key` in the query."""
        return request.headers.get("x-goog-api-key") or request.query.get("key")

    def wrong_key(self, is_missing: bool) -> Fault:
        if is_missing:
            return Fault(403, "Method doesn't allow unregistered callers. Please use an API Key.")
        return Fault(400, "API key not valid. Please pass a valid API key.", code="API_KEY_INVALID")

    def failure(self, fault: Fault, request_id: str) -> Document:
        error: Document = {
            "code": fault.status,
            "message": fault.message,
            "status": _STATUSES.get(fault.status, "UNKNOWN"),
        }
        details: list[Document] = []
        if fault.code == "API_KEY_INVALID":
            info = "type.googleapis.com/google.rpc.ErrorInfo"
            details.append({"@type": info, "reason": fault.code, "domain": "googleapis.com"})
        if fault.retry_after_s is not None:
            details.append(
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.retry_after_s:g}s"}
            )
        if details:
            error["details"] = details
        return {"error": error}

    def trouble(self, fault: Fault, request_id: str) -> bytes:
        return sse.event(self.failure(fault, request_id), newline=NEWLINE)

    def headers(self) -> dict[str, str]:
        return {"server-timing": "gfet4t7; dur=1"}

    def steering(self, document: Document) -> str:
        spoken = [one for one in turns(document) if one.get("role", "user") == "user" and _words(one)]
        return _words(spoken[-1]) if spoken else ""


MANNER = Gemini()


def turns(document: Document) -> list[Document]:
    """The contents of a request, wherever its kind has them."""
    if isinstance(content := document.get("content"), dict):
        return [content]
    if isinstance(inner := pick(document, "generateContentRequest"), dict):
        return turns(inner)
    if requests := objects(document, "requests"):
        return [one for request in requests for one in turns(request)]
    contents = document.get("contents")
    return [contents] if isinstance(contents, dict) else objects(document, "contents")


def pick(document: Document, name: str) -> Any:
    """A field by its camelCase name, or spelled in snake_case: clients mix both."""
    if name in document:
        return document[name]
    return document.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))


def _words(content: Document) -> str:
    return "\n".join(part["text"] for part in objects(content, "parts") if isinstance(part.get("text"), str))
