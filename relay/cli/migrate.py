"""`relay migrate`: the database as the configuration's plugins need it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.cli.configured import configuration
from relay.config import CoreSettings
from relay.storage import migrations
from relay.storage.embedded import reached_postgres
from relay.storage.opening import is_wanted


def migrate(arguments: argparse.Namespace) -> int:
    """Apply what is missing, or with `check` only list it.

    :returns: 1 with `check` when something is missing.
    :raises RelayError: the database cannot be reached, or does not fit these files.
    """
    found = configuration(arguments)
    plugins = [loaded.plugin for loaded in found.chain]
    if not is_wanted(plugins):
        print("no plugin stores anything: there is nothing to migrate")
        return 0
    return asyncio.run(_migrate(found.core, migrations.of_plugins(plugins), is_check=arguments.check))


async def _migrate(core: CoreSettings, known: list[migrations.Migration], *, is_check: bool) -> int:
    async with reached(core) as url:
        if is_check:
            missing = await migrations.pending(url, known)
            for migration in missing:
                print(f"missing {migration}")
            return 1 if missing else 0
        applied = await migrations.migrate(url, known, applied=lambda migration: print(f"applied {migration}"))
    if not applied:
        print("nothing was missing")
    return 0


@asynccontextmanager
async def reached(core: CoreSettings) -> AsyncIterator[str]:
    """The address of the database itself, not of a pooler: the configured one, or the embedded one, started if need be."""
    given = core.database.direct_url or core.database.url
    if given is not None:
        yield given.open()
        return
    async with reached_postgres(core.data, log=_unheard) as url:
        yield url


def _unheard(event: str, **fields: object) -> None:
    """Starts and ends of a server that lives for one command are no news."""
