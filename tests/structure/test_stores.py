"""What plugins declare in `stores` is what their migrations make: every table and every column, and the personal data in it."""

from __future__ import annotations

from relay.config import installed
from relay.storage.database import Database
from relay.storage.schema import differences


async def test_every_table_and_column_is_declared_by_its_plugin(database: Database) -> None:
    known = installed.installed(installed.PLUGINS)
    plugins = [installed.load_plugin(installed.find(known, name, "plugin")) for name in known]

    assert [] == await differences(database, plugins)


async def test_no_schema_is_without_a_plugin(database: Database) -> None:
    schemas = await database.fetch(
        "select nspname from pg_namespace where nspname !~ '^pg_|^information_schema$|^public$'"
    )

    assert set() == {row["nspname"] for row in schemas} - {"relay", *installed.installed(installed.PLUGINS)}


async def test_nothing_lies_in_the_schema_that_belongs_to_nobody(database: Database) -> None:
    assert 0 == await database.fetchval("select count(*) from pg_class where relnamespace = 'public'::regnamespace")
