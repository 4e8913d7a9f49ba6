"""What a request asks, where it goes, and every text in it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_gemini.dialect import DIALECT

from relay.errors import Refused
from relay.testing.strategies import json_sources, texts
from relay.values.content import CORE, Content
from relay.wire import lens
from relay.wire.vocabulary import KINDS, TEXT_KINDS, Event, Kind

SURFACES = {surface.name: surface for surface in DIALECT.surfaces}
GENERATE = SURFACES["generate"]
TEXT: frozenset[Kind] = frozenset(("text",))
OPAQUE: frozenset[Kind] = frozenset(("opaque",))

REQUEST: dict[str, Any] = {
    "system_instruction": {"parts": [{"text": "SNAKE"}]},
    "systemInstruction": {"role": "user", "parts": [{"text": "CAMEL"}]},
    "cachedContent": "cachedContents/c1",
    "contents": [
        {"role": "user", "parts": [{"text": "ASKED"}, {"inlineData": {"mimeType": "image/png", "data": "aW1hZ2U="}}]},
        {
            "role": "model",
            "parts": [
                {"text": "THOUGHT", "thought": True, "thoughtSignature": "SIGNED"},
                {"text": "SAID"},
                {"functionCall": {"id": "1", "name": "look", "args": {"where": "HERE"}}, "thought_signature": "SIGNED"},
                {"executableCode": {"language": "PYTHON", "code": "CODE"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "OUTPUT"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"function_response": {"name": "look", "response": {"found": "THIS"}, "parts": [{"inline_data": {"data": "c291bmQ="}}]}},
                {"file_data": {"mime_type": "application/pdf", "file_uri": "https://g.example/v1beta/files/abc-1"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
                {"hologram": {"beam": "?"}},
            ],
        },
    ],
    "tools": [
        {"functionDeclarations": [{"name": "look", "description": "CAMELTOOL"}]},
        {"function_declarations": [{"name": "hear", "description": "SNAKETOOL"}]},
        {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/s1"]}},
    ],
    "generationConfig": {"temperature": 0.5},
}  # fmt: skip


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.value.text(CORE)) for event in events if isinstance(event.value, Content)]


def test_every_text_of_a_request_is_found_with_its_kind_in_camel_and_snake_case() -> None:
    events = list(DIALECT.read_call(GENERATE, REQUEST, KINDS))

    assert [
        ("text", "SNAKE"),
        ("text", "CAMEL"),
        ("text", "ASKED"),
        ("media", "aW1hZ2U="),
        ("thinking", "THOUGHT"),
        ("text", "SAID"),
        ("tool_args", '{"where":"HERE"}'),
        ("text", "CODE"),
        ("text", "OUTPUT"),
        ("tool_args", '{"found":"THIS"}'),
        ("media", "c291bmQ="),
        ("opaque", '{"beam":"?"}'),
        ("text", "CAMELTOOL"),
        ("text", "SNAKETOOL"),
    ] == told(events)


@pytest.mark.parametrize("indent", [None, 2])
def test_each_text_can_be_replaced_and_every_other_byte_stays(indent: int | None) -> None:
    body = json.dumps(REQUEST, indent=indent).encode()
    events = list(DIALECT.read_call(GENERATE, orjson.loads(body), TEXT_KINDS))
    assert len(events) > 10

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


def test_a_thought_signature_is_never_an_event() -> None:
    places = [step for event in DIALECT.read_call(GENERATE, REQUEST, KINDS) for step in event.where]

    assert not {"thoughtSignature", "thought_signature"} & set(places)


def test_the_texts_of_embeddings_and_of_requests_to_be_counted_are_found() -> None:
    content = {"parts": [{"text": "T"}]}

    for name, document in (
        ("embed", {"content": content}),
        ("embed.batch", {"requests": [{"model": "models/e", "content": content}]}),
        ("count_tokens", {"contents": [content]}),
        ("count_tokens", {"generate_content_request": {"model": "models/m", "contents": [content]}}),
        ("generate", {"contents": "T"}),
        ("generate", {"contents": content}),
        ("generate", {"contents": {"text": "T"}}),
    ):
        assert [("text", "T")] == told(list(DIALECT.read_call(SURFACES[name], document, KINDS)))


def test_a_request_names_its_files_caches_and_stores() -> None:
    assert ["files/abc-1", "fileSearchStores/s1", "cachedContents/c1"] == DIALECT.references(GENERATE, REQUEST)


@pytest.mark.parametrize(
    ("uri", "ids"),
    [
        ("https://g.example/v1beta/files/a-1", ["files/a-1"]),
        ("https://g.example/v1/files/a-1?x=1", ["files/a-1"]),
        ("https://g.example/v1beta/f%69les/a-1#x", ["files/a-1"]),
        ("https://g.example/v1beta//files/a-1/", ["files/a-1"]),
        ("files/a-1", ["files/a-1"]),
        ("gs://bucket/a", ["gs://bucket/a"]),
        ("https://www.youtube.com/watch?v=1", []),
        ("https://a.example/files/public.pdf", []),
    ],
)
def test_a_file_of_an_account_is_told_from_a_public_address(uri: str, ids: list[str]) -> None:
    assert ids == DIALECT.references(GENERATE, {"contents": [{"parts": [{"fileData": {"fileUri": uri}}]}]})


@given(st.lists(texts(), min_size=1, max_size=4), st.booleans())
def test_any_text_in_any_spelling_is_found_and_can_be_replaced(words: list[str], escaped: bool) -> None:
    body = json.dumps({"contents": [{"parts": [{"text": word} for word in words]}]}, ensure_ascii=escaped).encode()

    events = list(DIALECT.read_call(GENERATE, orjson.loads(body), TEXT))
    changed = lens.replace(body, {event.where: lens.string("x") for event in events})

    assert [word for word in words if word] == [word for _, word in told(events)]
    assert ["x" if word else "" for word in words] == [
        part["text"] for part in orjson.loads(changed)["contents"][0]["parts"]
    ]


@given(json_sources())
def test_no_document_breaks_the_readers_of_requests(body: bytes) -> None:
    document = orjson.loads(body)

    for wrapped in (
        document,
        {"contents": document},
        {"contents": [{"parts": document}], "tools": document, "requests": document},
    ):
        list(DIALECT.read_call(GENERATE, wrapped, KINDS))
        DIALECT.references(GENERATE, wrapped)


@pytest.mark.parametrize("opening", ['{"parts":', '[', '{"function_response":{"parts":'])  # fmt: skip
def test_a_request_nested_beyond_reason_is_refused_and_not_followed(opening: str) -> None:
    closing = opening.replace("[", "]").replace('"parts":', "").replace('"function_response":', "").replace("{", "}")
    deep = {"contents": orjson.loads(opening * 420 + '"x"' + closing * 420)}

    assert [] == list(DIALECT.read_call(GENERATE, deep, TEXT))
    with pytest.raises(Refused, match="bad_request"):
        list(DIALECT.read_call(GENERATE, deep, OPAQUE))


def test_the_model_is_read_from_the_path_and_the_stream_flag_from_the_operation() -> None:
    for name, stream in (
        ("generate", False),
        ("generate.stream", True),
        ("generate.stream.v1", True),
        ("embed.v1alpha", False),
    ):
        asked = DIALECT.ask(SURFACES[name], {"model": "gemini-2.5-pro"}, "alt=sse", {"contents": []})

        assert ("gemini-2.5-pro", stream) == (asked.model, asked.stream)
    assert DIALECT.ask(SURFACES["models"], {}, "", None).model is None
    assert "m" == DIALECT.ask(SURFACES["models.get.v1"], {"model": "m"}, "", None).model


def test_a_body_must_not_name_another_model_than_the_path() -> None:
    bodies: tuple[Any, ...] = (
        {"model": "models/dear"},
        {"generateContentRequest": {"model": "dear"}},
        {"generate_content_request": {"model": "models/dear"}},
        {"requests": [{"model": "models/cheap"}, {"model": "models/dear"}]},
        {"model": 3},
        [],
        None,
    )
    for body in bodies:
        with pytest.raises(Refused, match="bad_request"):
            DIALECT.ask(SURFACES["embed.batch"], {"model": "cheap"}, "", body)
    DIALECT.ask(
        SURFACES["embed.batch"], {"model": "cheap"}, "", {"model": "cheap", "requests": [{"model": "models/cheap"}]}
    )


def test_another_model_changes_each_name_and_no_other_byte() -> None:
    body = b'{"requests":[{"model":"models/old","content":{"parts":[{"text":"models/old"}]}}, {"model" : "old"}],"model":"models/old"}'

    changed = DIALECT.rename(SURFACES["embed.batch"], body, orjson.loads(body), "new")

    assert (
        b'{"requests":[{"model":"models/new","content":{"parts":[{"text":"models/old"}]}}, {"model" : "new"}],"model":"models/new"}'
        == changed
    )


def test_a_body_without_a_name_is_not_changed() -> None:
    body = b'{ "contents" : [] }'

    assert body is DIALECT.rename(GENERATE, body, orjson.loads(body), "new")


def test_a_body_that_names_its_model_twice_is_ambiguous() -> None:
    body = b'{"model":"models/a","m\\u006fdel":"models/a"}'

    with pytest.raises(Refused, match="ambiguous_body"):
        DIALECT.rename(SURFACES["embed"], body, orjson.loads(body), "b")


@pytest.mark.parametrize(("version", "mark"), [("v1beta", ""), ("v1", ".v1"), ("v1alpha", ".v1alpha")])
def test_each_version_keeps_its_path(version: str, mark: str) -> None:
    for name, end in (("generate", ":generateContent"), ("generate.stream", ":streamGenerateContent"), ("count_tokens", ":countTokens"),
                      ("embed", ":embedContent"), ("embed.batch", ":batchEmbedContents"), ("models.get", "")):  # fmt: skip
        assert f"/{version}/models/new-1.5{end}" == DIALECT.place(
            SURFACES[name + mark], {"model": "old"}, "", "new-1.5"
        )
    assert f"/{version}/models?pageSize=5" == DIALECT.place(SURFACES["models" + mark], {}, "pageSize=5", None)


@pytest.mark.parametrize(
    "model",
    [
        "",
        ".",
        "..",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "a?key=x",
        "a#b",
        "a b",
        "a%2e",
        "a\\b",
        "é",
        "a\r\nHost: x",
        "a&b",
        "a;b",
        "..:a",
    ],
)
def test_a_model_pasted_into_the_path_cannot_mean_another_path_or_query(model: str) -> None:
    for surface in DIALECT.surfaces:
        if surface.model == "path":
            with pytest.raises(Refused, match="invalid_path"):
                DIALECT.place(surface, {"model": "fine"}, "", model)


def test_a_colon_in_a_model_cannot_name_another_operation() -> None:
    place = DIALECT.place(SURFACES["models.get"], {"model": "m:generateContent"}, "", None)

    assert "/v1beta/models/m%3AgenerateContent" == place
    assert "/v1beta/models/publishers/g/m:countTokens" == DIALECT.place(
        SURFACES["count_tokens"], {}, "", "publishers/g/m"
    )


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("key=S", ""),
        ("alt=sse&key=S", "alt=sse"),
        ("key=S&alt=sse", "alt=sse"),
        ("a=1&key=S&b=%7E+x", "a=1&b=%7E+x"),
        ("k%65y=S&%6b%65%79=S&alt=sse", "alt=sse"),
        ("key=S&key=S&KEY=S&alt=sse&key", "alt=sse"),
        ("$key=S&%24key=S&access_token=S&oauth_token=S&x=1", "x=1"),
        ("alt=sse;key=S", "alt=sse"),
        ("+key=S&key+=S&alt=sse", "alt=sse"),
        ("keys=1&monkey=2&a=key", "keys=1&monkey=2&a=key"),
        ("alt=sse&", "alt=sse&"),
        ("&&alt=sse", "&&alt=sse"),
        ("", ""),
    ],
)
def test_no_key_goes_on_in_the_query_and_the_rest_stays_byte_for_byte(query: str, kept: str) -> None:
    place = DIALECT.place(SURFACES["generate.stream"], {"model": "m"}, query, None)

    assert "/v1beta/models/m:streamGenerateContent" + (f"?{kept}" if kept else "") == place


@given(st.lists(st.sampled_from(["key=S", "k%65y=S", "a=1", "b", "", "$key=S", "alt=sse", "c=%26key=2"]), max_size=6))
def test_any_query_loses_its_keys_and_nothing_else(pieces: list[str]) -> None:
    query = "&".join(pieces)

    place = DIALECT.place(GENERATE, {"model": "m"}, query, None)

    expected = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in ("key", "$key")]
    assert expected == parse_qsl(urlsplit(place).query, keep_blank_values=True)
    assert "S" not in urlsplit(place).query


def test_its_own_headers_or_a_key_in_the_query_show_a_client_of_this_dialect() -> None:
    assert DIALECT.claims({"x-goog-api-key": "k"}, "")
    assert DIALECT.claims({"x-goog-api-client": "google-genai-sdk/3"}, "")
    assert DIALECT.claims({}, "alt=sse&key=k")
    assert DIALECT.claims({}, "k%65y=k")
    assert not DIALECT.claims({"authorization": "Bearer k"}, "monkey=1&a=key")


def test_the_key_goes_in_a_header_and_in_no_other_place() -> None:
    assert (("x-goog-api-key", "k"),) == DIALECT.sign("k")
    assert "key" == DIALECT.key_query
    for name in ("x-goog-api-key", "authorization", "cookie", "x-goog-user-project", "x-http-method-override"):
        assert name in DIALECT.drops


def test_the_names_of_surfaces_and_their_places_are_unique() -> None:
    surfaces = DIALECT.surfaces

    assert len(surfaces) == len({surface.name for surface in surfaces})
    assert len(surfaces) == len({(surface.method, surface.path) for surface in surfaces})
