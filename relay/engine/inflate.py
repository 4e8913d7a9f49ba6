"""Bodies that come compressed, opened a piece at a time: what has been opened is bounded, whatever is in it. (RFC 9110 §8.4.1)"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE = 256 * 1024
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
ENCODINGS = frozenset(_WINDOW)
"""The content encodings that are understood."""


class Undecodable(ValueError):
    """The bytes are not what their encoding says."""


class Inflate:
    """One compressed body. :param encoding: one of `ENCODINGS`"""

    def __init__(self, encoding: str) -> None:
        self._window = _WINDOW[encoding]
        self._inner = zlib.decompressobj(self._window)
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes hold, in pieces of at most `PIECE`. :raises Undecodable:"""
        if data and not self._has_begun:
            self._has_begun = True
            if self._window == 15 and data[0] & 15 != 8:
                # "deflate" is zlib's format; some send what is in it without its wrapping.
                self._inner = zlib.decompressobj(-15)
        while True:
            if data and self._inner.eof:
                raise Undecodable("something follows the end")
            try:
                out = self._inner.decompress(data, PIECE)
            except zlib.error:
                out = None
            if out is None or self._inner.unused_data:
                raise Undecodable("the body is not what its encoding says")
            data = self._inner.unconsumed_tail
            if out:
                yield out
            if not data and len(out) < PIECE:
                return

    def end(self) -> None:
        """All bytes have been fed. :raises Undecodable: they are not all of it."""
        if self._has_begun and not self._inner.eof:
            raise Undecodable("the end is missing")
