"""The pool on a real server: what it converts, what it leaves, and how it behaves while the server is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from relay.ports import DatabaseUnavailable
from relay.storage.database import Database, TransactionBroken
from tests.core.storage.conftest import Told


async def until(is_so: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.01)


@pytest.fixture
async def table(database: Database) -> Database:
    await database.execute("create table public.thing (id int primary key, words jsonb)")
    return database


async def things(database: Database) -> list[int]:
    return [row["id"] for row in await database.fetch("select id from public.thing order by id")]


async def test_rows_come_by_name_and_json_as_text(table: Database) -> None:
    done = await table.execute("insert into public.thing values ($1, $2)", 1, '{"a": 1}')

    row = await table.fetchrow("select * from public.thing")

    assert "INSERT 0 1" == done
    assert row is not None
    assert (1, '{"a": 1}') == (row["id"], row["words"])
    assert await table.fetchrow("select from public.thing where id = 2") is None


async def test_a_transaction_that_is_left_by_an_exception_leaves_nothing(table: Database) -> None:
    with pytest.raises(FileNotFoundError):
        async with table.transaction() as connection:
            await connection.executemany("insert into public.thing values ($1)", [(1,), (2,)])
            raise FileNotFoundError("and it is not taken for the database's")
    async with table.transaction() as connection:
        await connection.copy_records_to_table("thing", schema_name="public", columns=["id"], records=[(3,)])

    assert [3] == await things(table)


async def test_a_transaction_that_is_cancelled_leaves_nothing(table: Database) -> None:
    started = asyncio.Event()

    async def insert() -> None:
        async with table.transaction() as connection:
            await connection.execute("insert into public.thing values (1)")
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(insert())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [] == await things(table)
    assert "INSERT 0 1" == await table.execute("insert into public.thing values (1)")


async def test_a_transaction_with_a_caught_error_does_not_pretend_to_be_done(table: Database) -> None:
    with pytest.raises(TransactionBroken):
        async with table.transaction() as connection:
            await connection.execute("insert into public.thing values (1)")
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await connection.execute("insert into public.thing values (1)")

    assert [] == await things(table)


async def test_mistakes_of_a_statement_come_as_they_are(table: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await table.fetch("select * from public.nothing")
    with pytest.raises(asyncpg.DataError):
        await table.fetch("select * from public.thing where id = $1", "one")
    with pytest.raises(asyncpg.InterfaceError):
        await table.fetch("select * from public.thing where id = $1")

    assert not table.is_away


async def test_a_statement_or_a_lock_that_takes_too_long_is_given_up(database_url: str) -> None:
    async with Database(database_url, log=Told(), statement_s=0.2) as database:
        await database.execute("create table public.thing (id int primary key)")
        with pytest.raises(DatabaseUnavailable, match="QueryCanceledError"):
            await database.fetchval("select pg_sleep(5)")
        async with database.transaction() as connection:
            await connection.execute("lock table public.thing")
            with pytest.raises(DatabaseUnavailable):
                await database.fetch("select * from public.thing")

        assert [] == list(await database.fetch("select * from public.thing"))
        assert database.finding().ok


async def test_behind_a_transaction_pooler_nothing_is_kept_in_a_connection(database_url: str) -> None:
    async with Database(database_url, direct_url=database_url, log=Told(), statement_s=0.2) as database:
        await database.fetch("select 1 where 1 = $1", 1)
        kept = await database.fetchval("select count(*) from pg_prepared_statements where not from_sql and name <> ''")
        outside = await database.fetchval("show statement_timeout")
        with pytest.raises(DatabaseUnavailable, match="QueryCanceledError"):
            async with database.transaction() as connection:
                await connection.fetchval("select pg_sleep(5)")

        assert (0, "0") == (kept, outside)


async def test_when_all_connections_are_busy_the_next_waits_its_time_and_the_database_is_not_away(
    database_url: str,
) -> None:
    async with Database(database_url, log=Told(), connections=1, connect_s=1.5) as database:
        async with database.transaction():
            with pytest.raises(DatabaseUnavailable, match="TimeoutError"):
                await database.fetchval("select 1")
            assert not database.is_away

        assert 1 == await database.fetchval("select 1")


# Away and back: a gate between the pool and the server


class Gate:
    """Stands before a server. `shut`: breaks what runs and takes nothing; `freeze`: takes everything and passes nothing."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def freeze(self) -> None:
        self._passing.clear()

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._passing.set()
        await asyncio.gather(*self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._socket)
        self._writers |= {writer, ours}
        for pump in (self._pump(reader, ours), self._pump(theirs, writer)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                await self._passing.wait()
                writer.write(piece)
        writer.close()


@pytest.fixture
async def gate(database_url: str) -> AsyncIterator[tuple[Gate, str]]:
    parts = urlsplit(database_url)
    folder, name = parse_qs(parts.query)["host"][0], parts.path.removeprefix("/")
    gate = Gate(f"{folder}/.s.PGSQL.5432")
    await gate.open()
    yield gate, f"postgresql://relay@127.0.0.1:{gate.port}/{name}?sslmode=disable"
    await gate.shut()


async def test_while_the_database_is_away_calls_fail_at_once_and_it_recovers_by_itself(gate: tuple[Gate, str]) -> None:
    door, url = gate
    log = Told()
    async with Database(url, log=log) as database:
        assert 1 == await database.fetchval("select 1")

        await door.shut()
        with pytest.raises(DatabaseUnavailable):
            await database.fetchval("select 1")
        await until(lambda: database.is_away)
        started = monotonic()
        for _ in range(100):
            with pytest.raises(DatabaseUnavailable):
                await database.fetchval("select 1")
        took_s = monotonic() - started
        finding = database.finding()
        await door.open()
        await until(lambda: not database.is_away)

        assert took_s < 0.5
        assert (False, "the database did not answer: ConnectionRefusedError") == (finding.ok, finding.message)
        assert 1 == await database.fetchval("select 1")
        assert database.finding().ok
    assert ["database_away", "database_reached"] == [event for event, _ in log]


async def test_a_cut_in_a_transaction_is_told_and_nobody_claims_it_was_done(gate: tuple[Gate, str]) -> None:
    door, url = gate
    async with Database(url, log=Told()) as database:
        await database.execute("create table public.thing (id int primary key)")
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction() as connection:
                await connection.execute("insert into public.thing values (1)")
                await door.shut()
        await door.open()
        await until(lambda: not database.is_away)

        assert [] == await things(database)


async def test_a_server_that_says_nothing_is_found_out_and_then_nobody_waits_for_it(gate: tuple[Gate, str]) -> None:
    door, url = gate
    async with Database(url, log=Told(), connect_s=0.3, statement_s=0.2) as database:
        await database.fetchval("select 1")

        door.freeze()
        await until(lambda: database.is_away, 5)
        started = monotonic()
        for _ in range(100):
            with pytest.raises(DatabaseUnavailable):
                await database.fetchval("select 1")
        took_s = monotonic() - started
        await door.shut()
        await door.open()
        await until(lambda: not database.is_away)

        assert 1 == await database.fetchval("select 1")
        assert took_s < 0.3, "each of them would have waited as long"


async def test_an_address_where_nothing_is_fails_the_start(gate: tuple[Gate, str]) -> None:
    door, url = gate
    await door.shut()

    with pytest.raises(DatabaseUnavailable, match="ConnectionRefusedError"):
        async with Database(url, log=Told()):
            pass


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "postgresql://relay@127.0.0.1:{port}/nothing?sslmode=disable",
            'refuses the connection: database "nothing" does not exist',
        ),
        ("postgresql://nobody:hunter2@127.0.0.1:{port}/postgres?sslmode=disable", 'role "nobody" does not exist'),
        (
            "postgresql://relay:hunter2@127.0.0.1:x{port}/",
            "address cannot be read: expected postgresql://user:password@host",
        ),
    ],
)
async def test_an_address_that_is_wrong_is_told_in_words_and_never_shown(
    gate: tuple[Gate, str], address: str, words: str
) -> None:
    log = Told()

    with pytest.raises(DatabaseUnavailable, match=words) as told:
        async with Database(address.format(port=gate[0].port), log=log):
            pass

    assert "hunter2" not in f"{told.value}{log}"


