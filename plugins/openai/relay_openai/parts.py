"""Content parts and tool definitions: the smallest places of text, the same in requests, answers and stored objects."""

from __future__ import annotations

from typing import Any

from relay.wire.vocabulary import Kind, Path
from relay_openai.gather import Block, Gather, objects, word

_TEXT = frozenset(("text", "input_text", "output_text", "summary_text", "refusal"))
_SILENT = frozenset(("cache_point", "prompt_cache_breakpoint"))
_MEDIA: dict[str, tuple[str, ...]] = {
    "image_url": ("url",),
    "video_url": ("url",),
    "audio_url": ("url",),
    "input_image": ("image_url",),
    "image": ("image_url", "url"),
    "input_audio": ("data",),
    "file": ("file_data",),
    "input_file": ("file_data", "file_url"),
    "computer_screenshot": ("image_url",),
    "output_audio": ("audio", "data"),
    "audio": ("audio", "data"),
}
"""Where the media stand in a part of each type."""


def content(found: Gather, value: Any, block: Block, where: Path, kind: Kind = "text") -> None:
    """A text, or a list of texts and parts. A list's blocks are told apart by their index."""
    if isinstance(value, str):
        found.whole(kind, value, block, where)
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            if isinstance(entry, str):
                found.whole(kind, entry, (*block, i), (*where, i))
            else:
                part(found, entry, (*block, i), (*where, i), kind)
    elif isinstance(value, dict):
        part(found, value, block, where, kind)


def part(found: Gather, value: Any, block: Block, where: Path, kind: Kind = "text", *, delta: bool = False) -> None:
    """One content part. What is of no known type is opaque.

    :param kind: what its text is: `thinking` within a reasoning.
    :param delta: it is a piece of the block's text, and not all of it (Mistral streams parts).
    """
    tell = found.delta if delta else found.whole
    type_ = word(value, "type")
    if type_ in _TEXT or (type_ is None and isinstance(value, dict) and "text" in value):
        name = "refusal" if type_ == "refusal" else "text"
        tell(kind, value.get(name), block, (*where, name))
        _annotations(found, value.get("annotations"), (*block, "annotations"), (*where, "annotations"))
        found.opaque(value.get("logprobs"), (*where, "logprobs"))
    elif type_ == "reasoning_text":
        tell("thinking", value.get("text"), block, (*where, "text"))
    elif type_ == "thinking":
        thinking = value.get("thinking")
        if isinstance(thinking, str):
            tell("thinking", thinking, block, (*where, "thinking"))
        for i, piece in objects(thinking):
            part(found, piece, block if delta else (*block, i), (*where, "thinking", i), "thinking", delta=delta)
    elif type_ in _MEDIA:
        _media(found, value, type_, block, where)
    elif type_ not in _SILENT:
        found.opaque(value, where)


def _media(found: Gather, value: dict[str, Any], type_: str, block: Block, where: Path) -> None:
    # The same fields stand within a member of the type's name (chat) or beside it (responses, realtime).
    inner = value.get(type_)
    if isinstance(inner, dict):
        value, where = inner, (*where, type_)
    elif isinstance(inner, str):
        found.whole("media", inner, (*block, type_), (*where, type_))
    for name in _MEDIA[type_]:
        if name != type_:
            found.whole("media", value.get(name), (*block, name), (*where, name))
    # The words that go with it: a file's name, what was said.
    for name in ("filename", "transcript"):
        found.whole("text", value.get(name), (*block, name), (*where, name))
    if type_ == "input_audio" and isinstance(value.get("audio"), str):
        found.whole("media", value["audio"], (*block, "audio"), (*where, "audio"))


def _annotations(found: Gather, value: Any, block: Block, where: Path) -> None:
    for i, entry in objects(value):
        annotation(found, entry, (*block, i), (*where, i))


def annotation(found: Gather, value: Any, block: Block, where: Path) -> None:
    """A citation: the title, address or file that the answer names."""
    if not isinstance(value, dict):
        return
    inner = value.get("url_citation")
    if isinstance(inner, dict):
        value, where = inner, (*where, "url_citation")
    for name in ("title", "url", "filename"):
        found.whole("text", value.get(name), (*block, name), (*where, name))


def tools(found: Gather, value: Any, block: Block, where: Path) -> None:
    """The descriptions in tool definitions (chat's, responses', namespaces of them) and in their schemas."""
    for i, tool in objects(value):
        here, mine = (*where, i), (*block, i)
        inner = tool.get("function") or tool.get("custom")
        if isinstance(inner, dict):
            tool, here = inner, (*here, "function" if "function" in tool else "custom")
        for name in ("description", "server_description"):
            found.whole("text", tool.get(name), (*mine, name), (*here, name))
        for name in ("parameters", "input_schema"):
            schema(found, tool.get(name), (*mine, name), (*here, name))
        tools(found, tool.get("tools"), (*mine, "tools"), (*here, "tools"))


def schema(found: Gather, value: Any, block: Block, where: Path) -> None:
    """Every description in a JSON schema. Without recursion: a schema may be as deep as a parser allows."""
    if not found.wants("text"):
        return
    open_: list[tuple[Any, Path]] = [(value, ())]
    while open_:
        node, path = open_.pop()
        if isinstance(node, dict):
            # A property that is named "description" holds a schema, and no string.
            found.whole("text", node.get("description"), (*block, *path), (*where, *path, "description"))
            open_ += [
                (inner, (*path, name)) for name, inner in reversed(node.items()) if isinstance(inner, (dict, list))
            ]
        elif isinstance(node, list):
            open_ += [(inner, (*path, i)) for i, inner in reversed(list(enumerate(node)))]


def text_format(found: Gather, value: Any, block: Block, where: Path) -> None:
    """The descriptions of a structured output: `response_format` (chat), `text.format` (responses)."""
    if not isinstance(value, dict):
        return
    inner = value.get("json_schema")
    if isinstance(inner, dict):
        value, where = inner, (*where, "json_schema")
    found.whole("text", value.get("description"), (*block, "description"), (*where, "description"))
    schema(found, value.get("schema"), (*block, "schema"), (*where, "schema"))
