"""The plugin: the provider's routes on the operators' listener, its state in the data folder."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from typing import ClassVar

from pydantic import BaseModel

from relay import Plugin, Relay, Route
from relay_simulator.provider import Provider
from relay_simulator.settings import SimulatorSettings


class Simulator(Plugin):
    """A provider for trying Relay without a key, and the truth in fault drills."""

    name = "simulator"
    Settings: ClassVar[type[BaseModel]] = SimulatorSettings

    def __init__(self, settings: BaseModel | None = None) -> None:
        super().__init__(settings)
        self._provider = Provider(self.settings)

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        """Opens the folder that all workers share. It cannot fail but for the disk."""
        self._provider.open(relay.data / self.name, seed=secrets.token_hex(8))
        yield

    def routes(self) -> Iterable[Route]:
        """Operators only: Relay itself calls the provider on the loopback, nobody else needs it."""
        return tuple(
            Route(method, path, handler, permission="operator") for method, path, handler in self._provider.routes()
        )
