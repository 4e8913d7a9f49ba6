"""What a realtime session's provider says: each message is one event. A session has many responses, and many usages.

https://platform.openai.com/docs/api-reference/realtime-server-events
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Kind, Stop, StopReason
from relay_openai.errors import failure
from relay_openai.gather import Block, Gather, member, number, objects
from relay_openai.items import CALLS, created_by, read_echo, read_item
from relay_openai.parts import part
from relay_openai.usage import read_usage

MARKS: tuple[bytes, ...] = (b"response.done", b"input_audio_transcription.completed", b'"error"')

_TEXTS: dict[str, tuple[Kind, str, str]] = {
    "response.text": ("text", "text", ""),
    "response.output_text": ("text", "text", ""),
    "response.audio_transcript": ("text", "transcript", "transcript"),
    "response.output_audio_transcript": ("text", "transcript", "transcript"),
    "response.audio": ("media", "audio", "audio"),
    "response.output_audio": ("media", "audio", "audio"),
    "conversation.item.input_audio_transcription": ("text", "transcript", "transcript"),
}
"""Texts within a content part: kind, the member that says all of it at the end, and the block within the part."""

_ARGUMENTS = ("response.function_call_arguments", "response.mcp_call_arguments")
_HEARD = "conversation.item.input_audio_transcription"
_ITEMS = re.compile(r"conversation\.item\.(created|added|done|retrieved)|response\.output_item\.(added|done)")
_SILENT = re.compile(
    r"(input|output)_audio_buffer\.\w+|conversation\.(created|item\.(deleted|truncated))|rate_limits\.updated"
    r"|response\.created|(response\.mcp_call|mcp_list_tools)\.(in_progress|completed|failed)|keepalive|ping"
)
_STATUSES: dict[str, StopReason] = {"completed": "end", "incomplete": "incomplete", "cancelled": "incomplete"}


class RealtimeReader:
    """Reads the provider's messages of one session. It may end at any time, so it is always complete."""

    complete = True

    def __init__(self) -> None:
        self._told: dict[Block, int] = {}

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        document = frame.document()
        found = Gather(kinds, self._told)
        type_ = member(document, "type")
        if not isinstance(type_, str):
            found.opaque(document, ())
        elif type_ == "error":
            found.failure(failure(document.get("error") or document), ("error",))
        elif type_ == "response.done":
            self._done(found, document)
        elif _ITEMS.fullmatch(type_):
            item = document.get("item")
            read_item(
                found, item, ("item", member(item, "id") if isinstance(member(item, "id"), str) else ""), ("item",)
            )
        elif type_.startswith(("session.", "transcription_session.")):
            session = document.get("session")
            if isinstance(session, dict):
                read_echo(found, session, ("session",))
        else:
            self._told_text(found, type_, document)
        return found.events

    def _told_text(self, found: Gather, type_: str, document: dict[str, Any]) -> None:
        stem, _, verb = type_.rpartition(".")
        id = document.get("item_id")
        item: Block = ("item", id if isinstance(id, str) else "")
        block: Block = (*item, "content", number(document, "content_index"))
        if stem in _TEXTS:
            kind, name, within = _TEXTS[stem]
            block = (*block, within) if within else block
            found.delta(kind, document.get("delta"), block, ("delta",))
            found.whole(kind, document.get(name), block, (name,))
            found.opaque(document.get("logprobs"), ("logprobs",))
            if stem == _HEARD:
                if verb == "segment":
                    found.whole("text", document.get("text"), (*item, "segment", str(document.get("id"))), ("text",))
                if verb == "failed":
                    found.failure(failure(document.get("error") or {}), ("error",))
                # Hearing the user is charged by itself, beside the responses.
                found.usage(read_usage(document.get("usage")), ("usage",))
        elif stem in _ARGUMENTS:
            block = (*item, "arguments")
            found.delta("tool_args", document.get("delta"), block, ("delta",))
            found.whole("tool_args", document.get("arguments"), block, ("arguments",))
        elif stem == "response.content_part":
            part(found, document.get("part"), block, ("part",))
        elif not _SILENT.fullmatch(type_):
            found.opaque(document, ())

    def _done(self, found: Gather, document: dict[str, Any]) -> None:
        response = document.get("response")
        if not isinstance(response, dict):
            return
        read_echo(found, response, ("response",))
        for i, item in objects(response.get("output")):
            id = item.get("id")
            read_item(found, item, ("item", id if isinstance(id, str) else i), ("response", "output", i))
            created_by(found, item)
        status = response.get("status")
        if status == "failed":
            found.failure(
                failure(member(response, "status_details", "error") or {}), ("response", "status_details", "error")
            )
        elif isinstance(status, str) and status in _STATUSES:
            found.stop(Stop(_reason(response, _STATUSES[status]), status))
        found.usage(read_usage(response.get("usage")), ("response", "usage"))


def _reason(response: dict[str, Any], reason: StopReason) -> StopReason:
    why = member(response, "status_details", "reason")
    if reason == "incomplete":
        return "length" if why == "max_output_tokens" else "filter" if why == "content_filter" else reason
    called = any(
        isinstance(item.get("type"), str) and item["type"] in CALLS for _, item in objects(response.get("output"))
    )
    return "tool" if called else reason
