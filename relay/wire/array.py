"""A stream that is one JSON array, `[{…},\\n{…}]`: each element is a frame as soon as it ends.

The punctuation before an element belongs to its frame; what follows the last one is a frame without a payload. A body that is
one value and no array (an error, mostly) is a stream of that one element.
"""

from __future__ import annotations

import re
from typing import Self

from relay.wire.framing import LIMIT, Frame, FrameTooLarge
from relay.wire.lens import FLAT, VALUE

_BETWEEN = re.compile(rb"[\s,]*+")
_SCALAR = re.compile(rb'[^\s,"{}\[\]]*+')
_QUOTE, _BACKSLASH = b'"\\'


class ArrayFrame(Frame):
    """An element with the punctuation before it, or punctuation alone. `place` is the element's span in `raw`."""

    __slots__ = ("_place",)

    def __init__(self, raw: bytes, complete: bool = True, place: tuple[int, int] | None = None) -> None:
        super().__init__(raw, complete)
        self._place = place

    @property
    def data(self) -> bytes | None:
        return None if self._place is None else self.raw[self._place[0] : self._place[1]]

    def with_data(self, data: bytes) -> Self:
        if self._place is None:
            raise ValueError("this frame is punctuation and has no payload to replace")
        start, end = self._place
        return type(self)(self.raw[:start] + data + self.raw[end:], self.complete, (start, start + len(data)))


class ArrayFramer:
    """Cuts a JSON array into its elements. It counts brackets outside of strings and validates nothing."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._at = 0
        """Up to here `_held` has been looked at."""
        self._start = -1
        """Where the element begins that is being read; -1 between elements."""
        self._depth = 0
        self._quoted = False
        self._is_array: bool | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        return len(self._held)

    def feed(self, chunk: bytes) -> list[Frame]:
        self._held += chunk
        frames: list[Frame] = []
        sent = 0
        while not self._closed and self._step():
            place = None if self._start < 0 else (self._start - sent, self._at - sent)
            frames.append(ArrayFrame(bytes(self._held[sent : self._at]), place=place))
            self._start = -1
            sent = self._at
            # Behind a body that is one value there is no further element to look for.
            self._closed = self._closed or not self._is_array
        if sent:
            del self._held[:sent]
            self._at -= sent
            self._start -= sent if self._start >= 0 else 0
        if len(self._held) > self._limit:
            raise FrameTooLarge(len(self._held), self._limit)
        return frames

    def end(self) -> list[Frame]:
        """What is left. An array that was never closed ends with a frame that is not `complete`, be it an empty one."""
        rest, self._held = bytes(self._held), bytearray()
        if self._start >= 0:
            is_whole = not self._is_array and not self._depth and not self._quoted
            return [ArrayFrame(rest, complete=is_whole, place=(self._start, len(rest)))]
        if rest or (self._is_array and not self._closed):
            return [ArrayFrame(rest, complete=self._closed)]
        return []

    def _step(self) -> bool:
        """Moves on to the end of the next frame; False when it has not arrived."""
        held = self._held
        if self._start < 0:
            self._skip(_BETWEEN)
            if self._is_array is None and self._at < len(held):
                self._is_array = held[self._at] == 91
                if self._is_array:
                    self._at += 1
                    self._skip(_BETWEEN)
            if self._at == len(held):
                return False
            if self._is_array and held[self._at] == 93:
                self._at += 1
                self._closed = True
                return True
            self._start = self._at
            # Mostly the whole element is here; then one expression finds its end.
            if held[self._at] in b'{["' and (match := VALUE.match(held, self._at)):
                self._at = match.end()
                return True
        return self._read_on()

    def _read_on(self) -> bool:
        """Moves on to the end of an element that arrives in pieces; False when it has not arrived."""
        held = self._held
        while self._at < len(held):
            if self._quoted:
                if not self._leave_string():
                    return False
            elif self._depth or held[self._at] in b'{["':
                if self._at > self._start and not self._depth:
                    return True
                self._skip(FLAT)
                if self._at == len(held):
                    return False
                # FLAT stops at a bracket, or at a string that does not end here.
                byte = held[self._at]
                self._at += 1
                self._quoted = byte == _QUOTE
                self._depth += (byte in b"{[") - (byte in b"}]")
            else:
                # A number or a literal; whatever else stands here, one byte of it is read, so that nothing stands still.
                self._at += self._at == self._start
                self._skip(_SCALAR)
                return self._at < len(held)
            if not self._depth and not self._quoted:
                return True
        return False

    def _leave_string(self) -> bool:
        held = self._held
        while (quote := held.find(b'"', self._at)) >= 0:
            before = quote - 1
            while held[before] == _BACKSLASH:
                before -= 1
            self._at = quote + 1
            if (quote - before) % 2:
                self._quoted = False
                return True
        self._at = len(held)
        return False

    def _skip(self, what: re.Pattern[bytes]) -> None:
        if match := what.match(self._held, self._at):
            self._at = match.end()
