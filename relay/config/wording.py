"""pydantic's findings in plain words: what was expected, what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from pydantic_core import ErrorDetails, core_schema

_TEXT = "text"
_WHOLE = "a whole number"
_NUMBER = "a number"
_TRUTH = "true or false"
_LIST = "a list"
_SETTINGS = "a mapping of settings"
_REFERENCE = "a secret as {env: NAME} or {file: path}"

_SHAPES: dict[str, str] = {
    "string_type": _TEXT,
    "string_sub_type": _TEXT,
    "int_type": _WHOLE,
    "float_type": _NUMBER,
    "decimal_type": _NUMBER,
    "bool_type": _TRUTH,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": _SETTINGS,
    "model_attributes_type": _SETTINGS,
    "dataclass_type": _SETTINGS,
    "none_required": "nothing",
    "path_type": "a path",
    "url_type": "a URL",
    "bytes_type": _TEXT,
    "date_type": "a date such as 2026-01-31",
    "datetime_type": "a time such as 2026-01-31T12:00:00Z",
    "time_delta_type": "a duration",
}
"""Errors that say: another kind of thing belongs here."""

_EXPECTED: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_parsing": lambda _: _WHOLE,
    "int_parsing_size": lambda _: "a smaller number",
    "int_from_float": lambda _: _WHOLE,
    "float_parsing": lambda _: _NUMBER,
    "decimal_parsing": lambda _: _NUMBER,
    "finite_number": lambda _: "a finite number",
    "bool_parsing": lambda _: _TRUTH,
    "literal_error": lambda of: f"one of {_listed(of['expected'])}",
    "enum": lambda of: f"one of {_listed(of['expected'])}",
    "greater_than": lambda of: f"more than {of['gt']:g}",
    "greater_than_equal": lambda of: f"at least {of['ge']:g}",
    "less_than": lambda of: f"less than {of['lt']:g}",
    "less_than_equal": lambda of: f"at most {of['le']:g}",
    "multiple_of": lambda of: f"a multiple of {of['multiple_of']:g}",
    "string_too_short": lambda of: f"at least {_counted(of['min_length'], 'character')}",
    "string_too_long": lambda of: f"at most {_counted(of['max_length'], 'character')}",
    "string_pattern_mismatch": lambda of: f"text of the form {of['pattern']}",
    "too_short": lambda of: f"at least {_counted(of['min_length'], 'entry')}",
    "too_long": lambda of: f"at most {_counted(of['max_length'], 'entry')}",
    "ip_any_address": lambda _: "an IP address",
    "ip_any_network": lambda _: "a network such as 10.0.0.0/8 (with no bits set behind its prefix)",
    "ip_v4_address": lambda _: "an IPv4 address",
    "ip_v6_address": lambda _: "an IPv6 address",
    "url_parsing": lambda _: "a URL such as https://example.org",
    "url_scheme": lambda of: f"a URL that begins with {of['expected_schemes']}",
    "union_tag_invalid": lambda of: f"{of['discriminator']} to be one of {_listed(of['expected_tags'])}",
    "union_tag_not_found": lambda of: f"a mapping with {of['discriminator']}",
    "date_from_datetime_parsing": lambda _: "a date such as 2026-01-31",
    "datetime_from_date_parsing": lambda _: "a time such as 2026-01-31T12:00:00Z",
    "uuid_parsing": lambda _: "a UUID",
}


_OWN = frozenset(get_args(core_schema.ErrorType))


def wrong_shape(error: ErrorDetails) -> bool:
    """Does it say that another kind of thing belongs here, rather than that this one is not right?"""
    return error["type"] in _SHAPES or error["type"] == "is_instance_of"


def expected(error: ErrorDetails) -> str | None:
    """What belongs here, to stand behind "expected". None: the error is of another sort."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _SHAPES:
        return _SHAPES[kind]
    if kind == "is_instance_of":
        name = str(context.get("class"))
        return _REFERENCE if name == "Secret" else f"a {name}"
    make = _EXPECTED.get(kind)
    return make(context) if make else None


def other(error: ErrorDetails) -> str:
    """The sentence for what is neither missing nor unknown nor of the wrong kind: a validator's own, or pydantic's."""
    if error["type"] in ("value_error", "assertion_error"):
        said = str(error.get("ctx", {}).get("error", ""))
        return said or "this value is refused"
    message = error["msg"]
    # A plugin's own kind of error is told as it is.
    return message[:1].lower() + message[1:] if error["type"] in _OWN else message


def alternatives(words: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`; each once."""
    each = list(dict.fromkeys(words))
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} or {each[-1]}"


def _listed(names: str) -> str:
    """pydantic writes `'a', 'b' or 'c'`."""
    return names.replace(" or ", ", ")


def _counted(count: int, of: str) -> str:
    if count == 1:
        return f"1 {of}"
    return f"{count} {of[:-1]}ies" if of.endswith("y") else f"{count} {of}s"
