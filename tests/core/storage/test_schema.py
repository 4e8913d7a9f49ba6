"""What plugins declare they store, beside what is in the database."""

from __future__ import annotations

from relay.declare import Column, Table
from relay.plugin import Plugin
from relay.storage.database import Database
from relay.storage.schema import differences


class Shop(Plugin):
    name = "shop"
    stores = (
        Table("sale", (Column("id"), Column("at"), Column("buyer", "who bought", "to send it")), "for ever"),
        Table("item", (Column("id"),), "for ever"),
    )


async def test_what_is_declared_and_what_is_there_may_be_the_same(empty: Database) -> None:
    await empty.execute(
        "create schema shop; create table shop.item (id int); create table other (id int);"
        "create table shop.sale (id int, at date, buyer text) partition by range (at);"
        "create table shop.sale_2026_11 partition of shop.sale for values from ('2026-11-01') to ('2026-12-01');"
        "create view shop.shown as select id from shop.sale"
    )

    assert [] == await differences(empty, [Shop()])


async def test_what_differs_is_told_in_both_directions(empty: Database) -> None:
    await empty.execute(
        "create schema shop; create table shop.sale (id int, at date, email text, gone int); alter table shop.sale drop gone;"
        "create table shop.note (id int, content text)"
    )

    assert [
        "shop.item is declared and not in the database",
        "shop.note is in the database and not declared",
        "shop.sale.buyer is declared and not in the database",
        "shop.sale.email is in the database and not declared",
    ] == await differences(empty, [Shop()])
