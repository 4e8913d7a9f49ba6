"""A part of the tree becomes settings; whatever is wrong becomes problems in plain words, each in its place.

pydantic tells where a value does not fit, and this looks what stood there: a reference is followed and the part read
again; anything else is a mistake. So references are followed by type, as the settings class has it: `{file: x}` is a
secret's file where a secret is wanted, and an ordinary mapping elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from relay.config import wording
from relay.config.fields import names_at
from relay.config.nearest import did_you_mean
from relay.config.positions import Entry, Mapping, Node, Problems, Scalar, Sequence
from relay.config.references import FromEnvironment, References, Unresolved, is_reference

M = TypeVar("M", bound=BaseModel)
Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Dead:
    """Stands where a reference leads nowhere: that has been said, and nothing more is to be said about the place."""


def bind(
    model: type[M],
    part: Mapping,
    name: str,
    references: References,
    problems: Problems,
    context: Dict[str, object] = MappingProxyType({}),
    *,
    also_known: Iterable[str] = (),
) -> M | None:
    """Read `part` into `model`. None: it does not fit, and `problems` says why.

    :param part: its references are replaced by what they stand for. Its position is where a missing setting is reported.
    :param name: what the part is called in messages; "" for the top of the file.
    :param context: what validators may know of the rest, beside the `directory` that relative paths start at.
    :param also_known: names that belong to the same mapping but are read elsewhere; suggested for unknown ones.
    """
    dead = False
    while True:
        try:
            settings = model.model_validate(_data(part), context={"directory": references.directory, **context})
        except ValidationError as invalid:
            found = [_place(error, part) for error in invalid.errors(include_url=False, include_input=False)]
        else:
            return None if dead else settings
        referring = _references(found, part)
        if not referring:
            for one in _meant(found):
                problems.add(one.line, one.column, _sentence(one, model, name, also_known))
            return None
        dead |= _follow(referring, part, name, references, problems)


@dataclass(frozen=True, slots=True)
class _Found:
    """One finding of pydantic's, placed in the tree."""

    trail: tuple[tuple[bool, str | int], ...]
    """Steps into the tree (True), mixed with the names of a union's alternatives (False)."""
    node: Node
    line: int
    column: int
    error: ErrorDetails
    expected: str | None

    @property
    def steps(self) -> Steps:
        return tuple(step for real, step in self.trail if real)


def _place(error: ErrorDetails, part: Mapping) -> _Found:
    trail: list[tuple[bool, str | int]] = []
    node: Node = part
    place: Node | Entry = part
    for element in error["loc"]:
        if isinstance(node, Mapping) and (entry := node.entries.get(str(element))) is not None:
            place, node = entry, entry.value
        elif isinstance(node, Sequence) and isinstance(element, int) and element < len(node.items):
            place = node = node.items[element]
        else:
            trail.append((False, element))
            continue
        trail.append((True, element))
    if error["type"] == "missing" and trail:
        trail[-1] = (True, trail[-1][1])
    elif error["type"] != "extra_forbidden" and error["loc"][-1:] != ("[key]",) and not _empty(node):
        # A key is pointed at where the key is wrong, lacks something or has no value; else the value is.
        place = node if node is not part else place
    return _Found(tuple(trail), node, place.line, place.column, error, wording.expected(error))


def _references(found: list[_Found], part: Mapping) -> dict[Steps, bool]:
    """The references at which something else was wanted, and for each: was it a secret?"""
    referring: dict[Steps, bool] = {}
    for one in found:
        if not one.steps or one.error["type"] in ("missing", "extra_forbidden"):
            continue
        secret = one.error["type"] == "is_instance_of" and one.error["ctx"]["class"] == "Secret"
        if is_reference(one.node, "env") or (secret and is_reference(one.node, "file")):
            referring[one.steps] = referring.get(one.steps, False) or secret
    return referring


def _follow(referring: dict[Steps, bool], part: Mapping, name: str, references: References, problems: Problems) -> bool:
    """Put what they stand for in the place of references. True: at least one leads nowhere."""
    dead = False
    absent: list[Steps] = []
    for steps, secret in referring.items():
        node = _at(part, steps)
        assert isinstance(node, Mapping)
        value: object
        try:
            value = references.secret(node) if secret else references.text(node)
        except Unresolved as unresolved:
            problems.add(unresolved.node.line, unresolved.node.column, _label(name, steps) + unresolved.message)
            dead, value = True, _Dead()
        if value is None:
            absent.append(steps)
        else:
            _put(part, steps, Scalar(value, node.line, node.column))
    # From the end of each list, so that the places before it stay where they are.
    for steps in reversed(absent):
        _put(part, steps, None)
    return dead


