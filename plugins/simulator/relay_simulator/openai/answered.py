"""A response of the responses API as one document, and as the events that tell it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from relay import Usage
from relay_simulator import sse
from relay_simulator.ask import Document, mapping
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Piece
from relay_simulator.figures import size
from relay_simulator.openai import usage
from relay_simulator.serving import Serving
from relay_simulator.speech import Speech, pieces

_ARGUMENT_LETTERS = 12


def response(serving: Serving, given: Document, speech: Speech, figures: Usage | None) -> Document:
    """The finished response to the request `given`."""
    is_short = speech.reason == "length"
    document: Document = {
        "id": serving.mint("resp_", 48),
        "object": "response",
        "created_at": seconds(),
        "status": "incomplete" if is_short else "completed",
        "background": given.get("background") is True,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_short else None,
        "instructions": given.get("instructions"),
        "max_output_tokens": given.get("max_output_tokens"),
        "model": given["model"],
        "output": _items(serving, given, speech),
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "previous_response_id": given.get("previous_response_id"),
        "reasoning": {
            "effort": mapping(given, "reasoning").get("effort"),
            "summary": mapping(given, "reasoning").get("summary"),
        },
        "service_tier": "default",
        "store": given.get("store") is not False,
        "temperature": given.get("temperature", 1.0),
        "text": given.get("text") or {"format": {"type": "text"}},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": given.get("tools") or [],
        "top_p": given.get("top_p", 1.0),
        "truncation": given.get("truncation") or "disabled",
        "usage": usage.of_response(figures) if figures else None,
        "user": given.get("user"),
        "metadata": given.get("metadata") or {},
    }
    if (conversation := given.get("conversation")) is not None:
        document["conversation"] = {"id": conversation} if isinstance(conversation, str) else conversation
    return document


def queued(document: Document) -> Document:
    """The same before anything has been done for it."""
    return {**document, "status": "queued", "output": [], "usage": None, "incomplete_details": None}


def events(document: Document, count: int | None, *, counts: bool = True, after: int = -1) -> Iterator[Piece]:
    """The events of a finished response, from the one behind `after`. `counts`: the usage in them is news."""
    for number, (name, fields, words) in enumerate(_told(document, count)):
        if number > after:
            reported = (
                fields["response"]["usage"]
                if counts and name in ("response.completed", "response.incomplete")
                else None
            )
            yield Piece(sse.event({"type": name, "sequence_number": number, **fields}, name), words, reported)


def trouble(document: Document, number: int, message: str) -> list[Piece]:
    """The events of a response that fails: the error, with its fields also under `error`, then `response.failed`."""
    error = {"type": "server_error", "code": "server_error", "message": message, "param": None}
    failed = {
        **document,
        "status": "failed",
        "output": [],
        "usage": None,
        "error": {"code": "server_error", "message": message},
    }
    return [
        Piece(sse.event({"type": "error", "sequence_number": number, "error": error}, "error")),
        Piece(
            sse.event({"type": "response.failed", "sequence_number": number + 1, "response": failed}, "response.failed")
        ),
    ]


def _items(serving: Serving, given: Document, speech: Speech) -> list[Document]:
    items: list[Document] = []
    if speech.reasoning:
        item: Document = {"id": serving.mint("rs_"), "type": "reasoning", "summary": []}
        if mapping(given, "reasoning").get("summary"):
            item["summary"] = [{"type": "summary_text", "text": speech.thinking}]
        include = given.get("include")
        if isinstance(include, list) and "reasoning.encrypted_content" in include:
            item["encrypted_content"] = base64.b64encode(speech.thinking[::-1].encode()).decode()
        items.append(item)
    for call in speech.calls:
        items.append(
            {
                "id": serving.mint("fc_"),
                "type": "function_call",
                "status": "completed",
                "arguments": call.json,
                "call_id": serving.mint("call_"),
                "name": call.name,
            }
        )
    if not speech.calls:
        status = "incomplete" if speech.reason == "length" else "completed"
        part = {"type": "output_text", "text": speech.text, "annotations": [], "logprobs": []}
        if speech.reason == "refusal":
            part = {"type": "refusal", "refusal": speech.text}
        items.append(
            {"id": serving.mint("msg_"), "type": "message", "status": status, "role": "assistant", "content": [part]}
        )
    return items


_Told = tuple[str, Document, int]
"""An event: its name, its fields beside type and number, the bytes of words in it."""


def _told(document: Document, count: int | None) -> Iterator[_Told]:
    begun = {**queued(document), "status": "in_progress"}
    yield "response.created", {"response": queued(document) if document["background"] else begun}, 0
    if document["background"]:
        yield "response.queued", {"response": queued(document)}, 0
    yield "response.in_progress", {"response": begun}, 0
    for at, item in enumerate(document["output"]):
        opening = {**item, "status": "in_progress"} if "status" in item else dict(item)
        opening |= {
            name: empty for name, empty in (("content", []), ("summary", []), ("arguments", "")) if name in item
        }
        yield "response.output_item.added", {"output_index": at, "item": opening}, 0
        place = {"item_id": item["id"], "output_index": at}
        if item["type"] == "message":
            yield from _message(item, place, count)
        elif item["type"] == "function_call":
            yield from _arguments(item, place)
        else:
            yield from _summary(item, place)
        yield "response.output_item.done", {"output_index": at, "item": item}, 0
    yield f"response.{document['status']}", {"response": document}, 0


def _message(item: Document, place: Document, count: int | None) -> Iterator[_Told]:
    for number, part in enumerate(item["content"]):
        here: dict[str, Any] = {**place, "content_index": number}
        is_refusal = part["type"] == "refusal"
        name, field = ("response.refusal", "refusal") if is_refusal else ("response.output_text", "text")
        more: Document = {} if is_refusal else {"logprobs": []}
        yield "response.content_part.added", {**here, "part": {**part, field: ""}}, 0
        for words in pieces(part[field], count):
            yield f"{name}.delta", {**here, "delta": words, **more}, size(words)
        yield f"{name}.done", {**here, field: part[field], **more}, 0
        yield "response.content_part.done", {**here, "part": part}, 0


def _arguments(item: Document, place: Document) -> Iterator[_Told]:
    name = "response.function_call_arguments"
    text = item["arguments"]
    for start in range(0, len(text), _ARGUMENT_LETTERS):
        words = text[start : start + _ARGUMENT_LETTERS]
        yield f"{name}.delta", {**place, "delta": words}, size(words)
    yield f"{name}.done", {**place, "arguments": text, "name": item["name"]}, 0


def _summary(item: Document, place: Document) -> Iterator[_Told]:
    name = "response.reasoning_summary"
    for number, part in enumerate(item["summary"]):
        here: dict[str, Any] = {**place, "summary_index": number}
        yield f"{name}_part.added", {**here, "part": {**part, "text": ""}}, 0
        for words in pieces(part["text"], None):
            yield f"{name}_text.delta", {**here, "delta": words}, 0
        yield f"{name}_text.done", {**here, "text": part["text"]}, 0
        yield f"{name}_part.done", {**here, "part": part}, 0
