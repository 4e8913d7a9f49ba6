"""Tables by month: where a month begins, that its part is there in time, and that it goes without being read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from relay.ports import DatabaseUnavailable
from relay.storage.database import Database
from relay.storage.partitions import NotMonthly, Partitions
from relay.values.month import Month, first_uuid

NOW = Month(2026, 11)
KEYS: dict[str, Callable[[datetime], object]] = {
    "date": (lambda moment: moment.date()),
    "timestamptz": (lambda moment: moment),
    "int": (lambda moment: Month.of(moment).number),
    "uuid": (lambda moment: UUID(int=first_uuid(Month.of(moment)).int + (moment.day << 80))),
}


@pytest.fixture(autouse=True)
def november(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Month, "now", classmethod(lambda cls: NOW))


async def usage(database: Database, kind: str = "timestamptz") -> Partitions:
    await database.execute("create schema metering")
    await database.execute(
        f"create table metering.usage (at {kind} not null, n int default 7 check (n > 0), primary key (at)) partition by range (at)"
    )
    await database.execute("create index usage_n on metering.usage (n)")
    return database.monthly("metering.usage")


async def place(database: Database, key: object) -> str:
    """The part that takes a row with this key."""
    return str(
        await database.fetchval("insert into metering.usage values ($1) returning tableoid::regclass::text", key)
    )


@pytest.mark.parametrize("kind", KEYS)
async def test_a_month_begins_at_midnight_utc_for_every_kind_of_key(empty: Database, kind: str) -> None:
    table = await usage(empty, kind)
    midnight = datetime(2026, 12, 1, tzinfo=UTC)

    made = await table.ensure(1)
    before = await place(empty, KEYS[kind](midnight - timedelta(microseconds=1)))
    after = await place(empty, KEYS[kind](midnight))

    assert [NOW, NOW.plus(1)] == list(made)
    assert ("metering.usage_2026_11", "metering.usage_2026_12") == (before, after)


async def test_months_are_made_ahead_over_the_turn_of_the_year_and_only_once(empty: Database) -> None:
    table = await usage(empty, "int")

    first = await table.ensure(2)
    again = await table.ensure(3)

    assert ["2026_11", "2026_12", "2027_01"] == list(map(str, first))
    assert ["2027_02"] == list(map(str, again))
    assert ["2026_11", "2026_12", "2027_01", "2027_02"] == list(map(str, await table.listed()))


async def test_processes_that_make_months_at_once_do_not_fail(empty: Database) -> None:
    table = await usage(empty)

    made = await asyncio.gather(*(table.ensure(2) for _ in range(4)))

    assert [0, 0, 0, 3] == sorted(map(len, made))
    assert 3 == len(await table.listed())


async def test_a_part_has_what_the_table_has(empty: Database) -> None:
    table = await usage(empty)
    await table.ensure(0)

    indexes = await empty.fetchval(
        "select count(*) from pg_inherits where inhparent in ('metering.usage_n'::regclass, 'metering.usage_pkey'::regclass)"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await empty.execute("insert into metering.usage values ('2026-11-05', 0)")

    assert 2 == indexes


async def test_a_month_is_made_while_others_write_and_read(empty: Database) -> None:
    table = await usage(empty)
    await table.ensure(0)

    async with empty.transaction() as connection:
        await connection.execute("insert into metering.usage values ('2026-11-05')")
        made = await table.ensure(1)

    assert [NOW.plus(1)] == list(made)


async def test_a_month_is_dropped_without_reading_its_rows(empty: Database) -> None:
    table = await usage(empty)
    await table.ensure(1)
    await empty.execute(
        "insert into metering.usage select '2026-11-01'::timestamptz + n * interval '1 s', 1 from generate_series(1, 20000) n"
    )
    written = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
    before = await empty.fetchval(written)

    dropped = await table.drop(NOW)
    again = await table.drop(NOW)

    assert (True, False) == (dropped, again)
    assert [NOW.plus(1)] == list(await table.listed())
    assert 0 == await empty.fetchval("select count(*) from metering.usage")
    assert await empty.fetchval(written) - before < 400_000, "rows deleted one by one write 1.2 MB"


async def test_a_drop_that_waits_for_a_reader_lets_everybody_else_write(empty: Database) -> None:
    table = await usage(empty)
    await table.ensure(1)

    async with empty.transaction() as connection:
        await connection.fetch("select * from metering.usage")
        dropping = asyncio.create_task(table.drop(NOW))
        await asyncio.sleep(0.2)
        placed = await place(empty, datetime(2026, 12, 5, tzinfo=UTC))
        waits = not dropping.done()

    assert ("metering.usage_2026_12", True) == (placed, waits)
    assert await dropping


async def test_a_drop_that_cannot_wait_is_finished_by_the_next(empty: Database, empty_url: str) -> None:
    table = await usage(empty)
    await table.ensure(1)
    async with Database(empty_url, log=lambda event, **fields: None, statement_s=0.3) as hasty:
        async with empty.transaction() as connection:
            await connection.fetch("select * from metering.usage")
            with pytest.raises(DatabaseUnavailable):
                await hasty.monthly("metering.usage").drop(NOW)
            assert "metering.usage_2026_12" == await place(empty, datetime(2026, 12, 5, tzinfo=UTC))

        assert await hasty.monthly("metering.usage").drop(NOW)
    assert [NOW.plus(1)] == list(await table.listed())


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("create table t (at text) partition by range (at)", "partitioned over a text; months need one of date"),
        ("create table t (at date)", "is no table that is partitioned by range over one column"),
        ("create table t (at date) partition by list (at)", "is no table that is partitioned by range"),
        ("select 1", "is no table that is partitioned by range"),
    ],
)
async def test_a_table_that_is_not_by_month_is_refused_in_words(empty: Database, made: str, words: str) -> None:
    await empty.execute(made)

    with pytest.raises(NotMonthly, match=words):
        await empty.monthly("public.t").ensure()


def test_a_table_is_named_with_its_schema(empty: Database) -> None:
    with pytest.raises(ValueError, match=r"expected schema\.name, found 'usage'"):
        empty.monthly("usage")
