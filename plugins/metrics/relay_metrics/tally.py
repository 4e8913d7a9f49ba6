"""What has ended since the last flush, counted in plain numbers.

Writing a figure to where all workers share it costs microseconds, and an exchange has a dozen figures: so they are added up here
first, and written once a second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import add, attrgetter

from relay import Attempt, Usage
from relay.wire.vocabulary import BUCKETS

_amounts = attrgetter(*BUCKETS)
_NOTHING = (0,) * len(BUCKETS)


class Times:
    """Times in buckets: how many fell into each (the last is beyond all bounds), and their sum in seconds."""

    __slots__ = ("bounds", "counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        # A bound belongs to its bucket, as Prometheus' `le` says.
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total_s += seconds


class RequestTally:
    """Requests of one kind."""

    __slots__ = ("count", "durations", "first_events")

    def __init__(self, duration_bounds: Sequence[float], first_event_bounds: Sequence[float]) -> None:
        self.count = 0
        self.durations = Times(duration_bounds)
        self.first_events = Times(first_event_bounds)


class AttemptTally:
    """Attempts of one kind, and what providers reported for them; `amounts` stand in the order of the buckets."""

    __slots__ = ("amounts", "count", "suspect")

    def __init__(self) -> None:
        self.count = 0
        self.suspect = 0
        self.amounts: tuple[int, ...] = _NOTHING

    def add(self, attempt: Attempt) -> None:
        self.count += 1
        usage: Usage | None = attempt.usage
        if usage is None:
            return
        if usage.suspect is None:
            self.amounts = tuple(map(add, self.amounts, _amounts(usage)))
        else:
            self.suspect += 1
