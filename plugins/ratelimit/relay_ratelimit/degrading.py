"""Who counts now: the shared state, or, while it does not answer, each process for itself, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from relay.ports import Finding, StateUnavailable
from relay_ratelimit.limit import Ask, Limiter, Taken

RENEWED_AT_ONCE = 500


@dataclass(slots=True, eq=False)
class Ticket:
    """What one request was asked for, and by whom. `taken` None: nobody knows whether it was counted."""

    id: str
    asks: Sequence[Ask]
    by: Limiter | None = None
    taken: Taken | None = field(default=None, repr=False)


class Degrading:
    """Asks the shared limiter as long as it answers, else the local one.

    :param shared: None: there is one process only, or each counts its own part always.
    :param parts: by how many processes the local limiter's limits are divided.
    """

    def __init__(
        self,
        shared: Limiter | None,
        local: Limiter,
        *,
        parts: int,
        without: Literal["divide", "refuse"],
        log: Callable[..., None],
    ) -> None:
        self._shared = shared
        self._local = local
        self._parts = parts
        self._without = without
        self._log = log
        self._held: set[Ticket] = set()
        self._is_away = False

    @property
    def is_degraded(self) -> bool:
        """Are limits not exact over all processes at the moment?"""
        return self._is_away or (self._shared is None and self._parts > 1)

    def finding(self) -> Finding:
        """For the readiness check."""
        if not self.is_degraded:
            return Finding(True)
        why = "the shared state does not answer" if self._is_away else "there is no shared state"
        if self._is_away and self._without == "refuse":
            return Finding(False, f"{why}: requests with a limit are refused")
        return Finding(True, f"{why}: each process gives out 1/{self._parts} of every limit")

    async def take(self, ticket: Ticket) -> Taken:
        """Ask all limits of a ticket. :raises StateUnavailable: nobody can say, and `refuse` is set."""
        if self._shared is not None:
            ticket.by = self._shared
            self._held.add(ticket)
            try:
                ticket.taken = await self._shared.take(ticket.id, ticket.asks)
            except StateUnavailable:
                self._away(True)
                self._held.discard(ticket)
                if self._without == "refuse":
                    raise
            else:
                self._away(False)
                return ticket.taken
        ticket.by = self._local
        ticket.taken = await self._local.take(ticket.id, ticket.asks)
        return ticket.taken

    async def settle(self, ticket: Ticket, tokens: int | None) -> None:
        """The request has ended. If the state is away, its slots there run out by themselves."""
        self._held.discard(ticket)
        if ticket.by is None or (ticket.taken is not None and not ticket.taken.permits):
            return
        at, tokens = (0, None) if ticket.taken is None else (ticket.taken.at, tokens)
        try:
            await ticket.by.settle(ticket.id, ticket.asks, at, tokens)
        except StateUnavailable:
            self._away(True)

    async def renew(self) -> None:
        """Prolong the slots of all that runs, and see whether the state is back."""
        if self._shared is None:
            return
        held = [(ask.key, ticket.id) for ticket in self._held for ask in ticket.asks if not ask.window_s]
        try:
            for start in range(0, max(len(held), 1), RENEWED_AT_ONCE):
                await self._shared.renew(held[start : start + RENEWED_AT_ONCE])
        except StateUnavailable:
            self._away(True)
        else:
            self._away(False)

    def _away(self, is_away: bool) -> None:
        if is_away != self._is_away:
            self._is_away = is_away
            self._log("ratelimit_degraded" if is_away else "ratelimit_restored", without_state=self._without)
