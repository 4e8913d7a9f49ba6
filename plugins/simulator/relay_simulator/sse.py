"""Server-sent events, written."""

from __future__ import annotations

from typing import Any

import orjson


def event(document: Any, name: str | None = None, *, newline: bytes = b"\n") -> bytes:
    """One event with a JSON document as its data."""
    head = b"event: " + name.encode() + newline if name else b""
    return head + b"data: " + orjson.dumps(document) + newline + newline


def json(document: Any) -> str:
    """A document as the text that a stream tells piece by piece."""
    return orjson.dumps(document).decode()
