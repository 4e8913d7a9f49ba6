"""The database behind a real pgbouncer that pools transactions: it runs where pgbouncer is installed, with ALL=1."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from relay.storage.database import Database
from relay.storage.embedded import USER
from relay.values.month import Month
from tests.core.storage.conftest import Told

pytestmark = pytest.mark.all


@pytest.fixture
async def pooled_url(database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a pgbouncer with two connections to the test's own database."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer (apt-get install pgbouncer)")
    parts = urlsplit(database_url)
    name = parts.path.removeprefix("/")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{name} = host={parse_qs(parts.query)['host'][0]} port=5432 user={USER}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    # It does not run as root either.
    before = ("unshare", "--user", "--map-user=65534", "--map-group=65534") if os.geteuid() == 0 else ()
    with (tmp_path / "pgbouncer.log").open("wb") as output:
        process = subprocess.Popen([*before, program, str(settings)], stderr=output)
    async with asyncio.timeout(10):
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.02)
    yield f"postgresql://{USER}@127.0.0.1:{port}/{name}?sslmode=disable"
    process.terminate()
    process.wait()


async def test_behind_a_transaction_pooler_everything_works(pooled_url: str, database_url: str, log: Told) -> None:
    heard: list[str | None] = []

    async with Database(pooled_url, direct_url=database_url, log=log) as database:
        await database.execute("create table public.thing (at timestamptz primary key) partition by range (at)")
        made = await database.monthly("public.thing").ensure(0)

        async def insert(seconds: int) -> str:
            async with database.transaction() as connection:
                await connection.execute(
                    "insert into public.thing values (date_trunc('month', now()) + $1::int * interval '1 s')", seconds
                )
                return str(await connection.fetchval("show lock_timeout"))

        timeouts = await asyncio.gather(*(insert(n) for n in range(100)))
        database.listen("news", heard.append)
        async with asyncio.timeout(10):
            while heard != [None]:
                await asyncio.sleep(0.01)
            await database.execute("select pg_notify('news', 'one')")
            while heard != [None, "one"]:
                await asyncio.sleep(0.01)

        assert [Month.now()] == list(made)
        assert {"5s"} == set(timeouts)
        assert 100 == await database.fetchval("select count(*) from public.thing")
