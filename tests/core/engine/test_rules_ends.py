"""`on_end` runs exactly once, last in first out, attempts before their exchange, whatever happened (rule 3)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay import Refused, Retry, Skip
from relay.testing.play import Play
from relay.testing.provider import broken
from relay.wire.sse import sse

SSE: dict[str, Any] = {"content_type": "text/event-stream"}
HELLO = sse(b'{"n":0,"text":"hello"}')


def noting(plugin: Any, log: list[str], **hooks: Any) -> Any:
    """A plugin that registers two ends on the exchange and two on each attempt, a plain and an async one."""

    async def later(word: str) -> None:
        await asyncio.sleep(0)
        log.append(word)

    def on_request(exchange: Any) -> Any:
        exchange.on_end(log.append, "exchange first")
        exchange.on_end(later, "exchange second")
        return hooks["on_request"](exchange) if "on_request" in hooks else None

    def on_attempt(exchange: Any, attempt: Any) -> Any:
        attempt.on_end(later, f"attempt {attempt.number} first")
        attempt.on_end(log.append, f"attempt {attempt.number} second")
        return hooks["on_attempt"](exchange, attempt) if "on_attempt" in hooks else None

    return plugin(on_request=on_request, on_attempt=on_attempt, **{k: v for k, v in hooks.items() if k == "on_reply"})


EXCHANGE = ["exchange second", "exchange first"]
ATTEMPT = ["attempt 1 second", "attempt 1 first"]


def refuse(*_: Any) -> Any:
    raise Refused("not_today")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_completed_exchange_ends_last_in_first_out_attempts_first(plugin: Any, stream: bool) -> None:
    log: list[str] = []
    async with Play(noting(plugin, log)) as play:
        reply = await play.ask(stream=stream)

    assert [*ATTEMPT, *EXCHANGE] == log
    assert ("completed", "completed") == (reply.exchange.outcome, reply.exchange.attempts[0].outcome)


@pytest.mark.parametrize("hook", ["on_request", "on_attempt", "on_reply"])
async def test_a_refused_exchange_ends(plugin: Any, hook: str) -> None:
    log: list[str] = []
    async with Play(noting(plugin, log, **{hook: refuse})) as play:
        reply = await play.ask()

    assert [*([] if hook == "on_request" else ATTEMPT), *EXCHANGE] == log
    assert "refused" == reply.exchange.outcome


async def test_failed_skipped_and_completed_attempts_end_before_the_next_begins(plugin: Any) -> None:
    log: list[str] = []

    def skip(_: Any, attempt: Any) -> Any:
        log.append(f"attempt {attempt.number} begins")
        return Skip() if attempt.number == 2 else None

    async with Play(noting(plugin, log, on_attempt=skip), targets=3) as play:
        play.fails(status=500)
        play.answers()
        reply = await play.ask()

    parts = [[f"attempt {n} begins", f"attempt {n} second", f"attempt {n} first"] for n in (1, 2, 3)]
    assert [*parts[0], *parts[1], *parts[2], *EXCHANGE] == log
    assert ["failed", "skipped", "completed"] == [attempt.outcome for attempt in reply.exchange.attempts]


async def test_a_failed_exchange_ends(plugin: Any) -> None:
    log: list[str] = []
    async with Play(noting(plugin, log)) as play:
        play.replies(HELLO, broken("cut"), **SSE)
        reply = await play.ask(stream=True)

    assert [*ATTEMPT, *EXCHANGE] == log
    assert ("failed", "failed") == (reply.exchange.outcome, reply.exchange.attempts[0].outcome)
    assert "upstream_failed" == reply.exchange.attempts[0].error


async def test_a_client_that_leaves_a_stream_ends_the_exchange_and_closes_upstream(plugin: Any) -> None:
    log: list[str] = []
    async with Play(noting(plugin, log)) as play:
        play.answers(stream=["a", "b", "c"])
        reply = await play.ask(stream=True, leaves_after=1)

    assert [*ATTEMPT, *EXCHANGE] == log
    assert ("client_left", "client_left") == (reply.exchange.outcome, reply.exchange.attempts[0].outcome)
    assert 0 == play.provider.open


@pytest.mark.parametrize("steps", [(), (HELLO,), (b": ping\n\n",)], ids=["head", "content", "held"])
async def test_a_client_that_leaves_while_the_provider_is_silent_ends_the_exchange(plugin: Any, steps: Any) -> None:
    log: list[str] = []
    async with Play(noting(plugin, log)) as play:
        never = asyncio.Event()
        play.replies(*steps, never, before=[] if steps else [never], **SSE)
        asking = asyncio.create_task(play.ask(stream=True))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert [*ATTEMPT, *EXCHANGE] == log
    assert ["client_left"] == [exchange.outcome for exchange in play.exchanges]
    assert ["client_left"] == [attempt.outcome for attempt in play.exchanges[0].attempts]
    assert 0 == play.provider.open


async def test_a_lost_attempt_ends_once(plugin: Any) -> None:
    log: list[str] = []
    async with Play(noting(plugin, log), targets=2, retry=Retry(tries=1, hedge_after_s=0.01)) as play:
        play.replies(asyncio.Event(), **SSE)
        play.answers(stream=["a"])
        reply = await play.ask(stream=True)

    assert ["lost", "completed"] == [attempt.outcome for attempt in reply.exchange.attempts]
    assert [*ATTEMPT, "attempt 2 second", "attempt 2 first", *EXCHANGE] == log


async def test_an_interrupted_exchange_ends(plugin: Any) -> None:
    log: list[str] = []

    def stop_soon(exchange: Any, reply: Any) -> None:
        asyncio.get_running_loop().call_later(0.01, exchange.stop)

    async with Play(noting(plugin, log, on_reply=stop_soon)) as play:
        play.replies(HELLO, asyncio.Event(), **SSE)
        reply = await play.ask(stream=True)

    assert [*ATTEMPT, *EXCHANGE] == log
    assert ("interrupted", "interrupted") == (reply.exchange.outcome, reply.exchange.attempts[0].outcome)


@pytest.mark.parametrize("where", ["attempt", "exchange"])
async def test_ends_that_have_begun_run_to_their_end_though_the_client_leaves(plugin: Any, where: str) -> None:
    log: list[str] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        begun.set()
        await go.wait()
        log.append("slow")

    hooks: dict[str, Any] = {"on_attempt": lambda _, attempt: attempt.on_end(slowly)}
    if where == "exchange":
        hooks = {"on_request": lambda exchange: exchange.on_end(slowly)}
    async with Play(noting(plugin, log, **hooks)) as play:
        asking = asyncio.create_task(play.ask())
        await begun.wait()
        asking.cancel()
        await asyncio.sleep(0.01)
        asking.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await asking

    expected = ["slow", *ATTEMPT, *EXCHANGE] if where == "attempt" else [*ATTEMPT, "slow", *EXCHANGE]
    assert expected == log
    assert ["completed"] == [exchange.outcome for exchange in play.exchanges]


async def test_an_end_that_fails_is_reported_and_keeps_no_other_from_running(plugin: Any) -> None:
    log: list[str] = []

    async def fail_later() -> None:
        raise ValueError("a secret that nobody may read")

    def fail() -> None:
        raise ValueError("a secret that nobody may read")

    def on_request(exchange: Any) -> None:
        exchange.on_end(log.append, "last")
        exchange.on_end(fail)
        exchange.on_end(fail_later)
        exchange.on_end(log.append, "first")

    async with Play(plugin(on_request=on_request)) as play:
        await play.ask()

    assert ["first", "last"] == log
    assert ["end_failed", "end_failed"] == [each["event"] for each in play.log if each["event"] == "end_failed"]
    assert "secret" not in repr(play.log)


async def test_what_has_ended_takes_no_more_ends(plugin: Any) -> None:
    async with Play() as play:
        reply = await play.ask()

    with pytest.raises(RuntimeError, match="already ended"):
        reply.exchange.on_end(print)


async def test_everybody_who_watches_is_told_of_each_exchange_once() -> None:
    async with Play() as play:
        reply = await play.ask()
        await play.ask(stream=True, leaves_after=0)

    assert 2 == len(play.exchanges)
    assert reply.exchange is play.exchanges[0]
