"""Reads answers: streams of events, whole messages, batch results, objects. https://docs.anthropic.com/en/api/messages-streaming"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any

from relay.values.content import Content
from relay.wire.dialect import Reader, Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import Created, Event, Kind, Path, Stop, StopReason, Usage
from relay_anthropic import errors, usage
from relay_anthropic.blocks import Finding, closed, read_block, read_content, source
from relay_anthropic.marks import Filter
from relay_anthropic.surfaces import MESSAGES

Block = tuple[Hashable, ...]

_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",
    "model_context_window_exceeded": "context",
}
_DELTAS: dict[str, tuple[Kind, str]] = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("tool_args", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
    "compaction_delta": ("text", "content"),
}
_MAIN = frozenset(("text", "thinking", "input", "content"))
"""The members that a block is made of; what else it holds are blocks of their own."""


def reader(surface: Surface, content_type: str) -> Reader:
    """The reader for an answer of this surface and content type."""
    if surface.name in MESSAGES and content_type.lower().lstrip().startswith("text/event-stream"):
        return StreamReader(surface)
    return BodyReader(surface)


class StreamReader:
    """Reads the events of a streamed message.

    Usage is told as the whole so far: what `message_start` said, overridden by each `message_delta`. The end of a content block
    is a `stop` of that block, so that held-back text goes out while the block is open; the message's own stop has the block `()`.
    """

    def __init__(self, surface: Surface) -> None:
        # What the message itself says is followed whoever asks, because usage and the end are told in several places.
        self._filter = Filter(surface, b'"message')
        self._usage: dict[str, Any] = {}
        self._cited = 0
        self._complete = False

    @property
    def complete(self) -> bool:
        return self._complete

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if self._filter.passes_by(frame.raw, kinds) or frame.data is None:
            return ()
        try:
            document = frame.document()
        except ValueError:
            if frame.complete:
                raise
            # The stream broke off in this event. One that only lacks its blank line is read like the others.
            return [Event("opaque", Content(frame.raw), ("opaque",))] if "opaque" in kinds else ()
        if not isinstance(document, dict):
            return _opaque(document, (), kinds)
        return self._read(document, frame.name, kinds)

    def _read(self, document: dict[str, Any], name: str | None, kinds: Collection[Kind]) -> Sequence[Event]:
        match document.get("type") or name:
            case "content_block_delta":
                return self._delta(document, kinds)
            case "content_block_start":
                return self._start(document, kinds)
            case "content_block_stop":
                stop = Stop("end", "content_block_stop")
                return [Event("stop", stop, (document.get("index"),))] if "stop" in kinds else ()
            case "message_start":
                return self._message(document, kinds)
            case "message_delta":
                return self._message_delta(document, kinds)
            case "message_stop":
                self._complete = True
                return ()
            case "ping":
                return ()
            case "error":
                return [Event("error", errors.read(document))] if "error" in kinds else ()
            case _:
                if "error" in document:
                    return [Event("error", errors.read(document))] if "error" in kinds else ()
                return _opaque(document, (), kinds)

    def _delta(self, document: dict[str, Any], kinds: Collection[Kind]) -> Sequence[Event]:
        delta, block = document.get("delta"), (document.get("index"),)
        kind = delta.get("type") if isinstance(delta, dict) else None
        if not isinstance(delta, dict) or not isinstance(kind, str):
            return _opaque(document, (), kinds)
        events: list[Event] = []
        if known := _DELTAS.get(kind):
            value = delta.get(known[1])
            if known[0] in kinds and isinstance(value, str) and value:
                events.append(Event(known[0], Content(value), block, where=("delta", known[1])))
            if closed := delta.get("encrypted_content"):
                events += _opaque(closed, ("delta", "encrypted_content"), kinds)
        elif kind == "citations_delta":
            citation = delta.get("citation")
            self._cited += 1
            at: Path = ("delta", "citation")
            for finding in read_content(citation, at):
                events += _event(finding, (*block, "citation", self._cited, *finding.path[2:]), kinds)
        elif kind == "signature_delta":
            # It is the last of its block: what is held back of the thinking goes before it.
            if "stop" in kinds and "thinking" in kinds:
                events.append(Event("stop", Stop("end", kind), block))
        else:
            events += _opaque(delta, ("delta",), kinds)
        return events

    def _start(self, document: dict[str, Any], kinds: Collection[Kind]) -> Sequence[Event]:
        entry, index = document.get("content_block"), document.get("index")
        if not isinstance(entry, dict):
            return _opaque(document, (), kinds)
        at: Path = ("content_block",)
        grows = entry.get("type") in ("text", "thinking", "compaction")
        events: list[Event] = []
        for finding in read_block(entry, at):
            # A text that a block starts with is the first piece of it, where arguments and results come whole.
            first = grows and len(finding.path) == 2 and finding.path[1] in _MAIN
            block: Block = (index,) if first else (index, *finding.path[1:])
            events += _event(finding, block, kinds, whole=not first)
        return events

    def _message(self, document: dict[str, Any], kinds: Collection[Kind]) -> Sequence[Event]:
        message = document.get("message")
        if not isinstance(message, dict):
            return _opaque(document, (), kinds)
        self._usage = usage.merge({}, message.get("usage"))
        events = _content(message, ("message",), (), kinds)
        events += _container(message, kinds)
        return [*events, *self._told(message, ("message", "usage"), kinds)]

    def _message_delta(self, document: dict[str, Any], kinds: Collection[Kind]) -> Sequence[Event]:
        self._usage = usage.merge(self._usage, document.get("usage"))
        events = self._told(document, ("usage",), kinds)
        delta = document.get("delta")
        if isinstance(delta, dict):
            events += _container(delta, kinds)
            events += _ended(delta, ("delta",), (), kinds)
            self._complete = self._complete or isinstance(delta.get("stop_reason"), str)
        return events

    def _told(self, holder: dict[str, Any], at: Path, kinds: Collection[Kind]) -> list[Event]:
        if "usage" not in kinds or holder.get("usage") is None:
            return []
        return _used(self._usage if isinstance(holder["usage"], dict) else holder["usage"], at, ())


class BodyReader:
    """Reads what is not streamed: a message, a line of batch results, an object, a list, a file's bytes.

    The length of a body, or its last chunk, says that it is whole, so it is complete as soon as it is read. Each line of batch
    results tells usage of its own, under the block `("result", custom_id)`: these add up.
    """

    complete = True

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._filter = Filter(surface)

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if self._surface.name == "files.content":
            return [Event("media", Content(frame.raw))] if "media" in kinds else ()
        if self._filter.passes_by(frame.raw, kinds) or frame.data is None:
            return ()
        document = frame.document()
        if isinstance(document, dict):
            if document.get("type") == "error" or ("error" in document and "type" not in document):
                return [Event("error", errors.read(document))] if "error" in kinds else ()
            if self._surface.name == "messages":
                return _whole(document, (), (), kinds)
            if self._surface.name == "batches.results":
                return _result(document, kinds)
            made, id = self._surface.creates, document.get("id")
            if made and isinstance(id, str) and id and "created" in kinds:
                return [Event("created", Created(made, id))]
            return ()
        return _opaque(document, (), kinds)


def _whole(message: dict[str, Any], at: Path, block: Block, kinds: Collection[Kind]) -> list[Event]:
    """All that a whole message says."""
    if message.get("type") != "message":
        return _opaque(message, at, kinds)
    events = _content(message, at, block, kinds)
    events += _container(message, kinds)
    if "usage" in kinds and message.get("usage") is not None:
        events += _used(message["usage"], (*at, "usage"), block)
    return events + _ended(message, at, block, kinds)


def _result(line: dict[str, Any], kinds: Collection[Kind]) -> list[Event]:
    """One line of batch results. That a request of the batch failed is no error of this answer; what it says is text."""
    result = line.get("result")
    block: Block = ("result", line.get("custom_id"))
    if not isinstance(result, dict):
        return _opaque(line, (), kinds)
    if isinstance(message := result.get("message"), dict):
        return _whole(message, ("result", "message"), block, kinds)
    at: Path = ("result", "error", "error", "message")
    value: Any = line
    for step in at:
        value = value.get(step) if isinstance(value, dict) else None
    if "text" in kinds and isinstance(value, str) and value:
        return [Event("text", Content(value), block, whole=True, where=at)]
    return []


def _content(message: dict[str, Any], at: Path, block: Block, kinds: Collection[Kind]) -> list[Event]:
    events: list[Event] = []
    depth = len(at) + 1
    for finding in read_content(message.get("content"), (*at, "content")):
        place = finding.path[depth:]
        here = place[:1] if len(place) == 2 and place[1] in _MAIN else place
        events += _event(finding, (*block, *here), kinds)
    return events


def _event(finding: Finding, block: Block, kinds: Collection[Kind], whole: bool = True) -> list[Event]:
    role, value, path = finding
    if role == "reference":
        # The only ids that stand in an answer's content are of files which the answer has made.
        return [Event("created", Created("file", value))] if "created" in kinds else []
    if role == "opaque":
        return _opaque(value, path, kinds)
    if role not in kinds:
        return []
    is_source = role == "tool_args"
    content = source(value) if is_source else Content(value)
    return [Event(role, content, block, whole=whole, where=path, source=is_source)]


def _container(holder: dict[str, Any], kinds: Collection[Kind]) -> list[Event]:
    container = holder.get("container")
    id = container.get("id") if isinstance(container, dict) else None
    return [Event("created", Created("container", id))] if "created" in kinds and isinstance(id, str) and id else []


def _used(source: Any, at: Path, block: Block) -> list[Event]:
    if not isinstance(source, dict):
        return [Event("usage", Usage(suspect="usage is not an object"), block, where=at)]
    return [Event("usage", usage.read(source), block, where=at)] if source else []


def _ended(holder: dict[str, Any], at: Path, block: Block, kinds: Collection[Kind]) -> list[Event]:
    reason, details = holder.get("stop_reason"), holder.get("stop_details")
    events: list[Event] = []
    said = details.get("explanation") if isinstance(details, dict) else None
    if "text" in kinds and isinstance(said, str) and said:
        place: Path = (*at, "stop_details", "explanation")
        events.append(Event("text", Content(said), (*block, "stop_details"), whole=True, where=place))
    if "stop" in kinds and isinstance(reason, str):
        events.append(Event("stop", Stop(_REASONS.get(reason, "incomplete"), reason), block))
    return events


def _opaque(value: Any, at: Path, kinds: Collection[Kind]) -> list[Event]:
    if "opaque" not in kinds:
        return []
    return [Event("opaque", closed(value), ("opaque", *at), whole=True, where=at, source=not isinstance(value, str))]
