"""A client that stops reading: the provider is cut at once, and the relay knows why."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from .served import Served, eventually

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

ENDLESS = "[[sim pace=20ms events=5000 bytes=100000]]"


def check_that_it_ended(relay: Served, headers: Any, name: str = "x-request-id") -> None:
    request = relay.served(headers[name], "cut")
    line = relay.exchange(headers["x-relay-id"])

    assert request["events"] < 1000
    assert "client_left" == line["outcome"]
    assert ["client_left"] == [attempt["outcome"] for attempt in line["attempts"]]


def test_a_chat_that_is_closed_early_is_cut_at_the_provider(relay: Served, openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": ENDLESS}], stream=True
    )
    next(iter(stream))

    stream.close()

    check_that_it_ended(relay, stream.response.headers)


def test_a_response_that_is_closed_early_is_cut_at_the_provider(relay: Served, openai_client: openai.OpenAI) -> None:
    stream = openai_client.responses.create(model="gpt-4o-mini", input=ENDLESS, stream=True)
    next(iter(stream))

    stream.close()

    check_that_it_ended(relay, stream.response.headers)


def test_a_message_that_is_closed_early_is_cut_at_the_provider(
    relay: Served, anthropic_client: anthropic.Anthropic
) -> None:
    with anthropic_client.messages.stream(
        model="claude-sonnet-4-6", max_tokens=50, messages=[{"role": "user", "content": ENDLESS}]
    ) as stream:
        next(iter(stream))

    check_that_it_ended(relay, stream.response.headers, "request-id")


async def test_a_task_that_is_cancelled_cuts_the_provider_before_it_has_answered(relay: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["two"]) as client:
        asked = asyncio.create_task(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "[[sim silent]] cancel me"}]
            )
        )
        await asyncio.to_thread(eventually, lambda: relay.under_way("gpt-4o-mini") or None)

        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    line = await asyncio.to_thread(eventually, lambda: relay.last("two", "client_left"))
    await asyncio.to_thread(eventually, lambda: not relay.under_way("gpt-4o-mini") or None)
    assert "chat" == line["surface"]


def test_content_that_is_closed_early_is_cut_at_the_provider(relay: Served) -> None:
    with genai.Client(api_key=relay.keys["two"], http_options={"base_url": relay.url}) as client:
        stream = client.models.generate_content_stream(model="gemini-2.5-pro", contents=ENDLESS)
        first = next(iter(stream))

        stream.close()  # type: ignore[attr-defined]

        line = eventually(lambda: relay.last("two", "client_left", "gemini"))

    assert first.text
    assert "gemini-2.5-pro" == line["model"]
    assert "cut" == relay.served(line["request_id"], "cut")["outcome"]
