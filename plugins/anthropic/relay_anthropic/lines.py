"""A body of JSON lines, as batch results come: each line is a frame."""

from __future__ import annotations

from typing import Self

from relay.wire.framing import LIMIT, Frame, FrameTooLarge


class LineFrame(Frame):
    """A line with its end; its payload is the line without it, and none where that is blank."""

    __slots__ = ()

    @property
    def data(self) -> bytes | None:
        return self.raw.strip() or None

    def with_data(self, data: bytes) -> Self:
        old = self.data
        if old is None:
            raise ValueError("this frame is a blank line and has no payload to replace")
        start = self.raw.index(old)
        return type(self)(b"".join((self.raw[:start], data, self.raw[start + len(old) :])), self.complete)


class LineFramer:
    """Cuts at LF. The last line may lack its end and is whole all the same."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held: list[bytes] = []
        self._size = 0

    @property
    def pending(self) -> int:
        return self._size

    def feed(self, chunk: bytes) -> list[Frame]:
        end = chunk.rfind(b"\n") + 1
        frames: list[Frame] = []
        if end:
            self._held.append(chunk[:end])
            frames += (LineFrame(line + b"\n") for line in b"".join(self._held)[:-1].split(b"\n"))
            self._held, self._size = [], 0
        if end < len(chunk):
            self._held.append(chunk[end:])
            self._size += len(chunk) - end
        if self._size > self._limit:
            raise FrameTooLarge(self._size, self._limit)
        return frames

    def end(self) -> list[Frame]:
        rest, self._held, self._size = b"".join(self._held), [], 0
        return [LineFrame(rest)] if rest else []
