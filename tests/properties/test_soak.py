"""Hundreds of exchanges over kept connections, thousands with ALL=1: answers never mix, connections are used again, memory stays flat.

What a single exchange leaves behind at the worst timing is the matter of test_ends; this is about what adds up.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import pytest

from relay import Attempt, Deadlines, Event, Exchange, Plugin, Reply, Retry, Target
from relay.testing.dialect import PLAIN
from relay.testing.server import Served, serve
from relay.testing.upstream import CUT, RESET, SILENCE, Request, ScriptedUpstream, Step, answer, stream

EXCHANGES = 5000 if os.environ.get("ALL") else 300
AT_ONCE, EACH = 10, 3
"""Clients at once, and how many requests each sends on its connections before another comes."""
ROUNDS = -(-EXCHANGES // (AT_ONCE * EACH))
CASES = 60
BLOCKS = 1.0 if os.environ.get("ALL") else 10.0
"""Objects that an exchange may leave: fewer than one. In a short run caches that fill up weigh more."""
RESIDENT = 16 * 1024 * 1024
"""Bytes by which the process may grow meanwhile; this is for buffers, which are few and large."""


class Shout(Plugin):
    """Changes every text, watches every event, and counts what begins and ends."""

    name = "shout"
    reads_content = True

    def __init__(self, targets: list[Target]) -> None:
        super().__init__()
        self.targets = targets
        self.open: set[int] = set()
        self.count: Counter[str] = Counter()
        self.twice = 0

    async def on_request(self, exchange: Exchange) -> None:
        self._begin(exchange)
        # Some meet a provider that is not there before they meet one that is.
        exchange.targets = self.targets if self.count["exchange"] % 7 == 0 else self.targets[1:]

    async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        self._begin(attempt)

    async def on_reply(self, exchange: Exchange, reply: Reply) -> None:
        reply.observe(self._see, "text")
        reply.rewrite(lambda _: Upper(), "text")

    def _begin(self, each: Exchange | Attempt) -> None:
        each.on_end(self._end, each)
        self.open.add(id(each))
        self.count[type(each).__name__.lower()] += 1

    def _end(self, each: Exchange | Attempt) -> None:
        self.twice += id(each) not in self.open
        self.open.discard(id(each))
        self.count[each.outcome or "none"] += 1

    def _see(self, event: Event) -> None:
        self.count["events"] += 1


class Upper:
    """Holds back a letter, so that something is open whenever a stream ends."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> str:
        text = self.held + text.upper()
        self.held = text[-1:]
        return text[:-1]

    def end(self) -> str:
        return self.held


def case(request: Request) -> int:
    return int(request.body.partition(b"case ")[2].partition(b";")[0] or 0)


def script(number: int, chance: random.Random) -> list[Step]:
    """What the first provider does to the requests of one case. Its answers say which case they belong to."""
    said = f"case {number}; "
    roll = chance.random()
    if roll < 0.1:
        return answer(chance.choice((400, 429, 500, 503)), body=b'{"error":{}}')
    if roll < 0.2:
        return [chance.choice((0.0, 0.02)), (CUT, RESET, SILENCE)[number % 3]]
    if roll < 0.4:
        return answer(200, body=whole(said * chance.choice((1, 400))))
    size, pause = chance.choice(((1, 0.0), (1, 0.004), (2000, 0.0)))
    pieces: list[Step] = []
    for _ in range(chance.randint(1, 8)):
        pieces += [piece(said * size), pause]
    pieces.append(chance.choice((END, END, END, CUT, RESET, SILENCE, b'data: {"error":{"status":529}}\n\n')))
    return stream(pieces, framing=chance.choice(("chunked", "chunked", "close")))


def whole(text: str) -> bytes:
    return orjson.dumps({"text": text, "usage": {"in": 1, "out": 2}, "stop": "end"})


def piece(text: str) -> bytes:
    return b'data: {"n":0,"text":"%b"}\n\n' % text.encode()


END = b'data: {"stop":"end","usage":{"in":1,"out":2}}\n\ndata: [END]\n\n'


