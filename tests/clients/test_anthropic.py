"""Anthropic's client for Python."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from .served import Served, eventually

MODEL = "claude-sonnet-4-6"
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Place(BaseModel):
    name: str
    inhabitants: int


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_message_is_answered(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model=MODEL, max_tokens=100, system="Be brief", messages=said("[[sim say=Briefly.]]")
    )

    assert "text" == answer.content[0].type
    assert "Briefly." == answer.content[0].text
    assert "end_turn" == answer.stop_reason
    assert answer.usage.input_tokens > 0
    assert answer._request_id is not None


def test_a_message_is_streamed(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model=MODEL, max_tokens=100, messages=said("[[sim say=數據 in pieces]]")
    ) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()

    assert len(pieces) > 1
    assert "數據 in pieces" == "".join(pieces)
    assert "end_turn" == final.stop_reason
    assert final.usage.output_tokens > 0


async def test_the_asynchronous_client_streams_plain_events(relay: Served) -> None:
    async with anthropic.AsyncAnthropic(base_url=relay.url, api_key=relay.keys["one"]) as client:
        stream = await client.messages.create(
            model=MODEL, max_tokens=100, messages=said("[[sim say=at once]]"), stream=True
        )
        kinds = [event.type async for event in stream]

    assert ("message_start", "message_stop") == (kinds[0], kinds[-1])


def test_a_bearer_token_is_a_key_too(relay: Served) -> None:
    with anthropic.Anthropic(base_url=relay.url, api_key=None, auth_token=relay.keys["one"]) as client:
        answer = client.messages.create(model=MODEL, max_tokens=10, messages=said("Hi"))

    assert answer.content


def test_a_tool_is_called_and_its_result_answered(anthropic_client: anthropic.Anthropic) -> None:
    asked = said("Is it sunny in Taipei?")
    first = anthropic_client.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=asked,
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    )
    call = next(block for block in first.content if block.type == "tool_use")
    result: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "27"}]}
    second = anthropic_client.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=[*asked, {"role": "assistant", "content": first.content}, result],
        tools=[WEATHER],
    )

    assert "tool_use" == first.stop_reason
    assert ["city"] == list(call.input)
    assert "end_turn" == second.stop_reason


def test_tool_arguments_are_streamed(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model=MODEL, max_tokens=100, messages=said("[[sim tool=get_weather]] Sunny?"), tools=[WEATHER]
    ) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()

    call = next(block for block in final.content if block.type == "tool_use")
    assert json.loads("".join(pieces)) == call.input
    assert ["city"] == list(call.input)


@pytest.mark.parametrize("streamed", [False, True])
def test_thinking_comes_with_its_signature(anthropic_client: anthropic.Anthropic, streamed: bool) -> None:
    asked: Any = {
        "model": MODEL,
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": said("Think first [[sim reasoning=30]]"),
    }

    if streamed:
        with anthropic_client.messages.stream(**asked) as stream:
            answer: Any = stream.get_final_message()
    else:
        answer = anthropic_client.messages.create(**asked)

    assert ["thinking", "text"] == [block.type for block in answer.content]
    assert answer.content[0].thinking
    assert answer.content[0].signature


def test_an_answer_is_parsed_into_the_users_own_model(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.parse(model=MODEL, max_tokens=200, messages=said("Taipei"), output_format=Place)

    assert isinstance(answer.parsed_output, Place)


def test_cached_tokens_are_told_apart(anthropic_client: anthropic.Anthropic) -> None:
    system: Any = [{"type": "text", "text": "A long instruction. " * 50, "cache_control": {"type": "ephemeral"}}]

    answer = anthropic_client.messages.create(model=MODEL, max_tokens=50, system=system, messages=said("Hi"))

    assert (answer.usage.cache_creation_input_tokens or 0) > 0


def test_tokens_are_counted(anthropic_client: anthropic.Anthropic) -> None:
    counted = anthropic_client.messages.count_tokens(model=MODEL, messages=said("How many are these?"))

    assert counted.input_tokens > 0


def test_a_batch_of_messages_runs_and_its_results_come_through_the_relay(
    anthropic_client: anthropic.Anthropic, relay: Served
) -> None:
    batches = anthropic_client.messages.batches
    params: Any = {"model": MODEL, "max_tokens": 50, "messages": said("[[sim say=in a batch]]")}
    made = batches.create(requests=[{"custom_id": "a", "params": params}])

    found = batches.retrieve(made.id)
    listed = [each.id for each in batches.list()]
    results: Any = list(batches.results(made.id))
    line = eventually(lambda: relay.last("one", "completed", "anthropic", "batches.results"))
    gone = batches.delete(made.id)

    assert "ended" == found.processing_status
    assert f"/v1/messages/batches/{made.id}/results" == found.results_url
    assert line["usage"]
    assert made.id in listed
    assert "in a batch" == results[0].result.message.content[0].text
    assert made.id == gone.id
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(made.id)


def test_a_batch_of_messages_is_cancelled(anthropic_client: anthropic.Anthropic) -> None:
    params: Any = {"model": MODEL, "max_tokens": 50, "messages": said("Hi")}
    made = anthropic_client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])

    assert "canceling" == anthropic_client.messages.batches.cancel(made.id).processing_status


def test_a_file_is_stored_listed_used_and_deleted(anthropic_client: anthropic.Anthropic) -> None:
    files = anthropic_client.beta.files
    made = files.upload(file=("a.txt", b"The word is plum.", "text/plain"))
    document: Any = [
        {"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": made.id}}]}
    ]

    found = files.retrieve_metadata(made.id)
    listed = [each.id for each in files.list()]
    answer = anthropic_client.beta.messages.create(
        model=MODEL, max_tokens=50, messages=document, betas=["files-api-2025-04-14"]
    )
    gone = files.delete(made.id)

    assert made.id == found.id
    assert made.id in listed
    assert answer.content
    assert made.id == gone.id
    with pytest.raises(anthropic.NotFoundError):
        files.retrieve_metadata(made.id)


def test_the_models_a_key_may_use_are_listed(relay: Served) -> None:
    with anthropic.Anthropic(base_url=relay.url, api_key=relay.keys["narrow"]) as client:
        listed = [model.id for model in client.models.list()]
        one = client.models.retrieve(MODEL)
        with pytest.raises(anthropic.PermissionDeniedError):
            client.models.retrieve("gpt-4o")

    assert MODEL in listed
    assert "gpt-4o" not in listed
    assert MODEL == one.id
