"""The headers in which each family of clients looks for its limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from math import ceil

from relay.values.clock import now
from relay_ratelimit.limit import Unit, Verdict

_SHOWN: tuple[Unit, ...] = ("requests", "tokens")


def headers(dialect: str, verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Limit, remaining and reset of requests and of tokens, each as the tightest of its limits has it; names in lower case.

    OpenAI: platform.openai.com/docs/guides/rate-limits; Anthropic: docs.claude.com/en/api/rate-limits; for the others the draft of
    the IETF, draft-ietf-httpapi-ratelimit-headers-10.
    """
    shown: dict[Unit, Verdict] = {}
    for verdict in verdicts:
        unit = verdict.ask.unit
        if unit in _SHOWN and (unit not in shown or _tightness(verdict) < _tightness(shown[unit])):
            shown[unit] = verdict
    if dialect == "openai":
        return _openai(shown)
    if dialect == "anthropic":
        return _anthropic(shown)
    return _draft(shown)


def _tightness(verdict: Verdict) -> tuple[bool, int]:
    return verdict.permits, verdict.remaining


def _openai(shown: dict[Unit, Verdict]) -> dict[str, str]:
    found = {}
    for unit, verdict in shown.items():
        found[f"x-ratelimit-limit-{unit}"] = str(verdict.ask.limit)
        found[f"x-ratelimit-remaining-{unit}"] = str(verdict.remaining)
        found[f"x-ratelimit-reset-{unit}"] = span(verdict.reset_s)
    return found


def _anthropic(shown: dict[Unit, Verdict]) -> dict[str, str]:
    found = {}
    for unit, verdict in shown.items():
        reset = now() + timedelta(seconds=ceil(verdict.reset_s))
        found[f"anthropic-ratelimit-{unit}-limit"] = str(verdict.ask.limit)
        found[f"anthropic-ratelimit-{unit}-remaining"] = str(verdict.remaining)
        found[f"anthropic-ratelimit-{unit}-reset"] = f"{reset:%Y-%m-%dT%H:%M:%SZ}"
    return found


def _draft(shown: dict[Unit, Verdict]) -> dict[str, str]:
    if not shown:
        return {}
    policies = (f'"{unit}";q={verdict.ask.limit};w={verdict.ask.window_s}' for unit, verdict in shown.items())
    states = (f'"{unit}";r={verdict.remaining};t={ceil(verdict.reset_s)}' for unit, verdict in shown.items())
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(states)}


def span(seconds: float) -> str:
    """A time as Go writes it, which is how OpenAI does: `6m0s`, `1.5s`, `20ms`."""
    milliseconds = ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest / 1000:g}s"
    if minutes or hours:
        shown = f"{minutes}m{shown}"
    return f"{hours}h{shown}" if hours else shown
