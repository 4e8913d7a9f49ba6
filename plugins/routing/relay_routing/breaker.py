"""A circuit breaker: after failures in a row, a target is left alone for a while; then a few requests try it again.

closed ──failures in a row within the window──▶ open ──its time is over──▶ half-open ──a probe succeeds──▶ closed
                                                 ▲──────────a probe fails──────────────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from relay.values.clock import monotonic

State = Literal["closed", "open", "half_open"]
STATES: tuple[State, ...] = ("closed", "open", "half_open")
_PROBING_S = 1.0  # When a probe is under way, nobody knows how long it takes.


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When it opens, for how long (varied by ± `jitter`, a share), and how many probes may be out at once."""

    failures: int = 5
    window_s: float = 30.0
    open_s: float = 10.0
    half_open: int = 1
    jitter: float = 0.2


class Breaker:
    """The breaker of one target, in one process."""

    __slots__ = ("_clock", "_failures", "_period", "_policy", "_probes", "_random", "_state", "_until")

    def __init__(self, policy: BreakerPolicy, random: Random, clock: Callable[[], float] = monotonic) -> None:
        self._policy = policy
        self._random = random
        self._clock = clock
        self._state: State = "closed"
        self._failures: deque[float] = deque(maxlen=policy.failures)
        self._until = 0.0
        self._probes = 0
        # Counts changes of state. A result belongs to the period in which its attempt began; later ones do not heed it.
        self._period = 0

    @property
    def state(self) -> State:
        """`half_open` also where its time is over and nobody has asked yet."""
        return "half_open" if self._state == "open" and self._clock() >= self._until else self._state

    @property
    def retry_after_s(self) -> float:
        """Seconds until it is worth asking again; 0 while it is closed."""
        if self._state == "closed":
            return 0.0
        return max(self._until - self._clock(), 0.0) or _PROBING_S

    def enter(self) -> int | None:
        """Take part: a ticket for `succeeded`, `failed` or `left`, one of which must follow. None: leave the target alone."""
        if self._state == "closed":
            return self._period
        if self._state == "open":
            if self._clock() < self._until:
                return None
            self._become("half_open")
            self._probes = 0
        if self._probes >= self._policy.half_open:
            return None
        self._probes += 1
        return self._period

    def succeeded(self, ticket: int) -> None:
        """The target works."""
        if ticket != self._period:
            return
        if self._state == "half_open":
            self._become("closed")
        self._failures.clear()

    def failed(self, ticket: int) -> None:
        """The target failed by its own fault."""
        if ticket != self._period:
            return
        now = self._clock()
        if self._state == "closed":
            self._failures.append(now)
            if len(self._failures) < self._policy.failures or now - self._failures[0] > self._policy.window_s:
                return
        vary = 1.0 + self._policy.jitter * self._random.uniform(-1.0, 1.0)
        self._until = now + self._policy.open_s * vary
        self._become("open")

    def left(self, ticket: int) -> None:
        """It ended without saying anything about the target: a probe's place is free again."""
        if ticket == self._period and self._state == "half_open":
            self._probes -= 1

    def _become(self, state: State) -> None:
        self._state = state
        self._period += 1
