"""P09: content goes, in real time, only to the upstream selected. (A customer's own account comes with `byok`.)"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from .asking import MODELS, ask, carrying, path, signed
from .deployed import Deployed, deployed, make_key, provider, shipped
from .taps import Tap, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
_ONCE = {"retry": {"tries": 1}}


@dataclass
class House:
    """A relay between clients and five tapped providers; `calls` are their names in the order they were called."""

    relay: Deployed
    taps: dict[str, Tap]
    calls: list[str]
    simulator: str

    def where(self, words: str) -> set[str]:
        """The providers that were ever sent these words."""
        return {name for name, tap in self.taps.items() if words in tap}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(simulator())
        calls: list[str] = []
        taps = {
            name: await stack.enter_async_context(Tap(name, port, calls))
            for name in ("openai", "anthropic", "gemini", "second", "decoy")
        }
        dialects = {"second": "openai", "decoy": "openai"}
        models = {
            f"falls-{status}": [
                {"provider": "openai", "model": f"sim-status-{status}", **_ONCE},
                {"provider": "second", "model": "gpt-4o", "fallback": 1},
                {"provider": "decoy", "model": "gpt-4o", "fallback": 2},
            ]
            for status in (500, 429)
        }
        routing = {
            "providers": {
                name: provider(tap.url(dialects.get(name, name)), dialects.get(name, name))
                for name, tap in taps.items()
            },
            "models": {**models, "decoy-only": [{"provider": "decoy"}]},
        }
        configuration = shipped(routing=routing)
        key = make_key(folder, configuration)
        relay = await stack.enter_async_context(deployed(folder, configuration))
        relay.key = key
        yield House(relay, taps, calls, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("dialect", MODELS)
async def test_P09_content_goes_only_to_the_upstream_selected_on_every_surface(house: House, dialect: str) -> None:
    params: dict[str, str] = {}
    places: dict[str, tuple[set[str], bool]] = {}
    async with aiohttp.ClientSession(headers=signed(dialect, house.relay.key)) as session:
        for surface in carrying(dialect):
            words = f"canary-{uuid.uuid4().hex}"
            place = house.relay.url + path(surface, params, MODELS[dialect])
            asked = ask(dialect, surface, words, file=params.get("file_id", ""))
            async with session.post(place, **asked) as reply:
                said = await reply.read()
            if reply.status == 200 and surface.creates in ("conversation", "upload", "file"):
                params[f"{surface.creates}_id"] = json.loads(said)["id"]
            places[surface.name] = house.where(words), set(surface.objects) <= params.keys()

    # What refers to an object that nobody here has made goes nowhere at all.
    assert {name: {dialect} if is_owned else set() for name, (_, is_owned) in places.items()} == {
        name: found for name, (found, _) in places.items()
    }
    assert 0 == house.taps["decoy"].connections


@pytest.mark.parametrize("dialect", MODELS)
async def test_P09_the_first_token_reaches_the_client_while_the_upstream_is_still_answering(
    house: House, dialect: str
) -> None:
    surface = {"openai": "chat", "anthropic": "messages", "gemini": "generate.stream"}[dialect]
    chosen = next(each for each in carrying(dialect) if each.name == surface)
    asked = ask(dialect, chosen, "[[sim pace=30ms events=20]] go", stream=dialect != "gemini")
    query = "?alt=sse" if dialect == "gemini" else ""
    open_at: list[int] = []
    async with aiohttp.ClientSession(headers=signed(dialect, house.relay.key)) as session:

        async def count_open() -> None:
            async with session.get(f"{house.simulator}/-/simulator/tally") as tally:
                open_at.append((await tally.json())["total"]["open"])

        async with session.post(house.relay.url + path(chosen, {}, MODELS[dialect]) + query, **asked) as reply:
            first = await reply.content.readany()
            await count_open()
            rest = await reply.read()
        await count_open()

    assert b"data:" in first
    assert len(rest) > len(first)
    assert [1, 0] == open_at


async def test_P09_a_realtime_message_goes_only_to_the_upstream_selected_and_is_answered_in_the_session(
    house: House,
) -> None:
    words = f"canary-{uuid.uuid4().hex}"
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
    headers = signed("openai", house.relay.key)
    answers: list[Any] = []
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{house.relay.url}/v1/realtime?model=gpt-realtime") as socket,
    ):
        await socket.send_json({"type": "conversation.item.create", "item": item})
        while not answers or words not in answers[-1]:
            answers.append(await socket.receive_str(timeout=10))

    assert {"openai"} == house.where(words)


@pytest.mark.parametrize("status", [500, 429])
async def test_P09_a_fallback_is_sent_to_the_failing_upstream_and_the_next_and_to_no_other(
    house: House, status: int
) -> None:
    words = f"canary-{uuid.uuid4().hex}"
    chat = next(each for each in carrying("openai") if each.name == "chat")
    house.calls.clear()
    async with aiohttp.ClientSession(headers=signed("openai", house.relay.key)) as session:
        asked = ask("openai", chat, words, model=f"falls-{status}")
        async with session.post(house.relay.url + chat.path, **asked) as reply:
            said = await reply.text()

    assert 200 == reply.status
    assert words in said
    assert ["openai", "second"] == house.calls
    assert {"openai", "second"} == house.where(words)


async def test_P09_what_relay_refuses_goes_to_no_upstream(house: House) -> None:
    words = f"canary-{uuid.uuid4().hex}"
    chat = next(each for each in carrying("openai") if each.name == "chat")
    async with (
        aiohttp.ClientSession(headers=signed("openai", "rk_live_unknown")) as session,
        session.post(house.relay.url + chat.path, **ask("openai", chat, words)) as reply,
    ):
        await reply.read()

    assert 401 == reply.status
    assert set() == house.where(words)
