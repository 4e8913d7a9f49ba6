"""While the shared state does not answer: what was declared holds, it shows, and it ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from relay_ratelimit.degrading import Degrading
from relay_ratelimit.plugin import Ratelimit
from relay_ratelimit.settings import RatelimitSettings

from relay.ports import StateUnavailable
from relay.storage.redis_state import RedisState
from relay.storage.state import LocalState
from relay.testing.play import Play


class Cuttable(LocalState):
    """The shared state, and a switch that cuts it off; `after`: it does what it is asked, and only the answer is lost."""

    def __init__(self, state: RedisState) -> None:
        super().__init__()
        self._state = state
        self.is_cut = False
        self.after = False
        self.delay_s = 0.0

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> list[int]:
        if self.is_cut and not self.after:
            raise StateUnavailable
        answer = await self._state.run(script, keys, args)
        await asyncio.sleep(self.delay_s)
        if self.is_cut:
            raise StateUnavailable
        return answer


@pytest.fixture
def cuttable(state: RedisState) -> Cuttable:
    return Cuttable(state)


def play(state: LocalState, **settings: Any) -> Play:
    return Play(Ratelimit(RatelimitSettings.model_validate({"processes": 4, **settings})), state=state)


def degraded(played: Play) -> tuple[float, bool, str]:
    (gauge,) = [gauge for gauge in played.gateway.gauges() if gauge.name == "relay_ratelimit_degraded"]
    ((_, figure),) = gauge.read()
    finding = played.gateway.readiness()["ratelimit"]
    return figure, finding.ok, finding.message


async def renew(played: Play) -> None:
    (job,) = played.plugins[0].jobs()
    await job.run()


async def test_divided_each_process_gives_out_its_part(cuttable: Cuttable) -> None:
    async with play(cuttable, requests_per_minute=8) as played:
        before = degraded(played)
        cuttable.is_cut = True
        found = [(await played.ask()).status for _ in range(4)]
        during = degraded(played)
        cuttable.is_cut = False
        await renew(played)
        after = degraded(played)
        back = (await played.ask()).status

    assert (0.0, True, "") == before
    assert [200, 200, 429, 429] == found
    assert (1.0, True, "the shared state does not answer: each process gives out 1/4 of every limit") == during
    assert before == after
    assert 200 == back
    events = [line["event"] for line in played.log if line["event"].startswith("ratelimit")]
    assert ["ratelimit_degraded", "ratelimit_restored"] == events


async def test_refused_every_request_with_a_limit_is_a_503_until_it_is_back(cuttable: Cuttable) -> None:
    limits = [{"per": ["key"], "only": {"model": "dear"}, "requests_per_minute": 8}]
    async with play(cuttable, limits=limits, without_state="refuse") as played:
        cuttable.is_cut = True
        refused, free = await played.ask(model="dear"), await played.ask(model="cheap")
        during = degraded(played)
        cuttable.is_cut = False
        served = await played.ask(model="dear")

    assert (503, "limits_unavailable") == (refused.status, refused.error)
    assert () == refused.sent
    assert 200 == free.status
    assert (1.0, False) == during[:2]
    assert 200 == served.status
    assert (0.0, True, "") == degraded(played)


async def test_without_any_shared_state_several_processes_each_have_their_part_and_it_shows() -> None:
    async with play(LocalState(), requests_per_minute=8, without_state="refuse") as played:
        found = [(await played.ask()).status for _ in range(3)]

        assert [200, 200, 429] == found
        assert (1.0, True) == degraded(played)[:2]


async def test_one_process_needs_no_shared_state() -> None:
    async with play(LocalState(), requests_per_minute=8, processes=1) as played:
        assert 8 == sum([(await played.ask()).status == 200 for _ in range(10)])
        assert (0.0, True, "") == degraded(played)


async def test_a_slot_taken_before_the_answer_was_lost_is_freed_once_the_state_is_back(cuttable: Cuttable) -> None:
    async with play(cuttable, concurrent=1, without_state="refuse") as played:
        cuttable.is_cut = cuttable.after = True
        refused = await played.ask()
        cuttable.is_cut = False
        served = await played.ask()

    assert [503, 200] == [refused.status, served.status]


async def test_a_client_that_leaves_while_its_limits_are_asked_leaves_its_slot(cuttable: Cuttable) -> None:
    async with play(cuttable, concurrent=1) as played:
        cuttable.delay_s = 0.2
        asked = asyncio.create_task(played.ask())
        await asyncio.sleep(0.1)
        asked.cancel()
        await asyncio.wait([asked])
        cuttable.delay_s = 0.0
        served = await played.ask()

    assert asked.cancelled()
    assert 200 == served.status


async def test_the_state_may_go_in_the_middle_of_a_request(cuttable: Cuttable) -> None:
    async with play(cuttable, concurrent=1, tokens_per_minute=100) as played:
        gate = asyncio.Event()
        played.replies(gate, b'{"text":"x","usage":{"in":1,"out":1},"stop":"end"}')
        running = asyncio.create_task(played.ask())
        await asyncio.sleep(0.05)
        cuttable.is_cut = True
        gate.set()
        reply = await running

        assert 200 == reply.status
        assert 1.0 == degraded(played)[0]
        assert "end_failed" not in [line["event"] for line in played.log]


async def test_no_ticket_is_kept_when_its_request_has_ended(cuttable: Cuttable) -> None:
    async with play(cuttable, concurrent=5, requests_per_minute=3) as played:
        for is_cut in (False, True, False):
            cuttable.is_cut = is_cut
            for _ in range(3):
                await played.ask()
        plugin = played.plugins[0]
        assert isinstance(plugin, Ratelimit)
        limiter = plugin._open()[1]

        assert isinstance(limiter, Degrading)
        assert set() == limiter._held
