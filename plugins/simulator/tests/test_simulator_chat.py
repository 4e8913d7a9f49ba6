"""OpenAI's own client talks to the provider: chat, completions, embeddings and what else is asked for words or numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam
from pydantic import BaseModel

from plugins.simulator.tests.conftest import Running

WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


async def test_the_same_question_has_the_same_answer(openai_client: openai.AsyncOpenAI) -> None:
    one: Any = await openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
    )
    two = await openai_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])

    assert one.choices[0].message.content == two.choices[0].message.content
    assert "Hello" in one.choices[0].message.content
    assert one.id != two.id
    assert one._request_id.startswith("req_")


async def test_usage_is_four_bytes_a_token(openai_client: openai.AsyncOpenAI) -> None:
    answer: Any = await openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[sim cached=100 reasoning=50 say=12345678]]"}]
    )

    assert "12345678" == answer.choices[0].message.content
    assert (111, 100) == (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens)
    assert (52, 50) == (answer.usage.completion_tokens, answer.usage.completion_tokens_details.reasoning_tokens)
    assert 163 == answer.usage.total_tokens


async def test_a_stream_tells_what_the_whole_answer_says(openai_client: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Grüße, 世界"}]}
    whole = await openai_client.chat.completions.create(**asked)

    stream = await openai_client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]

    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert whole.choices[0].message.content == told
    assert "assistant" == chunks[0].choices[0].delta.role
    assert "stop" == chunks[-2].choices[0].finish_reason
    assert whole.usage == chunks[-1].usage
    assert [] == chunks[-1].choices


async def test_usage_is_streamed_only_when_asked_for(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], stream=True
    )

    assert [None] == list({chunk.usage async for chunk in stream})


async def test_each_choice_has_its_own_words_and_index(openai_client: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "n": 3}
    answer = await openai_client.chat.completions.create(**asked)
    told = ["", "", ""]

    async for chunk in await openai_client.chat.completions.create(**asked, stream=True):
        told[chunk.choices[0].index] += chunk.choices[0].delta.content or ""

    assert [choice.message.content for choice in answer.choices] == told
    assert 3 == len(set(told))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_answered(openai_client: openai.AsyncOpenAI, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "The weather in Bern? [[sim tool=get_weather]]"}]
    answer: Any

    if stream:
        async with openai_client.chat.completions.stream(model="gpt-4o", messages=messages, tools=[WEATHER]) as events:
            answer = await events.get_final_completion()
    else:
        answer = await openai_client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])
    call = answer.choices[0].message.tool_calls[0]
    messages += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "Sunny"}]
    after = await openai_client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])

    assert "tool_calls" == answer.choices[0].finish_reason
    assert "get_weather" == call.function.name
    assert {"city": "The weather in Bern?"} == json.loads(call.function.arguments)
    assert "stop" == after.choices[0].finish_reason


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", None),
        ("auto", None),
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "other"}}, "other"),
    ],
)
async def test_the_tool_choice_is_obeyed(openai_client: openai.AsyncOpenAI, choice: Any, called: str | None) -> None:
    other: ChatCompletionFunctionToolParam = {
        "type": "function",
        "function": {"name": "other", "parameters": {"type": "object"}},
    }

    answer: Any = await openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], tools=[WEATHER, other], tool_choice=choice
    )

    calls = answer.choices[0].message.tool_calls
    assert called == (calls[0].function.name if calls else None)


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


async def test_a_structured_answer_fits_its_schema(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.parse(
        model="gpt-4o", messages=[{"role": "user", "content": "Ada"}], response_format=Person
    )

    assert Person(name="Ada", age=7, tags=["Ada"]) == answer.choices[0].message.parsed


async def test_a_refusal_is_a_refusal(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[sim refuse]]"}]
    )

    assert (None, "I cannot help with that.") == (answer.choices[0].message.content, answer.choices[0].message.refusal)


async def test_an_answer_ends_at_its_most_tokens_and_at_a_stop_sequence(openai_client: openai.AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "[[sim say=one two three four]]"}]

    short: Any = await openai_client.chat.completions.create(model="gpt-4o", messages=messages, max_completion_tokens=2)
    stopped = await openai_client.chat.completions.create(model="gpt-4o", messages=messages, stop=["three"])

    assert ("one two ", "length", 2) == (
        short.choices[0].message.content, short.choices[0].finish_reason, short.usage.completion_tokens,
    )  # fmt: skip
    assert ("one two ", "stop") == (stopped.choices[0].message.content, stopped.choices[0].finish_reason)


async def test_completions_answer_each_prompt(openai_client: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": ["[[sim say=one two]]", "b"]}
    answer = await openai_client.completions.create(**asked)
    told = ["", ""]

    async for chunk in await openai_client.completions.create(**asked, stream=True):
        told[chunk.choices[0].index] += chunk.choices[0].text

    assert [choice.text for choice in answer.choices] == told
    assert "one two" == told[0]


async def test_embeddings_are_unit_vectors_in_every_form(openai_client: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 64}

    packed = await openai_client.embeddings.create(**asked)
    plain = await openai_client.embeddings.create(**asked, encoding_format="float")
    numbers = await openai_client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3], [4]])

    assert [one.embedding for one in plain.data] == [one.embedding for one in packed.data]
    assert plain.data[0].embedding != plain.data[1].embedding
    assert math.isclose(1, sum(number**2 for number in plain.data[0].embedding), rel_tol=1e-5)
    assert 2 == plain.usage.total_tokens
    assert (4, 1536) == (numbers.usage.prompt_tokens, len(numbers.data[0].embedding))


async def test_moderations_flag_what_they_should(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.moderations.create(input=["flowers", "violence"])

    assert [False, True] == [result.flagged for result in answer.results]
    assert answer.results[1].categories.violence


async def test_rerank_puts_the_nearest_first(simulator: Running) -> None:
    asked: dict[str, Any] = {
        "model": "rerank-v3.5",
        "query": "red fox",
        "documents": ["a blue whale", "a red fox", "red paint"],
        "top_n": 2,
    }

    async with simulator.post("/openai/v1/rerank", asked) as response:
        answer = await response.json()

    assert [1, 2] == [result["index"] for result in answer["results"]]
    assert 10 == answer["usage"]["total_tokens"]


async def test_models_are_listed_and_any_name_is_one(openai_client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in await openai_client.models.list()]

    assert "gpt-4o" in names
    assert "whatever/one" == (await openai_client.models.retrieve("whatever/one")).id
