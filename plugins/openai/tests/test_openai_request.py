"""Every text of a request is found in its place, and can be replaced there without another byte changing."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_openai.dialect import DIALECT

from relay.testing.strategies import documents
from relay.wire import lens
from relay.wire.vocabulary import KINDS, Event, Kind

SCHEMA = {
    "type": "object",
    "properties": {"description": {"type": "string", "description": "d2"}},
    "description": "d1",
    "$defs": [{"description": "d3"}],
}
CHAT = {
    "model": "gpt-4o",
    "user": "not content",
    "metadata": {"content": "not content"},
    "messages": [
        {"role": "system", "content": "Be kind \u00e9"},
        {"role": "developer", "content": [{"type": "text", "text": "and brief"}]},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": 'quo"te\n'},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                {"type": "file", "file": {"file_data": "JVBE", "filename": "me.pdf"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "refusal": "No",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": "雪"}'}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "free text"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "42"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "43"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}], "audio": {"id": "audio_1"}},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "does f", "parameters": SCHEMA}},
        {"type": "custom", "custom": {"name": "g", "description": "does g"}},
    ],
    "functions": [{"name": "h", "description": "does h"}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "shape", "schema": {"description": "s"}},
    },
    "prediction": {"type": "content", "content": "guess"},
}
RESPONSES = {
    "model": "gpt-5",
    "instructions": "Be kind",
    "input": [
        {"role": "user", "content": "hello"},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "there"}, {"type": "input_file", "file_id": "file-2"}],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "thought"}],
            "encrypted_content": "gAAA",
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c", "output": "out"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "out2"}]},
        {"type": "item_reference", "id": "msg_9"},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "does f", "parameters": SCHEMA},
        {
            "type": "namespace",
            "name": "ns",
            "description": "many",
            "tools": [{"type": "function", "name": "g", "description": "does g"}],
        },
        {"type": "mcp", "server_label": "m", "server_description": "a server", "authorization": "not content"},
    ],
    "prompt": {"id": "pmpt_1", "variables": {"name": "Ann", "letter": {"type": "input_text", "text": "Dear"}}},
    "text": {"format": {"type": "json_schema", "name": "n", "description": "shape", "schema": {}}},
    "previous_response_id": "resp_0",
}
SAMPLES: list[tuple[str, dict[str, Any], dict[str, list[str]]]] = [
    (
        "chat",
        CHAT,
        {
            "text": [
                "Be kind \u00e9",
                "and brief",
                'quo"te\n',
                "me.pdf",
                "No",
                "free text",
                "42",
                "43",
                "never",
                "does f",
                "d1",
                "d2",
                "d3",
                "does g",
                "does h",
                "shape",
                "s",
                "guess",
            ],
            "thinking": ["hm"],
            "tool_args": ['{"x": "雪"}', "{}"],
            "media": ["data:image/png;base64,iVBO", "UklG", "JVBE"],
        },
    ),
    (
        "responses",
        RESPONSES,
        {
            "text": [
                "Be kind",
                "hello",
                "there",
                "out",
                "out2",
                "does f",
                "d1",
                "d2",
                "d3",
                "many",
                "does g",
                "a server",
                "Ann",
                "Dear",
                "shape",
            ],
            "thinking": ["thought"],
            "tool_args": ['{"a": 1}'],
            "opaque": ["gAAA"],
        },
    ),
    ("responses", {"model": "m", "input": "plain"}, {"text": ["plain"]}),
    ("responses", {"prompt": {"id": "pmpt_1"}}, {}),
    ("responses.input_tokens", {"model": "m", "input": "plain"}, {"text": ["plain"]}),
    ("responses.compact", {"model": "m", "input": [{"role": "user", "content": "x"}]}, {"text": ["x"]}),
    ("conversations.create", {"items": [{"type": "message", "role": "user", "content": "x"}]}, {"text": ["x"]}),
    ("completions", {"model": "m", "prompt": "a", "suffix": "b"}, {"text": ["a", "b"]}),
    ("completions", {"model": "m", "prompt": ["a", "b"]}, {"text": ["a", "b"]}),
    ("completions", {"model": "m", "prompt": [1, 2]}, {"opaque": ["[1,2]"]}),
    ("embeddings", {"model": "m", "input": "a"}, {"text": ["a"]}),
    ("embeddings", {"model": "m", "input": ["a", "b"]}, {"text": ["a", "b"]}),
    ("embeddings", {"model": "m", "input": [[1], [2]]}, {"opaque": ["[[1],[2]]"]}),
    (
        "moderations",
        {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"text": ["a"], "media": ["u"]},
    ),
    ("images.generations", {"prompt": "a cat"}, {"text": ["a cat"]}),
    (
        "audio.speech",
        {"model": "m", "input": "say", "instructions": "softly", "voice": "alloy"},
        {"text": ["say", "softly"]},
    ),
    (
        "rerank",
        {"model": "m", "query": "q", "documents": ["a", {"text": "b", "title": "c"}]},
        {"text": ["q", "a", "b", "c"]},
    ),
    ("vector_stores.search", {"query": ["q", "r"]}, {"text": ["q", "r"]}),
    (
        "batches.create",
        {"input_file_id": "file-1", "endpoint": "/v1/responses", "metadata": {"description": "not content"}},
        {},
    ),
    (
        "realtime",
        {
            "type": "session.update",
            "session": {"instructions": "Be kind", "tools": [{"name": "f", "description": "d"}]},
        },
        {"text": ["Be kind", "d"]},
    ),
    (
        "realtime",
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "content": [{"type": "input_text", "text": "a"}]},
        },
        {"text": ["a"]},
    ),
    (
        "realtime",
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "content": [{"type": "input_audio", "audio": "UklG", "transcript": "t"}]},
        },
        {"media": ["UklG"], "text": ["t"]},
    ),
    (
        "realtime",
        {
            "type": "response.create",
            "response": {"instructions": "now", "input": [{"type": "item_reference", "id": "i"}]},
        },
        {"text": ["now"]},
    ),
    ("realtime", {"type": "response.create"}, {}),
    ("realtime", {"type": "input_audio_buffer.append", "audio": "UklG"}, {"media": ["UklG"]}),
    ("realtime", {"type": "input_audio_buffer.commit"}, {}),
    ("realtime", {"type": "telepathy"}, {"opaque": ['{"type":"telepathy"}']}),
]


def told(kit: Any, name: str, document: Any, *kinds: Kind) -> list[Event]:
    return list(DIALECT.read_call(kit.surface(name), document, kinds))


@pytest.mark.parametrize(("name", "document", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_every_text_is_found_with_its_kind(kit: Any, name: str, document: Any, expected: dict[str, list[str]]) -> None:
    found: dict[str, list[str]] = {}
    for event in told(kit, name, document, *KINDS):
        found.setdefault(event.kind, []).append(kit.opened(event))

    assert {kind: sorted(texts) for kind, texts in expected.items()} == {
        kind: sorted(texts) for kind, texts in found.items()
    }


@pytest.mark.parametrize(("name", "document", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_each_text_can_be_replaced_and_every_other_byte_stays(
    kit: Any, name: str, document: Any, expected: Any
) -> None:
    for body in (orjson.dumps(document), json.dumps(document, indent=1).encode()):
        for event in told(kit, name, document, "text", "tool_args", "thinking", "media"):
            before = lens.spans(body, (event.where,))[event.where]

            after = lens.replace(body, {event.where: lens.string('new "words"')})

            assert body[: before[0]] + b'"new \\"words\\""' + body[before[1] :] == after
            again = [
                found
                for found in DIALECT.read_call(kit.surface(name), orjson.loads(after), KINDS)
                if found.where == event.where
            ]
            assert ['new "words"'] == [kit.opened(found) for found in again]
            assert [event.kind] == [found.kind for found in again]


@pytest.mark.parametrize(("name", "document", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_blocks_tell_the_texts_apart(kit: Any, name: str, document: Any, expected: Any) -> None:
    events = list(DIALECT.read_call(kit.surface(name), document, KINDS))

    assert len(events) == len({event.block for event in events})
    assert all(event.whole and event.repeat == 0 for event in events)


def test_only_the_kinds_asked_for_are_told(kit: Any) -> None:
    assert ["hm"] == [kit.opened(event) for event in told(kit, "chat", CHAT, "thinking")]


def test_an_unknown_member_of_a_message_is_opaque(kit: Any) -> None:
    document = {"model": "m", "messages": [{"role": "user", "content": "a", "secret_thoughts": "b", "weight": 1}]}

    [event] = told(kit, "chat", document, "opaque")

    assert ("messages", 0, "secret_thoughts") == event.where


def test_arguments_given_as_an_object_are_told_as_source(kit: Any) -> None:
    document = {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}]}

    [event] = told(kit, "chat", document, "tool_args")

    assert event.source
    assert '{"a":1}' == kit.opened(event)


def test_a_schema_as_deep_as_a_parser_allows_is_read(kit: Any) -> None:
    depth = 900
    body = (
        b'{"model":"m","tools":[{"parameters":' + b'{"a":' * depth + b'{"description":"deep"}' + b"}" * depth + b"}]}"
    )
    document = orjson.loads(body)

    [event] = told(kit, "responses", document, "text")

    assert "deep" == kit.opened(event)
    assert () == DIALECT.references(kit.surface("responses"), document)


_NAMES = st.sampled_from(
    [
        "messages",
        "content",
        "type",
        "text",
        "input",
        "tools",
        "function",
        "parameters",
        "role",
        "arguments",
        "tool_calls",
        "prompt",
        "variables",
        "image_url",
        "item",
        "session",
        "response",
        "documents",
        "output",
        "action",
    ]
)
_TYPES = st.sampled_from(
    ["text", "message", "image_url", "function_call", "session.update", "conversation.item.create", "response.create"]
)
_HOSTILE = st.recursive(
    st.one_of(documents(leaves=2), _TYPES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=5)),
    max_leaves=12,
)


@given(_HOSTILE, st.sampled_from([surface.name for surface in DIALECT.surfaces]))
def test_no_body_breaks_the_reading_and_every_place_is_right(kit: Any, document: Any, name: str) -> None:
    surface = kit.surface(name)

    DIALECT.references(surface, document)
    for event in DIALECT.read_call(surface, document, KINDS):
        hash(event.block)
        value = document
        for step in event.where:
            value = value[step]
        assert kit.opened(event) == (orjson.dumps(value).decode() if event.source else value)


def test_references_are_all_the_ids_a_body_names(kit: Any) -> None:
    body = {
        **RESPONSES,
        "conversation": {"id": "conv_1"},
        "tools": [
            {"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]},
            {"type": "code_interpreter", "container": "cntr_1"},
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-3"]}},
        ],
    }

    assert {"resp_0", "conv_1", "file-2", "file-3", "vs_1", "vs_2", "cntr_1", "msg_9"} == set(
        DIALECT.references(kit.surface("responses"), body)
    )
    assert ["conv_2"] == list(DIALECT.references(kit.surface("responses"), {"conversation": "conv_2", "input": "x"}))
    assert {"file-1", "audio_1"} == set(DIALECT.references(kit.surface("chat"), CHAT))
    assert ["file-1"] == list(DIALECT.references(kit.surface("batches.create"), {"input_file_id": "file-1"}))
    assert ["msg_1"] == list(DIALECT.references(kit.surface("responses"), {"input": [{"id": "msg_1"}]}))


def test_what_only_looks_like_an_id_is_no_reference(kit: Any) -> None:
    body = {
        "metadata": {"file_id": "x"},
        "tools": [
            {
                "type": "function",
                "parameters": {"properties": {"file_id": {"type": "string"}}, "default": {"file_id": "x"}},
            }
        ],
        "input": "file-1",
    }

    assert () == DIALECT.references(kit.surface("responses"), body)


def test_what_agents_send_besides_is_neither_text_nor_a_reference(kit: Any) -> None:
    body = {
        "model": "m",
        "input": "x",
        "tools": [{"type": "web_search"}, {"type": "namespace", "name": "n", "tools": []}],
        "client_metadata": {"file_id": "x", "content": "y"},
        "metadata": {"text": "z"},
    }

    assert ["x"] == [kit.opened(event) for event in told(kit, "responses", body, *KINDS)]
    assert () == DIALECT.references(kit.surface("responses"), body)
