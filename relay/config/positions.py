"""YAML as a tree that knows where everything stands.

The tree is built from libyaml's events, not by PyYAML's composer: that one recurses in C (a file of brackets ends the
process), takes the last of two equal keys without a word, and lets aliases multiply without a bound. Scalars are read as
YAML 1.2 does, plus `2_000_000`: `no`, `on`, `12:30` and `0755` are text, so that a country stays a country; a setting that
is a boolean or a number still understands them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from relay.errors import Problem

DEPTH = 64
"""Levels of nesting that a configuration may have."""
NODES = 50_000
"""Values that a configuration may hold, those that aliases repeat counted each time."""

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TEXT_TAGS = frozenset(("!", "tag:yaml.org,2002:str"))
_MERGE = "<<"
_HUGE = 2**63
"""What no counter of ours holds: such a number is text, and refused where a number belongs."""


@dataclass(slots=True)
class Scalar:
    """One value. `line` and `column` count from 1, here and below."""

    value: object
    line: int
    column: int


@dataclass(slots=True)
class Sequence:
    items: list[Node]
    line: int
    column: int


@dataclass(slots=True)
class Entry:
    """One key of a mapping, with the place of the key."""

    key: str
    value: Node
    line: int
    column: int


@dataclass(slots=True)
class Mapping:
    """Keys are always text, as written."""

    entries: dict[str, Entry]
    line: int
    column: int


Node = Scalar | Sequence | Mapping
Place = tuple[int, int]
"""Line and column, from 1."""


@dataclass(slots=True)
class Problems:
    """What was found wrong in one file so far, each once."""

    file: str
    found: dict[Problem, None] = field(default_factory=dict)

    def add(self, line: int, column: int, message: str) -> None:
        self.found[Problem(self.file, line, column, message)] = None


def read(text: str, problems: Problems) -> Node | None:
    """The tree of a YAML text; an empty one is an empty mapping. None: it could not be read, and `problems` says why."""
    try:
        return _Tree(text, problems).document()
    except _Unreadable as unreadable:
        problems.add(*unreadable.at, unreadable.message)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.add(*place, f"this is not YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        problems.add(line, column, "this is not YAML: a control character stands here")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        problems.add(
            line, error.start - text.rfind("\n", 0, error.start), "this is not YAML: half a character stands here"
        )
    return None


def plain(node: Node) -> object:
    """The tree as dicts, lists and scalars."""
    if isinstance(node, Mapping):
        return {key: plain(entry.value) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


class _Unreadable(Exception):
    """Reading has to end here."""

    def __init__(self, at: Place, message: str) -> None:
        self.at, self.message = at, message


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None, "libyaml marks every event"
    return mark.line + 1, mark.column + 1


class _Tree:
    def __init__(self, text: str, problems: Problems) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._problems = problems
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._count = 0

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Mapping({}, 1, 1)
        root = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Unreadable(_place(after), "a second document begins here; a configuration is one document")
        if isinstance(root, Scalar) and root.value is None:
            return Mapping({}, 1, 1)
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        at = _place(event)
        if depth > DEPTH:
            raise _Unreadable(at, f"this is nested more than {DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        assert isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)), "libyaml nests its events"
        self._counted(at)
        anchor: str | None = event.anchor
        if anchor:
            self._open.add(anchor)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(self._value(event), *at)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._untagged(event)
            node = Sequence([], *at)
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                node.items.append(self._node(item, depth + 1))
        else:
            self._untagged(event)
            node = self._mapping(at, depth)
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _mapping(self, at: Place, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        merged: list[Entry] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = _place(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._node(event, depth + 1)
                self._node(next(self._events), depth + 1)
                self._add(key, "a key must be plain text")
                continue
            value = self._node(next(self._events), depth + 1)
            if event.value == _MERGE and event.implicit[0]:
                merged += self._merged(value, key)
                continue
            if first := entries.get(event.value):
                self._add(key, f"'{event.value}' is given twice (first in line {first.line})")
                continue
            entries[event.value] = Entry(event.value, value, *key)
        for entry in merged:  # What the mapping says itself wins, then what was merged first.
            entries.setdefault(entry.key, entry)
        return Mapping(entries, *at)

    def _merged(self, value: Node, at: Place) -> list[Entry]:
        mappings = value.items if isinstance(value, Sequence) else [value]
        entries: list[Entry] = []
        for mapping in mappings:
            if not isinstance(mapping, Mapping):
                self._add(at, "'<<' takes a mapping, or a list of mappings")
                continue
            entries += mapping.entries.values()
        return entries

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        at = _place(event)
        if event.anchor in self._open:
            raise _Unreadable(at, f"the alias '*{event.anchor}' refers to what it stands in")
        if event.anchor not in self._anchors:
            self._add(at, f"the alias '*{event.anchor}' refers to nothing above it")
            return Scalar(None, *at)
        return self._copy(self._anchors[event.anchor], at, depth)

    def _copy(self, node: Node, at: Place, depth: int) -> Node:
        """A copy, because what a reference becomes depends on where it stands."""
        self._counted(at)
        if depth > DEPTH:
            raise _Unreadable(at, f"this is nested more than {DEPTH} levels deep")
        if isinstance(node, Mapping):
            entries = {
                key: Entry(key, self._copy(entry.value, at, depth + 1), entry.line, entry.column)
                for key, entry in node.entries.items()
            }
            return Mapping(entries, node.line, node.column)
        if isinstance(node, Sequence):
            return Sequence([self._copy(item, at, depth + 1) for item in node.items], node.line, node.column)
        return Scalar(node.value, node.line, node.column)

    def _counted(self, at: Place) -> None:
        self._count += 1
        if self._count > NODES:
            raise _Unreadable(at, f"the file holds more than {NODES} values, counting what aliases repeat")

    def _value(self, event: yaml.ScalarEvent) -> object:
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            self._untagged(event)
        text: str = event.value
        return _scalar(text) if event.implicit[0] and event.tag is None else text

    def _untagged(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._add(_place(event), f"the tag '{event.tag}' is not known here; leave it out")

    def _add(self, at: Place, message: str) -> None:
        self._problems.add(*at, message)


def _scalar(text: str) -> object:
    """What a plain scalar means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    try:
        if _INT.fullmatch(text):
            number = int(text, 0)
            return number if abs(number) < _HUGE else text
        if _FLOAT.fullmatch(text):
            return float(text)
        if text in _SPECIAL:
            return float(_SPECIAL[text])
    except ValueError:  # A stray underscore, or more digits than a number may have.
        return text
    return text
