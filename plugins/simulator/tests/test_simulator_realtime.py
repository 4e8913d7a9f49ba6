"""OpenAI's own client holds a realtime session with the provider."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

import aiohttp
import openai
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeFunctionToolParam

from plugins.simulator.tests.conftest import Running


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """The events up to the first of this kind, which is the last one."""
    seen = []
    async for event in connection:
        seen.append(event)
        if event.type == kind:
            return seen
    raise AssertionError(f"the session ended without {kind}")


async def say(connection: AsyncRealtimeConnection, text: str, modality: Literal["text", "audio"] = "text") -> None:
    await connection.session.update(session={"type": "realtime", "output_modalities": [modality]})
    content: list[Any] = [{"type": "input_text", "text": text}]
    await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    await connection.response.create()


async def test_a_turn_is_told_in_deltas_and_ends_with_usage(
    openai_client: openai.AsyncOpenAI, simulator: Running
) -> None:
    async with openai_client.realtime.connect(model="gpt-realtime") as connection:
        await say(connection, "[[sim say=one two]]")
        events = await until(connection, "response.done")

    kinds = [event.type for event in events]
    assert ["session.created", "session.updated", "conversation.item.added", "conversation.item.done"] == kinds[:4]
    assert "one two" == "".join(event.delta for event in events if event.type == "response.output_text.delta")
    usage = events[-1].response.usage
    assert (5, 2, 7) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    one = await simulator.model("openai", "gpt-realtime")
    assert {"input": 5, "output": 2} == one["served"]
    assert (1, 7) == (one["completed"], one["reported"]["total_tokens"])


async def test_each_turn_counts_on_its_own(openai_client: openai.AsyncOpenAI, simulator: Running) -> None:
    async with openai_client.realtime.connect(model="gpt-realtime") as connection:
        await say(connection, "[[sim say=abcd]]")
        await until(connection, "response.done")
        await say(connection, "[[sim say=abcd]]")
        await until(connection, "response.done")

    served = (await simulator.model("openai", "gpt-realtime"))["served"]
    assert 2 == served["output"]
    assert served["input"] > 8


async def test_sound_goes_in_and_comes_out(openai_client: openai.AsyncOpenAI) -> None:
    async with openai_client.realtime.connect(model="gpt-realtime") as connection:
        await connection.input_audio_buffer.append(audio=base64.b64encode(bytes(9600)).decode())
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        events = await until(connection, "response.done")

    kinds = {event.type for event in events}
    assert {
        "input_audio_buffer.committed",
        "response.output_audio.delta",
        "response.output_audio_transcript.done",
    } <= kinds
    usage = events[-1].response.usage
    assert 2 == usage.input_token_details.audio_tokens
    assert usage.output_tokens == usage.output_token_details.audio_tokens > 0


async def test_a_tool_is_called(openai_client: openai.AsyncOpenAI) -> None:
    tool: RealtimeFunctionToolParam = {
        "type": "function",
        "name": "look",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    }
    async with openai_client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "tools": [tool]})
        await say(connection, "look")
        events = await until(connection, "response.done")

    assert {"at": "look"} == json.loads(events[-1].response.output[0].arguments)


async def test_a_turn_can_be_cancelled_and_counts_what_was_sent(openai_client: openai.AsyncOpenAI) -> None:
    async with openai_client.realtime.connect(model="gpt-realtime") as connection:
        await say(connection, "[[sim pace=20ms events=1000 bytes=4000]]")
        await until(connection, "response.output_text.delta")
        await connection.response.cancel()
        events = await until(connection, "response.done")

    assert "cancelled" == events[-1].response.status
    assert 1 <= events[-1].response.usage.output_tokens < 100


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ('{"type": "nonsense"}', "invalid_value"),
        ("not json", "invalid_json"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty"),
        ('{"type": "response.cancel"}', "response_cancel_not_active"),
        ('{"type": "conversation.item.delete", "item_id": "none"}', "item_not_found"),
    ],
)
async def test_a_bad_event_is_an_error_and_the_session_lives(simulator: Running, sent: str, code: str) -> None:
    headers = {"Authorization": "Bearer sim-key"}
    async with simulator.http.ws_connect(
        f"{simulator.url}/openai/v1/realtime?model=gpt-realtime", headers=headers
    ) as socket:
        await socket.receive_json()
        await socket.send_str(sent)
        first = await socket.receive_json()
        await socket.send_json({"type": "session.update", "session": {}})
        second = await socket.receive_json()

    assert ("error", code) == (first["type"], first["error"]["code"])
    assert "session.updated" == second["type"]


async def test_a_browsers_key_is_taken_from_the_subprotocols(simulator: Running) -> None:
    url = f"{simulator.url}/openai/v1/realtime?model=gpt-realtime"

    async with simulator.http.ws_connect(url, protocols=("realtime", "openai-insecure-api-key.sim-key")) as socket:
        assert ("realtime", "session.created") == (socket.protocol, (await socket.receive_json())["type"])
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await simulator.http.ws_connect(url)


async def test_a_session_cut_in_a_turn_counts_as_cut(simulator: Running) -> None:
    headers = {"Authorization": "Bearer sim-key"}
    async with simulator.http.ws_connect(f"{simulator.url}/openai/v1/realtime?model=r", headers=headers) as socket:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "[[sim cut=3]]"}]}
        await socket.send_json({"type": "conversation.item.create", "item": item})
        await socket.send_json({"type": "response.create"})
        messages = [message async for message in socket]

    assert 7 == len(messages)
    assert 1 == (await simulator.model("openai", "r"))["cut"]
