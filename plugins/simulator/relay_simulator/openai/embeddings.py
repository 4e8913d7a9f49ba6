"""Embeddings and moderations: what a text is, not what to answer."""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web

from relay import Usage
from relay_simulator.ask import Document, text_field, text_of, whole
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault
from relay_simulator.figures import size, tokens, told, total
from relay_simulator.serving import Serving
from relay_simulator.vectors import packed, vector

_DIMENSIONS = {"text-embedding-3-large": 3072}
_CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


async def embed(serving: Serving) -> web.StreamResponse:
    """POST /v1/embeddings"""
    answer, consumption = embedding(serving, serving.document)
    return await serving.json(answer, usage=consumption, reported=answer.get("usage"))


def embedding(serving: Serving, document: Document) -> tuple[Document, Usage]:
    """The whole answer as one document, and what it consumed. A token of a token array is a token."""
    model = text_field(document, "model")
    inputs = _inputs(document.get("input"))
    dimensions = whole(document, "dimensions") or _DIMENSIONS.get(model, 1536)
    consumption = Usage(input=sum(len(one) if isinstance(one, list) else tokens(size(one)) for one in inputs))
    data = []
    for at, one in enumerate(inputs):
        numbers = vector(str(one), dimensions)
        shown: Any = (
            base64.b64encode(packed(numbers)).decode() if document.get("encoding_format") == "base64" else numbers
        )
        data.append({"object": "embedding", "index": at, "embedding": shown})
    answer: Document = {"object": "list", "data": data, "model": model}
    if (figures := told(consumption, serving.script)) is not None:
        answer["usage"] = {"prompt_tokens": figures.input, "total_tokens": total(figures)}
    return answer, consumption


async def moderate(serving: Serving) -> web.StreamResponse:
    """POST /v1/moderations: what holds the word `violence` is flagged. It is free of charge."""
    answer, _ = moderation(serving, serving.document)
    return await serving.json(answer)


def moderation(serving: Serving, document: Document) -> tuple[Document, Usage]:
    """The whole answer as one document; nothing is consumed."""
    given = document.get("input")
    if given is None:
        raise Fault(400, "Missing required parameter: 'input'.", code="missing_required_parameter", param="input")
    texts = given if isinstance(given, list) and all(isinstance(one, str) for one in given) else [given]
    results = [_judged(text_of(one)) for one in texts]
    return {
        "id": serving.mint("modr-"),
        "model": document.get("model", "omni-moderation-latest"),
        "results": results,
    }, Usage()


def _judged(text: str) -> Document:
    flagged = {name: name == "violence" and "violence" in text.lower() for name in _CATEGORIES}
    return {
        "flagged": any(flagged.values()),
        "categories": flagged,
        "category_scores": {name: 0.9 if is_flagged else 0.0 for name, is_flagged in flagged.items()},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


def _inputs(given: Any) -> list[str | list[int]]:
    """Texts or token arrays, one or many. :raises Fault: 400."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given:
        if all(isinstance(one, int) for one in given):
            return [given]
        if all(
            isinstance(one, str) or (isinstance(one, list) and all(isinstance(n, int) for n in one)) for one in given
        ):
            return given
    raise Fault(400, "'input' must be a text, a list of texts, or lists of tokens.", code="invalid_type", param="input")


ENDPOINTS = (
    Endpoint("POST", "/v1/embeddings", "embeddings", embed),
    Endpoint("POST", "/v1/moderations", "moderations", moderate),
)
