"""One process that serves: a gateway behind the public and the operators' listeners, from opening to drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from aiohttp import web

from relay.declare import Route
from relay.engine.downstream import Downstream
from relay.engine.gateway import Gateway
from relay.engine.health import Health
from relay.engine.intake import Intake, Limits
from relay.engine.jobs import Jobs
from relay.engine.listener import Listener
from relay.engine.match import Surfaces
from relay.engine.starting import answering
from relay.ports import Gauge
from relay.wire.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms clients are served: limits in bytes and seconds, who is trusted, TLS."""

    limits: Limits = field(default_factory=Limits)
    head_bytes: int = 16 * 1024
    head_s: float = 10.0
    idle_s: float = 75.0
    connections: int = 10_000
    drain_s: float = 30.0
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: tuple[str, ...] = ()
    plain_text: bool = True
    tls: ssl.SSLContext | None = None


class Serving:
    """A gateway at work on listening sockets."""

    def __init__(
        self,
        gateway: Gateway,
        served: Iterable[Dialect],
        terms: Terms,
        public: Sequence[socket.socket],
        operators: Sequence[socket.socket] = (),
        *,
        is_first: bool = False,
    ) -> None:
        """`is_first`: nobody serves on these sockets yet, so questions about health are answered while everything opens."""
        self._gateway = gateway
        self._terms = terms
        self._sockets = {"public": public, "operators": operators}
        self._is_first = is_first
        self.surfaces = Surfaces(served)
        self.health = Health(gateway.readiness)
        self._downstreams: list[Downstream] = []
        self._listeners: list[Listener] = []
        self._jobs = Jobs(
            [(plugin.name, job) for plugin in gateway.chain.plugins for job in plugin.jobs()], gateway.log
        )
        self._gauges()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Everything open and listening; on the way out nothing new is taken, and what runs has time to end."""
        async with contextlib.AsyncExitStack() as stack:
            async with answering(self.health, self._sockets["operators"] if self._is_first else ()):
                await stack.enter_async_context(self._gateway.opened())
                await stack.enter_async_context(self._jobs.running(("process",)))
            servers: list[asyncio.Server] = []
            stack.push_async_callback(self._close, servers)
            for name, sockets in self._sockets.items():
                servers += await self._listen(sockets, is_public=name == "public")
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 50, 50)
            self.health.has_started = True
            yield

    async def _listen(self, sockets: Sequence[socket.socket], *, is_public: bool) -> list[asyncio.Server]:
        if not sockets:
            return []
        terms = self._terms
        intake = Intake(
            terms.limits,
            trusted=terms.trusted,
            hosts=terms.hosts if is_public else (),
            plain_text=terms.plain_text or not is_public,
        )
        application = self._application(is_public=is_public)
        surfaces = self.surfaces if is_public else Surfaces(())
        downstream = Downstream(self._gateway, surfaces, intake, application)
        listener = Listener(
            downstream.handle,
            most=terms.connections,
            head_s=terms.head_s,
            request_factory=downstream.request,
            keepalive_timeout=terms.idle_s,
            max_line_size=terms.head_bytes,
            max_field_size=terms.head_bytes,
            access_log=None,
            lingering_time=1.0,
        )
        self._downstreams.append(downstream)
        self._listeners.append(listener)
        loop = asyncio.get_running_loop()
        application._set_loop(loop)  # as aiohttp's runner does; a plugin's route cannot open a WebSocket without it
        await application.startup()
        tls = terms.tls if is_public else None
        shaking_s = terms.head_s if tls is not None else None
        return [
            await loop.create_server(listener, sock=each, ssl=tls, ssl_handshake_timeout=shaking_s, backlog=1024)
            for each in sockets
        ]

    def _application(self, *, is_public: bool) -> web.Application:
        application = web.Application()
        self.health.add_to(application)
        for plugin in self._gateway.chain.plugins:
            for route in plugin.routes():
                if (route.permission == "operator") != is_public:
                    _add(application, route)
        application.freeze()
        return application

    async def _close(self, servers: list[asyncio.Server]) -> None:
        """Stop listening, let what runs end within its time, then break it off."""
        self.health.is_draining = True
        for server in servers:
            server.close()
        # What was accepted before may not have reached its handler yet: it is served.
        await asyncio.sleep(0.02)
        for downstream in self._downstreams:
            downstream.is_draining = True
        loop = asyncio.get_running_loop()
        until = loop.time() + self._terms.drain_s
        for listener in self._listeners:
            listener.stop_sweeping()
            for connection in listener.connections:
                connection.close()
        for downstream in self._downstreams:
            await downstream.idle(until - loop.time())
        for downstream in self._downstreams:
            for run in list(downstream.open):
                run.stop(run.exchange, "not_ready", "The relay is stopping.")
        for listener in self._listeners:
            await listener.shutdown(1.0)
        for server in servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await server.wait_closed()

    def _gauges(self) -> None:
        chain, gateway = self._gateway.chain, self._gateway
        self._gateway.gauge(
            Gauge("relay_plugin_seconds_total", "Time spent in a plugin's hooks.", "counter", ("plugin",),
                  lambda: [((name,), t.nanoseconds / 1e9) for name, t in chain.timings.items()])
        )  # fmt: skip
        self._gateway.gauge(
            Gauge("relay_plugin_calls_total", "Calls of a plugin's hooks.", "counter", ("plugin",),
                  lambda: [((name,), t.calls) for name, t in chain.timings.items()])
        )  # fmt: skip
        self._gateway.gauge(
            Gauge("relay_plugin_failures_total", "Hooks and observers of a plugin that failed.", "counter", ("plugin",),
                  lambda: [((name,), t.failures + gateway.observer_failures.get(name, 0)) for name, t in chain.timings.items()])
        )  # fmt: skip
        self._gateway.gauge(
            Gauge("relay_connections", "Open connections of clients.", "gauge", (),
                  lambda: [((), float(sum(len(listener.connections) for listener in self._listeners)))])
        )  # fmt: skip
        self._gateway.gauge(
            Gauge("relay_connections_turned_away_total", "Connections closed because there were too many.", "counter", (),
                  lambda: [((), float(sum(listener.turned_away for listener in self._listeners)))])
        )  # fmt: skip
        self._gateway.gauge(
            Gauge("relay_egress_total", "Connections that were dialled, by the host they were for.", "counter", ("host",),
                  lambda: [((host,), float(dials)) for host, dials in gateway.upstream.egress.dials.items()])
        )  # fmt: skip
        self._gateway.gauge(
            Gauge("relay_exchanges_open", "Exchanges under way.", "gauge", (),
                  lambda: [((), float(sum(len(downstream.open) for downstream in self._downstreams)))])
        )  # fmt: skip


def _add(application: web.Application, route: Route) -> None:
    application.router.add_route(route.method, route.path, route.handler)
