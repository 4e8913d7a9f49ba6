"""Shared state: a small store behind `ports.SharedState`, in process for one worker, over the Redis protocol for several."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from relay.ports import SharedState
from relay.values.clock import monotonic


class State(SharedState, Protocol):
    """Shared state that is closed at the end of the process."""

    async def close(self) -> None: ...


class LocalState:
    """The state of a single process. At most `limit` entries: beyond that the one least recently used goes."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._limit = limit

    async def get(self, key: str) -> bytes | None:
        return self._look(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._look(key) for key in keys]

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        self._entries[key] = (value, None if ttl_s is None else monotonic() + ttl_s)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    async def add(self, key: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        if self._look(key) is not None:
            return False
        await self.set(key, value, ttl_s=ttl_s)
        return True

    async def delete(self, key: str) -> None:
        self._entries.pop(key, None)

    async def close(self) -> None:
        self._entries.clear()

    def _look(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, expires = entry
        if expires is not None and expires <= monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value


def open_state(url: str | None) -> State:
    """The state a worker uses: over the Redis protocol if there is a `url`, else its own."""
    if url is None:
        return LocalState()
    from relay.storage.redis_state import RedisState

    return RedisState(url)
