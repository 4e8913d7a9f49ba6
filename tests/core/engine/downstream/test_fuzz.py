"""Whatever bytes come: the relay lives, answers in order or closes, and only whole requests reach the provider."""

from __future__ import annotations

import asyncio
import re
from typing import Any, TypeVar

import orjson
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from relay.engine.intake import Limits

T = TypeVar("T")
BODY = b'{"model":"m","text":"x"}'
USUAL = (
    b"POST /v1/ask?a=b HTTP/1.1\r\nHost: relay\r\nContent-Length: 24\r\nX-A: b\r\n\r\n" + BODY,
    b"POST /plain/v1/ask HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"GET /v1/models/a%20b/c HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n",
    b"GET /v1/live?model=m HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\x85\0\0\0\0hello",
    b'POST /v1/forms HTTP/1.1\r\nHost: relay\r\nContent-Type: multipart/form-data; boundary="b"\r\nContent-Length: 71\r\n\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n       ',
)  # fmt: skip
SPICE = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"-1", b"chunked", b"gzip", b"Content-Length: 5\r\n", b"%00", b"/..",
    b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Content-Encoding: gzip\r\n",
    b"Connection: close, host\r\n", b"HTTP/1.0", b"\xff", b'"model":"n",', b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A usual request with things put in, taken out or repeated."""
    data = bytearray(draw(st.sampled_from(USUAL)))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 6)))
        data[at:until] = draw(st.one_of(st.sampled_from(SPICE), st.binary(max_size=4)))
    return bytes(data) + draw(st.sampled_from((b"", *USUAL)))


def some(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """So many examples, always the same."""
    found: list[T] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return found


async def test_no_bytes_harm_the_relay_or_reach_the_provider_malformed(serve: Any) -> None:
    relay = await serve(limits=Limits(body_s=0.3), head_s=0.3, idle_s=0.3)
    examples = [*some(spoiled(), 200), *some(st.binary(max_size=200), 20)]

    async def try_one(example: bytes) -> bytes:
        wire = await relay.connect()
        wire.send(example)
        said: bytes = await wire.rest(10)
        return said

    for at in range(0, len(examples), 100):
        some_of = examples[at : at + 100]
        for example, said in zip(some_of, await asyncio.gather(*map(try_one, some_of)), strict=True):
            assert said == b"" or re.match(rb"HTTP/1\.1 [1-4]\d\d ", said) or b"upstream_" in said, (example, said)

    for got in relay.provider.got:
        line = re.fullmatch(rb"(POST|GET|DELETE) (/v1/[\x21-\x7e]*) HTTP/1\.1", got.line)
        assert line is not None, got
        assert 1 == got.head.lower().count(b"\r\nhost: 127.0.0.1:")
        assert 1 >= len(re.findall(rb"\r\n(?:content-length|transfer-encoding):", got.head.lower()))
        if got.body and got.line.startswith(b"POST /v1/ask"):
            assert isinstance(orjson.loads(got.body)["model"], str)
    assert not [entry for entry in relay.log if entry[0] == "relay_failed"]
    assert len(relay.provider.got) > 10
    assert await relay.lives()
