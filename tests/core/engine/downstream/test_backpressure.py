"""Nobody is faster than the one behind: a relay holds little, however much passes through it."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from typing import Any

import pytest

BODY = b'{"model":"m","text":"x","stream":true}'
MIB = 1024 * 1024
PIECE = b"data: " + b"x" * 65_520 + b"\n\n"


class Flood:
    """A provider that streams 50 MiB, as fast as it is let."""

    def __init__(self) -> None:
        self.written = 0

    async def __call__(self, got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(65536)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(b'data: {"n":0,"text":"hello"}\n\n')
        while self.written < 50 * MIB:
            writer.write(PIECE)
            self.written += len(PIECE)
            await writer.drain()
        writer.write(b"data: [END]\n\n")
        await writer.drain()
        writer.close()
        await reader.read()


def narrow() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    return made


async def narrow_wire(relay: Any) -> socket.socket:
    made = narrow()
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", relay.port))
    return made


async def settled(figure: Any) -> int:
    """The figure when it no longer changes."""
    seen = -1
    while seen != figure():
        seen = figure()
        await asyncio.sleep(0.2)
    return int(seen)


async def test_a_client_that_does_not_read_pauses_the_provider(relay: Any, ask: Any) -> None:
    flood = relay.provider.answer = Flood()
    loop = asyncio.get_running_loop()
    client = await narrow_wire(relay)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    await loop.sock_sendall(client, ask(BODY))
    written = await settled(lambda: flood.written)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 8 * MIB > written  # most of it in the kernel's buffers
    assert MIB > peak - before

    size = 0
    while size < 50 * MIB:
        size += len(await loop.sock_recv(client, MIB))
    client.close()
    assert 50 * MIB <= flood.written


async def test_an_upload_goes_through_without_being_held(relay: Any) -> None:
    relay.provider.reads_body = False
    taken = 0

    async def count(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        while taken < 50 * MIB:
            taken += len(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    relay.provider.answer = count
    head, form, end = upload(50 * MIB)
    piece = b"x" * 65536
    wire = await relay.connect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    wire.send(head + form)
    for _ in range(50 * MIB // len(piece)):
        wire.send(piece)
        await wire.writer.drain()
    wire.send(end)
    status, _, _ = await wire.reply()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 200 == status
    assert 50 * MIB <= taken
    assert 3 * MIB > peak - before  # the client and the provider of this test included


def upload(size: int, *, chunked: bool = False) -> tuple[bytes, bytes, bytes]:
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    )
    end = b"\r\n--b--\r\n"
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (len(form) + size + len(end))
    head = (
        b"POST /v1/forms HTTP/1.1\r\nhost: relay\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        + framing
        + b"\r\n\r\n"
    )
    return head, form, end


async def test_a_provider_that_does_not_read_pauses_the_client(relay: Any) -> None:
    relay.provider.reads_body = False
    may_read = asyncio.Event()

    async def late(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await may_read.wait()

    relay.provider.answer = late
    head, form, _ = upload(50 * MIB)
    loop = asyncio.get_running_loop()
    client = await narrow_wire(relay)
    await loop.sock_sendall(client, head + form)
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await loop.sock_sendall(client, PIECE)
            sent += len(PIECE)

    sending = asyncio.create_task(send())
    stopped_at = await settled(lambda: sent)
    sending.cancel()
    may_read.set()
    client.close()

    assert 8 * MIB > stopped_at


async def test_an_upload_that_the_provider_refuses_early_is_told_at_once(relay: Any) -> None:
    relay.provider.reads_body = False

    async def refuse(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"error":{"status":429}}'
        writer.write(
            b"HTTP/1.1 429 No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await reader.read()

    relay.provider.answer = refuse
    head, form, _ = upload(50 * MIB)
    wire = await relay.connect()
    wire.send(head + form + b"x" * 200_000)

    status, told, body = await wire.reply()

    assert (429, b'{"error":{"status":429}}') == (status, body)
    assert b"connection: close" in told
    assert await wire.is_closed()


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"zz\r\n", 400),
        (
            b'5a\r\n\r\n--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ndear\r\n--b--\r\n'
            + b" " * 22
            + b"\r\n0\r\n\r\n",
            400,
        ),
    ],
    ids=["broken chunks", "a second model"],
)
async def test_an_upload_that_turns_out_bad_never_ends_well_at_the_provider(
    relay: Any, rest: bytes, status: int
) -> None:
    head, form, _ = upload(0, chunked=True)
    wire = await relay.connect()
    first = form + b"x" * 100_000
    wire.send(head + b"%x\r\n%b\r\n" % (len(first), first))
    while not relay.provider.got:
        await asyncio.sleep(0.005)
    wire.send(rest)

    told, _, _ = await wire.reply()

    assert told in (0, status)
    assert b"dear" not in relay.provider.got[0].body
    await asyncio.wait_for(relay.provider.closed.wait(), 2)


async def test_an_upload_larger_than_the_limit_is_broken_off(serve: Any) -> None:
    from relay.engine.intake import Limits

    relay = await serve(limits=Limits(upload=300_000))
    head, form, _ = upload(0, chunked=True)
    wire = await relay.connect()
    first = form + b"x" * 100_000
    wire.send(head + b"%x\r\n%b\r\n" % (len(first), first))
    for _ in range(4):
        wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    status, _, _ = await wire.reply()

    assert 413 == status
    await asyncio.wait_for(relay.provider.closed.wait(), 2)


async def test_a_client_of_http_1_0_gets_its_stream_without_chunks(relay: Any) -> None:
    async def stream(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for at in range(3):
            writer.write(b'data: {"n":0,"text":"%d"}\n\n' % at)
            await asyncio.sleep(0.02)
        writer.write(b"data: [END]\n\n")
        writer.close()

    relay.provider.answer = stream
    wire = await relay.connect()
    wire.send(
        b"POST /v1/ask HTTP/1.0\r\nhost: relay\r\nconnection: keep-alive\r\ncontent-length: %d\r\n\r\n%b"
        % (len(BODY), BODY)
    )

    head, _, body = (await wire.rest()).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head
    assert b"content-length" not in head
    assert b"connection: close" in head
    assert b"".join(b'data: {"n":0,"text":"%d"}\n\n' % at for at in range(3)) + b"data: [END]\n\n" == body


async def test_a_client_of_http_1_0_may_keep_its_connection(relay: Any) -> None:
    wire = await relay.connect()
    asked = b'POST /v1/ask HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 24\r\n\r\n{"model":"m","text":"x"}'

    for _ in range(2):
        wire.send(asked)
        status, head, _ = await wire.reply()

        assert 200 == status
        assert b"connection: keep-alive" in head
