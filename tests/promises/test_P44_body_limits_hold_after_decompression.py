"""P44: body size limits hold after decompression too. The limits are those that ship; only uploads are made small."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from .asking import MODELS, signed
from .deployed import Deployed, deployed, make_key, provider, shipped
from .taps import Tap, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIB = 1 << 20
_LIMIT = 32 * MIB
_UPLOAD = 24 * MIB
_PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
}
_BOUNDARY = "part-of-a-form"
_FORM_HEAD = (
    f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
).encode()


@dataclass
class House:
    """A relay and the provider behind it."""

    relay: Deployed
    tap: Tap
    simulator: str

    async def served(self) -> int:
        """How many whole requests the provider has got."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.simulator}/-/simulator/tally") as tally:
            requests: int = (await tally.json())["total"]["requests"]
            return requests

    def asked(self) -> int:
        """How many requests were begun at the provider."""
        return sum(heard.count(b" HTTP/1.1\r\n") for heard in self.tap.heard)

    def heard(self) -> int:
        """How many bytes went to the provider."""
        return sum(map(len, self.tap.heard))

    def session(self) -> int:
        """How many bytes the provider got on connections that became WebSockets."""
        return sum(len(heard) for heard in self.tap.heard if b"upgrade: websocket" in heard.lower())

    def peak(self) -> int:
        """The most memory that the worker ever held, in bytes."""
        status = Path(f"/proc/{self.relay.worker()}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(simulator())
        tap = await stack.enter_async_context(Tap("provider", port))
        providers = {dialect: provider(tap.url(dialect), dialect) for dialect in MODELS}
        configuration = shipped(routing={"providers": providers}, limits={"upload_bytes": f"{_UPLOAD // MIB}MiB"})
        key = make_key(folder, configuration)
        relay = await stack.enter_async_context(deployed(folder, configuration))
        relay.key = key
        yield House(relay, tap, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_P44_a_compressed_body_is_refused_at_the_limit_of_what_is_in_it(
    house: House, dialect: str, encoding: str
) -> None:
    bomb = _json_bomb(encoding)
    before, peak = house.asked(), house.peak()

    status, code, body = await _post(house, dialect, [bomb], encoding=encoding)

    assert len(bomb) < _LIMIT // 32
    assert (413, "too_large") == (status, code)
    assert "error" in json.loads(body)
    assert before == house.asked()
    assert house.peak() - peak < 3 * _LIMIT


@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip, gzip", "compress"])
async def test_P44_an_encoding_that_cannot_be_bounded_is_refused_unread(house: House, encoding: str) -> None:
    before = house.asked()

    status, code, _ = await _post(house, "openai", [b"whatever is in it"], encoding=encoding)

    assert (415, "unsupported_encoding") == (status, code)
    assert before == house.asked()


@pytest.mark.parametrize("dialect", MODELS)
async def test_P44_a_body_without_a_length_is_refused_at_the_limit(house: House, dialect: str) -> None:
    before, peak = house.asked(), house.peak()

    status, code, _ = await _post(house, dialect, _spaces(2 * _LIMIT))

    assert (413, "too_large") == (status, code)
    assert before == house.asked()
    assert house.peak() - peak < 3 * _LIMIT


async def test_P44_a_body_that_says_it_is_too_large_is_refused_before_it_comes(house: House) -> None:
    before = house.asked()

    status, code, _ = await _post(house, "openai", [b"{"], length=_LIMIT + 1)

    assert (413, "too_large") == (status, code)
    assert before == house.asked()


@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_P44_an_upload_that_grows_beyond_its_limit_is_refused_and_no_provider_gets_all_of_it(
    house: House, encoding: str | None
) -> None:
    served, heard, peak = await house.served(), house.heard(), house.peak()
    parts = _spaces(4 * _UPLOAD)
    pieces = [_bomb(encoding, _FORM_HEAD, parts)] if encoding else _chain(_FORM_HEAD, parts)

    status, code, _ = await _post(house, "openai", pieces, encoding=encoding, path="/v1/audio/transcriptions")

    assert (413, "too_large") == (status, code)
    assert served == await house.served()
    assert house.heard() - heard < _UPLOAD + MIB
    assert house.peak() - peak < 3 * _UPLOAD


async def test_P44_an_upload_that_says_it_is_too_large_is_refused_before_it_comes(house: House) -> None:
    before = house.asked()

    status, code, _ = await _post(house, "openai", [_FORM_HEAD], length=_UPLOAD + 1, path="/v1/audio/transcriptions")

    assert (413, "too_large") == (status, code)
    assert before == house.asked()


async def test_P44_a_websocket_message_is_refused_at_its_limit(house: House) -> None:
    peak = house.peak()
    async with (
        aiohttp.ClientSession(headers=signed("openai", house.relay.key)) as session,
        session.ws_connect(f"{house.relay.url}/v1/realtime?model=gpt-realtime") as socket,
    ):
        await socket.receive(timeout=10)
        before = house.session()
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(bytes(17 * MIB))
        while not (message := await socket.receive(timeout=10)).type.name.startswith("CLOS"):
            pass

    assert 1009 == (message.data or socket.close_code)
    assert house.session() - before < 1024
    assert house.peak() - peak < 3 * 16 * MIB


async def test_P44_after_all_that_the_same_worker_serves(house: House) -> None:
    document = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "still there?"}]}
    packed = _bomb("gzip", json.dumps(document).encode(), ())

    status, _, body = await _post(house, "openai", [packed], encoding="gzip")

    assert 200 == status
    assert b"still there?" in body
    assert 1 == len(house.relay.lines("worker_started"))


async def _post(
    house: House,
    dialect: str,
    pieces: Iterable[bytes],
    *,
    encoding: str | None = None,
    length: int | None = None,
    path: str | None = None,
) -> tuple[int, str, bytes]:
    """Send a body as fast as it is taken, and stop when the answer is here: status, Relay's code, body."""
    kind = f"multipart/form-data; boundary={_BOUNDARY}" if path else "application/json"
    headers = {**signed(dialect, house.relay.key), "host": "relay", "content-type": kind, "connection": "close"}
    headers |= {"content-encoding": encoding} if encoding else {}
    headers |= {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", house.relay.port)
    writer.write(f"POST {path or _PATHS[dialect]} HTTP/1.1\r\n{lines}\r\n".encode())

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if length is None else piece)
                await writer.drain()
            writer.write(b"0\r\n\r\n" if length is None else b"")

    sending = asyncio.create_task(send())
    try:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode()
        fields: dict[str, Any] = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields["content-length"]))
    finally:
        sending.cancel()
        writer.close()
    return int(head.split()[1]), fields.get("x-relay-error", ""), body


def _spaces(size: int) -> Iterator[bytes]:
    """So many bytes, a MiB at a time."""
    return (b" " * MIB for _ in range(size // MIB))


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


@cache
def _json_bomb(encoding: str) -> bytes:
    return _bomb(encoding, b'{"model":"gpt-4o-mini","x":"', _spaces(4 * _LIMIT))


def _bomb(encoding: str, first: bytes, rest: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    packed = b"".join(packer.compress(piece) for piece in _chain(first, rest))
    return packed + packer.flush()
