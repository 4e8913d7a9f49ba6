"""Rerank, in the form that Cohere and Jina began and others follow."""

from __future__ import annotations

from aiohttp import web

from relay import Usage
from relay_simulator.ask import Document, text_field, text_of, whole
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault
from relay_simulator.figures import size, tokens, told, total
from relay_simulator.script import without_script
from relay_simulator.serving import Serving


async def rank(serving: Serving) -> web.StreamResponse:
    """POST /v1/rerank: the more of the query's words a document has, the better; earlier ones win a tie."""
    document = serving.document
    query = text_field(document, "query")
    given = document.get("documents")
    if not isinstance(given, list) or not given:
        raise Fault(400, "Missing required parameter: 'documents'.", param="documents")
    texts = [text_of(one) for one in given]
    wanted = set(without_script(query).lower().split())
    scores = [len(wanted & set(text.lower().split())) / max(len(wanted), 1) for text in texts]
    order = sorted(range(len(texts)), key=lambda at: -scores[at])[: whole(document, "top_n", "top_k")]
    shows = document.get("return_documents") is True
    results = [
        {"index": at, "relevance_score": scores[at], **({"document": {"text": texts[at]}} if shows else {})}
        for at in order
    ]
    consumption = Usage(input=tokens(size(query) + sum(size(text) for text in texts)))
    answer: Document = {"id": serving.mint("rerank-"), "object": "list", "model": serving.model, "results": results}
    reported = None
    if (figures := told(consumption, serving.script)) is not None:
        reported = {"prompt_tokens": figures.input, "total_tokens": total(figures)}
        answer["usage"] = reported
    return await serving.json(answer, usage=consumption, reported=reported)


ENDPOINTS = (Endpoint("POST", "/v1/rerank", "rerank", rank),)
