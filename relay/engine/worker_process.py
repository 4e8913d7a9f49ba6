"""One life of one worker: a child process, its status pipe, and what became of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from relay.engine import worker_status
from relay.storage.children import ended, how, spawn
from relay.values.clock import monotonic

State = Literal["starting", "ready", "failed", "draining", "ended"]

_LINE_LIMIT = 64 * 1024


class WorkerProcess:
    """A started worker. It follows itself to its end, also when nobody waits, so that no zombie stays.

    :param changed: called after each change of `state`.
    :raises OSError: when the process cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        number: int,
        generation: int,
        environment: Mapping[str, str],
        sockets: Sequence[socket.socket],
        changed: Callable[[], None],
    ) -> None:
        self.number = number
        self.state: State = "starting"
        self.message: str | None = None
        """What the worker said about its failure."""
        self.status: int | None = None
        """Exit status, or minus the signal, once it has ended."""
        self.settled = asyncio.Event()
        """It is ready, has failed, or has ended."""
        self.down = asyncio.Event()
        """It has failed or has ended."""
        self.gone = asyncio.Event()
        """It has ended and is reaped."""
        self._changed = changed
        self._ready_at: float | None = None
        self._unread = b""
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        descriptors = [listener.fileno() for listener in sockets]
        told = {
            worker_status.SOCKETS: ",".join(map(str, descriptors)),
            worker_status.STATUS: str(theirs),
            worker_status.WORKER: str(number),
            worker_status.GENERATION: str(generation),
        }
        try:
            self._process = spawn(
                command, environment={**os.environ, **environment, **told}, pass_fds=(*descriptors, theirs)
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        asyncio.get_running_loop().add_reader(self._pipe, self._read)
        self._following = asyncio.create_task(self._follow())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def healthy_s(self) -> float:
        """Seconds since it became ready; 0 for one that never was."""
        return 0.0 if self._ready_at is None else monotonic() - self._ready_at

    def drain(self) -> None:
        """Ask it, once, to finish what it has begun and to end."""
        if self.state not in ("draining", "ended"):
            self._process.terminate()
            self._become("draining")

    def kill(self) -> None:
        """End it at once."""
        if not self.gone.is_set():
            self._process.kill()

    def fate(self) -> str:
        """Why it is not serving, in words for the deployer."""
        if self.message is not None:
            return self.message
        return "it is still running" if self.status is None else f"it ended with {how(self.status)}"

    def _become(self, state: State) -> None:
        self.state = state
        if state in ("failed", "ended"):
            self.down.set()
        self.settled.set()
        self._changed()

    def _read(self) -> None:
        """Take what stands in the pipe. Its end says nothing: a worker's own children may hold it open, or close it."""
        try:
            piece = os.read(self._pipe, _LINE_LIMIT)
        except BlockingIOError:
            return
        if not piece:
            asyncio.get_running_loop().remove_reader(self._pipe)
        *lines, self._unread = (self._unread + piece).split(b"\n")
        self._unread = self._unread[:_LINE_LIMIT]
        for line in lines:
            self._hear(line)

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:  # Something else wrote into the descriptor; it is no state.
            return
        match said:
            case {"state": "ready"} if self.state == "starting":
                self._ready_at = monotonic()
                self._become("ready")
            case {"state": "failed", **details} if self.state in ("starting", "ready"):
                self.message = str(details.get("message") or "it failed and gave no reason")
                self._become("failed")

    async def _follow(self) -> None:
        self.status = await ended(self._process)
        self._read()  # Its last words may have come together with its end.
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)
        self.gone.set()
        self._become("ended")
