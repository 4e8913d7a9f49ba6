"""Times as the providers write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def seconds() -> int:
    """Seconds since 1970."""
    return int(time.time())


def stamp(later_s: int = 0) -> str:
    """RFC 3339 in UTC, so many seconds from now."""
    return datetime.fromtimestamp(seconds() + later_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
