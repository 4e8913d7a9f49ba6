"""Exchanges at their limits: who is counted with whom, what they are told, and what comes back at the end."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from relay_anthropic.dialect import DIALECT as ANTHROPIC
from relay_gemini.dialect import DIALECT as GEMINI
from relay_openai.dialect import DIALECT as OPENAI
from relay_ratelimit.plugin import Ratelimit
from relay_ratelimit.settings import RatelimitSettings
from relay_ratelimit.standard_headers import span

from relay import Caller, Exchange, Plugin, Refused, Reply
from relay.storage.redis_state import RedisState
from relay.testing.conformance import conformance
from relay.testing.play import Play
from relay.testing.played import Played
from relay.testing.provider import broken
from relay.values.clock import now
from relay.wire.dialect import Dialect

test_conforms = conformance(Ratelimit, settings={"requests_per_minute": 9, "tokens_per_minute": 9000, "concurrent": 1})


class Callers(Plugin):
    """Gives each exchange the caller that the test names."""

    name = "callers"
    caller: Caller | None = None

    async def on_request(self, exchange: Exchange) -> None:
        exchange.caller = self.caller


def play(dialect: Dialect | None = None, *below: Plugin, above: Plugin | None = None, **settings: Any) -> Play:
    made = Ratelimit(RatelimitSettings.model_validate(settings))
    chain = [made, *below] if above is None else [above, made, *below]
    return Play(chain) if dialect is None else Play(chain, dialect=dialect)


async def statuses(play: Play, callers: Callers, *asked: tuple[Caller | None, str]) -> list[int]:
    found = []
    for caller, model in asked:
        callers.caller = caller
        found.append((await play.ask(model=model)).status)
    return found


def caller(organisation: str = "acme", key: str = "key_1", member: str | None = None) -> Caller:
    return Caller(organisation=organisation, key=key, member=member)


# Who is counted with whom


async def test_the_amounts_on_top_hold_for_each_key() -> None:
    async with play(above=(callers := Callers()), requests_per_minute=1) as played:
        found = await statuses(
            played,
            callers,
            (caller(), "m"), (caller(), "n"), (caller(key="key_2"), "m"), (caller("other"), "m"), (None, "m"), (None, "m"),
        )  # fmt: skip

    assert [200, 429, 200, 200, 200, 429] == found


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        (["organisation"], [200, 429, 200, 429]),
        (["member"], [200, 200, 200, 429]),
        (["model"], [200, 200, 429, 429]),
        (["organisation", "model"], [200, 200, 200, 429]),
        ([], [200, 429, 429, 429]),
    ],
)
async def test_each_limit_counts_for_its_own_circle(per: list[str], expected: list[int]) -> None:
    limits = [{"per": per, "requests_per_minute": 1}]
    async with play(above=(callers := Callers()), limits=limits) as played:
        found = await statuses(
            played,
            callers,
            (caller(member="a"), "m"), (caller(key="key_2", member="b"), "n"),
            (caller("other", member="a"), "m"), (caller("other", member="a"), "m"),
        )  # fmt: skip

    assert expected == found


async def test_a_limit_holds_only_for_those_it_names_and_for_what_has_what_it_counts_by() -> None:
    limits = [
        {"per": ["organisation"], "only": {"organisation": "trial-*", "model": "big-*"}, "requests_per_minute": 1},
        {"per": ["member"], "requests_per_minute": 1},
    ]
    async with play(above=(callers := Callers()), limits=limits) as played:
        found = await statuses(
            played,
            callers,
            (caller("trial-1"), "big-1"), (caller("trial-1"), "big-2"), (caller("trial-1"), "small"), (caller("trial-1"), "small"),
            (caller("acme"), "big-1"), (caller("acme"), "big-1"),
        )  # fmt: skip

    assert [200, 429, 200, 200, 200, 200] == found


async def test_a_refusal_says_which_limit_and_when_and_sends_nothing() -> None:
    limits = [{"per": ["organisation", "model"], "requests_per_minute": 1}]
    async with play(requests_per_minute=100, limits=limits) as played:
        await played.ask()
        refused = await played.ask()

    assert (429, "rate_limited") == (refused.status, refused.error)
    assert b"Rate limit reached: 1 requests per minute for this organisation and this model." in refused.body
    assert 58 <= int(refused.header("retry-after") or 0) <= 60
    assert () == refused.sent


def test_settings_that_limit_nothing_or_twice_are_refused() -> None:
    for limits in ([{"per": ["key"]}], [{"per": ["model"], "concurrent": 1}] * 2, [{"per": ["city"], "concurrent": 1}]):
        with pytest.raises(ValidationError):
            RatelimitSettings.model_validate({"limits": limits})


def test_limits_are_divided_by_the_workers_unless_processes_are_told() -> None:
    context = {"workers": 4}

    assert 4 == RatelimitSettings.model_validate({}, context=context).processes
    assert 9 == RatelimitSettings.model_validate({"processes": 9}, context=context).processes
    assert 1 == RatelimitSettings.model_validate({}).processes


# What they are told


def ratelimits(played: Played) -> dict[str, str]:
    return {name: value for name, value in played.headers if "ratelimit" in name}


async def test_openai_clients_are_told_in_their_headers() -> None:
    async with play(OPENAI, requests_per_minute=60, tokens_per_minute=6000) as played:
        told = ratelimits(await played.ask())

    assert ("60", "59", "6000") == (
        told["x-ratelimit-limit-requests"],
        told["x-ratelimit-remaining-requests"],
        told["x-ratelimit-limit-tokens"],
    )
    assert 5900 < int(told["x-ratelimit-remaining-tokens"]) < 6000
    assert re.fullmatch(r"1m0s|59(\.\d+)?s", told["x-ratelimit-reset-requests"])
    assert "x-ratelimit-reset-tokens" in told


async def test_anthropic_clients_are_told_in_their_headers() -> None:
    async with play(ANTHROPIC, requests_per_minute=60, tokens_per_minute=6000) as played:
        told = ratelimits(await played.ask())

    reset = datetime.fromisoformat(told["anthropic-ratelimit-requests-reset"])
    assert ("60", "59") == (
        told["anthropic-ratelimit-requests-limit"],
        told["anthropic-ratelimit-requests-remaining"],
    )
    assert timedelta(seconds=55) < reset - now() < timedelta(seconds=62)
    assert {"limit", "remaining", "reset"} == {name.rpartition("-")[2] for name in told if "-tokens-" in name}


async def test_other_clients_are_told_as_the_ietf_has_it() -> None:
    async with play(GEMINI, requests_per_minute=60, tokens_per_day=6000) as played:
        told = ratelimits(await played.ask())

    assert '"requests";q=60;w=60, "tokens";q=6000;w=86400' == told["ratelimit-policy"]
    assert re.fullmatch(r'"requests";r=59;t=(60|59), "tokens";r=59\d\d;t=86(400|399)', told["ratelimit"])


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC, GEMINI], ids=lambda dialect: dialect.name)
async def test_a_refusal_is_in_the_callers_dialect_with_its_headers(dialect: Dialect) -> None:
    async with play(dialect, requests_per_minute=1) as played:
        await played.ask()
        refused = await played.ask(stream=True)

    assert (429, "rate_limited") == (refused.status, refused.error)
    assert ["error"] == [event.kind for event in refused.events]
    assert any(
        re.search(r"(^|=)0(;|$)", value)
        for name, value in refused.headers
        if "remaining" in name or name == "ratelimit"
    )


async def test_the_providers_own_limits_give_way_to_ours_and_no_header_comes_twice() -> None:
    async with play(OPENAI, requests_per_minute=60) as played:
        theirs = [("x-ratelimit-remaining-requests", "4999"), ("x-ratelimit-remaining-tokens", "77")]
        played.replies(b'{"choices":[]}', headers=theirs)
        reply = await played.ask()

    names = [name for name, _ in reply.headers]
    assert "59" == reply.header("x-ratelimit-remaining-requests")
    assert "77" == reply.header("x-ratelimit-remaining-tokens")
    assert len(names) == len(set(names))


async def test_the_tightest_limit_is_shown() -> None:
    limits = [{"per": ["organisation"], "requests_per_minute": 5}, {"per": ["model"], "requests_per_minute": 500}]
    async with play(OPENAI, requests_per_minute=50, limits=limits) as played:
        told = ratelimits(await played.ask())

    assert ("5", "4") == (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.0201, "21ms"), (1.5, "1.5s"), (60, "1m0s"), (359.9996, "6m0s"), (86_400, "24h0m0s")],
)
def test_a_time_is_shown_as_openai_does(seconds: float, shown: str) -> None:
    assert shown == span(seconds)


# What comes back


class Below(Plugin):
    """Refuses, or hangs, or asks once more, as the test says."""

    name = "below"

    def __init__(self, does: str) -> None:
        super().__init__()
        self.does = does

    async def on_request(self, exchange: Exchange) -> Reply | None:
        if self.does == "refuse":
            raise Refused("no_target")
        if self.does == "fail":
            raise RuntimeError
        if self.does == "hang":
            await asyncio.sleep(60)
        if self.does == "ask" and exchange.parent is None:
            return await exchange.ask(exchange.call)
        return None


async def test_tokens_are_corrected_by_what_the_provider_says() -> None:
    body = b'{"text":"x","usage":{"in":300,"out":200},"stop":"end"}'
    async with play(tokens_per_minute=1000) as played:
        served = []
        for size in (3600, 1000):
            played.replies(body)
            served.append((await played.ask("y" * size)).status)
        refused = await played.ask("y")

    assert [200, 200] == served
    assert (429, "rate_limited") == (refused.status, refused.error)
    assert b"1000 tokens per minute" in refused.body


async def test_a_request_that_failed_costs_no_tokens() -> None:
    async with play(OPENAI, tokens_per_minute=1000) as played:
        played.fails(status=500)
        found = [(await played.ask("y" * 2400)).status for _ in range(3)]

    assert [500] * 3 == found


async def test_an_answer_without_figures_keeps_its_estimate() -> None:
    async with play(OPENAI, tokens_per_minute=1000) as played:
        played.replies(b'{"choices":[]}')
        found = [(await played.ask("y" * 2400)).status for _ in range(2)]

    assert [200, 429] == found


async def test_figures_that_cannot_be_trusted_leave_the_estimate() -> None:
    async with play(OPENAI, tokens_per_minute=1000) as played:
        played.replies(b'{"choices":[],"usage":{"prompt_tokens":-900,"completion_tokens":0,"total_tokens":-900}}')
        await played.ask("y" * 2400)
        refused = await played.ask("y" * 2400)

    assert 429 == refused.status


@pytest.mark.parametrize("does", ["refuse", "fail", "hang", "nothing", "break", "cut", "leave", "ask"])
async def test_a_slot_is_free_again_however_the_request_ended(does: str) -> None:
    made = Ratelimit(RatelimitSettings.model_validate({"concurrent": 1}))
    async with Play([made, Below(does)], way_in_s=0.1) as played:
        outcomes = []
        for _ in range(3):
            if does == "break":
                played.breaks(broken("connect", written=False))
            if does == "cut":
                played.replies(b'data: {"n":0,"text":"x"}\n\n', broken("cut"), content_type="text/event-stream")
            reply = await played.ask(stream=True, leaves_after=1 if does == "leave" else None)
            outcomes.append(reply.status)

    assert 429 not in outcomes


async def test_more_at_once_than_the_limit_are_refused() -> None:
    async with play(concurrent=2) as played:
        gate = asyncio.Event()
        for _ in range(2):
            played.replies(gate, b'{"text":"x"}')
        running = [asyncio.create_task(played.ask()) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await played.ask()
        gate.set()
        await asyncio.gather(*running)

    assert 429 == refused.status
    assert b"2 requests at once for this API key" in refused.body


async def test_everything_holds_over_the_shared_state_too(state: RedisState) -> None:
    made = Ratelimit(
        RatelimitSettings.model_validate({"requests_per_minute": 5, "concurrent": 1, "tokens_per_day": 10**6})
    )
    async with Play(made, dialect=OPENAI, state=state) as played:
        found = [(await played.ask()).status for _ in range(7)]
        left = await state.run("return {redis.call('ZCARD', KEYS[1]), redis.call('DBSIZE')}", ["none"], [])

    assert [200] * 5 + [429] * 2 == found
    assert [0, 2] == left
