"""Postgres as the relay uses it: a pool with time boxes, which fails quickly while the server is away and recovers by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

import asyncpg

from relay.errors import RelayError
from relay.ports import Connection, DatabaseUnavailable, Finding, Row
from relay.storage.listening import Listening
from relay.storage.partitions import Partitions
from relay.storage.statements import UNAVAILABLE, Statements, connect, told
from relay.values.clock import monotonic

STATEMENT_S = 5.0
"""Most seconds for a statement, and for a wait for a lock."""
CONNECT_S = 3.0
_CONNECTIONS = 10
_PROBE_S, _PROBE_WHILE_AWAY_S = 1.0, 0.2
# A server that stopped on the way looks like one that is slow: what the client waits is a little more than what the server may.
_SLACK_S = 1.0


class TransactionBroken(RelayError):
    """A statement of a transaction failed, its error was caught, and the transaction then meant to end well: nothing was done."""


class Database:
    """The pool behind `ports.Database`. Used as a context manager.

    :param url: the server, or a transaction pooler in front of it.
    :param direct_url: the server itself when `url` is a pooler; LISTEN and the like go there. With it, `url` gets no
        prepared statements and no settings per connection; outside of transactions the time boxes are the client's alone.
    :param log: told when the database goes away and comes back.
    """

    def __init__(
        self,
        url: str,
        *,
        direct_url: str | None = None,
        log: Callable[..., None],
        connections: int = _CONNECTIONS,
        statement_s: float = STATEMENT_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.direct_url = direct_url or url
        self._url = url
        self._is_pooled = direct_url is not None
        milliseconds = round(statement_s * 1000)
        self._begin = "begin"
        if self._is_pooled:
            self._begin += f"; set local statement_timeout = {milliseconds}; set local lock_timeout = {milliseconds}"
        self._log = log
        self._connections = connections
        self._statement_s = statement_s
        self._connect_s = connect_s
        self._pool: Any = None
        self._away: str | None = None
        self._answered = 0.0
        self._listening = Listening(self._connect_directly, log)
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """:raises DatabaseUnavailable: it cannot be reached."""
        async with contextlib.AsyncExitStack() as half_open:
            self._pool = asyncpg.create_pool(
                min_size=0,
                max_size=self._connections,
                connect=self._connect,
                reset=_nothing,
            )
            await self._pool
            half_open.callback(self._pool.terminate)
            await self._probe()
            half_open.push_async_callback(_cancelled, asyncio.create_task(self._watch()))
            half_open.push_async_callback(self._listening.close)
            self._open = half_open.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(*UNAVAILABLE):
            async with asyncio.timeout(self._connect_s):
                await self._listening.close()
                await self._pool.close()
        await self._open.aclose()

    @property
    def is_away(self) -> bool:
        """It could not be reached lately, so that calls fail without trying."""
        return self._away is not None

    def finding(self) -> Finding:
        """For the readiness check."""
        return Finding(self._away is None, self._away or "")

    # ports.Database

    async def execute(self, statement: str, *values: Any) -> str:
        async with self._acquired() as statements:
            return await statements.execute(statement, *values)

    async def fetch(self, statement: str, *values: Any) -> Sequence[Row]:
        async with self._acquired() as statements:
            return await statements.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> Row | None:
        async with self._acquired() as statements:
            return await statements.fetchrow(statement, *values)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        async with self._acquired() as statements:
            return await statements.fetchval(statement, *values)

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        return self._transaction()

    def listen(self, channel: str, heard: Callable[[str | None], None]) -> Callable[[], None]:
        return self._listening.add(channel, heard)

    def monthly(self, table: str) -> Partitions:
        return Partitions(table, self.direct)

    # Around it

    @contextlib.asynccontextmanager
    async def direct(self) -> AsyncIterator[Statements]:
        """A connection of its own to the server itself, for what does not go through a pooler. No transaction is open."""
        with told():
            connection = await self._connect_directly()
        try:
            yield Statements(connection)
        finally:
            with contextlib.suppress(*UNAVAILABLE):
                await connection.close(timeout=1.0)

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._acquired() as statements:
            await statements.execute(self._begin)
            try:
                yield statements
            except BaseException:
                with contextlib.suppress(DatabaseUnavailable):  # Then it is rolled back, or the server does it.
                    await statements.execute("rollback")
                raise
            if await statements.execute("commit") != "COMMIT":
                raise TransactionBroken("the transaction was rolled back: one of its statements failed before")

    @contextlib.asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Statements]:
        if self._away is not None:
            raise DatabaseUnavailable(self._away)
        with told():
            # Longer than a connection takes: what is over then is the wait for a free one.
            connection = await self._pool.acquire(timeout=self._connect_s + _SLACK_S)
        try:
            yield Statements(connection)
            self._answered = monotonic()
        finally:
            with contextlib.suppress(*UNAVAILABLE):
                await self._pool.release(connection, timeout=_SLACK_S)

    async def _connect(self, _: object, **settings: Any) -> Any:
        """For the pool. A connection that cannot be made is what "away" means: one that breaks may be alone in that."""
        try:
            return await self._connected(self._url, is_pooled=self._is_pooled, **settings)
        except DatabaseUnavailable as error:
            self._becomes(str(error))
            raise

    async def _connect_directly(self) -> Any:
        return await self._connected(self.direct_url, is_pooled=False)

    async def _connected(self, url: str, *, is_pooled: bool, **settings: Any) -> Any:
        milliseconds = str(round(self._statement_s * 1000))
        more: dict[str, Any] = {"statement_cache_size": 0}
        if not is_pooled:
            more = {
                "server_settings": {
                    "application_name": "relay",
                    "statement_timeout": milliseconds,
                    "lock_timeout": milliseconds,
                    "idle_in_transaction_session_timeout": "60000",
                    # A statement whose client has gone ends, and with it its locks.
                    "client_connection_check_interval": "1000",
                }
            }
        return await connect(
            url, timeout=self._connect_s, command_timeout=self._statement_s + _SLACK_S, **more, **settings
        )

    # Is it there?

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_S if self._away is None else _PROBE_WHILE_AWAY_S)
            if self._away is None and monotonic() - self._answered < _PROBE_S:
                continue
            with contextlib.suppress(DatabaseUnavailable):
                await self._probe()

    async def _probe(self) -> None:
        """:raises DatabaseUnavailable:"""
        with told():
            try:
                async with asyncio.timeout(self._connect_s), self._pool.acquire() as connection:
                    await connection.fetchval("select 1")
            except UNAVAILABLE as error:
                if not self._is_busy():
                    self._becomes(f"the database did not answer: {type(error).__name__}")
                    raise
        self._answered = monotonic()
        self._becomes(None)

    def _is_busy(self) -> bool:
        """Are all connections in use? Then it is the pool that kept a probe waiting."""
        return bool(self._pool.get_idle_size() == 0 and self._pool.get_size() >= self._connections)

    def _becomes(self, away: str | None) -> None:
        was, self._away = self._away, away
        if away is not None and was is None:
            self._log("database_away", reason=away)
        elif away is None and was is not None:
            self._log("database_reached")


async def _nothing(connection: object) -> None:
    """Nothing to reset: nobody leaves anything in a session, and it would cost a round trip. asyncpg rolls back by itself."""


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
