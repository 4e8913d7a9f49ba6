"""What to look for in a stream instead of parsing it.

Few and short, because each costs a search in every frame; one that stands in a text by chance costs a parse and no more.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from relay.wire.dialect import Surface
from relay.wire.vocabulary import CONTENT_KINDS, Kind

TOLD = frozenset(("messages", "batches.results", "files.content"))
"""Surfaces whose answer holds content."""
_MESSAGE = b'"message'
"""Stands in `message_start`, `message_delta`, `message_stop` and in the type of a whole message: usage, stop, container."""
_FLAGS: tuple[tuple[Kind, tuple[bytes, ...]], ...] = (
    ("usage", (_MESSAGE,)),
    ("stop", (_MESSAGE, b"content_block_stop")),
    ("error", (b"error",)),
)


def marks(surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
    """Byte strings of which one stands in any frame that has an event of these kinds; None: look at every frame."""
    return _marks(surface, frozenset(kinds))


@lru_cache(maxsize=256)
def _marks(surface: Surface, kinds: frozenset[Kind]) -> tuple[bytes, ...] | None:
    if not CONTENT_KINDS.isdisjoint(kinds) and surface.name in TOLD:
        return None
    wanted = [mark for kind, found in _FLAGS if kind in kinds for mark in found]
    if "created" in kinds:
        wanted += (b'"id"',) if surface.creates else (_MESSAGE, b'"file_id"')
    return tuple(dict.fromkeys(wanted))


class Filter:
    """Decides for one reply, frame by frame, which can be left unread."""

    __slots__ = ("_always", "_kinds", "_surface", "_wanted")

    def __init__(self, surface: Surface, *always: bytes) -> None:
        """:param always: what makes a frame worth reading whoever asks."""
        self._surface = surface
        self._always = always
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
