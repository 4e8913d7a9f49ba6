"""Counting for all processes, in the shared state: one script for all limits of a request, by the server's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relay.ports import Scripts
from relay_ratelimit.limit import MICROSECONDS, Ask, Taken, Verdict

LEASE_S = 90
"""After so long the slot of a request is free again if nobody renewed it: its process has died."""
RENEW_S = 20
_TAKE, _SETTLE, _RENEW = (Path(__file__).with_name(f"{name}.lua").read_text() for name in ("take", "settle", "renew"))


class SharedLimiter:
    """A `Limiter` over the shared state."""

    def __init__(self, state: Scripts, lease_s: float = LEASE_S) -> None:
        self._state = state
        self._lease = round(lease_s * MICROSECONDS)

    async def take(self, id: str, asks: Sequence[Ask]) -> Taken:
        args: list[str | int] = [id]
        for ask in asks:
            args += (ask.window_s * MICROSECONDS, ask.limit, ask.cost if ask.window_s else self._lease)
        now, *said = await self._state.run(_TAKE, [ask.key for ask in asks], args)
        verdicts = [
            Verdict(ask, bool(permits), remaining, reset / MICROSECONDS, wait / MICROSECONDS)
            for ask, permits, remaining, reset, wait in zip(
                asks, said[::4], said[1::4], said[2::4], said[3::4], strict=True
            )
        ]
        return Taken(now, tuple(verdicts))

    async def settle(self, id: str, asks: Sequence[Ask], at: int, tokens: int | None) -> None:
        keys: list[str] = []
        args: list[str | int] = [id, at]
        for ask in asks:
            if not ask.window_s or (ask.unit == "tokens" and tokens not in (None, ask.cost)):
                keys.append(ask.key)
                args += (ask.window_s * MICROSECONDS, ask.limit, ask.cost, tokens or 0)
        if keys:
            await self._state.run(_SETTLE, keys, args)

    async def renew(self, held: Sequence[tuple[str, str]]) -> None:
        await self._state.run(_RENEW, [key for key, _ in held], [self._lease, *[id for _, id in held]])
