"""Usage in buckets that do not overlap.

How the provider counts: `promptTokenCount` includes what came from a cache and every modality; the prompt tokens of tools,
thoughts and candidates come beside it; `totalTokenCount` is the sum of these four. Where the figures only add up in another
way that is known, they are read in that way; else they are suspect. https://ai.google.dev/api/generate-content#UsageMetadata
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

    def read(self, name: str) -> int:
        """A figure, 0 where none is given or the one given cannot be used."""
        return self._checked(name, self._source.get(name))

    def modality(self, name: str, modality: str) -> int:
        """The tokens of one modality in a list of details."""
        details = self._source.get(name)
        if details is None:
            return 0
        if not isinstance(details, list):
            self.doubt(f"{name} is not a list")
            return 0
        return sum(
            self._checked(name, entry.get("tokenCount"))
            for entry in details
            if isinstance(entry, Mapping) and entry.get("modality") == modality
        )

    def doubt(self, reason: str) -> None:
        self.suspect = self.suspect or reason

    def _checked(self, name: str, value: Any) -> int:
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


def read(source: Mapping[str, Any]) -> Usage:
    """The buckets of one usage object; figures that cannot be right make the whole `suspect`."""
    figures = _Figures(source)
    prompt, cached = figures.read("promptTokenCount"), figures.read("cachedContentTokenCount")
    tools, thoughts = figures.read("toolUsePromptTokenCount"), figures.read("thoughtsTokenCount")
    candidates = figures.read("candidatesTokenCount")
    total = figures.read("totalTokenCount") if source.get("totalTokenCount") is not None else None
    if total is not None and total != prompt + tools + thoughts + candidates:
        if source.get("candidatesTokenCount") is None and total > prompt + tools + thoughts:
            candidates = total - prompt - tools - thoughts
        elif tools and total == prompt + thoughts + candidates and tools <= prompt:
            tools = 0  # already counted in the prompt
        elif thoughts and total == prompt + tools + candidates and thoughts <= candidates:
            candidates -= thoughts
        else:
            figures.doubt("the figures do not add up to totalTokenCount")
    if cached > prompt:
        figures.doubt("cachedContentTokenCount is more than promptTokenCount")
        cached = prompt
    heard, seen, rest = _split(figures, prompt, cached)
    spoken, drawn = (figures.modality("candidatesTokensDetails", name) for name in ("AUDIO", "IMAGE"))
    if spoken + drawn > candidates:
        figures.doubt("candidatesTokensDetails is more than candidatesTokenCount")
        spoken = drawn = 0
    return Usage(
        input=rest + tools,
        cache_read=cached,
        output=candidates - spoken - drawn,
        reasoning=thoughts,
        audio_input=heard,
        image_input=seen,
        audio_output=spoken,
        image_output=drawn,
        total=total,
        suspect=figures.suspect,
    )


def _split(figures: _Figures, prompt: int, cached: int) -> tuple[int, int, int]:
    """Audio, images and the rest of a prompt, each without what came from the cache."""
    heard, seen = (
        max(0, figures.modality("promptTokensDetails", name) - figures.modality("cacheTokensDetails", name))
        for name in ("AUDIO", "IMAGE")
    )
    if figures.modality("promptTokensDetails", "AUDIO") + figures.modality("promptTokensDetails", "IMAGE") > prompt:
        figures.doubt("promptTokensDetails is more than promptTokenCount")
        return 0, 0, prompt - cached
    fresh = prompt - cached
    # A cache whose modalities are not told held more than text if more than the text is missing: sound first, as it is dearer.
    heard = min(heard, fresh)
    seen = min(seen, fresh - heard)
    return heard, seen, fresh - heard - seen
