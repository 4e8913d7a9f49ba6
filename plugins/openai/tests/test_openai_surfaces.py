"""Surfaces, and the head of a request: which model, streamed or not, where to, under which name."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_openai.dialect import DIALECT, OpenAI

from relay.errors import Refused
from relay.testing.strategies import documents, json_sources
from relay.wire.dialect import Asked, ModelEntry

PARAMETERS = {
    "completion_id": "chatcmpl-1",
    "response_id": "resp_1",
    "conversation_id": "conv_1",
    "item_id": "msg_1",
    "file_id": "file-1",
    "upload_id": "upload_1",
    "batch_id": "batch_1",
    "vector_store_id": "vs_1",
    "container_id": "cntr_1",
    "model": "ft:gpt-4o:acme::1",
}
PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


def literal(path: str) -> int:
    return len(PARAMETER.sub("", path))


def matches(method: str, path: str) -> list[str]:
    """The surfaces a path could be, those with more literal characters first."""
    found = []
    for surface in DIALECT.surfaces:
        pattern = PARAMETER.sub(lambda parameter: ".+" if parameter[2] else "[^/]+", surface.path)
        if surface.method == method and re.fullmatch(pattern, path):
            found.append(surface)
    return [surface.name for surface in sorted(found, key=lambda surface: -literal(surface.path))]


def test_each_surface_is_what_its_own_path_matches_best() -> None:
    for surface in DIALECT.surfaces:
        path = PARAMETER.sub(lambda parameter: PARAMETERS[parameter[1]], surface.path)

        assert surface.name == matches(surface.method, path)[0]


def test_names_are_unique_and_no_two_templates_are_alike() -> None:
    names = Counter(surface.name for surface in DIALECT.surfaces)
    templates = Counter((surface.method, PARAMETER.sub("{}", surface.path)) for surface in DIALECT.surfaces)

    assert {1} == set(names.values())
    assert {1} == set(templates.values())


def test_every_id_in_a_path_belongs_to_somebody() -> None:
    # An item belongs to its conversation, a container's file to its container, a store's batch to its store; a model to nobody.
    for surface in DIALECT.surfaces:
        ids = {parameter[0] for parameter in PARAMETER.findall(surface.path)} - {"item_id", "model"}
        ids -= {"file_id"} if surface.name.startswith("containers.files") else set()
        ids -= {"batch_id"} if surface.name.startswith("vector_stores.batches") else set()

        assert ids == set(surface.objects)


def test_what_is_made_is_listed_and_deleted_under_the_same_kind() -> None:
    made = {surface.creates for surface in DIALECT.surfaces if surface.creates}

    assert {surface.lists for surface in DIALECT.surfaces if surface.lists} <= made
    assert all(surface.method == "DELETE" for surface in DIALECT.surfaces if surface.deletes)


def test_what_costs_is_known() -> None:
    generating = {surface.name for surface in DIALECT.surfaces if surface.generates}

    assert {
        "chat",
        "completions",
        "responses",
        "responses.compact",
        "embeddings",
        "moderations",
        "rerank",
        "images.generations",
        "images.edits",
        "images.variations",
        "audio.speech",
        "audio.transcriptions",
        "audio.translations",
        "batches.create",
        "vector_stores.search",
        "realtime",
    } == generating


def test_a_surface_s_place_is_its_path_behind_a_base_url_that_ends_in_v1(kit: Any) -> None:
    for surface in DIALECT.surfaces:
        expected = PARAMETER.sub(lambda parameter: PARAMETERS[parameter[1]], surface.path).removeprefix("/v1")

        assert expected == DIALECT.place(surface, PARAMETERS, "", None).partition("?")[0]


def test_the_client_s_query_is_kept_without_keys(kit: Any) -> None:
    place = DIALECT.place(kit.surface("responses"), {}, "beta=true&api-key=s3cret&include%5B%5D=a&KEY=s3cret&", None)

    assert "/responses?beta=true&include%5B%5D=a" == place


def test_a_session_is_asked_for_under_the_target_s_model(kit: Any) -> None:
    place = DIALECT.place(kit.surface("realtime"), {}, "model=alias&intent=x", "org/gpt&realtime")

    assert "/realtime?model=org%2Fgpt%26realtime&intent=x" == place


@pytest.mark.parametrize("id", ["..", ".", "", "a/b", "a?b", "a#b", "a%2e", "a b", "a\r\nb", "é", "a\\b", "a;b"])
def test_an_id_that_could_lead_elsewhere_is_refused(kit: Any, id: str) -> None:
    with pytest.raises(Refused) as refused:
        DIALECT.place(kit.surface("files.content"), {"file_id": id}, "", None)

    assert "invalid_path" == refused.value.code


@pytest.mark.parametrize("model", ["../files", "a//b", "/a", "a/", "a?b=c", "a#", ""])
def test_a_model_that_could_lead_elsewhere_is_refused(kit: Any, model: str) -> None:
    with pytest.raises(Refused, match="invalid_path"):
        DIALECT.place(kit.surface("models.get"), {"model": model}, "", None)


@pytest.mark.parametrize(
    ("name", "params", "query", "document", "expected"),
    [
        ("chat", {}, "", {"model": "m", "stream": True}, Asked("m", True)),
        ("chat", {}, "", {"model": "m", "stream": None}, Asked("m", False)),
        ("responses", {}, "", {"model": "m", "input": "x", "stream": True}, Asked("m", True)),
        ("responses", {}, "", {"prompt": {"id": "pmpt_1"}}, Asked(None, False)),
        ("responses", {}, "", {"model": "m", "prompt": {"id": "pmpt_1"}}, Asked("m", False)),
        ("responses.retrieve", {"response_id": "r"}, "stream=true&starting_after=4", None, Asked(None, True)),
        ("responses.retrieve", {"response_id": "r"}, "", None, Asked(None, False)),
        ("responses.input_tokens", {}, "", {"input": "x"}, Asked(None, False)),
        ("moderations", {}, "", {"input": "x"}, Asked(None, False)),
        ("images.generations", {}, "", {"prompt": "x", "stream": True}, Asked(None, True)),
        ("images.edits", {}, "", {"prompt": "x", "stream": "true", "model": "gpt-image-1"}, Asked("gpt-image-1", True)),
        ("audio.transcriptions", {}, "", {"model": "whisper-1"}, Asked("whisper-1", False)),
        ("audio.speech", {}, "", {"model": "tts-1", "input": "x", "stream_format": "sse"}, Asked("tts-1", True)),
        ("files.create", {}, "", {"purpose": "batch", "model": "x"}, Asked(None, False)),
        ("batches.create", {}, "", {"input_file_id": "file-1"}, Asked(None, False)),
        ("uploads.complete", {"upload_id": "u"}, "", {"part_ids": []}, Asked(None, False)),
        ("conversations.create", {}, "", None, Asked(None, False)),
        ("models.get", {"model": "org/m"}, "", None, Asked("org/m", False)),
        ("realtime", {}, "model=gpt%2Drealtime", None, Asked("gpt-realtime", False)),
        ("realtime", {}, "intent=transcription", None, Asked(None, False)),
    ],
)
def test_model_and_stream_are_read_where_they_stand(
    kit: Any, name: str, params: dict[str, str], query: str, document: Any, expected: Asked
) -> None:
    assert expected == DIALECT.ask(kit.surface(name), params, query, document)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("chat", None),
        ("chat", []),
        ("chat", "model"),
        ("chat", {}),
        ("chat", {"model": ""}),
        ("chat", {"model": 7}),
        ("chat", {"model": None}),
        ("chat", {"model": "m", "stream": 1}),
        ("chat", {"model": "m", "stream": "true"}),
        ("chat", {"prompt": {"id": "x"}}),
        ("responses", {"input": "x"}),
        ("moderations", {"model": 7}),
        ("audio.transcriptions", {}),
        ("audio.transcriptions", None),
        ("conversations.create", []),
    ],
)
def test_what_cannot_be_a_request_is_refused(kit: Any, name: str, document: Any) -> None:
    with pytest.raises(Refused) as refused:
        DIALECT.ask(kit.surface(name), {}, "", document)

    assert "bad_request" == refused.value.code


@given(
    json_sources(st.dictionaries(st.sampled_from(["a", "b"]), documents()).map(lambda body: {**body, "model": "alias"}))
)
def test_another_model_s_name_is_all_that_changes(kit: Any, body: bytes) -> None:
    document = orjson.loads(body)

    renamed = DIALECT.rename(kit.surface("chat"), body, document, 'org/"real"')

    assert {**document, "model": 'org/"real"'} == orjson.loads(renamed)
    assert len(body) - len(b"alias") == len(renamed) - len(b'org/\\"real\\"')


@pytest.mark.parametrize("body", [b'{"model":"a","model":"b"}', b'{"model":"a","mod\\u0065l":"b"}'])
def test_a_model_that_is_named_twice_is_refused(kit: Any, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        DIALECT.rename(kit.surface("chat"), body, orjson.loads(body), "c")

    assert "ambiguous_body" == refused.value.code


def test_where_no_model_is_named_there_is_none_to_rename(kit: Any) -> None:
    for name, body in (
        ("responses", b'{"prompt":{"id":"p"}}'),
        ("batches.create", b'{"model":"a"}'),
        ("chat", b'{"model": "c"}'),
    ):
        assert body == DIALECT.rename(kit.surface(name), body, orjson.loads(body), "c")


def test_only_openai_s_own_headers_are_claimed() -> None:
    assert not DIALECT.claims({"authorization": "Bearer x", "user-agent": "curl/8"}, "")
    assert not DIALECT.claims({"user-agent": "Anthropic/Python 1", "x-stainless-lang": "python"}, "")
    assert DIALECT.claims({"openai-beta": "realtime=v1"}, "")
    assert DIALECT.claims({"user-agent": "AsyncOpenAI/Python 3.54.0"}, "")


def test_no_key_or_account_goes_to_a_provider_and_none_comes_back() -> None:
    assert {"authorization", "api-key", "x-api-key", "cookie", "openai-organization", "openai-project"} <= set(
        DIALECT.drops
    )
    for name in ("openai-organization", "set-cookie", "server", "cf-ray", "openai-project"):
        assert not any(
            name == passed or (passed.endswith("-") and name.startswith(passed)) for passed in DIALECT.passes
        )
    assert (("authorization", "Bearer s"),) == DIALECT.sign("s")


def test_models_are_listed_in_openai_s_words(kit: Any) -> None:
    entries = [ModelEntry("gpt-4o", "openai", 7), ModelEntry("claude")]

    listed = orjson.loads(DIALECT.models(kit.surface("models"), entries))
    single = orjson.loads(DIALECT.models(kit.surface("models.get"), entries[:1]))

    assert {"id": "gpt-4o", "object": "model", "created": 7, "owned_by": "openai"} == single
    assert ("list", ["gpt-4o", "claude"]) == (listed["object"], [entry["id"] for entry in listed["data"]])


def test_the_objects_of_a_list_are_found_with_their_places(kit: Any) -> None:
    answer = {"object": "list", "data": [{"id": "file-1"}, {"object": "file"}, {"id": "file-2"}]}

    assert [("file-1", ("data", 0)), ("", ("data", 1)), ("file-2", ("data", 2))] == DIALECT.list_items(
        kit.surface("files.list"), answer
    )
    assert () == DIALECT.list_items(kit.surface("models"), answer)


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        ("responses", {}, True),
        ("responses", {"store": False}, False),
        ("chat", {}, False),
        ("chat", {"store": True}, True),
        ("chat", {"modalities": ["text", "audio"]}, True),
        ("files.create", None, True),
        ("embeddings", {}, False),
    ],
)
def test_ids_are_worth_noting_only_where_something_is_kept(kit: Any, name: str, document: Any, expected: bool) -> None:
    assert expected == OpenAI().keeps(kit.surface(name), document)
