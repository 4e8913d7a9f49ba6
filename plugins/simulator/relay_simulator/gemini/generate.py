"""Generated content, whole or as a stream, and the counting of tokens."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson
from aiohttp import web

from relay import Usage
from relay_simulator import sse
from relay_simulator.ask import MEDIA_TOKENS, Document
from relay_simulator.endpoint import Endpoint, Piece
from relay_simulator.fault import Fault
from relay_simulator.figures import consumed, size, so_far, tokens, told, total
from relay_simulator.gemini.asked import generation, inner, of_contents
from relay_simulator.gemini.manner import MANNER, NEWLINE, pick
from relay_simulator.serving import Serving
from relay_simulator.speech import Speech, compose, pieces

_FINISH = {"end": "STOP", "stop_sequence": "STOP", "length": "MAX_TOKENS", "tool": "STOP", "refusal": "SAFETY"}


async def generate(serving: Serving) -> web.StreamResponse:
    """POST /v1beta/models/{model}:generateContent"""
    spoken, consumption = _speak(serving)
    shows = _shows_thoughts(serving)
    answer: Document = {
        "candidates": [
            {
                "content": {"parts": _parts(one, shows), "role": "model"},
                "finishReason": _FINISH[one.reason],
                "index": at,
            }
            for at, one in enumerate(spoken)
        ],
        **_tail(serving),
    }
    figures = told(consumption, serving.script)
    reported = _usage(figures) if figures else None
    if reported:
        answer["usageMetadata"] = reported
    return await serving.json(answer, usage=consumption, reported=reported)


async def stream(serving: Serving) -> web.StreamResponse:
    """POST /v1beta/models/{model}:streamGenerateContent: events with `alt=sse`, else one JSON array in pieces."""
    spoken, consumption = _speak(serving)
    chunks = _chunks(serving, spoken, consumption)
    if serving.request.query.get("alt") == "sse":
        pieces_ = (Piece(sse.event(document, newline=NEWLINE), words, reported) for document, words, reported in chunks)
        return await serving.stream(pieces_, consumption)
    fault = Fault(500, "The simulator failed, as it was asked to.")
    trouble = [Piece(b",\r\n" + orjson.dumps(MANNER.failure(fault, serving.id)) + b"\r\n]")]
    return await serving.stream(_array(chunks), consumption, content_type="application/json", trouble=trouble)


async def count(serving: Serving) -> web.StreamResponse:
    """POST /v1beta/models/{model}:countTokens: free of charge."""
    ask = of_contents(inner(serving.document, "generateContentRequest") or serving.document)
    counted = tokens(ask.prompt_bytes) + ask.media * MEDIA_TOKENS
    details = [{"modality": "TEXT", "tokenCount": counted}]
    return await serving.json({"totalTokens": counted, "promptTokensDetails": details})


def _speak(serving: Serving) -> tuple[list[Speech], Usage]:
    ask = of_contents(serving.document)
    candidates = pick(generation(serving.document), "candidateCount")
    if candidates is not None and (not isinstance(candidates, int) or not 1 <= candidates <= 8):
        raise Fault(400, "candidateCount must be between 1 and 8.")
    spoken = [compose(ask, serving.script, choice=at) for at in range(candidates or 1)]
    consumption = consumed(ask, serving.script, [one.size for one in spoken], spoken[0].reasoning)
    # Gemini knows no writing into its cache: what a script asks to be written is plain input.
    return spoken, replace(consumption, input=consumption.input + consumption.cache_write_5m, cache_write_5m=0)


def _shows_thoughts(serving: Serving) -> bool:
    return pick(inner(generation(serving.document), "thinkingConfig"), "includeThoughts") is True


def _tail(serving: Serving) -> Document:
    return {"modelVersion": serving.model, "responseId": serving.mint("", 22)}


def _parts(speech: Speech, shows: bool) -> list[Document]:
    parts: list[Document] = [{"text": speech.thinking, "thought": True}] if shows and speech.thinking else []
    parts.extend(_calls(speech))
    if speech.text and speech.reason != "refusal":
        parts.append({"text": speech.text})
    return parts


def _calls(speech: Speech) -> list[Document]:
    """The tool calls. Where the model thought, its signature stands on the first of them."""
    parts: list[Document] = [{"functionCall": {"name": call.name, "args": call.arguments}} for call in speech.calls]
    if parts and speech.thinking:
        parts[0]["thoughtSignature"] = base64.b64encode(b"signed:" + speech.thinking.encode()[::-1]).decode()
    return parts


def _usage(usage: Usage) -> Document:
    prompt = usage.input + usage.cache_read
    document: Document = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": total(usage),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    if usage.cache_read:
        document["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        document["thoughtsTokenCount"] = usage.reasoning
    return document


_Chunk = tuple[Document, int, Document | None]
"""A part of the stream, the bytes of words in it, and the usage it reports."""


def _chunks(serving: Serving, spoken: list[Speech], consumption: Usage) -> Iterator[_Chunk]:
    """Every chunk reports the usage up to it; the last one's is the whole."""
    tail = _tail(serving)
    shows = _shows_thoughts(serving)
    sent = 0

    def chunk(
        at: int, parts: list[Document], words: int, finish: str | None = None, usage: Usage | None = None
    ) -> _Chunk:
        nonlocal sent
        sent += words
        candidate: Document = {"content": {"parts": parts, "role": "model"}, "index": at}
        if finish:
            candidate["finishReason"] = finish
        figures = told(so_far(consumption, sent) if usage is None else usage, serving.script)
        reported = _usage(figures) if figures else None
        return {"candidates": [candidate], **({"usageMetadata": reported} if reported else {}), **tail}, words, reported

    for at, one in enumerate(spoken):
        whole = consumption if at == len(spoken) - 1 else None
        if shows and one.thinking:
            yield chunk(at, [{"text": one.thinking, "thought": True}], 0)
        for call, part in zip(one.calls, _calls(one), strict=True):
            yield chunk(at, [part], size(call.name) + size(call.json))
        for words in pieces(one.text, serving.script.events) if one.reason != "refusal" else ():
            yield chunk(at, [{"text": words}], size(words))
        yield chunk(at, [{"text": ""}] if one.reason != "refusal" else [], 0, _FINISH[one.reason], whole)


def _array(chunks: Iterable[_Chunk]) -> Iterator[Piece]:
    before = b"["
    for document, words, reported in chunks:
        yield Piece(before + orjson.dumps(document), words, reported)
        before = b",\r\n"
    yield Piece(b"\r\n]")


_ONE = "/models/{model}"

ENDPOINTS = (
    Endpoint("POST", f"{_ONE}:generateContent", "generate", generate),
    Endpoint("POST", f"{_ONE}:streamGenerateContent", "stream", stream),
    Endpoint("POST", f"{_ONE}:countTokens", "count", count),
)
