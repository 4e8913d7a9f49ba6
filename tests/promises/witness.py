"""A plugin in one file that tells of the process it runs in: what is imported, and every address that is dialled or looked up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from relay import Plugin, Relay, Route, Settings

dialled: set[tuple[str, int]] = set()
looked_up: set[str] = set()


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578): it sees what any code of the process does, however it does it."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        dialled.add((arguments[1][0], arguments[1][1]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        looked_up.add(str(arguments[0]))


class WitnessSettings(Settings):
    """What it waits for."""

    until: Path | None = None


class Witness(Plugin):
    """See the module."""

    name = "witness"
    Settings = WitnessSettings

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        sys.addaudithook(hear)
        while self.settings.until is not None and not self.settings.until.exists():
            await asyncio.sleep(0.02)
        yield

    def routes(self) -> Iterable[Route]:
        yield Route("GET", "/-/witness", self._tell, "operator")

    async def _tell(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"modules": sorted(sys.modules), "dialled": sorted(dialled), "looked_up": sorted(looked_up)}
        )
