"""What a request asks: its model, every text in it, and the stored objects it names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from relay.errors import Refused
from relay.wire import lens
from relay.wire.dialect import Asked, Surface
from relay.wire.vocabulary import Event, Kind, Path
from relay_gemini.parts import DEEPEST, Finding, closed, member, read_contents, read_tools
from relay_gemini.surfaces import OPERATIONS

_PREFIX = "models/"


def ask(surface: Surface, params: Mapping[str, str], document: Any) -> Asked:
    """The model, from the path, and the stream flag.

    :raises Refused: `bad_request` where the body is no object, or names another model than the path: only one of them would have
        been checked.
    """
    if surface.model != "path":
        return Asked(None, False)
    model = params["model"]
    if surface.body == "json":
        if not isinstance(document, dict):
            raise Refused("bad_request", "The body must be a JSON object.")
        for _, named in _models(document):
            if not isinstance(named, str) or named.removeprefix(_PREFIX) != model:
                raise Refused("bad_request", "The body names another model than the path.")
    return Asked(model, OPERATIONS[surface.name] == "generate.stream")


def rename(surface: Surface, body: bytes, document: Any, model: str) -> bytes:
    """The body with another model wherever one is named; unchanged where only the path names it.

    :raises Refused: `ambiguous_body`.
    """
    changes = {
        path: lens.string(_PREFIX + model if named.startswith(_PREFIX) else model)
        for path, named in _models(document)
        if isinstance(named, str)
    }
    try:
        return lens.replace(body, changes) if changes else body
    except lens.DuplicateKey:
        raise Refused("ambiguous_body") from None


def _models(document: Any) -> Iterator[tuple[Path, Any]]:
    """Where a body names a model: its own, that of a request to be counted, those of a batch of embeddings."""
    if not isinstance(document, dict):
        return
    if "model" in document:
        yield ("model",), document["model"]
    for key, counted in member(document, "generateContentRequest"):
        if isinstance(counted, dict) and "model" in counted:
            yield (key, "model"), counted["model"]
    requests = document.get("requests")
    for index, request in enumerate(requests if isinstance(requests, list) else ()):
        if isinstance(request, dict) and "model" in request:
            yield ("requests", index, "model"), request["model"]


def read_call(document: Any, kinds: Collection[Kind]) -> Iterator[Event]:
    """Every text of a request with its place. Arguments and results of functions are given as JSON source.

    :raises Refused: `bad_request` for arguments that are nested beyond reason.
    """
    for finding in _findings(document, ()):
        if finding.role != "reference" and finding.role in kinds:
            try:
                content, source = closed(finding)
            except ValueError:
                raise Refused("bad_request", "The body is nested too deeply.") from None
            yield Event(finding.role, content, block=finding.path, whole=True, where=finding.path, source=source)


def references(document: Any) -> Sequence[str]:
    """The ids of files, cached contents and stores that a request names, each once."""
    return list(dict.fromkeys(finding.value for finding in _findings(document, ()) if finding.role == "reference"))


def _findings(request: Any, at: Path) -> Iterator[Finding]:
    """One walk for all operations: none has a member that means something else in another."""
    if len(at) > DEEPEST:
        return
    for name in ("systemInstruction", "contents", "content"):
        for key, value in member(request, name):
            yield from read_contents(value, (*at, key))
    for key, tools in member(request, "tools"):
        yield from read_tools(tools, (*at, key))
    for key, value in member(request, "title"):
        if isinstance(value, str) and value:
            yield Finding("text", value, (*at, key))
    for key, value in member(request, "cachedContent"):
        if isinstance(value, str) and value:
            yield Finding("reference", value, (*at, key))
    for name in ("embedContentConfig", "generateContentRequest"):
        for key, value in member(request, name):
            yield from _findings(value, (*at, key))
    for key, requests in member(request, "requests"):
        for index, entry in enumerate(requests if isinstance(requests, list) else ()):
            yield from _findings(entry, (*at, key, index))
