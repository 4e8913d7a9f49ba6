"""The models on offer. Any other name is accepted too, so that no test needs a list."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.anthropic.paging import page
from relay_simulator.ask import Document
from relay_simulator.endpoint import Endpoint
from relay_simulator.serving import Serving

NAMES = ("claude-opus-4-6", "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5")


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1/models"""
    return await serving.json(page(serving, [_model(name) for name in NAMES]))


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/models/{model}"""
    return await serving.json(_model(serving.param("model")))


def _model(name: str) -> Document:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2025-09-29T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


ENDPOINTS = (
    Endpoint("GET", "/v1/models", "models", show_all),
    Endpoint("GET", "/v1/models/{model}", "model", show),
)
