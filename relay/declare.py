"""What a plugin declares as data: routes, jobs, commands, tables, headers. The core checks them at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

Permission = str
"""Who may: `public`, `operator`, or the name of a permission that a plugin's roles grant."""


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP route of a plugin. `handler` takes an aiohttp `web.Request` and returns a `web.StreamResponse`.

    Paths are `/-/<plugin>/…` for machines, `/api/v1/<noun>` for the JSON API, `/console/<plugin>/…` for pages; others belong to the
    website. A route with the permission `operator` is served on the operators' listener.
    """

    method: str
    path: str
    handler: Callable[[Any], Awaitable[Any]]
    permission: Permission
    takes: type[BaseModel] | None = None
    gives: type[BaseModel] | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Something done again and again: `every` so many seconds, or daily `at` "HH:MM" UTC.

    `scope`: once in each `process` that serves, on each `node`, or once in the `cluster`. It is cancelled after `timeout_s`.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    every: float | None = None
    at: str | None = None
    timeout_s: float = 60.0
    scope: Literal["process", "node", "cluster"] = "cluster"
    permission: Permission = "operator"


@dataclass(frozen=True, slots=True)
class Command:
    """`relay <noun> <verb>`: `run` gets the arguments, read into `takes`, and returns the exit status (None: 0).

    It runs without a server; the plugin's lifespan is entered around it when `opened` is True.
    """

    noun: str
    verb: str
    run: Callable[[Any], Awaitable[int | None]]
    permission: Permission
    takes: type[BaseModel]
    opened: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column and the personal data in it: `personal` says what and whose (None: none), `why` for what purpose."""

    name: str
    personal: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a plugin, in its own schema. `keeps` says how long rows stay, in words a person understands."""

    name: str
    columns: tuple[Column, ...]
    keeps: str
    content: bool = False
    """Does it hold prompts or answers? Then the plugin is refused in commercial mode."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a plugin adds to answers or reads from requests: `x-relay-<something>`."""

    name: str
    meaning: str
