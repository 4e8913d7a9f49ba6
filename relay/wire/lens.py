"""A lens over JSON bytes: values are found and replaced in place, and every other byte stays.

The bytes have been accepted by `orjson.loads`, so nothing is validated here; on anything else the answer may be wrong, but it
comes, or a ValueError does. Depth costs no recursion: what no path leads into is skipped, by one regular expression as far as
that reaches, else by counting brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import orjson

Path = tuple[str | int, ...]
"""The way to a value: members by name, elements by index; the empty path is the whole document."""

Span = tuple[int, int]
"""Where a value's source stands, [start, end)."""

# A string ends at a quote behind an even number of backslashes. "Anything but a quote" is the one class that the engine skips
# fast, so the backslashes are counted by looking back from each quote; runs of eight and more take the slow way.
_ODD = rb"(?:(?<=[^\\]\\)|(?<=[^\\]\\{3})|(?<=[^\\]\\{5})|(?<=[^\\]\\{7}))"
_QUICK = rb'"[^"]*+(?:(?<=\\)' + _ODD + rb'"[^"]*+)*+(?<!\\{8})"'
_STRING = rb"(?:" + _QUICK + rb'|"[^"\\]*+(?:\\.[^"\\]*+)*+")'
_FLAT = rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+"


def _nested(levels: int) -> bytes:
    source = rb"[{\[]" + _FLAT + rb"[}\]]"
    for _ in range(levels):
        source = rb'[{\[](?:[^"{}\[\]]++|' + _STRING + rb"|" + source + rb")*+[}\]]"
    return source


_CONTAINER = _nested(7)
FLAT = re.compile(_FLAT, re.DOTALL)
"""All that stands before the next bracket outside of strings (or before a string that does not end)."""
VALUE = re.compile(rb'[^\s,:"{}\[\]]++|' + _STRING + rb"|" + _CONTAINER, re.DOTALL)
"""A whole value, when it is not nested deeper than the expression is."""
_KEY = re.compile(rb"[\s,]*+(" + _STRING + rb")\s*+:\s*+", re.DOTALL)
_BACKSLASH = 92  # as a number: `in` with a byte string is ten times slower, it first fails to take it for a number
_GAP = re.compile(rb"[\s,]*+")


class DuplicateKey(ValueError):
    """A member stands twice in its object, so readers may disagree on its value.

    `path` says where. The message does not: a key may be somebody's text.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"a member stands twice in one object, at depth {len(path)}")
        self.path = path


def spans(data: bytes, wanted: Collection[Path]) -> dict[Path, Span]:
    """Where the value at each wanted path stands in `data`, a string with its quotes. Paths that lead nowhere are left out.

    :raises DuplicateKey: a wanted path, or one on the way to it, stands twice in its object, in whatever spelling.
    :raises ValueError: the bytes are not JSON.
    """
    found: dict[Path, Span] = {}
    if not wanted:
        return found
    node = _tree(wanted)
    at = _after_gap(data, 0)
    open_: list[_Open] = []
    while True:
        # `at` is the start of a value that a wanted path ends at or leads through.
        if node.steps and data[at : at + 1] in (b"{", b"["):
            open_.append(_Open(node, at, data[at] == 123))
            at += 1
        else:
            end = skip(data, at)
            if node.path is not None:
                found[node.path] = (at, end)
            at = end
        while True:
            if not open_:
                return found
            here = open_[-1]
            wanted_next = _next_member(data, at, open_) if here.is_object else _next_element(data, at, here)
            if wanted_next is not None:
                at, node = wanted_next
                break
            at = here.end
            if here.node.path is not None:
                found[here.node.path] = (here.start, at)
            open_.pop()


def replace(data: bytes, changes: Mapping[Path, bytes]) -> bytes:
    """`data` with other JSON source at these paths; every other byte stays.

    :raises DuplicateKey: as `spans` does.
    :raises ValueError: a path leads nowhere, one lies within another, or the bytes are not JSON.
    """
    places = spans(data, changes)
    if len(places) < len(changes):
        raise ValueError(f"{len(changes) - len(places)} of {len(changes)} paths lead nowhere")
    pieces: list[bytes] = []
    copied = 0
    for start, end, path in sorted((*span, path) for path, span in places.items()):
        if start < copied:
            raise ValueError("one of the paths lies within another")
        pieces += (data[copied:start], changes[path])
        copied = end
    pieces.append(data[copied:])
    return b"".join(pieces)


def refuse_doubles(data: bytes) -> None:
    """Read JSON whose objects name no member twice: of two, one reader takes the first and another the last.

    :raises DuplicateKey: an object names a member twice.
    """

    def unique(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise DuplicateKey(())

    json.loads(data, object_pairs_hook=unique)


def source(data: bytes, path: Path) -> bytes:
    """The JSON source of the value at a path, to the letter. :raises ValueError: the path leads nowhere."""
    span = spans(data, (path,)).get(path)
    if span is None:
        raise ValueError("the path leads nowhere")
    return data[span[0] : span[1]]


def string(text: str) -> bytes:
    """A JSON string's source. Lone surrogates, which UTF-8 cannot hold, are escaped."""
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:
        return json.dumps(text).encode("ascii")


