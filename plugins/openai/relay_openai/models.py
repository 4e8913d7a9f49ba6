"""Lists: the models a caller may use, and the objects in an answer that lists them.

https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from relay.wire.dialect import ModelEntry, Surface
from relay.wire.vocabulary import Path
from relay_openai.gather import objects


def models(surface: Surface, entries: Sequence[ModelEntry]) -> bytes:
    """See `relay.wire.dialect.Dialect.models`."""
    shown = [{"id": e.id, "object": "model", "created": e.created, "owned_by": e.provider} for e in entries]
    return orjson.dumps(shown[0] if surface.models == "one" else {"object": "list", "data": shown})


def list_items(surface: Surface, document: Any) -> Sequence[tuple[str, Path]]:
    """See `relay.wire.dialect.Dialect.list_items`. Entries without an id are nobody's and count under an empty one."""
    if surface.lists is None or not isinstance(document, dict):
        return ()
    return [
        (entry["id"] if isinstance(entry.get("id"), str) else "", ("data", i))
        for i, entry in objects(document.get("data"))
    ]
