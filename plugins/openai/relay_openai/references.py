"""The stored objects that a request's body names, and whether its answer will leave one behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relay.wire.dialect import Surface

MARKS = (b'_id"', b'_ids"', b'"id"', b'"conversation"', b'"container"')
"""One of them stands in every body that names an object."""
_SINGLE = frozenset(
    (
        "file_id",
        "input_file_id",
        "container_id",
        "vector_store_id",
        "previous_response_id",
        "comparison_response_id",
    )
)
_SEVERAL = frozenset(("file_ids", "vector_store_ids"))
_FREE = frozenset(
    (
        "metadata",
        "client_metadata",
        "parameters",
        "schema",
        "input_schema",
        "json_schema",
        "attributes",
        "arguments",
        "logit_bias",
    )
)
"""Members that may be named anything: what looks like an id there is none."""


def references(surface: Surface, document: Any) -> Sequence[str]:
    """See `relay.wire.dialect.Dialect.references`. Without recursion: a body may be as deep as a parser allows."""
    found: dict[str, None] = {}
    open_ = [document]
    while open_:
        node = open_.pop()
        if isinstance(node, list):
            open_ += node
        elif isinstance(node, dict):
            for name in _named(node, top=node is document):
                found.setdefault(name)
            open_ += [inner for name, inner in node.items() if isinstance(inner, (dict, list)) and name not in _FREE]
    return tuple(found)


def keeps(surface: Surface, document: Any) -> bool:
    """May a successful answer leave an object at the provider, so that its id is worth noting?

    Responses are stored unless they are told not to; chat completions only if they are told to, and their audio always.
    """
    if surface.creates is None:
        # What a batch has made is told when it is looked at.
        return surface.name in ("realtime", "batches.retrieve", "batches.cancel")
    fields = document if isinstance(document, dict) else {}
    if surface.name == "responses":
        return fields.get("store") is not False
    if surface.name == "chat":
        modalities = fields.get("modalities")
        return fields.get("store") is True or (isinstance(modalities, list) and "audio" in modalities)
    return True


def _named(node: dict[str, Any], *, top: bool) -> list[str]:
    names = [value for name in _SINGLE if isinstance(value := node.get(name), str) and value]
    for name in _SEVERAL:
        value = node.get(name)
        names += [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
    if top:
        conversation = node.get("conversation")
        names += _id_of(conversation) if conversation not in ("auto", "none") else []
    if node.get("type") in ("code_interpreter", "container_reference", "shell") or "container" in node:
        # A tool's container is an id, or an object that has a new one made.
        container = node.get("container")
        names += [container] if isinstance(container, str) and container else []
    if "role" in node and isinstance(audio := node.get("audio"), dict):
        # An assistant's earlier words as audio.
        names += _id_of(audio)
    if node.get("type") == "item_reference" or (
        node.keys() <= {"id", "type"} and "type" not in node and "id" in node and not top
    ):
        names += _id_of(node)
    return names


def _id_of(value: Any) -> list[str]:
    id = value.get("id") if isinstance(value, dict) else value
    return [id] if isinstance(id, str) and id else []
