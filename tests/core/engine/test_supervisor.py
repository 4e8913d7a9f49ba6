"""The supervisor with real workers and real sockets; signals are left to test_supervisor_signals.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relay.engine.sockets import close_listeners, open_listeners
from relay.engine.supervisor import Generation, Supervisor
from relay.errors import ConfigurationError, Problem
from relay.storage.backoff import Backoff

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


@dataclass
class Stand:
    """A supervisor under test and what it said."""

    supervisor: Supervisor
    listener: socket.socket
    told: list[tuple[str, dict[str, Any]]]
    fake: list[str | Exception]
    """What the next generations' workers are like; the last stays. An exception is what the check raises."""
    run: asyncio.Task[int] = field(init=False)

    def all_of(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.told if name == event]

    async def until(self, event: str, times: int = 1) -> dict[str, Any]:
        await eventually(lambda: len(self.all_of(event)) >= times, lambda: f"{times} {event} in {self.told}")
        return self.all_of(event)[times - 1]

    async def ask(self, line: str = "who") -> str:
        reader, writer = await asyncio.open_connection(*self.listener.getsockname())
        try:
            writer.write(f"{line}\n".encode())
            return (await reader.read()).decode()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def generation(self) -> int:
        return int((await self.ask()).split()[1])

    @asynccontextmanager
    async def long_answer(self, seconds: float) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        """An answer that has begun; the rest of it when asked."""
        reader, writer = await asyncio.open_connection(*self.listener.getsockname())
        try:
            writer.write(f"slow {seconds}\n".encode())
            assert b"begun\n" == await reader.readline()
            yield reader.read
        finally:
            writer.close()

    def pids(self) -> list[int]:
        return [worker.pid for worker in self.supervisor.status() if worker.pid is not None]


