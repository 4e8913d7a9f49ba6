"""A server of Relay's own, in its data folder: one per folder, kept alive, and ended with the process that started it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

from relay.errors import RelayError
from relay.storage.backoff import Backoff
from relay.storage.children import ended, how, spawn
from relay.values.clock import monotonic

# A unix socket's address holds 104 bytes on macOS (108 on Linux), with the closing zero.
_LONGEST_PATH = 103
_POLL_S = 0.01


class Server(ABC):
    """What the embedded servers have in common: a folder (0700) that is locked, a short place for the socket, a keeper.

    :param directory: the data folder; a folder with the server's name is made in it.
    :param log: told of its start, its crashes and its end, as `log("<name>_ready", pid=…)`.
    :param ready_s: seconds it has to answer after its start.
    :param wait_s: seconds to wait for the folder while the server of a relay that is ending still holds it.
    """

    name: ClassVar[str]
    """Names its folder, its log file and its events."""
    title: ClassVar[str]
    """What a deployer calls it."""
    socket: ClassVar[str]
    """The file name of its socket."""
    failed: ClassVar[type[RelayError]]
    orphan_signal: ClassVar[signal.Signals] = signal.SIGKILL
    """What it gets when the process that started it is gone."""

    def __init__(
        self,
        directory: Path,
        *,
        log: Callable[..., None],
        ready_s: float,
        wait_s: float,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._folder = directory.absolute() / self.name
        self._place = self._folder
        """The folder of the socket."""
        self._log = log
        self._ready_s = ready_s
        self._wait_s = wait_s
        self._backoff = backoff()
        self._open = contextlib.AsyncExitStack()
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process, None while there is none."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self) -> None:
        """Start it and wait until it answers; from then on it is kept alive. In the main thread (see `children.spawn`).

        :raises RelayError: `failed`: it is not installed, the folder is in use, or it does not answer in time.
        """
        self._find()
        async with contextlib.AsyncExitStack() as half_open:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self._lock = await self._locked()
            half_open.callback(os.close, self._lock)
            self._place = half_open.enter_context(_short(self._folder, self.socket))
            await self._prepare()
            half_open.callback((self._place / self.socket).unlink, missing_ok=True)
            half_open.push_async_callback(self._end)
            await self._launch()
            half_open.push_async_callback(_cancelled, asyncio.create_task(self._keep()))
            self._open = half_open.pop_all()

    async def stop(self) -> None:
        """End it and remove its socket."""
        await self._open.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @abstractmethod
    def _find(self) -> None:
        """Find the program. :raises RelayError: `failed`, with words that say what to install."""

    async def _prepare(self) -> None:  # noqa: B027 - not every server needs anything
        """Make what it needs, in the folder that is held now and before its first launch."""

    @abstractmethod
    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process. :raises OSError:"""

    @abstractmethod
    async def _answers(self) -> bool:
        """Is it ready?"""

    @abstractmethod
    async def _end(self) -> None:
        """End the process, if there is one, and wait for its end."""

    @property
    def _said(self) -> Path:
        """The file that takes what it prints."""
        return self._folder / f"{self.name}.log"

    def _spawn(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        pass_fds: Sequence[int] = (),
        user: tuple[int, int] | None = None,
    ) -> subprocess.Popen[bytes]:
        """The folder's lock goes with it: so a server that is still ending keeps the next one from its files."""
        with self._said.open("wb") as output:
            # Its own session: a Ctrl-C must not take it from workers that drain.
            return spawn(
                command,
                pass_fds=(self._lock, *pass_fds),
                output=output,
                own_session=True,
                orphan_signal=self.orphan_signal,
                user=user,
            )

    def _words(self) -> str:
        """The last of what it printed, for an error's message."""
        said = self._said.read_text(errors="replace").strip()
        return f": {said[-500:]}" if said else ""

    async def _locked(self) -> int:
        give_up = monotonic() + self._wait_s
        with contextlib.ExitStack() as half_open:
            lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            half_open.callback(os.close, lock)
            while not _took(lock):
                if monotonic() > give_up:
                    raise self.failed(
                        f"{self._folder} is in use by another relay: stop it, or give this one its own `data` folder"
                    )
                await asyncio.sleep(0.02)
            half_open.pop_all()
        return lock

    async def _launch(self) -> None:
        (self._place / self.socket).unlink(missing_ok=True)
        try:
            self._process = self._start()
        except OSError as error:
            raise self.failed(f"the embedded {self.title} cannot be started: {error}") from error
        try:
            async with asyncio.timeout(self._ready_s):
                while not await self._answers():
                    if (status := self._process.poll()) is not None:
                        raise self.failed(f"the embedded {self.title} ended with {how(status)}{self._words()}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise self.failed(
                f"the embedded {self.title} did not answer within {self._ready_s:g} s{self._words()}"
            ) from None
        self._log(f"{self.name}_ready", pid=self._process.pid, socket=str(self._place / self.socket))

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            started = monotonic()
            status = await ended(self._process)
            wait_s = self._backoff.after(monotonic() - started)
            self._log(f"{self.name}_ended", reason=how(status), restart_in_s=wait_s)
            await asyncio.sleep(wait_s)
            try:
                await self._launch()
            except self.failed as error:
                self._log(f"{self.name}_failed", error=str(error))
                await self._end()


def is_held(folder: Path) -> bool:
    """Does a server, or the relay that owns it, hold this server's folder?"""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _took(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _short(folder: Path, socket: str) -> Iterator[Path]:
    """The folder itself, or one for the socket alone where the folder's path cannot be a socket's address."""
    # A comma separates addresses where Postgres and its clients read them.
    if len(os.fsencode(folder / socket)) <= _LONGEST_PATH and "," not in str(folder):
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
