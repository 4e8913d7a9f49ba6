"""The list of models. https://docs.anthropic.com/en/api/models-list"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from relay.wire.dialect import ModelEntry, Surface


def models(surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
    """All models on one page, or the only entry on the surface of a single one."""
    shown = [_shown(entry) for entry in entries]
    if surface.models == "one":
        return orjson.dumps(shown[0])
    ends = {"first_id": entries[0].id, "last_id": entries[-1].id} if entries else {"first_id": None, "last_id": None}
    return orjson.dumps({"data": shown, "has_more": False, **ends})


def _shown(entry: ModelEntry) -> dict[str, Any]:
    made = datetime.fromtimestamp(entry.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    model: dict[str, Any] = {"type": "model", "id": entry.id, "display_name": entry.id, "created_at": made}
    if entry.input_limit is not None:
        model["max_input_tokens"] = entry.input_limit
    if entry.output_limit is not None:
        model["max_tokens"] = entry.output_limit
    return model
