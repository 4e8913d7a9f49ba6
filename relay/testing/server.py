"""A relay on a real socket, in the process of the test."""

from __future__ import annotations

import gc
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.engine.exchange_log import line
from relay.engine.gateway import Gateway
from relay.engine.serving import Serving, Terms
from relay.engine.upstream import Upstream
from relay.exchange import Exchange
from relay.plugin import Plugin
from relay.storage.state import LocalState
from relay.target import Target
from relay.testing.dialect import PLAIN
from relay.testing.play import CALLER, Stand
from relay.wire.dialect import Dialect


@dataclass(slots=True)
class Served:
    """A relay at work. `log` are its own events and a line per exchange, `exchanges` those that have ended."""

    url: str
    operator_url: str
    gateway: Gateway
    serving: Serving
    upstream: Upstream
    exchanges: list[Exchange] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a raw socket."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


@asynccontextmanager
async def serve(
    plugins: Sequence[Plugin] = (),
    *,
    upstream: str | Sequence[str] = (),
    dialects: Sequence[Dialect] = (PLAIN,),
    targets: Sequence[Target] | None = None,
    terms: Terms | None = None,
    way_in_s: float = 10.0,
) -> AsyncIterator[Served]:
    """Serve `plugins` on a free port of 127.0.0.1 until the context is left; then drain as a worker does.

    `upstream`: base URLs of providers that speak the first dialect, each a target with the name `provider1` and so on; or give whole
    `targets`. With neither, a plugin must name the targets.
    """
    urls = [upstream] if isinstance(upstream, str) else upstream
    if targets is None:
        names = [(f"provider{number}", url) for number, url in enumerate(urls, 1)]
        targets = [Target(f"{name}/m", name, dialects[0], url, allow_private=True) for name, url in names]
    connections = Upstream(allow_private=["127.0.0.1"])
    state = LocalState()
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    log: list[dict[str, Any]] = []
    exchanges: list[Exchange] = []

    def logged(event: str, **fields: object) -> None:
        log.append({"event": event, **fields})

    def ended(exchange: Exchange) -> None:
        exchanges.append(exchange)
        logged("exchange", **line(exchange))

    thresholds = gc.get_threshold()
    with tempfile.TemporaryDirectory(prefix="relay-serving-") as data:
        gateway = Gateway(
            [Stand(CALLER, targets), *plugins],
            {dialect.name: dialect for dialect in dialects},
            state,
            connections,
            data=Path(data),
            way_in_s=way_in_s,
            log=logged,
        )
        gateway.watch(ended)
        public, operators = listening
        serving = Serving(gateway, dialects, terms or Terms(drain_s=2.0), [public], [operators])
        urls = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in listening]
        try:
            async with serving.opened():
                yield Served(urls[0], urls[1], gateway, serving, connections, exchanges, log)
        finally:
            # A worker freezes what it has read at its start; a test run goes on after it.
            gc.unfreeze()
            gc.set_threshold(*thresholds)
            await connections.close()
            await state.close()
            for each in listening:
                each.close()
