"""A command's options, made from the model it takes, and the model made from what was given."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from relay.config import fields
from relay.config.binding import bind
from relay.config.positions import Entry, Mapping, Node, Problems, Scalar, Sequence
from relay.config.references import References
from relay.errors import RelayError
from relay.values.secret import Secret


class WrongOptions(RelayError):
    """The options do not fit; the message lists what is wrong."""


def add_options(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """One option per field, described by the field's description: `--name VALUE`, `--name`/`--no-name` for a boolean.

    A list's option is given once for each entry, a mapping's as `KEY=VALUE`, a secret's as `env:NAME` or `file:PATH`.
    """
    for name, info in fields.fields_of(model).items():
        kinds = list(fields.options(info.annotation))
        settings: dict[str, Any] = {
            "dest": name,
            "help": _help(info, kinds),
            "required": info.is_required(),
            "default": argparse.SUPPRESS,
        }
        if bool in kinds:
            settings["action"] = argparse.BooleanOptionalAction
        else:
            settings["metavar"] = _metavar(kinds)
            settings["action"] = "append" if _several(kinds) else "store"
        parser.add_argument(f"--{name.replace('_', '-')}", **settings)


def read_options(
    arguments: argparse.Namespace, model: type[BaseModel], *, environ: Dict[str, str] = os.environ
) -> BaseModel:
    """What the command takes. :raises WrongOptions: what was given does not fit."""
    entries: dict[str, Entry] = {}
    for name, info in fields.fields_of(model).items():
        if hasattr(arguments, name):
            kinds = list(fields.options(info.annotation))
            entries[name] = Entry(name, _node(getattr(arguments, name), kinds), 1, 1)
    problems = Problems("")
    taken = bind(model, Mapping(entries, 1, 1), "", References(environ, Path.cwd()), problems)
    if taken is None:
        raise WrongOptions("; ".join(f"--{problem.message}" for problem in problems.found))
    return taken


def _node(given: Any, kinds: list[Any]) -> Node:
    if isinstance(given, list):
        if any(fields.value(kind) is not None for kind in kinds):
            pairs = [text.partition("=") for text in given]
            return Mapping({key: Entry(key, Scalar(value, 1, 1), 1, 1) for key, _, value in pairs}, 1, 1)
        inner = [inside for kind in kinds for inside in fields.options(fields.element(kind))]
        return Sequence([_node(one, inner) for one in given], 1, 1)
    form, colon, target = given.partition(":") if isinstance(given, str) else ("", "", "")
    if Secret in kinds and colon and form in ("env", "file"):
        return Mapping({form: Entry(form, Scalar(target, 1, 1), 1, 1)}, 1, 1)
    return Scalar(given, 1, 1)


def _several(kinds: list[Any]) -> bool:
    return any(fields.element(kind) is not None or fields.value(kind) is not None for kind in kinds)


def _metavar(kinds: list[Any]) -> str:
    if any(fields.value(kind) is not None for kind in kinds):
        return "KEY=VALUE"
    inner = [inside for kind in kinds for inside in fields.options(fields.element(kind) or kind)]
    if Secret in inner:
        return "env:NAME|file:PATH"
    for kind, shown in ((Path, "PATH"), (int, "N"), (float, "N")):
        if kind in inner:
            return shown
    return "TEXT"


def _help(info: FieldInfo, kinds: list[Any]) -> str:
    words = info.description or ""
    if _several(kinds):
        words += " Can be given several times."
    if not info.is_required() and info.default not in (None, (), "", False) and not callable(info.default):
        words += f" (default: {info.default})"
    return words.strip().replace("%", "%%")
