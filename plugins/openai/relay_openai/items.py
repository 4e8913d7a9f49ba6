"""Items of responses, conversations and realtime sessions: what was said, called, answered and thought.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any

from relay.wire.vocabulary import Kind, Path
from relay_openai.gather import Block, Gather, member, objects, word
from relay_openai.parts import content, text_format, tools

# What a custom tool or an interpreter is given is free text, not JSON, so its kind is not `tool_args`.
_STRINGS: dict[str, tuple[tuple[Kind, tuple[str, ...]], ...]] = {
    "function_call": (("tool_args", ("arguments",)),),
    "mcp_call": (
        ("tool_args", ("arguments",)),
        ("text", ("output",)),
        ("text", ("error",)),
        ("text", ("error", "message")),
    ),
    "mcp_approval_request": (("tool_args", ("arguments",)),),
    "mcp_approval_response": (("text", ("reason",)),),
    "mcp_list_tools": (("text", ("error",)),),
    "custom_tool_call": (("text", ("input",)),),
    "code_interpreter_call": (("text", ("code",)),),
    "image_generation_call": (("media", ("result",)), ("text", ("revised_prompt",))),
    "web_search_call": (("text", ("action", "query")), ("text", ("action", "pattern")), ("text", ("action", "url"))),
    "computer_call": (("text", ("action", "text")),),
    "computer_call_output": (("media", ("output", "image_url")),),
    "apply_patch_call": (("text", ("operation", "diff")), ("text", ("operation", "path"))),
    "local_shell_call": (("text", ("action", "working_directory")),),
    "reasoning": (("opaque", ("encrypted_content",)),),
    "compaction": (("opaque", ("encrypted_content",)),),
    "program": (("text", ("code",)), ("opaque", ("fingerprint",))),
    "program_output": (("text", ("result",)),),
}
"""The strings in an item of each type: their kinds and where they stand. Encrypted ones are opaque: never to be changed."""

_LISTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "web_search_call": (("action", "queries"),),
    "file_search_call": (("queries",),),
    "local_shell_call": (("action", "command"),),
    "shell_call": (("action", "commands"),),
}
"""The lists of strings."""

_RECORDS: dict[str, tuple[tuple[Kind, str, str], ...]] = {
    "web_search_call": (("text", "results", "title"), ("text", "results", "url"), ("text", "results", "text")),
    "file_search_call": (("text", "results", "text"), ("text", "results", "filename")),
    "code_interpreter_call": (("text", "outputs", "logs"), ("media", "outputs", "url")),
    "shell_call_output": (("text", "output", "stdout"), ("text", "output", "stderr")),
    "computer_call": (("text", "actions", "text"), ("text", "pending_safety_checks", "message")),
}
"""The lists of objects, and the strings in each."""

_OUTPUTS = frozenset(
    ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "apply_patch_call_output")
)
_TOOLS = frozenset(("mcp_list_tools", "additional_tools", "tool_search_output"))
_SILENT = frozenset(("item_reference", "compaction_trigger", "configuration_update", "tool_search_call"))

CALLS = frozenset(
    (
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_approval_request",
    )
)
"""Items with which a model hands over to the client's tools."""


def read_item(found: Gather, item: Any, block: Block, where: Path) -> None:
    """Every text of an item. One of no known type is opaque."""
    if not isinstance(item, dict):
        found.opaque(item, where)
        return
    # A message may come without its type, a reference as well.
    type_ = word(item, "type") or ("message" if "content" in item else "item_reference")
    known = type_ in _SILENT
    if type_ in ("message", "reasoning"):
        known = True
        kind: Kind = "thinking" if type_ == "reasoning" else "text"
        content(found, item.get("content"), (*block, "content"), (*where, "content"), kind)
        content(found, item.get("summary"), (*block, "summary"), (*where, "summary"), "thinking")
    if type_ in _OUTPUTS:
        known = True
        content(found, item.get("output"), (*block, "output"), (*where, "output"))
    if type_ in _TOOLS:
        known = True
        tools(found, item.get("tools"), (*block, "tools"), (*where, "tools"))
    if type_ == "tool_search_call":
        found.source("tool_args", item.get("arguments"), (*block, "arguments"), (*where, "arguments"))
    for kind, path in _STRINGS.get(type_, ()):
        known = True
        value = member(item, *path)
        if kind == "opaque":
            found.opaque(value, (*where, *path))
        else:
            found.whole(kind, value, (*block, *path), (*where, *path))
    for path in _LISTS.get(type_, ()):
        known = True
        content(found, member(item, *path), (*block, *path), (*where, *path))
    for kind, name, field in _RECORDS.get(type_, ()):
        known = True
        for i, record in objects(item.get(name)):
            found.whole(kind, record.get(field), (*block, name, i, field), (*where, name, i, field))
    if type_ == "shell_call_output" and isinstance(item.get("output"), str):
        found.whole("text", item["output"], (*block, "output"), (*where, "output"))
    if type_ == "local_shell_call" and isinstance(environment := member(item, "action", "env"), dict):
        for name, value in environment.items():
            found.whole("text", value, (*block, "env", name), (*where, "action", "env", name))
    if not known:
        found.opaque(item, where)


def read_input(found: Gather, value: Any, block: Block, where: Path) -> None:
    """A response's `input` or `instructions`: a text or a list of items."""
    if isinstance(value, str):
        found.whole("text", value, block, where)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            read_item(found, item, (*block, i), (*where, i))


def read_settings(found: Gather, document: dict[str, Any], where: Path = ()) -> None:
    """The texts beside the input, which a response repeats in its answer: instructions, tools, template, output format."""
    read_input(found, document.get("instructions"), ("instructions",), (*where, "instructions"))
    tools(found, document.get("tools"), ("tools",), (*where, "tools"))
    text_format(found, member(document, "text", "format"), ("format",), (*where, "text", "format"))
    variables = member(document, "prompt", "variables")
    if isinstance(variables, dict):
        for name, value in variables.items():
            content(found, value, ("variables", name), (*where, "prompt", "variables", name))


def read_echo(found: Gather, document: dict[str, Any], where: Path) -> None:
    """The same settings in an answer: told for at least the second time, so nobody takes them for what the model says."""
    found.tellings = 1
    read_settings(found, document, where)
    found.tellings = 0


def created_by(found: Gather, item: dict[str, Any]) -> None:
    """The objects that an output item leaves at the provider: itself, to be referred to, and the container it ran in."""
    found.created("item", item.get("id"))
    if item.get("type") == "code_interpreter_call":
        found.created("container", item.get("container_id"))
