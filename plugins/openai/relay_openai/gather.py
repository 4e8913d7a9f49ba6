"""Gathers the events of one frame (or of one call): only the kinds that were asked for, only values that are there."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

import orjson

from relay.values.content import Content
from relay.wire.vocabulary import Created, Event, Failure, Kind, Path, Stop, Usage

Block = tuple[Hashable, ...]


class Gather:
    """The events found so far.

    `told` outlives the frame: how often each block has been told, so that a later telling of the same text counts as a
    repeat. A block whose first telling is whole (no deltas came) has the repeat 0.
    """

    __slots__ = ("_told", "events", "kinds", "tellings")

    def __init__(self, kinds: Collection[Kind], told: dict[Block, int] | None = None) -> None:
        self.kinds = kinds
        self.events: list[Event] = []
        self._told: dict[Block, int] = {} if told is None else told
        self.tellings = 0
        """How often a block that is new here was told elsewhere: 1 while an answer repeats what was asked."""

    def delta(self, kind: Kind, value: Any, block: Block, where: Path) -> None:
        """A piece of a block's text. An empty one says nothing and is no event."""
        if value and kind in self.kinds and isinstance(value, str):
            self._told.setdefault(block, 1)
            self.events.append(Event(kind, Content(value), block, 0, False, where))

    def whole(self, kind: Kind, value: Any, block: Block, where: Path) -> None:
        """All of a block's text."""
        if value and kind in self.kinds and isinstance(value, str):
            self.events.append(Event(kind, Content(value), block, self._next(block), True, where))

    def source(self, kind: Kind, value: Any, block: Block, where: Path) -> None:
        """A value that is no string: it is told as JSON source."""
        if value and kind in self.kinds:
            self.events.append(
                Event(kind, Content(orjson.dumps(value)), block, self._next(block), True, where, source=True)
            )

    def opaque(self, value: Any, where: Path) -> None:
        """Something that is not understood; where it stands is all there is to tell it apart by."""
        if value and "opaque" in self.kinds:
            source = not isinstance(value, str)
            content = Content(orjson.dumps(value) if source else value)
            self.events.append(Event("opaque", content, ("opaque", *where), 0, True, where, source=source))

    def usage(self, value: Usage | None, where: Path = ()) -> None:
        if value is not None and "usage" in self.kinds:
            self.events.append(Event("usage", value, where=where))

    def stop(self, value: Stop | None, block: Block = ()) -> None:
        if value is not None and "stop" in self.kinds:
            self.events.append(Event("stop", value, block))

    def failure(self, value: Failure | None, where: Path = ()) -> None:
        if value is not None and "error" in self.kinds:
            self.events.append(Event("error", value, where=where))

    def created(self, kind: str, id: Any) -> None:
        if "created" in self.kinds and isinstance(id, str) and id:
            self.events.append(Event("created", Created(kind, id)))

    def wants(self, *kinds: Kind) -> bool:
        """Was any of these asked for? Spares the walk where none was."""
        return not frozenset(kinds).isdisjoint(self.kinds)

    def _next(self, block: Block) -> int:
        repeat = self._told.get(block, self.tellings)
        self._told[block] = repeat + 1
        return repeat


def objects(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects in a list, with their index; nothing where there is no list."""
    return [(i, entry) for i, entry in enumerate(value) if isinstance(entry, dict)] if isinstance(value, list) else []


def member(value: Any, *names: str) -> Any:
    """The value behind a chain of member names, None where the chain breaks."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def number(value: dict[str, Any], name: str) -> int:
    """A member that counts places; 0 where it is missing or nothing that could count."""
    found = value.get(name)
    return found if isinstance(found, int) else 0


def word(value: Any, name: str) -> str | None:
    """A member that is a word: None where it is missing or anything else."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
