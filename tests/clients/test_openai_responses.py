"""OpenAI's client for Python: responses and the conversations they stand in."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from .served import Served

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Place(BaseModel):
    name: str
    inhabitants: int


def test_a_response_is_made_found_continued_and_deleted(openai_client: Any) -> None:
    responses = openai_client.responses
    made = responses.create(model="gpt-4o-mini", input="Remember the word plum. [[sim say=I shall.]]")

    found = responses.retrieve(made.id)
    items = list(responses.input_items.list(made.id))
    next_one = responses.create(model="gpt-4o-mini", input="Which word?", previous_response_id=made.id)
    responses.delete(made.id)

    assert "I shall." == made.output_text == found.output_text
    assert ["message"] == [item.type for item in items]
    assert made.usage is not None
    assert next_one.usage is not None
    assert made.id == next_one.previous_response_id
    assert next_one.usage.input_tokens > 5
    with pytest.raises(openai.NotFoundError):
        responses.retrieve(made.id)


def test_a_response_is_streamed_as_typed_events(openai_client: Any) -> None:
    with openai_client.responses.stream(model="gpt-4o-mini", input="[[sim say=one two]]") as stream:
        events = list(stream)
        final = stream.get_final_response()

    assert ("response.created", "response.completed") == (events[0].type, events[-1].type)
    assert "one two" == "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "one two" == final.output_text
    assert final.id == openai_client.responses.retrieve(final.id).id


def test_a_response_calls_a_tool_and_takes_its_result(openai_client: Any) -> None:
    first = openai_client.responses.create(
        model="gpt-4o-mini",
        input="[[sim tool=get_weather]] Is it sunny in Taipei?",
        tools=[TOOL],
    )
    call = next(item for item in first.output if item.type == "function_call")
    second = openai_client.responses.create(
        model="gpt-4o-mini",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "27 degrees"}],
        tools=[TOOL],
    )

    assert ["city"] == list(json.loads(call.arguments))
    assert second.output_text


def test_tool_arguments_are_streamed(openai_client: Any) -> None:
    stream = openai_client.responses.create(
        model="gpt-4o-mini",
        input="[[sim tool=get_weather]] Is it sunny?",
        tools=[TOOL],
        stream=True,
    )

    pieces = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]

    assert ["city"] == list(json.loads("".join(pieces)))


def test_a_response_is_parsed_into_the_users_own_model(openai_client: Any) -> None:
    answer = openai_client.responses.parse(model="gpt-4o-mini", input="Taipei", text_format=Place)

    assert isinstance(answer.output_parsed, Place)


def test_reasoning_is_counted(openai_client: Any) -> None:
    answer = openai_client.responses.create(
        model="gpt-5", input="Think [[sim reasoning=40]]", reasoning={"effort": "low", "summary": "auto"}
    )

    assert answer.usage is not None
    assert 40 == answer.usage.output_tokens_details.reasoning_tokens
    assert "reasoning" in [item.type for item in answer.output]


def test_a_background_response_is_cancelled(openai_client: Any) -> None:
    made = openai_client.responses.create(model="gpt-4o-mini", input="Take your time", background=True)

    cancelled = openai_client.responses.cancel(made.id)

    assert "queued" == made.status
    assert "cancelled" == cancelled.status


def test_a_background_response_is_fetched_when_it_is_done(openai_client: Any) -> None:
    made = openai_client.responses.create(model="gpt-4o-mini", input="Later [[sim say=done]]", background=True)

    found = openai_client.responses.retrieve(made.id)
    again = openai_client.responses.retrieve(made.id, stream=True)

    assert "done" == found.output_text
    assert "response.completed" == [event.type for event in again][-1]


def test_input_tokens_are_counted(openai_client: Any) -> None:
    counted = openai_client.responses.input_tokens.count(model="gpt-4o-mini", input="How many are these?")

    assert counted.input_tokens > 0


def test_a_conversation_holds_what_was_said_in_it(openai_client: Any) -> None:
    conversations = openai_client.conversations
    made = conversations.create(
        items=[{"type": "message", "role": "user", "content": "The word is plum."}], metadata={"mark": "a"}
    )
    answer = openai_client.responses.create(model="gpt-4o-mini", input="Which word?", conversation=made.id)

    found = conversations.retrieve(made.id)
    updated = conversations.update(made.id, metadata={"mark": "b"})
    items = list(conversations.items.list(made.id, order="asc"))
    more = conversations.items.create(made.id, items=[{"type": "message", "role": "user", "content": "More"}])
    one = conversations.items.retrieve(more.data[0].id, conversation_id=made.id)
    conversations.items.delete(more.data[0].id, conversation_id=made.id)
    gone = conversations.delete(made.id)

    assert made.id == found.id
    assert {"mark": "b"} == updated.metadata
    assert 3 == len(items)
    assert answer.output[0].id == items[-1].id
    assert more.data[0].id == one.id
    assert gone.deleted
    with pytest.raises(openai.NotFoundError):
        conversations.retrieve(made.id)


async def test_the_asynchronous_client_streams_a_response(relay: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client:
        stream = await client.responses.create(model="gpt-4o-mini", input="[[sim say=at once]]", stream=True)
        said = [event.delta async for event in stream if event.type == "response.output_text.delta"]

    assert "at once" == "".join(said)
