"""Answers of chat completions and completions: whole, and as a stream of chunks.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Failure, Kind, Path, Stop, StopReason, Usage
from relay_openai.errors import failure, read_error
from relay_openai.gather import Block, Gather, member, objects
from relay_openai.messages import KNOWN, THINKING, details, read_message
from relay_openai.parts import annotation, part
from relay_openai.usage import read_usage

_USAGE_MARK = b'_tokens"'
"""Every usage has a member that ends so."""
MARKS: tuple[bytes, ...] = (
    b'"finish_reason":"',
    b'"finish_reason": "',
    b"[DONE]",
    _USAGE_MARK,
    b'"error"',
    b"event: error",
    # With more than one choice the stream has ended only when each of them has.
    b'"index":1',
    b'"index": 1',
)
"""Where a chunk says more than text."""
AUDIO_MARK = b'"audio"'
_TEXTS: frozenset[Kind] = frozenset(("text", "tool_args", "thinking", "media", "opaque", "created"))
"""What is looked for within a delta."""
_CONTENTS = _TEXTS - {"created"}

_STOPS: dict[str, StopReason] = {
    "stop": "end",
    "eos": "end",
    "end_turn": "end",
    "STOP": "end",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "MAX_TOKENS": "length",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "filter",
    "SAFETY": "filter",
    "RECITATION": "filter",
    "insufficient_system_resource": "incomplete",
    "error": "incomplete",
    "abort": "incomplete",
}


def tell_chat(found: Gather, document: Any, where: Path = (), block: Block = ()) -> None:
    """A chat completion (or completion) that is not streamed."""
    choices = document.get("choices") if isinstance(document, dict) else None
    if not isinstance(choices, list):
        if not read_error(document):
            found.opaque(document, where)
        return
    found.created("chat.completion", document.get("id"))
    wants_texts = not _CONTENTS.isdisjoint(found.kinds)
    for i, choice in objects(choices):
        mine, here = (*block, "choice", _index(choice, i)), (*where, "choices", i)
        message = choice.get("message")
        if wants_texts:
            if isinstance(message, dict):
                read_message(found, message, mine, (*here, "message"))
            found.whole("text", choice.get("text"), (*mine, "content"), (*here, "text"))
            found.opaque(choice.get("logprobs"), (*here, "logprobs"))
        if isinstance(message, dict) and "audio" in message:
            found.created("audio", member(message, "audio", "id"))
        if "error" in choice:
            found.failure(_choice_error(choice))
        found.stop(_stop(choice.get("finish_reason"), _hint(message)), mine)
    if "usage" in found.kinds:
        found.usage(*_usage(document, where))


class ChatReader:
    """Reads the chunks of one streamed chat completion or completion."""

    def __init__(self) -> None:
        self._told: dict[Block, int] = {}
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._hints: dict[int, StopReason] = {}
        self._calls: dict[tuple[int, int], list[str]] = {}
        self._made = False
        self._done = False

    @property
    def complete(self) -> bool:
        """Every choice has a finish reason, or the stream said `[DONE]`; some providers never say it."""
        return self._done or (bool(self._finished) and self._open <= self._finished)

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        data = frame.data
        if data is None:
            return ()
        if not data.startswith(b"{"):
            data = data.strip()
            self._done = self._done or data.startswith(b"[DONE]")
            if not data or data.startswith(b"[DONE]"):
                return ()
        document = frame.document()
        found = Gather(kinds, self._told)
        if isinstance(document, dict) and ("choices" in document or "usage" in document):
            if document.get("error"):
                found.failure(read_error(document))
            self._chunk(found, document)
            if _USAGE_MARK in data:
                found.usage(*_usage(document, ()))
            return found.events
        error = read_error(document) or (failure(document) if frame.name == "error" else None)
        found.failure(error)
        if error is None and not _is_silent(document):
            found.opaque(document, ())
        return found.events

    def _chunk(self, found: Gather, document: dict[str, Any]) -> None:
        text = not _TEXTS.isdisjoint(found.kinds)
        for i, choice in objects(document.get("choices")):
            number = _index(choice, i)
            self._open.add(number)
            if text:
                self._choice(found, choice, number, ("choices", i))
            found.failure(_choice_error(choice))
            if reason := choice.get("finish_reason"):
                self._finished.add(number)
                if not self._made:
                    # The id stands in every chunk; it is told here, so that no other chunk has to be read for it.
                    self._made = True
                    found.created("chat.completion", document.get("id"))
                found.stop(_stop(reason, self._hints.get(number)), ("choice", number))

    def _choice(self, found: Gather, choice: dict[str, Any], number: int, here: Path) -> None:
        mine = ("choice", number)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            for name, value in delta.items():
                if value and name != "role":
                    self._delta(found, name, value, mine, (*here, "delta", name))
        if "text" in choice:
            found.delta("text", choice["text"], (*mine, "content"), (*here, "text"))
        found.opaque(choice.get("logprobs"), (*here, "logprobs"))
        message = choice.get("message")
        if isinstance(message, dict):
            # Perplexity repeats all that was said so far beside each delta.
            read_message(found, message, mine, (*here, "message"))

    def _delta(self, found: Gather, name: str, value: Any, mine: tuple[str, int], here: Path) -> None:
        """One member of a delta. Most deltas have one that says something."""
        if name == "content" and isinstance(value, list):
            for k, piece in objects(value):
                # Mistral streams parts: what they are tells the blocks apart, not where they stand.
                block = "reasoning" if piece.get("type") == "thinking" else name
                part(found, piece, (*mine, block), (*here, k), delta=True)
        elif name in ("content", "refusal"):
            found.delta("text", value, (*mine, name), here)
            if name == "refusal":
                self._hints[mine[1]] = "refusal"
        elif name in THINKING:
            found.delta("thinking", value, (*mine, name), here)
        elif name == "tool_calls":
            self._hints[mine[1]] = "tool"
            for k, call in objects(value):
                self._tool(found, call, (*mine, *self._call(call, mine[1], k)), (*here, k))
        elif name == "function_call":
            found.delta("tool_args", member(value, "arguments"), (*mine, "function"), (*here, "arguments"))
        elif name == "reasoning_details":
            details(found, value, (*mine, "details"), here, delta=True)
        elif name == "audio":
            found.created("audio", member(value, "id"))
            found.delta("media", member(value, "data"), (*mine, "audio"), (*here, "data"))
            found.delta("text", member(value, "transcript"), (*mine, "transcript"), (*here, "transcript"))
        elif name == "annotations":
            for k, entry in objects(value):
                annotation(found, entry, (*mine, name, k), (*here, k))
        elif name == "images":
            for k, entry in objects(value):
                part(found, entry, (*mine, name, k), (*here, k))
        elif name not in KNOWN and isinstance(value, (str, dict, list)):
            found.opaque(value, here)

    @staticmethod
    def _tool(found: Gather, call: dict[str, Any], block: Block, here: Path) -> None:
        arguments = member(call, "function", "arguments")
        found.delta("tool_args", arguments, block, (*here, "function", "arguments"))
        found.delta("text", member(call, "custom", "input"), block, (*here, "custom", "input"))

    def _call(self, call: dict[str, Any], number: int, position: int) -> Block:
        """Which tool call a fragment belongs to. Some servers give several calls one index: their ids tell them apart."""
        index = _index(call, position)
        ids = self._calls.setdefault((number, index), [])
        id = call.get("id")
        if isinstance(id, str) and id and id not in ids:
            ids.append(id)
        nth = ids.index(id) if id in ids else max(len(ids) - 1, 0)
        return ("tool", index, nth) if nth else ("tool", index)


def _index(entry: dict[str, Any], position: int) -> int:
    index = entry.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else position


def _choice_error(choice: dict[str, Any]) -> Failure | None:
    """OpenRouter reports an upstream's error within the choice."""
    error = choice.get("error")
    return failure(error) if error else None


