"""Requests to every surface of a dialect that carry given words, as a client would make them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from relay.config.installed import DIALECTS, find, installed, load_dialect
from relay.wire.dialect import Surface

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}
_FORMS: Mapping[str, Mapping[str, str]] = {
    "images.edits": {"model": "gpt-image-1", "prompt": "{words}"},
    "images.variations": {"model": "gpt-image-1"},
    "audio.transcriptions": {"model": "whisper-1", "prompt": "{words}"},
    "audio.translations": {"model": "whisper-1"},
    "files.create": {"purpose": "assistants"},
}


def surfaces(dialect: str) -> tuple[Surface, ...]:
    """The surfaces of a dialect, as it is installed."""
    return tuple(load_dialect(find(installed(DIALECTS), dialect, "dialect")).surfaces)


def signed(dialect: str, key: str) -> dict[str, str]:
    """The headers with which a client of a dialect shows its key."""
    if dialect == "openai":
        return {"authorization": f"Bearer {key}"}
    return {"x-api-key": key, "anthropic-version": "2023-06-01"} if dialect == "anthropic" else {"x-goog-api-key": key}


def carrying(dialect: str, model: str | None = None) -> Iterator[Surface]:
    """The surfaces whose requests can carry something of a client's."""
    return (surface for surface in surfaces(dialect) if surface.body != "none")


def path(surface: Surface, params: Mapping[str, str], model: str) -> str:
    """The path of a surface; an object that is not among `params` gets an id that nobody has."""
    out = surface.path.replace("{model}", model).replace("{model:path}", model)
    for name in surface.objects:
        out = out.replace("{" + name + "}", params.get(name, "none_such"))
    return out


def ask(
    dialect: str, surface: Surface, words: str, *, model: str | None = None, stream: bool = False, file: str = ""
) -> dict[str, Any]:
    """What `aiohttp.ClientSession.post` takes beside the path. `file` is the id of a stored file, for what needs one."""
    if surface.body == "multipart":
        form = aiohttp.FormData()
        for name, value in _FORMS.get(surface.name, {}).items():
            form.add_field(name, value.format(words=words))
        field = "data" if surface.name == "uploads.parts" else "image" if surface.name.startswith("images") else "file"
        form.add_field(field, f"beginning {words} end".encode(), filename="notes.txt", content_type="text/plain")
        return {"data": form}
    document = _document(dialect, surface, words) | ({"stream": True} if stream else {})
    if file and surface.name == "batches.create" and dialect == "openai":
        document["input_file_id"] = file
    if surface.model == "body":
        document = {"model": model or MODELS[dialect], **document}
    return {"data": json.dumps(document).encode(), "headers": {"content-type": "application/json"}}


def _document(dialect: str, surface: Surface, words: str) -> dict[str, Any]:
    said = [{"role": "user", "content": words}]
    if dialect == "anthropic":
        if surface.name == "batches.create":
            return {
                "requests": [
                    {"custom_id": "one", "params": {"model": MODELS[dialect], "max_tokens": 9, "messages": said}}
                ]
            }
        return {"max_tokens": 99, "messages": said}
    if dialect == "gemini":
        content = {"parts": [{"text": words}]}
        name = surface.name.split(".v1")[0]
        one = {"model": f"models/{MODELS[dialect]}", "content": content}
        shapes: dict[str, dict[str, Any]] = {"embed": one, "embed.batch": {"requests": [one]}}
        return shapes.get(name, {"contents": [content]})
    made: dict[str, dict[str, Any]] = {
        "chat": {"messages": said},
        "completions": {"prompt": words},
        "rerank": {"query": words, "documents": [words]},
        "images.generations": {"prompt": words},
        "audio.speech": {"input": words, "voice": "alloy"},
        "uploads.create": {"filename": words, "purpose": "assistants", "bytes": 9, "mime_type": "text/plain"},
        "uploads.complete": {"part_ids": [], "metadata": {"note": words}},
        "batches.create": {
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"note": words},
        },
        "conversations.create": {"metadata": {"note": words}},
        "conversations.items.create": {"items": said},
    }
    return made.get(surface.name, {"input": words, "metadata": {"note": words}})
