"""How OpenAI carries keys, names requests and says no."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from relay_simulator import sse
from relay_simulator.ask import Document, last, text_of
from relay_simulator.fault import Fault

_KINDS = {
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_PROTOCOL_KEY = "openai-insecure-api-key."


class OpenAI:
    """The manner of the dialect."""

    name = "openai"
    request_header = "x-request-id"

    def credential(self, request: web.Request) -> str | None:
        """A bearer token; browsers put the key of a realtime session among the WebSocket's subprotocols."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key:
            return key.strip()
        for protocol in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
            if protocol.strip().startswith(_PROTOCOL_KEY):
                return protocol.strip()[len(_PROTOCOL_KEY) :]
        return None

    def wrong_key(self, is_missing: bool) -> Fault:
        if is_missing:
            return Fault(401, "You didn't provide an API key.")
        return Fault(401, "Incorrect API key provided.", code="invalid_api_key")

    def failure(self, fault: Fault, request_id: str) -> Document:
        kind = _KINDS.get(fault.status, "server_error" if fault.status >= 500 else "invalid_request_error")
        code = fault.code or ("rate_limit_exceeded" if fault.status == 429 else None)
        return {"error": {"message": fault.message, "type": kind, "param": fault.param, "code": code}}

    def trouble(self, fault: Fault, request_id: str) -> bytes:
        return sse.event(self.failure(fault, request_id))

    def headers(self) -> dict[str, str]:
        return {
            "openai-version": "2020-10-01",
            "openai-organization": "org-simulator",
            "openai-processing-ms": "1",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-reset-requests": "6ms",
        }

    def steering(self, document: Document) -> str:
        for name in ("messages", "input", "prompt", "query", "text"):
            if (value := document.get(name)) is not None:
                return last_words(value)
        return ""


MANNER = OpenAI()


def last_words(value: Any) -> str:
    """What the user said last: of messages or items the last user's; of several texts, all."""
    if isinstance(value, list):
        spoken = [item for item in value if isinstance(item, dict) and "role" in item]
        if spoken:
            user = last(spoken, "user")
            return text_of(user.get("content")) if user else ""
    return text_of(value)
