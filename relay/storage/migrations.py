"""Migrations: numbered SQL files of each plugin, applied once, in their order, one process at a time.

`relay_<name>/migrations/0001_what.sql` belongs to the schema of the plugin's name, which is made first; names without a schema
mean it. A file is one transaction. One that begins with `-- relay:no-transaction` is a single statement that cannot be in one,
such as CREATE INDEX CONCURRENTLY. A file that has landed is never changed: its checksum stands in `relay.migration`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg

from relay.errors import RelayError
from relay.plugin import Plugin
from relay.ports import DatabaseUnavailable
from relay.storage.statements import UNAVAILABLE, connect, quoted, told

CORE = "relay"
"""The core's own schema; its migrations lie in `relay/migrations`."""
ALONE = "-- relay:no-transaction"
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x72656C6179  # "relay"
_LOCK_S = "5s"
_POLL_S = 0.1
_REGISTER = """
    create schema if not exists relay;
    create table if not exists relay.migration (
        plugin text not null, number int not null, name text not null, checksum text not null,
        applied_at timestamptz not null default now(), primary key (plugin, number)
    )
"""
_HALF_MADE = """
    select n.nspname, c.relname from pg_index i
    join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where not i.indisvalid and n.nspname = $1 and c.relkind = 'i'
"""


class MigrationRefused(RelayError):
    """Files and database do not fit together; nothing was changed. The message is all that was found, a line each."""


class MigrationFailed(RelayError):
    """A migration failed; what it began was taken back, and those before it stand."""


class MigrationsPending(RelayError):
    """The database lacks migrations that this version needs."""


@dataclass(frozen=True, slots=True, order=True)
class Migration:
    """One file. `plugin` is its schema too."""

    plugin: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256, hexadecimal. How lines end is an affair of who checked the file out."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()

    @property
    def is_alone(self) -> bool:
        return self.sql.lstrip().startswith(ALONE)

    def __str__(self) -> str:
        return f"{self.plugin}/{self.number:04}_{self.name}.sql"


def of_plugins(plugins: Iterable[Plugin]) -> list[Migration]:
    """The core's migrations, then those of the plugins that store, in the order of the chain. :raises MigrationRefused: odd names."""
    found = of_package(CORE, CORE)
    for plugin in plugins:
        if plugin.stores:
            found += of_package(plugin.name, type(plugin).__module__.partition(".")[0])
    return found


def of_package(plugin: str, package: str) -> list[Migration]:
    """The migrations of one plugin, in their order. Those of a plugin in a single file lie beside it, in `<name>_migrations`.

    :raises MigrationRefused: odd names.
    """
    module = import_module(package)
    if hasattr(module, "__path__"):
        return read(plugin, files(package) / "migrations")
    return read(plugin, Path(module.__file__ or "").parent / f"{plugin}_migrations")


def read(plugin: str, folder: Traversable) -> list[Migration]:
    """The migrations in a folder, in their order; none where there is no folder. :raises MigrationRefused: odd names."""
    if not folder.is_dir():
        return []
    found, odd = [], []
    for file in folder.iterdir():
        named = _FILE.fullmatch(file.name)
        if named is not None:
            found.append(Migration(plugin, int(named[1]), named[2], file.read_text(encoding="utf-8")))
        elif file.name.endswith(".sql"):
            odd.append(f"{plugin}: {file.name} is not called like 0001_what_it_does.sql")
    found.sort()
    odd += [
        f"{plugin}: {one.number:04} is the number of two files"
        for one, other in pairwise(found)
        if one.number == other.number
    ]
    if odd:
        raise MigrationRefused("\n".join(odd))
    return found


async def pending(url: str, migrations: Sequence[Migration]) -> list[Migration]:
    """What is not yet applied; nothing is changed, and nobody waited for.

    :param url: the server itself, not a pooler.
    :raises MigrationRefused: a landed file was changed, or the database is ahead of this version.
    :raises DatabaseUnavailable:
    """
    async with _connected(url) as connection:
        return await _open(connection, migrations)


async def check(url: str, migrations: Sequence[Migration]) -> None:
    """See that everything is applied. :raises MigrationsPending, MigrationRefused, DatabaseUnavailable:"""
    if missing := await pending(url, migrations):
        names = ", ".join(map(str, missing))
        raise MigrationsPending(f"the database lacks {names}: run `relay migrate` before this version serves")


