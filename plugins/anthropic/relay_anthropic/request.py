"""What a request asks: its model, its place at the provider, every text in it, and the stored objects it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from relay.errors import Refused
from relay.values.content import Content
from relay.wire import lens
from relay.wire.dialect import Asked, Surface
from relay.wire.vocabulary import Event, Kind, Path
from relay_anthropic.blocks import Finding, read_content, read_tools, source
from relay_anthropic.surfaces import MESSAGES

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:~-]*")


def ask(surface: Surface, params: Mapping[str, str], document: Any) -> Asked:
    """The model and the stream flag.

    The requests of a batch must agree on their model: who may use which model, and where a request goes, is decided once.

    :raises Refused: `bad_request`.
    """
    if surface.model == "path":
        return Asked(params["model"], False)
    if surface.model == "none":
        return Asked(None, False)
    if not isinstance(document, dict):
        raise Refused("bad_request", "The body must be a JSON object.")
    if surface.name in MESSAGES:
        return Asked(_model(document), document.get("stream") is True)
    requests = document.get("requests")
    if not isinstance(requests, list) or not requests:
        raise Refused("bad_request", "'requests' must be a list with at least one request.")
    models = {_model(entry.get("params") if isinstance(entry, dict) else None) for entry in requests}
    if len(models) > 1:
        raise Refused(
            "bad_request", "All requests of a batch must name the same model here; send a batch for each model."
        )
    return Asked(models.pop(), False)


def _model(params: Any) -> str:
    model = params.get("model") if isinstance(params, dict) else None
    if not isinstance(model, str) or not model:
        raise Refused("bad_request", "'model' must be a string that is not empty.")
    return model


def place(surface: Surface, params: Mapping[str, str], query: str, model: str | None) -> str:
    """Path and query at the provider, the query byte for byte.

    :raises Refused: `invalid_path` for an id or a model that holds anything but letters, digits and `. _ @ : ~ -`.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        value = model if name == "model" and model is not None else params[name]
        for segment in value.split("/") if match[2] else (value,):
            if not _SEGMENT.fullmatch(segment):
                raise Refused("invalid_path")
        return value

    path = _PARAMETER.sub(fill, surface.path)
    return f"{path}?{query}" if query else path


def rename(surface: Surface, body: bytes, document: Any, model: str) -> bytes:
    """The body with another model in it, in a batch in each of its requests.

    :raises Refused: `ambiguous_body`.
    """
    try:
        if surface.name in MESSAGES:
            start, end = lens.top_level_string(body, "model", document["model"])
            return b"".join((body[:start], lens.string(model), body[end:]))
        if surface.model == "body":
            named = lens.string(model)
            places = range(len(document["requests"]))
            return lens.replace(body, {("requests", index, "params", "model"): named for index in places})
    except lens.DuplicateKey:
        raise Refused("ambiguous_body") from None
    return body


def read_call(surface: Surface, document: Any, kinds: Collection[Kind]) -> Iterator[Event]:
    """Every text of a request with its place. Arguments of tools are given as JSON source.

    :raises Refused: `bad_request` for arguments that are nested beyond reason.
    """
    for role, value, path in _findings(surface, document):
        if role != "reference" and role in kinds:
            is_source = not isinstance(value, str) or role == "tool_args"
            try:
                content = source(value) if is_source else Content(value)
            except ValueError:
                raise Refused("bad_request", "The body is nested too deeply.") from None
            yield Event(role, content, block=path, whole=True, where=path, source=is_source)


def references(surface: Surface, document: Any) -> Sequence[str]:
    """The ids of files and containers that a request names, each once."""
    return list(dict.fromkeys(value for role, value, _ in _findings(surface, document) if role == "reference"))


def _findings(surface: Surface, document: Any) -> Iterator[Finding]:
    if not isinstance(document, dict):
        return
    if surface.name in MESSAGES:
        yield from _message(document, ())
    elif isinstance(requests := document.get("requests"), list):
        for index, request in enumerate(requests):
            if isinstance(request, dict) and isinstance(params := request.get("params"), dict):
                yield from _message(params, ("requests", index, "params"))


def _message(params: dict[str, Any], at: Path) -> Iterator[Finding]:
    yield from _container(params.get("container"), (*at, "container"))
    yield from read_tools(params.get("tools"), (*at, "tools"))
    yield from read_content(params.get("system"), (*at, "system"))
    messages = params.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            yield from read_content(message.get("content"), (*at, "messages", index, "content"))
        else:
            yield Finding("opaque", message, (*at, "messages", index))
    yield from _instructions(params.get("compaction"), (*at, "compaction"))
    management = params.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    for index, edit in enumerate(edits if isinstance(edits, list) else ()):
        yield from _instructions(edit, (*at, "context_management", "edits", index))


def _container(container: Any, at: Path) -> Iterator[Finding]:
    if isinstance(container, dict):
        container, at = container.get("id"), (*at, "id")
    if isinstance(container, str) and container:
        yield Finding("reference", container, at)


def _instructions(value: Any, at: Path) -> Iterator[Finding]:
    """How a summary is to be made: the one text among the settings."""
    if isinstance(value, dict) and isinstance(text := value.get("instructions"), str) and text:
        yield Finding("text", text, (*at, "instructions"))
