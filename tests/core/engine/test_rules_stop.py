"""`exchange.stop` ends a running stream from anywhere, and never touches what comes after the exchange."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from relay import Code, Reply
from relay.testing.play import Play
from relay.wire.sse import sse

SSE: dict[str, Any] = {"content_type": "text/event-stream"}
HELLO = sse(b'{"n":0,"text":"hello"}')
END = sse(b'{"stop":"end"}') + sse(b"[END]")


def last_error(reply: Any) -> str:
    return str(orjson.loads(reply.body.rpartition(b"data: ")[2])["error"]["code"])


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_timer_stops_a_stream_that_waits_for_the_provider(plugin: Any) -> None:
    def on_reply(exchange: Any, _: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, exchange.stop, "not_today", "Enough.")

    async with Play(plugin(on_reply=on_reply)) as play:
        play.replies(HELLO, asyncio.Event(), **SSE)
        reply = await play.ask(stream=True)

    assert reply.body.startswith(HELLO)
    assert "not_today" == last_error(reply)
    assert ("interrupted", "not_today") == (reply.exchange.outcome, reply.exchange.error)
    assert 0 == play.provider.open
    assert 0 == cancelling()


@pytest.mark.parametrize("gap", [(), (0.0,)], ids=["buffered", "waiting"])
async def test_an_observer_stops_the_stream_behind_what_it_saw(plugin: Any, gap: Any) -> None:
    def on_reply(exchange: Any, reply: Any) -> None:
        reply.observe(lambda event: exchange.stop("not_today"), "text")

    async with Play(plugin(reads_content=True, on_reply=on_reply)) as play:
        play.replies(HELLO, *gap, sse(b'{"n":0,"text":"more"}'), *gap, END, **SSE)
        reply = await play.ask(stream=True)

    assert "hello" == reply.text
    assert "not_today" == last_error(reply)
    assert "interrupted" == reply.exchange.outcome
    assert 0 == cancelling()


@pytest.mark.parametrize("hook", ["on_request", "on_attempt", "on_reply"])
async def test_a_hook_that_stops_its_exchange_gets_it_refused(plugin: Any, hook: str) -> None:
    async def stop(exchange: Any, *_: Any) -> None:
        exchange.stop("not_today")
        await asyncio.sleep(1)

    seen: list[int] = []
    above = plugin("above", on_reply=lambda _, reply: seen.append(reply.status))
    async with Play([above, plugin(**{hook: stop})]) as play:
        reply = await play.ask(stream=True)

    assert (429, "not_today") == (reply.status, reply.error)
    assert [429] == seen
    assert ("interrupted", "not_today") == (reply.exchange.outcome, reply.exchange.error)
    assert 0 == cancelling()
    assert 0 == play.provider.open


async def test_a_whole_answer_that_is_stopped_is_refused_instead(plugin: Any) -> None:
    def on_reply(exchange: Any, _: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, exchange.stop, "not_today")

    large = b'{"text":"' + b"x" * 100_000
    async with Play(plugin(on_reply=on_reply)) as play:
        play.replies(large, asyncio.Event())
        reply = await play.ask()

    assert reply.is_cut
    assert "interrupted" == reply.exchange.outcome


async def test_an_answer_made_by_the_plugin_that_stopped_is_not_written(plugin: Any) -> None:
    def on_request(exchange: Any) -> Reply:
        exchange.stop("not_today")
        return Reply(200, [("content-type", "application/json")], b'{"text":"mine"}')

    async with Play(plugin(on_request=on_request)) as play:
        reply = await play.ask()

    assert (429, "not_today") == (reply.status, reply.error)
    assert 0 == cancelling()


@pytest.mark.parametrize("when", ["last observer", "on_end", "after"])
async def test_a_stop_that_comes_too_late_changes_nothing(plugin: Any, when: str) -> None:
    kept: list[Any] = []

    def on_request(exchange: Any) -> None:
        kept.append(exchange)
        if when == "on_end":
            exchange.on_end(exchange.stop)

    def on_reply(exchange: Any, reply: Any) -> None:
        if when == "last observer":
            reply.watch(lambda size: exchange.stop())

    async with Play(plugin(on_request=on_request, on_reply=on_reply)) as play:
        reply = await play.ask()
        if when == "after":
            kept[0].stop()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert 200 == reply.status
    assert ("completed", None) == (reply.exchange.outcome, reply.exchange.error)
    assert 0 == cancelling()


async def test_a_code_that_nobody_registered_cannot_stop(plugin: Any) -> None:
    def on_request(exchange: Any) -> None:
        exchange.stop("invented")

    async with Play(plugin(on_request=on_request)) as play:
        reply = await play.ask()

    assert (500, "plugin_failed") == (reply.status, reply.error)
    assert "KeyError" in str(play.log)


async def test_an_exchange_that_is_over_is_not_stopped_any_more(plugin: Any) -> None:
    async with Play(plugin()) as play:
        reply = await play.ask()
        reply.exchange.stop("stopped")

    assert (200, "completed") == (reply.status, reply.exchange.outcome)


async def test_the_first_of_two_stops_counts(plugin: Any) -> None:
    def on_reply(exchange: Any, reply: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, exchange.stop, "not_today")
        asyncio.get_running_loop().call_later(0.01, exchange.stop, "later")

    both = (Code("not_today", 429, "Not today."), Code("later", 429, "Later."))
    async with Play(plugin(errors=both, on_reply=on_reply)) as play:
        play.replies(HELLO, asyncio.Event(), **SSE)
        reply = await play.ask(stream=True)

    assert "not_today" == last_error(reply)
