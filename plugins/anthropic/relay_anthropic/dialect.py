"""The dialect, put together from its parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from relay.wire.dialect import Asked, Dialect, ModelEntry, Reader, Refusal, Surface
from relay.wire.framing import Framer, PieceFramer, WholeFramer
from relay.wire.sse import SseFramer
from relay.wire.vocabulary import Event, Kind
from relay_anthropic import errors, request
from relay_anthropic.lines import LineFramer
from relay_anthropic.links import LINKED, links
from relay_anthropic.marks import marks
from relay_anthropic.models import models
from relay_anthropic.reader import reader
from relay_anthropic.surfaces import DROPS, KEY_HEADERS, PASSES, SURFACES


class Anthropic:
    """The wire format of the Anthropic API. See `relay.wire.dialect.Dialect` for each member."""

    name = "anthropic"
    surfaces = SURFACES
    key_headers = KEY_HEADERS
    key_query: str | None = None
    passes = PASSES
    drops = DROPS
    linked = LINKED

    def claims(self, headers: Mapping[str, str], query: str) -> bool:
        return any(name in headers for name in ("anthropic-version", "anthropic-beta", "x-api-key"))

    def ask(self, surface: Surface, params: Mapping[str, str], query: str, document: Any) -> Asked:
        return request.ask(surface, params, document)

    def place(self, surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
        return request.place(surface, params, query, model)

    def rename(self, surface: Surface, body: bytes, document: Any, model: str) -> bytes:
        return request.rename(surface, body, document, model)

    def read_call(self, surface: Surface, document: Any, kinds: Collection[Kind]) -> Iterable[Event]:
        return request.read_call(surface, document, kinds)

    def references(self, surface: Surface, document: Any) -> Sequence[str]:
        return request.references(surface, document)

    def framer(self, surface: Surface, content_type: str) -> Framer:
        kind = content_type.partition(";")[0].strip().lower()
        if surface.name == "files.content":
            return PieceFramer()
        if kind == "text/event-stream":
            return SseFramer()
        # Results come as JSON lines under several names; only an error is a JSON document.
        return LineFramer() if surface.name == "batches.results" and kind != "application/json" else WholeFramer()

    def reader(self, surface: Surface, content_type: str) -> Reader:
        return reader(surface, content_type)

    def marks(self, surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        return marks(surface, kinds)

    def sign(self, secret: str) -> tuple[tuple[str, str], ...]:
        """An OAuth token goes as a bearer, as the provider demands; every other key as `x-api-key`."""
        if secret.startswith("sk-ant-oat"):
            return (("authorization", f"Bearer {secret}"),)
        return (("x-api-key", secret),)

    def refuse(self, refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
        return errors.refuse(refusal)

    def refuse_in_stream(self, surface: Surface, content_type: str, refusal: Refusal) -> bytes:
        return errors.refuse_in_stream(content_type, refusal)

    def models(self, surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
        return models(surface, entries)

    def links(self, document: Any) -> Mapping[tuple[str | int, ...], str]:
        return links(document)

    def list_items(self, surface: Surface, document: Any) -> Sequence[tuple[str, tuple[str | int, ...]]]:
        data = document.get("data") if isinstance(document, dict) and surface.lists else None
        return [
            (entry["id"], ("data", index))
            for index, entry in enumerate(data if isinstance(data, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
        ]


DIALECT: Dialect = Anthropic()
