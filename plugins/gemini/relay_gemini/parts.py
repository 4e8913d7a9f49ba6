"""What stands in contents, the same in requests and answers: each text, argument, medium and id with its place.

Names are taken in camelCase and in snake_case, since clients mix both in one request. A member that is not known is found as
opaque, so nothing passes as understood that is not. Thought signatures stand nowhere here: whoever changes one breaks the
conversation. https://ai.google.dev/api/caching#Part
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import orjson

from relay.values.content import Content
from relay.wire.vocabulary import Path

Role = Literal["text", "thinking", "tool_args", "media", "opaque", "reference"]


class Finding(NamedTuple):
    """One value and its place; `reference` is the id of a stored object. `flows`: it goes on in the next part of its kind."""

    role: Role
    value: Any
    path: Path
    flows: bool = False


_SILENT = frozenset(
    (
        "thought",
        "thoughtSignature",
        "videoMetadata",
        "mediaResolution",
        "mediaProcessing",
        "documentMetadata",
        "spreadsheetMetadata",
        "audioMetadata",
        "speechMetadata",
        "partMetadata",
    )
)
"""Members of a part that say how its content is to be taken."""
_FILE = re.compile(r"/v\d\w*/+(files/[^/?#\s]+)", re.IGNORECASE)


DEEPEST = 100
"""Steps a path may have. What lies deeper is nothing that the provider knows, and is found as opaque, not followed."""


def camel(name: str) -> str:
    """A member's name in camelCase, however it was spelt."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def member(holder: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The member of a camelCase name, in the spellings that stand there: mostly one, both where a client hides something."""
    if isinstance(holder, dict):
        for key, value in holder.items():
            if (key == name or ("_" in key and camel(key) == name)) and value is not None:
                yield key, value


def read_contents(contents: Any, at: Path) -> Iterator[Finding]:
    """What stands in a list of contents, one content, or a bare string in the place of one."""
    if isinstance(contents, str):
        if contents:
            yield Finding("text", contents, at)
    elif len(at) > DEEPEST:
        yield Finding("opaque", contents, at)
    elif isinstance(contents, list):
        for index, content in enumerate(contents):
            yield from read_contents(content, (*at, index))
    elif isinstance(contents, dict):
        if "parts" in contents:
            yield from read_parts(contents["parts"], (*at, "parts"))
        elif set(contents) - {"role"}:
            yield from read_part(contents, at)
    elif contents is not None:
        yield Finding("opaque", contents, at)


def read_parts(parts: Any, at: Path) -> Iterator[Finding]:
    """What stands in a list of parts, or in one."""
    if len(at) > DEEPEST:
        yield Finding("opaque", parts, at)
    elif isinstance(parts, list):
        for index, part in enumerate(parts):
            yield from read_parts(part, (*at, index))
    elif isinstance(parts, dict):
        yield from read_part(parts, at)
    elif isinstance(parts, str):
        if parts:
            yield Finding("text", parts, at)
    elif parts is not None:
        yield Finding("opaque", parts, at)


def read_part(part: dict[str, Any], at: Path) -> Iterator[Finding]:
    """What stands in one part."""
    for key, value in part.items():
        if key == "text":
            if isinstance(value, str) and value:
                yield Finding("thinking" if part.get("thought") is True else "text", value, (*at, key), flows=True)
            continue
        name = camel(key)
        if name in _SILENT or not value:
            continue
        place: Path = (*at, key)
        match name:
            case "functionCall" | "toolCall":
                yield from _value(value, "args", "tool_args", place)
                yield from _value(value, "partialArgs", "opaque", place)
            case "functionResponse" | "toolResponse":
                yield from _value(value, "response", "tool_args", place)
                for found, parts in member(value, "parts"):
                    yield from read_parts(parts, (*place, found))
            case "inlineData":
                yield from _value(value, "data", "media", place)
            case "executableCode":
                yield from _value(value, "code", "text", place)
            case "codeExecutionResult":
                yield from _value(value, "output", "text", place)
            case "audioTranscription":
                yield from _value(value, "text", "text", place)
            case "fileData":
                yield from _file(value, place)
            case _:
                yield Finding("opaque", value, place)


def read_tools(tools: Any, at: Path) -> Iterator[Finding]:
    """The descriptions of functions, and the stores that a search is to look into."""
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        for key, declared in member(tool, "functionDeclarations"):
            for number, function in enumerate(declared if isinstance(declared, list) else ()):
                yield from _value(function, "description", "text", (*at, index, key, number))
        for key, search in member(tool, "fileSearch"):
            for found, names in member(search, "fileSearchStoreNames"):
                for number, name in enumerate(names if isinstance(names, list) else ()):
                    if isinstance(name, str) and name:
                        yield Finding("reference", name, (*at, index, key, found, number))


def _value(holder: Any, name: str, role: Role, at: Path) -> Iterator[Finding]:
    for key, value in member(holder, name):
        if value and (isinstance(value, str) or role in ("tool_args", "opaque")):
            yield Finding(role, value, (*at, key))


def _file(data: Any, at: Path) -> Iterator[Finding]:
    """A file that was uploaded to an account, or lies in its storage. Other addresses belong to nobody's account."""
    for key, uri in member(data, "fileUri"):
        if not isinstance(uri, str) or not uri:
            continue
        if match := _FILE.search(unquote(uri)):
            yield Finding("reference", match[1], (*at, key))
        elif "://" not in uri or not uri.lower().startswith(("http:", "https:")):
            yield Finding("reference", uri, (*at, key))


def closed(finding: Finding) -> tuple[Content, bool]:
    """A finding's value as content, and whether that is JSON source: a string is told as it is, unless it is arguments.

    :raises ValueError: it is nested more deeply than any function's arguments are.
    """
    if isinstance(finding.value, str) and finding.role != "tool_args":
        return Content(finding.value), False
    return source(finding.value), True


def source(value: Any) -> Content:
    """A value as content in the form of its JSON source.

    :raises ValueError: it is nested more deeply than any function's arguments are.
    """
    try:
        return Content(orjson.dumps(value))
    except orjson.JSONEncodeError:
        pass
    # Outside of the handler, so that the encoder's error, which knows the value, does not travel along.
    raise ValueError("a value is nested too deeply")
