"""The process that stands around the workers: it holds the port, restarts, reloads and drains them.

It serves no request and imports no server, so that it stays small and has little to die of. SIGHUP reloads, SIGTERM and
SIGINT drain and end it, a second one ends it at once. It runs in the main thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from relay.engine.fleet import Fleet, Generation, Log, WorkerStatus
from relay.engine.sockets import close_listeners
from relay.storage.backoff import Backoff

__all__ = ["Generation", "Supervisor", "WorkerStatus"]

_STOP = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Keeps `workers` processes serving on `sockets`, which it holds until it stops: the port outlives every worker.

    :param command: the command line of a worker of a generation; the worker's side is `relay.engine.worker_status`.
    :param check: reads the configuration anew and gives what the next workers shall serve; called at the start and at
        every SIGHUP. What it raises is logged, and the generation that serves goes on.
    :param drain_s: seconds that workers have to finish what they have begun.
    :param ready_s: seconds that a worker has to get ready.
    :param log: told of everything that happens; it never hears a worker's environment or arguments.
    :param status_file: rewritten whole at every change with `status()` as JSON, for whoever wants to know.
    :param backoff: the waits between the restarts of one worker.
    """

    def __init__(
        self,
        *,
        command: Callable[[Generation], list[str]],
        sockets: Sequence[socket.socket],
        workers: int,
        check: Callable[[], Awaitable[Generation]],
        drain_s: float,
        ready_s: float,
        log: Log,
        status_file: Path | None = None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        if workers < 1:
            raise ValueError(f"{workers} workers: at least one is needed")
        self._command = command
        self._sockets = sockets
        self._workers = workers
        self._check = check
        self._drain_s = drain_s
        self._ready_s = ready_s
        self._sink = log
        self._status_file = status_file
        self._backoff = backoff
        self._number = 0
        # Every fleet with a process left: the one that serves, one on trial, those that drain.
        self._fleets: list[Fleet] = []
        self._draining: set[asyncio.Task[None]] = set()
        self._reload_wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self.serving = asyncio.Event()
        """Set when the first worker is ready."""

    async def run(self) -> int:
        """Serve until told to stop.

        :returns: the exit status: 0 after a stop, 1 when the first configuration or its first workers failed.
        """
        generations = asyncio.create_task(self._generations())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            with self._signals():
                await asyncio.wait((generations, stopping), return_when=asyncio.FIRST_COMPLETED)
                generations.cancel()
                await asyncio.wait((generations,))
                self._log("stopping", drain_s=self._drain_s)
                # Whoever comes now is refused at once, and not left waiting for workers that take nothing new.
                close_listeners(self._sockets)
                # Those that drain already keep their own, earlier deadline.
                await asyncio.gather(*(fleet.drain(self._drain_s) for fleet in self._fleets), *self._draining)
                self._log("stopped")
                return 0 if generations.cancelled() else generations.result()
        finally:
            for task in (generations, stopping, *self._draining):
                task.cancel()
            for fleet in self._fleets:
                fleet.kill()
                await fleet.drain(0)

    def reload(self) -> None:
        """What SIGHUP does: take over the configuration of now. All wishes during a reload are one more reload."""
        self._reload_wanted.set()

    def stop(self) -> None:
        """What SIGTERM and SIGINT do: drain and end; called again, end at once."""
        if self._stopping.is_set():
            self._log("killed")
            for fleet in self._fleets:
                fleet.kill()
        self._stopping.set()

    def status(self) -> list[WorkerStatus]:
        """All workers, the oldest generation first."""
        return [worker for fleet in self._fleets for worker in fleet.status()]

    async def _generations(self) -> int:
        """One generation after the other. Returns only when the first does not come up."""
        try:
            current = self._fleet(await self._check())
            await current.start(needed=1)
        except Exception as error:  # Whatever it was: nothing serves, and the deployer is to read why.
            self._log("start_failed", error=str(error) or type(error).__name__)
            return 1
        self._log("serving", generation=current.generation.number, workers=self._workers)
        self.serving.set()
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            current = await self._next(current)

    async def _next(self, current: Fleet) -> Fleet:
        """Replace the workers, if the new configuration is good and all the new ones get ready."""
        try:
            candidate = self._fleet(await self._check())
        except Exception as error:  # Not even a mistake in the check may end what serves well.
            self._log("reload_refused", generation=current.generation.number, error=str(error) or type(error).__name__)
            return current
        self._log("reloading", generation=candidate.generation.number)
        try:
            await candidate.start(needed=self._workers)
        except Exception as error:  # StartFailed, or a mistake in what the check gave.
            self._log("reload_failed", generation=candidate.generation.number, error=str(error) or type(error).__name__)
            # Drained, not killed: those of them that got ready have taken requests.
            self._retire(candidate)
            return current
        self._log("reloaded", generation=candidate.generation.number, workers=self._workers)
        self._retire(current)
        return candidate

    def _fleet(self, generation: Generation) -> Fleet:
        self._number += 1
        generation = replace(generation, number=self._number)
        fleet = Fleet(
            generation,
            self._command(generation),
            sockets=self._sockets,
            size=self._workers,
            ready_s=self._ready_s,
            backoff=self._backoff,
            log=self._log,
            changed=self._publish,
        )
        self._fleets.append(fleet)
        return fleet

    def _retire(self, fleet: Fleet) -> None:
        """Drain it beside the next reloads: a stream of an hour must not hold them up."""

        async def drain() -> None:
            await fleet.drain(self._drain_s)
            self._fleets.remove(fleet)
            self._log("drained", generation=fleet.generation.number)
            self._publish()

        task = asyncio.create_task(drain())
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    def _publish(self) -> None:
        if self._status_file is None:
            return
        shown = json.dumps({"pid": os.getpid(), "workers": [asdict(worker) for worker in self.status()]})
        fresh = self._status_file.with_name(f"{self._status_file.name}.{os.getpid()}")
        try:
            fresh.write_text(shown)
            fresh.replace(self._status_file)
        except OSError as error:  # A full disk is no reason to stop serving.
            self._log("status_not_written", error=str(error))

    def _log(self, event: str, /, **fields: object) -> None:
        # A terminal that was closed, a full disk: the workers do not depend on being talked about.
        with contextlib.suppress(OSError, ValueError):
            self._sink(event, **fields)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        for number in _STOP:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGHUP, *_STOP):
                loop.remove_signal_handler(number)
