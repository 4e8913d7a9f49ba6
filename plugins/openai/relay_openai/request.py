"""Every text of a request, with its place.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from relay.wire.dialect import Surface
from relay.wire.vocabulary import Event, Kind, Path
from relay_openai.gather import Block, Gather, member, objects
from relay_openai.items import read_input, read_item, read_settings
from relay_openai.messages import read_message
from relay_openai.parts import content, text_format, tools


def read_call(surface: Surface, document: Any, kinds: Collection[Kind]) -> list[Event]:
    """See `relay.wire.dialect.Dialect.read_call`. For `realtime`, the document is one message of the client."""
    read = _READERS.get(surface.name)
    if read is None or not isinstance(document, dict):
        return []
    found = Gather(kinds)
    read(found, document)
    return found.events


def _chat(found: Gather, document: dict[str, Any]) -> None:
    for i, message in objects(document.get("messages")):
        read_message(found, message, ("messages", i), ("messages", i))
    tools(found, document.get("tools"), ("tools",), ("tools",))
    tools(found, document.get("functions"), ("functions",), ("functions",))
    text_format(found, document.get("response_format"), ("response_format",), ("response_format",))
    content(found, member(document, "prediction", "content"), ("prediction",), ("prediction", "content"))
    # vLLM and others take documents to answer from.
    for i, entry in objects(document.get("documents")):
        for name, value in entry.items():
            found.whole("text", value, ("documents", i, name), ("documents", i, name))


def _completions(found: Gather, document: dict[str, Any]) -> None:
    _strings(found, document, "prompt")
    found.whole("text", document.get("suffix"), ("suffix",), ("suffix",))


def _strings(found: Gather, document: dict[str, Any], name: str) -> None:
    """A string, a list of strings or parts; lists of tokens are opaque."""
    value = document.get(name)
    if isinstance(value, list) and value and not isinstance(value[0], (str, dict)):
        found.opaque(value, (name,))
    else:
        content(found, value, (name,), (name,))


def _responses(found: Gather, document: dict[str, Any]) -> None:
    read_settings(found, document)
    read_input(found, document.get("input"), ("input",), ("input",))


def _items(found: Gather, document: dict[str, Any]) -> None:
    read_input(found, document.get("items"), ("items",), ("items",))


def _inputs(found: Gather, document: dict[str, Any]) -> None:
    _strings(found, document, "input")


def _fields(*names: str) -> Callable[[Gather, dict[str, Any]], None]:
    def read(found: Gather, document: dict[str, Any]) -> None:
        for name in names:
            content(found, document.get(name), (name,), (name,))

    return read


def _rerank(found: Gather, document: dict[str, Any]) -> None:
    content(found, document.get("query"), ("query",), ("query",))
    documents = document.get("documents")
    for i, entry in enumerate(documents if isinstance(documents, list) else ()):
        if isinstance(entry, str):
            found.whole("text", entry, ("documents", i), ("documents", i))
        elif isinstance(entry, dict):
            for name, value in entry.items():
                # `rank_fields` may name any of them; Jina's `image` is an address or base64.
                kind: Kind = "media" if name == "image" else "text"
                found.whole(kind, value, ("documents", i, name), ("documents", i, name))


def _realtime(found: Gather, message: dict[str, Any]) -> None:
    type_ = message.get("type")
    if type_ in ("session.update", "transcription_session.update"):
        _session(found, message.get("session"), ("session",))
    elif type_ == "conversation.item.create":
        read_item(found, message.get("item"), ("item",), ("item",))
    elif type_ == "response.create":
        response = message.get("response")
        if isinstance(response, dict):
            read_settings(found, response, ("response",))
            read_input(found, response.get("input"), ("input",), ("response", "input"))
    elif type_ == "input_audio_buffer.append":
        found.whole("media", message.get("audio"), ("audio",), ("audio",))
    elif not isinstance(type_, str) or not type_.startswith(_QUIET):
        found.opaque(message, ())


_QUIET = ("input_audio_buffer.", "output_audio_buffer.", "conversation.item.", "response.cancel")


def _session(found: Gather, session: Any, where: Path) -> None:
    if not isinstance(session, dict):
        return
    read_settings(found, session, where)
    for path in (("input_audio_transcription", "prompt"), ("audio", "input", "transcription", "prompt")):
        block: Block = ("session", *path)
        found.whole("text", member(session, *path), block, (*where, *path))


_READERS: Mapping[str, Callable[[Gather, dict[str, Any]], None]] = {
    "chat": _chat,
    "completions": _completions,
    "responses": _responses,
    "responses.input_tokens": _responses,
    "responses.compact": _responses,
    "conversations.create": _items,
    "conversations.items.create": _items,
    "embeddings": _inputs,
    "moderations": _inputs,
    "rerank": _rerank,
    "images.generations": _fields("prompt", "negative_prompt"),
    "audio.speech": _fields("input", "instructions"),
    "uploads.create": _fields("filename"),
    "vector_stores.create": _fields("name", "description"),
    "vector_stores.update": _fields("name"),
    "vector_stores.search": _fields("query"),
    "containers.create": _fields("name"),
    "realtime": _realtime,
}
