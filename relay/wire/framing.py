"""How the bytes of a reply fall into frames.

Frames never lose a byte: the `raw` of all frames of a stream, joined, are the stream. A frame looks into its bytes only when it
is asked to, because most frames of most streams pass by unread.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import orjson

LIMIT = 16 * 1024 * 1024
"""How many bytes a framer holds, by default, while it waits for the end of a frame."""


class FrameTooLarge(ValueError):
    """More bytes arrived without the end of a frame than a framer may hold."""

    def __init__(self, held: int, limit: int) -> None:
        super().__init__(f"a frame of more than {limit} bytes is not read; {held} arrived without its end")
        self.held = held
        self.limit = limit


def has_mark(data: bytes, marks: tuple[bytes, ...]) -> bool:
    """Does one of these byte strings stand in `data`?"""
    for mark in marks:  # noqa: SIM110 - a generator costs five times the search, and `in` tries an integer first
        if data.find(mark) >= 0:
            return True
    return False


class _Unread:
    """Stands where nothing has been parsed yet, because None is a document as well."""


UNREAD = _Unread()


class Frame:
    """One piece of a reply on the wire; this one is payload and nothing else (a JSON body, a chunk).

    It is made for every event of every stream: no dataclass, nothing computed in advance. A payload is content, so a frame
    shows its size and not its bytes.
    """

    __slots__ = ("_document", "complete", "raw")

    def __init__(self, raw: bytes, complete: bool = True) -> None:
        self.raw = raw
        """The exact bytes on the wire, terminators and punctuation included."""
        self.complete = complete
        """False for what was left when the stream ended in the middle of a frame."""
        self._document: Any = UNREAD

    @property
    def data(self) -> bytes | None:
        """The payload: the joined data lines of an SSE event, a JSON body, an array's element.

        None where a frame carries none: comments, blank lines, an array's punctuation.
        """
        return self.raw

    @property
    def name(self) -> str | None:
        """The `event:` field of an SSE event; None without one."""
        return None

    def document(self) -> Any:
        """The payload as JSON, parsed once; whoever asks again gets the same object, so it is not to be changed.

        :raises ValueError: there is no payload, or it is not JSON. The message does not quote it.
        """
        if self._document is UNREAD:
            self._document = _parsed(self.data)
        return self._document

    def with_data(self, data: bytes) -> Self:
        """The same frame with another payload; every byte around the payload stays.

        :raises ValueError: this frame has no payload that could be replaced.
        """
        return type(self)(data, self.complete)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.raw)} bytes{'' if self.complete else ', cut'}>"


class Framer(Protocol):
    """Cuts the bytes of one reply into frames. Any chunking of the same bytes gives the same frames."""

    @property
    def pending(self) -> int:
        """How many bytes are held until their frame ends."""
        ...

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that end in this chunk.

        :raises FrameTooLarge: what is held has outgrown the framer's limit; the stream cannot be read on.
        """
        ...

    def end(self) -> list[Frame]:
        """What is left at the end of the stream; an unfinished frame comes out as one that is not `complete`."""
        ...


class WholeFramer:
    """The whole body is one frame, which comes at the end. A body without a byte has no frame."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()

    @property
    def pending(self) -> int:
        return len(self._held)

    def feed(self, chunk: bytes) -> list[Frame]:
        self._held += chunk
        if len(self._held) > self._limit:
            raise FrameTooLarge(len(self._held), self._limit)
        return []

    def end(self) -> list[Frame]:
        body, self._held = bytes(self._held), bytearray()
        return [Frame(body)] if body else []


class PieceFramer:
    """Every chunk is a frame, as it comes: for audio, files and whatever else has no frames of its own."""

    @property
    def pending(self) -> int:
        return 0

    def feed(self, chunk: bytes) -> list[Frame]:
        return [Frame(chunk)] if chunk else []

    def end(self) -> list[Frame]:
        return []


def _parsed(data: bytes | None) -> Any:
    if data is None:
        raise ValueError("this frame has no payload")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        position = error.pos
    # Outside of the handler: the decoder's own error carries the document, which must not travel along as a context.
    raise ValueError(f"a payload of {len(data)} bytes is not JSON (position {position})")
