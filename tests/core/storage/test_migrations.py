"""Migrations: their order, their checksums, their lock, and what is left when one fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.declare import Table
from relay.plugin import Plugin
from relay.storage import migrations
from relay.storage.database import Database
from relay.storage.migrations import (
    Migration,
    MigrationFailed,
    MigrationRefused,
    MigrationsPending,
    check,
    migrate,
    of_plugins,
    pending,
    read,
)

Files = Callable[..., list[Migration]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Write the migrations of a plugin `shop` and read them: `files(first="create table …", …)`, numbered as they come."""

    def write(*, start: int = 1, **sql: str) -> list[Migration]:
        for number, (name, text) in enumerate(sql.items(), start):
            (tmp_path / f"{number:04}_{name}.sql").write_text(text)
        return read("shop", tmp_path)

    return write


async def tables(database: Database) -> list[str]:
    rows = await database.fetch("select tablename from pg_tables where schemaname = 'shop' order by 1")
    return [row["tablename"] for row in rows]


async def test_each_file_is_applied_once_in_the_order_of_their_numbers(
    empty: Database, empty_url: str, files: Files
) -> None:
    known = files(first="create table sale (id int); create table item (id int)", second="drop table shop.item")

    done = await migrate(empty_url, known)
    again = await migrate(empty_url, known)
    more = await migrate(empty_url, files(start=3, third="create table buyer (id int)"))

    assert (known, [], ["shop/0003_third.sql"]) == (done, again, [str(one) for one in more])
    assert ["buyer", "sale"] == await tables(empty)
    rows = await empty.fetch("select number, name, checksum, applied_at <= now() as ok from relay.migration order by 1")
    assert [(1, "first", True), (2, "second", True), (3, "third", True)] == [
        (row["number"], row["name"], row["ok"]) for row in rows
    ]
    assert known[0].checksum == rows[0]["checksum"]


async def test_what_is_missing_is_told_and_nothing_is_changed(empty: Database, empty_url: str, files: Files) -> None:
    known = files(first="create table sale (id int)")

    missing = await pending(empty_url, known)
    with pytest.raises(MigrationsPending, match=r"lacks shop/0001_first.sql: run `relay migrate`"):
        await check(empty_url, known)

    assert known == missing
    assert await empty.fetchval("select to_regnamespace('relay') is null and to_regnamespace('shop') is null")
    await migrate(empty_url, known)
    await check(empty_url, known)


async def test_a_file_that_was_changed_after_it_landed_is_refused(empty_url: str, files: Files) -> None:
    await migrate(empty_url, files(first="create table sale (id int)"))

    with pytest.raises(
        MigrationRefused, match=r"shop/0001_first\.sql was changed after it had been applied: put it back"
    ):
        await migrate(empty_url, files(first="create table sale (id bigint)", second="create table more (id int)"))
    with pytest.raises(MigrationRefused, match="was changed"):
        await pending(empty_url, files())


