"""Anthropic's own client talks to the provider."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic.types import ToolParam

from plugins.simulator.tests.conftest import Running

WEATHER: ToolParam = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def asked(text: Any, **more: Any) -> dict[str, Any]:
    return {"model": "claude-sonnet-4-6", "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}


async def test_a_message_is_answered_with_its_usage(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await anthropic_client.messages.create(**asked("[[sim cached=100 say=12345678]]"))

    assert ("12345678", "end_turn") == (answer.content[0].text, answer.stop_reason)
    assert (8, 100, 0, 2) == (
        answer.usage.input_tokens,
        answer.usage.cache_read_input_tokens,
        answer.usage.cache_creation_input_tokens,
        answer.usage.output_tokens,
    )
    assert answer._request_id.startswith("req_")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"tools": [WEATHER], "tool_choice": {"type": "any"}},
        {"stop_sequences": ["said"]},
        {"max_tokens": 2},
    ],
)
async def test_a_stream_builds_the_same_message(
    anthropic_client: anthropic.AsyncAnthropic, more: dict[str, Any]
) -> None:
    whole = await anthropic_client.messages.create(**asked("Grüße, 世界", **more))

    async with anthropic_client.messages.stream(**asked("Grüße, 世界", **more)) as stream:
        told = await stream.get_final_message()

    def but_ids(message: Any) -> list[dict[str, Any]]:
        return [{**block.model_dump(exclude={"parsed_output"}), "id": None} for block in message.content]

    assert but_ids(whole) == but_ids(told)
    assert (whole.stop_reason, whole.stop_sequence) == (told.stop_reason, told.stop_sequence)
    assert whole.usage.output_tokens == told.usage.output_tokens
    assert whole.usage.input_tokens == told.usage.input_tokens


async def test_the_events_come_in_their_order(anthropic_client: anthropic.AsyncAnthropic) -> None:
    stream = await anthropic_client.messages.create(**asked("[[sim events=2]] Hello", stream=True))

    kinds = [event.type async for event in stream]

    # The client itself leaves the ping out.
    middle = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    assert ["message_start", *middle, "message_delta", "message_stop"] == [kind for kind in kinds if kind != "ping"]


async def test_thinking_is_signed_and_counted(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await anthropic_client.messages.create(**asked("[[sim reasoning=50 say=abcd]]"))

    assert ["thinking", "text"] == [block.type for block in answer.content]
    assert answer.content[0].signature
    assert (51, 50) == (answer.usage.output_tokens, answer.usage.output_tokens_details.thinking_tokens)


async def test_a_tool_is_called_and_its_result_answered(anthropic_client: anthropic.AsyncAnthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": "Bern [[sim tool=get_weather]]"}]
    first = await anthropic_client.messages.create(**{**asked(""), "messages": messages}, tools=[WEATHER])
    call: Any = first.content[0]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]

    after = await anthropic_client.messages.create(**{**asked(""), "messages": messages}, tools=[WEATHER])

    assert ("tool_use", "get_weather", {"city": "Bern"}) == (first.stop_reason, call.name, call.input)
    assert "end_turn" == after.stop_reason


async def test_breakpoints_fill_the_cache_buckets(anthropic_client: anthropic.AsyncAnthropic) -> None:
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": "a" * 400, "cache_control": mark}]
    block = {"type": "text", "text": "b" * 80, "cache_control": {**mark, "ttl": "1h"}}

    one = await anthropic_client.messages.create(**asked("c" * 40, system=system))
    two = await anthropic_client.messages.create(**asked([block, {"type": "text", "text": "c" * 40}], system=system))

    def figures(usage: Any) -> tuple[int, int, int, int]:
        written = usage.cache_creation
        return (
            usage.input_tokens,
            usage.cache_read_input_tokens,
            written.ephemeral_5m_input_tokens,
            written.ephemeral_1h_input_tokens,
        )

    assert (10, 0, 100, 0) == figures(one.usage)
    assert (10, 100, 0, 20) == figures(two.usage)


async def test_a_structured_answer_fits_its_schema(anthropic_client: anthropic.AsyncAnthropic) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}

    answer = await anthropic_client.messages.create(
        **asked("Hello", output_config={"format": {"type": "json_schema", "schema": schema}})
    )

    assert '{"n":7}' == answer.content[0].text


async def test_a_refusal_is_a_refusal(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await anthropic_client.messages.create(**asked("[[sim refuse]]"))

    assert ("refusal", "refusal") == (answer.stop_reason, answer.stop_details.type)


async def test_tokens_are_counted_without_an_answer(anthropic_client: anthropic.AsyncAnthropic) -> None:
    counted = await anthropic_client.messages.count_tokens(
        model="claude-sonnet-4-6", messages=[{"role": "user", "content": "12345"}], system="abc"
    )

    assert 2 == counted.input_tokens


async def test_a_request_without_the_version_header_is_refused(simulator: Running) -> None:
    async with simulator.post("/anthropic/v1/messages", asked("Hello")) as response:
        answer = await response.json()

    assert (400, "invalid_request_error") == (response.status, answer["error"]["type"])
    assert response.headers["request-id"] == answer["request_id"]


async def test_a_batch_is_worked_off_and_counts_with_its_results(
    anthropic_client: anthropic.AsyncAnthropic, simulator: Running
) -> None:
    requests: list[Any] = [
        {"custom_id": "a", "params": asked("[[sim say=abcd]]")},
        {"custom_id": "b", "params": asked("[[sim status=529]]")},
    ]
    made = await anthropic_client.messages.batches.create(requests=requests)
    done = await anthropic_client.messages.batches.retrieve(made.id)

    for _ in range(2):
        results: dict[str, Any] = {
            one.custom_id: one.result async for one in await anthropic_client.messages.batches.results(made.id)
        }
    listed = [batch.id async for batch in await anthropic_client.messages.batches.list()]
    deleted = await anthropic_client.messages.batches.delete(made.id)

    assert ("in_progress", "ended") == (made.processing_status, done.processing_status)
    assert (1, 1) == (done.request_counts.succeeded, done.request_counts.errored)
    assert "abcd" == results["a"].message.content[0].text
    assert "overloaded_error" == results["b"].error.error.type
    assert {"input": 4, "output": 1} == (await simulator.tally())["total"]["served"]
    assert [made.id] == listed
    assert made.id == deleted.id


async def test_a_cancelled_batch_answers_nothing(anthropic_client: anthropic.AsyncAnthropic) -> None:
    requests: list[Any] = [{"custom_id": "a", "params": asked("Hello")}]
    made = await anthropic_client.messages.batches.create(requests=requests)

    canceling = await anthropic_client.messages.batches.cancel(made.id)
    results = [one.result.type async for one in await anthropic_client.messages.batches.results(made.id)]

    assert ("canceling", ["canceled"]) == (canceling.processing_status, results)


async def test_a_file_comes_back_byte_for_byte(anthropic_client: anthropic.AsyncAnthropic) -> None:
    data = bytes(range(256))

    file = await anthropic_client.files.upload(file=("a.pdf", data, "application/pdf"))
    content = await (await anthropic_client.files.download(file.id)).read()
    listed = [one.id async for one in await anthropic_client.files.list()]
    found = await anthropic_client.files.retrieve_metadata(file.id)
    await anthropic_client.files.delete(file.id)

    assert (data, [file.id], file) == (content, listed, found)
    assert ("application/pdf", 256) == (file.mime_type, file.size_bytes)
    with pytest.raises(anthropic.NotFoundError):
        await anthropic_client.files.retrieve_metadata(file.id)


async def test_models_are_listed_a_page_at_a_time(anthropic_client: anthropic.AsyncAnthropic) -> None:
    names = [model.id async for model in await anthropic_client.models.list(limit=2)]

    assert "claude-sonnet-4-6" in names
    assert len(names) == len(set(names)) == 5
    assert "any-name" == (await anthropic_client.models.retrieve("any-name")).id
