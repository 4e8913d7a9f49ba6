"""The head of a request: which model, streamed or not, where it goes, and under which name it asks for its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, unquote_plus

from relay.errors import Refused
from relay.wire import lens
from relay.wire.dialect import Asked, Surface

_OPTIONAL = frozenset(
    ("moderations", "images.generations", "images.edits", "images.variations", "responses.input_tokens", "realtime")
)
"""Surfaces on which the provider has a model of its own where none is named."""
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_SEGMENT = re.compile(r"[A-Za-z0-9_~=@:-][A-Za-z0-9._~=@:+-]*")
_KEYS = frozenset(("key", "api_key", "api-key", "apikey", "access_token", "token"))


def ask(surface: Surface, params: Mapping[str, str], query: str, document: Any) -> Asked:
    """See `relay.wire.dialect.Dialect.ask`."""
    if surface.model == "path":
        return Asked(params.get("model"), False)
    if surface.model == "query":
        return Asked(_in_query(query, "model"), False)
    if surface.body in ("none", "bytes"):
        return Asked(None, _in_query(query, "stream") in ("true", "True", "1"))
    if surface.body == "multipart":
        return _ask_form(surface, document)
    if document is None and surface.model == "none":
        return Asked(None, False)
    if not isinstance(document, dict):
        raise Refused("bad_request", "The body must be a JSON object.")
    if surface.model == "none":
        return Asked(None, False)
    return Asked(_model(surface, document), _streams(surface, document))


def place(surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
    """See `relay.wire.dialect.Dialect.place`. The base URL ends in `/v1`, so the path comes without it."""

    def filled(parameter: re.Match[str]) -> str:
        name = parameter[1]
        value = model if name == "model" and model is not None else params.get(name, "")
        segments = value.split("/") if parameter[0].endswith(":path}") else [value]
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            what = "model's name" if name == "model" else "id"
            raise Refused("invalid_path", f"The {what} in the path holds characters that cannot stand there.")
        return "/".join(segments)

    path = _PARAMETER.sub(filled, surface.path.removeprefix("/v1"))
    kept = [field for field in query.split("&") if field and _name(field) not in _KEYS]
    if surface.model == "query" and model is not None:
        kept = [field for field in kept if _name(field) != "model"]
        kept.insert(0, "model=" + quote(model, safe=""))
    return f"{path}?{'&'.join(kept)}" if kept else path


def rename(surface: Surface, body: bytes, document: Any, model: str) -> bytes:
    """See `relay.wire.dialect.Dialect.rename`."""
    before = document.get("model") if isinstance(document, dict) else None
    if surface.model != "body" or before == model:
        return body
    if not isinstance(before, str):
        # A prompt template or a default has chosen the model: there is no name to replace.
        return body
    try:
        start, end = lens.top_level_string(body, "model", before)
    except lens.DuplicateKey:
        ambiguous()
    return b"%b%b%b" % (body[:start], lens.string(model), body[end:])


def ambiguous() -> NoReturn:
    """:raises Refused: always."""
    raise Refused("ambiguous_body") from None


def _ask_form(surface: Surface, document: Any) -> Asked:
    fields: Mapping[str, Any] = document if isinstance(document, dict) else {}
    model = fields.get("model") or None
    if surface.model == "form" and model is None and surface.name not in _OPTIONAL:
        raise Refused("bad_request", "The form needs a field 'model' that stands before the file.")
    if model is not None and not isinstance(model, str):
        raise Refused("bad_request", "The field 'model' must be text.")
    streams = fields.get("stream")
    return Asked(model if surface.model == "form" else None, streams is True or streams in ("true", "True", "1"))


def _model(surface: Surface, document: dict[str, Any]) -> str | None:
    model = document.get("model")
    if isinstance(model, str) and model:
        return model
    if model is not None:
        raise Refused("bad_request", "The member 'model' must be a string that is not empty.")
    if surface.name in _OPTIONAL or (surface.name == "responses" and isinstance(document.get("prompt"), dict)):
        return None
    raise Refused("bad_request", "The body needs a member 'model'.")


def _streams(surface: Surface, document: dict[str, Any]) -> bool:
    stream = document.get("stream")
    if stream is not None and not isinstance(stream, bool):
        # Some providers would take 1 or "true" for true: a stream that nobody asked the usage of.
        raise Refused("bad_request", "The member 'stream' must be true or false.")
    return bool(stream) or (surface.name == "audio.speech" and document.get("stream_format") == "sse")


def _name(field: str) -> str:
    return unquote_plus(field.partition("=")[0]).lower()


def _in_query(query: str, name: str) -> str | None:
    for field in query.split("&"):
        key, _, value = field.partition("=")
        if unquote_plus(key) == name:
            return unquote_plus(value) or None
    return None
