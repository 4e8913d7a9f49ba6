"""Completions, the older way to ask for words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from relay import Usage
from relay_simulator import sse
from relay_simulator.ask import Ask, Document, mapping, strings, text_field, weigh, whole
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint, Piece
from relay_simulator.fault import Fault
from relay_simulator.figures import consumed, size, told
from relay_simulator.openai import usage
from relay_simulator.openai.manner import last_words
from relay_simulator.script import without_script
from relay_simulator.serving import Serving
from relay_simulator.speech import Speech, compose, pieces

_FINISH = {"end": "stop", "stop_sequence": "stop", "length": "length", "refusal": "content_filter"}


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/completions"""
    document = serving.document
    if document.get("stream") is True:
        spoken, consumption = _speak(serving, document)
        reports = mapping(document, "stream_options").get("include_usage") is True
        return await serving.stream(_events(serving, spoken, consumption, reports), consumption)
    answer, consumption = completion(serving, document)
    return await serving.json(answer, usage=consumption, reported=answer.get("usage"))


def completion(serving: Serving, document: Document) -> tuple[Document, Usage]:
    """The whole answer as one document, and what it consumed."""
    spoken, consumption = _speak(serving, document)
    choices = [_choice(at, one.text, _FINISH[one.reason]) for at, one in enumerate(spoken)]
    answer: Document = {**_head(serving, document), "choices": choices}
    if (figures := told(consumption, serving.script)) is not None:
        answer["usage"] = usage.of_chat(figures)
    return answer, consumption


def _speak(serving: Serving, document: Document) -> tuple[list[Speech], Usage]:
    text_field(document, "model")
    prompts = _prompts(document.get("prompt"))
    count = whole(document, "n") or 1
    if not 1 <= count * len(prompts) <= 128:
        raise Fault(400, "'n' times the number of prompts must be between 1 and 128.", param="n")
    spoken: list[Speech] = []
    for prompt in prompts:
        ask = Ask(
            text=without_script(prompt),
            prompt_bytes=0,
            most=whole(document, "max_tokens"),
            stops=strings(document.get("stop")),
            forbidden=True,
        )
        spoken.extend(compose(ask, serving.script, choice=at) for at in range(count))
    weight = sum(4 * len(part) if isinstance(part, list) else weigh(part)[0] for part in _parts(document.get("prompt")))
    return spoken, consumed(Ask("", weight), serving.script, [one.size for one in spoken], 0)


def _parts(prompt: Any) -> list[Any]:
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return prompt
    return [prompt]


def _prompts(prompt: Any) -> list[str]:
    """One text per prompt; token arrays, which nobody can read without a vocabulary, are named by their length."""
    if prompt is None or prompt == []:
        raise Fault(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
    return [f"{len(part)} tokens" if isinstance(part, list) else last_words(part) for part in _parts(prompt)]


def _head(serving: Serving, document: Document) -> Document:
    return {"id": serving.mint("cmpl-"), "object": "text_completion", "created": seconds(), "model": document["model"]}


def _choice(at: int, text: str, finish: str | None) -> Document:
    return {"text": text, "index": at, "logprobs": None, "finish_reason": finish}


def _events(serving: Serving, spoken: list[Speech], consumption: Usage, reports: bool) -> Iterator[Piece]:
    head = _head(serving, serving.document)
    for at, one in enumerate(spoken):
        for words in pieces(one.text, serving.script.events):
            yield Piece(sse.event({**head, "choices": [_choice(at, words, None)]}), size(words))
        yield Piece(sse.event({**head, "choices": [_choice(at, "", _FINISH[one.reason])]}))
    figures = told(consumption, serving.script) if reports else None
    if figures:
        reported = usage.of_chat(figures)
        yield Piece(sse.event({**head, "choices": [], "usage": reported}), reported=reported)
    yield Piece(b"data: [DONE]\n\n")


ENDPOINTS = (Endpoint("POST", "/v1/completions", "completions", create),)
