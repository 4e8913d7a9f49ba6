"""Fixtures for tests of Relay and of plugins anywhere (a pytest plugin).

It is loaded into every test run of an environment that Relay is installed in: nothing is imported before a fixture is asked for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from relay.storage.database import Database
    from relay.testing.server import Served
    from relay.testing.upstream import ScriptedUpstream


@pytest.fixture
async def scripted_upstream() -> AsyncIterator[ScriptedUpstream]:
    """A provider on a socket that does what the test says: `relay.testing.upstream.ScriptedUpstream`."""
    from relay.testing.upstream import ScriptedUpstream

    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
async def serving() -> AsyncIterator[Callable[..., Any]]:
    """Start a relay on a socket: `served = await serving([plugins], upstream=url)`; see `relay.testing.server.serve`."""
    from relay.testing.server import serve

    async with AsyncExitStack() as stack:

        async def start(*given: Any, **terms: Any) -> Served:
            return await stack.enter_async_context(serve(*given, **terms))

        yield start


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Postgres that the whole run shares, empty but for templates: see `relay.testing.postgres`."""
    from relay.testing.postgres import MISSING, is_installed, shared

    if not is_installed():
        pytest.skip(MISSING)
    base = tmp_path_factory.getbasetemp()
    with shared((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "server") as url:
        yield url


@pytest.fixture
async def database_url(postgres: str) -> AsyncIterator[str]:
    """The address of a database of the test's own, with the migrations of the core and of every installed plugin."""
    from relay.testing.postgres import copied, installed, template

    async with copied(postgres, await template(postgres, installed())) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """What the core provides as `ports.Database`, on a database of the test's own."""
    from relay.storage.database import Database

    async with Database(database_url, log=lambda event, **fields: None) as opened:
        yield opened
