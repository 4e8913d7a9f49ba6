"""Markdown tables of what settings classes and plugins declare, for the READMEs."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from relay.config.fields import element, fields_of, is_model, options, value
from relay.declare import Command, Header, Route
from relay.errors import Code
from relay.values import quantity
from relay.values.secret import Secret

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Secret: "secret",
    dict: "mapping",
    list: "list",
    Path: "path",
    Any: "anything",
}


def settings_table(model: type[BaseModel]) -> str:
    """`| setting | type | default | meaning |`, those inside others as `outer.inner`, `list[].inner`, `mapping.<name>.inner`."""
    return _table(("setting", "type", "default", "meaning"), _settings(model, "", ()))


def errors_table(codes: Iterable[Code]) -> str:
    return _table(("code", "status", "meaning"), ((f"`{one.code}`", str(one.status), one.meaning) for one in codes))


def headers_table(headers: Iterable[Header]) -> str:
    return _table(("header", "meaning"), ((f"`{one.name}`", one.meaning) for one in headers))


def routes_table(routes: Iterable[Route]) -> str:
    return _table(
        ("method", "path", "permission", "meaning"),
        ((one.method, f"`{one.path}`", one.permission, _first_line(one.handler)) for one in routes),
    )


def commands_table(commands: Iterable[Command]) -> str:
    return _table(("command", "options", "meaning"), map(_command, commands))


def _command(command: Command) -> tuple[str, str, str]:
    shown = (
        f"`--{name.replace('_', '-')}`{' (required)' if info.is_required() else ''}"
        for name, info in fields_of(command.takes).items()
    )
    return f"`relay {command.noun} {command.verb}`", " ".join(shown), _first_line(command.takes)


def _settings(model: type[BaseModel], above: str, within: tuple[type, ...]) -> Iterator[tuple[str, str, str, str]]:
    for name, info in fields_of(model).items():
        path = f"{above}{name}"
        yield f"`{path}`", _type(info), _default(info), info.description or ""
        for inner, place in _models(info.annotation, path):
            if inner is not model and inner not in within:
                yield from _settings(inner, f"{place}.", (*within, model))


def _models(annotation: Any, path: str) -> Iterator[tuple[type[BaseModel], str]]:
    """The settings classes inside a type, and what their settings' paths begin with."""
    for one in options(annotation):
        if is_model(one):
            yield one, path
        elif (inner := element(one)) is not None:
            yield from _models(inner, f"{path}[]")
        elif (inner := value(one)) is not None:
            yield from _models(inner, f"{path}.<name>")


def _type(info: FieldInfo) -> str:
    for validator in info.metadata:
        if isinstance(validator, BeforeValidator) and validator.func is quantity.size:
            return "size"
        if isinstance(validator, BeforeValidator) and validator.func is quantity.duration:
            return "duration"
    return _words(info.annotation)


def _words(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_word(one) for one in options(annotation) if one not in (None, types.NoneType)))


def _word(one: Any) -> str:
    if one in _WORDS:
        return _WORDS[one]
    if get_origin(one) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(one))
    if is_model(one):
        return "settings"
    if isinstance(one, type) and issubclass(one, Enum):
        return ", ".join(f"`{choice.value}`" for choice in one)
    if (inner := element(one)) is not None:
        return f"list of {_words(inner)}"
    if (inner := value(one)) is not None:
        return f"mapping of {_words(inner)}"
    # IPv4Network and IPv6Network are networks to whoever writes them.
    name = getattr(one, "__name__", str(one)).lower()
    return name.removeprefix("ipv4").removeprefix("ipv6").removeprefix("ip") if name.startswith("ip") else name


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    made = info.default_factory is not None and not info.default_factory_takes_validated_data
    default = info.get_default(call_default_factory=True) if made else info.default
    if default is PydanticUndefined or default is None or isinstance(default, BaseModel):
        return ""
    kind = _type(info)
    if kind == "size":
        return f"`{quantity.shown_size(default)}`"
    if kind == "duration":
        return f"`{quantity.shown_duration(default)}`"
    return f"`{_shown(default)}`"


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, (tuple, list)):
        return f"[{', '.join(map(_shown, default))}]"
    if isinstance(default, (set, frozenset)):
        return f"[{', '.join(sorted(map(_shown, default)))}]"
    if isinstance(default, dict):
        return f"{{{', '.join(f'{key}: {_shown(inner)}' for key, inner in default.items())}}}"
    if isinstance(default, Enum):
        return str(default.value)
    return str(default)


def _first_line(it: Any) -> str:
    return (getattr(it, "__doc__", None) or "").strip().split("\n", 1)[0].strip()


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(text) for text in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
