"""Answers that are figures: embeddings, moderations, rankings.

https://platform.openai.com/docs/api-reference/embeddings · https://docs.cohere.com/reference/rerank
"""

from __future__ import annotations

from typing import Any

from relay.wire.vocabulary import Stop
from relay_openai.errors import read_error
from relay_openai.gather import Gather, member, objects
from relay_openai.usage import read_rerank, read_usage


def tell_embeddings(found: Gather, document: Any) -> None:
    """Vectors, as base64 (what the official clients ask for) or as numbers."""
    if not isinstance(member(document, "data"), list):
        if not read_error(document):
            found.opaque(document, ())
        return
    for i, entry in objects(document["data"]):
        vector, where = entry.get("embedding"), ("data", i, "embedding")
        if isinstance(vector, str):
            found.whole("vector", vector, ("vector", i), where)
        else:
            found.source("vector", vector, ("vector", i), where)
    found.stop(Stop("end"))
    found.usage(read_usage(document.get("usage"), hidden="input"), ("usage",))


def tell_moderations(found: Gather, document: Any) -> None:
    """Verdicts: they hold no text."""
    if not isinstance(member(document, "results"), list):
        if not read_error(document):
            found.opaque(document, ())
        return
    found.stop(Stop("end"))
    found.usage(read_usage(document.get("usage"), hidden="input"), ("usage",))


def tell_rerank(found: Gather, document: Any) -> None:
    """A ranking, which repeats the documents if asked to. Voyage calls the list `data`."""
    name = "results" if isinstance(member(document, "results"), list) else "data"
    if not isinstance(member(document, name), list):
        if not read_error(document):
            found.opaque(document, ())
        return
    for i, entry in objects(document[name]):
        shown, where = entry.get("document"), (name, i, "document")
        found.whole("text", shown, ("document", i), where)
        if isinstance(shown, dict):
            for field, value in shown.items():
                found.whole("text", value, ("document", i, field), (*where, field))
    found.stop(Stop("end"))
    found.usage(read_rerank(document))
