"""LISTEN on one connection of its own, made anew for as long as somebody listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from relay.ports import DatabaseUnavailable

_ALIVE_S = 2.0
_AGAIN_S = 0.2
Heard = Callable[[str | None], None]


@dataclass(slots=True, eq=False)
class _Listener:
    channel: str
    heard: Heard
    is_told: bool = False
    """Does it know that listening has begun?"""


class Listening:
    """The channels that somebody in this process listens on.

    :param connect: makes a connection to the server itself: a transaction pooler forwards no notifications.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], log: Callable[..., None]) -> None:
        self._connect = connect
        self._log = log
        self._listeners: list[_Listener] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, channel: str, heard: Heard) -> Callable[[], None]:
        """See `ports.Database.listen`."""
        listener = _Listener(channel, heard)
        self._listeners.append(listener)
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._listen())

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow(await self._connect())
            except (DatabaseUnavailable, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self._log("listening_lost", error=type(error).__name__)
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self, connection: Any) -> None:
        """Listen until the connection breaks: that is asked every two seconds, because a cut line says nothing."""
        on: set[str] = set()
        for listener in self._listeners:
            listener.is_told = False
        connection.add_termination_listener(lambda _: self._changed.set())
        try:
            while True:
                self._changed.clear()
                for listener in [each for each in self._listeners if not each.is_told]:
                    if listener.channel not in on:
                        await connection.add_listener(listener.channel, self._hear)
                        on.add(listener.channel)
                    listener.is_told = True
                    self._tell(listener, None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ALIVE_S):
                        await self._changed.wait()
                await connection.execute("select 1", timeout=_ALIVE_S)
        finally:
            connection.terminate()

    def _hear(self, connection: object, pid: int, channel: str, payload: str) -> None:
        for listener in [each for each in self._listeners if each.channel == channel]:
            self._tell(listener, payload)

    def _tell(self, listener: _Listener, payload: str | None) -> None:
        try:
            listener.heard(payload)
        except Exception as error:  # One listener's mistake is no reason for the others to miss what came.
            self._log("listener_failed", channel=listener.channel, error=type(error).__name__)
