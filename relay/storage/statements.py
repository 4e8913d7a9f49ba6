"""Statements whose failures can be told apart: the database is away, or the statement is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import asyncpg

from relay.ports import DatabaseUnavailable, Row

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, or the statement's time is over
    asyncpg.InsufficientResourcesError,  # too many connections, no memory, no disk
    asyncpg.LockNotAvailableError,
)
"""What network, server and clock do to a statement."""


@contextlib.contextmanager
def told(connection: Any = None) -> Iterator[None]:
    """Tell all of that as `DatabaseUnavailable`. With an open `connection`, a wrong use of asyncpg stays what it is."""
    try:
        yield
    except UNAVAILABLE as error:
        if isinstance(error, asyncpg.InterfaceError) and _is_open(connection):
            raise
        raise DatabaseUnavailable(f"the database did not answer: {type(error).__name__}") from error


async def connect(url: str, **settings: Any) -> Any:
    """A connection of asyncpg's. :raises DatabaseUnavailable: with the server's words where it refuses; never with the address."""
    with told():
        try:
            return await asyncpg.connect(url, **settings)
        except ValueError:
            raise DatabaseUnavailable(
                "the database's address cannot be read: expected postgresql://user:password@host:port/name"
            ) from None
        except asyncpg.PostgresError as error:
            if isinstance(error, UNAVAILABLE):
                raise
            raise DatabaseUnavailable(f"the database refuses the connection: {error}") from error


def _is_open(connection: Any) -> bool:
    try:
        return connection is not None and not connection.is_closed()
    except asyncpg.InterfaceError:  # The pool has taken a broken one back already.
        return False


def quoted(name: str) -> str:
    """A name of a table or a schema as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


class Statements:
    """`ports.Connection` over one connection of asyncpg."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, statement: str, *values: Any) -> str:
        with told(self._connection):
            return str(await self._connection.execute(statement, *values))

    async def fetch(self, statement: str, *values: Any) -> Sequence[Row]:
        with told(self._connection):
            rows: Sequence[Row] = await self._connection.fetch(statement, *values)
            return rows

    async def fetchrow(self, statement: str, *values: Any) -> Row | None:
        with told(self._connection):
            row: Row | None = await self._connection.fetchrow(statement, *values)
            return row

    async def fetchval(self, statement: str, *values: Any) -> Any:
        with told(self._connection):
            return await self._connection.fetchval(statement, *values)

    async def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with told(self._connection):
            await self._connection.executemany(statement, rows)

    async def copy_records_to_table(
        self, table: str, *, schema_name: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
    ) -> str:
        with told(self._connection):
            return str(
                await self._connection.copy_records_to_table(
                    table, schema_name=schema_name, columns=columns, records=records
                )
            )
