"""OpenAI's client for Python: files, uploads in parts, batches, and the models a key may use."""

from __future__ import annotations

import io
import json
from typing import Any

import openai
import pytest

from .served import Served


def test_a_file_is_stored_listed_read_and_deleted(openai_client: Any) -> None:
    files = openai_client.files
    made = files.create(file=b'{"prompt": "a"}\n', purpose="fine-tune")

    found = files.retrieve(made.id)
    listed = [each.id for each in files.list()]
    content = files.content(made.id).read()
    gone = files.delete(made.id)

    assert made == found
    assert made.id in listed
    assert b'{"prompt": "a"}\n' == content
    assert gone.deleted
    assert made.id not in [each.id for each in files.list()]
    with pytest.raises(openai.NotFoundError):
        files.retrieve(made.id)


def test_a_file_larger_than_what_is_read_ahead_arrives_whole(openai_client: Any) -> None:
    data = bytes(range(256)) * 2048

    made = openai_client.files.create(file=("a.bin", io.BytesIO(data)), purpose="user_data")

    assert len(data) == made.bytes
    assert data == openai_client.files.content(made.id).read()


def test_an_upload_in_parts_becomes_a_file(openai_client: Any) -> None:
    uploads = openai_client.uploads
    upload = uploads.create(bytes=10, filename="a.txt", mime_type="text/plain", purpose="user_data")
    first = uploads.parts.create(upload.id, data=b"01234")
    second = uploads.parts.create(upload.id, data=b"56789")

    done = uploads.complete(upload.id, part_ids=[first.id, second.id])

    assert done.file is not None
    assert b"0123456789" == openai_client.files.content(done.file.id).read()


def test_an_upload_is_cancelled(openai_client: Any) -> None:
    upload = openai_client.uploads.create(bytes=10, filename="a", mime_type="text/plain", purpose="user_data")

    assert "cancelled" == openai_client.uploads.cancel(upload.id).status


def test_a_batch_runs_and_its_results_are_read(openai_client: Any) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "[[sim say=in a batch]]"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = openai_client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
    made = openai_client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    found = openai_client.batches.retrieve(made.id)
    listed = [each.id for each in openai_client.batches.list()]
    results = openai_client.files.content(found.output_file_id or "").text

    assert "completed" == found.status
    assert made.id in listed
    assert "in a batch" in results


def test_a_batch_is_cancelled(openai_client: Any) -> None:
    file = openai_client.files.create(file=("in.jsonl", b"{}"), purpose="batch")
    made = openai_client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    assert openai_client.batches.cancel(made.id).status in ("cancelling", "cancelled")


def test_the_models_that_are_offered_are_listed(openai_client: Any) -> None:
    listed = [model.id for model in openai_client.models.list()]

    assert {"gpt-4o", "gpt-4o-mini"} <= set(listed)
    assert "gpt-4o" == openai_client.models.retrieve("gpt-4o").id


def test_a_key_sees_only_the_models_that_it_may_use(relay: Served) -> None:
    with openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["narrow"]) as client:
        listed = {model.id for model in client.models.list()}
        with pytest.raises(openai.PermissionDeniedError):
            client.models.retrieve("gpt-4o")

    assert "gpt-4o-mini" in listed
    assert "gpt-4o" not in listed
