"""Which surface of which dialect a path means. Authorisation hangs on the matched surface, never on the path's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from relay.errors import Refused
from relay.wire.dialect import Dialect, Surface

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
_SEGMENT = re.compile(r"[A-Za-z0-9._~:@+=,\-]{1,256}")


@dataclass(frozen=True, slots=True)
class Matched:
    """A dialect's surface and the values of its path parameters, decoded."""

    dialect: Dialect
    surface: Surface
    params: Mapping[str, str]


class Surfaces:
    """The surfaces of the dialects that are served, in the order of the configuration."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._fixed: dict[str, list[tuple[Dialect, Surface]]] = {}
        self._open: list[tuple[str, re.Pattern[str], Dialect, Surface]] = []
        for dialect in self._dialects.values():
            for surface in dialect.surfaces:
                if "{" in surface.path:
                    self._open.append((surface.path.partition("{")[0], _pattern(surface.path), dialect, surface))
                else:
                    self._fixed.setdefault(surface.path, []).append((dialect, surface))
        self.roots = frozenset(
            [surface.path.split("/")[1] for d in self._dialects.values() for surface in d.surfaces]
            + list(self._dialects)
        )

    def __iter__(self) -> Iterator[tuple[Dialect, Surface]]:
        return ((dialect, surface) for dialect in self._dialects.values() for surface in dialect.surfaces)

    @property
    def first(self) -> Dialect:
        """The dialect that is spoken when nothing says otherwise."""
        return next(iter(self._dialects.values()))

    def covers(self, path: str) -> bool:
        """Does a path lie in the space of surfaces (not of plugins' routes or pages)?"""
        return path[1:].partition("/")[0].partition("?")[0] in self.roots

    def speaker(self, path: str, headers: Mapping[str, str], query: str) -> Dialect:
        """The dialect in which to answer what matches no surface: the one in the path, the one that claims it, or the first."""
        named = self._dialects.get(path[1:].partition("/")[0])
        if named is not None:
            return named
        for dialect in self._dialects.values():
            if dialect.claims(headers, query):
                return dialect
        return self.first

    def match(self, method: str, path: str, headers: Mapping[str, str], query: str) -> Matched:
        """The surface of a request; `path` is raw, without its query.

        :raises Refused: `not_found`, `method_not_allowed`, or `invalid_path` for characters that cannot stand there.
        """
        first, _, rest = path[1:].partition("/")
        only = self._dialects.get(first)
        found = self._candidates("/" + rest if only is not None else path, only)
        if not found:
            raise Refused("not_found")
        fitting = [entry for entry in found if entry[1].method == method]
        if not fitting:
            allowed = ", ".join(sorted({surface.method for _, surface, _ in found}))
            raise Refused("method_not_allowed", headers={"allow": allowed})
        chosen = fitting[0]
        if len(fitting) > 1:
            for entry in fitting:
                if entry[0].claims(headers, query):
                    chosen = entry
                    break
        dialect, surface, params = chosen
        return Matched(dialect, surface, {name: _clean(value) for name, value in params.items()} if params else params)

    def _candidates(self, path: str, only: Dialect | None) -> list[tuple[Dialect, Surface, dict[str, str]]]:
        fixed = self._fixed.get(path)
        if fixed is not None:
            return [(dialect, surface, {}) for dialect, surface in fixed if only is None or dialect is only]
        found = []
        for prefix, pattern, dialect, surface in self._open:
            if path.startswith(prefix) and (only is None or dialect is only):
                match = pattern.fullmatch(path)
                if match is not None:
                    found.append((dialect, surface, match.groupdict()))
        return found


def _pattern(template: str) -> re.Pattern[str]:
    """A surface's template as an expression over raw paths: a parameter ends at the next slash or at the literal behind it."""
    out, at = "", 0
    for part in _PARAMETER.finditer(template):
        out += re.escape(template[at : part.start()])
        after = template[part.end() : part.end() + 1]
        segment = ".+" if part[2] else f"[^/{':' if after == ':' else ''}]+"
        out += f"(?P<{part[1]}>{segment})"
        at = part.end()
    return re.compile(out + re.escape(template[at:]))


def _clean(raw: str) -> str:
    """A path parameter, decoded once. :raises Refused: `invalid_path`: it would mean another path at the provider."""
    # What is no UTF-8 becomes a character that no segment may have.
    value = unquote(raw) if "%" in raw else raw
    for segment in value.split("/") if "/" in raw or "%2f" in raw.lower() else (value,):
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise Refused("invalid_path")
    return value
