"""Answers about stored objects: files, uploads, batches, conversations, stored completions, vector stores.

https://platform.openai.com/docs/api-reference/files
"""

from __future__ import annotations

from typing import Any

from relay.wire.dialect import Surface
from relay_openai.chat import tell_chat
from relay_openai.gather import Gather, member, objects
from relay_openai.items import created_by, read_item
from relay_openai.messages import read_message
from relay_openai.parts import content
from relay_openai.usage import read_usage
from relay_openai.whole import Tell


def tell_stored(surface: Surface) -> Tell:
    """How an answer of this surface is told; most hold an id and no text of anybody's."""
    if surface.name.startswith("chat."):
        return _tell_chats
    if surface.name.startswith("batches."):
        return lambda found, document: _tell_batch(found, document, surface)
    if surface.name == "responses.input_items" or surface.name.startswith("conversations.items."):
        return lambda found, document: _tell_items(found, document, surface)
    if surface.name in ("vector_stores.search", "vector_stores.files.content"):
        return _tell_hits
    return lambda found, document: _tell_object(found, document, surface)


def _tell_object(found: Gather, document: Any, surface: Surface) -> None:
    if surface.name == "uploads.complete":
        # The upload stays what it is; what it makes is the file.
        found.created("file", member(document, "file", "id"))
    elif surface.creates is not None:
        found.created(surface.creates, member(document, "id"))
    # A file's, upload's, store's or container's name is its owner's words.
    for name in ("filename", "name", "description"):
        found.whole("text", member(document, name), (name,), (name,))
        for i, entry in objects(member(document, "data")):
            found.whole("text", entry.get(name), (name, i), ("data", i, name))


def _tell_batch(found: Gather, document: Any, surface: Surface) -> None:
    if surface.creates is not None:
        found.created(surface.creates, member(document, "id"))
    if surface.lists is None:
        for name in ("output_file_id", "error_file_id"):
            found.created("file", member(document, name))
        # It is stated when the batch is done.
        found.usage(read_usage(member(document, "usage")), ("usage",))


def _tell_items(found: Gather, document: Any, surface: Surface) -> None:
    entries = member(document, "data")
    if isinstance(entries, list):
        for i, item in enumerate(entries):
            read_item(found, item, ("item", i), ("data", i))
    elif member(document, "object") not in ("conversation", None) or member(document, "type"):
        read_item(found, document, ("item", 0), ())
    if surface.creates is not None:
        for _, item in objects(entries):
            created_by(found, item)


def _tell_chats(found: Gather, document: Any) -> None:
    if isinstance(member(document, "choices"), list):
        _tell_without_cost(found, document, (), ())
    for i, entry in objects(member(document, "data")):
        if isinstance(entry.get("choices"), list):
            _tell_without_cost(found, entry, ("data", i), ("completion", i))
        else:
            read_message(found, entry, ("message", i), ("data", i))


def _tell_without_cost(
    found: Gather, document: Any, where: tuple[str | int, ...], block: tuple[str | int, ...]
) -> None:
    """A stored completion says once more what it cost; that was charged when it was made."""
    inner = Gather(found.kinds)
    tell_chat(inner, document, where, block)
    found.events += [event for event in inner.events if event.kind not in ("usage", "stop", "created")]


def _tell_hits(found: Gather, document: Any) -> None:
    content(found, member(document, "search_query"), ("query",), ("search_query",))
    for i, hit in objects(member(document, "data")):
        content(found, hit.get("content"), ("hit", i), ("data", i, "content"))
        # A file's content comes as parts, with nothing around them.
        found.whole("text", hit.get("text"), ("hit", i, "text"), ("data", i, "text"))
        found.whole("text", hit.get("filename"), ("hit", i, "filename"), ("data", i, "filename"))
