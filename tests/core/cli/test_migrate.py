"""`relay migrate`, and commands of plugins that want the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.cli.main import main

Captured = pytest.CaptureFixture[str]
PLUGIN = """
from relay import Column, Command, Plugin, Settings, Table
from relay.ports import Database


class Shop(Plugin):
    name = "shop"
    needs = (Database,)
    stores = (Table("sale", (Column("id"),), "for ever"),)

    async def lifespan(self, relay):
        self.database = relay.get(Database)
        yield

    def commands(self):
        return [Command("sale", "count", self.count, "operator", Settings, opened=True)]

    async def count(self, taken):
        print(await self.database.fetchval("select count(*) from shop.sale"), "sales")
"""


@pytest.fixture(autouse=True)
def shop(folder: Path) -> Path:
    (folder / "shop.py").write_text(PLUGIN)
    (folder / "shop_migrations").mkdir()
    (folder / "shop_migrations" / "0001_sale.sql").write_text("create table sale (id int primary key);")
    return folder


@pytest.fixture
def at_a_database(shop: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATABASE", database_url)
    (shop / "relay.yaml").write_text('database: {url: {env: DATABASE}}\nplugins:\n  - shop: {use: "./shop.py:Shop"}\n')
    return shop


def test_what_is_missing_is_shown_and_then_applied(at_a_database: Path, capsys: Captured) -> None:
    statuses = [main(["migrate", "--check"]), main(["migrate"]), main(["migrate"]), main(["migrate", "--check"])]

    assert [1, 0, 0, 0] == statuses
    assert ["missing shop/0001_sale.sql", "applied shop/0001_sale.sql", "nothing was missing"] == (
        capsys.readouterr().out.splitlines()
    )


def test_a_changed_file_is_told_and_ends_with_1(at_a_database: Path, capsys: Captured) -> None:
    main(["migrate"])
    (at_a_database / "shop_migrations" / "0001_sale.sql").write_text("create table sale (id bigint)")

    status = main(["migrate"])

    assert 1 == status
    assert capsys.readouterr().err.startswith("relay: shop/0001_sale.sql was changed after it had been applied")


def test_a_command_finds_a_database_of_ones_own_only_after_it_was_migrated(
    at_a_database: Path, capsys: Captured
) -> None:
    before = main(["sale", "count"])
    words = capsys.readouterr().err
    main(["migrate"])
    after = main(["sale", "count"])

    assert (1, 0) == (before, after)
    assert "relay: the database lacks shop/0001_sale.sql: run `relay migrate` before this version serves\n" == words
    assert "0 sales" == capsys.readouterr().out.splitlines()[-1]


def test_a_command_starts_the_embedded_database_where_no_relay_runs_it(
    shop: Path, postgres: str, capsys: Captured
) -> None:
    (shop / "relay.yaml").write_text('data: data\nplugins:\n  - shop: {use: "./shop.py:Shop"}\n')

    status = main(["sale", "count"])

    assert (0, "0 sales\n") == (status, capsys.readouterr().out)
    assert not (shop / "data" / "postgres" / ".s.PGSQL.5432").exists()


def test_where_nothing_is_stored_no_database_is_started(folder: Path, capsys: Captured) -> None:
    (folder / "relay.yaml").write_text("data: data\nplugins: []\n")

    status = main(["migrate"])

    assert (0, "no plugin stores anything: there is nothing to migrate\n") == (status, capsys.readouterr().out)
    assert not (folder / "data").exists()
