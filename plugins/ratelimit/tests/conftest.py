"""A Valkey of the test's own, and both limiters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from relay_ratelimit.limit import Limiter
from relay_ratelimit.local import LocalLimiter
from relay_ratelimit.shared import SharedLimiter

from relay.engine.embedded import embedded_valkey
from relay.storage.redis_state import RedisState


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[RedisState]:
    async with embedded_valkey(tmp_path, log=lambda event, /, **fields: None) as url:
        state = RedisState(url)
        yield state
        await state.close()


@pytest.fixture(params=["local", "shared"])
def limiter(request: pytest.FixtureRequest) -> Limiter:
    if request.param == "local":
        return LocalLimiter()
    return SharedLimiter(request.getfixturevalue("state"))
