"""What a settings class has where: its fields by name, through lists, mappings and alternatives."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Dict
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def names_at(model: type[BaseModel], steps: Iterable[str | int]) -> set[str]:
    """The settings that may stand at a place; none where it is no settings class."""
    at: list[Any] = [model]
    for step in steps:
        at = [inner for outer in at for inner in _step(outer, step)]
    return {name for one in at if is_model(one) for name in fields_of(one)}


def fields_of(model: type[BaseModel]) -> Dict[str, FieldInfo]:
    """The fields by the names they have in YAML."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def options(annotation: Any) -> Iterator[Any]:
    """The alternatives of a type, bare of `Annotated` and named aliases."""
    if get_origin(annotation) is Annotated:
        yield from options(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from options(one)
    else:
        yield annotation


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def element(annotation: Any) -> Any | None:
    """What a list, a tuple or a set holds; None: it is none of them."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if (
        isinstance(origin, type)
        and arguments
        and (issubclass(origin, (set, frozenset)) or issubclass(origin, Sequence))
    ):
        return arguments[0]
    return None


def value(annotation: Any) -> Any | None:
    """What a mapping holds behind its keys; None: it is no mapping."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, Dict) and len(arguments) == 2:
        return arguments[1]
    return None


def _step(annotation: Any, step: str | int) -> Iterator[Any]:
    for one in options(annotation):
        if is_model(one):
            if info := fields_of(one).get(str(step)):
                yield from options(info.annotation)
        elif isinstance(step, int):
            yield from options(element(one))
        else:
            yield from options(value(one))
