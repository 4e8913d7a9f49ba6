"""`relay serve` with a plugin that stores: its own Postgres, migrated before it serves, and ended with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.storage.embedded import running

PLUGIN = """
from aiohttp import web
from relay import Column, Plugin, Route, Table
from relay.ports import Database, DatabaseUnavailable


class Tally(Plugin):
    name = "tally"
    needs = (Database,)
    stores = (Table("mark", (Column("id"),), "for ever"),)

    async def lifespan(self, relay):
        self.database = relay.get(Database)
        yield

    def routes(self):
        return [Route("POST", "/-/tally/mark", self.mark, "public")]

    async def mark(self, request):
        try:
            return web.json_response(await self.database.fetchval("insert into tally.mark default values returning id"))
        except DatabaseUnavailable:
            return web.Response(status=503, text="away")
"""
SQL = "create table mark (id int generated always as identity primary key)"
MORE = '  - tally: {use: "./tally.py:Tally"}\n'


@pytest.fixture
async def tallying(serve: Any, tmp_path: Path, postgres: str) -> Callable[..., Any]:
    """Start a relay whose plugin writes a row for each POST to `/-/tally/mark`. `postgres` is asked for only to skip without it."""
    (tmp_path / "tally.py").write_text(PLUGIN)
    (tmp_path / "tally_migrations").mkdir()
    (tmp_path / "tally_migrations" / "0001_mark.sql").write_text(SQL)

    async def start(**how: Any) -> Any:
        return await serve(below=MORE, **how)

    return start


async def mark(relay: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(f"{relay.url}/-/tally/mark") as reply:
        return reply.status, await reply.text()


async def is_marked(relay: Any) -> bool:
    return (await mark(relay))[0] == 200


async def is_ready(relay: Any, wanted: tuple[int, list[str]]) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{relay.url}/-/health/ready") as reply:
        return wanted == (reply.status, (await reply.json())["failing"])


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await is_so():
            await asyncio.sleep(0.02)


async def test_while_its_database_is_away_a_relay_serves_on_unready_and_it_recovers_and_ends_with_it(
    tallying: Any, tmp_path: Path
) -> None:
    relay = await tallying(workers=2)
    pid = (await relay.until("postgres_ready"))["pid"]
    marks = [await mark(relay) for _ in range(3)]

    data = tmp_path / "data" / "postgres" / "data"
    aside = data.rename(data.with_name("aside"))
    os.kill(pid, signal.SIGKILL)
    await until(lambda: is_ready(relay, (503, ["database"])))
    answered = await mark(relay)
    aside.rename(data)
    await relay.until("postgres_ready", 2)
    for _ in range(4):  # Two workers, each of which finds out for itself.
        await until(lambda: is_ready(relay, (200, [])))
    await until(lambda: is_marked(relay))
    after = await mark(relay)
    relay.process.terminate()
    status = await relay.process.wait()

    assert [(200, "1"), (200, "2"), (200, "3")] == marks
    assert ["tally/0001_mark.sql"] == (await relay.until("migrated"))["applied"]
    assert (503, "away") == answered
    assert 200 == after[0]
    assert int(after[1]) > 4
    assert 0 == status
    assert running(tmp_path / "data") is None


async def test_a_reload_migrates_first_and_when_that_fails_the_old_workers_serve_on(
    tallying: Any, tmp_path: Path
) -> None:
    relay = await tallying()
    (tmp_path / "tally_migrations" / "0002_wide.sql").write_text("alter table mark add wide int")
    relay.process.send_signal(signal.SIGHUP)
    await relay.until("reloaded")
    (tmp_path / "tally_migrations" / "0003_wrong.sql").write_text("select 1 / 0")
    relay.process.send_signal(signal.SIGHUP)
    refused = await relay.until("reload_refused")

    assert ["tally/0002_wide.sql"] == (await relay.until("migrated", 2))["applied"]
    assert "tally/0003_wrong.sql: division by zero" == refused["error"]
    assert (200, "1") == await mark(relay)


async def test_without_a_plugin_that_stores_no_postgres_is_started_and_a_reload_that_adds_one_says_to_restart(
    tallying: Any, serve: Any, tmp_path: Path
) -> None:
    relay = await serve()
    relay.config.write_text(relay.config.read_text() + MORE)

    relay.process.send_signal(signal.SIGHUP)
    failed = await relay.until("reload_failed")

    assert not (tmp_path / "data" / "postgres").exists()
    assert ["embeds_database"] == (await relay.until("needs_restart"))["settings"]
    assert "restart the relay" in failed["error"]
