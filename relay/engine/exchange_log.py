"""What is logged: one line per exchange, metadata only, and the relay's own events."""

from __future__ import annotations

import asyncio
import atexit
import logging
import re
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import orjson

from relay.exchange import Exchange
from relay.values.clock import now, rfc3339

Log = Callable[..., None]
_KEY = re.compile("[A-Za-z0-9]{20,}")
"""What may be a key, put by mistake where a model's name belongs, in a path or a body. No model's name looks like that."""


def event_log(form: str = "json", **always: object) -> Log:
    """A function `log(event, **fields)` that writes one line to standard error: JSON, or text for people."""
    # asyncio and aiohttp quote requests in what they log; whoever needs to know gets a line of ours.
    for name in ("asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if form == "text":
        import structlog

        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())

        def log(event: str, **fields: object) -> None:
            entry = {"timestamp": rfc3339(now()), "event": event, **always, **fields}
            sys.stderr.write(renderer(None, "", entry) + "\n")

        return log
    lines = _Lines()

    def log_json(event: str, **fields: object) -> None:
        lines.add(orjson.dumps({"time": rfc3339(now()), "event": event, **always, **fields}, default=str))

    return log_json


class _Lines:
    """Lines on their way to standard error: within a loop those of 50 ms leave together, else each at once."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        atexit.register(self.flush)

    def add(self, line: bytes) -> None:
        self._waiting.append(line)
        if len(self._waiting) > 1:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            loop.call_later(0.05, self.flush)

    def flush(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            sys.stderr.buffer.write(b"\n".join(lines) + b"\n")
            sys.stderr.buffer.flush()


class ExchangeLog:
    """One structured line per exchange."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def ended(self, exchange: Exchange) -> None:
        self._log("exchange", **line(exchange))


def line(exchange: Exchange) -> dict[str, Any]:
    """All that is logged of an exchange: who, what, whither, how it went. No content, no key, no query."""
    call, caller, attempt = exchange.call, exchange.caller, exchange.attempt
    at = perf_counter()
    fields: dict[str, Any] = {
        "id": exchange.id,
        "dialect": call.dialect.name,
        "surface": call.surface.name,
        "path": call.surface.path,
        "outcome": exchange.outcome,
        "status": exchange.status,
        "ms": _ms(exchange.started, at),
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
        fields["model"] = _KEY.sub("…", call.model)[:128]
    if call.stream:
        fields["stream"] = True
    if attempt is not None:
        fields |= {"provider": attempt.target.provider, "target": attempt.target.name}
        fields["attempts"] = [
            {"target": each.target.name, "outcome": each.outcome, "status": each.status, "error": each.error,
             "ms": _ms(each.started, each.finished or at)}
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
