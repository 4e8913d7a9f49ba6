"""A relay that has ended exchanges and offers gauges, as far as metrics sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from relay_metrics.plugin import Metrics, MetricsSettings

from relay import Call, Caller, Client, ModelEntry, Surface, Target, Usage
from relay.exchange import Attempt, Exchange
from relay.ports import Gauge, Models, Targets

DIALECT: Any = SimpleNamespace(name="fake")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([-+.\dea-zA-Z]+)$")


class Routing:
    """Both ports, with one model and one provider configured."""

    models = ("gpt-4o",)

    def offered(self, caller: Caller | None, dialect: str | None = None) -> list[ModelEntry]:
        return [ModelEntry(name) for name in self.models]

    def named(self, name: str) -> Target | None:
        return Target(name, name, DIALECT, "https://x.example") if name == "one" else None


class FakeRelay:
    """Keeps what a plugin asks of it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.offered: list[Gauge] = []
        self.watchers: list[Callable[[Exchange], None]] = []
        self.ports: dict[type, Any] = {Models: Routing(), Targets: Routing()}

    def log(self, event: str, **fields: object) -> None:
        """Nobody reads it."""

    def find(self, port: type) -> Any:
        return self.ports.get(port)

    def gauges(self) -> Iterator[Gauge]:
        return iter(self.offered)

    def watch(self, ended: Callable[[Exchange], None]) -> None:
        self.watchers.append(ended)


class Scrape(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The samples of one answer: `scrape.of("relay_requests_total", provider="one")` adds up those with these labels."""

    text = ""
    content_type = ""

    def of(self, name: str, **labels: str) -> float | None:
        found = [value for (each, has), value in self.items() if each == name and labels.items() <= has]
        return sum(found) if found else None


@pytest.fixture
def fake_relay(tmp_path: Path) -> FakeRelay:
    return FakeRelay(tmp_path)


@pytest.fixture
def opened(fake_relay: Any) -> Callable[..., AbstractAsyncContextManager[Metrics]]:
    """Metrics within its lifespan: `async with opened() as metrics`."""

    @asynccontextmanager
    async def open_metrics(**settings: Any) -> AsyncIterator[Metrics]:
        metrics = Metrics(MetricsSettings.model_validate(settings))
        lifespan = metrics.lifespan(fake_relay)
        await anext(lifespan)
        try:
            yield metrics
        finally:
            await anext(lifespan, None)

    return open_metrics


@pytest.fixture
def scrape() -> Callable[..., Any]:
    """Ask as Prometheus does: `await scrape(metrics)`."""

    async def ask(metrics: Metrics, accept: str = "text/plain;version=0.0.4") -> Scrape:
        (route,) = metrics.routes()
        response = await route.handler(make_mocked_request("GET", route.path, headers={"Accept": accept}))
        scrape = Scrape()
        scrape.text = response.body.decode()
        scrape.content_type = response.headers["Content-Type"]
        for line in scrape.text.splitlines():
            if match := SAMPLE.match(line):
                labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                scrape[match[1], labels] = float(match[3])
        return scrape

    return ask


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    """An exchange that has ended: `exchange("gpt-4o", usage=Usage(input=3))`."""

    def make_exchange(
        model: str | None = "gpt-4o",
        *,
        outcome: Any = "completed",
        status: int | None = 200,
        error: str | None = None,
        usage: Usage | None = None,
        provider: str | None = "one",
        failed: int = 0,
    ) -> Exchange:
        engine: Any = SimpleNamespace()
        made = Exchange(Call(DIALECT, Surface("chat", "POST", "/v1/x"), model=model), Client("192.0.2.7"), engine)
        made.outcome, made.status, made.error = outcome, status, error
        for number in range(failed + 1 if provider else 0):
            assert provider is not None
            target = Target(f"{provider}/m", provider, DIALECT, "https://x.example")
            attempt = Attempt(made, target, made.call, number + 1, 1)
            attempt.outcome, attempt.status = ("failed", 500) if number < failed else (outcome, status)
            attempt.usage = usage if number == failed else None
            attempt.first_event = made.started + 0.3
            made.attempts.append(attempt)
        return made

    return make_exchange
