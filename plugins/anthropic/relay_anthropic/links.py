"""Addresses at the provider that stand in answers: where a batch's results are.

The official clients fetch them from there, and send the key they have; so the address must lead to the relay. It stands without a
host, because a client knows best under which name it reaches the relay. https://docs.anthropic.com/en/api/retrieving-message-batches
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LINKED = frozenset(("batches.retrieve", "batches.list", "batches.cancel"))


def links(document: Any) -> Mapping[tuple[str | int, ...], str]:
    """See `relay.wire.dialect.Links.links`."""
    if not isinstance(document, dict):
        return {}
    data = document.get("data")
    entries = [(("data", i), entry) for i, entry in enumerate(data)] if isinstance(data, list) else [((), document)]
    return {
        (*path, "results_url"): f"/v1/messages/batches/{entry['id']}/results"
        for path, entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("results_url"), str) and isinstance(entry.get("id"), str)
    }
