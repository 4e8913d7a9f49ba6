"""Fixtures for tests of Relay and of plugins anywhere (a pytest plugin).

It is loaded into every test run of an environment that Relay is installed in: nothing is imported before a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
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
