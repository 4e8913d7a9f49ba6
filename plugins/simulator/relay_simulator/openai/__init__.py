"""OpenAI's dialect: every endpoint below `/v1`."""

from __future__ import annotations

from relay_simulator.endpoint import Endpoint
from relay_simulator.openai import (
    audio,
    batches,
    chat,
    completions,
    conversations,
    embeddings,
    files,
    images,
    models,
    realtime,
    rerank,
    responses,
    uploads,
)
from relay_simulator.openai.manner import MANNER

ENDPOINTS: tuple[Endpoint, ...] = (
    *chat.ENDPOINTS,
    *completions.ENDPOINTS,
    *responses.ENDPOINTS,
    *conversations.ENDPOINTS,
    *embeddings.ENDPOINTS,
    *rerank.ENDPOINTS,
    *images.ENDPOINTS,
    *audio.ENDPOINTS,
    *files.ENDPOINTS,
    *uploads.ENDPOINTS,
    *batches.ENDPOINTS,
    *models.ENDPOINTS,
    *realtime.ENDPOINTS,
)

__all__ = ["ENDPOINTS", "MANNER"]
