"""Chat completions."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from relay import Usage
from relay_simulator import sse
from relay_simulator.ask import Document, mapping, text_field, whole
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint, Piece
from relay_simulator.fault import Fault
from relay_simulator.figures import consumed, size, told
from relay_simulator.openai import asked, usage
from relay_simulator.serving import Serving
from relay_simulator.speech import Speech, compose, pieces

_FINISH = {"end": "stop", "stop_sequence": "stop", "length": "length", "tool": "tool_calls", "refusal": "stop"}
_ARGUMENT_LETTERS = 12
_DONE = Piece(b"data: [DONE]\n\n")


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/chat/completions"""
    document = serving.document
    if document.get("stream") is True:
        spoken, consumption = speak(serving, document)
        reports = mapping(document, "stream_options").get("include_usage") is True
        return await serving.stream(_events(serving, spoken, consumption, reports), consumption)
    answer, consumption = completion(serving, document)
    return await serving.json(answer, usage=consumption, reported=answer.get("usage"))


def completion(serving: Serving, document: Document) -> tuple[Document, Usage]:
    """The whole answer as one document, and what it consumed."""
    spoken, consumption = speak(serving, document)
    answer: Document = {
        **_head(serving, document, "chat.completion"),
        "choices": [
            {"index": at, "message": _message(serving, one), "logprobs": None, "finish_reason": _FINISH[one.reason]}
            for at, one in enumerate(spoken)
        ],
        "service_tier": "default",
    }
    if (figures := told(consumption, serving.script)) is not None:
        answer["usage"] = usage.of_chat(figures)
    return answer, consumption


def speak(serving: Serving, document: Document) -> tuple[list[Speech], Usage]:
    """The choices asked for. :raises Fault: 400."""
    text_field(document, "model")
    ask = asked.of_chat(document)
    count = whole(document, "n") or 1
    if not 1 <= count <= 128:
        raise Fault(400, "'n' must be between 1 and 128.", param="n")
    spoken = [compose(ask, serving.script, choice=at) for at in range(count)]
    return spoken, consumed(ask, serving.script, [one.size for one in spoken], spoken[0].reasoning)


def _head(serving: Serving, document: Document, kind: str) -> Document:
    return {
        "id": serving.mint("chatcmpl-"),
        "object": kind,
        "created": seconds(),
        "model": document["model"],
        "system_fingerprint": "fp_simulator",
    }


def _message(serving: Serving, speech: Speech) -> Document:
    refused = speech.reason == "refusal"
    message: Document = {
        "role": "assistant",
        "content": None if refused or speech.calls else speech.text,
        "refusal": speech.text if refused else None,
        "annotations": [],
    }
    if speech.calls:
        message["tool_calls"] = [
            {"id": serving.mint("call_"), "type": "function", "function": {"name": call.name, "arguments": call.json}}
            for call in speech.calls
        ]
    return message


def _events(serving: Serving, spoken: list[Speech], consumption: Usage, reports: bool) -> Iterator[Piece]:
    head = _head(serving, serving.document, "chat.completion.chunk")
    figures = told(consumption, serving.script) if reports else None

    def chunk(at: int, delta: Document, finish: str | None = None, words: str = "") -> Piece:
        choice = {"index": at, "delta": delta, "logprobs": None, "finish_reason": finish}
        document = {**head, "choices": [choice], **({"usage": None} if figures else {})}
        return Piece(sse.event(document), size(words))

    for at, one in enumerate(spoken):
        yield chunk(at, {"role": "assistant", "content": None if one.calls else "", "refusal": None})
    for at, one in enumerate(spoken):
        place = "refusal" if one.reason == "refusal" else "content"
        for words in pieces(one.text, serving.script.events):
            yield chunk(at, {place: words}, words=words)
        for number, call in enumerate(one.calls):
            function = {"name": call.name, "arguments": ""}
            opening = {"index": number, "id": serving.mint("call_"), "type": "function", "function": function}
            yield chunk(at, {"tool_calls": [opening]}, words=call.name)
            for start in range(0, len(call.json), _ARGUMENT_LETTERS):
                part = call.json[start : start + _ARGUMENT_LETTERS]
                yield chunk(at, {"tool_calls": [{"index": number, "function": {"arguments": part}}]}, words=part)
        yield chunk(at, {}, _FINISH[one.reason])
    if figures:
        reported = usage.of_chat(figures)
        yield Piece(sse.event({**head, "choices": [], "usage": reported}), reported=reported)
    yield _DONE


ENDPOINTS = (Endpoint("POST", "/v1/chat/completions", "chat", create),)
