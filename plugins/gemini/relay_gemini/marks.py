"""What to look for in an answer instead of parsing it.

Quotes inside of a JSON string are escaped, so a member's name with its quotes rarely stands in what a model wrote; where it
does, that costs a parse and no more.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from relay.wire.dialect import Surface
from relay.wire.vocabulary import CONTENT_KINDS, Kind
from relay_gemini.surfaces import OPERATIONS

_TOLD = frozenset(("generate", "generate.stream", "embed", "embed.batch"))
"""Operations whose answer holds content."""
_FLAGS: tuple[tuple[Kind, tuple[bytes, ...]], ...] = (
    ("usage", (b'"usageMetadata"',)),
    # A call is not the end, but what the end means depends on it.
    ("stop", (b'"finishReason"', b'"blockReason"', b'"functionCall"')),
    ("error", (b'"error"',)),
)


def marks(surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
    """Byte strings of which one stands in any frame that has an event of these kinds; None: look at every frame."""
    return _marks(surface, frozenset(kinds))


@lru_cache(maxsize=256)
def _marks(surface: Surface, kinds: frozenset[Kind]) -> tuple[bytes, ...] | None:
    if not CONTENT_KINDS.isdisjoint(kinds) and OPERATIONS[surface.name] in _TOLD:
        return None
    return tuple(mark for kind, found in _FLAGS if kind in kinds for mark in found)


class Filter:
    """Decides for one reply, frame by frame, which can be left unread."""

    __slots__ = ("_always", "_kinds", "_surface", "_wanted")

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        # The end is followed whoever asks, because several candidates may end in several frames.
        self._always = dict(_FLAGS)["stop"]
        self._kinds: Collection[Kind] | None = None
        self._wanted: tuple[bytes, ...] | None = None

    def passes_by(self, raw: bytes, kinds: Collection[Kind]) -> bool:
        """Is there nothing in these bytes for these kinds?"""
        # A relay asks for the same set with every frame; only one that cannot change may be known by its identity.
        if kinds is not self._kinds:
            wanted = marks(self._surface, kinds)
            self._wanted = None if wanted is None else tuple(dict.fromkeys((*wanted, *self._always)))
            self._kinds = kinds if isinstance(kinds, frozenset) else None
        if self._wanted is None:
            return False
        for mark in self._wanted:  # noqa: SIM110 - a generator costs more than the search, and this is asked of every frame
            if mark in raw:
                return False
        return True
