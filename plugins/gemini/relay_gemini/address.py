"""Where a request goes at the provider: a path with the model in it, and the client's query without any key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from relay.errors import Refused
from relay.wire.dialect import Surface
from relay_gemini.surfaces import KEY_QUERY

_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@:-]*(?:/[A-Za-z0-9_][A-Za-z0-9._@:-]*)*")
_PARAMETER = re.compile(r"\{model(?::path)?\}")
_SEPARATOR = re.compile(r"([&;])")

_KEYS = frozenset(("key", "access_token", "oauth_token", "quotauser", "userip"))
"""Parameters of a query that hold a key, or say on whose account the request counts. Google takes each with a `$` before it, too."""


def place(surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
    """Path and query at the provider. What stays of the query stays byte for byte.

    :raises Refused: `invalid_path` for a model with anything in it but letters, digits, `. _ - @ :` and single slashes. A colon is
        escaped, since what follows one names the operation.
    """
    path = surface.path
    if surface.model == "path":
        name = params["model"] if model is None else model
        if not _MODEL.fullmatch(name):
            raise Refused("invalid_path")
        path = _PARAMETER.sub(name.replace(":", "%3A"), path)
    kept = without_keys(query)
    return f"{path}?{kept}" if kept else path


def without_keys(query: str) -> str:
    """The query without keys, however their names are spelt and however often they stand there."""
    pieces = _SEPARATOR.split(query)
    kept: list[str] = []
    for index in range(0, len(pieces), 2):
        if not is_key(pieces[index]):
            # A separator belongs to the parameter behind it.
            kept += pieces[max(0, index - 1) : index + 1] if kept else pieces[index : index + 1]
    return "".join(kept)


def is_key(parameter: str) -> bool:
    """Does this `name=value` carry a key?"""
    name = unquote_plus(parameter.partition("=")[0])
    return name.strip().removeprefix("$").casefold() in _KEYS


def has_key(query: str) -> bool:
    """Does a client's key stand in this query?"""
    return any(unquote_plus(piece.partition("=")[0]) == KEY_QUERY for piece in query.split("&"))
