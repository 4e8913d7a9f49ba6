"""Answers of chat completions and completions: whole, and as a stream of chunks.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Kind, Path, Stop, StopReason, Usage
from relay_openai.errors import failure, read_error
from relay_openai.gather import Block, Gather, member, objects
from relay_openai.messages import THINKING, details, read_message, unknown
from relay_openai.parts import annotation, part
from relay_openai.usage import read_usage

MARKS: tuple[bytes, ...] = (
    b'"finish_reason":"',
    b'"finish_reason": "',
    b"[DONE]",
    b'_tokens"',
    b'"error"',
    b"event: error",
    # With more than one choice the stream has ended only when each of them has.
    b'"index":1',
    b'"index": 1',
)
"""Where a chunk says more than text: every usage has a member that ends in `_tokens`."""
AUDIO_MARK = b'"audio"'

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
    for i, choice in objects(choices):
        mine, here = (*block, "choice", _index(choice, i)), (*where, "choices", i)
        message = choice.get("message")
        if isinstance(message, dict):
            read_message(found, message, mine, (*here, "message"))
            found.created("audio", member(message, "audio", "id"))
        found.whole("text", choice.get("text"), (*mine, "content"), (*here, "text"))
        found.opaque(choice.get("logprobs"), (*here, "logprobs"))
        found.stop(_stop(choice.get("finish_reason"), _hint(message)), mine)
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
        if data is None or not data.strip():
            return ()
        if data.lstrip().startswith(b"[DONE]"):
            self._done = True
            return ()
        document = frame.document()
        found = Gather(kinds, self._told)
        error = read_error(document)
        if error is None and frame.name == "error":
            error = failure(document)
        found.failure(error)
        if isinstance(document, dict) and ("choices" in document or "usage" in document):
            self._chunk(found, document)
        elif error is None and not _is_silent(document):
            found.opaque(document, ())
        return found.events

    def _chunk(self, found: Gather, document: dict[str, Any]) -> None:
        text = found.wants("text", "tool_args", "thinking", "media", "opaque", "created")
        for i, choice in objects(document.get("choices")):
            number = _index(choice, i)
            self._open.add(number)
            mine, here = ("choice", number), ("choices", i)
            if text:
                self._choice(found, choice, number, here)
            if reason := choice.get("finish_reason"):
                self._finished.add(number)
                if not self._made:
                    # The id stands in every chunk; it is told here, so that no other chunk has to be read for it.
                    self._made = True
                    found.created("chat.completion", document.get("id"))
                found.stop(_stop(reason, self._hints.get(number)), mine)
        found.usage(*_usage(document, ()))

    def _choice(self, found: Gather, choice: dict[str, Any], number: int, here: Path) -> None:
        mine: Block = ("choice", number)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(found, delta, number, (*here, "delta"))
        found.delta("text", choice.get("text"), (*mine, "content"), (*here, "text"))
        found.opaque(choice.get("logprobs"), (*here, "logprobs"))
        message = choice.get("message")
        if isinstance(message, dict):
            # Perplexity repeats all that was said so far beside each delta.
            read_message(found, message, mine, (*here, "message"))

    def _delta(self, found: Gather, delta: dict[str, Any], number: int, here: Path) -> None:
        mine: Block = ("choice", number)
        content = delta.get("content")
        if isinstance(content, list):
            for k, piece in objects(content):
                # Mistral streams parts: what they are tells the blocks apart, not where they stand.
                kind = "reasoning" if piece.get("type") == "thinking" else "content"
                part(found, piece, (*mine, kind), (*here, "content", k), delta=True)
        else:
            found.delta("text", content, (*mine, "content"), (*here, "content"))
        if delta.get("refusal"):
            self._hints[number] = "refusal"
            found.delta("text", delta["refusal"], (*mine, "refusal"), (*here, "refusal"))
        for name in THINKING:
            found.delta("thinking", delta.get(name), (*mine, name), (*here, name))
        details(found, delta.get("reasoning_details"), (*mine, "details"), (*here, "reasoning_details"), delta=True)
        for k, call in objects(delta.get("tool_calls")):
            self._hints[number] = "tool"
            block = (*mine, *self._call(call, number, k))
            path = (*here, "tool_calls", k)
            found.delta("tool_args", member(call, "function", "arguments"), block, (*path, "function", "arguments"))
            found.delta("text", member(call, "custom", "input"), block, (*path, "custom", "input"))
        function = member(delta, "function_call", "arguments")
        found.delta("tool_args", function, (*mine, "function"), (*here, "function_call", "arguments"))
        audio = delta.get("audio")
        if isinstance(audio, dict):
            found.created("audio", audio.get("id"))
            found.delta("media", audio.get("data"), (*mine, "audio"), (*here, "audio", "data"))
            found.delta("text", audio.get("transcript"), (*mine, "transcript"), (*here, "audio", "transcript"))
        for k, entry in objects(delta.get("annotations")):
            annotation(found, entry, (*mine, "annotations", k), (*here, "annotations", k))
        for k, entry in objects(delta.get("images")):
            part(found, entry, (*mine, "images", k), (*here, "images", k))
        unknown(found, delta, here)

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


def _hint(message: Any) -> StopReason | None:
    if member(message, "tool_calls") or member(message, "function_call"):
        return "tool"
    return "refusal" if member(message, "refusal") else None


def _stop(reason: Any, hint: StopReason | None) -> Stop | None:
    """:param hint: what the answer holds: some providers say `stop` after a tool call, and OpenAI after a refusal."""
    if not isinstance(reason, str) or not reason:
        return None
    said = _STOPS.get(reason, "end")
    return Stop(hint if hint and said == "end" else said, reason)


def _usage(document: dict[str, Any], where: Path) -> tuple[Usage | None, Path]:
    """Usage stands at the top, in `x_groq`, or in a choice (Moonshot)."""
    for path in ((), ("x_groq",)):
        if usage := read_usage(member(document, *path, "usage")):
            return usage, (*where, *path, "usage")
    for i, choice in objects(document.get("choices")):
        if usage := read_usage(choice.get("usage")):
            return usage, (*where, "choices", i, "usage")
    return None, where


def _is_silent(document: Any) -> bool:
    """A keep-alive, or a chunk that tells nothing: `{}`, `{"type": "ping"}`."""
    return document is None or document == {} or member(document, "type") in ("ping", "keepalive")
