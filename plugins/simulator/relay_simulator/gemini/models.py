"""The models on offer. Any other name is accepted too, so that no test needs a list."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.ask import Document
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault
from relay_simulator.serving import Serving

NAMES = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-embedding-001")


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1beta/models: a page at a time, with `pageSize` and `pageToken`."""
    query = serving.request.query
    size, token = query.get("pageSize", "50"), query.get("pageToken", "0")
    if not size.isdigit() or not token.isdigit() or not int(size):
        raise Fault(400, "pageSize and pageToken must be numbers.")
    end = int(token) + int(size)
    answer: Document = {"models": [_model(name) for name in NAMES[int(token) : end]]}
    if end < len(NAMES):
        answer["nextPageToken"] = str(end)
    return await serving.json(answer)


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1beta/models/{model}"""
    return await serving.json(_model(serving.param("model")))


def _model(name: str) -> Document:
    does = ["embedContent"] if "embedding" in name else ["generateContent", "streamGenerateContent", "countTokens"]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": does,
    }


ENDPOINTS = (Endpoint("GET", "/models", "models", show_all), Endpoint("GET", "/models/{model}", "model", show))
