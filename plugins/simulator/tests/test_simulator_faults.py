"""What goes wrong on request, as the official clients and bare sockets see it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from plugins.simulator.tests.conftest import Running


def chat(text: str) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_each_status_is_openais_right_exception(
    openai_client: openai.AsyncOpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as refused:
        await openai_client.chat.completions.create(**chat(f"[[sim status={status} retry_after=2]]"))

    assert "2" == refused.value.response.headers["retry-after"]
    assert (refused.value.request_id or "").startswith("req_")


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.RequestTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
async def test_each_status_is_anthropics_right_exception(
    anthropic_client: anthropic.AsyncAnthropic, status: int, error: type[anthropic.APIStatusError], kind: str
) -> None:
    messages: list[Any] = [{"role": "user", "content": f"[[sim status={status}]]"}]

    with pytest.raises(error) as refused:
        await anthropic_client.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=messages)

    told: Any = refused.value.body
    assert kind == told["error"]["type"]


async def test_a_wrong_key_is_refused_in_the_dialects_own_way(simulator: Running) -> None:
    async with simulator.http.post(f"{simulator.url}/openai/v1/chat/completions", json=chat("Hello")) as response:
        missing = (response.status, (await response.json())["error"]["code"])
    headers = {"Authorization": "Bearer wrong"}
    async with simulator.http.post(
        f"{simulator.url}/openai/v1/chat/completions", json=chat("Hello"), headers=headers
    ) as response:
        wrong = (response.status, (await response.json())["error"]["code"])

    assert ((401, None), (401, "invalid_api_key")) == (missing, wrong)


async def test_a_stream_is_cut_after_exactly_so_many_events(simulator: Running) -> None:
    received = b""

    with pytest.raises(aiohttp.ClientPayloadError):
        async with simulator.chat("[[sim cut=3]] Hello", stream=True) as response:
            async for data in response.content.iter_any():
                received += data

    assert 3 == received.count(b"data: ")
    model = await simulator.model("openai", "gpt-4o")
    assert (1, 0, 3) == (model["cut"], model["completed"], model["events"])


async def test_a_whole_answer_is_cut_half_way_or_before_its_head(simulator: Running) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        async with simulator.chat("[[sim cut=1]]") as response:
            await response.read()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await simulator.chat("[[sim cut]]")

    assert 2 == (await simulator.model("openai", "gpt-4o"))["cut"]


async def test_an_error_comes_inside_a_stream(openai_client: openai.AsyncOpenAI, simulator: Running) -> None:
    stream = await openai_client.chat.completions.create(**chat("[[sim error_in_stream=2]]"), stream=True)
    got = []

    with pytest.raises(openai.APIError):
        async for chunk in stream:
            got.append(chunk)

    assert 2 == len(got)
    assert 1 == (await simulator.model("openai", "gpt-4o"))["failed"]


async def test_an_error_comes_inside_anthropics_stream(anthropic_client: anthropic.AsyncAnthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": "[[sim error_in_stream=4]]"}]

    with pytest.raises(anthropic.APIStatusError) as failed:
        async with anthropic_client.messages.stream(
            model="claude-sonnet-4-6", max_tokens=99, messages=messages
        ) as stream:
            await stream.get_final_message()

    told: Any = failed.value.body
    assert "api_error" == told["error"]["type"]


async def test_an_error_comes_inside_a_whole_answer(simulator: Running) -> None:
    async with simulator.chat("[[sim error_in_stream=0]]") as response:
        assert (200, "server_error") == (response.status, (await response.json())["error"]["code"])


async def test_garbage_is_not_json(simulator: Running) -> None:
    async with simulator.chat("[[sim garbage]]") as response:
        whole = await response.read()
    async with simulator.chat("[[sim garbage=1]]", stream=True) as response:
        lines = [line async for line in response.content if line.startswith(b"data: ")]

    for bad in (whole, lines[1][6:]):
        with pytest.raises(json.JSONDecodeError):
            json.loads(bad)
    assert b"data: [DONE]\n" == lines[-1]


@pytest.mark.parametrize("text", ["[[sim silent]]", "[[sim silent=2]]"])
async def test_silence_lasts_until_the_client_leaves_and_counts_as_cut(simulator: Running, text: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), simulator.chat(text, stream=True) as response:
            await response.read()

    await settled(simulator)
    assert 1 == (await simulator.model("openai", "gpt-4o"))["cut"]


async def test_delay_and_pace_take_their_time(simulator: Running) -> None:
    before = time.monotonic()
    async with simulator.chat("[[sim delay=100ms pace=10ms events=10]]", stream=True) as response:
        head = time.monotonic() - before
        await response.read()
    whole = time.monotonic() - before

    assert 0.1 <= head
    assert 0.2 <= whole


async def test_the_usage_is_missing_or_false_on_request(simulator: Running) -> None:
    async def usage(text: str) -> Any:
        async with simulator.chat(text) as response:
            return (await response.json()).get("usage")

    negative, mismatch = await usage("[[sim usage=negative]]"), await usage("[[sim usage=mismatch]]")

    assert None is await usage("[[sim no_usage]]")
    assert negative["prompt_tokens"] < 0
    assert (await usage("[[sim usage=huge]]"))["completion_tokens"] >= 10**12
    assert mismatch["total_tokens"] == mismatch["prompt_tokens"] + mismatch["completion_tokens"] + 7


async def test_faults_can_pass(simulator: Running) -> None:
    statuses = []

    for _ in range(3):
        async with simulator.chat("[[sim status=503 times=2]]") as response:
            statuses.append(response.status)
    async with simulator.chat("Another body [[sim status=503 times=2]]") as response:
        statuses.append(response.status)

    assert [503, 503, 200, 503] == statuses


async def test_a_model_name_and_a_header_steer_as_well(simulator: Running) -> None:
    async with simulator.chat("Hello", model="sim-status-418") as response:
        by_name = response.status
    headers = {"Authorization": "Bearer sim-key", "x-simulator-status": "409"}
    async with simulator.http.post(
        f"{simulator.url}/openai/v1/chat/completions", json=chat("[[sim status=400]]"), headers=headers
    ) as response:
        by_header = response.status

    assert (418, 409) == (by_name, by_header)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model": 1}',
        b'{"model": "m"}',
        b'{"model": "m", "messages": [1]}',
        b'{"model": "m", "messages": [{}]}',
    ],
)
async def test_a_bad_body_is_a_400(simulator: Running, body: bytes) -> None:
    headers = {"Authorization": "Bearer sim-key", "Content-Type": "application/json"}

    async with simulator.http.post(
        f"{simulator.url}/openai/v1/chat/completions", data=body, headers=headers
    ) as response:
        answer = await response.json()

    assert (400, "invalid_request_error") == (response.status, answer["error"]["type"])


async def settled(simulator: Running) -> None:
    """Wait until no request is open any more."""
    while (await simulator.tally())["total"]["open"]:
        await asyncio.sleep(0.01)
