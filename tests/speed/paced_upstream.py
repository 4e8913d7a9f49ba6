"""An upstream of streams: `python -m tests.speed.paced_upstream PORT`.

The path's first segment says how: `/fast/…` all at once, each event a chunk of its own; `/paced/…` an event every 20 ms;
`/held/…` one event, and then nothing more.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

from tests.speed.canned import EVENTS, event, stream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PACE_S = 0.02


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = _chunk(stream()[len(b"".join(map(event, range(EVENTS)))) :]) + b"0\r\n\r\n"
WHOLE = HEAD + b"".join(_chunk(event(number)) for number in range(EVENTS)) + LAST


class Paced(asyncio.Protocol):
    """One connection; requests are taken one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.said = 0
        self.timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"POST"):
            return
        self.said = 0
        if data.startswith(b"POST /fast"):
            self.transport.write(WHOLE)
        elif data.startswith(b"POST /held"):
            self.transport.write(HEAD + _chunk(event(0)))
        else:
            self.transport.write(HEAD)
            self.say()

    def say(self) -> None:
        if self.transport.is_closing():
            return
        if self.said < EVENTS:
            self.transport.write(_chunk(event(self.said)))
            self.said += 1
            self.timer = asyncio.get_running_loop().call_later(PACE_S, self.say)
        else:
            self.transport.write(LAST)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Paced, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
