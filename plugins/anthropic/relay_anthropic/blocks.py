"""What stands in content blocks, the same in requests and answers: each text, argument, medium and id with its place.

One table says which members of a block are what; a type that is not in it is found as opaque, so nothing passes as
understood that is not. Signatures stand in no row: whoever changes one breaks the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson

from relay.values.content import Content
from relay.wire.vocabulary import Path

Role = Literal["text", "thinking", "tool_args", "media", "opaque", "reference"]


class Finding(NamedTuple):
    """One value and its place; `reference` is the id of a stored object."""

    role: Role
    value: Any
    path: Path


@dataclass(frozen=True, slots=True)
class Form:
    """Which members of a block hold what. `inside` are members that hold blocks, or text, or lists of both."""

    text: tuple[str, ...] = ()
    thinking: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


_CITED = ("cited_text", "document_title", "title", "source")
_RAN = Form(text=("stdout", "stderr"), inside=("content",))
_USE = Form(args=("input",))
_RESULT = Form(inside=("content",))
_ERROR = Form(text=("error_message",))
_SILENT = Form()

FORMS: dict[str, Form] = {
    # `data` is that of a document's plain text source, whose type is the same word.
    "text": Form(text=("text", "data"), inside=("citations",)),
    "thinking": Form(thinking=("thinking",)),
    "redacted_thinking": Form(closed=("data",)),
    "image": Form(inside=("source",)),
    "document": Form(text=("title", "context"), inside=("source",)),
    "base64": Form(media=("data",)),
    "content": Form(inside=("content",)),
    "file": Form(ids=("file_id",)),
    "url": _SILENT,
    "search_result": Form(text=("title", "source"), inside=("content",)),
    "char_location": Form(text=_CITED),
    "page_location": Form(text=_CITED),
    "content_block_location": Form(text=_CITED),
    "search_result_location": Form(text=_CITED),
    "web_search_result_location": Form(text=_CITED),
    "web_search_result": Form(text=("title",), closed=("encrypted_content",)),
    "web_fetch_result": Form(inside=("content",)),
    "code_execution_result": _RAN,
    "bash_code_execution_result": _RAN,
    "encrypted_code_execution_result": Form(text=("stderr",), closed=("encrypted_stdout",), inside=("content",)),
    "code_execution_output": Form(ids=("file_id",)),
    "bash_code_execution_output": Form(ids=("file_id",)),
    "text_editor_code_execution_view_result": Form(inside=("content",)),
    "text_editor_code_execution_str_replace_result": Form(inside=("lines",)),
    "text_editor_code_execution_create_result": _SILENT,
    "tool_search_tool_search_result": _SILENT,
    "tool_reference": _SILENT,
    "advisor_result": Form(text=("text",)),
    "advisor_redacted_result": Form(closed=("encrypted_content",)),
    "browser_state": Form(inside=("tabs", "state_changes")),
    "container_upload": Form(ids=("file_id",)),
    "compaction": Form(text=("content",), closed=("encrypted_content",), inside=("tool_changes",)),
    "fallback": _SILENT,
    "mcp_tool_listing": Form(tools=("tools",)),
    "tool_addition": Form(inside=("tool",)),
    "tool_removal": Form(inside=("tool",)),
    "tool_definition": Form(tools=("definition",)),
    "mcp_tool_reference": _SILENT,
    "mcp_toolset_reference": _SILENT,
    "tab_opened": _SILENT,
    "download_started": Form(text=("url",)),
    "download_completed": Form(text=("url", "path")),
    "download_failed": Form(text=("url", "error")),
}
_SUFFIXES: tuple[tuple[str, Form], ...] = (("tool_use", _USE), ("tool_result", _RESULT), ("_error", _ERROR))
"""Server tools bring types of their own, but end their names alike."""

DEEPEST = 100
"""Steps a path may have. What lies deeper is nothing that the provider knows, and is found as opaque, not followed."""

_TAB = Form(text=("title", "url"))
"""A tab of a browser's state is the one thing in a list of blocks that has no type."""


def read_content(content: Any, at: Path) -> Iterator[Finding]:
    """What stands in a content: a string, a block, or a list of both."""
    if isinstance(content, str):
        if content:
            yield Finding("text", content, at)
    elif len(at) > DEEPEST:
        yield Finding("opaque", content, at)
    elif isinstance(content, list):
        for index, entry in enumerate(content):
            yield from read_content(entry, (*at, index))
    elif isinstance(content, dict):
        yield from read_block(content, at)
    elif content is not None:
        yield Finding("opaque", content, at)


def read_block(block: dict[str, Any], at: Path) -> Iterator[Finding]:
    """What stands in one block, in the order of its form."""
    form = form_of(block)
    if form is None:
        yield Finding("opaque", block, at)
        return
    for name in form.text:
        if (value := block.get(name)) and isinstance(value, str):
            yield Finding("text", value, (*at, name))
    for name in form.thinking:
        if (value := block.get(name)) and isinstance(value, str):
            yield Finding("thinking", value, (*at, name))
    for name in form.args:
        if value := block.get(name):
            yield Finding("tool_args", value, (*at, name))
    for name in form.media:
        if (value := block.get(name)) and isinstance(value, str):
            yield Finding("media", value, (*at, name))
    for name in form.closed:
        if value := block.get(name):
            yield Finding("opaque", value, (*at, name))
    for name in form.ids:
        if (value := block.get(name)) and isinstance(value, str):
            yield Finding("reference", value, (*at, name))
    for name in form.inside:
        yield from read_content(block.get(name), (*at, name))
    for name in form.tools:
        yield from read_tools(block.get(name), (*at, name))


def read_tools(tools: Any, at: Path) -> Iterator[Finding]:
    """The descriptions of tools: a list of them, one, or the toolset of a server with its listing."""
    if len(at) > DEEPEST:
        yield Finding("opaque", tools, at)
    elif isinstance(tools, list):
        for index, tool in enumerate(tools):
            yield from read_tools(tool, (*at, index))
    elif isinstance(tools, dict):
        if (value := tools.get("description")) and isinstance(value, str):
            yield Finding("text", value, (*at, "description"))
        yield from read_tools(tools.get("tools"), (*at, "tools"))


def form_of(block: dict[str, Any]) -> Form | None:
    """The form of a block by its type; None for a type nobody has told us of."""
    kind = block.get("type")
    if not isinstance(kind, str):
        return _TAB if "tab_id" in block else None
    form = FORMS.get(kind)
    if form is None:
        form = next((form for suffix, form in _SUFFIXES if kind.endswith(suffix)), None)
    return form


def closed(value: Any) -> Content:
    """A value as content: a string as it is, everything else as JSON source.

    :raises ValueError: it is nested more deeply than any tool's arguments are.
    """
    if isinstance(value, str):
        return Content(value)
    return source(value)


def source(value: Any) -> Content:
    """A value as content in the form of its JSON source.

    :raises ValueError: it is nested more deeply than any tool's arguments are.
    """
    try:
        return Content(orjson.dumps(value))
    except orjson.JSONEncodeError:
        pass
    # Outside of the handler, so that the encoder's error, which knows the value, does not travel along.
    raise ValueError("a value is nested too deeply")