def prepare(upstream: ScriptedUpstream) -> list[Target]:
    """Scripts for all cases, and the targets: one where nobody listens, one that does anything, one that mostly answers."""
    chance = random.Random(5)

    def fits(place: str, number: int) -> Callable[[Request], bool]:
        return lambda request: request.target.startswith(place) and case(request) == number

    for number in range(CASES):
        upstream.play(*script(number, chance), when=fits("/first/", number))
        broken = number % 10 == 0
        steps = answer(500) if broken else stream([piece(f"case {number}; "), END])
        upstream.play(*steps, when=fits("/second/", number))
    deadlines = Deadlines(first_byte_s=0.05, silence_s=0.05, total_s=1.0)
    nowhere = Target("nowhere/m", "nowhere", PLAIN, "http://127.0.0.1:1", retry=Retry(tries=1), allow_private=True)
    first = Target("first/m", "first", PLAIN, f"{upstream.url}/first", retry=Retry(tries=2, base_s=0.001),
                   deadlines=deadlines, allow_private=True)  # fmt: skip
    second = replace(first, name="second/m", provider="second", base_url=f"{upstream.url}/second", retry=Retry(tries=1))
    return [nowhere, first, second]


async def client(served: Served, session: aiohttp.ClientSession, chance: random.Random) -> list[str]:
    """Asks several times on kept connections; reads to the end, or leaves. Returns what it got of others' answers."""
    strange: list[str] = []
    for _ in range(EACH):
        number = chance.randrange(CASES)
        body = orjson.dumps({"model": "m", "text": f"case {number};", "stream": chance.random() < 0.7})
        patience = None if chance.random() < 0.6 else chance.uniform(0, 0.03)
        said = b""
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(patience), session.post(f"{served.url}/v1/ask", data=body) as reply:
                async for part in reply.content.iter_any():
                    said += part
                    if chance.random() < 0.05:
                        break  # with the rest unread, which closes the connection
        strange += [found for found in re.findall(r"CASE (\d+);", said.decode()) if found != str(number)]
    return strange


async def abandoned_upload(served: Served, chance: random.Random) -> None:
    """A form of which the client sends a part, and goes."""
    _, writer = await asyncio.open_connection(*served.address)
    head = b"POST /v1/forms HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=e\r\ncontent-length: 900000\r\n\r\n"
    form = b'--e\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--e\r\ncontent-disposition: form-data; name="file"\r\n\r\n'
    writer.write(head + form + b"x" * chance.randrange(200_000))
    await asyncio.sleep(chance.uniform(0, 0.02))
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def idle(served: Served) -> int:
    """Connections to providers that wait for the next request."""
    return sum(map(len, served.upstream._named._conns.values()))


async def settled(fits: Callable[[], bool]) -> bool:
    """Does it hold, after the turns of the loop that the last closes of sockets take?"""
    for _ in range(300):
        if fits():
            return True
        await asyncio.sleep(0.01)
    return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(sizes: list[int]) -> int:
    """From the middle third to the last, by the least of each: what is on its way at some moment does not count."""
    third = len(sizes) // 3
    return min(sizes[-third:]) - min(sizes[third:-third])


@pytest.mark.timeout(900 if os.environ.get("ALL") else 60)
async def test_nothing_adds_up_over_many_exchanges() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context.get("message"))))
    complaints: list[str] = []
    strange: list[str] = []
    blocks: list[int] = []
    memory: list[int] = []
    async with ScriptedUpstream():
        pass  # a loop keeps a descriptor of its own from the first time it listens
    tasks, files = len(asyncio.all_tasks()), descriptors()
    async with ScriptedUpstream() as upstream:
        shout = Shout(prepare(upstream))
        async with serve([shout], targets=()) as served, aiohttp.ClientSession() as session:
            downstream = served.serving._downstreams[0]
            for number in range(ROUNDS):
                chance = [random.Random(number * 100 + each) for each in range(AT_ONCE)]
                found = await asyncio.gather(*(client(served, session, each) for each in chance))
                strange += [each for one in found for each in one]
                await abandoned_upload(served, chance[0])
                assert await settled(lambda: not downstream.open)
                assert await settled(lambda: upstream.open == idle(served))
                served.exchanges.clear()
                served.log.clear()
                upstream.requests.clear()
                gc.collect()
                blocks.append(sys.getallocatedblocks())
                memory.append(resident())
        assert await settled(lambda: not upstream.open)
    assert await settled(lambda: (tasks, files) == (len(asyncio.all_tasks()), descriptors()))

    assert ROUNDS * AT_ONCE * EACH * 0.7 <= shout.count["exchange"]
    assert shout.count["exchange"] < shout.count["attempt"]
    assert (set(), 0) == (shout.open, shout.twice)
    assert {"completed", "failed", "client_left"} <= set(shout.count)
    assert [] == strange
    assert [] == complaints
    assert upstream.connections < shout.count["attempt"]
    assert growth(blocks) < BLOCKS * EXCHANGES / 3
    assert growth(memory) < RESIDENT
