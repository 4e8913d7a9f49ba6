"""Shared state over the Redis protocol. Imported only where it is configured: the client costs a third of a worker's start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from relay.ports import StateUnavailable
from relay.values.clock import monotonic

T = TypeVar("T")
TIME_BOX_S = 0.5
_BREAK_AFTER, _BREAK_S = 3, 1.0


class RedisState:
    """The state of several workers or hosts. Each call has a time box; after three failures it fails at once for a second."""

    def __init__(self, url: str, *, prefix: str = "relay:", time_box_s: float = TIME_BOX_S) -> None:
        self._client = aioredis.Redis.from_url(url, socket_connect_timeout=time_box_s, socket_timeout=time_box_s)
        self._prefix = prefix
        self._time_box_s = time_box_s
        self._failures = 0
        self._closed_until = 0.0

    @property
    def degraded(self) -> bool:
        """Did it fail lately, so that calls are refused without trying?"""
        return self._closed_until > monotonic()

    async def get(self, key: str) -> bytes | None:
        return cast("bytes | None", await self._call(lambda: self._client.get(self._prefix + key)))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            return []
        values: object = await self._call(lambda: self._client.mget([self._prefix + key for key in keys]))
        return cast("list[bytes | None]", values)

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        await self._call(lambda: self._client.set(self._prefix + key, value, px=_milliseconds(ttl_s)))

    async def add(self, key: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        return bool(
            await self._call(lambda: self._client.set(self._prefix + key, value, px=_milliseconds(ttl_s), nx=True))
        )

    async def delete(self, key: str) -> None:
        await self._call(lambda: self._client.delete(self._prefix + key))

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        if self.degraded:
            raise StateUnavailable("the shared state failed lately")
        try:
            async with asyncio.timeout(self._time_box_s):
                result = await work()
        except (RedisError, OSError, TimeoutError) as error:
            self._failures += 1
            if self._failures >= _BREAK_AFTER:
                self._closed_until = monotonic() + _BREAK_S
            raise StateUnavailable(f"the shared state did not answer: {type(error).__name__}") from error
        self._failures = 0
        return result


def _milliseconds(ttl_s: float | None) -> int | None:
    return None if ttl_s is None else max(1, round(ttl_s * 1000))
