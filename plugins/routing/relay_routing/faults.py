"""Faults of a configuration that concern several of its places: each is reported at its own."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Faults:
    """Collects faults, and raises all of them at once.

    Raised inside a validator, pydantic puts their places behind the validated object's own, so that they lead to the line.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._found: list[InitErrorDetails] = []

    def note(self, message: str, *place: str | int) -> None:
        """A fault at `place`, counted from the validated object. The message is shown as it is."""
        # The message is a value and not the template, because it may hold braces.
        kind = PydanticCustomError("configuration", "{message}", {"message": message})
        self._found.append(InitErrorDetails(type=kind, loc=place, input=None))

    def raise_any(self) -> None:
        """:raises ValidationError: when anything was noted."""
        if self._found:
            raise ValidationError.from_exception_data(self._title, self._found)


def close_to(found: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    close = get_close_matches(found, list(known), n=1, cutoff=0.6)
    return close[0] if close else None
