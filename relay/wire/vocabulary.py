"""The vocabulary all dialects share: what a reply says (events), what it consumed (usage), how it ended.

A call and a reply are read as events with a place: `where` is the path of the value in the frame's JSON, so that a
changed text is put back into exactly that place and every other byte stays.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, fields
from typing import Literal

from relay.values.content import Content

Kind = Literal["text", "tool_args", "thinking", "vector", "media", "created", "usage", "stop", "error", "opaque"]
Path = tuple[str | int, ...]

KINDS: frozenset[Kind] = frozenset(
    ("text", "tool_args", "thinking", "vector", "media", "created", "usage", "stop", "error", "opaque")
)
CONTENT_KINDS: frozenset[Kind] = frozenset(("text", "tool_args", "thinking", "vector", "media", "opaque"))
"""Kinds whose value is somebody's content: only a plugin with `reads_content` may name them."""
TEXT_KINDS: frozenset[Kind] = frozenset(("text", "tool_args", "thinking"))
"""Kinds that `rewrite` may name."""

StopReason = Literal["end", "length", "stop_sequence", "tool", "refusal", "filter", "pause", "context", "incomplete"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider says it consumed, in tokens, in buckets that do not overlap.

    Their sum is the provider's total where it states one (`total`). `images` are pieces, `server_tools` calls,
    `audio_ms` milliseconds, `characters` letters: what providers charge beside tokens.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    images: int = 0
    server_tools: int = 0
    audio_ms: int = 0
    characters: int = 0
    total: int | None = None
    suspect: str | None = None
    """Why these figures cannot be trusted (negative, beyond any model, not adding up); such usage is never charged as it is."""

    @property
    def tokens(self) -> int:
        """The sum of the token buckets."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.output
            + self.reasoning
            + self.audio_input
            + self.audio_output
            + self.image_input
            + self.image_output
        )

    def plus(self, other: Usage) -> Usage:
        """Both together, for what is reported in parts (a realtime session)."""
        total = None if self.total is None or other.total is None else self.total + other.total
        sums = {name: getattr(self, name) + getattr(other, name) for name in BUCKETS}
        return Usage(**sums, total=total, suspect=self.suspect or other.suspect)

    def counts(self) -> dict[str, int]:
        """The buckets that are not zero, by name: for logs and metrics."""
        return {name: value for name in BUCKETS if (value := getattr(self, name))}


BUCKETS: tuple[str, ...] = tuple(f.name for f in fields(Usage) if f.name not in ("total", "suspect"))


@dataclass(frozen=True, slots=True)
class Stop:
    """How a block of the answer ended. `raw` is the provider's own word."""

    reason: StopReason
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error the provider reports. `status` is the HTTP status it would have had; the words are content."""

    status: int
    kind: str = ""
    message: Content | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """An object made at the provider: a file, upload, batch, response, conversation, container. `kind` names it."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Event:
    """What one place in a frame says.

    `block` tells apart what is assembled separately (a choice, an item, a tool call); `repeat` counts the tellings of
    the same block: 0 for its deltas, 1… for each later frame that says it whole once more. `whole` is True where the value
    is all of the block (a body, a repeat), False for a delta. `where` is the path of the value in the frame's
    JSON; with `source` True the value there is JSON itself (the object of a tool's arguments), not a string.
    """

    kind: Kind
    value: Content | Usage | Stop | Failure | Created | None = None
    block: Hashable = ()
    repeat: int = 0
    whole: bool = False
    where: Path = ()
    source: bool = False


def only_known(kinds: Collection[Kind], allowed: frozenset[Kind] = KINDS) -> None:
    """:raises ValueError: some of these are no kinds, or do not suit here."""
    if unknown := set(kinds) - allowed:
        raise ValueError(
            f"unknown or unsuitable kinds: {', '.join(sorted(unknown))}; known are {', '.join(sorted(allowed))}"
        )
