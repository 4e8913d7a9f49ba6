"""What the provider served, counted by itself and summed over all its processes."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from relay import Usage
from relay_simulator.ask import Document
from relay_simulator.journal import Journal

OUTCOMES = ("completed", "refused", "failed", "cut")
"""completed: all of the answer went out · refused: an error status · failed: an error inside a 200 · cut: the end is missing."""


class Tally:
    """Writes down each request and each end, and sums them when asked."""

    def __init__(self, journal: Journal, last: int) -> None:
        self._journal = journal
        self._last = last
        self._clear()

    def came(self, head: Document) -> None:
        """A request has been read. `head` has its `request` id, `dialect`, `surface`, `model` and what `/last` shows."""
        self._journal.write({"head": head})

    def ended(
        self, head: Document, outcome: str, status: int, sent: Document, reported: Mapping[str, int], served: Usage
    ) -> None:
        """A request is over. `sent` has `events` and `bytes`; `reported` is the usage that went out; `served` is the truth."""
        line = {name: head[name] for name in ("request", "dialect", "surface", "model")}
        line |= {"outcome": outcome, "status": status, **sent, "reported": reported, "served": served.counts()}
        self._journal.write({"end": line})

    def reset(self) -> None:
        """Forget everything, for all processes."""
        self._journal.begin()

    def sums(self) -> Document:
        """`total`, and the same figures by dialect and model."""
        self._read()
        dialects: dict[str, dict[str, Any]] = {}
        whole = _Sum()
        for (dialect, model), one in sorted(self._sums.items()):
            dialects.setdefault(dialect, {})[model] = one.show()
            whole.add(one)
        return {"total": whole.show(), "dialects": dialects, "requests": dict(self._ends)}

    def one(self, request: str) -> Document | None:
        """The end of a single request, while it is among the last ones."""
        self._read()
        return self._ends.get(request)

    def heads(self) -> list[Document]:
        """The last request heads, oldest first."""
        self._read()
        return list(self._heads)

    def _read(self) -> None:
        for line in self._journal.news():
            if line is None:
                self._clear()
            elif "head" in line:
                head = line["head"]
                self._sum(head).count["requests"] += 1
                self._heads.append(head)
            else:
                self._end(line["end"])

    def _end(self, end: Document) -> None:
        one = self._sum(end)
        one.count[end["outcome"]] += 1
        one.count["events"] += end["events"]
        one.count["bytes"] += end["bytes"]
        one.reported.update(end["reported"])
        one.served.update(end["served"])
        self._ends[end["request"]] = end
        while len(self._ends) > self._last:
            self._ends.popitem(last=False)

    def _sum(self, line: Document) -> _Sum:
        return self._sums.setdefault((line["dialect"], line["model"]), _Sum())

    def _clear(self) -> None:
        self._sums: dict[tuple[str, str], _Sum] = {}
        self._ends: OrderedDict[str, Document] = OrderedDict()
        self._heads: deque[Document] = deque(maxlen=self._last)


class _Sum:
    """The figures of one model, or of all."""

    __slots__ = ("count", "reported", "served")

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.reported: Counter[str] = Counter()
        self.served: Counter[str] = Counter()

    def add(self, other: _Sum) -> None:
        self.count.update(other.count)
        self.reported.update(other.reported)
        self.served.update(other.served)

    def show(self) -> Document:
        count = self.count
        figures = {name: count[name] for name in ("requests", *OUTCOMES)}
        figures["open"] = count["requests"] - sum(count[name] for name in OUTCOMES)
        figures |= {name: count[name] for name in ("events", "bytes")}
        return {**figures, "reported": dict(self.reported), "served": dict(self.served)}


def flat(reported: Mapping[str, Any], before: str = "") -> dict[str, int]:
    """The provider's raw usage with a dot for each level: `prompt_tokens_details.cached_tokens`. What is no number falls out."""
    found: dict[str, int] = {}
    for name, value in reported.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            found[before + name] = value
    return found
