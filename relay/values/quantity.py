"""Sizes and durations as people write them: `32MiB`, `10s`. Types for settings, plain numbers in code."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_FORM = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def size(given: object) -> object:
    """Bytes of `32MiB`, `1.5 GB`, `512`. What is no text stays as it is.

    :raises ValueError: it is not a size.
    """
    if not isinstance(given, str):
        return given
    form = _FORM.fullmatch(given)
    if form is None or form[2].upper() not in _SIZES:
        raise ValueError("expected a size such as 512, 16KiB, 32MiB or 1GiB")
    return round(float(form[1].replace("_", "")) * _SIZES[form[2].upper()])


def duration(given: object) -> object:
    """Seconds of `10s`, `500ms`, `5m`, `1h`, `2d`, `0.5`. What is no text stays as it is.

    :raises ValueError: it is not a duration.
    """
    if not isinstance(given, str):
        return given
    form = _FORM.fullmatch(given)
    if form is None or form[2] not in _SECONDS:
        raise ValueError("expected a duration such as 10, 500ms, 10s, 5m, 1h or 2d")
    return float(form[1].replace("_", "")) * _SECONDS[form[2]]


def shown_size(count: int) -> str:
    """Bytes as a configuration writes them: the largest unit that leaves a whole number."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count and count % scale == 0:
            return f"{count // scale}{unit}"
    return str(count)


def shown_duration(seconds: float) -> str:
    """Seconds as a configuration writes them."""
    return f"{seconds:g}s"


Size = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(size),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9._]+ ?[KMG]?i?B?$"}]}
    ),
]
"""A number of bytes."""

Duration = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    BeforeValidator(duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9._]+ ?(ms|s|m|h|d)?$"},
            ]
        }
    ),
]
"""A number of seconds, more than none."""
