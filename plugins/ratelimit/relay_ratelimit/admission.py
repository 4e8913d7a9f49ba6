"""A request at its limits: let in or refused, told where it stands, and settled at its end."""

from __future__ import annotations

from relay import Code, Exchange, Refused, Reply
from relay.ports import LIMITS, StateUnavailable
from relay_ratelimit.degrading import Degrading, Ticket
from relay_ratelimit.limit import Verdict
from relay_ratelimit.scopes import DAY_S, Scopes
from relay_ratelimit.standard_headers import headers

RATE_LIMITED = Code("rate_limited", 429, "A rate limit was reached.")
LIMITS_UNAVAILABLE = Code("limits_unavailable", 503, "The rate limits cannot be checked at the moment.")


async def admit(scopes: Scopes, limiter: Degrading, exchange: Exchange) -> None:
    """Take from all limits of a request, or refuse it. :raises Refused: `rate_limited`, `limits_unavailable`"""
    asks = scopes.of(exchange)
    if not asks:
        return
    ticket = Ticket(exchange.id, asks)
    # Before the question: a client that leaves while it is under way may have been counted.
    exchange.on_end(_settle, limiter, ticket, exchange)
    try:
        taken = await limiter.take(ticket)
    except StateUnavailable:
        raise Refused(LIMITS_UNAVAILABLE.code, retry_after_s=1.0) from None
    exchange.set(LIMITS, (exchange.get(LIMITS) or {}) | headers(exchange.call.dialect.name, taken.verdicts))
    if not taken.permits:
        last = max((verdict for verdict in taken.verdicts if not verdict.permits), key=lambda verdict: verdict.wait_s)
        raise Refused(RATE_LIMITED.code, _words(last), retry_after_s=last.wait_s)


def take_place(exchange: Exchange, reply: Reply) -> None:
    """Our limits stand in the place of the provider's: those are of the relay's account, and a client reads one of a name."""
    if ours := exchange.get(LIMITS):
        reply.headers = [pair for pair in reply.headers if pair[0] not in ours]


async def _settle(limiter: Degrading, ticket: Ticket, exchange: Exchange) -> None:
    await limiter.settle(ticket, _tokens(exchange))


def _tokens(exchange: Exchange) -> int | None:
    """What all attempts consumed, as far as the provider can be believed; None: it is not known, and the estimate stands."""
    said = [attempt.usage for attempt in exchange.attempts if attempt.usage is not None]
    if any(usage.suspect for usage in said):
        return None
    if said:
        return sum(usage.tokens for usage in said)
    return 0 if exchange.outcome in ("refused", "failed") else None


def _words(verdict: Verdict) -> str:
    ask = verdict.ask
    span = {0: "", DAY_S: " per day"}.get(ask.window_s, " per minute")
    return f"Rate limit reached: {ask.limit} {ask.unit}{span} for {ask.whose}."
