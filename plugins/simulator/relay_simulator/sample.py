"""A value for a JSON schema: what a model would fill in, made of the user's own words."""

from __future__ import annotations

from typing import Any

from relay_simulator.ask import Document

_DEEPEST = 12
_ALL_PROPERTIES = 6
"""Objects deeper than this have only what they require: a schema may contain itself."""
_MOST_VALUES = 10_000
_FORMATS = {
    "date-time": "2025-01-02T03:04:05Z",
    "date": "2025-01-02",
    "time": "03:04:05Z",
    "duration": "PT1H",
    "email": "somebody@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Any, words: str) -> Any:
    """A value that the schema accepts. Strings without an enum or a format are `words`, as far as they fit.

    Understands type, enum, const, properties, items, prefixItems, anyOf, oneOf, allOf, local $ref, formats, bounds and
    lengths, and Gemini's upper-case types; `pattern` is beyond it.
    """
    return _Sampler(schema, words).value(schema, 0)


class _Sampler:
    """Fills in one schema. What a stranger's schema can make it do is bounded in depth and in number."""

    def __init__(self, schema: Any, words: str) -> None:
        self._root: Document = schema if isinstance(schema, dict) else {}
        self._words = words
        self._left = _MOST_VALUES

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self._left < 0:
            return self._words if schema is True else None
        if isinstance(reference := schema.get("$ref"), str):
            return self.value(_resolve(self._root, reference), depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[0]
        for word in ("anyOf", "oneOf"):
            if isinstance(ways := schema.get(word), list) and ways:
                return self.value(_first(ways), depth + 1)
        if isinstance(parts := schema.get("allOf"), list) and parts:
            return self.value(self._joined(schema, parts), depth + 1)
        return self._typed(schema, depth)

    def _joined(self, schema: Document, parts: list[Any]) -> Document:
        joined: Document = {name: value for name, value in schema.items() if name != "allOf"}
        for part in parts:
            reference = part.get("$ref") if isinstance(part, dict) else None
            joined = _merge(joined, _resolve(self._root, reference) if isinstance(reference, str) else part)
        return joined

    def _typed(self, schema: Document, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        kind = kind.lower() if isinstance(kind, str) else ("array" if "items" in schema else "object")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._items(schema, depth)
        if kind == "string":
            return _string(schema, self._words)
        if kind in ("integer", "number"):
            return _number(schema, kind)
        return True if kind == "boolean" else None

    def _object(self, schema: Document, depth: int) -> Document:
        properties, required = schema.get("properties"), schema.get("required")
        if not isinstance(properties, dict):
            return {}
        wanted = properties if depth < _ALL_PROPERTIES else (required if isinstance(required, list) else [])
        return {
            name: self.value(properties.get(name), depth + 1)
            for name in wanted
            if isinstance(name, str) and self._left > 0
        }

    def _items(self, schema: Document, depth: int) -> list[Any]:
        first, least = schema.get("prefixItems"), schema.get("minItems")
        found = [self.value(one, depth + 1) for one in first] if isinstance(first, list) else []
        wanted = int(least) if isinstance(least, int | str) and str(least).isdecimal() and len(str(least)) < 6 else 1
        if "items" in schema and schema.get("maxItems") != 0:
            while len(found) < wanted and self._left > 0 and depth < _DEEPEST - 1:
                found.append(self.value(schema["items"], depth + 1))
        return found


def _string(schema: Document, words: str) -> str:
    made = _FORMATS.get(str(schema.get("format")), words or "simulated")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) and len(made) < least:
        made = (made + " ") * (least // (len(made) + 1) + 1)
    if isinstance(most, int):
        made = made[:most]
    return made[:1000] if not isinstance(least, int) or least <= 1000 else made[:least]


def _number(schema: Document, kind: str) -> int | float:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    number: int | float = 7
    if isinstance(high, int | float):
        number = min(number, high)
    if isinstance(below, int | float) and not isinstance(below, bool):
        number = min(number, below - 1)
    if isinstance(low, int | float):
        number = max(number, low)
    if isinstance(above, int | float) and not isinstance(above, bool):
        number = max(number, above + 1)
    if isinstance(step, int | float) and step > 0:
        number = -(-number // step) * step
    return int(number) if kind == "integer" else float(number)


def _resolve(root: Document, reference: str) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
    return found


def _first(ways: list[Any]) -> Any:
    return next((way for way in ways if not (isinstance(way, dict) and way.get("type") == "null")), ways[0])


def _merge(one: Document, other: Any) -> Document:
    if not isinstance(other, dict):
        return one
    merged = {**one, **other}
    for name in ("properties", "required"):
        if isinstance(left := one.get(name), dict) and isinstance(right := other.get(name), dict):
            merged[name] = {**left, **right}
        elif isinstance(left, list) and isinstance(right := other.get(name), list):
            merged[name] = [*left, *right]
    return merged
