"""Messages and choices of chat completions, told whole: in requests, in answers that are not streamed, in stored completions."""

from __future__ import annotations

from typing import Any

from relay.wire.vocabulary import Path
from relay_openai.gather import Block, Gather, objects
from relay_openai.parts import annotation, content, part

THINKING = ("reasoning_content", "reasoning")
"""Where providers put what a model thought: DeepSeek, xAI and vLLM in the first, OpenRouter and Groq in the second."""

KNOWN: frozenset[str] = frozenset(
    (
        "role",
        "name",
        "id",
        "content",
        "refusal",
        *THINKING,
        "reasoning_details",
        "tool_calls",
        "tool_call_id",
        "tool_name",
        "function_call",
        "audio",
        "annotations",
        "images",
        "prefix",
        "partial",
        "weight",
        "status",
        "object",
        "created",
        "index",
        "model",
        "cache_control",
        "prompt_cache_breakpoint",
        "content_parts",
        # Flags and signatures: Gemini's OpenAI mode, gpt-oss, MiniMax.
        "extra_content",
        "channel",
        "sender_type",
        "matched_stop",
    )
)
"""Members of messages and deltas that are read, or hold no text; others are opaque."""


def read_message(found: Gather, message: dict[str, Any], block: Block, where: Path) -> None:
    """Every text of a message."""
    content(found, message.get("content"), (*block, "content"), (*where, "content"))
    for name in ("refusal", "content_parts"):
        content(found, message.get(name), (*block, name), (*where, name))
    for name in THINKING:
        content(found, message.get(name), (*block, name), (*where, name), "thinking")
    details(found, message.get("reasoning_details"), (*block, "details"), (*where, "reasoning_details"), delta=False)
    for i, call in objects(message.get("tool_calls")):
        _tool_call(found, call, (*block, "tool", i), (*where, "tool_calls", i))
    function = message.get("function_call")
    if isinstance(function, dict):
        path = (*where, "function_call", "arguments")
        found.whole("tool_args", function.get("arguments"), (*block, "function"), path)
    audio = message.get("audio")
    if isinstance(audio, dict):
        found.whole("media", audio.get("data"), (*block, "audio"), (*where, "audio", "data"))
        found.whole("text", audio.get("transcript"), (*block, "transcript"), (*where, "audio", "transcript"))
    for i, entry in objects(message.get("annotations")):
        annotation(found, entry, (*block, "annotations", i), (*where, "annotations", i))
    for i, entry in objects(message.get("images")):
        part(found, entry, (*block, "images", i), (*where, "images", i))
    for name, value in message.items():
        # Under a name that is not known there may be anything.
        if name not in KNOWN and isinstance(value, (str, dict, list)):
            found.opaque(value, (*where, name))


def _tool_call(found: Gather, call: dict[str, Any], block: Block, where: Path) -> None:
    function, custom = call.get("function"), call.get("custom")
    if isinstance(function, dict):
        arguments, path = function.get("arguments"), (*where, "function", "arguments")
        if isinstance(arguments, dict):
            # Some servers give an object where a string of JSON belongs.
            found.source("tool_args", arguments, block, path)
        else:
            found.whole("tool_args", arguments, block, path)
    if isinstance(custom, dict):
        found.whole("text", custom.get("input"), block, (*where, "custom", "input"))


def details(found: Gather, value: Any, block: Block, where: Path, *, delta: bool) -> None:
    """OpenRouter's `reasoning_details`: thinking in plain words, as a summary, or encrypted."""
    tell = found.delta if delta else found.whole
    for i, entry in objects(value):
        number = entry.get("index") if isinstance(entry.get("index"), int) else i
        for name in ("text", "summary"):
            tell("thinking", entry.get(name), (*block, number, name), (*where, i, name))
        for name in ("data", "signature"):
            found.opaque(entry.get(name), (*where, i, name))
