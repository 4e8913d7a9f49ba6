"""What the model says: derived from the request and nothing else, so that the same question has the same answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from relay.wire.vocabulary import StopReason
from relay_simulator.ask import Ask
from relay_simulator.sample import sample
from relay_simulator.script import Script

REFUSAL = "I cannot help with that."
_LONGEST_ECHO = 65_536
_FILL = "The simulator goes on and on, as it was asked to. "


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants called."""

    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        return orjson.dumps(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Speech:
    """One answer. `text` is the refusal where `reason` is `refusal`."""

    text: str
    reason: StopReason
    stopped_by: str | None = None
    """The stop sequence that ended it."""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    reasoning: int = 0
    """Tokens of `thinking`."""

    @property
    def size(self) -> int:
        """Bytes of everything said, without the thinking."""
        return len(self.text.encode()) + sum(len(call.json) + len(call.name.encode()) for call in self.calls)


def compose(ask: Ask, script: Script, *, choice: int = 0) -> Speech:
    """The answer to `ask`. Each `choice` (of n) has its own words."""
    reasoning = ask.reasoning if script.reasoning is None else script.reasoning
    thinking = _fill(f"Let me think about this: {ask.text[:400]}. ", reasoning * 4)
    if script.refuse:
        return Speech(REFUSAL, "refusal", thinking=thinking, reasoning=reasoning)
    if names := _called(ask, script):
        calls = tuple(ToolCall(name, _arguments(ask, name)) for name in names)
        return Speech("", "tool", calls=calls, thinking=thinking, reasoning=reasoning)
    text, reason, stopped_by = _ended(_words(ask, script, choice), ask)
    return Speech(text, reason, stopped_by, thinking=thinking, reasoning=reasoning)


def pieces(text: str, count: int | None) -> Sequence[str]:
    """The text in the pieces in which a stream tells it: so many, or by words."""
    if count is not None:
        bounds = [len(text) * at // count for at in range(count + 1)] if count else [0, len(text)]
        return [text[start:end] for start, end in pairwise(bounds)]
    if len(text) > 20_000:
        return [text[start : start + 1000] for start in range(0, len(text), 1000)]
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]] if text else []


def _called(ask: Ask, script: Script) -> list[str]:
    """The tools to call: those the script names, those forced, those the user names; none right after a tool's result."""
    if ask.answered or ask.forbidden:
        return []
    if script.tool:
        return [name for name in script.tool.split(",") if name]
    if not ask.tools:
        return []
    if ask.forced:
        return [next(iter(ask.tools)) if ask.forced == "*" else ask.forced]
    return [name for name in ask.tools if name and name in ask.text]


def _arguments(ask: Ask, name: str) -> dict[str, Any]:
    made = sample(ask.tools.get(name, {"type": "object"}), ask.text)
    return made if isinstance(made, dict) else {}


def _words(ask: Ask, script: Script, choice: int) -> str:
    if script.say is not None:
        return script.say
    if script.bytes is not None:
        return _fill(_FILL, script.bytes)
    if ask.schema is not None:
        made = sample(ask.schema, ask.text[:1000]) if ask.schema else {"answer": ask.text[:1000]}
        return orjson.dumps(made).decode()
    echo = ask.text[:_LONGEST_ECHO]
    mark = hashlib.sha256(f"{choice}:{echo}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    text = f"You said: {echo} — that is {len(echo.split())} words, and my answer to them is {mark}."
    if script.events is not None and len(text) < script.events:
        text += " " + _fill(_FILL, script.events - len(text))
    return text


def _ended(text: str, ask: Ask) -> tuple[str, StopReason, str | None]:
    """The text up to the first stop sequence, or up to the most tokens it may have."""
    stops = [(at, stop) for stop in ask.stops if stop and (at := text.find(stop)) >= 0]
    if stops:
        at, stop = min(stops)
        return text[:at], "stop_sequence", stop
    if ask.most is not None and len(text.encode()) > ask.most * 4:
        return text.encode()[: ask.most * 4].decode("utf-8", "ignore"), "length", None
    return text, "end", None


def _fill(words: str, wanted: int) -> str:
    """Exactly `wanted` bytes of UTF-8, made of `words` again and again."""
    unit = words.encode("utf-8", "replace")
    text = (unit * (wanted // len(unit) + 1))[:wanted].decode("utf-8", "ignore")
    return text + "." * (wanted - len(text.encode()))
