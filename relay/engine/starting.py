"""Answers about health while the relay opens and nobody serves yet: it lives, has not started, and takes nothing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from relay.engine.health import Health


@asynccontextmanager
async def answering(health: Health, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Answer on these listening sockets until the context is left; whatever is no question about health gets a 503.

    The sockets stay open: who connects afterwards is taken by whoever accepts next.
    """
    if not sockets:
        yield
        return
    application = web.Application()
    health.add_to(application)
    application.router.add_route("*", "/{path:.*}", _not_ready)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        for each in sockets:
            # A server closes its socket with itself.
            await web.SockSite(runner, each.dup()).start()
        yield
    finally:
        await runner.cleanup()


async def _not_ready(request: web.Request) -> web.Response:
    return web.json_response({"status": "starting"}, status=503, headers={"Retry-After": "1"})
