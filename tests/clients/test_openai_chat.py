"""OpenAI's client for Python: chat completions and plain completions."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from .served import Served

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Invitation(BaseModel):
    host: str
    guests: int
    dishes: list[str]


def test_a_chat_is_answered(openai_client: Any) -> None:
    answer = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "What is a relay? [[sim say=A runner.]]"}]
    )

    assert "A runner." == answer.choices[0].message.content
    assert "stop" == answer.choices[0].finish_reason
    assert "gpt-4o-mini" == answer.model
    assert answer.usage is not None
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens


def test_a_chat_is_streamed_word_by_word_with_its_usage_at_the_end(openai_client: Any) -> None:
    stream = openai_client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "[[sim say=數據 one two three events=6]] [[sim events=6]]"}],
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = list(stream)

    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "數據 one two three events=6" == "".join(texts)
    assert 6 == len(texts)
    assert ["stop"] == [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_the_asynchronous_client_streams_several_choices(relay: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "[[sim say=twice]]"}], n=2, stream=True
        )
        said = {0: "", 1: ""}
        async for chunk in stream:
            for choice in chunk.choices:
                said[choice.index] += choice.delta.content or ""

    assert {0: "twice", 1: "twice"} == said


def test_a_tool_is_called_and_its_result_answered(openai_client: Any) -> None:
    asked = [{"role": "user", "content": "Is it sunny in Taipei?"}]
    first = openai_client.chat.completions.create(
        model="gpt-4o-mini",
        messages=asked,
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    )
    call = first.choices[0].message.tool_calls[0]
    second = openai_client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            *asked,
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "27 degrees"},
        ],
        tools=[WEATHER],
    )

    assert "tool_calls" == first.choices[0].finish_reason
    assert call.type == "function"
    assert "get_weather" == call.function.name
    assert ["city"] == list(json.loads(call.function.arguments))
    assert "stop" == second.choices[0].finish_reason
    assert second.choices[0].message.content


def test_tool_arguments_are_streamed_in_pieces(openai_client: Any) -> None:
    with openai_client.chat.completions.stream(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "[[sim tool=get_weather]] Is it sunny in Taipei?"}],
        tools=[WEATHER],
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()

    call = final.choices[0].message.tool_calls[0]
    assert "tool_calls.function.arguments.delta" in kinds
    assert ["city"] == list(json.loads(call.function.arguments))


def test_an_answer_is_parsed_into_the_users_own_model(openai_client: Any) -> None:
    answer = openai_client.chat.completions.parse(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Invite them"}], response_format=Invitation
    )

    assert isinstance(answer.choices[0].message.parsed, Invitation)


def test_a_refusal_of_the_model_is_told_as_one(openai_client: Any) -> None:
    answer = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "[[sim refuse]]"}]
    )

    assert answer.choices[0].message.refusal


@pytest.mark.parametrize("streamed", [False, True])
def test_the_old_completions_are_answered(openai_client: Any, streamed: bool) -> None:
    answer = openai_client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="[[sim say=the end]]", stream=streamed
    )

    pieces = list(answer) if isinstance(answer, openai.Stream) else [answer]
    assert "the end" == "".join(choice.text for piece in pieces for choice in piece.choices)
