"""Ids: UUIDv7 (RFC 9562), made here and not by the database, shown as `exc_…` with 32 hexadecimal digits.

Within one process ids only grow: a millisecond that is full borrows from the next one.
"""

from __future__ import annotations

import os
import re
from time import time_ns
from uuid import UUID

_DIGITS = re.compile(r"[0-9a-f]{32}")


class _Sequence:
    """74 bits below the millisecond: 12 counted, 62 random, drawn anew for each id from a buffered pool."""

    __slots__ = ("_last", "_pid", "_pool", "_pool_at")

    def __init__(self) -> None:
        self._last = 0
        self._pool = b""
        self._pool_at = 0
        self._pid = 0

    def take(self) -> int:
        at = (time_ns() // 1_000_000) << 12
        if at <= self._last:
            at = self._last + 1
        self._last = at
        if self._pool_at >= len(self._pool) or self._pid != os.getpid():
            self._pool, self._pool_at, self._pid = os.urandom(4096), 0, os.getpid()
        random = int.from_bytes(self._pool[self._pool_at : self._pool_at + 8]) & 0x3FFF_FFFF_FFFF_FFFF
        self._pool_at += 8
        return (at >> 12) << 80 | 0x7 << 76 | (at & 0xFFF) << 64 | 0b10 << 62 | random


_sequence = _Sequence()


def new() -> UUID:
    """A new UUIDv7."""
    return UUID(int=_sequence.take())


def shown(prefix: str) -> str:
    """A new id as it is shown: `exc_019…`, 32 hexadecimal digits after the prefix, in the order of time."""
    return f"{prefix}_{_sequence.take():032x}"


def show(prefix: str, uuid: UUID) -> str:
    """An id as it is shown."""
    return f"{prefix}_{uuid.int:032x}"


def read(prefix: str, text: str) -> UUID:
    """The id behind what `show` made. :raises ValueError: it is not one, or carries another prefix."""
    head, _, digits = text.rpartition("_")
    if head != prefix or not _DIGITS.fullmatch(digits):
        raise ValueError(f"not an id of the form {prefix}_…")
    return UUID(int=int(digits, 16))
