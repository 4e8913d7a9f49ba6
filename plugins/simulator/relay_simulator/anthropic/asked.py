"""Anthropic's requests for words, read as an `Ask`, and what of the prompt goes through its cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay_simulator.anthropic.manner import MANNER
from relay_simulator.ask import MEDIA_TOKENS, Ask, Document, mapping, objects, strings, weigh, whole
from relay_simulator.fault import Fault
from relay_simulator.figures import tokens
from relay_simulator.script import without_script


@dataclass(frozen=True, slots=True)
class Cached:
    """Tokens of the prompt that are read from the cache or written to it."""

    read: int = 0
    written_5m: int = 0
    written_1h: int = 0


def of_messages(document: Document) -> Ask:
    """:raises Fault: 400 for a request that is none."""
    messages = objects(document, "messages")
    if not messages:
        raise Fault(400, "messages: at least one message is required")
    for at, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant", "system") or not isinstance(
            message.get("content"), str | list
        ):
            raise Fault(400, f"messages.{at}: a role and a content are required")
    content = messages[-1]["content"]
    tools = {str(tool.get("name")): mapping(tool, "input_schema") for tool in objects(document, "tools")}
    size, media = weigh(document.get("system"), messages, document.get("tools"))
    choice = mapping(document, "tool_choice")
    form = mapping(mapping(document, "output_config"), "format") or mapping(document, "output_format")
    return Ask(
        text=without_script(MANNER.steering(document)),
        prompt_bytes=size,
        media=media,
        tools=tools,
        forced={"any": "*", "tool": choice.get("name")}.get(str(choice.get("type"))),
        forbidden=choice.get("type") == "none",
        answered=isinstance(content, list)
        and any(isinstance(one, dict) and one.get("type") == "tool_result" for one in content),
        schema=mapping(form, "schema") if form.get("type") == "json_schema" else None,
        most=whole(document, "max_tokens"),
        stops=strings(document.get("stop_sequences")),
        reasoning=16 if mapping(document, "thinking").get("type") in ("enabled", "adaptive") else 0,
    )


def cached(document: Document) -> Cached:
    """What the breakpoints (`cache_control`) make of the prompt.

    One rule, from the request alone: with a single breakpoint, everything up to it is written; with several, everything up to
    the first is read and the rest up to the last is written, for as long as the last says.
    """
    sizes = [0]
    lifetime = "5m"
    for part, control in _parts(document):
        size, media = weigh(part)
        sizes[-1] += tokens(size) + media * MEDIA_TOKENS
        if isinstance(control, dict):
            lifetime = str(control.get("ttl", "5m"))
            sizes.append(0)
    marked = sizes[:-1]
    read = marked[0] if len(marked) > 1 else 0
    written = sum(marked) - read
    return Cached(read, 0, written) if lifetime == "1h" else Cached(read, written, 0)


def _parts(document: Document) -> Iterator[tuple[Any, Any]]:
    """The blocks of the prompt with their breakpoints, in the order in which the provider's cache sees them."""
    for tool in objects(document, "tools"):
        yield {name: value for name, value in tool.items() if name != "cache_control"}, tool.get("cache_control")
    contents = [document.get("system"), *(message.get("content") for message in objects(document, "messages"))]
    for content in contents:
        for block in content if isinstance(content, list) else [content]:
            yield block, block.get("cache_control") if isinstance(block, dict) else None
