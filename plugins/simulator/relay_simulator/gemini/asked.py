"""Gemini's requests for words, read as an `Ask`."""

from __future__ import annotations

from typing import Any

from relay_simulator.ask import Ask, Document, objects, strings, weigh
from relay_simulator.fault import Fault
from relay_simulator.gemini.manner import MANNER, pick, turns
from relay_simulator.script import without_script

_LEVELS = {"minimal": 4, "low": 8, "medium": 16, "high": 32}


def of_contents(document: Document) -> Ask:
    """:raises Fault: 400 for a request that is none."""
    contents = turns(document)
    if not contents:
        raise Fault(400, "* GenerateContentRequest.contents: contents is not specified")
    settings = generation(document)
    declared = [one for tool in objects(document, "tools") for one in pick(tool, "functionDeclarations") or []]
    tools = {str(one.get("name")): _parameters(one) for one in declared if isinstance(one, dict)}
    size, media = weigh(contents, pick(document, "systemInstruction"), document.get("tools"))
    calling = inner(inner(document, "toolConfig"), "functionCallingConfig")
    allowed = strings(pick(calling, "allowedFunctionNames"))
    mode = str(calling.get("mode", "AUTO")).upper()
    return Ask(
        text=without_script(MANNER.steering(document)),
        prompt_bytes=size,
        media=media,
        tools=tools,
        forced=(allowed[0] if allowed else "*") if mode == "ANY" else None,
        forbidden=mode == "NONE",
        answered=any(pick(part, "functionResponse") is not None for part in objects(contents[-1], "parts")),
        schema=_schema(settings),
        most=_whole(pick(settings, "maxOutputTokens")),
        stops=strings(pick(settings, "stopSequences")),
        reasoning=_reasoning(inner(settings, "thinkingConfig")),
    )


def generation(document: Document) -> Document:
    """The settings of the generation."""
    return inner(document, "generationConfig")


def inner(document: Document, name: str) -> Document:
    """A field that is an object, else an empty one."""
    found = pick(document, name)
    return found if isinstance(found, dict) else {}


def _parameters(declared: Document) -> Document:
    return inner(declared, "parameters") or inner(declared, "parametersJsonSchema")


def _schema(settings: Document) -> Document | None:
    schema = inner(settings, "responseSchema") or inner(settings, "responseJsonSchema")
    if schema or pick(settings, "responseMimeType") == "application/json":
        return schema
    return None


def _reasoning(thinking: Document) -> int:
    if isinstance(level := pick(thinking, "thinkingLevel"), str):
        return _LEVELS.get(level.lower(), 16)
    budget = _whole(pick(thinking, "thinkingBudget"))
    if budget is None:
        return 16 if pick(thinking, "includeThoughts") is True else 0
    return 16 if budget < 0 else min(budget, 16)


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault(400, "Invalid JSON payload received: a whole number was expected.")
    return value