def _hint(message: Any) -> StopReason | None:
    if not isinstance(message, dict):
        return None
    if message.get("tool_calls") or message.get("function_call"):
        return "tool"
    return "refusal" if message.get("refusal") else None


def _stop(reason: Any, hint: StopReason | None) -> Stop | None:
    """:param hint: what the answer holds: some providers say `stop` after a tool call, and OpenAI after a refusal."""
    if not isinstance(reason, str) or not reason:
        return None
    said = _STOPS.get(reason, "end")
    return Stop(hint if hint and said == "end" else said, reason)


def _usage(document: dict[str, Any], where: Path) -> tuple[Usage | None, Path]:
    """Usage stands at the top, in `x_groq`, or in a choice (Moonshot)."""
    if usage := read_usage(document.get("usage")):
        return usage, (*where, "usage")
    if "x_groq" in document and (usage := read_usage(member(document, "x_groq", "usage"))):
        return usage, (*where, "x_groq", "usage")
    for i, choice in objects(document.get("choices")):
        if usage := read_usage(choice.get("usage")):
            return usage, (*where, "choices", i, "usage")
    return None, where


def _is_silent(document: Any) -> bool:
    """A keep-alive, or a chunk that tells nothing: `{}`, `{"type": "ping"}`."""
    return document is None or document == {} or member(document, "type") in ("ping", "keepalive")
