"""A metric with a bound on how many series it can have, and a quick way to each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram

M = TypeVar("M", Counter, Gauge, Histogram)

LIMIT = 2000
"""Series a metric has at most in a process; what would come beyond is counted together, under `other`."""


class Series(Generic[M]):
    """The series of a metric by their label values, in the order of its labels."""

    __slots__ = ("_children", "_limit", "_metric", "_other")

    def __init__(self, metric: M, labels: int, limit: int = LIMIT) -> None:
        self._metric: M = metric
        self._limit = limit
        self._other = ("other",) * labels
        self._children: dict[tuple[str, ...], M] = {} if labels else {(): metric}

    def of(self, labels: tuple[str, ...]) -> M:
        """The series; beyond the limit, the one that stands for all others."""
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= self._limit:
                labels = self._other
            child = self._children[labels] = self._metric.labels(*labels)
        return child

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._children)
