"""Server-sent events, byte-exact. https://html.spec.whatwg.org/multipage/server-sent-events.html

A frame is an event with the blank line that ends it; a blank line that ends nothing is a frame of its own, and so is the byte
order mark that may open a stream. Lines end with LF, CRLF or CR, in any mixture.
"""

from __future__ import annotations

import re
from typing import Self

from relay.wire.framing import LIMIT, UNREAD, Frame, FrameTooLarge

_BOM = b"\xef\xbb\xbf"
_BLANK = frozenset((b"\n", b"\r\n", b"\r"))
_CR = 13  # as a number: `in` with a byte string is ten times slower, it first fails to take it for a number
_LINE_END = re.compile(rb"\r\n|\n|\r")


class SseFrame(Frame):
    """An event, or what stands between events; its fields are read when one of them is asked for."""

    __slots__ = ("_data", "_name", "_read")

    _data: bytes | None
    _name: str | None

    def __init__(self, raw: bytes, complete: bool = True) -> None:
        # Not through super(): that call would cost as much as all the rest, for every event of every stream.
        self.raw = raw
        self.complete = complete
        self._document = UNREAD
        self._read = False

    @property
    def data(self) -> bytes | None:
        if not self._read:
            self._read_fields()
        return self._data

    @property
    def name(self) -> str | None:
        if not self._read:
            self._read_fields()
        return self._name

    def with_data(self, data: bytes) -> Self:
        """The same event with another payload: every other field, comment, line end and space stays.

        Several data lines become one; a payload that itself holds line ends takes one data line for each of its lines.

        :raises ValueError: this frame has no data line that could be replaced.
        """
        old = self.data
        if old is None:
            raise ValueError("this frame has no data line to replace")
        if old == data:
            return self
        pieces: list[bytes] = []
        replaced = False
        for line in self.raw.splitlines(keepends=True):
            field = line.rstrip(b"\r\n")
            if _name_of(field) != b"data":
                # A data line dropped between a CR and an LF must not make one line end of the two.
                meets_cr = line == b"\n" and bool(pieces) and pieces[-1].endswith(b"\r")
                pieces.append(b"\r\n" if meets_cr else line)
            elif not replaced:
                pieces.append(_data_lines(data, field, line[len(field) :]))
                replaced = True
        return type(self)(b"".join(pieces), self.complete)

    def _read_fields(self) -> None:
        data: list[bytes] = []
        name = b""
        raw = self.raw
        if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.endswith(b"\n\n") and _CR not in raw:
            # Most events of most streams: one data line and nothing else.
            self._data, self._name, self._read = raw[6:-2], None, True
            return
        for line in raw.splitlines() if _CR in raw else raw.split(b"\n"):
            # The order of the tests is that of their likelihood: these lines are most of what streams are made of.
            if line.startswith(b"data: "):
                data.append(line[6:])
            elif line.startswith(b"event: "):
                name = line[7:]
            elif not line:
                continue
            elif (field := _name_of(line)) == b"data":
                data.append(_value_of(line))
            elif field == b"event":
                name = _value_of(line)
        self._data = (data[0] if len(data) == 1 else b"\n".join(data)) if data else None
        self._name = name.decode(errors="replace") if name else None
        self._read = True


class SseFramer:
    """Cuts a stream of server-sent events. A CR that ends a chunk is held, since an LF may belong to it."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._fresh = True

    @property
    def pending(self) -> int:
        return len(self._held)

    def feed(self, chunk: bytes) -> list[Frame]:
        if self._held:
            held = self._held
            # What is held is looked at again only when that costs no more than the chunk does, or when an event ends here:
            # a large event in many small chunks must not cost the square of its size.
            again = len(chunk) >= len(held) or self.boundary(bytes(held[-2:]) + chunk)
            held += chunk
            frames = self._cut(bytes(held)) if again else []
        else:
            frames = self._cut(chunk)
        if len(self._held) > self._limit:
            raise FrameTooLarge(len(self._held), self._limit)
        return frames

    def end(self) -> list[Frame]:
        frames = self._cut(bytes(self._held), is_last=True)
        rest, self._held = bytes(self._held), bytearray()
        return [*frames, SseFrame(rest, complete=False)] if rest else frames

    def _cut(self, buffer: bytes, is_last: bool = False) -> list[Frame]:
        frames: list[Frame] = []
        start = at = 0
        if self._fresh:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._held = bytearray(buffer)
                return frames
            self._fresh = False
            if buffer.startswith(_BOM):
                frames.append(SseFrame(_BOM))
                start = at = len(_BOM)
        lines = (buffer[start:] if start else buffer).splitlines(keepends=True)
        if not is_last and buffer.endswith(b"\r"):
            lines.pop()
        for line in lines:
            at += len(line)
            if len(line) < 3 and line in _BLANK:
                frames.append(SseFrame(buffer[start:at]))
                start = at
        self._held = bytearray(buffer[start:])
        return frames

    @staticmethod
    def boundary(buffer: bytes) -> int:
        """Index after the last complete event in `buffer`, 0 without one: what may be passed on unread.

        To a client an event ends with the CR of its blank line, so an LF that follows in the next chunk is a part of nothing.
        """
        end = 0
        if _CR in buffer:
            end = buffer.rfind(b"\n\r") + 2
            if end > 1 and buffer[end : end + 1] == b"\n":
                end += 1
            # From here on only what stands behind counts; so a long buffer is not searched for what it does not hold.
            end = max(end, buffer.rfind(b"\r\r", max(end - 1, 0)) + 2)
        end = max(end, buffer.rfind(b"\n\n", max(end - 1, 0)) + 2)
        return end if end > 1 else 0


def sse(data: bytes, event: str | None = None, id: str | None = None) -> bytes:
    """An event as bytes, with LF line ends and a data line for each line of `data`.

    :raises ValueError: `event` or `id` holds what cannot stand in a field: a line end, or NUL in `id`.
    """
    fields: list[bytes] = []
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            source = value.encode()
            if _LINE_END.search(source) or (name == "id" and b"\0" in source):
                raise ValueError(f"the field '{name}' of an event cannot hold a line end or NUL")
            fields.append(b"%b: %b\n" % (name.encode(), source))
    return b"%b%b\n" % (b"".join(fields), _data_lines(data, b"data: ", b"\n"))


def _name_of(line: bytes) -> bytes:
    """The field a line sets: what stands before its colon, else all of it. A comment's is empty."""
    return line.partition(b":")[0]


def _value_of(line: bytes) -> bytes:
    return line.partition(b":")[2].removeprefix(b" ")


def _data_lines(data: bytes, like: bytes, line_end: bytes) -> bytes:
    """`data` as data lines that are written like the line `like`, with a space behind the colon or without."""
    spaced = like.startswith(b"data: ")
    # Without the space a reader would take the payload's own first space for it.
    lines = [
        b"%b%b" % (b"data: " if spaced or line.startswith(b" ") else b"data:", line) for line in _LINE_END.split(data)
    ]
    return (line_end or b"\n").join(lines) + line_end
