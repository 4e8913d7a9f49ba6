"""The dialect, put together from its parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from relay.wire.array import ArrayFramer
from relay.wire.dialect import Asked, Dialect, ModelEntry, Reader, Refusal, Surface
from relay.wire.framing import Framer, WholeFramer
from relay.wire.sse import SseFramer
from relay.wire.vocabulary import Event, Kind
from relay_gemini import errors, request
from relay_gemini.address import has_key, place
from relay_gemini.marks import marks
from relay_gemini.models import models
from relay_gemini.reader import reader
from relay_gemini.surfaces import DROPS, KEY_HEADERS, KEY_QUERY, OPERATIONS, PASSES, SURFACES


class Gemini:
    """The wire format of the Gemini API. See `relay.wire.dialect.Dialect` for each member."""

    name = "gemini"
    surfaces = SURFACES
    key_headers = KEY_HEADERS
    key_query: str | None = KEY_QUERY
    passes = PASSES
    drops = DROPS

    def claims(self, headers: Mapping[str, str], query: str) -> bool:
        return "x-goog-api-key" in headers or "x-goog-api-client" in headers or has_key(query)

    def ask(self, surface: Surface, params: Mapping[str, str], query: str, document: Any) -> Asked:
        return request.ask(surface, params, document)

    def place(self, surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
        return place(surface, params, query, model)

    def rename(self, surface: Surface, body: bytes, document: Any, model: str) -> bytes:
        return request.rename(surface, body, document, model)

    def read_call(self, surface: Surface, document: Any, kinds: Collection[Kind]) -> Iterable[Event]:
        return request.read_call(document, kinds)

    def references(self, surface: Surface, document: Any) -> Sequence[str]:
        return request.references(document)

    def framer(self, surface: Surface, content_type: str) -> Framer:
        if content_type.partition(";")[0].strip().lower() == "text/event-stream":
            return SseFramer()
        return ArrayFramer() if OPERATIONS[surface.name] == "generate.stream" else WholeFramer()

    def reader(self, surface: Surface, content_type: str) -> Reader:
        return reader(surface, content_type)

    def marks(self, surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        return marks(surface, kinds)

    def sign(self, secret: str) -> tuple[tuple[str, str], ...]:
        """The key goes in a header and never in a query, where logs and traces would keep it."""
        return (("x-goog-api-key", secret),)

    def refuse(self, refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
        return errors.refuse(refusal)

    def refuse_in_stream(self, surface: Surface, content_type: str, refusal: Refusal) -> bytes:
        return errors.refuse_in_stream(surface, content_type, refusal)

    def models(self, surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
        return models(surface, entries)

    def list_items(self, surface: Surface, document: Any) -> Sequence[tuple[str, tuple[str | int, ...]]]:
        """No surface lists stored objects."""
        return ()


DIALECT: Dialect = Gemini()
