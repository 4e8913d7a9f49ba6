"""Tables by month: `metering.usage` has the parts `metering.usage_2026_11`, `metering.usage_2026_12`, …

Whoever owns the table calls `ensure` in a daily job, so that a month is there long before its first row, and `drop` when a
month's time is over: its rows go with the file that holds them, unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from relay.errors import RelayError
from relay.ports import Statements
from relay.storage.statements import quoted
from relay.values.month import Month, first_uuid

_LITERALS: dict[str, Callable[[Month], str]] = {
    "date": lambda month: f"'{month.begins:%Y-%m-%d}'",
    "timestamptz": lambda month: f"'{month.begins:%Y-%m-%d} 00:00:00+00'",
    "int4": lambda month: str(month.number),
    "int8": lambda month: str(month.number),
    "uuid": lambda month: f"'{first_uuid(month)}'",
}
_KEY = """
    select t.typname, p.partnatts from pg_partitioned_table p
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
    join pg_type t on t.oid = a.atttypid
    where p.partrelid = to_regclass($1) and p.partstrat = 'r'
"""
_PARTS = """
    select c.relname, i.inhdetachpending from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass($1)
"""


class NotMonthly(RelayError):
    """The table is not one that is divided by month; the message says why."""


class Partitions:
    """The months of one table.

    :param table: `schema.name`, partitioned by range over one column: a `date`, a `timestamptz`, a UUIDv7, or a number such
        as 202611.
    :param direct: opens a connection to the server itself: part of this cannot run inside a transaction.
    """

    def __init__(self, table: str, direct: Callable[[], AbstractAsyncContextManager[Statements]]) -> None:
        self._schema, dot, self._name = table.partition(".")
        if not (self._schema and dot and self._name):
            raise ValueError(f"expected schema.name, found {table!r}")
        self._table = f"{quoted(self._schema)}.{quoted(self._name)}"
        self._part = re.compile(re.escape(self._name) + r"_(\d{4}_\d{2})")
        self._direct = direct

    async def ensure(self, months_ahead: int = 2) -> Sequence[Month]:
        """Make the parts for this month and the next ones. Processes may do it at once.

        :returns: the months that were missing.
        :raises NotMonthly: the table is not there, or divided otherwise.
        """
        first = Month.now()
        wanted = [first.plus(ahead) for ahead in range(months_ahead + 1)]
        async with self._direct() as connection:
            literal = await self._literal(connection)
            await connection.execute("begin")  # Left open by an error, it ends with the connection.
            await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", self._table)
            there = {month for month, _ in await self._listed(connection)}
            missing = [month for month in wanted if month not in there]
            for month in missing:
                await self._make(connection, month, literal)
            await connection.execute("commit")
        return missing

    async def listed(self) -> Sequence[Month]:
        """The months there are, in their order."""
        async with self._direct() as connection:
            return sorted(month for month, _ in await self._listed(connection))

    async def drop(self, month: Month) -> bool:
        """Remove a month and all its rows. The table is never locked: whoever writes and reads other months does not wait.

        What it waits for are the statements that run on the table, at most as long as a statement may take.

        :returns: was it there?
        :raises DatabaseUnavailable: they did not end in time; what was begun is finished by the next call.
        """
        part = self._of(month)
        async with self._direct() as connection:
            found = dict(await self._listed(connection))
            if month in found:
                how = "finalize" if found[month] else "concurrently"
                await connection.execute(f"alter table {self._table} detach partition {part} {how}")
            is_there = await connection.fetchval("select to_regclass($1) is not null", part)
            await connection.execute(f"drop table if exists {part}")
        return bool(is_there)

    async def _make(self, connection: Statements, month: Month, literal: Callable[[Month], str]) -> None:
        """Made beside the table and then attached: that locks out neither readers nor writers."""
        part = self._of(month)
        bounds = f"from ({literal(month)}) to ({literal(month.plus(1))})"
        await connection.execute(
            f"create table {part} (like {self._table} including all excluding identity);"
            f"alter table {self._table} attach partition {part} for values {bounds}"
        )

    async def _literal(self, connection: Statements) -> Callable[[Month], str]:
        key = await connection.fetchrow(_KEY, self._table)
        if key is None or key["partnatts"] != 1:
            raise NotMonthly(f"{self._schema}.{self._name} is no table that is partitioned by range over one column")
        if (literal := _LITERALS.get(key["typname"])) is None:
            raise NotMonthly(
                f"{self._schema}.{self._name} is partitioned over a {key['typname']}; months need one of {', '.join(_LITERALS)}"
            )
        return literal

    async def _listed(self, connection: Statements) -> list[tuple[Month, bool]]:
        """The months, and whether one is half detached."""
        found = []
        for row in await connection.fetch(_PARTS, self._table):
            if shown := self._part.fullmatch(row["relname"]):
                found.append((Month.read(shown[1]), bool(row["inhdetachpending"])))
        return found

    def _of(self, month: Month) -> str:
        return f"{quoted(self._schema)}.{quoted(f'{self._name}_{month}')}"
