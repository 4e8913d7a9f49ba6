"""The list of models. https://ai.google.dev/api/models"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from relay.wire.dialect import ModelEntry, Surface
from relay_gemini.surfaces import OPERATIONS, Operation

_METHODS: dict[Operation, str] = {
    "generate": "generateContent",
    "generate.stream": "streamGenerateContent",
    "count_tokens": "countTokens",
    "embed": "embedContent",
    "embed.batch": "batchEmbedContents",
}


def models(surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
    """All models on one page, or the only entry on the surface of a single one."""
    shown = [_shown(entry) for entry in entries]
    return orjson.dumps(shown[0] if OPERATIONS[surface.name] == "models.get" else {"models": shown})


def _shown(entry: ModelEntry) -> dict[str, Any]:
    """A model that does not say on which surfaces it answers is shown as one that generates."""
    offered = {OPERATIONS.get(name) for name in entry.surfaces} if entry.surfaces else {"generate", "count_tokens"}
    model: dict[str, Any] = {
        "name": f"models/{entry.id}",
        "displayName": entry.id,
        "supportedGenerationMethods": [method for operation, method in _METHODS.items() if operation in offered],
    }
    if entry.input_limit is not None:
        model["inputTokenLimit"] = entry.input_limit
    if entry.output_limit is not None:
        model["outputTokenLimit"] = entry.output_limit
    return model
