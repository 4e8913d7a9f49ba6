"""An exchange and a relay, as far as auth sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from relay_auth import keys
from relay_auth.plugin import Auth, AuthSettings

from relay import Call, Client, Secret, Surface
from relay.exchange import Exchange
from relay.ports import PRESENTED_KEY

SECRET = Secret("0123456789abcdef" * 4)


class FakeRelay:
    """Keeps what a plugin offers."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.mode = "standard"
        self.checks: dict[str, Any] = {}
        self.gauges: dict[str, Any] = {}

    def check(self, name: str, ready: Any) -> None:
        self.checks[name] = ready

    def log(self, event: str, **fields: object) -> None:
        """Nobody reads it."""

    def gauge(self, gauge: Any) -> None:
        self.gauges[gauge.name] = gauge


@pytest.fixture
def fake_relay(tmp_path: Path) -> FakeRelay:
    return FakeRelay(tmp_path)


@pytest.fixture
def opened(fake_relay: Any) -> Callable[..., AbstractAsyncContextManager[Auth]]:
    """Auth within its lifespan: `async with opened(keys=[…]) as auth`."""

    @asynccontextmanager
    async def open_auth(**settings: Any) -> AsyncIterator[Auth]:
        auth = Auth(AuthSettings.model_validate({"secret": SECRET, **settings}))
        lifespan = auth.lifespan(fake_relay)
        await anext(lifespan)
        try:
            yield auth
        finally:
            await anext(lifespan, None)

    return open_auth


@pytest.fixture
def known() -> Callable[..., tuple[Secret, dict[str, Any]]]:
    """A key and its entry: `key, entry = known(models=[…])`."""

    def make_known(**entry: Any) -> tuple[Secret, dict[str, Any]]:
        key = keys.make()
        return key, {"id": "key_a", "hash": keys.store(keys.digest(SECRET, key)), "organisation": "acme", **entry}

    return make_known


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    """An exchange that presents a key: `exchange(key, model="gpt-4o")`."""

    def make_exchange(
        key: Secret | str | None = None,
        *,
        model: str | None = "gpt-4o",
        surface: str = "chat",
        address: str = "192.0.2.7",
        parent: Exchange | None = None,
    ) -> Exchange:
        dialect: Any = SimpleNamespace(name="fake")
        engine: Any = SimpleNamespace()
        call = Call(dialect, Surface(surface, "POST", "/v1/chat"), model=model)
        made = Exchange(call, Client(address), engine, parent=parent)
        if key is not None:
            made.set(PRESENTED_KEY, key if isinstance(key, Secret) else Secret(key))
        return made

    return make_exchange
