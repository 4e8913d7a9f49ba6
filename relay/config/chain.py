"""The plugin list as a whole: does each plugin stand where it may, and do they get along?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.config.positions import Problems
from relay.declare import Command, Job, Route
from relay.errors import CORE_CODES
from relay.plugin import Plugin
from relay.ports import Database, Objects, SharedState
from relay.wire.dialect import Dialect

CORE_PORTS: tuple[type, ...] = (SharedState, Objects, Database)
"""What the core provides itself."""
CORE_HEADERS = ("x-relay-id", "x-relay-error")
CORE_NOUNS = ("check", "docs", "migrate", "plugin", "plugins", "schema", "serve")
"""The core's own words on the command line."""

_SURFACES = ("v1", "v1beta")
_AT = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_HEADER = re.compile(r"x-relay-[a-z0-9-]+")
_PARAMETER = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin of the chain, with its settings, and where it is listed."""

    name: str
    plugin: Plugin
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Declared:
    """What a plugin's methods answered, asked once."""

    by: Loaded
    routes: tuple[Route, ...]
    jobs: tuple[Job, ...]
    commands: tuple[Command, ...]


def check(chain: Sequence[Loaded], dialects: Iterable[Dialect], problems: Problems, *, complete: bool = True) -> None:
    """Report everything that keeps these plugins from running together.

    :param complete: False when plugins are missing because they could not be loaded; then nothing is said about absent ones.
    """
    _order(chain, problems)
    _ports(chain, problems, complete)
    declared = list(_declared(chain, problems))
    _routes(declared, dialects, problems)
    _jobs(declared, problems)
    _commands(declared, problems)
    _codes(chain, problems)
    _headers(chain, problems)


def _order(chain: Sequence[Loaded], problems: Problems) -> None:
    position = {loaded.name: i for i, loaded in enumerate(chain)}
    for i, loaded in enumerate(chain):
        for other in loaded.plugin.after:
            if position.get(other, -1) > i:
                _say(problems, loaded, f"{loaded.name} must stand below '{other}' (line {chain[position[other]].line})")
        for other in loaded.plugin.before:
            if position.get(other, len(chain)) < i:
                _say(problems, loaded, f"{loaded.name} must stand above '{other}' (line {chain[position[other]].line})")


def _ports(chain: Sequence[Loaded], problems: Problems, complete: bool) -> None:
    provided: dict[type, Loaded] = {}
    for loaded in chain:
        for port in loaded.plugin.provides:
            if port in CORE_PORTS:
                _say(problems, loaded, f"{loaded.name} provides {port.__name__}, which the relay provides itself")
            elif first := provided.get(port):
                _say(
                    problems,
                    loaded,
                    f"{loaded.name} provides {port.__name__}, as '{first.name}' does (line {first.line}); keep one",
                )
            else:
                provided[port] = loaded
    for loaded in chain:
        for port in loaded.plugin.needs:
            if complete and port not in provided and port not in CORE_PORTS:
                _say(
                    problems, loaded, f"{loaded.name} needs a plugin that provides {port.__name__}, and none is listed"
                )


def _declared(chain: Sequence[Loaded], problems: Problems) -> Iterator[Declared]:
    for loaded in chain:
        asked: list[tuple[Any, ...]] = []
        for method in (loaded.plugin.routes, loaded.plugin.jobs, loaded.plugin.commands):
            try:
                asked.append(tuple(_iterated(method)))
            except Exception as error:  # Whatever a plugin does there: the deployer reads it at its line.
                _say(problems, loaded, f"{loaded.name}.{method.__name__}() failed: {type(error).__name__}: {error}")
                asked.append(())
        routes, jobs, commands = asked
        yield Declared(loaded, routes, jobs, commands)


def _iterated(method: Callable[[], Iterable[Any]]) -> Iterable[Any]:
    return method()


def _routes(declared: list[Declared], dialects: Iterable[Dialect], problems: Problems) -> None:
    names = [one.by.name for one in declared]
    surfaces = {*_SURFACES, *(dialect.name for dialect in dialects)}
    surfaces |= {surface.path.split("/")[1] for dialect in dialects for surface in dialect.surfaces}
    taken: dict[tuple[str, str], Loaded] = {}
    nouns: dict[str, Loaded] = {}
    for one in declared:
        for route in one.routes:
            shown = f"{one.by.name}: the route {route.method} {route.path}"
            if not route.permission:
                _say(problems, one.by, f"{shown} has no permission; name one, or say 'public'")
            if outside := _outside(route.path, one.by.name, surfaces, names):
                _say(problems, one.by, f"{shown} {outside}")
                continue
            at = (route.method.upper(), _PARAMETER.sub("{}", route.path))
            if first := taken.get(at):
                _say(problems, one.by, f"{shown} is taken by '{first.name}' (line {first.line})")
                continue
            taken[at] = one.by
            noun = _noun(route.path)
            if noun and (owner := nouns.setdefault(noun, one.by)) is not one.by:
                _say(problems, one.by, f"{shown}: '/api/v1/{noun}' belongs to '{owner.name}' (line {owner.line})")


