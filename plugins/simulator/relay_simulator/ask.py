"""What a model is asked, in words that all dialects share, and how a request's JSON is read without trusting it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from relay_simulator.fault import Fault

Document = dict[str, Any]

MEDIA_TOKENS = 256
"""What a picture, a sound or a document in a prompt costs, whatever its size."""

_MEDIA = frozenset(
    (
        "image_url",
        "input_image",
        "image",
        "input_audio",
        "input_file",
        "file",
        "document",
        "inlineData",
        "fileData",
        "inline_data",
        "file_data",
    )
)
_STRUCTURE = frozenset(
    (
        "role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "status", "cache_control", "signature",
        "thoughtSignature", "thought_signature", "encrypted_content", "phase",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for words."""

    text: str
    """What the user said last, without directives."""
    prompt_bytes: int
    """The UTF-8 length of every text in the prompt."""
    media: int = 0
    tools: Mapping[str, Document] = field(default_factory=dict)
    """The tools offered: name → JSON schema of the arguments."""
    forced: str | None = None
    """The tool that must be called; `*` for any of them."""
    forbidden: bool = False
    """No tool may be called."""
    answered: bool = False
    """The last message is a tool's result: it is the model's turn to speak."""
    schema: Document | None = None
    """The answer must be JSON of this schema; `{}` for any object."""
    most: int | None = None
    """The most tokens the answer may have."""
    stops: tuple[str, ...] = ()
    reasoning: int = 0
    """Tokens of reasoning that the request asks for."""


def text_of(content: Any) -> str:
    """The text in a message's content: a string, a part, or a list of either."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        inner = content.get("text", content.get("parts", content.get("content")))
        return text_of(inner) if inner is not None else ""
    if isinstance(content, list):
        return "\n".join(text for part in content if (text := text_of(part)))
    return ""


def weigh(*values: Any) -> tuple[int, int]:
    """The bytes of all texts in parts of a prompt, and the number of media in them.

    Names of fields, roles, types, ids and signatures weigh nothing; a number or a flag neither.
    """
    size = media = 0
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            size += len(value.encode("utf-8", "surrogatepass"))
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if _kind(value) in _MEDIA or not _MEDIA.isdisjoint(value):
                media += 1
                waiting.extend(inner for name, inner in value.items() if name in ("text", "title", "context"))
            else:
                waiting.extend(inner for name, inner in value.items() if name not in _STRUCTURE)
    return size, media


def whole(document: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that is set. :raises Fault: 400 when it is not a whole number."""
    for name in names:
        value = document.get(name)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int):
                raise Fault(400, f"'{name}' must be a whole number.", param=name)
            return value
    return None


def mapping(document: Mapping[str, Any], *names: str) -> Document:
    """The first of these fields that is an object, else an empty one."""
    for name in names:
        value = document.get(name)
        if isinstance(value, dict):
            return value
    return {}


def objects(document: Mapping[str, Any], *names: str) -> list[Document]:
    """The objects in the first of these fields that is a list. :raises Fault: 400 for an item that is no object."""
    for name in names:
        value = document.get(name)
        if isinstance(value, list):
            for item in value:
                if not isinstance(item, dict):
                    raise Fault(400, f"'{name}' must hold objects.", param=name)
            return value
    return []


def strings(value: Any) -> tuple[str, ...]:
    """A string or a list of strings as a tuple; anything else is none."""
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def text_field(document: Mapping[str, Any], name: str) -> str:
    """A field that must be a string with something in it. :raises Fault: 400."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise Fault(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    return value


def last(messages: Iterable[Document], *roles: str) -> Document | None:
    """The last message of one of these roles."""
    found = None
    for message in messages:
        if message.get("role") in roles:
            found = message
    return found


def _kind(value: Document) -> str:
    """The type of a part; in a tool's schema there may be a property of that name, which is none."""
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""
