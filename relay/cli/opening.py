"""A plugin opened for one command, without a server: its lifespan, below those that provide what it needs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from relay.cli.migrate import reached
from relay.config import CoreSettings
from relay.exchange import Exchange
from relay.plugin import Plugin
from relay.ports import Database, Finding, Gauge
from relay.storage.opening import is_wanted, migrate_database, opened_database
from relay.wire.dialect import Dialect

P = TypeVar("P")


class CommandRelay:
    """What a lifespan gets while a command runs. There are no exchanges, and nobody asks for figures or readiness.

    Of the core's own ports there is the database; shared state and objects belong to a running relay and are not there.
    """

    def __init__(self, core: CoreSettings, dialects: dict[str, Dialect]) -> None:
        self._core = core
        self._dialects = dialects
        self._provided: dict[type, Any] = {}

    @property
    def mode(self) -> Literal["standard", "commercial"]:
        return self._core.mode

    @property
    def data(self) -> Path:
        return self._core.data

    @property
    def dialects(self) -> dict[str, Dialect]:
        return self._dialects

    def get(self, port: type[P]) -> P:
        it = self.find(port)
        if it is None:
            raise LookupError(f"{port.__name__} is not provided while a command runs")
        return it

    def find(self, port: type[P]) -> P | None:
        return self._provided.get(port)

    def provide(self, port: type[P], it: P) -> None:
        self._provided[port] = it

    def log(self, event: str, **fields: object) -> None:
        """To standard error, for the person who gave the command."""
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        sys.stderr.write(f"{event} {told}\n")

    def gauge(self, gauge: Gauge) -> None:
        """Nobody collects metrics of a command."""

    def gauges(self) -> Iterable[Gauge]:
        return ()

    def watch(self, ended: Callable[[Exchange], None]) -> None:
        """No exchange ends in a command."""

    def check(self, name: str, ready: Callable[[], Finding]) -> None:
        """Nobody asks a command whether it is ready."""


@asynccontextmanager
async def opened(
    plugin: Plugin, plugins: Sequence[Plugin], core: CoreSettings, dialects: dict[str, Dialect]
) -> AsyncIterator[None]:
    """Enter the lifespans of the plugin and of what it needs, in the order of the chain; leave them in reverse."""
    relay = CommandRelay(core, dialects)
    wanted = _needed(plugin, plugins)
    async with AsyncExitStack() as stack:
        if is_wanted(wanted):
            relay.provide(Database, await stack.enter_async_context(_database(relay, core, wanted)))
        for one in plugins:
            if one in wanted:
                await stack.enter_async_context(asynccontextmanager(one.lifespan)(relay))
        yield


@asynccontextmanager
async def _database(relay: CommandRelay, core: CoreSettings, plugins: Sequence[Plugin]) -> AsyncIterator[Database]:
    """The database of the relay that serves, or the one it would start."""
    async with reached(core) as direct:
        url = direct if core.database.url is None else core.database.url.open()
        if core.database.url is None:
            await migrate_database(direct, plugins)
        async with opened_database(
            url, direct if core.database.direct_url is not None else None, plugins, log=relay.log
        ) as database:
            assert database is not None
            yield database


def _needed(plugin: Plugin, plugins: Sequence[Plugin]) -> list[Plugin]:
    wanted = [plugin]
    for one in wanted:  # Grows while it is walked: providers need things, too.
        for port in one.needs:
            wanted += [other for other in plugins if port in other.provides and other not in wanted]
    return wanted
