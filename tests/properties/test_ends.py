"""Whatever the timing of disconnects, errors, timeouts and stops: every end ran exactly once and nothing is left over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson
import pytest

from relay import Call, Deadlines, Event, Plugin, Refused, Reply, Retry, Skip, Target
from relay.engine.run import Run
from relay.engine.stream import Stream
from relay.exchange import Attempt, Exchange
from relay.testing.dialect import PLAIN
from relay.testing.server import Served, serve
from relay.testing.upstream import CUT, RESET, SILENCE, Request, ScriptedUpstream, Step, answer, stream

ROUNDS, AT_ONCE = (100, 40) if os.environ.get("ALL") else (8, 40)
HELLO = b'data: {"n":0,"text":"hello"}\n\n'
END = b'data: {"stop":"end","usage":{"in":1,"out":2}}\n\ndata: [END]\n\n'
OUTCOMES = {"completed", "refused", "failed", "client_left", "skipped", "lost", "interrupted"}


class Chaos(Plugin):
    """Registers an end for everything, and does at random what a plugin may do."""

    name = "chaos"
    reads_content = True

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def on_request(self, exchange: Exchange) -> Reply | None:
        self.begun[exchange.id] += 1
        exchange.on_end(self._exchange_ended, exchange)
        roll = self.random.random()
        if roll < 0.05:
            raise Refused("no_target")
        if roll < 0.08:
            raise RuntimeError
        if roll < 0.15:
            await asyncio.sleep(self.random.uniform(0, 0.03))
        if roll < 0.25:
            asyncio.get_running_loop().call_later(self.random.uniform(0, 0.03), exchange.stop)
        if roll > 0.9 and exchange.depth == 0:
            return await exchange.ask(
                Call(PLAIN, exchange.call.surface, body=exchange.call.body, model="m", stream=True)
            )
        return None

    async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> Skip | None:
        name = f"{exchange.id}/{attempt.number}"
        self.begun[name] += 1
        attempt.on_end(self._attempt_ended, attempt, name)
        return Skip() if self.random.random() < 0.1 else None

    async def on_reply(self, exchange: Exchange, reply: Reply) -> Reply | None:
        roll = self.random.random()
        if roll < 0.05:
            raise Refused("no_target")
        if roll < 0.08:
            raise RuntimeError
        if roll < 0.3:
            await reply.peek(2, "text")
        if roll < 0.5:
            reply.observe(partial(self._stop_sometimes, exchange), "text")
        return None

    def _stop_sometimes(self, exchange: Exchange, event: Event) -> None:
        if self.random.random() < 0.1:
            exchange.stop()

    async def _attempt_ended(self, attempt: Attempt, name: str) -> None:
        self.ended[name] += 1
        if attempt.exchange.ended:
            self.wrong.append("an attempt ended behind its exchange")
        await asyncio.sleep(self.random.choice((0, 0, 0.002)))

    def _exchange_ended(self, exchange: Exchange) -> None:
        self.ended[exchange.id] += 1
        if exchange.outcome not in OUTCOMES or any(attempt.outcome not in OUTCOMES for attempt in exchange.attempts):
            self.wrong.append("an outcome is missing")
        if not all(attempt.ended for attempt in exchange.attempts):
            self.wrong.append("an attempt was open behind its exchange")


def script(chance: random.Random) -> list[Step]:
    """What a provider may do to one request."""
    pause = chance.uniform(0, 0.02)
    roll = chance.random()
    if roll < 0.1:
        return [pause, *answer(chance.choice((400, 401, 429, 500, 503)), body=b'{"error":{}}')]
    if roll < 0.15:
        return [pause, CUT]
    if roll < 0.2:
        return [SILENCE]
    if roll < 0.3:
        return [pause, *answer(200, body=b'{"text":"hello","usage":{"in":1,"out":2}}')]
    pieces: list[Step] = [pause]
    for _ in range(chance.randint(0, 4)):
        pieces += [HELLO, chance.choice((0.0, 0.005))]
    pieces.append(
        chance.choice((END, END, END, END, CUT, RESET, SILENCE, b'data: {"error":{"status":529}}\n\n', b"junk"))
    )
    return stream(pieces, framing=chance.choice(("chunked", "chunked", "close")))


async def client(served: Served, number: int, chance: random.Random) -> None:
    """One client: some read to the end, some leave at a random moment, politely or not."""
    body = orjson.dumps({"model": "m", "text": f"case {number}", "stream": chance.random() < 0.8})
    patience = None if chance.random() < 0.6 else chance.uniform(0, 0.04)
    reader, writer = await asyncio.open_connection(*served.address)
    try:
        writer.write(
            b"POST /v1/ask HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(patience):
                while await reader.read(4096):
                    pass
    finally:
        writer.transport.abort() if chance.random() < 0.5 else writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def alive() -> int:
    """How many of the engine's objects for single exchanges are still held by anything."""
    gc.collect()
    return sum(isinstance(each, Run | Stream | Exchange | Attempt) for each in gc.get_objects())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def until(fits: Any) -> None:
    """Wait until it holds: the last closes of sockets take a turn of the loop or two."""
    for _ in range(200):
        if fits():
            return
        await asyncio.sleep(0.01)


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the event loop complains about (exceptions that nobody looked at)."""
    said: list[str] = []
    yield said
    assert [] == said


@pytest.mark.timeout(600 if os.environ.get("ALL") else 60)
async def test_every_end_ran_once_and_nothing_is_left_whatever_the_timing(complaints: list[str]) -> None:
    chance = random.Random(20)  # the same mixture in every run
    chaos = Chaos(21)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context.get("message"))))
    async with ScriptedUpstream():
        pass  # a loop keeps a descriptor of its own from the first time it listens
    before_tasks, before_files, before_alive = len(asyncio.all_tasks()), descriptors(), alive()

    async with ScriptedUpstream() as upstream:
        scripts = [script(chance) for _ in range(200)]
        for number, steps in enumerate(scripts):
            upstream.play(*steps, when=partial(_is_case, number, len(scripts)))
        deadlines = Deadlines(first_byte_s=0.05, silence_s=0.05, total_s=0.5, commit_after_s=0.02)
        targets = [
            Target(f"t{n}/m", f"t{n}", PLAIN, upstream.url, retry=retry, deadlines=deadlines, allow_private=True)
            for n, retry in enumerate(
                (Retry(tries=2, base_s=0.001, hedge_after_s=0.01), Retry(tries=1), Retry(tries=1))
            )
        ]
        sizes = []
        async with serve([chaos], targets=targets, way_in_s=0.02) as served:
            for round_ in range(ROUNDS):
                clients = [
                    client(served, round_ * AT_ONCE + n, random.Random(round_ * 1000 + n)) for n in range(AT_ONCE)
                ]
                await asyncio.gather(*clients)
                downstream = served.serving._downstreams[0]
                await until(lambda downstream=downstream: not downstream.open)
                assert not downstream.open
                served.exchanges.clear()
                served.log.clear()
                upstream.requests.clear()
                await until(lambda: alive() <= before_alive)
                sizes.append(alive() - before_alive)
    await until(lambda: len(asyncio.all_tasks()) <= before_tasks and descriptors() <= before_files)

    assert ROUNDS * AT_ONCE <= len(chaos.begun)
    assert chaos.begun == chaos.ended
    assert {1} == set(chaos.ended.values())
    assert [] == chaos.wrong
    assert [0] * ROUNDS == sizes
    assert before_tasks == len(asyncio.all_tasks())
    assert before_files == descriptors()


def _is_case(number: int, of: int, request: Request) -> bool:
    return _case(request) % of == number


def _case(request: Request) -> int:
    return int(orjson.loads(request.body)["text"].split()[1])
