"""Asking for the usage of a stream, and keeping the answer from a client who did not ask.

A streamed chat completion tells its usage only where `stream_options.include_usage` is set: in a last chunk without choices.
"""

from __future__ import annotations

from typing import Any

from relay.wire import lens
from relay.wire.dialect import Surface
from relay.wire.framing import Frame
from relay_openai.asking import ambiguous

_OPTIONS = ("stream_options",)
_FLAG = (*_OPTIONS, "include_usage")


def meter(surface: Surface, body: bytes, document: Any) -> bytes | None:
    """The body of a streamed request with its usage asked for, every other byte as it was; None: there is nothing to do.

    :raises Refused: `ambiguous_body` where the options stand twice.
    """
    if (
        surface.name not in ("chat", "completions")
        or not isinstance(document, dict)
        or document.get("stream") is not True
    ):
        return None
    options = document.get("stream_options")
    if options is None and "stream_options" not in document:
        return _spliced(body, body.index(b"{") + 1, b'"stream_options":{"include_usage":true},')
    if options is not None and (not isinstance(options, dict) or options.get("include_usage") is True):
        return None
    try:
        if options is None:
            return lens.replace(body, {_OPTIONS: b'{"include_usage":true}'})
        if "include_usage" in options:
            return lens.replace(body, {_FLAG: b"true"})
        start = lens.spans(body, (_OPTIONS,))[_OPTIONS][0]
    except lens.DuplicateKey:
        ambiguous()
    return _spliced(body, start + 1, b'"include_usage":true,' if options else b'"include_usage":true')


def unmeter(frame: Frame) -> bool:
    """Is this the chunk that is there only because `meter` asked for it: usage, and no choices?"""
    data = frame.data
    if data is None or b'"usage"' not in data:
        return False
    document = frame.document()
    return (
        isinstance(document, dict)
        and document.get("choices") == []
        and isinstance(document.get("usage"), dict)
        and not document.get("error")
    )


def _spliced(body: bytes, at: int, source: bytes) -> bytes:
    return b"%b%b%b" % (body[:at], source, body[at:])
