"""Messages, and the counting of their tokens."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

from aiohttp import web

from relay import Usage
from relay_simulator import sse
from relay_simulator.anthropic.asked import cached, of_messages
from relay_simulator.ask import MEDIA_TOKENS, Document, text_field, whole
from relay_simulator.endpoint import Endpoint, Piece
from relay_simulator.fault import Fault
from relay_simulator.figures import consumed, size, tokens, told
from relay_simulator.serving import Serving
from relay_simulator.speech import Speech, compose, pieces

_STOP = {
    "end": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool": "tool_use",
    "refusal": "refusal",
}
_JSON_LETTERS = 12


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/messages"""
    _check_version(serving)
    answer, consumption = message(serving, serving.document)
    if serving.document.get("stream") is True:
        return await serving.stream(_events(answer, serving.script.events), consumption)
    return await serving.json(answer, usage=consumption, reported=answer.get("usage"))


async def count(serving: Serving) -> web.StreamResponse:
    """POST /v1/messages/count_tokens: free of charge."""
    _check_version(serving)
    text_field(serving.document, "model")
    ask = of_messages(serving.document)
    return await serving.json({"input_tokens": tokens(ask.prompt_bytes) + ask.media * MEDIA_TOKENS})


def message(serving: Serving, document: Document) -> tuple[Document, Usage]:
    """The whole answer as one document, and what it consumed. :raises Fault: 400."""
    model = text_field(document, "model")
    most = whole(document, "max_tokens")
    if most is None or most < 1:
        raise Fault(400, "max_tokens: a number above 0 is required")
    ask = of_messages(document)
    speech = compose(ask, serving.script)
    consumption = consumed(ask, serving.script, [speech.size], speech.reasoning)
    seen = cached(document)
    through = seen.read + seen.written_5m + seen.written_1h
    consumption = replace(
        consumption,
        input=max(consumption.input - through, 0),
        cache_read=consumption.cache_read + seen.read,
        cache_write_5m=consumption.cache_write_5m + seen.written_5m,
        cache_write_1h=seen.written_1h,
    )
    answer: Document = {
        "id": serving.mint("msg_"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _blocks(serving, speech),
        "stop_reason": _STOP[speech.reason],
        "stop_sequence": speech.stopped_by,
    }
    if speech.reason == "refusal":
        answer["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    if (figures := told(consumption, serving.script)) is not None:
        answer["usage"] = _usage(figures)
    return answer, consumption


def _check_version(serving: Serving) -> None:
    if "anthropic-version" not in serving.request.headers:
        raise Fault(400, "anthropic-version: header is required")


def _blocks(serving: Serving, speech: Speech) -> list[Document]:
    blocks: list[Document] = []
    if speech.reasoning:
        signature = base64.b64encode(b"signed:" + speech.thinking.encode()[::-1]).decode()
        blocks.append({"type": "thinking", "thinking": speech.thinking, "signature": signature})
    if speech.text:
        blocks.append({"type": "text", "text": speech.text})
    for call in speech.calls:
        blocks.append({"type": "tool_use", "id": serving.mint("toolu_"), "name": call.name, "input": call.arguments})
    return blocks


def _usage(usage: Usage) -> Document:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output + usage.reasoning,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }


def _events(answer: Document, count: int | None) -> Iterator[Piece]:
    """The stream of a finished answer. `message_start` reports the input, `message_delta` everything once more."""
    usage: Document = answer.get("usage", {})
    first = {**usage, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 0}} if usage else {}
    begun = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    begun.pop("stop_details", None)
    if first:
        begun["usage"] = first
    yield _piece({"type": "message_start", "message": begun}, reported=first)
    yield _piece({"type": "ping"})
    for at, block in enumerate(answer["content"]):
        yield from _block(at, block, count)
    delta = {name: answer[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in answer}
    final = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier")}
    ending: Document = {"type": "message_delta", "delta": delta, **({"usage": final} if usage else {})}
    yield _piece(ending, reported=final)
    yield _piece({"type": "message_stop"})


def _block(at: int, block: Document, count: int | None) -> Iterator[Piece]:
    def delta(kind: str, field: str, value: str, words: int) -> Piece:
        return _piece({"type": "content_block_delta", "index": at, "delta": {"type": kind, field: value}}, words)

    empty = {"thinking": "", "signature": "", "text": "", "input": {}}
    opening = {name: empty.get(name, value) for name, value in block.items()}
    yield _piece({"type": "content_block_start", "index": at, "content_block": opening})
    if block["type"] == "thinking":
        for words in pieces(block["thinking"], None):
            yield delta("thinking_delta", "thinking", words, 0)
        yield delta("signature_delta", "signature", block["signature"], 0)
    elif block["type"] == "text":
        for words in pieces(block["text"], count):
            yield delta("text_delta", "text", words, size(words))
    else:
        text = sse.json(block["input"])
        yield delta("input_json_delta", "partial_json", "", size(block["name"]))
        for start in range(0, len(text), _JSON_LETTERS):
            part = text[start : start + _JSON_LETTERS]
            yield delta("input_json_delta", "partial_json", part, size(part))
    yield _piece({"type": "content_block_stop", "index": at})


def _piece(event: Document, words: int = 0, reported: Document | None = None) -> Piece:
    return Piece(sse.event(event, event["type"]), words, reported)


ENDPOINTS = (
    Endpoint("POST", "/v1/messages", "messages", create),
    Endpoint("POST", "/v1/messages/count_tokens", "messages.count_tokens", count),
)
