"""Reads answers: chunks of a stream, whole answers, embeddings. https://ai.google.dev/api/generate-content#generatecontentresponse"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Any

from relay.values.content import Content
from relay.wire.dialect import Reader, Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import TEXT_KINDS, Event, Kind, Path, Stop, StopReason, Usage
from relay_gemini import errors, usage
from relay_gemini.marks import Filter
from relay_gemini.parts import Finding, closed, read_contents, source
from relay_gemini.surfaces import OPERATIONS, Operation

_REASONS: dict[str, StopReason] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "filter",
    "RECITATION": "filter",
    "LANGUAGE": "filter",
    "BLOCKLIST": "filter",
    "PROHIBITED_CONTENT": "filter",
    "SPII": "filter",
    "MODEL_ARMOR": "filter",
    "IMAGE_SAFETY": "filter",
    "IMAGE_PROHIBITED_CONTENT": "filter",
    "IMAGE_RECITATION": "filter",
}
"""Every other word says that the answer is not what it should have been."""
_UNSAID = frozenset(("", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"))
_ANSWER = frozenset(
    ("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "createTime", "modelStatus")
)
_VECTORS = frozenset(("embedding", "embeddings", "usageMetadata", "metadata", "truncated"))
_KNOWN: dict[Operation, frozenset[str]] = {
    "generate": _ANSWER,
    "generate.stream": _ANSWER,
    "embed": _VECTORS,
    "embed.batch": _VECTORS,
}
_CANDIDATE = frozenset(
    (
        "content",
        "finishReason",
        "finishMessage",
        "index",
        "safetyRatings",
        "citationMetadata",
        "tokenCount",
        "avgLogprobs",
        "groundingMetadata",
        "groundingAttributions",
        "urlContextMetadata",
        "continuationToken",
    )
)


def reader(surface: Surface, content_type: str) -> Reader:
    """The reader for an answer of this surface; a stream reads the same in events and in an array."""
    return AnswerReader(surface)


class AnswerReader:
    """Reads answers and their chunks.

    All text of a candidate is one block, `(index,)`, and all its thoughts another, since parts have no number that would go on
    from chunk to chunk; calls, code and media come whole and are blocks of their own. That a thought or a text ends, because something
    else follows, is told to whoever reads text, as a `stop` of that block. Each chunk's usage is the whole so far, so
    the last one counts.
    """

    def __init__(self, surface: Surface) -> None:
        self._operation = OPERATIONS[surface.name]
        self._streamed = self._operation == "generate.stream"
        self._filter = Filter(surface)
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._called: set[int] = set()
        self._thinking: set[int] = set()
        self._count = 0

    @property
    def complete(self) -> bool:
        """A stream is whole when every candidate it has shown has finished; the length of a body says that it is whole."""
        return not self._streamed or (bool(self._ended) and self._open <= self._ended)

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        if self._filter.passes_by(frame.raw, kinds) or frame.data is None:
            return ()
        try:
            document = frame.document()
        except ValueError:
            if frame.complete:
                raise
            # The stream broke off in this frame. One that only lacks its end is read like the others, as clients do.
            return [Event("opaque", Content(frame.raw), ("opaque",))] if "opaque" in kinds else ()
        if not isinstance(document, list):
            return list(self._read(document, (), kinds))
        # An error comes in a list of one where a stream was asked for, and so does a stream that is read as one body.
        return [event for index, entry in enumerate(document) for event in self._read(entry, (index,), kinds)]

    def _read(self, document: Any, at: Path, kinds: Collection[Kind]) -> Iterator[Event]:
        if not isinstance(document, dict):
            yield from _opaque(document, at, kinds)
            return
        if "error" in document:
            if "error" in kinds:
                yield Event("error", errors.read(document))
            return
        known = _KNOWN.get(self._operation)
        if known is None:
            return
        if "opaque" in kinds:
            for name in document.keys() - known:
                yield from _opaque(document[name], (*at, name), kinds)
        candidates = document.get("candidates")
        for number, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                yield from self._candidate(candidate, (*at, "candidates", number), kinds)
            else:
                yield from _opaque(candidate, (*at, "candidates", number), kinds)
        if "vector" in kinds:
            yield from _vectors(document, at)
        if "usage" in kinds and (told := document.get("usageMetadata")):
            used = usage.read(told) if isinstance(told, dict) else Usage(suspect="usageMetadata is not an object")
            yield Event("usage", used, where=(*at, "usageMetadata"))
        feedback = document.get("promptFeedback")
        blocked = feedback.get("blockReason") if isinstance(feedback, dict) else None
        if isinstance(blocked, str) and blocked not in _UNSAID:
            self._ended.add(0)
            if "stop" in kinds:
                yield Event("stop", Stop("filter", blocked))

    def _candidate(self, candidate: dict[str, Any], at: Path, kinds: Collection[Kind]) -> Iterator[Event]:
        index = candidate.get("index")
        index = index if isinstance(index, int) else 0
        self._open.add(index)
        # Nothing says where a thought ends and the text begins, or a text before a call, but what is held back belongs there.
        tells_ends = self._streamed and "stop" in kinds and not TEXT_KINDS.isdisjoint(kinds)
        calls = _calls(candidate)
        if calls:
            self._called.add(index)
        for finding in read_contents(candidate.get("content"), (*at, "content")):
            if tells_ends and not finding.flows:
                yield _part_ends((index,))
            elif finding.role == "thinking":
                self._thinking.add(index)
            elif index in self._thinking:
                self._thinking.discard(index)
                if tells_ends:
                    yield _part_ends(self._block("thinking", index))
            yield from self._event(finding, index, kinds)
        if tells_ends and calls:
            yield _part_ends((index,))
        yield from self._aside(candidate, index, at, kinds)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason not in _UNSAID:
            self._ended.add(index)
            if "stop" in kinds:
                calls = reason == "STOP" and index in self._called
                yield Event("stop", Stop("tool" if calls else _REASONS.get(reason, "incomplete"), reason), (index,))

    def _event(self, finding: Finding, index: int, kinds: Collection[Kind]) -> Iterator[Event]:
        if finding.role == "reference" or finding.role not in kinds:
            return
        content, is_source = closed(finding)
        flows = finding.flows and self._streamed
        yield Event(
            finding.role,
            content,
            self._block(finding.role, index) if flows else self._own(finding.role, index),
            whole=not flows,
            where=finding.path,
            source=is_source,
        )

    def _aside(self, candidate: dict[str, Any], index: int, at: Path, kinds: Collection[Kind]) -> Iterator[Event]:
        """What stands beside the content: why it ended, and pieces of the text again, as evidence."""
        if "text" in kinds:
            if (said := candidate.get("finishMessage")) and isinstance(said, str):
                yield Event("text", Content(said), self._own("text", index), whole=True, where=(*at, "finishMessage"))
            grounds = candidate.get("groundingMetadata")
            supports = grounds.get("groundingSupports") if isinstance(grounds, dict) else None
            for number, support in enumerate(supports if isinstance(supports, list) else ()):
                segment = support.get("segment") if isinstance(support, dict) else None
                text = segment.get("text") if isinstance(segment, dict) else None
                if isinstance(text, str) and text:
                    where: Path = (*at, "groundingMetadata", "groundingSupports", number, "segment", "text")
                    yield Event("text", Content(text), self._own("text", index), whole=True, where=where)
        if "opaque" in kinds:
            for name in candidate.keys() - _CANDIDATE:
                yield from _opaque(candidate[name], (*at, name), kinds)

    @staticmethod
    def _block(role: str, index: int) -> tuple[Hashable, ...]:
        return (index,) if role == "text" else (index, role)

    def _own(self, role: str, index: int) -> tuple[Hashable, ...]:
        """A block that nothing else belongs to."""
        self._count += 1
        return (index, role, self._count)


def _part_ends(block: tuple[Hashable, ...]) -> Event:
    return Event("stop", Stop("end", "part"), block)


def _calls(candidate: dict[str, Any]) -> bool:
    """Does this piece of a candidate ask its client to call a function?"""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return any(isinstance(part, dict) and "functionCall" in part for part in (parts if isinstance(parts, list) else ()))


def _vectors(document: dict[str, Any], at: Path) -> Iterator[Event]:
    """Embeddings: one, or those of a batch."""
    several = document.get("embeddings")
    found: list[tuple[Any, Path]] = [(document.get("embedding"), (*at, "embedding"))]
    found += [(one, (*at, "embeddings", i)) for i, one in enumerate(several if isinstance(several, list) else ())]
    for embedding, where in found:
        values = embedding.get("values") if isinstance(embedding, dict) else None
        if isinstance(values, list):
            place: Path = (*where, "values")
            yield Event("vector", source(values), place, whole=True, where=place, source=True)


def _opaque(value: Any, at: Path, kinds: Collection[Kind]) -> Iterator[Event]:
    if "opaque" in kinds and value is not None:
        content, is_source = closed(Finding("opaque", value, at))
        yield Event("opaque", content, ("opaque", *at), whole=True, where=at, source=is_source)
