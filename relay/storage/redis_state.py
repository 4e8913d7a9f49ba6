"""Shared state over the Redis protocol. Imported only where it is configured: the client costs a third of a worker's start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from math import inf
from typing import Any, TypeVar, cast

from hiredis import pack_command
from redis import asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from relay.ports import StateUnavailable
from relay.values.clock import monotonic

T = TypeVar("T")
TIME_BOX_S = 0.5
_BREAK_AFTER, _BREAK_S = 3, 1.0
_AT_ONCE = 128
# Its stub has the tuple hold one thing only.
_pack = cast("Callable[[tuple[str | int, ...]], bytes]", pack_command)


@dataclass(frozen=True, slots=True)
class _Run:
    """A script somebody waits for."""

    script: str
    keys: int
    arguments: tuple[str | int, ...]
    """The keys, and what follows them."""
    answer: asyncio.Future[list[int]]


class RedisState:
    """The state of several workers or hosts. Each call has a time box; after three failures it fails at once for a second."""

    def __init__(self, url: str, *, prefix: str = "relay:", time_box_s: float = TIME_BOX_S) -> None:
        self._client = aioredis.Redis.from_url(url, socket_connect_timeout=time_box_s, socket_timeout=time_box_s)
        self._prefix = prefix
        self._time_box_s = time_box_s
        self._failures = 0
        self._closed_until = 0.0
        self._waiting: list[_Run] = []
        self._runner: asyncio.Task[None] | None = None

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

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> list[int]:
        loop = asyncio.get_running_loop()
        run = _Run(script, len(keys), (*[self._prefix + key for key in keys], *args), loop.create_future())
        self._waiting.append(run)
        if self._runner is None:
            self._runner = loop.create_task(self._run_waiting())
        return await run.answer

    async def close(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
            self._runner = None
        while self._waiting:
            _tell(self._waiting.pop(), StateUnavailable("the shared state is closed"))
        await self._client.aclose()

    async def _run_waiting(self) -> None:
        """Send what gathered in one turn of the loop, or while the ones before were under way, as one: a fifth of the cost.

        One such batch after another: so a release never overtakes what it releases.
        """
        runs: list[_Run] = []
        try:
            while self._waiting:
                runs, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                try:
                    results = await self._call(lambda runs=runs: self._pipelined(runs))  # type: ignore[misc]
                except StateUnavailable as error:
                    results = [error] * len(runs)
                for run, result in zip(runs, results, strict=True):
                    _tell(run, result)
        finally:
            self._runner = None
            for run in runs:
                _tell(run, StateUnavailable("the shared state is closed"))

    async def _pipelined(self, runs: Sequence[_Run]) -> list[Any]:
        """The answers, or errors, of scripts sent together; one the server does not have yet is sent to it as a whole."""
        results = await self._sent([("EVALSHA", _digest(run.script), run.keys, *run.arguments) for run in runs])
        unknown = [place for place, result in enumerate(results) if isinstance(result, NoScriptError)]
        if unknown:
            again = [runs[place] for place in unknown]
            answers = await self._sent([("EVAL", run.script, run.keys, *run.arguments) for run in again])
            for place, result in zip(unknown, answers, strict=True):
                results[place] = result
        return results

    async def _sent(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """The answers, or errors, of commands that leave in one write.

        Not by the client's pipeline, which takes three times as long to pack them and tries again what may have been done already.
        """
        pool = self._client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_packed_command([_pack(command) for command in commands])
            results: list[Any] = []
            for _ in commands:
                try:
                    results.append(await connection.read_response(timeout=inf))  # the time box is around all
                except ResponseError as error:
                    results.append(error)
        except BaseException:
            # What is still to come on it would be taken for the answers to something else.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)
        return results

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


def _tell(run: _Run, result: Any) -> None:
    """Give an answer to whoever still waits for it."""
    if run.answer.done():
        return
    if isinstance(result, RedisError):
        result = StateUnavailable(f"a script failed in the shared state: {type(result).__name__}")
    if isinstance(result, Exception):
        run.answer.set_exception(result)
    else:
        run.answer.set_result(result)


@cache
def _digest(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def _milliseconds(ttl_s: float | None) -> int | None:
    return None if ttl_s is None else max(1, round(ttl_s * 1000))
