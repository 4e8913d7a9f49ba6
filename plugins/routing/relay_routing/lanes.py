"""What goes on at each target now: how many attempts are under way, and whether it has been failing."""

from __future__ import annotations

from collections.abc import Iterable

from relay import Attempt, Skip
from relay_routing.breaker import STATES, Breaker

_BUSY_S = 1.0
_OUR_ACCOUNT = frozenset((401, 402, 403, 429))
"""Statuses that speak of the account that asked."""
_PROVIDERS_FAULT = frozenset(
    (
        "upstream_failed",
        "upstream_timeout",
        "upstream_invalid",
        "upstream_incomplete",
        "upstream_refused",
        "upstream_error",
    )
)


class Account:
    """A provider account: how many attempts are under way there, of how many."""

    __slots__ = ("in_flight", "limit")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.in_flight = 0

    @property
    def full(self) -> bool:
        return self.limit is not None and self.in_flight >= self.limit


class Lane:
    """One target's way: its breaker, its own limit and its account's."""

    __slots__ = ("account", "breaker", "in_flight", "limit", "name")

    def __init__(self, name: str, account: Account, breaker: Breaker, limit: int | None = None) -> None:
        self.name = name
        self.account = account
        self.breaker = breaker
        self.limit = limit
        self.in_flight = 0

    def enter(self, attempt: Attempt) -> Skip | None:
        """Let an attempt in, until it ends; or a Skip that says why not."""
        if self.account.full or (self.limit is not None and self.in_flight >= self.limit):
            return Skip("target_busy", retry_after_s=_BUSY_S)
        ticket = self.breaker.enter()
        if ticket is None:
            return Skip("target_open", retry_after_s=self.breaker.retry_after_s)
        attempt.on_end(self._leave, attempt, ticket)
        self.in_flight += 1
        self.account.in_flight += 1
        return None

    def _leave(self, attempt: Attempt, ticket: int) -> None:
        self.in_flight -= 1
        self.account.in_flight -= 1
        verdict = works(attempt)
        if verdict is None:
            self.breaker.left(ticket)
        elif verdict:
            self.breaker.succeeded(ticket)
        else:
            self.breaker.failed(ticket)


class Lanes:
    """The lanes of all targets, by the targets' names. Made at start; so there are no more of them than the configuration names."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._lanes = {lane.name: lane for lane in lanes}

    def enter(self, attempt: Attempt) -> Skip | None:
        """A target that somebody else made (a customer's own account) has no lane and is let through."""
        lane = self._lanes.get(attempt.target.name)
        return None if lane is None else lane.enter(attempt)

    def states(self) -> Iterable[tuple[tuple[str, ...], float]]:
        """1 for the state each breaker is in, 0 for the others: so that the sum over workers has a meaning."""
        for name, lane in self._lanes.items():
            now = lane.breaker.state
            for state in STATES:
                yield (name, state), float(state == now)

    def in_flight(self) -> Iterable[tuple[tuple[str, ...], float]]:
        for name, lane in self._lanes.items():
            yield (name,), float(lane.in_flight)


def works(attempt: Attempt) -> bool | None:
    """What an ended attempt says about its target: it works, it does not, or (None) nothing.

    A client that left, a hedge that lost and a plugin that failed say nothing. A status that speaks of the account (a key refused, a quota
    spent) counts only if the account is the target's own, not a customer's. Any other 4xx is an answer to the request: the target works.
    """
    if attempt.outcome not in ("completed", "failed"):
        return None
    status = attempt.status
    if status is not None and status >= 400:
        if status in _OUR_ACCOUNT:
            return False if attempt.credential is attempt.target.credential else None
        return status < 500
    if attempt.outcome == "completed":
        return True
    return False if attempt.error in _PROVIDERS_FAULT else None
