"""The order of hooks, and what an answer, a refusal or an exception in one of them means (rules 1, 2, 8 and 10)."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from relay import Key, Refused, Reply
from relay.testing.play import NotPlayable, Play, target

JSON = [("content-type", "application/json")]


def tracing(plugin: Any, seen: list[str], name: str, **instead: Any) -> Any:
    """A plugin that writes down each of its hooks, and then does what is given instead of nothing."""

    def hook(which: str) -> Any:
        def do(*args: Any) -> Any:
            seen.append(f"{name}.{which}")
            return instead[which](*args) if which in instead else None

        return do

    return plugin(name, **{which: hook(which) for which in ("on_request", "on_attempt", "on_reply")})


def refuse(*_: Any) -> Any:
    raise Refused("not_today", retry_after_s=7)


def fail(*_: Any) -> Any:
    raise ValueError("a secret that nobody may read")


async def test_hooks_run_top_to_bottom_on_the_way_in_and_bottom_to_top_on_the_way_out(plugin: Any) -> None:
    seen: list[str] = []

    async with Play([tracing(plugin, seen, name) for name in "abc"]) as play:
        reply = await play.ask()

    assert 200 == reply.status
    way_in = ["a.on_request", "b.on_request", "c.on_request", "a.on_attempt", "b.on_attempt", "c.on_attempt"]
    assert [*way_in, "c.on_reply", "b.on_reply", "a.on_reply"] == seen


async def test_a_reply_from_on_request_answers_at_once_and_those_above_see_it(plugin: Any) -> None:
    seen: list[str] = []
    answer = {"on_request": lambda _: Reply(200, JSON, b'{"text":"mine"}')}

    chain = [tracing(plugin, seen, "a"), tracing(plugin, seen, "b", **answer), tracing(plugin, seen, "c")]
    async with Play(chain) as play:
        reply = await play.ask()

    assert "mine" == reply.text
    assert () == reply.upstream
    assert ["a.on_request", "b.on_request", "a.on_reply"] == seen
    assert "completed" == reply.exchange.outcome


async def test_a_refusal_on_the_way_in_is_seen_by_those_above_and_sends_nothing(plugin: Any) -> None:
    seen: list[str] = []

    chain = [tracing(plugin, seen, "a"), tracing(plugin, seen, "b", on_request=refuse), tracing(plugin, seen, "c")]
    async with Play(chain) as play:
        reply = await play.ask()

    assert (429, "not_today", "7") == (reply.status, reply.error, reply.header("retry-after"))
    assert () == reply.upstream
    assert ["a.on_request", "b.on_request", "a.on_reply"] == seen
    assert ("refused", "not_today") == (reply.exchange.outcome, reply.exchange.error)
    assert {"status": 429, "code": "not_today", "message": "Not today."} == orjson.loads(reply.body)["error"]


async def test_a_refusal_from_on_attempt_refuses_the_exchange(plugin: Any) -> None:
    seen: list[str] = []

    chain = [tracing(plugin, seen, "a"), tracing(plugin, seen, "b", on_attempt=refuse)]
    async with Play(chain, targets=2) as play:
        reply = await play.ask()

    assert (429, "not_today") == (reply.status, reply.error)
    assert () == reply.upstream
    assert [("refused", "not_today")] == [(each.outcome, each.error) for each in reply.exchange.attempts]
    assert ["b.on_reply", "a.on_reply"] == seen[-2:]


async def test_a_refusal_from_on_reply_takes_the_place_of_the_answer(plugin: Any) -> None:
    seen: list[str] = []

    chain = [tracing(plugin, seen, "a"), tracing(plugin, seen, "b", on_reply=refuse), tracing(plugin, seen, "c")]
    async with Play(chain) as play:
        reply = await play.ask(stream=True)

    assert (429, "not_today") == (reply.status, reply.error)
    assert ["c.on_reply", "b.on_reply", "a.on_reply"] == seen[-3:]
    assert "refused" == reply.exchange.outcome
    assert 0 == play.provider.open


async def test_a_code_that_nobody_registered_is_a_failure_of_the_plugin(plugin: Any) -> None:
    def invented(_: Any) -> Any:
        raise Refused("invented")

    async with Play(plugin(on_request=invented)) as play:
        reply = await play.ask()

    assert (500, "plugin_failed") == (reply.status, reply.error)
    assert "plugin_failed" == orjson.loads(reply.body)["error"]["code"]


@pytest.mark.parametrize("hook", ["on_request", "on_attempt"])
async def test_an_exception_on_the_way_in_is_a_500_and_sends_nothing(plugin: Any, hook: str) -> None:
    async with Play(plugin(**{hook: fail})) as play:
        reply = await play.ask()

    assert (500, "plugin_failed") == (reply.status, reply.error)
    assert () == reply.upstream
    assert ("failed", "plugin_failed") == (reply.exchange.outcome, reply.exchange.error)
    assert b"secret" not in reply.body + orjson.dumps(play.log)
    assert "subject" in [each.get("plugin") for each in play.log]


async def test_an_exception_in_on_reply_is_a_500_and_closes_the_answer(plugin: Any) -> None:
    async with Play(plugin(on_reply=fail)) as play:
        reply = await play.ask(stream=True)

    assert (500, "reply_failed") == (reply.status, reply.error)
    assert ("failed", "reply_failed") == (reply.exchange.outcome, reply.exchange.error)
    assert 0 == play.provider.open


async def test_a_credential_that_fails_is_a_500_and_not_a_crash() -> None:
    class Failing:
        async def current(self) -> Any:
            raise OSError("a secret that nobody may read")

    async with Play(targets=[target(credential=Failing())]) as play:
        reply = await play.ask()

    assert (500, "plugin_failed") == (reply.status, reply.error)
    assert () == reply.upstream
    assert "failed" == reply.exchange.outcome
    assert b"secret" not in reply.body + orjson.dumps(play.log)


async def test_the_way_in_has_one_deadline_for_all_hooks(plugin: Any) -> None:
    def slowly(_: Any) -> Any:
        return asyncio.sleep(0.03)

    chain = [plugin("a", on_request=slowly), plugin("b", on_request=slowly), plugin("c", on_request=slowly)]
    async with Play(chain, way_in_s=0.05) as play:
        reply = await play.ask()

    assert (504, "deadline") == (reply.status, reply.error)
    assert () == reply.upstream
    current = asyncio.current_task()
    assert current is not None
    assert 0 == current.cancelling()


async def test_an_attempts_hooks_have_the_deadline_of_the_way_in(plugin: Any) -> None:
    async with Play(plugin(on_attempt=lambda *_: asyncio.sleep(60)), way_in_s=0.03) as play:
        reply = await play.ask()

    assert (504, "deadline") == (reply.status, reply.error)
    assert () == reply.upstream


async def test_the_deadline_of_the_way_in_does_not_count_the_provider() -> None:
    async with Play(way_in_s=0.02) as play:
        play.replies(b'{"text":"late"}', before=[0.06])

        reply = await play.ask()

    assert "late" == reply.text


async def test_each_hook_is_timed_under_its_plugins_name(plugin: Any) -> None:
    async with Play([plugin("slow", on_request=lambda _: asyncio.sleep(0.02)), plugin("quick")]) as play:
        await play.ask()
        timings = play.gateway.chain.timings

        assert (1, 0) == (timings["slow"].calls, timings["quick"].calls)
        assert timings["slow"].nanoseconds >= 15_000_000


async def test_typed_keys_carry_values_from_plugin_to_plugin(plugin: Any) -> None:
    mine: Key[int] = Key("number")
    other: Key[int] = Key("number")
    seen: list[Any] = []

    chain = [
        plugin("above", on_request=lambda exchange: exchange.set(mine, 7)),
        plugin("below", on_request=lambda exchange: seen.extend([exchange.get(mine), exchange.get(other, 0)])),
    ]
    async with Play(chain) as play:
        await play.ask()

    assert [7, 0] == seen


def opening(log: list[str], name: str, *, fails: bool = False) -> Any:
    async def lifespan(self: Any, relay: Any) -> Any:
        if fails:
            raise OSError(name)
        log.append(f"{name} opens")
        try:
            yield
        finally:
            log.append(f"{name} closes")

    return lifespan


async def test_plugins_open_from_top_to_bottom_and_close_in_reverse(plugin: Any) -> None:
    log: list[str] = []
    play = Play([plugin(name, lifespan=opening(log, name)) for name in "ab"])
    before = list(log)

    async with play:
        log.append("plays")

    assert [] == before
    assert ["a opens", "b opens", "plays", "b closes", "a closes"] == log


async def test_what_was_opened_is_closed_when_a_later_plugin_fails_to_open(plugin: Any) -> None:
    log: list[str] = []
    chain = [plugin("a", lifespan=opening(log, "a")), plugin("b", lifespan=opening(log, "b", fails=True))]

    with pytest.raises(OSError, match="b"):
        async with Play([*chain, plugin("c", lifespan=opening(log, "c"))]):
            pass

    assert ["a opens", "a closes"] == log


async def test_a_missing_service_is_told_before_anything_opens(plugin: Any) -> None:
    class Clock:
        """A port."""

    with pytest.raises(NotPlayable, match="'subject' needs Clock"):
        async with Play(plugin(needs=(Clock,))):
            pass

    async with Play(plugin(needs=(Clock,)), services={Clock: Clock()}) as play:
        assert isinstance(play.gateway.get(Clock), Clock)


async def test_settings_that_do_not_fit_are_told_plainly(plugin: Any) -> None:
    with pytest.raises(NotPlayable, match="'subject' do not fit: greting: Extra inputs are not permitted"):
        Play(type(plugin()), settings={"greting": "hi"})
