"""`relay serve` as a deployer runs it: real processes, real signals, real streams."""

from __future__ import annotations

import asyncio
import os
import signal
from time import monotonic
from typing import Any

import aiohttp


def ask(words: str, *, stream: bool = False) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": words}]}


async def answer(
    session: aiohttp.ClientSession, url: str, words: str = "hi", *, stream: bool = False
) -> tuple[int, bytes]:
    async with session.post(f"{url}/v1/chat/completions", json=ask(words, stream=stream)) as reply:
        return reply.status, await reply.read()


async def test_it_answers_and_logs_one_line_of_metadata(serve: Any) -> None:
    relay = await serve()
    async with aiohttp.ClientSession() as session:
        status, body = await answer(session, relay.url, "a very secret question")

    line = await relay.until("exchange")

    assert 200 == status
    assert b"secret question" in body
    assert ("completed", "chat", "gpt-4o-mini") == (line["outcome"], line["surface"], line["model"])
    assert line["usage"]["output"] > 0
    assert "secret" not in str(relay.events)


async def test_a_killed_worker_is_back_within_a_second_and_the_port_never_closes(serve: Any) -> None:
    relay = await serve(workers=2)
    stop = asyncio.Event()
    refused: list[BaseException] = []
    served = [0]

    async def load() -> None:
        while not stop.is_set():
            try:
                async with aiohttp.ClientSession() as session:
                    status, _ = await answer(session, relay.url)
                    served[0] += status == 200
            except aiohttp.ClientConnectorError as error:
                refused.append(error)
            except aiohttp.ClientError:
                pass  # it was on the killed worker

    clients = [asyncio.create_task(load()) for _ in range(4)]
    await asyncio.sleep(0.3)
    victim = relay.workers()[1]
    killed = monotonic()
    os.kill(victim, signal.SIGKILL)
    before = served[0]
    await relay.until("worker_ready", 3)
    back_s = monotonic() - killed
    stop.set()
    await asyncio.gather(*clients)

    assert [] == refused
    assert served[0] > before, "the other worker served meanwhile"
    # A second on a machine that has nothing else to do; this one runs other tests beside it.
    assert back_s < 10


async def test_a_reload_cuts_no_stream_and_an_invalid_configuration_leaves_the_old_one_serving(serve: Any) -> None:
    relay = await serve()
    async with aiohttp.ClientSession() as session:
        long = asyncio.create_task(answer(session, relay.url, "[[sim pace=60ms events=40]]", stream=True))
        await asyncio.sleep(0.3)
        good = relay.config.read_text()
        relay.config.write_text(good.replace("to:", "two:"))
        relay.process.send_signal(signal.SIGHUP)
        refusal = await relay.until("reload_refused")
        relay.config.write_text(good)
        relay.process.send_signal(signal.SIGHUP)
        await relay.until("reloaded")
        status, body = await long
        after, _ = await answer(session, relay.url)
        await relay.until("exchange", 2)

    assert "two" in str(refusal)
    assert (200, 200) == (status, after)
    assert body.endswith(b"data: [DONE]\n\n")
    assert 1 < max(line["generation"] for line in relay.events if line.get("event") == "exchange")


async def test_sigterm_lets_a_stream_end_and_takes_nothing_new(serve: Any) -> None:
    relay = await serve()
    async with aiohttp.ClientSession() as session:
        long = asyncio.create_task(answer(session, relay.url, "[[sim pace=50ms events=20]]", stream=True))
        await asyncio.sleep(0.3)
        relay.process.send_signal(signal.SIGTERM)
        status, body = await long

        assert 0 == await asyncio.wait_for(relay.process.wait(), 20)

    assert 200 == status
    assert body.endswith(b"data: [DONE]\n\n")


async def test_who_owns_an_object_outlives_the_worker_that_noted_it(serve: Any) -> None:
    relay = await serve(workers=2)
    async with aiohttp.ClientSession() as session:
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", b"{}\n", filename="a.jsonl")
        async with session.post(f"{relay.url}/v1/files", data=form) as reply:
            made = (await reply.json())["id"]
    noted_by = (await relay.until("exchange"))["worker"]
    os.kill(relay.workers()[noted_by], signal.SIGKILL)
    await relay.until("worker_ended")
    async with aiohttp.ClientSession() as session, session.get(f"{relay.url}/v1/files/{made}") as reply:
        status = reply.status
    found_by = (await relay.until("exchange", 2))["worker"]

    assert 200 == status
    assert noted_by != found_by


async def test_health_tells_live_ready_and_started_apart(serve: Any) -> None:
    relay = await serve()
    async with aiohttp.ClientSession() as session:
        for base in (relay.url, f"http://127.0.0.1:{relay.operators}"):
            for name in ("live", "ready", "startup"):
                async with session.get(f"{base}/-/health/{name}") as reply:
                    assert 200 == reply.status


async def test_who_comes_after_sigterm_is_refused_at_once(serve: Any) -> None:
    relay = await serve()
    async with aiohttp.ClientSession() as session:
        long = asyncio.create_task(answer(session, relay.url, "[[sim pace=100ms events=20]]", stream=True))
        await asyncio.sleep(0.3)
        relay.process.send_signal(signal.SIGTERM)
        await relay.until("stopping")
        refused = False
        while not refused and not long.done():
            try:
                async with aiohttp.ClientSession() as late:
                    await answer(late, relay.url)
            except aiohttp.ClientConnectorError:
                refused = True
            except aiohttp.ClientError:
                pass  # it was queued while the port closed
        _, body = await long

    assert refused
    assert body.endswith(b"data: [DONE]\n\n")
