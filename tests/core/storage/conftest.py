"""Servers for the tests of storage: what is shared by them all, and versions of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.storage.database import Database
from relay.testing import postgres as server

DEBIAN = Path("/usr/lib/postgresql/15/bin")


class Told(list[tuple[str, dict[str, Any]]]):
    """A log that can be waited for."""

    def __call__(self, event: str, /, **fields: object) -> None:
        self.append((event, fields))

    async def until(self, event: str, times: int = 1) -> None:
        async with asyncio.timeout(20):
            while [name for name, _ in self].count(event) < times:
                await asyncio.sleep(0.005)


@pytest.fixture
def log() -> Told:
    return Told()


@pytest.fixture(scope="session", params=["embedded", "debian"])
def any_postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the version that is embedded, and one of the oldest that is supported where Debian's is installed."""
    if request.param == "embedded":
        yield request.getfixturevalue("postgres")
        return
    if not DEBIAN.exists():
        pytest.skip(f"no Postgres 15: there is no {DEBIAN} (apt-get install postgresql-15)")
    with server.shared(tmp_path_factory.mktemp("debian"), DEBIAN) as url:
        yield url


@pytest.fixture
async def empty_url(any_postgres: str) -> AsyncIterator[str]:
    """The address of an empty database of the test's own."""
    async with server.copied(any_postgres, "template0") as url:
        yield url


@pytest.fixture
async def empty(empty_url: str, log: Told) -> AsyncIterator[Database]:
    async with Database(empty_url, log=log) as database:
        yield database
