"""A plain aiohttp proxy, as one writes it in an hour: `python -m tests.speed.plain_proxy PORT UPSTREAM_URL`."""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import web

_HOP = {"transfer-encoding", "connection", "content-length", "host", "keep-alive"}


async def serve(port: int, upstream: str) -> None:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        body = await request.read()
        async with session.request(request.method, upstream + request.path_qs, data=body, headers=headers) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            reply = web.StreamResponse(status=answer.status, headers=kept)
            await reply.prepare(request)
            async for piece in answer.content.iter_any():
                await reply.write(piece)
            await reply.write_eof()
            return reply

    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", handle)
    await web._run_app(application, host="127.0.0.1", port=port, print=lambda _: None, access_log=None)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
