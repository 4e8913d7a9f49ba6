"""What plugins declare in `stores` beside what is in the database: every table and column, in both directions."""

from __future__ import annotations

from collections.abc import Iterable

from relay.plugin import Plugin
from relay.ports import Statements

_LIVE = """
    select n.nspname, c.relname, a.attname from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition and n.nspname = any($1)
"""


async def differences(database: Statements, plugins: Iterable[Plugin | type[Plugin]]) -> list[str]:
    """What is declared and not there, and what is there and not declared, in words; in alphabetical order.

    Parts of a partitioned table are the table. Views are none: what they show is declared where it is stored.
    """
    plugins = list(plugins)
    declared: set[tuple[str, str, str | None]] = set()
    for plugin in plugins:
        for table in plugin.stores:
            declared.add((plugin.name, table.name, None))
            declared |= {(plugin.name, table.name, column.name) for column in table.columns}
    live: set[tuple[str, str, str | None]] = set()
    for row in await database.fetch(_LIVE, [plugin.name for plugin in plugins]):
        live |= {(row["nspname"], row["relname"], None), (row["nspname"], row["relname"], row["attname"])}
    return sorted(
        [f"{_shown(one)} is declared and not in the database" for one in _topmost(declared - live)]
        + [f"{_shown(one)} is in the database and not declared" for one in _topmost(live - declared)]
    )


def _topmost(found: set[tuple[str, str, str | None]]) -> Iterable[tuple[str, str, str | None]]:
    """Not the columns of a table that is missing as a whole."""
    return (one for one in found if one[2] is None or (one[0], one[1], None) not in found)


def _shown(one: tuple[str, str, str | None]) -> str:
    schema, table, column = one
    return f"{schema}.{table}" if column is None else f"{schema}.{table}.{column}"
