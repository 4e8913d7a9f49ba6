"""Finding what stands under a model's name: the name itself, else the most specific pattern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What stands under a name. `matched` is what the pattern's `*` stood for; None: it was found by the name itself."""

    it: T
    matched: str | None = None


class Names(Generic[T]):
    """Names and patterns with one `*`. The most specific pattern has the most letters before its `*`, then the most behind it."""

    def __init__(self, entries: Mapping[str, T]) -> None:
        self._exact = {name: Found(it) for name, it in entries.items() if "*" not in name}
        self._patterns: list[tuple[str, str, T]] = []
        for name, it in entries.items():
            before, star, behind = name.partition("*")
            if star:
                self._patterns.append((before, behind, it))
        self._patterns.sort(key=lambda entry: (-len(entry[0]), -len(entry[1])))

    def find(self, name: str) -> Found[T] | None:
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        for before, behind, it in self._patterns:
            end = len(name) - len(behind)
            if end >= len(before) and name.startswith(before) and name.endswith(behind):
                return Found(it, name[len(before) : end])
        return None
