"""What is logged: one line per exchange, metadata only, and the relay's own events."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import orjson
import structlog

from relay.exchange import Exchange

Log = Callable[..., None]


def event_log(form: str = "json", **always: object) -> Log:
    """A function `log(event, **fields)` that writes one line to standard error: JSON, or text for people."""
    if form == "text":
        logger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[structlog.processors.TimeStamper("iso"), structlog.dev.ConsoleRenderer(colors=False)],
        )
    else:
        logger = structlog.wrap_logger(
            structlog.BytesLogger(sys.stderr.buffer),
            processors=[
                structlog.processors.TimeStamper("iso", key="time"),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
        )
    # asyncio and aiohttp quote requests in what they log; whoever needs to know gets a line of ours.
    for name in ("asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    bound = logger.bind(**always)

    def log(event: str, **fields: object) -> None:
        bound.msg(event, **fields)

    return log


class ExchangeLog:
    """One structured line per exchange."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def ended(self, exchange: Exchange) -> None:
        self._log("exchange", **line(exchange))


def line(exchange: Exchange) -> dict[str, Any]:
    """All that is logged of an exchange: who, what, whither, how it went. No content, no key, no query."""
    call, caller, attempt = exchange.call, exchange.caller, exchange.attempt
    now = perf_counter()
    fields: dict[str, Any] = {
        "id": exchange.id,
        "dialect": call.dialect.name,
        "surface": call.surface.name,
        "path": call.surface.path,
        "outcome": exchange.outcome,
        "status": exchange.status,
        "ms": _ms(exchange.started, now),
    }
    if exchange.parent is not None:
        fields["parent"] = exchange.parent.id
    if exchange.error is not None:
        fields["error"] = exchange.error
    if caller is not None:
        fields |= {"organisation": caller.organisation, "key": caller.key}
        if caller.member is not None:
            fields["member"] = caller.member
    if call.model is not None:
        fields["model"] = call.model[:128]
    if call.stream:
        fields["stream"] = True
    if attempt is not None:
        fields |= {"provider": attempt.target.provider, "target": attempt.target.name}
        fields["attempts"] = [
            {"target": each.target.name, "outcome": each.outcome, "status": each.status, "error": each.error,
             "ms": _ms(each.started, each.finished or now)}
            for each in exchange.attempts
        ]  # fmt: skip
        if attempt.first_event is not None:
            fields["first_event_ms"] = _ms(exchange.started, attempt.first_event)
        if attempt.usage is not None:
            fields["usage"] = attempt.usage.counts()
        if attempt.stop is not None:
            fields["stop"] = attempt.stop.reason
        if attempt.request_id is not None:
            fields["request_id"] = attempt.request_id
    return fields


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 2)
