"""Targets that fail are left alone; targets that have enough to do, too."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_routing.breaker import Breaker, BreakerPolicy
from relay_routing.lanes import works

from relay import FixedCredential, Secret
from relay.engine.ends import end
from relay.exchange import Attempt

ONE = {"dialect": "blue", "base_url": "https://one.example", "key": Secret("k")}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def breaker(clock: Clock, **policy: Any) -> Breaker:
    return Breaker(
        BreakerPolicy(**{"failures": 3, "window_s": 30.0, "open_s": 10.0, "jitter": 0.0, **policy}), Random(0), clock
    )


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        ticket = breaker.enter()
        assert ticket is not None
        breaker.failed(ticket)


def test_it_opens_after_failures_in_a_row(clock: Clock) -> None:
    it = breaker(clock)

    fail(it, 3)

    assert "open" == it.state
    assert it.enter() is None
    assert 10.0 == it.retry_after_s


def test_a_success_between_failures_keeps_it_closed(clock: Clock) -> None:
    it = breaker(clock)

    for _ in range(5):
        fail(it, 2)
        ticket = it.enter()
        assert ticket is not None
        it.succeeded(ticket)

    assert "closed" == it.state


def test_failures_further_apart_than_the_window_keep_it_closed(clock: Clock) -> None:
    it = breaker(clock)

    for _ in range(5):
        fail(it)
        clock.now += 16.0

    assert "closed" == it.state


def test_one_probe_decides_after_its_time(clock: Clock) -> None:
    it = breaker(clock)
    fail(it, 3)
    states = [it.state]

    for outcome in (it.failed, it.succeeded):
        clock.now += 10.0
        states.append(it.state)
        probe = it.enter()
        assert probe is not None
        assert it.enter() is None
        outcome(probe)
        states.append(it.state)

    assert ["open", "half_open", "open", "half_open", "closed"] == states
    assert it.enter() is not None


def test_a_probe_whose_client_left_gives_its_place_to_the_next(clock: Clock) -> None:
    it = breaker(clock)
    fail(it, 3)
    clock.now += 10.0

    probe = it.enter()
    assert probe is not None
    it.left(probe)

    assert "half_open" == it.state
    assert it.enter() is not None


def test_results_of_attempts_from_before_it_opened_change_nothing(clock: Clock) -> None:
    it = breaker(clock)
    early = [it.enter() for _ in range(3)]
    fail(it, 3)
    until = it.retry_after_s

    clock.now += 1.0
    it.succeeded(early[0] or 0)
    it.failed(early[1] or 0)
    it.left(early[2] or 0)

    assert "open" == it.state
    assert until - 1.0 == it.retry_after_s


def test_workers_do_not_all_probe_at_the_same_moment(clock: Clock) -> None:
    waits = []
    for seed in range(20):
        it = Breaker(BreakerPolicy(failures=1, open_s=10.0, jitter=0.2), Random(seed), clock)
        fail(it)
        waits.append(it.retry_after_s)

    assert 20 == len(set(waits))
    assert all(8.0 <= wait <= 12.0 for wait in waits)


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "succeeded", "failed", "left"]), st.floats(0, 20), st.integers(0, 5)))
)
def test_whatever_happens_there_are_never_more_probes_than_allowed_and_it_always_opens_again_to_one(
    steps: list[tuple[str, float, int]],
) -> None:
    clock = Clock()
    it = breaker(clock, failures=2, half_open=2)
    out: list[int] = []
    probes: set[int] = set()
    for step, wait, which in steps:
        clock.now += wait
        if step == "enter":
            half_open = it.state == "half_open"
            ticket = it.enter()
            if ticket is not None:
                out.append(ticket)
                if half_open:
                    assert out.count(ticket) <= 2
                    probes.add(ticket)
        elif out:
            getattr(it, step)(out.pop(which % len(out)))

    while out:
        it.left(out.pop())
    clock.now += 100.0
    assert it.enter() is not None


async def attempt(routing: Any, exchange: Any, **ended: Any) -> Any:
    """One attempt at the first target, ended as told: the Skip, or None."""
    await routing.on_request(exchange)
    made = Attempt(exchange, exchange.targets[0], exchange.call, 1, 1)
    skip = await routing.on_attempt(exchange, made)
    if ended:
        for name, value in ended.items():
            setattr(made, name, value)
        await end(made, _raise)
    return skip if skip is not None else made


def _raise(error: Exception) -> None:
    raise error


def code(result: Any) -> str | None:
    return getattr(result, "code", None)


async def test_a_failing_target_is_skipped_and_says_when_to_come_again(
    opened: Any, exchange: Any, fake_relay: Any
) -> None:
    settings = {
        "providers": {"one": ONE},
        "models": {"m": [{"provider": "one"}], "n": [{"provider": "one"}]},
        "breaker": {"failures": 2, "jitter": 0},
    }

    async with opened(settings) as routing:
        for _ in range(2):
            await attempt(routing, exchange("m"), outcome="failed", error="upstream_failed")
        skipped = await attempt(routing, exchange("m"))
        other = await attempt(routing, exchange("n"))
        states = dict(fake_relay.gauges["relay_breaker_state"].read())

    assert "target_open" == skipped.code
    assert 0 < skipped.retry_after_s <= 10
    assert isinstance(other, Attempt)
    assert (0.0, 1.0) == (states["one/m", "closed"], states["one/m", "open"])
    assert 1.0 == states["one/n", "closed"]


@pytest.mark.parametrize(
    ("verdict", "ended"),
    [
        (True, {"outcome": "completed", "status": 200}),
        (True, {"outcome": "failed", "status": 400, "error": "upstream_error"}),
        (True, {"outcome": "failed", "status": 404, "error": "upstream_error"}),
        (False, {"outcome": "failed", "status": 500, "error": "upstream_error"}),
        (False, {"outcome": "failed", "status": 529, "error": "upstream_error"}),
        (False, {"outcome": "failed", "status": 429, "error": "upstream_error"}),
        (False, {"outcome": "failed", "status": 401, "error": "upstream_credential"}),
        (False, {"outcome": "failed", "status": 200, "error": "upstream_error"}),
        (False, {"outcome": "failed", "status": 200, "error": "upstream_incomplete"}),
        (False, {"outcome": "failed", "error": "upstream_failed"}),
        (False, {"outcome": "failed", "error": "upstream_timeout"}),
        (None, {"outcome": "failed", "error": "plugin_failed"}),
        (None, {"outcome": "failed", "status": 200, "error": "reply_failed"}),
        (None, {"outcome": "client_left", "status": 200}),
        (None, {"outcome": "client_left", "status": 500}),
        (None, {"outcome": "client_left"}),
        (None, {"outcome": "lost"}),
        (None, {"outcome": "skipped", "error": "over_budget"}),
        (None, {"outcome": "interrupted", "error": "stopped"}),
        (None, {"outcome": "refused"}),
        (None, {}),
    ],
)
async def test_only_what_is_the_providers_fault_counts_against_it(
    opened: Any, exchange: Any, verdict: bool | None, ended: dict[str, Any]
) -> None:
    async with opened({"providers": {"one": ONE}, "models": {"m": [{"provider": "one"}]}}) as routing:
        made = await attempt(routing, exchange("m"))
    for name, value in ended.items():
        setattr(made, name, value)

    assert verdict is works(made)


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_customers_own_credential_cannot_close_a_target_for_others(
    opened: Any, exchange: Any, status: int
) -> None:
    async with opened({"providers": {"one": ONE}, "models": {"m": [{"provider": "one"}]}}) as routing:
        made = await attempt(routing, exchange("m"))
    made.credential = FixedCredential(Secret("theirs"))
    made.outcome, made.status = "failed", status

    assert works(made) is None


async def test_a_target_with_as_many_attempts_as_it_may_have_is_skipped_until_one_ends(
    opened: Any, exchange: Any, fake_relay: Any
) -> None:
    settings = {
        "providers": {"one": {**ONE, "concurrent": 3}},
        "models": {"m": [{"provider": "one", "concurrent": 2}], "n": [{"provider": "one"}]},
    }

    async with opened(settings) as routing:
        first = await attempt(routing, exchange("m"))
        await attempt(routing, exchange("m"))
        full_target = await attempt(routing, exchange("m"))
        await attempt(routing, exchange("n"))
        full_account = await attempt(routing, exchange("n"))
        in_flight = dict(fake_relay.gauges["relay_target_in_flight"].read())
        first.outcome = "client_left"
        await end(first, _raise)
        again = await attempt(routing, exchange("m"))

    assert ("target_busy", "target_busy", None) == (code(full_target), code(full_account), code(again))
    assert full_target.retry_after_s > 0
    assert {("one",): 0.0, ("one/m",): 2.0, ("one/n",): 1.0} == in_flight


async def test_two_names_for_one_target_share_its_limit_and_its_breaker(opened: Any, exchange: Any) -> None:
    settings = {
        "providers": {"one": ONE},
        "models": {"a": [{"provider": "one", "model": "m"}], "b": [{"provider": "one", "model": "m", "concurrent": 1}]},
    }

    async with opened(settings) as routing:
        await attempt(routing, exchange("a"))

        assert "target_busy" == code(await attempt(routing, exchange("b")))


async def test_everything_is_given_back_whatever_the_outcome(opened: Any, exchange: Any, fake_relay: Any) -> None:
    settings = {"providers": {"one": ONE}, "models": {"m-*": [{"provider": "one"}]}, "breaker": {"failures": 100}}
    outcomes = ["completed", "failed", "client_left", "skipped", "lost", "interrupted", "refused"]

    async with opened(settings) as routing:
        for number, outcome in enumerate(outcomes):
            await attempt(routing, exchange(f"m-{number}"), outcome=outcome, error="upstream_failed")

    assert {("one",): 0.0, ("one/m-*",): 0.0} == dict(fake_relay.gauges["relay_target_in_flight"].read())


async def test_a_target_that_somebody_else_made_is_let_through(opened: Any, exchange: Any) -> None:
    async with opened(
        {"providers": {"one": {**ONE, "concurrent": 1}}, "models": {"m": [{"provider": "one"}]}}
    ) as routing:
        asking = exchange("m")
        await routing.on_request(asking)
        theirs = Attempt(asking, replace(asking.targets[0], name="acme's own"), asking.call, 1, 1)

        assert await routing.on_attempt(asking, theirs) is None


async def test_every_code_it_skips_or_refuses_with_is_registered(opened: Any) -> None:
    async with opened({"providers": {"one": ONE}}) as routing:
        codes = {code.code: code.status for code in routing.errors}

    assert {"unknown_model": 404, "dialect_not_offered": 400, "target_busy": 503, "target_open": 503} == codes
