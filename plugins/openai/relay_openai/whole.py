"""Readers for answers without events of their own: a JSON body, a plain text, a piece of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from relay.values.content import Content
from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Kind
from relay_openai.errors import read_error
from relay_openai.gather import Gather

Tell = Callable[[Gather, Any], None]


class WholeReader:
    """Reads a JSON body; `tell` knows what stands in it. It is complete when it parses."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.complete = False

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        document = frame.document()
        self.complete = True
        found = Gather(kinds)
        found.failure(read_error(document))
        self._tell(found, document)
        return found.events


class PlainReader:
    """Reads an answer that is text and nothing else (a transcript, subtitles). Its place is all of the payload."""

    complete = True

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if not frame.data or "text" not in kinds:
            return ()
        return (Event("text", Content(frame.data.decode("utf-8", "replace")), ("text",), 0, True, (), source=True),)


class PieceReader:
    """Reads the pieces of a file: bytes of somebody's, in which nothing is looked for. HTTP tells where they end."""

    complete = True

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if not frame.data or self._kind not in kinds:
            return ()
        return (Event(self._kind, Content(frame.data), (self._kind,), 0, False, ()),)
