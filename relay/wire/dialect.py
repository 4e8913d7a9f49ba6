"""What a dialect is: the wire format of a provider family, as pure functions over the shared vocabulary.

A dialect is found through the entry point group `relay.dialects`. It does no I/O and keeps no state but a `Reader`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from relay.wire.framing import Frame, Framer
from relay.wire.vocabulary import Event, Kind, Path

BodyForm = Literal["none", "json", "multipart", "bytes"]
ModelPlace = Literal["body", "form", "path", "query", "none"]


@dataclass(frozen=True, slots=True)
class Surface:
    """One endpoint of a dialect.

    `path` is a template, `/v1/responses/{response_id}/cancel`; a parameter matches one segment, or, with a literal behind it
    (`{model}:countTokens`), up to that literal. The last parameter may hold slashes when it is written `{name:path}`.
    """

    name: str
    """Unique in its dialect: `chat`, `responses`, `responses.cancel`; scopes, logs and metrics show it."""
    method: str
    path: str
    body: BodyForm = "json"
    model: ModelPlace = "body"
    """Where the model's name stands."""
    websocket: bool = False
    creates: str | None = None
    """The kind of object a successful answer has made at the provider (`file`, `response`, …)."""
    objects: tuple[str, ...] = ()
    """The path parameters that are ids of such objects: they must belong to the caller's organisation."""
    lists: str | None = None
    """The answer is a list of objects of this kind: those of other organisations are taken out."""
    deletes: bool = False
    """A successful answer means that the object of the path is gone."""
    models: Literal["all", "one"] | None = None
    """The answer tells of models: the relay gives it itself, with what the caller may use."""
    generates: bool = True
    """It makes a model work (and costs); False for the handling of stored objects, models and counting."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a dialect reads out of a request before anything else is known."""

    model: str | None
    stream: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a dialect needs to say no in its own words. `message` is for people, `code` is stable."""

    code: str
    status: int
    message: str
    exchange_id: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model as `/v1/models` shows it. `created` is seconds since 1970."""

    id: str
    provider: str = "relay"
    created: int = 0
    surfaces: tuple[str, ...] = ()
    input_limit: int | None = None
    output_limit: int | None = None


class Reader(Protocol):
    """Reads the frames of one reply in their order. One is made per reply; it may keep state."""

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        """The events of `frame` that are of these kinds, in the order in which they stand.

        `error`, `stop`, `usage` and `created` are always given when asked for, whatever else was asked for before. A frame that
        is not understood is one `opaque` event. An invalid document raises ValueError.
        """
        ...

    @property
    def complete(self) -> bool:
        """Has the reply said everything that belongs to its proper end? Meaningful after its last marked frame."""
        ...


class Dialect(Protocol):
    """The wire format of one provider family."""

    name: str
    surfaces: tuple[Surface, ...]
    key_headers: tuple[str, ...]
    """Lower-case names of the headers in which a client's key may stand, in order; `authorization` means `Bearer`."""
    key_query: str | None
    """The query parameter in which a client's key may stand."""
    passes: tuple[str, ...]
    """Lower-case names of the provider's answer headers that reach the client; a name that ends in `-` is a prefix."""
    drops: tuple[str, ...]
    """Lower-case names (or prefixes ending in `-`) of the client's headers that never reach the provider."""

    def claims(self, headers: Mapping[str, str], query: str) -> bool:
        """Do the headers or the query show a client of this dialect? Decides paths that several dialects share."""
        ...

    def ask(self, surface: Surface, params: Mapping[str, str], query: str, document: Any) -> Asked:
        """The model and the stream flag. `document` is the parsed JSON body, a dict of the first form fields, or None.

        :raises Refused: `bad_request` where the document cannot be a request of this surface (not an object, no model).
        """
        ...

    def place(self, surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
        """Path and query at the provider, to be put behind its base URL: the client's query without any key in it.

        :raises Refused: `invalid_path` for a model that cannot stand in a path.
        """
        ...

    def rename(self, surface: Surface, body: bytes, document: Any, model: str) -> bytes:
        """The JSON body with another model's name in it; every other byte stays.

        :raises Refused: `ambiguous_body` where the name stands twice.
        """
        ...

    def read_call(self, surface: Surface, document: Any, kinds: Collection[Kind]) -> Iterable[Event]:
        """Every text of a request: system, messages, tool arguments and results, thinking, media, with its place."""
        ...

    def references(self, surface: Surface, document: Any) -> Sequence[str]:
        """The ids of stored objects that a request's body names (files, earlier responses, batches, …)."""
        ...

    def framer(self, surface: Surface, content_type: str) -> Framer:
        """How the reply's bytes fall into frames."""
        ...

    def reader(self, surface: Surface, content_type: str) -> Reader: ...

    def marks(self, surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        """Byte strings of which at least one stands in any frame that has an event of these kinds; None: look at every frame.

        The relay searches a stream for them instead of parsing it.
        """
        ...

    def sign(self, secret: str) -> tuple[tuple[str, str], ...]:
        """The headers that carry a credential to the provider."""
        ...

    def refuse(self, refusal: Refusal) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of a refusal, such that the official SDK raises its right exception."""
        ...

    def refuse_in_stream(self, surface: Surface, content_type: str, refusal: Refusal) -> bytes:
        """The bytes that end a stream which has already begun, such that an SDK notices."""
        ...

    def models(self, surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
        """The body of a list of models, or, on the surface of a single one, of the only entry."""
        ...

    def list_items(self, surface: Surface, document: Any) -> Sequence[tuple[str, tuple[str | int, ...]]]:
        """The objects in a list answer: their ids and their paths in the document. (See `Surface.lists`.)"""
        ...


@runtime_checkable
class MarksIds(Protocol):
    """What a dialect has besides, to spare most requests the search for ids of stored objects."""

    @property
    def id_marks(self) -> tuple[bytes, ...]:
        """Byte strings of which at least one stands in any body that `references` finds something in (escapes apart)."""
        ...


@runtime_checkable
class Keeps(Protocol):
    """What a dialect has besides, when a request can ask that nothing be kept at the provider."""

    def keeps(self, surface: Surface, document: Any) -> bool:
        """Will what the answer creates still be there when it has ended? Else nobody needs to know whose it was."""
        ...


@runtime_checkable
class Links(Protocol):
    """What a dialect has besides, when answers name addresses at the provider that clients then ask, with the key they have for us."""

    linked: frozenset[str]
    """The names of the surfaces whose answers do."""

    def links(self, document: Any) -> Mapping[Path, str]:
        """Where such addresses stand in an answer, and the path of a surface, without a host, that belongs there instead."""
        ...


@runtime_checkable
class Meters(Protocol):
    """What a dialect has besides, when its providers tell what a stream consumed only if they are asked to."""

    def meter(self, surface: Surface, body: bytes, document: Any) -> bytes | None:
        """The body with that question in it, every other byte as it was; None: it asks already, or cannot."""
        ...

    def unmeter(self, frame: Frame) -> bool:
        """Is this frame only the answer to that question? Then a client that did not ask does not get it."""
        ...
