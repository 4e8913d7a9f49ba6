"""The beginning of a multipart/form-data body, as far as the relay needs it: its plain fields, and one of them changed. (RFC 7578)"""

from __future__ import annotations

import re

_BOUNDARY = re.compile(
    r'multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;",]{1,70}))', re.IGNORECASE
)
_NAME = re.compile(rb'content-disposition:[^\r\n]*?;\s*name="([^"\r\n]*)"', re.IGNORECASE)
_FILE = re.compile(rb"content-disposition:[^\r\n]*?;\s*filename\*?=", re.IGNORECASE)
FIELD_LIMIT = 64 * 1024


def boundary(content_type: str) -> bytes | None:
    """The boundary in a Content-Type; None: it is no form."""
    found = _BOUNDARY.match(content_type)
    return (found[1] or found[2]).encode("latin-1") if found else None


def spans(head: bytes, boundary: bytes) -> list[tuple[str, int, int]]:
    """Name and place of the value of each plain field that stands whole in `head`, in order."""
    delimiter = b"--" + boundary
    found = []
    at = 0 if head.startswith(delimiter) else head.find(b"\r\n" + delimiter) + 2
    if at == 1:
        return []
    while at >= 0:
        start = at + len(delimiter)
        if head.startswith(b"--", start):
            break
        blank = head.find(b"\r\n\r\n", start)
        if blank < 0:
            break
        end = head.find(b"\r\n" + delimiter, blank + 2)
        if end < 0:
            break
        lines = head[start:blank]
        name = _NAME.search(lines)
        if name is not None and not _FILE.search(lines) and end - blank - 4 <= FIELD_LIMIT:
            found.append((name[1].decode("utf-8", "replace"), blank + 4, max(blank + 4, end)))
        at = end + 2
    return found


def fields(head: bytes, boundary: bytes) -> dict[str, str]:
    """The plain fields that stand whole in `head`. A name given twice keeps its first value."""
    out: dict[str, str] = {}
    for name, start, end in spans(head, boundary):
        out.setdefault(name, head[start:end].decode("utf-8", "replace"))
    return out


def replace(head: bytes, boundary: bytes, name: str, value: str) -> bytes:
    """`head` with another value in every plain field of this name; every other byte stays."""
    for found, start, end in reversed(spans(head, boundary)):
        if found == name:
            head = head[:start] + value.encode() + head[end:]
    return head
