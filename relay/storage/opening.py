"""From a chain of plugins to the database they need: is there one to open, has it what they need, open it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from relay import ports
from relay.errors import RelayError
from relay.plugin import Plugin

if TYPE_CHECKING:
    from relay.storage.database import Database
    from relay.storage.migrations import Migration


class NoDatabase(RelayError):
    """A plugin stores rows, and there is no database to store them in."""


def is_wanted(plugins: Iterable[Plugin]) -> bool:
    """Does any of these plugins store rows, or ask for the database?"""
    return any(plugin.stores or ports.Database in (*plugin.needs, *plugin.uses) for plugin in plugins)


@asynccontextmanager
async def opened_database(
    url: str | None, direct_url: str | None, plugins: Sequence[Plugin], *, log: Callable[..., None]
) -> AsyncIterator[Database | None]:
    """The database while the block runs; None where no plugin wants one: then nothing of it is imported either.

    :raises NoDatabase: there is no address.
    :raises DatabaseUnavailable: it cannot be reached.
    :raises MigrationsPending, MigrationRefused: it is not what these plugins need.
    """
    if not is_wanted(plugins):
        yield None
        return
    if url is None:
        raise NoDatabase("the plugins need a database, and there is none yet: restart the relay, or set `database.url`")
    from relay.storage.database import Database
    from relay.storage.migrations import check, of_plugins

    await check(direct_url or url, of_plugins(plugins))
    async with Database(url, direct_url=direct_url, log=log) as database:
        yield database


async def migrate_database(url: str, plugins: Sequence[Plugin]) -> list[Migration]:
    """Apply the migrations of the core and of these plugins. See `migrations.migrate`."""
    from relay.storage.migrations import migrate, of_plugins

    return await migrate(url, of_plugins(plugins))
