"""How long to wait before a process that crashed is started again."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """At once the first time, then `first_s`, doubling up to `most_s`; anew after `healthy_s` seconds of health."""

    first_s: float = 0.1
    most_s: float = 5.0
    healthy_s: float = 30.0
    _next_s: float = field(default=0.0, init=False)

    def after(self, lived_s: float) -> float:
        """The wait in seconds after a life that was healthy for `lived_s` seconds."""
        if lived_s >= self.healthy_s:
            self._next_s = 0.0
        wait_s = self._next_s
        self._next_s = min(max(self.first_s, 2 * wait_s), self.most_s)
        return wait_s
