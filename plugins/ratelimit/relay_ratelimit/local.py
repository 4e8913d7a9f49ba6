"""Counting within one process: what `take.lua` and `settle.lua` do, for one worker, or for its part of a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.values.clock import monotonic
from relay_ratelimit.limit import MICROSECONDS, Ask, Taken, Verdict


@dataclass(slots=True)
class _Rate:
    """GCRA and the count of the current window, in microseconds and units.

    `due` is when all that was taken will have come back at the rate of the limit (the theoretical arrival time).
    """

    due: int = 0
    start: int = -(10**18)
    used: int = 0


class LocalLimiter:
    """A `Limiter` of one process, which has the `parts`-th part of each limit, and at least 1.

    At most `entries` rates are kept; beyond that the one least recently used goes.
    """

    def __init__(self, parts: int = 1, *, entries: int = 100_000, clock: Callable[[], float] = monotonic) -> None:
        self._parts = parts
        self._entries = entries
        self._clock = clock
        self._rates: OrderedDict[str, _Rate] = OrderedDict()
        self._slots: dict[str, set[str]] = {}

    async def take(self, id: str, asks: Sequence[Ask]) -> Taken:
        now = self._now()
        looked = [self._look(ask, now) for ask in asks]
        permitted = not any(wait for _, _, wait in looked)
        verdicts = []
        for ask, (limit, rate, wait) in zip(asks, looked, strict=True):
            if rate is None:
                if permitted:
                    self._slots.setdefault(ask.key, set()).add(id)
                remaining, reset = limit - len(self._slots.get(ask.key, ())), 0
            else:
                window, cost = ask.window_s * MICROSECONDS, min(ask.cost, limit)
                if permitted:
                    rate.due, rate.used = rate.due + cost * window // limit, rate.used + cost
                    self._keep(ask.key, rate)
                remaining = min(limit - rate.used, (window - rate.due + now) * limit // window)
                reset = max(rate.due, rate.start + window if rate.used else 0) - now
            verdicts.append(Verdict(ask, not wait, max(0, remaining), reset / MICROSECONDS, wait / MICROSECONDS))
        return Taken(now, tuple(verdicts))

    async def settle(self, id: str, asks: Sequence[Ask], at: int, tokens: int | None) -> None:
        now = self._now()
        for ask in asks:
            if not ask.window_s:
                if held := self._slots.get(ask.key):
                    held.discard(id)
                    if not held:
                        del self._slots[ask.key]
            elif ask.unit == "tokens" and tokens is not None:
                self._correct(ask, at, tokens, now)

    async def renew(self, held: Sequence[tuple[str, str]]) -> None:
        """Nothing runs out: what holds a slot here cannot die without the count of it."""

    def _now(self) -> int:
        return round(self._clock() * MICROSECONDS)

    def _look(self, ask: Ask, now: int) -> tuple[int, _Rate | None, int]:
        """This process' part of a limit, the state of its rate as of now, and the microseconds to wait."""
        limit = max(1, ask.limit // self._parts)
        if not ask.window_s:
            return limit, None, 0 if len(self._slots.get(ask.key, ())) < limit else MICROSECONDS
        window, cost = ask.window_s * MICROSECONDS, min(ask.cost, limit)
        kept = self._rates.get(ask.key) or _Rate()
        rate = _Rate(max(kept.due, now), kept.start, kept.used)
        if rate.start + window <= now:
            rate.start, rate.used = now, 0
        wait = max(0, rate.due + cost * window // limit - now - window)
        if rate.used + cost > limit:
            wait = max(wait, rate.start + window - now)
        return limit, rate, wait

    def _correct(self, ask: Ask, at: int, tokens: int, now: int) -> None:
        limit, window = max(1, ask.limit // self._parts), ask.window_s * MICROSECONDS
        before = min(ask.cost, limit)
        if tokens == before:
            return
        rate = self._rates.get(ask.key) or _Rate(due=now)
        if tokens > before:
            if rate.start + window <= now:
                rate.start, rate.used = now, 0
            rate.due, rate.used = max(rate.due, now), rate.used + tokens - before
        elif at >= rate.start:
            rate.used = max(0, rate.used + tokens - before)
        rate.due += tokens * window // limit - before * window // limit
        self._keep(ask.key, rate)

    def _keep(self, key: str, rate: _Rate) -> None:
        self._rates[key] = rate
        self._rates.move_to_end(key)
        if len(self._rates) > self._entries:
            self._rates.popitem(last=False)
