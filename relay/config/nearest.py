"""What somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for a near name, `; known are …` for a few that are not near, else nothing."""
    names = sorted(set(known))
    lowered = {name.lower(): name for name in names}
    # A file can hold any text, and the comparison takes the square of its length.
    if near := get_close_matches(word[:64].lower(), lowered, n=1, cutoff=0.6):
        return f"; did you mean '{lowered[near[0]]}'?"
    if 0 < len(names) <= 12:
        return f"; known are {', '.join(names)}"
    return ""
