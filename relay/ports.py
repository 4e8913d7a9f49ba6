"""Where plugins and the core meet: services as Protocols, and the typed keys that travel over an exchange.

A plugin provides a port with `relay.provide(Port, it)` and gets one with `relay.get(Port)`; it never imports another plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from relay.errors import RelayError
from relay.exchange import Caller, Key
from relay.target import Target
from relay.values.month import Month
from relay.values.secret import Secret
from relay.wire.dialect import ModelEntry

LIMITS: Key[dict[str, str]] = Key("limits")
"""Headers that tell the caller about its limits; whoever limits adds to them, the core writes them into the answer."""
PRESENTED_KEY: Key[Secret] = Key("presented_key")
"""The key that the client presented, as the dialect found it. Whoever checks it takes it off the exchange."""


class Models(Protocol):
    """Which models there are. Provided by the plugin that routes."""

    def offered(self, caller: Caller | None, dialect: str | None = None) -> Sequence[ModelEntry]:
        """The models this caller may ask for, in the order of the configuration; only those that can be asked for in `dialect`."""
        ...


class Targets(Protocol):
    """Finds again the account that holds an object. Provided by the plugin that routes."""

    def named(self, name: str) -> Target | None:
        """The target of a provider account by the account's name, with no model; None: it is not configured any more."""
        ...


class SharedState(Protocol):
    """A small store that all workers of a deployment share. Every call has a time box. Provided by the core.

    :raises StateUnavailable: the store did not answer in time; the caller decides what that means and shows it.
    """

    async def get(self, key: str) -> bytes | None: ...

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None: ...

    async def add(self, key: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Set it if it is not there yet. True: it was not."""
        ...

    async def delete(self, key: str) -> None: ...


@runtime_checkable
class Scripts(Protocol):
    """What the shared state is besides, when it is a server that several processes share: then Lua runs in it, one script at a time."""

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> list[int]:
        """Run a script over the entries of `keys`. Those that one process asks for are run in the order in which it asked.

        :param script: Lua that returns a list of whole numbers; a constant, because servers keep every script they are given.
        :raises StateUnavailable: it did not answer in time, or the script failed; it may or may not have run.
        """
        ...


class StateUnavailable(RelayError):
    """The shared state did not answer in time."""


@dataclass(frozen=True, slots=True)
class Held:
    """Whose an object at a provider is and which account holds it."""

    organisation: str
    provider: str
    kind: str


class Objects(Protocol):
    """The register of objects made at providers (files, uploads, batches, responses, …). Provided by the core."""

    async def put(self, id: str, held: Held) -> None:
        """Say whose an object is and which account holds it. :raises StateUnavailable:"""
        ...

    async def find(self, ids: Sequence[str]) -> list[Held | None]:
        """:raises StateUnavailable:"""
        ...

    async def forget(self, id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that can be read at any time: `read` gives label values → figure, in the order of `labels`.

    Names follow Prometheus: base units, `_total` for counters.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A readiness check's answer."""

    ok: bool
    message: str = ""


class Row(Protocol):
    """A row of an answer: its values by column, by name or place. JSON comes as text, money as int, ids as UUID."""

    def __getitem__(self, column: str | int) -> Any: ...

    def get(self, column: str, default: Any = None) -> Any: ...

    def keys(self) -> Iterable[str]: ...


class Statements(Protocol):
    """Statements to the database; parameters are `$1`, `$2`, …, and never part of the text.

    :raises DatabaseUnavailable: it did not answer, or not in time.
    """

    async def execute(self, statement: str, *values: Any) -> str:
        """:returns: what was done, such as `UPDATE 3`."""
        ...

    async def fetch(self, statement: str, *values: Any) -> Sequence[Row]: ...

    async def fetchrow(self, statement: str, *values: Any) -> Row | None: ...

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """The first value of the first row; None: there is no row."""
        ...


class Connection(Statements, Protocol):
    """A connection inside a transaction."""

    async def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None: ...

    async def copy_records_to_table(
        self, table: str, *, schema_name: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
    ) -> str:
        """COPY: the fastest way in for many rows."""
        ...


class Monthly(Protocol):
    """A table that is divided by month."""

    async def ensure(self, months_ahead: int = 2) -> Sequence[Month]:
        """Make the parts for this month and the next ones. :returns: those that were missing."""
        ...

    async def listed(self) -> Sequence[Month]:
        """The months there are, in their order."""
        ...

    async def drop(self, month: Month) -> bool:
        """Remove a month and all its rows, without reading them. True: it was there."""
        ...


class Database(Statements, Protocol):
    """The deployment's Postgres. Each plugin has the schema of its name. Provided by the core.

    Every statement and every wait for a lock ends after 5 seconds. Errors of a statement come as asyncpg's own.
    """

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """All of it or nothing: committed at the end of the block, rolled back when it is left by an exception.

        :raises DatabaseUnavailable: also at the end of the block; then it is unknown whether it was committed.
        """
        ...

    def listen(self, channel: str, heard: Callable[[str | None], None]) -> Callable[[], None]:
        """Be told of NOTIFY on a channel, with its payload; None: listening began (again), and what came before may be missed.

        :returns: what ends it.
        """
        ...

    def monthly(self, table: str) -> Monthly:
        """A table, `schema.name`, that is partitioned by range over a `date`, `timestamptz`, UUIDv7 or a number such as 202611."""
        ...


class DatabaseUnavailable(RelayError):
    """The database did not answer in time or cannot be reached. What was under way may or may not have been done."""
