"""Items of every kind tell their texts, and no document of any shape breaks a reader."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.testing.strategies import documents
from relay.wire.vocabulary import KINDS

ITEMS: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    ({"role": "user", "content": "a"}, {"text": ["a"]}),
    ({"type": "message", "content": [{"type": "refusal", "refusal": "a"}]}, {"text": ["a"]}),
    (
        {
            "type": "message",
            "content": [
                {"type": "input_image", "image_url": "a"},
                {"type": "input_file", "file_data": "b", "filename": "c"},
            ],
        },
        {"media": ["a", "b"], "text": ["c"]},
    ),
    (
        {
            "type": "message",
            "content": [
                {
                    "type": "output_text",
                    "text": "a",
                    "annotations": [{"type": "url_citation", "title": "b", "url": "c"}],
                }
            ],
        },
        {"text": ["a", "b", "c"]},
    ),
    ({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "a"}]}, {"thinking": ["a"]}),
    ({"type": "mcp_call", "arguments": "{}", "output": "a", "error": None}, {"tool_args": ["{}"], "text": ["a"]}),
    (
        {"type": "mcp_call", "arguments": "", "error": {"type": "http_error", "code": 1, "message": "a"}},
        {"text": ["a"]},
    ),
    ({"type": "mcp_approval_request", "arguments": "{}"}, {"tool_args": ["{}"]}),
    (
        {"type": "mcp_list_tools", "tools": [{"name": "n", "description": "a", "input_schema": {"description": "b"}}]},
        {"text": ["a", "b"]},
    ),
    ({"type": "custom_tool_call", "input": "a"}, {"text": ["a"]}),
    ({"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "a"}]}, {"text": ["a"]}),
    ({"type": "function_call_output", "output": "a"}, {"text": ["a"]}),
    ({"type": "code_interpreter_call", "code": "a", "outputs": [{"type": "logs", "logs": "b"}]}, {"text": ["a", "b"]}),
    ({"type": "image_generation_call", "result": "a", "revised_prompt": "b"}, {"media": ["a"], "text": ["b"]}),
    ({"type": "web_search_call", "action": {"type": "search", "query": "a", "queries": ["b"]}}, {"text": ["a", "b"]}),
    (
        {"type": "file_search_call", "queries": ["a"], "results": [{"text": "b", "filename": "c"}]},
        {"text": ["a", "b", "c"]},
    ),
    ({"type": "computer_call", "action": {"type": "type", "text": "a"}}, {"text": ["a"]}),
    ({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "a"}}, {"media": ["a"]}),
    ({"type": "local_shell_call", "action": {"command": ["a"], "env": {"B": "b"}}}, {"text": ["a", "b"]}),
    ({"type": "shell_call", "action": {"commands": ["a", "b"]}}, {"text": ["a", "b"]}),
    ({"type": "shell_call_output", "output": [{"stdout": "a", "stderr": "b"}]}, {"text": ["a", "b"]}),
    (
        {"type": "apply_patch_call", "operation": {"type": "update_file", "diff": "a", "path": "b"}},
        {"text": ["a", "b"]},
    ),
    ({"type": "apply_patch_call_output", "output": "a"}, {"text": ["a"]}),
    ({"type": "tool_search_call", "arguments": {"q": 1}}, {"tool_args": ['{"q":1}']}),
    ({"type": "compaction", "encrypted_content": "a"}, {"opaque": ["a"]}),
    ({"type": "program", "code": "a", "fingerprint": "b"}, {"text": ["a"], "opaque": ["b"]}),
    ({"type": "item_reference", "id": "msg_1"}, {}),
    ({"type": "telepathy", "thought": "a"}, {"opaque": ['{"type":"telepathy","thought":"a"}']}),
    ({"type": "message", "content": [{"type": "hologram", "x": 1}]}, {"opaque": ['{"type":"hologram","x":1}']}),
]


@pytest.mark.parametrize(("item", "expected"), ITEMS, ids=[str(item.get("type", "message")) for item, _ in ITEMS])
def test_every_kind_of_item_tells_its_texts(kit: Any, item: dict[str, Any], expected: dict[str, list[str]]) -> None:
    body = {"id": "resp_1", "object": "response", "status": "completed", "output": [item]}

    events = [event for event in kit.read("responses", body).events if event.kind not in ("stop", "usage", "created")]

    told: dict[str, list[str]] = {}
    for event in events:
        told.setdefault(event.kind, []).append(kit.opened(event))
        value: Any = body
        for step in event.where:
            value = value[step]
        assert kit.opened(event) == (orjson.dumps(value).decode() if event.source else value)
    assert {kind: sorted(texts) for kind, texts in expected.items()} == {
        kind: sorted(texts) for kind, texts in told.items()
    }


_EVENTS = {
    "response.created",
    "response.completed",
    "response.failed",
    "response.done",
    "response.output_item.done",
    "response.content_part.done",
    "response.reasoning_summary_part.done",
    "response.output_text.delta",
    "response.shell_call_output_content.done",
    "conversation.item.added",
    "conversation.item.input_audio_transcription.completed",
    "session.created",
    "image_generation.completed",
    "transcript.text.done",
    "error",
    "text",
    "",
}
_TYPES = st.sampled_from(sorted({item["type"] for item, _ in ITEMS if "type" in item} | _EVENTS))
_NAMES = st.sampled_from(
    [
        "type",
        "item",
        "part",
        "response",
        "output",
        "content",
        "delta",
        "output_index",
        "summary",
        "error",
        "usage",
        "choices",
        "message",
        "tool_calls",
        "function",
        "arguments",
        "id",
        "index",
        "data",
        "text",
        "action",
        "annotations",
        "role",
        "tools",
    ]
)
_HOSTILE = st.recursive(
    st.one_of(documents(leaves=2), _TYPES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=5)),
    max_leaves=12,
)
_READ = [
    ("responses", True),
    ("responses", False),
    ("chat", True),
    ("chat", False),
    ("realtime", False),
    ("images.generations", True),
    ("audio.transcriptions", True),
    ("embeddings", False),
    ("rerank", False),
    ("images.generations", False),
    ("batches.retrieve", False),
    ("conversations.items.list", False),
    ("chat.messages", False),
    ("vector_stores.search", False),
    ("files.create", False),
]


@given(_HOSTILE, st.sampled_from(_READ))
def test_no_document_breaks_a_reader_and_every_place_is_right(kit: Any, document: Any, where: tuple[str, bool]) -> None:
    name, streamed = where
    body = orjson.dumps(document)

    told = kit.read(
        name, b"data: " + body + b"\n\n" if streamed else [body], kit.SSE if streamed else "application/json"
    )

    for found in told.events:
        assert found.kind in KINDS
        hash(found.block)
        value: Any = document
        for step in found.where if found.kind in ("text", "tool_args", "thinking", "opaque", "media", "vector") else ():
            value = value[step]