def _at(part: Mapping, steps: Steps) -> Node:
    node: Node = part
    for step in steps:
        if isinstance(node, Mapping):
            node = node.entries[str(step)].value
        elif isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step]
    return node


def _put(part: Mapping, steps: Steps, value: Node | None) -> None:
    """Replace a value, or, with None, take it away."""
    holder, last = _at(part, steps[:-1]), steps[-1]
    if isinstance(holder, Sequence) and isinstance(last, int):
        holder.items[last : last + 1] = [] if value is None else [value]
    elif isinstance(holder, Mapping) and value is None:
        del holder.entries[str(last)]
    elif isinstance(holder, Mapping) and value is not None:
        holder.entries[str(last)].value = value


def _data(node: Node) -> object:
    if isinstance(node, Mapping):
        return {key: _data(entry.value) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [_data(item) for item in node.items]
    return node.value.value if isinstance(node.value, FromEnvironment) else node.value


def _meant(found: list[_Found]) -> list[_Found]:
    """Of the alternatives that a union tried, the complaints of the one that was meant.

    That is the one whose shape fits, with the fewest complaints; if none fits, one complaint lists what would.
    """
    meant: list[_Found] = []
    unions: dict[tuple[tuple[bool, str | int], ...], dict[str | int, list[_Found]]] = {}
    for one in found:
        if isinstance(one.node, Scalar) and isinstance(one.node.value, _Dead):
            continue
        if one.error["type"] == "too_short" and any(
            len(other.trail) > len(one.trail) and other.trail[: len(one.trail)] == one.trail for other in found
        ):
            continue  # pydantic does not count the entries that are wrong themselves.
        cut = next((i for i, (real, _) in enumerate(one.trail) if not real), None)
        if cut is None:
            meant.append(one)
            continue
        inner = _Found(one.trail[:cut] + one.trail[cut + 1 :], one.node, one.line, one.column, one.error, one.expected)
        unions.setdefault(one.trail[:cut], {}).setdefault(one.trail[cut][1], []).append(inner)
    for trail, tried in unions.items():
        fitting = [
            complaints
            for complaints in tried.values()
            if not any(wording.wrong_shape(one.error) and len(one.steps) == len(trail) for one in complaints)
        ]
        if fitting:
            meant += _meant(min(fitting, key=len))
            continue
        every = [one for complaints in tried.values() for one in _meant(complaints)]
        first = every[0]
        words = wording.alternatives([one.expected for one in every if one.expected])
        meant.append(_Found(first.trail, first.node, first.line, first.column, first.error, words))
    return meant


def _sentence(one: _Found, model: type[BaseModel], name: str, also_known: Iterable[str]) -> str:
    kind, steps = one.error["type"], one.steps
    if kind == "missing":
        return f"{_label(name, steps[:-1])}the setting '{steps[-1]}' is missing"
    if kind == "extra_forbidden":
        known = names_at(model, steps[:-1]) | (set(also_known) if len(steps) == 1 else set())
        return f"{_label(name, steps[:-1])}unknown setting '{steps[-1]}'{did_you_mean(str(steps[-1]), known)}"
    if one.expected is None:
        return _label(name, steps) + wording.other(one.error)
    literal = kind in ("literal_error", "enum")
    found = _shown(one.node, told=not wording.wrong_shape(one.error) or literal)
    nearest = ""
    if literal and isinstance(one.node, Scalar) and isinstance(one.node.value, str):
        values = [value.strip(" '") for value in one.expected.removeprefix("one of ").split(",")]
        nearest = did_you_mean(one.node.value, values)
        nearest = nearest if nearest.startswith("; did") else ""
    return f"{_label(name, steps)}expected {one.expected}, found {found}{nearest}"


def _shown(node: Node, *, told: bool) -> str:
    """What stands there. Text is told only where it was of the right kind: elsewhere it might be a secret."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list" if node.items else "an empty list"
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, FromEnvironment):
        return f"the value of the variable '{value.variable}'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str) and told:
        return f"'{value}'" if len(value) <= 40 else f"text of {len(value)} characters"
    return "text"


def _empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _label(name: str, steps: Steps) -> str:
    """`routing.models.fast[].weight: `; which of a list it is, line and column tell."""
    path = name
    for step in steps:
        path += "[]" if isinstance(step, int) else f".{step}" if path else str(step)
    return f"{path}: " if path else ""
