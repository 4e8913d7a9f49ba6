"""Objects at providers have owners: another organisation's key gets the dialect's 404 on every route, and sees them in no list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from .served import Served

OPENAI_ROUTES = (
    ("GET", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/content"),
    ("DELETE", "/v1/files/{file}"),
    ("POST", "/v1/uploads/{upload}/parts"),
    ("POST", "/v1/uploads/{upload}/complete"),
    ("POST", "/v1/uploads/{upload}/cancel"),
    ("GET", "/v1/batches/{batch}"),
    ("POST", "/v1/batches/{batch}/cancel"),
    ("GET", "/v1/responses/{response}"),
    ("GET", "/v1/responses/{response}/input_items"),
    ("POST", "/v1/responses/{response}/cancel"),
    ("DELETE", "/v1/responses/{response}"),
    ("GET", "/v1/conversations/{conversation}"),
    ("POST", "/v1/conversations/{conversation}"),
    ("DELETE", "/v1/conversations/{conversation}"),
    ("GET", "/v1/conversations/{conversation}/items"),
    ("POST", "/v1/conversations/{conversation}/items"),
    ("GET", "/v1/conversations/{conversation}/items/item_1"),
    ("DELETE", "/v1/conversations/{conversation}/items/item_1"),
)
OPENAI_BODIES = (
    ("/v1/responses", {"model": "gpt-4o-mini", "input": "Hi", "previous_response_id": "{response}"}),
    ("/v1/responses", {"model": "gpt-4o-mini", "input": "Hi", "conversation": "{conversation}"}),
    ("/v1/responses", {"model": "gpt-4o-mini", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "{file}"}]}]}),
    ("/v1/batches", {"input_file_id": "{file}", "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
)  # fmt: skip
ANTHROPIC_ROUTES = (
    ("GET", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/content"),
    ("DELETE", "/v1/files/{file}"),
    ("GET", "/v1/messages/batches/{batch}"),
    ("GET", "/v1/messages/batches/{batch}/results"),
    ("POST", "/v1/messages/batches/{batch}/cancel"),
    ("DELETE", "/v1/messages/batches/{batch}"),
)
_VERSION = {"anthropic-version": "2023-06-01", "anthropic-beta": "files-api-2025-04-14"}


@pytest.fixture(scope="module")
def openai_objects(relay: Served) -> Iterator[dict[str, str]]:
    """One object of each kind, made with the key of the first organisation."""
    with openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client:
        file = client.files.create(file=b"{}\n", purpose="batch").id
        upload = client.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="user_data").id
        batch = client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h").id
        response = client.responses.create(model="gpt-4o-mini", input="Mine", background=True).id
        yield {
            "file": file,
            "upload": upload,
            "batch": batch,
            "response": response,
            "conversation": client.conversations.create().id,
        }


@pytest.fixture(scope="module")
def anthropic_objects(relay: Served) -> Iterator[dict[str, str]]:
    with anthropic.Anthropic(base_url=relay.url, api_key=relay.keys["one"]) as client:
        params: Any = {"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
        yield {
            "file": client.beta.files.upload(file=("a.txt", b"mine", "text/plain")).id,
            "batch": client.messages.batches.create(requests=[{"custom_id": "a", "params": params}]).id,
        }


@pytest.fixture
def other(relay: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=relay.url, headers={"authorization": f"Bearer {relay.keys['two']}"}) as client:
        yield client


def body_of(method: str, path: str) -> dict[str, Any]:
    if method != "POST":
        return {}
    return {"files": {"data": b"x"}} if path.endswith("/parts") else {"json": {}}


@pytest.mark.parametrize(("method", "path"), OPENAI_ROUTES)
def test_openai_objects_of_others_are_not_there(
    openai_objects: dict[str, str], other: httpx2.Client, method: str, path: str
) -> None:
    answer = other.request(method, path.format_map(openai_objects), **body_of(method, path))

    assert (404, "object_not_found") == (answer.status_code, answer.headers["x-relay-error"])
    assert "object_not_found" == answer.json()["error"]["code"]


@pytest.mark.parametrize(("path", "body"), OPENAI_BODIES)
def test_openai_requests_cannot_name_objects_of_others(
    openai_objects: dict[str, str], other: httpx2.Client, path: str, body: dict[str, Any]
) -> None:
    text = json.dumps(body)
    for kind, id in openai_objects.items():
        text = text.replace(f"{{{kind}}}", id)

    answer = other.post(path, content=text, headers={"content-type": "application/json"})

    assert (404, "object_not_found") == (answer.status_code, answer.headers["x-relay-error"])


@pytest.mark.parametrize(("kind", "path"), [("file", "/v1/files"), ("batch", "/v1/batches")])
def test_openai_lists_hold_only_what_is_ones_own(
    relay: Served, openai_objects: dict[str, str], other: httpx2.Client, kind: str, path: str
) -> None:
    theirs = other.get(path)
    own = httpx2.get(relay.url + path, headers={"authorization": f"Bearer {relay.keys['one']}"})

    assert openai_objects[kind] in own.text
    assert 200 == theirs.status_code
    assert openai_objects[kind] not in theirs.text


@pytest.mark.parametrize(("method", "path"), ANTHROPIC_ROUTES)
def test_anthropic_objects_of_others_are_not_there(
    anthropic_objects: dict[str, str], other: httpx2.Client, method: str, path: str
) -> None:
    answer = other.request(method, path.format_map(anthropic_objects), headers=_VERSION)

    assert (404, "object_not_found") == (answer.status_code, answer.headers["x-relay-error"])
    assert ("error", "not_found_error") == (answer.json()["type"], answer.json()["error"]["type"])


def test_anthropic_messages_cannot_name_files_of_others(
    anthropic_objects: dict[str, str], other: httpx2.Client
) -> None:
    source = {"type": "file", "file_id": anthropic_objects["file"]}
    asked = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "document", "source": source}]}],
    }

    answer = other.post("/v1/messages", json=asked, headers=_VERSION)

    assert (404, "object_not_found") == (answer.status_code, answer.headers["x-relay-error"])


@pytest.mark.parametrize(("kind", "path"), [("file", "/v1/files"), ("batch", "/v1/messages/batches")])
def test_anthropic_lists_hold_only_what_is_ones_own(
    relay: Served, anthropic_objects: dict[str, str], other: httpx2.Client, kind: str, path: str
) -> None:
    theirs = other.get(path, headers=_VERSION)
    own = httpx2.get(relay.url + path, headers={**_VERSION, "authorization": f"Bearer {relay.keys['one']}"})

    assert anthropic_objects[kind] in own.text
    assert 200 == theirs.status_code
    assert anthropic_objects[kind] not in theirs.text


def test_gemini_requests_cannot_name_files_of_others(other: httpx2.Client) -> None:
    part = {
        "fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc", "mimeType": "text/plain"}
    }

    answer = other.post(
        "/v1beta/models/gemini-2.5-pro:generateContent", json={"contents": [{"role": "user", "parts": [part]}]}
    )

    assert (404, "object_not_found") == (answer.status_code, answer.headers["x-relay-error"])
    assert "NOT_FOUND" == answer.json()["error"]["status"]


def test_another_key_of_the_same_organisation_sees_its_objects(relay: Served, openai_objects: dict[str, str]) -> None:
    answer = httpx2.get(
        f"{relay.url}/v1/files/{openai_objects['file']}", headers={"authorization": f"Bearer {relay.keys['one too']}"}
    )

    assert 200 == answer.status_code


def test_what_the_owner_asks_for_is_still_there(relay: Served, openai_objects: dict[str, str]) -> None:
    with openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client:
        assert client.files.retrieve(openai_objects["file"]).id
        assert client.batches.retrieve(openai_objects["batch"]).id
        assert client.responses.retrieve(openai_objects["response"]).id
        assert client.conversations.retrieve(openai_objects["conversation"]).id
