"""One endpoint of the provider, and what a dialect must know so that one can be served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from relay_simulator.ask import Document
from relay_simulator.fault import Fault

if TYPE_CHECKING:
    from relay_simulator.serving import Serving


class Manner(Protocol):
    """How a dialect carries keys, names requests and says no."""

    name: str
    request_header: str
    """The header in which the provider's own id of the request stands."""

    def credential(self, request: web.Request) -> str | None:
        """The key the request carries."""
        ...

    def wrong_key(self, is_missing: bool) -> Fault: ...

    def failure(self, fault: Fault, request_id: str) -> Document:
        """The body of an error."""
        ...

    def trouble(self, fault: Fault, request_id: str) -> bytes:
        """The error inside a stream."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What the provider adds to every answer: limits and its own marks."""
        ...

    def steering(self, document: Document) -> str:
        """The text of a request in which a directive may stand: what the user said last."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` is an aiohttp template below the dialect's root; `surface` names it in the tally."""

    method: str
    path: str
    surface: str
    run: Callable[[Serving], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One event on its way out: its bytes, how many bytes of the model's words are in it, and the usage that it reports."""

    data: bytes
    words: int = 0
    reported: Document | None = None
