"""An upstream whose streams say an event every 20 ms, or hold still after the first: `python -m tests.speed.paced_upstream PORT`.

The path's first segment says which: `/paced/…` or `/held/…`.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from tests.speed.canned import EVENTS, event, stream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PACE_S = 0.02


class Paced(asyncio.Protocol):
    """One connection; requests are taken one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.said = 0
        self.timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"POST"):
            return
        self.said = 0
        self.transport.write(HEAD)
        if data.startswith(b"POST /held"):
            self.transport.write(_chunk(event(0)))
        else:
            self.say()

    def say(self) -> None:
        if self.transport.is_closing():
            return
        if self.said < EVENTS:
            self.transport.write(_chunk(event(self.said)))
            self.said += 1
            self.timer = asyncio.get_running_loop().call_later(PACE_S, self.say)
        else:
            self.transport.write(_chunk(stream()[len(b"".join(map(event, range(EVENTS)))) :]) + b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Paced, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
