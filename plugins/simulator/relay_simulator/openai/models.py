"""The models on offer. Any other name is accepted too, so that no test needs a list."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.ask import Document
from relay_simulator.endpoint import Endpoint
from relay_simulator.serving import Serving

NAMES = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "o3", "o4-mini", "gpt-3.5-turbo-instruct",
    "text-embedding-3-small", "text-embedding-3-large", "omni-moderation-latest", "gpt-image-1", "dall-e-2", "tts-1",
    "gpt-4o-mini-tts", "whisper-1", "gpt-4o-transcribe", "gpt-realtime", "rerank-v3.5",
)  # fmt: skip
_CREATED = 1_715_367_049


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1/models"""
    return await serving.json({"object": "list", "data": [_model(name) for name in NAMES]})


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/models/{model}"""
    return await serving.json(_model(serving.param("model")))


def _model(name: str) -> Document:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "simulator"}


ENDPOINTS = (
    Endpoint("GET", "/v1/models", "models", show_all),
    Endpoint("GET", "/v1/models/{model:.+}", "model", show),
)