# Being told


async def test_a_listener_hears_what_is_notified_and_when_it_may_have_missed_something(gate: tuple[Gate, str]) -> None:
    door, url = gate
    heard: list[str | None] = []
    async with Database(url, log=Told()) as database:
        stop = database.listen("news", heard.append)
        await until(lambda: heard == [None])
        await database.execute("select pg_notify('news', 'one')")
        await until(lambda: heard == [None, "one"])

        await door.shut()
        await door.open()
        await until(lambda: heard == [None, "one", None])
        await until(lambda: not database.is_away)
        await database.execute("select pg_notify('news', 'two')")
        await until(lambda: heard == [None, "one", None, "two"])
        stop()
        late: list[str | None] = []
        database.listen("news", late.append)
        await until(lambda: late == [None])
        await database.execute("select pg_notify('news', 'three')")
        await until(lambda: late == [None, "three"])

    assert [None, "one", None, "two"] == heard


async def test_a_listener_that_fails_keeps_nobody_else_from_hearing(database_url: str) -> None:
    log = Told()
    heard: list[str | None] = []

    def fail(payload: str | None) -> None:
        raise ValueError(payload)

    async with Database(database_url, log=log) as database:
        database.listen("news", fail)
        database.listen("news", heard.append)
        await until(lambda: heard == [None])
        await database.execute("select pg_notify('news', 'a secret')")
        await until(lambda: heard == [None, "a secret"])

    assert ("listener_failed", {"channel": "news", "error": "ValueError"}) in log
    assert "a secret" not in str(log)