async def eventually(true: Callable[[], bool], what: Callable[[], str], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, what()
        await asyncio.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


MakeStand = Callable[..., AbstractAsyncContextManager[Stand]]


@pytest.fixture
async def stand() -> MakeStand:
    @asynccontextmanager
    async def make(*fake: str | Exception, workers: int = 1, **settings: Any) -> AsyncIterator[Stand]:
        told: list[tuple[str, dict[str, Any]]] = []
        fakes = list(fake) or [""]
        (listener,) = open_listeners(["127.0.0.1:0"])

        async def check() -> Generation:
            now = fakes.pop(0) if len(fakes) > 1 else fakes[0]
            if isinstance(now, Exception):
                raise now
            return Generation(environment={"FAKE": now, "FAKE_SLEEP": "20", "FAKE_KEY": "never-told"})

        supervisor = Supervisor(
            **{
                "command": lambda generation: [sys.executable, str(FAKE_WORKER)],
                "sockets": [listener],
                "workers": workers,
                "check": check,
                "drain_s": 5.0,
                "ready_s": 10.0,
                "log": lambda event, **fields: told.append((event, fields)),
                **settings,
            }
        )
        here = Stand(supervisor, listener, told, fakes)
        here.run = asyncio.create_task(supervisor.run())
        pids: set[int] = set()
        try:
            yield here
            pids.update(here.pids())
        finally:
            supervisor.stop()
            supervisor.stop()
            await asyncio.wait([here.run])
            close_listeners([listener])
        assert [] == [pid for pid in pids if is_alive(pid)]
        assert here.run.cancelled() or here.run.exception() is None

    return make


async def test_the_port_is_open_and_answered_while_workers_are_killed_under_load(stand: MakeStand) -> None:
    answered, refused, stop = 0, 0, asyncio.Event()

    async def load() -> None:
        nonlocal answered, refused
        while not stop.is_set():
            try:
                answered += bool(await here.ask())
            except ConnectionRefusedError:
                refused += 1
            except ConnectionError:
                pass  # It was in the hands of a worker that was killed: nothing can answer it.

    async with stand(workers=2) as here:
        await here.until("worker_ready", 2)
        clients = [asyncio.create_task(load()) for _ in range(4)]
        for round_ in range(1, 5):
            before = answered
            os.kill(here.pids()[round_ % 2], signal.SIGKILL)
            await here.until("worker_ready", 2 + round_)
            assert answered > before
        stop.set()
        await asyncio.gather(*clients)

    assert 0 == refused


async def test_a_killed_worker_is_back_within_a_second_and_answers_who_came_meanwhile(stand: MakeStand) -> None:
    async with stand() as here:
        await here.until("worker_ready")
        started = time.monotonic()

        os.kill(here.pids()[0], signal.SIGKILL)
        number, generation, _ = (await here.ask()).split()

        assert time.monotonic() - started < 1.0
        assert ("1", "1") == (number, generation)
        ended = here.all_of("worker_ended")[0]
        assert (0.0, "it ended with signal SIGKILL") == (ended["restart_in_s"], ended["reason"])
        assert [1] == [worker.restarts for worker in here.supervisor.status()]


async def test_a_worker_that_crashes_again_and_again_is_restarted_ever_more_slowly(stand: MakeStand) -> None:
    async with stand("faints", backoff=lambda: Backoff(first_s=0.02, most_s=0.06)) as here:
        await here.until("worker_ended", 5)

        waits = [ended["restart_in_s"] for ended in here.all_of("worker_ended")]

    assert [0.0, 0.02, 0.04, 0.06, 0.06] == waits[:5]


async def test_a_dead_worker_is_noticed_though_its_child_lives_on(stand: MakeStand) -> None:
    async with stand("leaves a child", "") as here:
        await here.until("worker_ready")

        os.kill(here.pids()[0], signal.SIGKILL)

        await here.until("worker_ready", 2)


@pytest.mark.parametrize(
    ("fake", "settings", "why"),
    [
        ("fails", {}, "worker 1: the database does not answer"),
        ("dies", {}, "worker 1: it ended with exit status 3"),
        ("hangs", {"ready_s": 0.3}, "worker 1: it was not ready within 0.3 s"),
        ("", {"command": lambda _: ["/nowhere/relay"]}, "worker 1: it could not be started: [Errno 2] No such file"),
        ("", {"command": lambda _: [None]}, "expected str, bytes or os.PathLike object, not NoneType"),
        (ConfigurationError([Problem("relay.yaml", 7, 5, "no such plugin")]), {}, "relay.yaml:7:5: no such plugin"),
    ],
)
async def test_a_first_start_that_fails_ends_the_supervisor_with_the_reason(
    stand: MakeStand, fake: str, settings: dict[str, Any], why: str
) -> None:
    async with stand(fake, **settings) as here:
        status = await here.run

        assert 1 == status
        assert here.all_of("start_failed")[0]["error"].startswith(why)
        assert [] == here.all_of("worker_ended")


async def test_a_worker_that_fails_beside_a_ready_one_does_not_end_the_first_start(stand: MakeStand) -> None:
    async with stand("fails when told:2", workers=2) as here:
        await here.until("worker_ready")
        os.kill(here.pids()[1], signal.SIGUSR1)
        await here.until("worker_ended")

        assert here.supervisor.serving.is_set()
        assert 1 == await here.generation()


async def test_a_reload_puts_new_workers_in_the_place_of_the_old(stand: MakeStand) -> None:
    async with stand(workers=2) as here:
        await here.until("worker_ready", 2)
        old = here.pids()

        here.supervisor.reload()
        await here.until("drained")

        assert 2 == await here.generation()
        assert [] == [pid for pid in old if is_alive(pid)]
        assert [(1, 2, "ready", 0), (2, 2, "ready", 0)] == [
            (worker.number, worker.generation, worker.state, worker.restarts) for worker in here.supervisor.status()
        ]


async def test_a_long_answer_of_the_old_generation_is_finished(stand: MakeStand) -> None:
    async with stand() as here:
        await here.until("worker_ready")
        async with here.long_answer(0.6) as rest:
            here.supervisor.reload()
            await here.until("reloaded")

            assert b"done\n" == await rest()
        await here.until("drained")
        assert 2 == await here.generation()


async def test_an_invalid_configuration_is_shown_and_the_old_one_goes_on(stand: MakeStand) -> None:
    wrong = ConfigurationError([Problem("relay.yaml", 9, 5, "no plugin named 'audti' is installed")])
    async with stand("", wrong, "") as here:
        await here.until("worker_ready")

        here.supervisor.reload()
        told = await here.until("reload_refused")

        assert "relay.yaml:9:5: no plugin named 'audti' is installed" == told["error"]
        assert 1 == await here.generation()
        here.supervisor.reload()
        await here.until("drained")
        assert 2 == await here.generation()


async def test_new_workers_that_do_not_get_ready_leave_the_old_ones_serving(stand: MakeStand) -> None:
    async with stand("", "fails:2", workers=2) as here:
        await here.until("worker_ready", 2)
        old = here.pids()

        here.supervisor.reload()
        await here.until("drained")

        assert "worker 2: the database does not answer" == here.all_of("reload_failed")[0]["error"]
        assert old == here.pids()
        assert 1 == await here.generation()


async def test_what_a_new_worker_took_before_its_generation_failed_is_finished(stand: MakeStand) -> None:
    async with stand("", "fails when told:2", workers=2) as here:
        await here.until("worker_ready", 2)
        here.supervisor.reload()
        await here.until("worker_ready", 3)
        *old, _, failing = here.pids()
        for pid in old:  # So that the new worker that is ready is the one that answers.
            os.kill(pid, signal.SIGSTOP)
        try:
            async with here.long_answer(0.3) as rest:
                os.kill(failing, signal.SIGUSR1)
                await here.until("reload_failed")

                assert b"done\n" == await rest()
        finally:
            for pid in old:
                os.kill(pid, signal.SIGCONT)


async def test_reloads_wished_during_a_reload_are_one_more_reload(stand: MakeStand) -> None:
    async with stand() as here:
        await here.until("worker_ready")

        here.supervisor.reload()
        await here.until("reloading")
        for _ in range(5):
            here.supervisor.reload()
        await here.until("drained", 2)

        assert 3 == await here.generation()
        assert 2 == len(here.all_of("reloading"))


async def test_old_workers_that_do_not_end_are_killed_after_the_drain_time(stand: MakeStand) -> None:
    async with stand("stays", "", drain_s=0.3) as here:
        await here.until("worker_ready")

        here.supervisor.reload()
        await here.until("drained")

        assert [{"generation": 1, "workers": 1, "after_s": 0.3}] == here.all_of("drain_cut")


async def test_a_stop_lets_workers_finish_and_is_no_failure(stand: MakeStand) -> None:
    async with stand(workers=2) as here:
        await here.until("worker_ready", 2)
        async with here.long_answer(0.4) as rest:
            here.supervisor.stop()

            assert b"done\n" == await rest()
        assert 0 == await here.run
        assert [] == here.all_of("drain_cut")


async def test_a_stop_lets_the_workers_of_an_earlier_reload_finish_too(stand: MakeStand) -> None:
    async with stand() as here:
        await here.until("worker_ready")
        async with here.long_answer(0.5) as rest:
            here.supervisor.reload()
            await here.until("reloaded")
            here.supervisor.stop()

            assert b"done\n" == await rest()
        assert 0 == await here.run


async def test_a_stop_ends_workers_that_do_not_end_after_the_drain_time(stand: MakeStand) -> None:
    async with stand("stays", drain_s=0.3) as here:
        await here.until("worker_ready")
        started = time.monotonic()

        here.supervisor.stop()
        status = await here.run

        assert 0 == status
        assert 0.3 <= time.monotonic() - started < 1.5


async def test_a_second_stop_does_not_wait(stand: MakeStand) -> None:
    async with stand("stays", drain_s=30) as here:
        await here.until("worker_ready")
        started = time.monotonic()

        here.supervisor.stop()
        await asyncio.sleep(0.05)
        here.supervisor.stop()

        assert 0 == await here.run
        assert time.monotonic() - started < 1.0


async def test_a_stop_during_a_reload_ends_both_generations(stand: MakeStand) -> None:
    async with stand("", "hangs") as here:
        await here.until("worker_ready")
        here.supervisor.reload()
        await here.until("worker_started", 2)
        both = here.pids()

        here.supervisor.stop()

        assert 0 == await here.run
        assert [False, False] == [is_alive(pid) for pid in both]


async def test_a_supervisor_that_is_cancelled_leaves_no_worker(stand: MakeStand) -> None:
    async with stand("stays", workers=2) as here:
        await here.until("worker_ready", 2)
        pids = here.pids()

        here.run.cancel()
        await asyncio.wait([here.run])

        assert [False, False] == [is_alive(pid) for pid in pids]


async def test_the_status_file_always_shows_the_workers_whole(stand: MakeStand, tmp_path: Path) -> None:
    status_file = tmp_path / "workers.json"
    async with stand(workers=2, status_file=status_file) as here:
        await here.until("worker_ready", 2)

        shown = json.loads(status_file.read_text())

        one, two = here.pids()
        assert {
            "pid": os.getpid(),
            "workers": [
                {"number": 1, "pid": one, "generation": 1, "state": "ready", "restarts": 0},
                {"number": 2, "pid": two, "generation": 1, "state": "ready", "restarts": 0},
            ],
        } == shown
    assert [status_file] == list(tmp_path.iterdir())


async def test_neither_a_full_disk_nor_a_closed_terminal_ends_the_service(stand: MakeStand, tmp_path: Path) -> None:
    def closed(event: str, **fields: object) -> None:
        raise BrokenPipeError

    async with stand(log=closed, status_file=tmp_path / "missing" / "workers.json") as here:
        await asyncio.wait_for(here.supervisor.serving.wait(), 5)
        os.kill(here.pids()[0], signal.SIGKILL)

        assert 1 == await here.generation()


async def test_what_workers_are_given_is_never_told(stand: MakeStand) -> None:
    async with stand() as here:
        await here.until("worker_ready")
        os.kill(here.pids()[0], signal.SIGKILL)
        here.supervisor.reload()
        await here.until("drained")

        assert "never-told" not in repr(here.told)
        assert "never-told" not in repr(Generation(environment={"FAKE_KEY": "never-told"}, arguments=("never-told",)))


async def test_a_service_without_workers_is_refused() -> None:
    async def check() -> Generation:
        return Generation()

    with pytest.raises(ValueError, match="0 workers: at least one is needed"):
        Supervisor(
            command=lambda _: [], sockets=[], workers=0, check=check, drain_s=1, ready_s=1, log=lambda *_, **__: None
        )
