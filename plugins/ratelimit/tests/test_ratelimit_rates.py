"""What holds for a rate whatever arrives when. (The shared limiter counts the same: see the suite of both.)"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from relay_ratelimit.limit import MICROSECONDS, Ask
from relay_ratelimit.local import LocalLimiter

WINDOW = 60 * MICROSECONDS
limits = st.integers(1, 10_000)
arrivals = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 10), st.integers(0, WINDOW // 4), st.integers(0, 3 * WINDOW)), st.integers(1, 10_000)
    ),
    min_size=1,
    max_size=60,
)


class _Clock:
    def __init__(self) -> None:
        self.at = 10**9 * MICROSECONDS

    def __call__(self) -> float:
        return self.at / MICROSECONDS


async def _served(limit: int, arrivals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """When how much was let in."""
    clock = _Clock()
    limiter = LocalLimiter(clock=clock)
    served = []
    for gap, cost in arrivals:
        clock.at += gap
        ask = Ask("k", "tokens", limit, 60, min(cost, limit))
        if (await limiter.take("exc", [ask])).permits:
            served.append((clock.at, ask.cost))
    return served


@settings(max_examples=100, deadline=None)
@given(limits, arrivals)
def test_no_span_holds_more_than_the_limit_and_what_came_back_in_it(
    limit: int, arrivals: list[tuple[int, int]]
) -> None:
    served = asyncio.run(_served(limit, arrivals))

    for first, (start, _) in enumerate(served):
        total = 0
        for at, cost in served[first:]:
            total += cost * WINDOW // limit
            assert total <= WINDOW + at - start


@settings(max_examples=100, deadline=None)
@given(limits, arrivals)
def test_no_minute_that_begins_with_a_first_request_holds_more_than_the_limit(
    limit: int, arrivals: list[tuple[int, int]]
) -> None:
    served = asyncio.run(_served(limit, arrivals))

    start, total = -WINDOW, 0
    for at, cost in served:
        if at >= start + WINDOW:
            start, total = at, 0
        total += cost
        assert total <= limit


@settings(max_examples=100, deadline=None)
@given(limits, arrivals, st.integers(1, 10_000))
def test_a_wait_is_neither_too_short_nor_too_long(limit: int, arrivals: list[tuple[int, int]], cost: int) -> None:
    async def play() -> tuple[float, bool, bool]:
        clock = _Clock()
        limiter = LocalLimiter(clock=clock)
        for gap, size in arrivals:
            clock.at += gap
            await limiter.take("exc", [Ask("k", "tokens", limit, 60, min(size, limit))])
        ask = Ask("k", "tokens", limit, 60, min(cost, limit))
        (verdict,) = (await limiter.take("exc", [ask])).verdicts
        wait = round(verdict.wait_s * MICROSECONDS)
        if not wait:
            return 0, False, True
        clock.at += wait - 1
        early = (await limiter.take("exc", [ask])).permits
        clock.at += 1
        return verdict.wait_s, early, (await limiter.take("exc", [ask])).permits

    wait_s, is_early_let_in, is_let_in = asyncio.run(play())

    assert is_let_in
    assert not is_early_let_in
    assert wait_s <= 60


async def test_a_steady_caller_at_the_limit_is_never_refused() -> None:
    clock = _Clock()
    limiter = LocalLimiter(clock=clock)
    refused = 0
    for _ in range(1000):
        refused += not (await limiter.take("exc", [Ask("k", "requests", 100, 60)])).permits
        clock.at += WINDOW // 100

    assert 0 == refused


async def test_over_the_border_of_two_minutes_there_is_no_second_burst() -> None:
    clock = _Clock()
    limiter = LocalLimiter(clock=clock)
    ask = Ask("k", "requests", 100, 60)
    await limiter.take("exc", [ask])
    clock.at += WINDOW - MICROSECONDS
    before = sum([(await limiter.take("exc", [ask])).permits for _ in range(200)])
    clock.at += MICROSECONDS
    after = sum([(await limiter.take("exc", [ask])).permits for _ in range(200)])

    assert 99 == before
    assert after <= 3


async def test_a_process_gives_out_its_part_and_at_least_one() -> None:
    limiter = LocalLimiter(parts=4)
    permits = {
        limit: sum([(await limiter.take(str(n), [Ask(str(limit), "requests", limit, 60)])).permits for n in range(50)])
        for limit in (100, 10, 3)
    }

    assert {100: 25, 10: 2, 3: 1} == permits


async def test_counts_are_bounded_and_lose_what_was_least_used() -> None:
    limiter = LocalLimiter(entries=2)
    for key in ("a", "b", "a", "c"):
        await limiter.take("exc", [Ask(key, "requests", 3, 60)])

    remaining = [(await limiter.take("exc", [Ask(key, "requests", 3, 60)])).verdicts[0].remaining for key in ("a", "b")]

    assert [0, 2] == remaining
