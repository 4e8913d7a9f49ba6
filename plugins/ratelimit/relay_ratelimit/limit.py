"""What is asked of a limiter, and what it answers: the same in one process and over many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Unit = Literal["requests", "tokens", "requests at once"]
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ask:
    """One limit, as one request meets it.

    `key` names whose count it is. `window_s` seconds hold at most `limit` units, of which this request takes `cost` (at most the
    limit); 0: they are slots, held while the request runs, and `cost` says nothing.
    """

    key: str
    unit: Unit
    limit: int
    window_s: int = 0
    cost: int = 1
    whose: str = ""
    """In words for the caller: `this API key`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one limit says: are there `remaining` units, when is it whole again, and after how many seconds would it permit this."""

    ask: Ask
    permits: bool
    remaining: int
    reset_s: float
    wait_s: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What all limits of a request say. They permit it together, and then it is taken from all of them, or from none.

    `at` is the time of whoever counts, in microseconds.
    """

    at: int
    verdicts: tuple[Verdict, ...]

    @property
    def permits(self) -> bool:
        return all(verdict.permits for verdict in self.verdicts)


class Limiter(Protocol):
    """Who counts. :raises StateUnavailable: it cannot at the moment."""

    async def take(self, id: str, asks: Sequence[Ask]) -> Taken:
        """Ask all limits of the request `id` at once."""
        ...

    async def settle(self, id: str, asks: Sequence[Ask], at: int, tokens: int | None) -> None:
        """The request that was permitted `at` has ended: free its slots. `tokens` is what it consumed in truth; None: not known.

        What is less than the estimate is given back where it was taken; what is more counts from now.
        """
        ...

    async def renew(self, held: Sequence[tuple[str, str]]) -> None:
        """Prolong slots of running requests: pairs of the slots' key and the request's id."""
        ...
