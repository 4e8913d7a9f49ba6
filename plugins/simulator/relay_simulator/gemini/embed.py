"""Embeddings, one or many."""

from __future__ import annotations

from aiohttp import web

from relay import Usage
from relay_simulator.ask import Document, objects, weigh
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault
from relay_simulator.figures import tokens, told, total
from relay_simulator.gemini.asked import inner
from relay_simulator.gemini.manner import pick, turns
from relay_simulator.serving import Serving
from relay_simulator.vectors import vector

_DIMENSIONS = 768


async def embed(serving: Serving) -> web.StreamResponse:
    """POST /v1beta/models/{model}:embedContent"""
    values, consumption = _vector(serving.document)
    return await _answer(serving, {"embedding": {"values": values}}, consumption)


async def embed_many(serving: Serving) -> web.StreamResponse:
    """POST /v1beta/models/{model}:batchEmbedContents"""
    requests = objects(serving.document, "requests")
    if not requests:
        raise Fault(400, "* BatchEmbedContentsRequest.requests: at least one request is required")
    made = [_vector(request) for request in requests]
    consumption = Usage(input=sum(usage.input for _, usage in made))
    return await _answer(serving, {"embeddings": [{"values": values} for values, _ in made]}, consumption)


async def _answer(serving: Serving, answer: Document, consumption: Usage) -> web.StreamResponse:
    figures = told(consumption, serving.script)
    if figures is not None:
        answer["usageMetadata"] = {"promptTokenCount": figures.input, "totalTokenCount": total(figures)}
    return await serving.json(answer, usage=consumption, reported=answer.get("usageMetadata"))


def _vector(request: Document) -> tuple[list[float], Usage]:
    contents = turns(request)
    if not contents:
        raise Fault(400, "* EmbedContentRequest.content: content is not specified")
    wanted = pick(request, "outputDimensionality") or pick(inner(request, "embedContentConfig"), "outputDimensionality")
    dimensions = wanted if isinstance(wanted, int) else _DIMENSIONS
    text = "\n".join(str(part.get("text", "")) for content in contents for part in objects(content, "parts"))
    return vector(text, dimensions), Usage(input=tokens(weigh(contents)[0]))


ENDPOINTS = (
    Endpoint("POST", "/models/{model}:embedContent", "embed", embed),
    Endpoint("POST", "/models/{model}:batchEmbedContents", "embed.batch", embed_many),
)
