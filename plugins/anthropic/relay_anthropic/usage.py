"""Usage in buckets that do not overlap.

How the provider counts: `input_tokens` leaves out what was read from and written to the cache; `output_tokens` includes
thinking, whose share `output_tokens_details` tells. It states no total. Its `iterations` tell the parts again and are not added.
https://docs.anthropic.com/en/api/messages#response-usage
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.wire.vocabulary import Usage

_MOST = 1 << 40
"""More tokens than any request has: a figure beyond it is a mistake of whoever sent it."""


class _Figures:
    """Reads figures out of one usage object and notes the first that cannot be right."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._source = source
        self.suspect: str | None = None

    def read(self, name: str, inside: str | None = None) -> int:
        """A figure, 0 where none is given or the one given cannot be used."""
        source: Any = self._source if inside is None else self._source.get(inside)
        if source is None:
            return 0
        if not isinstance(source, Mapping):
            self.doubt(f"{inside} is not an object")
            return 0
        value = source.get(name)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool):
            self.doubt(f"{name} is not an integer")
        elif value < 0:
            self.doubt(f"{name} is negative")
        elif value > _MOST:
            self.doubt(f"{name} is beyond any request")
        else:
            return value
        return 0

    def doubt(self, reason: str) -> None:
        self.suspect = self.suspect or reason


def merge(known: Mapping[str, Any], told: Any) -> dict[str, Any]:
    """The usage so far, after one more telling. Figures are cumulative: a later one replaces an earlier, nothing is added.

    What a later telling leaves out, or gives as null, stays as it was.
    """
    if not isinstance(told, Mapping):
        return dict(known)
    return {**known, **{name: value for name, value in told.items() if value is not None}}


def read(source: Mapping[str, Any]) -> Usage:
    """The buckets of one usage object; figures that cannot be right make the whole `suspect`."""
    figures = _Figures(source)
    written = figures.read("cache_creation_input_tokens")
    short = figures.read("ephemeral_5m_input_tokens", "cache_creation")
    long = figures.read("ephemeral_1h_input_tokens", "cache_creation")
    if source.get("cache_creation_input_tokens") is not None and short + long > written:
        figures.doubt("cache_creation is more than cache_creation_input_tokens")
    # Without a split, or with one of an earlier telling, what is not known to last an hour lasts five minutes: the default.
    short = max(short, written - long)
    output = figures.read("output_tokens")
    thinking = figures.read("thinking_tokens", "output_tokens_details")
    if thinking > output:
        figures.doubt("thinking_tokens is more than output_tokens")
        thinking = output
    return Usage(
        input=figures.read("input_tokens"),
        cache_read=figures.read("cache_read_input_tokens"),
        cache_write_5m=short,
        cache_write_1h=long,
        output=output - thinking,
        reasoning=thinking,
        server_tools=figures.read("web_search_requests", "server_tool_use"),
        suspect=figures.suspect,
    )
