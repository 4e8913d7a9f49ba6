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

    def __init__(self, tell: Tell, *, is_new: bool = True) -> None:
        """:param is_new: it answers what was generated now; False: it may be a stored object with an error of its own."""
        self._tell = tell
        self._is_new = is_new
        self.complete = False

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        document = frame.document()
        self.complete = True
        found = Gather(kinds)
        if self._is_new or not isinstance(document, dict) or "id" not in document:
            found.failure(read_error(document))
        self._tell(found, document)
        return found.events


class PlainReader:
    """Reads an answer that is text and nothing else (a transcript, subtitles).

    It has no place within JSON in which it could be changed, so it is opaque to those who change texts.
    """

    complete = True

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if not frame.data or "opaque" not in kinds:
            return ()
        return (Event("opaque", Content(frame.data), ("text",), 0, True, ()),)


class PieceReader:
    """Reads the pieces of a file: bytes of somebody's, in which nothing is looked for. HTTP tells where they end."""

    complete = True

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if not frame.data or self._kind not in kinds:
            return ()
        return (Event(self._kind, Content(frame.data), (self._kind,), 0, False, ()),)