def _outside(path: str, name: str, surfaces: set[str], names: list[str]) -> str | None:
    """Why a plugin may not have this path; None: it may."""
    parts = path.split("/")
    if parts[0] or len(parts) < 2:
        return "must begin with '/'"
    first, second = parts[1], parts[2] if len(parts) > 2 else ""
    if first in surfaces:
        return "lies where the surfaces are; a plugin's are below '/-/" + name + "/'"
    if first == "-" and (second != name or name == "health"):
        return f"lies outside '/-/{name}/'"
    if first == "console" and second != name and second in names:
        return f"lies outside '/console/{name}/'"
    if first == "api" and (second != "v1" or not _noun(path)):
        return "lies outside '/api/v1/<noun>'"
    return None


def _noun(path: str) -> str | None:
    parts = path.split("/")
    return parts[3] if parts[1:3] == ["api", "v1"] and len(parts) > 3 else None


def _jobs(declared: list[Declared], problems: Problems) -> None:
    for one in declared:
        names = [job.name for job in one.jobs]
        for i, job in enumerate(one.jobs):
            shown = f"{one.by.name}: the job '{job.name}'"
            if not job.permission:
                _say(problems, one.by, f"{shown} has no permission")
            if job.name in names[:i]:
                _say(problems, one.by, f"{shown} is declared twice")
            if (job.every is None) == (job.at is None):
                _say(problems, one.by, f"{shown} needs one of 'every' and 'at'")
            if job.every is not None and job.every <= 0:
                _say(problems, one.by, f"{shown} runs every {job.every:g} seconds; that must be more than 0")
            if job.at is not None and not _AT.fullmatch(job.at):
                _say(problems, one.by, f"{shown} runs at '{job.at}'; that must be a time of day such as 03:30")


def _commands(declared: list[Declared], problems: Problems) -> None:
    taken: dict[tuple[str, str], Loaded] = {}
    for one in declared:
        for command in one.commands:
            shown = f"{one.by.name}: the command '{command.noun} {command.verb}'"
            if not command.permission:
                _say(problems, one.by, f"{shown} has no permission")
            if command.noun in CORE_NOUNS:
                _say(problems, one.by, f"{shown}: '{command.noun}' is the relay's own word")
            elif first := taken.get((command.noun, command.verb)):
                _say(problems, one.by, f"{shown} is taken by '{first.name}' (line {first.line})")
            taken.setdefault((command.noun, command.verb), one.by)


def _codes(chain: Sequence[Loaded], problems: Problems) -> None:
    taken: dict[str, str] = {code.code: "the relay itself" for code in CORE_CODES}
    for loaded in chain:
        for code in loaded.plugin.errors:
            if code.code in taken:
                _say(problems, loaded, f"{loaded.name}: the error code '{code.code}' is taken by {taken[code.code]}")
            if not 400 <= code.status <= 599:
                _say(
                    problems,
                    loaded,
                    f"{loaded.name}: the error code '{code.code}' has the status {code.status}; that is no error",
                )
            taken.setdefault(code.code, f"'{loaded.name}' (line {loaded.line})")


def _headers(chain: Sequence[Loaded], problems: Problems) -> None:
    taken: dict[str, str] = dict.fromkeys(CORE_HEADERS, "the relay itself")
    for loaded in chain:
        for header in loaded.plugin.headers:
            if not _HEADER.fullmatch(header.name):
                _say(problems, loaded, f"{loaded.name}: the header '{header.name}' must be 'x-relay-…', in lower case")
            if header.name in taken:
                _say(problems, loaded, f"{loaded.name}: the header '{header.name}' is taken by {taken[header.name]}")
            taken.setdefault(header.name, f"'{loaded.name}' (line {loaded.line})")


def _say(problems: Problems, loaded: Loaded, message: str) -> None:
    problems.add(loaded.line, loaded.column, message)
