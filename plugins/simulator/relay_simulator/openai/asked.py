"""OpenAI's requests for words, read as an `Ask`."""

from __future__ import annotations

import re
from typing import Any

from relay_simulator.ask import Ask, Document, mapping, objects, strings, weigh, whole
from relay_simulator.fault import Fault
from relay_simulator.openai.manner import last_words
from relay_simulator.script import without_script

_EFFORTS = {"none": 0, "minimal": 4, "low": 8, "medium": 16, "high": 32, "xhigh": 64, "max": 128}
_REASONING_MODEL = re.compile(r"o\d|gpt-5")


def of_chat(document: Document) -> Ask:
    """:raises Fault: 400 for a request that is none."""
    messages = objects(document, "messages")
    if not messages:
        raise Fault(400, "Missing required parameter: 'messages'.", code="missing_required_parameter", param="messages")
    for at, message in enumerate(messages):
        if not isinstance(message.get("role"), str):
            raise Fault(400, f"Missing required parameter: 'messages[{at}].role'.", param=f"messages[{at}].role")
    tools = {tool_name(tool): mapping(mapping(tool, "function"), "parameters") for tool in objects(document, "tools")}
    tools |= {tool_name(tool): mapping(tool, "parameters") for tool in objects(document, "functions")}
    size, media = weigh(messages, document.get("tools"), document.get("functions"))
    form = mapping(document, "response_format")
    return Ask(
        text=without_script(last_words(messages)),
        prompt_bytes=size,
        media=media,
        tools=tools,
        answered=messages[-1]["role"] in ("tool", "function"),
        schema=_schema(form.get("type"), mapping(form, "json_schema")),
        most=whole(document, "max_completion_tokens", "max_tokens"),
        stops=strings(document.get("stop")),
        reasoning=_reasoning(document, document.get("reasoning_effort")),
        **_choice(document.get("tool_choice")),
    )


def of_response(document: Document, before: int) -> Ask:
    """`before` are the bytes of the turns that the request only refers to. :raises Fault: 400."""
    given = document.get("input")
    items = given if isinstance(given, list) else []
    if any(not isinstance(item, dict) for item in items):
        raise Fault(400, "'input' must be a text or a list of items.", code="invalid_type", param="input")
    # A reasoning item's encrypted content and ids weigh nothing, as structure does.
    size, media = weigh(given, document.get("instructions"), document.get("tools"), document.get("prompt"))
    form = mapping(mapping(document, "text"), "format")
    return Ask(
        text=without_script(last_words(given)),
        prompt_bytes=size + before,
        media=media,
        tools={
            tool_name(tool): mapping(tool, "parameters")
            for tool in objects(document, "tools")
            if tool.get("type") == "function"
        },
        answered=bool(items) and str(items[-1].get("type", "")).endswith("_output"),
        schema=_schema(form.get("type"), form),
        most=whole(document, "max_output_tokens"),
        reasoning=_reasoning(document, mapping(document, "reasoning").get("effort")),
        **_choice(document.get("tool_choice")),
    )


def tool_name(tool: Document) -> str:
    """A tool's name, wherever it stands."""
    name = tool.get("name") or mapping(tool, "function").get("name") or mapping(tool, "custom").get("name")
    return name if isinstance(name, str) else ""


def _schema(kind: Any, holder: Document) -> Document | None:
    if kind == "json_schema":
        return mapping(holder, "schema")
    return {} if kind == "json_object" else None


def _choice(choice: Any) -> dict[str, Any]:
    if choice == "none":
        return {"forbidden": True}
    if choice == "required":
        return {"forced": "*"}
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            mode = choice.get("mode", mapping(choice, "allowed_tools").get("mode"))
            return {"forced": "*"} if mode == "required" else {}
        if name := tool_name(choice):
            return {"forced": name}
    return {}


def _reasoning(document: Document, effort: Any) -> int:
    if isinstance(effort, str):
        return _EFFORTS.get(effort, 16)
    return 16 if _REASONING_MODEL.match(str(document.get("model", ""))) else 0
