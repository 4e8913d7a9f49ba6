"""Answers of the responses endpoint: whole, and as a stream of events.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Kind, Path, Stop
from relay_openai.errors import failure, read_error
from relay_openai.gather import Block, Gather, member, number, objects
from relay_openai.items import CALLS, created_by, read_echo, read_item
from relay_openai.parts import annotation, part
from relay_openai.usage import read_usage, with_pieces

MARKS: tuple[bytes, ...] = (
    b"response.completed",
    b"response.incomplete",
    b"response.failed",
    b"response.cancelled",
    b"response.done",
    b'"error"',
    b"event: error",
)
CREATED_MARKS: tuple[bytes, ...] = (b"response.created", b"response.output_item.done")

_CONTENT = ("content", "content_index")
_SUMMARY = ("summary", "summary_index")
_DELTAS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "response.output_text": ("text", _CONTENT),
    "response.refusal": ("text", _CONTENT),
    "response.reasoning_text": ("thinking", _CONTENT),
    "response.reasoning_summary_text": ("thinking", _SUMMARY),
    "response.function_call_arguments": ("tool_args", ("arguments",)),
    "response.mcp_call_arguments": ("tool_args", ("arguments",)),
    "response.custom_tool_call_input": ("text", ("input",)),
    "response.code_interpreter_call_code": ("text", ("code",)),
    "response.shell_call_command": ("text", ("action", "commands", "command_index")),
    "response.apply_patch_call_operation_diff": ("text", ("operation", "diff")),
    "response.audio": ("media", ("audio",)),
    "response.audio.transcript": ("text", ("transcript",)),
}
"""Texts that come in deltas: their kind, and the block within the item (a name that ends in `_index` stands for its number)."""

_FIELDS = ("text", "refusal", "arguments", "input", "code", "command", "diff", "transcript")
"""Where the event that ends such a text says all of it."""
_SILENT = re.compile(
    r"response\.\w+\.(in_progress|searching|interpreting|generating|calling|compacting|completed|incomplete|failed)"
    r"|keepalive|ping|rate_limits\.updated"
)
"""Events that tell of progress only."""
_TERMINAL = frozenset(
    ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
)
_HOLDERS = frozenset((*_TERMINAL, "response.created", "response.queued", "response.in_progress"))


def tell_response(found: Gather, document: Any) -> None:
    """A new response that is not streamed."""
    found.created("response", member(document, "id"))
    tell_retrieved(found, document)


def tell_retrieved(found: Gather, document: Any) -> None:
    """A response that is there already: what the background has made of it."""
    if not isinstance(document, dict) or not isinstance(document.get("output"), list):
        if not read_error(document):
            found.opaque(document, ())
        return
    read_response(found, document, ())


def read_response(found: Gather, response: dict[str, Any], where: Path, *, made: bool = True) -> None:
    """All that a response object says. It repeats what was asked: instructions, tools, template.

    :param made: are its items new? False where they have been told before.
    """
    if found.wants("text", "tool_args", "thinking", "media", "opaque"):
        read_echo(found, response, where)
        # Not OpenAI's, but some servers write what the SDKs compute.
        found.whole("text", response.get("output_text"), ("output_text",), (*where, "output_text"))
        for i, item in enumerate(_list(response.get("output"))):
            read_item(found, item, ("item", i), (*where, "output", i))
    if made:
        for _, item in objects(response.get("output")):
            created_by(found, item)
    found.stop(_stop(response))
    usage = read_usage(response.get("usage"))
    if usage is not None:
        items = [item.get("type") for _, item in objects(response.get("output")) if item.get("status") != "failed"]
        searches = member(response, "tool_usage", "web_search", "num_requests")
        searches = items.count("web_search_call") if searches is None else searches
        usage = with_pieces(
            usage, "server_tools", searches + items.count("file_search_call") if isinstance(searches, int) else -1
        )
        usage = with_pieces(usage, "images", items.count("image_generation_call"))
    found.usage(usage, (*where, "usage"))


class ResponsesReader:
    """Reads the events of one streamed response."""

    def __init__(self, *, is_new: bool = True) -> None:
        """:param is_new: it is being made; False: it is retrieved, so it is no failure of this call if it had failed."""
        self._is_new = is_new
        self._told: dict[Block, int] = {}
        self._made: set[str] = set()
        self.complete = False

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        data = frame.data
        if data is None or not data.strip() or data.startswith(b"[DONE]"):
            return ()
        document = frame.document()
        found = Gather(kinds, self._told)
        type_ = member(document, "type") or frame.name
        if type_ == "error" or not isinstance(type_, str) or not isinstance(document, dict):
            error = read_error(document)
            found.failure(error or (failure(document) if frame.name == "error" else None))
            if error is None and frame.name != "error":
                found.opaque(document, ())
            return found.events
        if type_ in _HOLDERS:
            self._holder(found, type_, document)
        else:
            self._event(found, type_, document)
        return found.events

    def _holder(self, found: Gather, type_: str, document: dict[str, Any]) -> None:
        response = document.get("response")
        if not isinstance(response, dict):
            response = {}
        terminal = type_ in _TERMINAL
        if self._is_new:
            if type_ == "response.failed" or (terminal and response.get("error")):
                found.failure(failure(response.get("error") or {}), ("response", "error"))
            self._once(found, "response", response.get("id"))
        for _, item in objects(response.get("output")):
            self._item(found, item)
        read_response(found, response, ("response",), made=False)
        self.complete = self.complete or terminal

    def _event(self, found: Gather, type_: str, document: dict[str, Any]) -> None:
        stem, _, verb = type_.rpartition(".")
        block: Block = ("item", number(document, "output_index"))
        if stem in _DELTAS and verb in ("delta", "done", "added"):
            kind, place = _DELTAS[stem]
            block = (*block, *(number(document, name) if name.endswith("_index") else name for name in place))
            if verb == "delta":
                found.delta(kind, document.get("delta"), block, ("delta",))
            else:
                for name in _FIELDS:
                    found.whole(kind, document.get(name), block, (name,))
            found.opaque(document.get("logprobs"), ("logprobs",))
        elif stem == "response.output_item":
            read_item(found, document.get("item"), block, ("item",))
            if verb == "done" and isinstance(document.get("item"), dict):
                self._item(found, document["item"])
        elif stem in ("response.content_part", "response.reasoning_summary_part"):
            name = "summary" if "summary" in stem else "content"
            kind = "thinking" if name == "summary" else "text"
            part(found, document.get("part"), (*block, name, number(document, f"{name}_index")), ("part",), kind)
        elif type_ == "response.output_text.annotation.added":
            mine = (
                *block,
                "content",
                number(document, "content_index"),
                "annotations",
                number(document, "annotation_index"),
            )
            annotation(found, document.get("annotation"), mine, ("annotation",))
        elif type_ == "response.image_generation_call.partial_image":
            index = number(document, "partial_image_index")
            found.whole("media", document.get("partial_image_b64"), (*block, "partial", index), ("partial_image_b64",))
        elif stem == "response.shell_call_output_content":
            self._shell(found, document, block)
        elif not _SILENT.fullmatch(type_):
            found.opaque(document, ())

    def _shell(self, found: Gather, document: dict[str, Any], block: Block) -> None:
        index = number(document, "command_index")
        for name in ("stdout", "stderr"):
            mine = (*block, "output", index, name)
            found.delta("text", member(document, "delta", name), mine, ("delta", name))
            for i, output in objects(document.get("output")):
                found.whole("text", output.get(name), (*block, "output", index + i, name), ("output", i, name))

    def _item(self, found: Gather, item: dict[str, Any]) -> None:
        if "created" in found.kinds and isinstance(item.get("id"), str) and item["id"] not in self._made:
            self._made.add(item["id"])
            created_by(found, item)

    def _once(self, found: Gather, kind: str, id: Any) -> None:
        if "created" in found.kinds and isinstance(id, str) and id not in self._made:
            self._made.add(id)
            found.created(kind, id)


def _stop(response: dict[str, Any]) -> Stop | None:
    status = response.get("status")
    items = [item for _, item in objects(response.get("output"))]
    if status == "completed":
        if any(item.get("type") in CALLS for item in items):
            return Stop("tool", "completed")
        refused = any(part.get("type") == "refusal" for item in items for _, part in objects(item.get("content")))
        return Stop("refusal" if refused else "end", "completed")
    if status == "incomplete":
        reason = member(response, "incomplete_details", "reason")
        raw = reason if isinstance(reason, str) else "incomplete"
        if raw == "content_filter":
            return Stop("filter", raw)
        return Stop("length" if raw in ("max_output_tokens", "max_tokens") else "incomplete", raw)
    return Stop("incomplete", "cancelled") if status == "cancelled" else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
