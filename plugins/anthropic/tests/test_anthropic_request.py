"""What a request asks, where it goes, and every text in it."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_anthropic.dialect import DIALECT

from relay.errors import Refused
from relay.testing.strategies import json_sources, texts
from relay.values.content import CORE, Content
from relay.wire import lens
from relay.wire.dialect import Surface
from relay.wire.vocabulary import KINDS, TEXT_KINDS, Event, Kind

SURFACES = {surface.name: surface for surface in DIALECT.surfaces}
MESSAGES = SURFACES["messages"]
TEXT: frozenset[Kind] = frozenset(("text",))
OPAQUE: frozenset[Kind] = frozenset(("opaque",))
HIDDEN: frozenset[Kind] = frozenset(("thinking", "tool_args"))

REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "stream": True,
    "container": {"id": "container_1", "skills": []},
    "system": [{"type": "text", "text": "SYSTEM", "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {"name": "look", "description": "TOOL", "input_schema": {"type": "object"}},
        {"type": "mcp_toolset", "mcp_server_name": "m", "tools": [{"name": "far", "description": "FAR", "input_schema": {}}]},
    ],
    "messages": [
        {"role": "user", "content": "PLAIN"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "THOUGHT", "signature": "SIGNED"},
                {"type": "redacted_thinking", "data": "CLOSED"},
                {"type": "text", "text": "SAID", "citations": [{"type": "char_location", "cited_text": "CITED", "document_title": "DT"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "HERE"}},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "QUERY"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [{"type": "web_search_result", "title": "PAGE", "url": "https://a.example", "encrypted_content": "ENC"}],
                },
                {
                    "type": "bash_code_execution_tool_result",
                    "tool_use_id": "srvtoolu_2",
                    "content": {
                        "type": "bash_code_execution_result",
                        "stdout": "OUT",
                        "stderr": "ERR",
                        "return_code": 0,
                        "content": [{"type": "bash_code_execution_output", "file_id": "file_made"}],
                    },
                },
                {"type": "compaction", "content": "SUMMARY", "signature": "SIGNED"},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "RESULT"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [
                        {"type": "text", "text": "INNER"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aW1hZ2U="}},
                        {"type": "search_result", "title": "ST", "source": "SS", "content": [{"type": "text", "text": "FOUND"}]},
                    ],
                },
                {
                    "type": "document",
                    "title": "NAME",
                    "context": "CONTEXT",
                    "source": {"type": "text", "media_type": "text/plain", "data": "DOCUMENT"},
                },
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "CHUNK"}]}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"}},
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
                {"type": "image", "source": {"type": "url", "url": "https://b.example/x.png"}},
                {"type": "container_upload", "file_id": "file_2"},
                {"type": "hologram", "beam": "?"},
            ],
        },
    ],
    "context_management": {"edits": [{"type": "compact_20260112", "instructions": "SHORTER"}]},
}  # fmt: skip


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.value.text(CORE)) for event in events if isinstance(event.value, Content)]


def test_every_text_of_a_request_is_found_with_its_kind() -> None:
    events = list(DIALECT.read_call(MESSAGES, REQUEST, KINDS))

    assert [
        ("text", "TOOL"),
        ("text", "FAR"),
        ("text", "SYSTEM"),
        ("text", "PLAIN"),
        ("thinking", "THOUGHT"),
        ("opaque", "CLOSED"),
        ("text", "SAID"),
        ("text", "CITED"),
        ("text", "DT"),
        ("tool_args", '{"where":"HERE"}'),
        ("tool_args", '{"query":"QUERY"}'),
        ("text", "PAGE"),
        ("opaque", "ENC"),
        ("text", "OUT"),
        ("text", "ERR"),
        ("text", "SUMMARY"),
        ("text", "RESULT"),
        ("text", "INNER"),
        ("media", "aW1hZ2U="),
        ("text", "ST"),
        ("text", "SS"),
        ("text", "FOUND"),
        ("text", "NAME"),
        ("text", "CONTEXT"),
        ("text", "DOCUMENT"),
        ("text", "CHUNK"),
        ("media", "cGRm"),
        ("opaque", '{"type":"hologram","beam":"?"}'),
        ("text", "SHORTER"),
    ] == told(events)


@pytest.mark.parametrize("indent", [None, 2])
def test_each_text_can_be_replaced_and_every_other_byte_stays(indent: int | None) -> None:
    body = json.dumps(REQUEST, indent=indent).encode()
    document = orjson.loads(body)
    events = list(DIALECT.read_call(MESSAGES, document, TEXT_KINDS))
    assert len(events) > 20

    for event in events:
        new = b'{"new":1}' if event.source else b'"n\\u00e9w"'
        start, end = lens.spans(body, [event.where])[event.where]
        changed = lens.replace(body, {event.where: new})

        assert isinstance(event.value, Content)
        old = body[start:end]
        assert event.value.text(CORE) == (
            orjson.dumps(orjson.loads(old)).decode() if event.source else orjson.loads(old)
        )
        assert body[:start] + new + body[end:] == changed


def test_a_signature_is_never_an_event() -> None:
    places = [event.where for event in DIALECT.read_call(MESSAGES, REQUEST, KINDS)]

    assert not [place for place in places if "signature" in place]


def test_the_kinds_that_nobody_asked_for_are_not_given() -> None:
    events = list(DIALECT.read_call(MESSAGES, REQUEST, HIDDEN))

    assert ["thinking", "tool_args", "tool_args"] == [event.kind for event in events]


def test_the_texts_of_a_batch_stand_in_each_of_its_requests() -> None:
    params = {"model": "m", "system": "S", "messages": [{"role": "user", "content": "U"}]}
    batch = {"requests": [{"custom_id": "a", "params": params}, {"custom_id": "b", "params": params}]}

    events = list(DIALECT.read_call(SURFACES["batches.create"], batch, TEXT))

    assert [("text", "S"), ("text", "U")] * 2 == told(events)
    assert ("requests", 1, "params", "messages", 0, "content") == events[3].where


def test_a_request_names_its_files_and_containers() -> None:
    assert ["container_1", "file_made", "file_1", "file_2"] == DIALECT.references(MESSAGES, REQUEST)
    assert ["container_2"] == DIALECT.references(MESSAGES, {"container": "container_2", "messages": []})


@given(st.lists(texts(), min_size=1, max_size=4), st.booleans())
def test_any_text_in_any_spelling_is_found_and_can_be_replaced(words: list[str], escaped: bool) -> None:
    request = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": word} for word in words]}],
    }
    body = json.dumps(request, ensure_ascii=escaped).encode()

    events = list(DIALECT.read_call(MESSAGES, orjson.loads(body), TEXT))
    changed = lens.replace(body, {event.where: lens.string("x") for event in events})

    assert [word for word in words if word] == [word for _, word in told(events)]
    assert ["x" if word else "" for word in words] == [
        block["text"] for block in orjson.loads(changed)["messages"][0]["content"]
    ]


@given(json_sources())
def test_no_document_breaks_the_readers_of_requests(body: bytes) -> None:
    document = orjson.loads(body)

    for surface in (MESSAGES, SURFACES["batches.create"]):
        for wrapped in (
            document,
            {"messages": document},
            {"messages": [{"content": document}], "requests": [document]},
        ):
            list(DIALECT.read_call(surface, wrapped, KINDS))
            DIALECT.references(surface, wrapped)


def test_a_request_nested_beyond_reason_is_refused_and_not_followed() -> None:
    nested = orjson.loads(b'{"type":"tool_result","content":' * 500 + b'"x"' + b"}" * 500)
    deep = {"messages": [{"role": "user", "content": [nested]}]}

    assert [] == list(DIALECT.read_call(MESSAGES, deep, TEXT))
    with pytest.raises(Refused, match="bad_request"):
        list(DIALECT.read_call(MESSAGES, deep, OPAQUE))


def test_model_and_stream_flag_are_read_from_the_body() -> None:
    asked = DIALECT.ask(MESSAGES, {}, "beta=true", REQUEST)

    assert ("claude-sonnet-4-5", True) == (asked.model, asked.stream)
    assert not DIALECT.ask(SURFACES["messages.count_tokens"], {}, "", {"model": "m"}).stream


@pytest.mark.parametrize("document", [None, [], "x", {}, {"model": 3}, {"model": ""}, {"model": None}])
def test_a_body_without_a_model_is_refused(document: Any) -> None:
    with pytest.raises(Refused, match="bad_request"):
        DIALECT.ask(MESSAGES, {}, "", document)


def test_a_batch_names_one_model_so_that_nobody_gets_another_past_the_check() -> None:
    batch = SURFACES["batches.create"]
    cheap, dear = ({"custom_id": name, "params": {"model": name}} for name in ("cheap", "dear"))

    assert "cheap" == DIALECT.ask(batch, {}, "", {"requests": [cheap, cheap]}).model
    for requests in ([cheap, dear], [], [cheap, {}], None):
        with pytest.raises(Refused, match="bad_request"):
            DIALECT.ask(batch, {}, "", {"requests": requests})


def test_another_model_changes_the_name_and_no_other_byte() -> None:
    body = b'{ "messages":[{"role":"user","content":"\\"model\\":\\"old\\""}],\n "model" : "old", "x":1e400}'

    changed = DIALECT.rename(MESSAGES, body, {"model": "old"}, 'new"')

    assert body.replace(b'"model" : "old"', b'"model" : "new\\""') == changed


def test_another_model_is_put_into_each_request_of_a_batch() -> None:
    body = b'{"requests":[{"custom_id":"1","params":{"model":"old"}}, {"params":{"model":"old","system":"old"}}]}'

    changed = DIALECT.rename(SURFACES["batches.create"], body, orjson.loads(body), "new")

    assert body.replace(b'"model":"old"', b'"model":"new"') == changed


@pytest.mark.parametrize("body", [b'{"model":"a","model":"a"}', b'{"model":"a","m\\u006fdel":"a"}'])
def test_a_body_that_names_its_model_twice_is_ambiguous(body: bytes) -> None:
    with pytest.raises(Refused, match="ambiguous_body"):
        DIALECT.rename(MESSAGES, body, {"model": "a"}, "b")


def test_the_query_stays_byte_for_byte() -> None:
    assert "/v1/messages?beta=true&x=%41+b" == DIALECT.place(MESSAGES, {}, "beta=true&x=%41+b", "claude")
    assert "/v1/messages" == DIALECT.place(MESSAGES, {}, "", "claude")


def test_ids_and_models_are_put_into_the_path() -> None:
    cancel = DIALECT.place(SURFACES["batches.cancel"], {"batch_id": "msgbatch_1"}, "", None)

    assert "/v1/messages/batches/msgbatch_1/cancel" == cancel
    assert "/v1/models/other-1" == DIALECT.place(SURFACES["models.get"], {"model": "alias"}, "", "other-1")


@pytest.mark.parametrize("id", ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", "a\r\nb", "../x", "é"])
def test_what_would_mean_another_path_is_refused(id: str) -> None:
    with pytest.raises(Refused, match="invalid_path"):
        DIALECT.place(SURFACES["files.content"], {"file_id": id}, "", None)


@pytest.mark.parametrize("header", ["anthropic-version", "anthropic-beta", "x-api-key"])
def test_its_own_headers_show_a_client_of_this_dialect(header: str) -> None:
    assert DIALECT.claims({header: "x"}, "")
    assert not DIALECT.claims({"authorization": "Bearer x"}, "x-api-key=1")


def test_no_key_and_no_account_passes_either_way() -> None:
    for name in (
        "x-api-key",
        "authorization",
        "cookie",
        "anthropic-dangerous-direct-browser-access",
        "anthropic-workspace-id",
    ):
        assert name in DIALECT.drops
    for name in ("anthropic-organization-id", "anthropic-workspace-id", "cf-ray", "set-cookie", "server"):
        assert not any(name == each or (each.endswith("-") and name.startswith(each)) for each in DIALECT.passes)
    for name in ("request-id", "anthropic-ratelimit-tokens-remaining", "retry-after"):
        assert any(name == each or (each.endswith("-") and name.startswith(each)) for each in DIALECT.passes)


def test_a_credential_is_carried_as_the_provider_wants_it() -> None:
    assert (("x-api-key", "sk-ant-api03-x"),) == DIALECT.sign("sk-ant-api03-x")
    assert (("authorization", "Bearer sk-ant-oat01-x"),) == DIALECT.sign("sk-ant-oat01-x")


def test_the_names_of_surfaces_and_their_places_are_unique() -> None:
    surfaces: tuple[Surface, ...] = DIALECT.surfaces

    assert len(surfaces) == len({surface.name for surface in surfaces})
    assert len(surfaces) == len({(surface.method, surface.path) for surface in surfaces})


def test_lists_tell_their_objects_with_their_places() -> None:
    page = {"data": [{"id": "msgbatch_1"}, {"id": "msgbatch_2"}, {"no": "id"}], "has_more": False}

    assert [("msgbatch_1", ("data", 0)), ("msgbatch_2", ("data", 1))] == DIALECT.list_items(
        SURFACES["batches.list"], page
    )
    assert [] == DIALECT.list_items(SURFACES["models"], page)