async def test_another_systems_line_ends_are_no_change(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_bytes(b"create table sale (\nid int)")
    await migrate(empty_url, read("shop", tmp_path))
    (tmp_path / "0001_first.sql").write_bytes(b"create table sale (\r\nid int)")

    assert [] == await migrate(empty_url, read("shop", tmp_path))


async def test_a_database_that_a_newer_version_has_migrated_is_refused(empty_url: str, files: Files) -> None:
    known = files(first="create table sale (id int)", second="create table item (id int)")
    await migrate(empty_url, known)

    with pytest.raises(MigrationRefused, match=r"shop/0002_second\.sql was applied by a newer version of shop"):
        await check(empty_url, known[:1])


async def test_a_plugin_that_was_taken_out_of_the_chain_is_no_hindrance(empty_url: str, files: Files) -> None:
    await migrate(empty_url, files(first="create table sale (id int)"))

    assert [] == await migrate(empty_url, [])


async def test_a_number_before_one_that_is_applied_is_refused(empty_url: str, files: Files) -> None:
    known = files(first="create table sale (id int)", second="create table item (id int)")
    await migrate(empty_url, known[1:])

    with pytest.raises(MigrationRefused, match=r"shop/0001_first\.sql comes before 0002, which is applied already"):
        await migrate(empty_url, known)


async def test_a_file_that_fails_leaves_nothing_and_those_before_it_stand(
    empty: Database, empty_url: str, files: Files
) -> None:
    known = files(first="create table sale (id int)", second="create table item (id int); select 1 / 0")

    with pytest.raises(MigrationFailed, match=r"shop/0002_second\.sql: division by zero"):
        await migrate(empty_url, known)

    assert ["sale"] == await tables(empty)
    assert known[1:] == await pending(empty_url, known)


async def test_a_file_that_ends_its_own_transaction_is_found_out(empty_url: str, files: Files) -> None:
    with pytest.raises(MigrationFailed, match="ends the transaction it runs in"):
        await migrate(empty_url, files(first="create table sale (id int); commit"))


async def test_of_several_that_migrate_at_once_one_does_it_also_beside_a_concurrent_index(
    empty_url: str, files: Files
) -> None:
    known = files(
        first="create table sale (id int); insert into sale select generate_series(1, 1000)",
        second="-- relay:no-transaction\ncreate index concurrently sale_id on sale (id)",
        third="select pg_sleep(0.1)",
    )

    done = await asyncio.gather(*(migrate(empty_url, known) for _ in range(4)))

    assert [0, 0, 0, 3] == sorted(map(len, done))


async def test_a_lock_that_is_held_fails_the_migration_in_words(
    empty: Database, empty_url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty_url, files(first="create table sale (id int)"))
    monkeypatch.setattr(migrations, "_LOCK_S", "50ms")

    async with empty.transaction() as connection:
        await connection.execute("lock table shop.sale in access share mode")
        with pytest.raises(MigrationFailed, match="a lock was not to be had within 50ms: run it again"):
            await migrate(empty_url, files(first="create table sale (id int)", second="alter table sale add x int"))


async def test_an_index_that_could_not_be_made_does_not_stay_half_made(
    empty: Database, empty_url: str, files: Files
) -> None:
    first = "create table sale (id int); insert into sale values (1), (1)"
    second = "-- relay:no-transaction\ncreate unique index concurrently sale_id on sale (id)"
    indexes = "select count(*) from pg_indexes where schemaname = 'shop'"

    with pytest.raises(MigrationFailed, match="could not create unique index"):
        await migrate(empty_url, files(first=first, second=second))
    after_failure = await empty.fetchval(indexes)
    await empty.execute("delete from shop.sale")
    done = await migrate(empty_url, files())

    assert (0, ["shop/0002_second.sql"], 1) == (after_failure, list(map(str, done)), await empty.fetchval(indexes))


async def test_an_index_whose_making_was_killed_is_made_anew(empty: Database, empty_url: str, files: Files) -> None:
    await migrate(empty_url, files(first="create table sale (id int)"))
    await empty.execute("create index sale_id on shop.sale (id)")
    await empty.execute("update pg_index set indisvalid = false where indexrelid = 'shop.sale_id'::regclass")

    await migrate(
        empty_url, files(start=2, second="-- relay:no-transaction\ncreate index concurrently sale_id on sale (id)")
    )

    assert await empty.fetchval("select indisvalid from pg_index where indexrelid = 'shop.sale_id'::regclass")


def test_odd_names_and_numbers_given_twice_are_refused(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0001_b.sql", "2_c.sql", "notes.txt"):
        (tmp_path / name).write_text("")

    with pytest.raises(MigrationRefused) as refused:
        read("shop", tmp_path)

    assert "shop: 2_c.sql is not called like 0001_what_it_does.sql\nshop: 0001 is the number of two files" == str(
        refused.value
    )


def test_migrations_are_found_in_the_packages_of_plugins_that_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "relay_test_shop"
    (package / "migrations").mkdir(parents=True)
    (package / "migrations" / "0001_first.sql").write_text("create table sale (id int)")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    class Shop(Plugin):
        name = "shop"
        stores = (Table("sale", (), "for ever"),)

    class Idle(Plugin):
        name = "idle"

    Shop.__module__ = Idle.__module__ = "relay_test_shop.plugin"
    found = of_plugins([Idle(), Shop()])
    sys.modules.pop("relay_test_shop")

    assert ["shop/0001_first.sql"] == [str(one) for one in found if one.plugin != "relay"]