async def migrate(
    url: str, migrations: Sequence[Migration], *, applied: Callable[[Migration], None] = lambda _: None
) -> list[Migration]:
    """Apply what is missing. Of several processes that do it at once, one does and the others wait for it.

    :param url: the server itself, not a pooler: the lock is a session's.
    :param applied: told of each when it stands.
    :returns: what was applied.
    :raises MigrationRefused, MigrationFailed, DatabaseUnavailable:
    """
    async with _connected(url) as connection, _locked(connection):
        with told(connection):
            await connection.execute(_REGISTER)
        missing = await _open(connection, migrations)
        for migration in missing:
            await _apply(connection, migration)
            applied(migration)
    return missing


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    # No time box for statements: an index over a large table takes its time. Waits for locks have one, so that a
    # migration that has to wait does not make everybody else wait behind it.
    settings = {"application_name": "relay migrate", "lock_timeout": _LOCK_S}
    connection = await connect(url, timeout=10, server_settings=settings)
    try:
        yield connection
    finally:
        with suppress(*UNAVAILABLE):
            await connection.close(timeout=1.0)


@asynccontextmanager
async def _locked(connection: Any) -> AsyncIterator[None]:
    # Asked again and again: a session that waits inside the database is one that CREATE INDEX CONCURRENTLY waits for.
    with told(connection):
        while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    try:
        yield
    finally:
        with suppress(*UNAVAILABLE):
            await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def _open(connection: Any, migrations: Sequence[Migration]) -> list[Migration]:
    """What is missing, after a look at what is there."""
    with told(connection):
        if await connection.fetchval("select to_regclass('relay.migration')") is None:
            return list(migrations)
        rows = await connection.fetch("select plugin, number, name, checksum from relay.migration order by 1, 2")
    there = {(row["plugin"], row["number"]): row for row in rows}
    known = {(one.plugin, one.number): one for one in migrations}
    newest = dict(sorted(there))
    schemas = {one.plugin for one in migrations}
    wrong = []
    for key, row in there.items():
        if key in known and row["checksum"] != known[key].checksum:
            wrong.append(
                f"{known[key]} was changed after it had been applied: put it back as it was, and say what is new in a new file"
            )
        elif key not in known and key[0] in schemas:
            wrong.append(
                f"{key[0]}/{key[1]:04}_{row['name']}.sql was applied by a newer version of {key[0]}: run that version, or a newer one"
            )
    missing = [one for key, one in known.items() if key not in there]
    wrong += [
        f"{one} comes before {newest[one.plugin]:04}, which is applied already: give it the next number"
        for one in missing
        if one.number < newest.get(one.plugin, 0)
    ]
    if wrong:
        raise MigrationRefused("\n".join(wrong))
    return missing


async def _apply(connection: Any, migration: Migration) -> None:
    schema = quoted(migration.plugin)
    try:
        if migration.is_alone:
            await _apply_alone(connection, migration, schema)
            return
        async with connection.transaction():
            await connection.execute(f"create schema if not exists {schema}; set local search_path to {schema}")
            await connection.execute(migration.sql)
            if not connection.is_in_transaction():
                raise MigrationFailed(f"{migration} ends the transaction it runs in; what stands before that was done")
            await _record(connection, migration)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationFailed(
            f"{migration}: a lock was not to be had within {_LOCK_S}: run it again when what holds it has ended"
        ) from error
    except UNAVAILABLE as error:
        raise DatabaseUnavailable(f"the database did not answer: {type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"{migration}: {error}") from error


async def _apply_alone(connection: Any, migration: Migration, schema: str) -> None:
    await connection.execute(f"create schema if not exists {schema}")
    await _sweep(connection, migration.plugin)  # What an earlier try left that was killed.
    await connection.execute(f"set search_path to {schema}")
    try:
        await connection.execute(migration.sql)
    except asyncpg.PostgresError:
        await _sweep(connection, migration.plugin)
        raise
    finally:
        await connection.execute("reset search_path")
    await _record(connection, migration)


async def _sweep(connection: Any, plugin: str) -> None:
    """Remove the index that CREATE INDEX CONCURRENTLY leaves behind, unusable, where it fails."""
    for row in await connection.fetch(_HALF_MADE, plugin):
        await connection.execute(f"drop index concurrently {quoted(row['nspname'])}.{quoted(row['relname'])}")


async def _record(connection: Any, migration: Migration) -> None:
    await connection.execute(
        "insert into relay.migration (plugin, number, name, checksum) values ($1, $2, $3, $4)",
        migration.plugin,
        migration.number,
        migration.name,
        migration.checksum,
    )
