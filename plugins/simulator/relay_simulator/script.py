"""How one request steers its own answer: `[[sim status=429]]` in the text, `sim-status-429` as the model, or headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay_simulator.fault import Fault

_DIRECTIVE = re.compile(r"\[\[sim\s+(.*?)\]\]", re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)?")
HEADER = "x-simulator-"
MODEL = "sim-"


@dataclass(frozen=True, slots=True)
class Script:
    """What shall happen. Counts of events start at 0: `cut=3` sends three events and closes the connection."""

    status: int | None = None
    """Answer with this HTTP status and the dialect's error body."""
    retry_after: float | None = None
    """Seconds, in the Retry-After header of the error (Gemini: also in its body)."""
    delay: float = 0.0
    """Seconds before the head of the answer."""
    pace: float | None = None
    """Seconds between two events."""
    events: int | None = None
    """How many pieces of text a stream has."""
    bytes: int | None = None
    """How long the text of the answer is."""
    cut: int | None = None
    """Close the connection after so many events; an answer that is not streamed ends half-way. 0: before the head."""
    error_in_stream: int | None = None
    """Send the dialect's error after so many events and end; an answer that is not streamed is the error, with status 200."""
    silent: int | None = None
    """Say nothing more after so many events, until the client leaves. 0: not even the head."""
    garbage: int | None = None
    """Send something that is not JSON after so many events; an answer that is not streamed is garbage as a whole."""
    times: int | None = None
    """The faults above hit only the first so many requests with exactly this body."""
    no_usage: bool = False
    """Report no usage."""
    usage: str | None = None
    """Report false usage: `negative`, `huge` or `mismatch` (the total is not the sum)."""
    cached: int = 0
    """So many more input tokens, read from a cache."""
    written: int = 0
    """So many more input tokens, written to a cache (5 minutes)."""
    reasoning: int | None = None
    """So many tokens of reasoning."""
    tool: str | None = None
    """Call these tools (names with commas between)."""
    say: str | None = None
    """Answer with exactly this text: everything up to the closing brackets."""
    refuse: bool = False
    """Decline, in the dialect's own way."""

    def healed(self) -> Script:
        """The same without its faults."""
        return replace(self, status=None, delay=0.0, cut=None, error_in_stream=None, silent=None, garbage=None)


_MOST = {"status": 599, "events": 100_000, "bytes": 10_000_000, "cached": 10**9, "written": 10**9, "reasoning": 100_000}
_COUNTS = frozenset(
    (
        "status",
        "events",
        "bytes",
        "cut",
        "error_in_stream",
        "silent",
        "garbage",
        "times",
        "cached",
        "written",
        "reasoning",
    )
)
_DURATIONS = frozenset(("retry_after", "delay", "pace"))
_FLAGS = frozenset(("no_usage", "refuse"))
_WORDS = frozenset(("usage", "tool", "say"))
_BARE = frozenset(("cut", "error_in_stream", "silent", "garbage"))
"""Counts that may stand without a value: 0."""
_LONGEST_S = 600.0


def read_script(text: str, model: str, headers: Mapping[str, str]) -> Script:
    """The script of a request; headers win over the text, the text over the model's name.

    :raises Fault: 400 for a word that is not known or a value that is not one.
    """
    said: dict[str, Any] = {}
    if model.startswith(MODEL):
        said.update(_model(model))
    for directive in _DIRECTIVE.findall(text):
        said.update(_read(_words(directive)))
    said.update(_read((name[len(HEADER) :].replace("-", "_"), value) for name, value in _own(headers)))
    return Script(**said)


def without_script(text: str) -> str:
    """The text with its directives taken out: what an answer may echo."""
    return _DIRECTIVE.sub("", text).strip()


def _own(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((name.lower(), value) for name, value in headers.items() if name.lower().startswith(HEADER))


def _words(directive: str) -> Iterable[tuple[str, str | None]]:
    rest = directive.strip()
    while rest:
        if rest.startswith("say="):
            yield "say", rest[4:]
            return
        word, *others = rest.split(None, 1)
        rest = others[0] if others else ""
        name, is_set, value = word.partition("=")
        yield name, value if is_set else None


def _model(model: str) -> dict[str, Any]:
    """`sim-pace-20ms-events-50`: known words, each with the value behind it. Other words are only part of the name."""
    parts = model[len(MODEL) :].split("-")
    found: list[tuple[str, str | None]] = []
    for at, word in enumerate(parts):
        behind = parts[at + 1] if at + 1 < len(parts) else None
        if word in _FLAGS:
            found.append((word, None))
        elif word in _COUNTS | _DURATIONS and behind is not None and behind[:1].isdigit():
            found.append((word, behind))
        elif word in _BARE:
            found.append((word, None))
        elif word in ("usage", "tool") and behind:
            found.append((word, behind))
    return _read(found)


def _read(pairs: Iterable[tuple[str, str | None]]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in pairs}


def _value(name: str, value: str | None) -> Any:
    if name in _FLAGS:
        return value not in ("0", "false", "no")
    if name in _COUNTS and value is None and name in _BARE:
        return 0
    if name in _COUNTS and value is not None and value.isascii() and value.isdigit() and len(value) <= 12:
        return min(int(value), _MOST.get(name, 10**9))
    if name in _DURATIONS and value is not None and (duration := _DURATION.fullmatch(value)):
        seconds = float(duration[1]) / (1000 if duration[2] == "ms" else 1)
        return min(seconds, _LONGEST_S)
    if name in _WORDS and value:
        return value
    if name in _COUNTS | _DURATIONS | _WORDS:
        raise Fault(400, f"The simulator cannot read the value of {name!r} in a directive.", code="bad_directive")
    raise Fault(400, f"The simulator knows no directive {name!r}.", code="bad_directive")
