"""Time, in one place: what a clock on the wall says, and what never runs backwards."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, time

__all__ = ["monotonic", "now", "rfc3339", "time"]


def now() -> datetime:
    """The time of day in UTC, with its zone."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 with milliseconds and Z, as JSON and logs show it. :raises ValueError: without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
