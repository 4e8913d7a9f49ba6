"""What a limiter does, in one process and in the shared state: one suite for both, and both the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from relay_ratelimit.limit import MICROSECONDS, Ask, Limiter, Taken
from relay_ratelimit.local import LocalLimiter
from relay_ratelimit.shared import SharedLimiter

from relay.storage.redis_state import RedisState

SLOTS = Ask("slots", "requests at once", 2)


def requests(limit: int, window_s: int = 60, key: str = "requests") -> Ask:
    return Ask(key, "requests", limit, window_s)


def tokens(cost: int, limit: int = 100, window_s: int = 60) -> Ask:
    return Ask("tokens", "tokens", limit, window_s, cost)


async def permitted(limiter: Limiter, ask: Ask, tries: int) -> int:
    return sum([(await limiter.take(f"exc_{number}", [ask])).permits for number in range(tries)])


async def test_as_many_as_the_limit_says_are_let_in_at_once_and_no_more(limiter: Limiter) -> None:
    assert 7 == await permitted(limiter, requests(7), 20)

    (refused,) = (await limiter.take("exc", [requests(7)])).verdicts
    assert (False, 0) == (refused.permits, refused.remaining)
    assert 50 < refused.wait_s <= 60
    assert refused.wait_s <= refused.reset_s <= 60


async def test_what_remains_is_told_with_each_answer(limiter: Limiter) -> None:
    told = [(await limiter.take(f"exc_{number}", [requests(3)])).verdicts[0].remaining for number in range(4)]

    assert [2, 1, 0, 0] == told


async def test_a_minute_later_the_whole_limit_is_there_again(limiter: Limiter) -> None:
    await permitted(limiter, requests(10, window_s=1), 10)
    await asyncio.sleep(1.05)

    assert 10 == await permitted(limiter, requests(10, window_s=1), 15)


async def test_after_the_wait_that_was_told_it_is_let_in(limiter: Limiter) -> None:
    await permitted(limiter, requests(5, window_s=1), 5)
    await asyncio.sleep(0.5)
    (refused,) = (await limiter.take("exc", [requests(5, window_s=1)])).verdicts
    await asyncio.sleep(refused.wait_s + 0.002)

    assert refused.wait_s < 0.55
    assert (await limiter.take("exc", [requests(5, window_s=1)])).permits


async def test_a_request_takes_from_all_its_limits_or_from_none(limiter: Limiter) -> None:
    wide, narrow = requests(10, key="wide"), requests(1, key="narrow")
    await limiter.take("exc_1", [narrow])

    refused = await limiter.take("exc_2", [wide, SLOTS, narrow])
    after = await limiter.take("exc_3", [wide, SLOTS])

    assert [True, True, False] == [verdict.permits for verdict in refused.verdicts]
    assert [10, 2, 0] == [verdict.remaining for verdict in refused.verdicts]
    assert [9, 1] == [verdict.remaining for verdict in after.verdicts]


async def test_slots_are_held_until_their_request_ends(limiter: Limiter) -> None:
    first = await limiter.take("exc_1", [SLOTS])
    await limiter.take("exc_2", [SLOTS])
    third = await limiter.take("exc_3", [SLOTS])

    for _ in range(2):
        await limiter.settle("exc_1", [SLOTS], first.at, None)

    assert [(False, 0)] == [(verdict.permits, verdict.remaining) for verdict in third.verdicts]
    assert (await limiter.take("exc_3", [SLOTS])).permits
    assert not (await limiter.take("exc_4", [SLOTS])).permits


async def test_tokens_that_were_not_used_are_given_back(limiter: Limiter) -> None:
    first = await limiter.take("exc_1", [tokens(90)])
    before = await limiter.take("exc_2", [tokens(20)])
    await limiter.settle("exc_1", [tokens(90)], first.at, 30)

    after = await limiter.take("exc_2", [tokens(20)])

    assert not before.permits
    assert (True, 50) == (after.permits, after.verdicts[0].remaining)


async def test_tokens_beyond_the_estimate_delay_what_comes_next(limiter: Limiter) -> None:
    first = await limiter.take("exc_1", [tokens(10)])
    await limiter.settle("exc_1", [tokens(10)], first.at, 250)

    (refused,) = (await limiter.take("exc_2", [tokens(10)])).verdicts

    assert (False, 0) == (refused.permits, refused.remaining)
    assert 90 < refused.wait_s <= 96.1


async def test_an_estimate_that_stands_changes_nothing(limiter: Limiter) -> None:
    first = await limiter.take("exc_1", [tokens(10)])
    await limiter.settle("exc_1", [tokens(10)], first.at, None)
    await limiter.settle("exc_1", [tokens(10)], first.at, 10)

    assert 80 == (await limiter.take("exc_2", [tokens(10)])).verdicts[0].remaining


async def test_what_is_given_back_after_its_minute_is_not_given_to_the_next(limiter: Limiter) -> None:
    first = await limiter.take("exc_1", [tokens(100, window_s=1)])
    await asyncio.sleep(1.05)
    await limiter.take("exc_2", [tokens(60, window_s=1)])
    await limiter.settle("exc_1", [tokens(100, window_s=1)], first.at, 1)

    assert not (await limiter.take("exc_3", [tokens(60, window_s=1)])).permits


async def test_one_that_needs_more_than_is_left_waits_and_a_smaller_one_does_not(limiter: Limiter) -> None:
    await limiter.take("exc_1", [tokens(70)])

    assert not (await limiter.take("exc_2", [tokens(40)])).permits
    assert (await limiter.take("exc_3", [tokens(30)])).permits


# Only where processes share the counts


async def test_the_slot_of_a_process_that_died_is_free_after_its_lease(state: RedisState) -> None:
    limiter, slot = SharedLimiter(state, lease_s=0.3), Ask("slots", "requests at once", 1)
    await limiter.take("exc_1", [slot])
    before = await limiter.take("exc_2", [slot])
    await asyncio.sleep(0.35)

    assert not before.permits
    assert (await limiter.take("exc_2", [slot])).permits


async def test_a_renewed_slot_is_kept_and_a_freed_one_is_not_taken_again(state: RedisState) -> None:
    limiter, slot = SharedLimiter(state, lease_s=0.5), Ask("slots", "requests at once", 2)
    first = await limiter.take("exc_1", [slot])
    await limiter.take("exc_2", [slot])
    await limiter.settle("exc_1", [slot], first.at, None)
    await asyncio.sleep(0.3)
    await limiter.renew([("slots", "exc_1"), ("slots", "exc_2")])
    await asyncio.sleep(0.3)

    assert 0 == (await limiter.take("exc_3", [slot])).verdicts[0].remaining


async def test_nothing_stays_in_the_state_when_it_counts_no_more(state: RedisState) -> None:
    limiter = SharedLimiter(state, lease_s=0.5)
    asks = [requests(1000, window_s=1), tokens(5, window_s=1), SLOTS]
    taken = await limiter.take("exc_1", asks)
    await limiter.settle("exc_1", asks, taken.at, 3)
    there = await state.run("return {redis.call('DBSIZE')}", [], [])
    await asyncio.sleep(1.1)

    assert [2] == there
    assert [0] == await state.run("return {redis.call('DBSIZE')}", [], [])


class _Timed:
    """The state, by a clock of the test's: scripts get its time where they ask the server's."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self.at = 1_800_000_000 * MICROSECONDS

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> list[int]:
        timed = script.replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
        # The server's own clock, by which entries go, does not follow.
        timed = timed.replace("redis.call('PEXPIRE', ", "tostring(")
        return await self._state.run(timed, keys, [*args, *divmod(self.at, MICROSECONDS)])


@pytest.mark.parametrize("seed", range(5))
async def test_both_count_the_same(state: RedisState, seed: int) -> None:
    random, timed = Random(seed), _Timed(state)
    # A lease without end: what runs out in the state does not in a process, which sees the end of its requests.
    shared = SharedLimiter(timed, lease_s=10**6)
    local = LocalLimiter(clock=lambda: timed.at / MICROSECONDS)
    running: list[tuple[str, list[Ask], int]] = []
    for number in range(150):
        timed.at += random.choice([0, 1, 250_000, 3_000_000, 40_000_000])
        asks = [requests(7), tokens(random.randint(1, 1000), limit=1000), Ask("slots", "requests at once", 5)]
        ours: Taken = await shared.take(f"exc_{number}", asks)
        theirs = await local.take(f"exc_{number}", asks)

        assert theirs == ours
        if ours.permits:
            running.append((f"exc_{number}", asks, ours.at))
        if running and random.random() < 0.6:
            id, held, at = running.pop(random.randrange(len(running)))
            used = random.choice([None, 0, 5, 900, 3000])
            await shared.settle(id, held, at, used)
            await local.settle(id, held, at, used)
