"""The dialect's table of contents: what the relay calls, and the module that does it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from relay.wire.dialect import Asked, Dialect, ModelEntry, Reader, Refusal, Surface
from relay.wire.framing import Frame, Framer
from relay.wire.vocabulary import Event, Kind, Path
from relay_openai import asking, errors, metering, models, replies, request
from relay_openai import references as referring
from relay_openai.surfaces import DROPS, PASSES, SURFACES

_OWN_HEADERS = ("openai-organization", "openai-project", "openai-beta")


class OpenAI:
    """The wire format of OpenAI and of the many providers that speak it."""

    name = "openai"
    surfaces: tuple[Surface, ...] = SURFACES
    key_headers: tuple[str, ...] = ("authorization",)
    key_query: str | None = None
    passes: tuple[str, ...] = PASSES
    drops: tuple[str, ...] = DROPS

    def claims(self, headers: Mapping[str, str], query: str) -> bool:
        if any(name in headers for name in _OWN_HEADERS):
            return True
        return headers.get("user-agent", "").startswith(("OpenAI/", "AsyncOpenAI/"))

    def ask(self, surface: Surface, params: Mapping[str, str], query: str, document: Any) -> Asked:
        return asking.ask(surface, params, query, document)

    def place(self, surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
        return asking.place(surface, params, query, model)

    def rename(self, surface: Surface, body: bytes, document: Any, model: str) -> bytes:
        return asking.rename(surface, body, document, model)

    def read_call(self, surface: Surface, document: Any, kinds: Collection[Kind]) -> Iterable[Event]:
        return request.read_call(surface, document, kinds)

    def references(self, surface: Surface, document: Any) -> Sequence[str]:
        return referring.references(surface, document)

    id_marks = referring.MARKS

    def keeps(self, surface: Surface, document: Any) -> bool:
        """See `relay_openai.references.keeps`."""
        return referring.keeps(surface, document)

    def meter(self, surface: Surface, body: bytes, document: Any) -> bytes | None:
        """See `relay_openai.metering.meter`."""
        return metering.meter(surface, body, document)

    def unmeter(self, frame: Frame) -> bool:
        """See `relay_openai.metering.unmeter`."""
        return metering.unmeter(frame)

    def framer(self, surface: Surface, content_type: str) -> Framer:
        return replies.framer(surface, content_type)

    def reader(self, surface: Surface, content_type: str) -> Reader:
        return replies.reader(surface, content_type)

    def marks(self, surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        return replies.marks(surface, kinds)

    def sign(self, secret: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {secret}"),)

    def refuse(self, refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
        return errors.refuse(refusal)

    def refuse_in_stream(self, surface: Surface, content_type: str, refusal: Refusal) -> bytes:
        return errors.refuse_in_stream(surface, content_type, refusal)

    def models(self, surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
        return models.models(surface, entries)

    def list_items(self, surface: Surface, document: Any) -> Sequence[tuple[str, Path]]:
        return models.list_items(surface, document)


DIALECT: Dialect = OpenAI()
