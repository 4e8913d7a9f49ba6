"""A relay with two dialects, and exchanges, as far as routing sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from relay_routing.plugin import Routing
from relay_routing.settings import RoutingSettings

from relay import Call, Caller, Client, Surface
from relay.exchange import Exchange

DIALECTS: Any = {"blue": SimpleNamespace(name="blue"), "green": SimpleNamespace(name="green")}


class FakeRelay:
    """Keeps what a plugin offers."""

    mode = "standard"
    dialects = DIALECTS

    def __init__(self) -> None:
        self.ports: dict[Any, Any] = {}
        self.gauges: dict[str, Any] = {}

    def provide(self, port: Any, it: Any) -> None:
        self.ports[port] = it

    def log(self, event: str, **fields: object) -> None:
        """Nobody reads it."""

    def gauge(self, gauge: Any) -> None:
        self.gauges[gauge.name] = gauge


@pytest.fixture
def fake_relay() -> FakeRelay:
    return FakeRelay()


@pytest.fixture
def opened(fake_relay: Any) -> Callable[..., AbstractAsyncContextManager[Routing]]:
    """Routing within its lifespan: `async with opened(settings, seed=1) as routing`."""

    @asynccontextmanager
    async def open_routing(settings: dict[str, Any], seed: int = 0) -> AsyncIterator[Routing]:
        routing = Routing(RoutingSettings.model_validate(settings))
        routing.random = Random(seed)
        lifespan = routing.lifespan(fake_relay)
        await anext(lifespan)
        try:
            yield routing
        finally:
            await anext(lifespan, None)

    return open_routing


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    """An exchange: `exchange("gpt-4o", dialect="blue", models=("gpt-*",))`."""

    def make_exchange(
        model: str | None,
        *,
        dialect: str = "blue",
        surface: str = "chat",
        models: tuple[str, ...] | None = None,
        lists: Any = None,
    ) -> Exchange:
        call = Call(DIALECTS[dialect], Surface(surface, "POST", "/v1/x", models=lists), model=model)
        engine: Any = SimpleNamespace()
        made = Exchange(call, Client("192.0.2.7"), engine)
        made.caller = Caller("acme", "key_a", models=models)
        return made

    return make_exchange
