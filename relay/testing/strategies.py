"""Hypothesis strategies: bytes as a network may deliver them, and what is written on the wire.

One file, so that every parser meets the same mean inputs.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

# The same examples in every run, and no clock: what a test finds does not depend on the machine that runs it. Importing
# this file is what property tests have in common, so it is here that they get it. ALL=1 looks ten times as far.
settings.register_profile(
    "relay", max_examples=500 if os.environ.get("ALL") else 50, deadline=None, derandomize=True, database=None
)
settings.load_profile("relay")

LINE_ENDS = (b"\n", b"\r\n", b"\r")


@st.composite
def chunkings(draw: st.DrawFn, data: bytes, most: int = 12) -> list[bytes]:
    """Any way to cut `data` into up to `most` + 1 chunks, empty ones among them, or into single bytes."""
    if draw(st.integers(0, 7)) == 0:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=most)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


_MEAN = (
    '"',
    "\\",
    '\\"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\r",
    " ",
    "é",
    "雪",
    "🂡",
    "model",
    "\0",
    '"model":"x"',
    '{"a":"[\\"]"}',
)


def texts() -> st.SearchStrategy[str]:
    """Strings that parsers trip over: quotes, backslash runs, brackets, line ends, JSON in JSON, every plane of Unicode."""
    return st.one_of(
        st.lists(st.sampled_from(_MEAN), max_size=6).map("".join), st.text(st.characters(codec="utf-8"), max_size=6)
    )


_KEYS = st.sampled_from(["model", "a", "b", "usage", "content", "ключ", 'q"', "b\\", ""])


def keys() -> st.SearchStrategy[str]:
    """Member names: few, so that they meet, and some that need escapes."""
    return st.one_of(_KEYS, _KEYS, texts())


_SCALARS = st.one_of(st.sampled_from([None, True, False, 0, -1.5e300, 2**53, 0.1, ""]), texts())


def documents(leaves: int = 5) -> st.SearchStrategy[Any]:
    """Any JSON document that survives a round trip."""
    return st.recursive(
        _SCALARS,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys(), inner, max_size=4)),
        max_leaves=leaves,
    )


@st.composite
def json_sources(draw: st.DrawFn, of: st.SearchStrategy[Any] | None = None) -> bytes:
    """A document in one of the spellings that are found in the wild: compact, spaced, indented, escaped to ASCII or not."""
    document = draw(documents() if of is None else of)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :\t")]))
    source = json.dumps(
        document,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 2, "\t"])),
        separators=separators,
    )
    return draw(st.sampled_from(["", " ", "\r\n"])).encode() + source.encode() + draw(st.sampled_from([b"", b"\n"]))


_FIELDS = (b"data", b"data", b"data", b"data", b"event", b"id", b"retry", b"", b"other", b"Data", b"\xef\xbb\xbfdata")
_VALUES = (
    b"",
    b":",
    b": ",
    b": ",
    b":x",
    b": [DONE]",
    b":  two",
    b": message_start",
    b": \xc3\xa9\xf0\x9f\x82\xa1",
    b':{"a":"\\n:"}',
)
_LINES = st.builds(bytes.__add__, st.sampled_from(_FIELDS), st.sampled_from(_VALUES))


@st.composite
def sse_streams(draw: st.DrawFn) -> bytes:
    """A stream of events in any mixture of line ends: comments, blank lines, odd fields, several data lines, cut or not."""
    kinds = draw(st.sampled_from([LINE_ENDS[:1], LINE_ENDS[1:2], LINE_ENDS[2:], LINE_ENDS]))
    lines = draw(st.lists(st.one_of(_LINES, st.just(b"")), max_size=14))
    if len(kinds) == 1:
        stream = b"".join(line + kinds[0] for line in lines)
    else:
        ends = draw(st.lists(st.sampled_from(kinds), min_size=len(lines), max_size=len(lines)))
        stream = b"".join(map(bytes.__add__, lines, ends))
    return (
        draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) + stream + draw(st.sampled_from([b"", b"data: {", *kinds]))
    )


@st.composite
def json_arrays(draw: st.DrawFn) -> bytes:
    """A JSON array as it is streamed, element by element, with the white space that is found between them."""
    gap = st.sampled_from([b"", b"\n", b"\r\n", b" "])
    inside = b""
    for element in draw(st.lists(json_sources().map(bytes.strip), max_size=3)):
        inside += (draw(gap) + b"," + draw(gap) if inside else draw(gap)) + element
    return draw(gap) + b"[" + inside + draw(gap) + b"]" + draw(gap)
