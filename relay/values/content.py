"""A prompt or an answer, closed: it tells its size and its token count; only a declared reader opens it."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol, final

from relay.errors import ContentClosed


class Reader(Protocol):
    """Whoever opens content says so: a plugin with `reads_content = True`, or the core itself."""

    @property
    def reads_content(self) -> bool: ...


class _Core:
    reads_content = True


CORE = _Core()
"""The core as a reader: framing, translation, rewriting. Plugins pass themselves."""


@final
class Content:
    """What somebody wrote or a model answered. It cannot be printed, logged, serialised or pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        value = self._value
        if isinstance(value, bytes):
            return len(value)
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))

    @property
    def tokens(self) -> int:
        """An estimate without opening it: a token for each started four bytes."""
        return (self.size + 3) // 4

    def text(self, reader: Reader) -> str:
        """The words. :raises ContentClosed: `reader` has not declared that it reads content."""
        if not reader.reads_content:
            raise ContentClosed("content is opened only by what declares reads_content")
        value = self._value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def data(self, reader: Reader) -> bytes:
        """The bytes. :raises ContentClosed: `reader` has not declared that it reads content."""
        if not reader.reads_content:
            raise ContentClosed("content is opened only by what declares reads_content")
        value = self._value
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")

    def __repr__(self) -> str:
        return "<content>"

    def __str__(self) -> NoReturn:
        raise TypeError("content has no printable form")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("content has no printable form")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("content is not pickled or serialised")

    def __copy__(self) -> Content:
        return self

    def __deepcopy__(self, memo: Any) -> Content:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)
