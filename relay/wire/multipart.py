"""A multipart/form-data body, as far as the relay needs it: its plain fields, and one of them changed. (RFC 7578)

The provider reads the same bytes with a reader of its own. So whatever two readers could take for different fields is refused: a
boundary that stands anywhere but at a delimiter, a part whose name is not given exactly once, a deciding field that comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_BOUNDARY = re.compile(
    r'multipart/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"\\\r\n]{1,70})"|([^\s;",]{1,70}))\s*(?:;.*)?', re.IGNORECASE
)
_PARAMETER = rb';[ \t]*([A-Za-z*-]+)[ \t]*=[ \t]*("(?:[^"\\\r\n]|\\[^\r\n])*"|[^\s;"]+)[ \t]*'
_DISPOSITION = re.compile(rb"form-data[ \t]*((?:" + _PARAMETER + rb")*);?", re.IGNORECASE)
_EACH = re.compile(_PARAMETER)
_AS_IT_IS = (b"7bit", b"8bit", b"binary")
FIELD_LIMIT = 64 * 1024
_HEAD_LIMIT = 8 * 1024
_FIELDS = 256


class Malformed(ValueError):
    """The body is no form that every reader reads alike."""


class NamedTwice(Malformed):
    """A field that decides where the request goes comes twice."""


def boundary(content_type: str) -> bytes | None:
    """The boundary in a Content-Type; None: it is no form, or it names more than one."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None or content_type.lower().count("boundary") > 1:
        return None
    return (found[1] or found[2]).encode("latin-1", "replace")


class Form:
    """A form as it comes: `feed` it any pieces of the body. It holds no more than a field.

    `fields` are the plain fields that have come whole, the first of each name; `spans` their names and places in the body. Longer ones
    than `FIELD_LIMIT` bytes are passed by, as files are. A name in `once` may come once only, as a field or as a file.
    """

    def __init__(self, boundary: bytes, once: Collection[str] = ()) -> None:
        self._mark = b"--" + boundary
        # The first delimiter may stand at the very beginning; it is then found as any other is.
        self._held = bytearray(b"\r\n")
        self._at = -2  # where what is held begins in the body
        self._once = once
        self._seen: set[str] = set()
        self._field: str | None = None
        self._starts = 0
        self._in_head = False
        self._is_over = False
        self.fields: dict[str, str] = {}
        self.spans: list[tuple[str, int, int]] = []

    def feed(self, data: bytes) -> None:
        """:raises Malformed:"""
        if self._is_over:
            return
        self._held += data
        while self._head() if self._in_head else self._body():
            pass

    def _drop(self, size: int) -> None:
        del self._held[:size]
        self._at += size

    def _head(self) -> bool:
        held = self._held
        if held.startswith(b"--"):
            self._is_over = True
            held.clear()
            return False
        line = held.find(b"\r\n")
        behind = held[:line].strip(b" \t") if line >= 0 else held.strip(b" \t-\r")
        if behind:
            raise Malformed("a line begins with the boundary and is no delimiter")
        end = held.find(b"\r\n\r\n")
        if end < 0:
            if len(held) > _HEAD_LIMIT:
                raise Malformed("a part's head is too long")
            return False
        name, is_field = _part(bytes(held[line + 2 : end])) if end > line else _part(b"")
        if name in self._once and name in self._seen:
            raise NamedTwice("a field comes twice")
        if len(self._seen) >= _FIELDS:
            raise Malformed("too many parts")
        self._seen.add(name)
        self._field = name if is_field else None
        self._drop(end + 4)
        self._starts = self._at
        self._in_head = False
        return True

    def _body(self) -> bool:
        held = self._held
        found = held.find(self._mark)
        if found < 0:
            keep = len(self._mark) + 1
            if self._field is not None and len(held) > FIELD_LIMIT:
                self._field = None
            if self._field is None and len(held) > keep:
                self._drop(len(held) - keep)
            return False
        if found < 2 or held[found - 2 : found] != b"\r\n":
            raise Malformed("the boundary stands where no delimiter is")
        if self._field is not None and found - 2 <= FIELD_LIMIT:
            self.spans.append((self._field, self._starts, self._at + found - 2))
            self.fields.setdefault(self._field, held[: found - 2].decode("utf-8", "replace"))
        self._field = None
        self._drop(found + len(self._mark))
        self._in_head = True
        return True


def fields(head: bytes, boundary: bytes) -> dict[str, str]:
    """The plain fields that stand whole in `head`. A name given twice keeps its first value. :raises Malformed:"""
    form = Form(boundary)
    form.feed(head)
    return form.fields


def replace(head: bytes, boundary: bytes, name: str, value: str) -> bytes:
    """`head` with another value in every plain field of this name; every other byte stays. :raises Malformed:"""
    form = Form(boundary)
    form.feed(head)
    for found, start, end in reversed(form.spans):
        if found == name:
            head = head[:start] + value.encode() + head[end:]
    return head


def _part(head: bytes) -> tuple[str, bool]:
    """A part's name, and whether it is a plain field. :raises Malformed:"""
    disposition: bytes | None = None
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        low = name.lower()
        if not colon or low != low.strip() or b"\n" in line or b"\r" in line or b"\0" in line:
            raise Malformed("a part's head cannot be read")
        if low == b"content-disposition":
            if disposition is not None:
                raise Malformed("a part has two dispositions")
            disposition = value.strip()
        elif low == b"content-transfer-encoding" and value.strip().lower() not in _AS_IT_IS:
            raise Malformed("a part is encoded")
    found = _DISPOSITION.fullmatch(disposition or b"")
    if found is None:
        raise Malformed("a part's disposition cannot be read")
    given: dict[bytes, bytes] = {}
    for key, value in _EACH.findall(found[1]):
        if key.lower() in given:
            raise Malformed("a part's disposition says something twice")
        given[key.lower()] = value
    if b"name" not in given or b"name*" in given or b"\\" in given[b"name"]:
        raise Malformed("a part's name is not given plainly")
    name = given[b"name"].strip(b'"')
    return name.decode("utf-8", "replace"), not {b"filename", b"filename*"} & given.keys()
