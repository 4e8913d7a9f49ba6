"""Shared state: in process and over the Redis protocol, one suite for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import asyncio as aioredis

from relay.engine.embedded import embedded_valkey
from relay.ports import Scripts, StateUnavailable
from relay.storage.redis_state import RedisState
from relay.storage.state import LocalState, State, open_state


def _nothing(event: str, /, **fields: object) -> None:
    """Nobody reads the server's log."""


@pytest.fixture(params=["local", "redis"])
async def state(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[State]:
    if request.param == "local":
        yield open_state(None)
        return
    async with embedded_valkey(tmp_path, log=_nothing) as url:
        made = open_state(url)
        yield made
        await made.close()


async def test_what_is_set_is_found_until_it_is_deleted(state: State) -> None:
    await state.set("a", b"1")
    await state.set("b", b"2")

    assert b"1" == await state.get("a")
    assert [b"2", None, b"1"] == await state.get_many(["b", "c", "a"])
    await state.delete("a")
    assert await state.get("a") is None
    assert [] == await state.get_many([])


async def test_a_value_goes_when_its_time_is_over(state: State) -> None:
    await state.set("a", b"1", ttl_s=0.05)
    await asyncio.sleep(0.1)

    assert await state.get("a") is None


async def test_only_the_first_adds(state: State) -> None:
    added = await asyncio.gather(*[state.add("a", b"%d" % number) for number in range(20)])

    assert 1 == sum(added)
    assert [True] == [await state.add("b", b"", ttl_s=0.05)]


async def test_local_state_is_bounded_and_loses_what_was_least_used() -> None:
    state = LocalState(limit=2)
    await state.set("a", b"1")
    await state.set("b", b"2")
    await state.get("a")
    await state.set("c", b"3")

    assert [b"1", None, b"3"] == await state.get_many(["a", "b", "c"])


async def test_a_server_that_is_away_fails_within_the_time_box_and_then_at_once(tmp_path: Path) -> None:
    state = RedisState(f"unix://{tmp_path}/nobody.sock", time_box_s=0.2)
    loop = asyncio.get_running_loop()
    for _ in range(3):
        with pytest.raises(StateUnavailable):
            await state.get("a")
    started = loop.time()
    with pytest.raises(StateUnavailable):
        await state.get("a")

    assert state.degraded
    assert loop.time() - started < 0.05
    await state.close()


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[RedisState]:
    async with embedded_valkey(tmp_path, log=_nothing) as url:
        state = RedisState(url)
        yield state
        await state.close()


async def test_scripts_run_in_the_order_in_which_they_are_asked_for(shared: RedisState) -> None:
    push = "redis.call('RPUSH', KEYS[1], ARGV[1]) return {redis.call('LLEN', KEYS[1]), tonumber(ARGV[1])}"
    asked = [asyncio.create_task(shared.run(push, ["a"], [number])) for number in range(300)]

    assert [[number + 1, number] for number in range(300)] == await asyncio.gather(*asked)


async def test_a_failing_script_fails_alone(shared: RedisState) -> None:
    fails, good, broken = await asyncio.gather(
        shared.run("return redis.call('GET')", [], []),
        shared.run("return {1}", [], []),
        shared.run("this is no Lua", [], []),
        return_exceptions=True,
    )

    assert isinstance(fails, StateUnavailable)
    assert isinstance(broken, StateUnavailable)
    assert [1] == good


async def test_a_script_runs_though_whoever_asked_has_left(shared: RedisState) -> None:
    asked = asyncio.create_task(shared.run("return {redis.call('INCR', KEYS[1])}", ["a"], []))
    await asyncio.sleep(0)
    asked.cancel()

    assert [2] == await shared.run("return {redis.call('INCR', KEYS[1])}", ["a"], [])
    assert asked.cancelled()


async def test_what_waits_for_a_script_when_the_state_is_closed_is_told_so(tmp_path: Path) -> None:
    state = RedisState(f"unix://{tmp_path}/nobody.sock")
    asked = asyncio.create_task(state.run("return {1}", [], []))
    await asyncio.sleep(0)
    await state.close()

    with pytest.raises(StateUnavailable):
        await asked


async def test_only_a_server_runs_scripts(shared: RedisState) -> None:
    assert isinstance(shared, Scripts)
    assert not isinstance(LocalState(), Scripts)


async def test_a_server_that_lost_scripts_and_connections_is_given_them_again(shared: RedisState) -> None:
    await asyncio.gather(*[shared.run("return {1}", [], []) for _ in range(3)])
    place = shared._client.connection_pool.connection_kwargs["path"]
    async with aioredis.Redis(unix_socket_path=place) as other:
        await other.script_flush()
        await other.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.05)

        assert [1] == await shared.run("return {1}", [], [])
