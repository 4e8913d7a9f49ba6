"""The workers of one generation: started together, kept alive, drained together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relay.engine.worker_process import WorkerProcess
from relay.engine.worker_status import FIRST
from relay.errors import RelayError
from relay.storage.backoff import Backoff

# For a worker that said it failed and does not go by itself.
_LAST_WORDS_S = 1.0


class Log(Protocol):
    """Where the supervisor tells what happens: `log("worker_ended", worker=1, pid=…)`."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


class StartFailed(RelayError):
    """A generation did not come up; the message says which worker failed, and what it said."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What one set of workers serves. The supervisor gives it its number; the rest only its `command` understands.

    :param environment: variables for the workers, beside the supervisor's own (the configuration's path, its hash, …).
    :param arguments: anything `command` wants to know, such as arguments of the workers.
    """

    number: int = 0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    arguments: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker as operators see it. `pid` is None and `state` is `waiting` between a crash and the next start."""

    number: int
    pid: int | None
    generation: int
    state: str
    restarts: int


@dataclass(slots=True)
class _Place:
    """A worker's number, which its lives have in common."""

    number: int
    backoff: Backoff
    worker: WorkerProcess | None = None
    restarts: int = 0


class Fleet:
    """The workers of one generation.

    :param command: the worker's command line for this generation.
    :param ready_s: seconds a worker has until it says it is ready; then it counts as crashed.
    :param changed: called after each change that `status()` shows.
    """

    def __init__(
        self,
        generation: Generation,
        command: Sequence[str],
        *,
        sockets: Sequence[socket.socket],
        size: int,
        ready_s: float,
        backoff: Callable[[], Backoff],
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        self.generation = generation
        self._command = command
        self._sockets = sockets
        self._ready_s = ready_s
        self._log = log
        self._changed = changed
        self._places = [_Place(number, backoff()) for number in range(1, size + 1)]
        self._keepers: list[asyncio.Task[None]] = []
        self._needed = 0
        # Until it is done the fleet is on trial: no worker is started a second time.
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, *, needed: int) -> None:
        """Start all workers, keep them alive from now on, and return when `needed` of them are ready.

        :raises StartFailed: when one of them failed before that. Those that run, run on: `drain` the fleet.
        """
        self._needed = needed
        self._keepers = [asyncio.create_task(self._keep(place)) for place in self._places]
        for keeper in self._keepers:
            keeper.add_done_callback(self._kept)
        await self._up

    async def drain(self, drain_s: float) -> None:
        """End all workers: they get SIGTERM, `drain_s` seconds to finish what they have begun, then SIGKILL.

        This holds for workers that are still starting too; one that has no handler yet goes at once.
        """
        for keeper in self._keepers:
            keeper.cancel()
        workers = self._alive()
        for worker in workers:
            worker.drain()
        try:
            async with asyncio.timeout(drain_s):
                for worker in workers:
                    await worker.gone.wait()
        except TimeoutError:
            self._log("drain_cut", generation=self.generation.number, workers=len(self._alive()), after_s=drain_s)
            self.kill()
        for worker in workers:
            await worker.gone.wait()

    def kill(self) -> None:
        """SIGKILL to every worker that is left, and no new ones."""
        for keeper in self._keepers:
            keeper.cancel()
        for worker in self._alive():
            worker.kill()

    def status(self) -> list[WorkerStatus]:
        """The workers, by number."""
        shown = []
        for place in self._places:
            worker = place.worker if place.worker is not None and place.worker.state != "ended" else None
            state, pid = ("waiting", None) if worker is None else (worker.state, worker.pid)
            shown.append(WorkerStatus(place.number, pid, self.generation.number, state, place.restarts))
        return shown

    def _alive(self) -> list[WorkerProcess]:
        return [place.worker for place in self._places if place.worker is not None and not place.worker.gone.is_set()]

    async def _keep(self, place: _Place) -> None:
        while True:
            reason, healthy_s = await self._live(place)
            if not self._up.done():
                self._up.set_exception(StartFailed(f"worker {place.number}: {reason}"))
            if self._up.cancelled() or self._up.exception() is not None:
                return
            wait_s = place.backoff.after(healthy_s)
            self._tell("worker_ended", place, reason=reason, healthy_s=round(healthy_s, 3), restart_in_s=wait_s)
            await asyncio.sleep(wait_s)
            place.restarts += 1

    async def _live(self, place: _Place) -> tuple[str, float]:
        """One life of a worker: why it ended, and for how many seconds it was healthy."""
        environment = dict(self.generation.environment)
        if (self.generation.number, place.number, place.restarts) == (1, 1, 0):
            environment[FIRST] = "1"
        try:
            worker = place.worker = WorkerProcess(
                self._command,
                number=place.number,
                generation=self.generation.number,
                environment=environment,
                sockets=self._sockets,
                changed=self._changed,
            )
        except OSError as error:
            return f"it could not be started: {error}", 0.0
        self._tell("worker_started", place)
        try:
            async with asyncio.timeout(self._ready_s):
                await worker.settled.wait()
        except TimeoutError:
            worker.kill()
            await worker.gone.wait()
            return f"it was not ready within {self._ready_s:g} s", 0.0
        if worker.state == "ready":
            self._tell("worker_ready", place)
            self._count()
            await worker.down.wait()
        healthy_s = worker.healthy_s
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await worker.gone.wait()
        except TimeoutError:
            worker.kill()
            await worker.gone.wait()
        return worker.fate(), healthy_s

    def _kept(self, keeper: asyncio.Task[None]) -> None:
        """Pass on what a keeper never should raise, such as a TypeError for a command that is none."""
        if not keeper.cancelled() and (mistake := keeper.exception()) is not None and not self._up.done():
            self._up.set_exception(mistake)

    def _count(self) -> None:
        self._needed -= 1
        if self._needed == 0 and not self._up.done():
            self._up.set_result(None)

    def _tell(self, event: str, place: _Place, **fields: object) -> None:
        pid = place.worker.pid if place.worker is not None else None
        self._log(event, worker=place.number, pid=pid, generation=self.generation.number, **fields)
