"""The plugin `routing`: settings, lifespan, hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

from relay import Attempt, Exchange, Plugin, Relay, Skip
from relay.ports import Gauge, Models, Targets
from relay_routing.build import build
from relay_routing.lanes import Lanes
from relay_routing.router import CODES, Router
from relay_routing.settings import RoutingSettings


class Routing(Plugin):
    """Where does a call go, and may it go there now?"""

    name = "routing"
    Settings = RoutingSettings
    provides = (Models, Targets)
    errors = CODES

    settings: RoutingSettings
    random: Random = Random()  # noqa: S311 - it spreads load; nothing is hidden by it.
    _opened: tuple[Router, Lanes] | None = None

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        """:raises RelayError: a provider speaks a dialect that is not installed."""
        router, lanes = build(self.settings, relay.dialects, self.random)
        relay.provide(Models, router)
        relay.provide(Targets, router)
        relay.gauge(
            Gauge("relay_breaker_state", "1 for the state a target's breaker is in, in each worker.", "gauge",
                  ("target", "state"), lanes.states)
        )  # fmt: skip
        relay.gauge(
            Gauge("relay_target_in_flight", "Attempts under way at a target.", "gauge", ("target",), lanes.in_flight)
        )
        self._opened = router, lanes
        yield
        self._opened = None

    async def on_request(self, exchange: Exchange) -> None:
        """Set the targets in the order in which they are tried. :raises Refused: see `errors`."""
        self._open()[0].route(exchange)

    async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> Skip | None:
        """A Skip where the target has been failing or has as much to do as it may."""
        return self._open()[1].enter(attempt)

    def _open(self) -> tuple[Router, Lanes]:
        if self._opened is None:
            raise RuntimeError("routing is used outside of its lifespan")
        return self._opened
