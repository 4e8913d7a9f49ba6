"""How these tests read: the bytes of an answer, cut into frames and told as events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from relay_openai.dialect import DIALECT

from relay.values.content import CORE, Content
from relay.wire.dialect import Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import KINDS, Event, Kind

SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"


@dataclass
class Told:
    """What a reader told of an answer."""

    events: list[Event]
    complete: bool

    def only(self, *kinds: Kind) -> list[Any]:
        """The values of these kinds, content opened."""
        return [opened(event) for event in self.events if event.kind in kinds]

    def words(self, *kinds: Kind) -> dict[Any, str]:
        """The text of each block, by block and repeat; tellings of repeat 0 are joined."""
        texts: dict[Any, str] = {}
        for event in self.events:
            if event.kind in kinds:
                key = (*event.block, *([event.repeat] if event.repeat else []))  # type: ignore[misc]
                texts[key] = texts.get(key, "") + opened(event)
        return texts


def opened(event: Event) -> Any:
    return event.value.text(CORE) if isinstance(event.value, Content) else event.value


def surface(name: str) -> Surface:
    return next(surface for surface in DIALECT.surfaces if surface.name == name)


def read(
    name: str, answer: bytes | Iterable[bytes] | Any, content_type: str = JSON, kinds: Collection[Kind] = KINDS
) -> Told:
    """Read an answer: bytes, chunks of bytes, or a document that is put into JSON first."""
    if isinstance(answer, bytes):
        chunks = [answer]
    elif isinstance(answer, dict):
        chunks = [orjson.dumps(answer)]
    else:
        chunks = list(answer)
    where = surface(name)
    if where.websocket:
        frames = [Frame(chunk) for chunk in chunks]
    else:
        framer = DIALECT.framer(where, content_type)
        frames = [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.end()
    reader = DIALECT.reader(where, content_type)
    events = [event for frame in frames for event in reader.read(frame, kinds)]
    return Told(events, reader.complete)


def stream(*documents: Any, named: bool = False, done: bool = False) -> bytes:
    """Documents as server-sent events."""
    text = b""
    for document in documents:
        if named:
            text += b"event: " + document["type"].encode() + b"\n"
        text += b"data: " + orjson.dumps(document) + b"\n\n"
    return text + (b"data: [DONE]\n\n" if done else b"")


@dataclass
class Kit:
    read: Callable[..., Told] = read
    stream: Callable[..., bytes] = stream
    surface: Callable[[str], Surface] = surface
    opened: Callable[[Event], Any] = opened
    SSE: str = SSE


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