def top_level_string(data: bytes, key: str, value: str) -> Span:
    """Where the string stands that is the top-level member `key`, which the parsed document says is `value`.

    Where the key's source occurs once, and nothing can be an escaped spelling of it, that one is the member: no scan is needed.

    :raises DuplicateKey: the member stands twice, in whatever spelling.
    :raises ValueError: there is no such member.
    """
    if (quick := _only_candidate(data, key, value)) is not None:
        return quick
    span = spans(data, ((key,),)).get((key,))
    if span is None or data[span[0]] != 34:
        raise ValueError("there is no such string at the top level")
    return span


def skip(data: bytes, at: int) -> int:
    """Index after the value that starts at `at`.

    :raises ValueError: none does, or it does not end.
    """
    if match := VALUE.match(data, at):
        return match.end()
    if data[at : at + 1] not in (b"{", b"["):
        raise ValueError(f"no JSON value at position {at}")
    return _close(data, at + 1)


def _close(data: bytes, at: int) -> int:
    """Index behind the bracket that closes the container whose inside `at` lies in."""
    depth = 1
    while depth:
        match = FLAT.match(data, at)
        at = match.end() if match else at
        bracket = data[at : at + 1]
        if bracket in (b"{", b"["):
            depth += 1
        elif bracket in (b"}", b"]"):
            depth -= 1
        else:
            raise ValueError(f"a container does not end (position {at})")
        at += 1
    return at


@dataclass(slots=True)
class _Node:
    """A step that wanted paths have in common; `path` where one of them ends here."""

    step: str | int
    path: Path | None = None
    steps: dict[bytes | int, _Node] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """A container that a wanted path leads into, while it is being walked."""

    node: _Node
    start: int
    is_object: bool
    end: int = -1
    index: int = -1
    seen: set[bytes] = field(default_factory=set)


def _tree(wanted: Collection[Path]) -> _Node:
    root = _Node("")
    for path in wanted:
        node = root
        for step in path:
            key = step.encode("utf-8", "surrogatepass") if isinstance(step, str) else step
            if key not in node.steps:
                node.steps[key] = _Node(step)
            node = node.steps[key]
        node.path = path
    return root


def _next_member(data: bytes, at: int, open_: list[_Open]) -> tuple[int, _Node] | None:
    """Where the next wanted member's value starts; None, with the innermost `end` set, behind the last."""
    here = open_[-1]
    steps = here.node.steps
    while match := _KEY.match(data, at):
        at = match.end()
        key = match[1][1:-1]
        if _BACKSLASH in key:
            key = _unescaped(key)
        if key in steps:
            if key in here.seen:
                raise DuplicateKey((*(each.node.step for each in open_[1:]), steps[key].step))
            here.seen.add(key)
            return at, steps[key]
        at = skip(data, at)
    here.end = _after_gap(data, at) + 1
    if data[here.end - 1 : here.end] != b"}":
        raise ValueError(f"an object does not end (position {at})")
    return None


def _next_element(data: bytes, at: int, here: _Open) -> tuple[int, _Node] | None:
    """Where the next wanted element starts; None, with `here.end` set, when no more is wanted."""
    steps = here.node.steps
    last = max((step for step in steps if isinstance(step, int)), default=-1)
    while here.index < last:
        at = _after_gap(data, at)
        if data[at : at + 1] == b"]":
            break
        here.index += 1
        if here.index in steps:
            return at, steps[here.index]
        at = skip(data, at)
    here.end = _close(data, at)
    return None


def _after_gap(data: bytes, at: int) -> int:
    match = _GAP.match(data, at)
    return match.end() if match else at


def _unescaped(key: bytes) -> bytes:
    """A key's text, from its source, as the bytes that a plain spelling of it has."""
    text: str = json.loads(b'"%b"' % key, strict=False)
    return text.encode("utf-8", "surrogatepass")


def _only_candidate(data: bytes, key: str, value: str) -> Span | None:
    quoted, escapes = _spellings(key)
    at = data.find(quoted) if escapes else -1
    behind = at + len(quoted)
    if at < 0 or data.find(quoted, behind) >= 0:
        return None
    if _BACKSLASH in data:
        for escape in escapes:
            if data.find(escape) >= 0:
                return None
    source = b'"%b"' % value.encode("utf-8", "surrogatepass")
    for colon in (b":", b": "):
        start = behind + len(colon)
        if data.startswith(colon, behind) and data.startswith(source, start):
            return start, start + len(source)
    return None


@lru_cache(maxsize=256)
def _spellings(key: str) -> tuple[bytes, tuple[bytes, ...]]:
    """A key's plain source, and what any escaped spelling of it must contain; nothing for keys that have more than these."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", key):
        return b"", ()
    return b'"%b"' % key.encode("ascii"), tuple(sorted({b"\\u%03x" % (ord(letter) >> 4) for letter in key}))
