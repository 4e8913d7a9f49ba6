"""OpenAI's own client talks to the provider: responses and conversations."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.responses import FunctionToolParam

from plugins.simulator.tests.conftest import Running

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


async def test_a_response_is_kept_found_and_deleted(openai_client: openai.AsyncOpenAI) -> None:
    made = await openai_client.responses.create(model="gpt-4o", input="Hello")

    found = await openai_client.responses.retrieve(made.id)
    items: list[Any] = [item async for item in openai_client.responses.input_items.list(made.id)]
    await openai_client.responses.delete(made.id)

    assert made == found
    assert "Hello" == items[0].content[0].text
    with pytest.raises(openai.NotFoundError):
        await openai_client.responses.retrieve(made.id)


async def test_what_is_not_stored_is_not_found(openai_client: openai.AsyncOpenAI) -> None:
    made = await openai_client.responses.create(model="gpt-4o", input="Hello", store=False)

    with pytest.raises(openai.NotFoundError):
        await openai_client.responses.retrieve(made.id)


@pytest.mark.parametrize(
    "asked",
    [
        {"input": "Hello"},
        {"input": "Hello", "reasoning": {"effort": "low", "summary": "auto"}},
        {"input": "[[sim refuse]]"},
        {"input": "get_weather in Bern", "tools": [WEATHER]},
        {"input": "[[sim say=one two three four]]", "max_output_tokens": 2},
    ],
)
async def test_the_events_of_a_stream_build_the_response_in_order(
    openai_client: openai.AsyncOpenAI, asked: dict[str, Any]
) -> None:
    stream = await openai_client.responses.create(model="gpt-4o", stream=True, **asked)
    events = [event async for event in stream]

    final = events[-1].response
    found = await openai_client.responses.retrieve(final.id)
    told = "".join(event.delta for event in events if event.type.endswith(".delta") and "summary" not in event.type)
    item = final.output[-1]
    said = (
        item.arguments
        if item.type == "function_call"
        else "".join(getattr(part, "text", None) or part.refusal for part in item.content)
    )
    assert list(range(len(events))) == [event.sequence_number for event in events]
    assert ["response.created", "response.in_progress", "response.output_item.added"] == [
        event.type for event in events[:3]
    ]
    assert f"response.{final.status}" == events[-1].type
    assert said == told
    assert found == final


async def test_the_clients_own_stream_reader_understands_the_events(openai_client: openai.AsyncOpenAI) -> None:
    async with openai_client.responses.stream(model="gpt-4o", input="get_weather", tools=[WEATHER]) as stream:
        final: Any = await stream.get_final_response()

    assert {"city": "get_weather"} == json.loads(final.output[0].arguments)


async def test_a_background_response_is_queued_then_complete_and_counts_once(
    openai_client: openai.AsyncOpenAI, simulator: Running
) -> None:
    made = await openai_client.responses.create(model="gpt-4o", input="[[sim say=abcd]]", background=True)

    first: Any = await openai_client.responses.retrieve(made.id)
    second = await openai_client.responses.retrieve(made.id)

    assert ("queued", None) == (made.status, made.usage)
    assert "completed" == first.status == second.status
    sums = (await simulator.tally())["total"]
    assert first.usage.total_tokens == sums["reported"]["total_tokens"] == sum(sums["served"].values())


async def test_a_background_response_can_be_cancelled(openai_client: openai.AsyncOpenAI) -> None:
    made = await openai_client.responses.create(model="gpt-4o", input="Hello", background=True)

    cancelled = await openai_client.responses.cancel(made.id)

    assert "cancelled" == cancelled.status == (await openai_client.responses.retrieve(made.id)).status


async def test_a_kept_response_is_streamed_again_from_where_it_was_left(openai_client: openai.AsyncOpenAI) -> None:
    made = await openai_client.responses.create(model="gpt-4o", input="Hello", background=True)

    stream = await openai_client.responses.retrieve(made.id, stream=True, starting_after=2)
    events = [event async for event in stream]

    assert 3 == events[0].sequence_number
    assert "response.completed" == events[-1].type


async def test_an_earlier_response_must_exist_and_counts_as_input(openai_client: openai.AsyncOpenAI) -> None:
    first = await openai_client.responses.create(model="gpt-4o", input="[[sim say=12345678]]")

    second: Any = await openai_client.responses.create(model="gpt-4o", input="abcd", previous_response_id=first.id)

    assert 8 == second.usage.input_tokens
    with pytest.raises(openai.BadRequestError) as refused:
        await openai_client.responses.create(model="gpt-4o", input="Hello", previous_response_id="resp_none")
    assert "previous_response_not_found" == refused.value.code


async def test_input_tokens_are_counted_without_an_answer(openai_client: openai.AsyncOpenAI) -> None:
    counted = await openai_client.responses.input_tokens.count(model="gpt-4o", input="12345")

    assert 2 == counted.input_tokens


async def test_encrypted_reasoning_comes_when_it_is_asked_for(openai_client: openai.AsyncOpenAI) -> None:
    made: Any = await openai_client.responses.create(
        model="gpt-5", input="Hello", store=False, include=["reasoning.encrypted_content"]
    )

    assert made.output[0].encrypted_content
    assert 16 == made.usage.output_tokens_details.reasoning_tokens


async def test_a_structured_response_fits_its_schema(openai_client: openai.AsyncOpenAI) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 40}},
        "required": ["n"],
    }

    made = await openai_client.responses.create(
        model="gpt-4o", input="Hello", text={"format": {"type": "json_schema", "name": "number", "schema": schema}}
    )

    assert {"n": 40} == json.loads(made.output_text)


async def test_a_stream_that_fails_says_so_twice_as_the_provider_does(simulator: Running) -> None:
    asked = {"model": "gpt-4o", "input": "[[sim error_in_stream=3]]", "stream": True}

    async with simulator.post("/openai/v1/responses", asked) as response:
        kinds = [line[7:].decode().strip() async for line in response.content if line.startswith(b"event: ")]

    assert ["error", "response.failed"] == kinds[3:]


async def test_a_conversation_grows_with_its_responses(openai_client: openai.AsyncOpenAI) -> None:
    conversation = await openai_client.conversations.create(
        metadata={"a": "b"}, items=[{"type": "message", "role": "user", "content": "First"}]
    )
    await openai_client.responses.create(model="gpt-4o", input="Second", conversation=conversation.id)
    await openai_client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "Third"}]
    )

    items: list[Any] = [item async for item in openai_client.conversations.items.list(conversation.id, order="asc")]
    await openai_client.conversations.items.delete(items[0].id, conversation_id=conversation.id)
    updated = await openai_client.conversations.update(conversation.id, metadata={"c": "d"})
    found = await openai_client.conversations.items.retrieve(items[1].id, conversation_id=conversation.id)
    deleted = await openai_client.conversations.delete(conversation.id)

    assert ["First", "Second", "Third"] == [items[at].content[0].text for at in (0, 1, 3)]
    assert "assistant" == items[2].role
    assert {"c": "d"} == updated.metadata
    assert items[1] == found
    assert deleted.deleted
    with pytest.raises(openai.NotFoundError):
        await openai_client.conversations.retrieve(conversation.id)
