"""A dialect of nobody's: small, whole, and enough to test plugins and the engine without a vendor.

POST /v1/ask          {"model", "text", "stream"?, "things"?} → {"text", "usage": {"in", "out"}, "stop"} or a stream of
                      `data: {"n": block, "text"}` · `data: {"stop", "usage"}` · `data: [END]`
POST /v1/things, GET /v1/things[/{thing}], DELETE /v1/things/{thing}: stored objects {"id"}
POST /v1/forms        multipart with a field `model`
GET  /v1/models, /v1/live (WebSocket, messages as the events of a stream)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson

from relay.errors import Refused
from relay.values.content import Content
from relay.wire import lens
from relay.wire.dialect import Asked, ModelEntry, Refusal, Surface
from relay.wire.framing import Frame, Framer, PieceFramer, WholeFramer
from relay.wire.sse import SseFramer, sse
from relay.wire.vocabulary import Created, Event, Failure, Kind, Stop, Usage

_CONTENT = ("text", "thinking", "tool_args")
_MARKS: dict[Kind, tuple[bytes, ...]] = {
    "usage": (b'"usage"',),
    "stop": (b'"stop"', b"[END]"),
    "error": (b'"error"',),
    "created": (b'"id"',),
}


class PlainReader:
    """Reads replies of the plain dialect."""

    def __init__(self, surface: Surface, is_stream: bool) -> None:
        self._surface = surface
        self._is_stream = is_stream
        self._is_complete = False

    @property
    def complete(self) -> bool:
        return self._is_complete

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if frame.data is None:
            return ()
        if frame.data == b"[END]":
            self._is_complete = True
            return ()
        document = frame.document()
        if not isinstance(document, dict):
            return (Event("opaque", Content(frame.data)),)
        if not self._is_stream:
            self._is_complete = True
        return [event for event in self._events(document) if event.kind in kinds]

    def _events(self, document: dict[str, Any]) -> Iterable[Event]:
        if not document.keys() & {"text", "thinking", "tool_args", "usage", "stop", "error", "id", "again", "data"}:
            yield Event("opaque", Content(orjson.dumps(document)))
        block = ("block", document.get("n", 0))
        for kind in _CONTENT:
            if isinstance(document.get(kind), str):
                yield Event(kind, Content(document[kind]), block, whole=not self._is_stream, where=(kind,))  # type: ignore[arg-type]
        if isinstance(document.get("again"), str):
            yield Event("text", Content(document["again"]), block, repeat=1, whole=True, where=("again",))
        if isinstance(document.get("id"), str) and self._surface.creates:
            yield Event("created", Created(self._surface.creates, document["id"]))
        if isinstance(usage := document.get("usage"), dict):
            yield Event("usage", Usage(input=usage["in"], output=usage["out"], total=usage["in"] + usage["out"]))
        if isinstance(document.get("stop"), str):
            yield Event("stop", Stop("end", document["stop"]), block if "n" in document else ())
        if isinstance(error := document.get("error"), dict):
            yield Event(
                "error", Failure(error.get("status", 500), error.get("code", ""), Content(error.get("message", "")))
            )


class PlainDialect:
    """See the module."""

    name = "plain"
    surfaces: tuple[Surface, ...] = (
        Surface("ask", "POST", "/v1/ask"),
        Surface("things.create", "POST", "/v1/things", model="none", creates="thing", generates=False),
        Surface("things.list", "GET", "/v1/things", body="none", model="none", lists="thing", generates=False),
        Surface("things.get", "GET", "/v1/things/{thing}", body="none", model="none", objects=("thing",), generates=False),
        Surface(
            "things.delete", "DELETE", "/v1/things/{thing}", body="none", model="none", objects=("thing",), deletes=True, generates=False,
        ),
        Surface("forms", "POST", "/v1/forms", body="multipart", model="form"),
        Surface("models", "GET", "/v1/models", body="none", model="none", models="all", generates=False),
        Surface("models.get", "GET", "/v1/models/{model:path}", body="none", model="path", models="one", generates=False),
        Surface("live", "GET", "/v1/live", body="none", model="query", websocket=True),
    )  # fmt: skip
    key_headers: tuple[str, ...] = ("authorization", "x-plain-key")
    key_query: str | None = None
    passes: tuple[str, ...] = ("x-request-id", "x-plain-")
    drops: tuple[str, ...] = ("x-plain-secret",)

    def claims(self, headers: Mapping[str, str], query: str) -> bool:
        return "x-plain-key" in headers

    def ask(self, surface: Surface, params: Mapping[str, str], query: str, document: Any) -> Asked:
        if surface.model == "query":
            return Asked(dict(parse_qsl(query)).get("model"), True)
        if surface.model == "path":
            return Asked(params["model"], False)
        if surface.model == "none":
            return Asked(None, False)
        if not isinstance(document, Mapping) or not isinstance(document.get("model"), str):
            raise Refused("bad_request", "The request must be an object with a member 'model'.")
        return Asked(document["model"], document.get("stream") is True)

    def place(self, surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
        path = surface.path
        for name, value in params.items():
            path = path.replace("{" + name + "}", value).replace("{" + name + ":path}", value)
        return f"{path}?{query}" if query else path

    def rename(self, surface: Surface, body: bytes, document: Any, model: str) -> bytes:
        try:
            start, end = lens.top_level_string(body, "model", document["model"])
        except lens.DuplicateKey:
            raise Refused("ambiguous_body") from None
        return body[:start] + lens.string(model) + body[end:]

    def read_call(self, surface: Surface, document: Any, kinds: Collection[Kind]) -> Iterable[Event]:
        for kind in _CONTENT:
            if kind in kinds and isinstance(document.get(kind), str):
                yield Event(kind, Content(document[kind]), (kind,), whole=True, where=(kind,))  # type: ignore[arg-type]
        if "opaque" in kinds and "riddle" in document:
            yield Event("opaque", Content(orjson.dumps(document["riddle"])), where=("riddle",))

    def references(self, surface: Surface, document: Any) -> Sequence[str]:
        return (
            [thing for thing in document.get("things", []) if isinstance(thing, str)]
            if isinstance(document, dict)
            else []
        )

    def framer(self, surface: Surface, content_type: str) -> Framer:
        if content_type.startswith("text/event-stream"):
            return SseFramer()
        return WholeFramer() if content_type.startswith("application/json") else PieceFramer()

    def reader(self, surface: Surface, content_type: str) -> PlainReader:
        return PlainReader(surface, surface.websocket or content_type.startswith("text/event-stream"))

    def marks(self, surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        if not set(kinds) <= _MARKS.keys():
            return None
        return tuple(mark for kind in sorted(kinds) for mark in _MARKS[kind])

    def sign(self, secret: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {secret}"),)

    def refuse(self, refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
        return refusal.status, {"content-type": "application/json"}, self._error(refusal)

    def refuse_in_stream(self, surface: Surface, content_type: str, refusal: Refusal) -> bytes:
        if surface.websocket:
            return self._error(refusal)
        return sse(self._error(refusal)) if content_type.startswith("text/event-stream") else b""

    def models(self, surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
        if surface.models == "one":
            return orjson.dumps({"id": entries[0].id})
        return orjson.dumps({"data": [{"id": entry.id} for entry in entries]})

    def list_items(self, surface: Surface, document: Any) -> Sequence[tuple[str, tuple[str | int, ...]]]:
        return [(item["id"], ("data", at)) for at, item in enumerate(document.get("data", []))]

    def _error(self, refusal: Refusal) -> bytes:
        error = {"status": refusal.status, "code": refusal.code, "message": refusal.message}
        return orjson.dumps({"error": error})


PLAIN = PlainDialect()
