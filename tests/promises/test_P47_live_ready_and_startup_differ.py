"""P47: live, ready and startup checks differ. (A lost database comes with the database.)"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from relay_auth import keys

from relay import Secret

from .asking import ask, carrying, signed
from .deployed import Deployed, deployed, plugin, provider, shipped
from .taps import PREFIX, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
_CHAT = next(surface for surface in carrying("openai") if surface.name == "chat")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployed]:
    """It is starting still: a plugin waits for a file `open`. Its keys' file is missing, but it knows a key."""
    folder: Path = tmp_path_factory.mktemp("relay")
    secret, key = Secret("s" * 40), keys.make()
    known = {"id": "key_known", "hash": keys.store(keys.digest(secret, key)), "organisation": "acme"}
    async with simulator() as port:
        url = f"http://127.0.0.1:{port}{PREFIX['openai']}"
        configuration = shipped(routing={"providers": {"openai": provider(url, "openai")}, "models": {}})
        plugin(configuration, "routing")["models"] = {"*": [{"provider": "openai"}]}
        auth = {"file": str(folder / "keys.yaml"), "keys": [known], "secret": {"env": "P47_SECRET"}}
        plugin(configuration, "auth").update(auth)
        witness = {"use": f"{Path(__file__).with_name('witness.py')}:Witness", "until": str(folder / "open")}
        configuration["plugins"].append({"witness": witness})
        async with deployed(folder, configuration, {"P47_SECRET": secret.open()}, wait=False) as relay:
            relay.key = key.open()
            yield relay


async def test_P47_a_relay_that_is_starting_lives_but_has_not_started_and_is_not_ready(relay: Deployed) -> None:
    await relay.until("worker_started", within_s=50)
    # Until there is a worker the connection waits.
    starting = {name: await relay.get(f"/-/health/{name}") for name in ("live", "startup", "ready")}
    page, _ = await relay.get("/-/metrics")

    relay.config.with_name("open").touch()
    await relay.until("serving", within_s=50)
    started = {name: (await relay.get(f"/-/health/{name}"))[0] for name in ("live", "startup")}

    assert {"live": 200, "startup": 503, "ready": 503} == {name: status for name, (status, _) in starting.items()}
    assert "starting" in json.loads(starting["ready"][1])["failing"]
    assert 503 == page
    assert {"live": 200, "startup": 200} == started


async def test_P47_a_check_that_fails_is_named_and_known_callers_are_served(relay: Deployed) -> None:
    unready = await relay.get("/-/health/ready")
    served, _ = await _chat(relay, "hi")

    relay.config.with_name("keys.yaml").write_text("[]\n", encoding="utf-8")
    async with asyncio.timeout(10):
        while (ready := await relay.get("/-/health/ready"))[0] != 200:
            await asyncio.sleep(0.05)

    assert 503 == unready[0]
    assert {"status": "not ready", "failing": ["auth"]} == json.loads(unready[1])
    assert 200 == served
    assert {"status": "ready", "failing": []} == json.loads(ready[1])


async def test_P47_a_relay_that_drains_is_ready_no_more_while_a_stream_comes_to_its_end(relay: Deployed) -> None:
    begun = asyncio.Event()
    streaming = asyncio.create_task(_chat(relay, "[[sim pace=50ms events=30]] go", begun))
    await asyncio.wait_for(begun.wait(), 10)

    relay.process.send_signal(signal.SIGTERM)
    await relay.until("stopping")
    await asyncio.sleep(0.1)
    answers: list[int] = []
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(0.5):
            answers.append((await relay.get("/-/health/ready"))[0])
    was_streaming = not streaming.done()
    status, said = await streaming

    assert was_streaming
    assert 200 not in answers
    assert 200 == status
    assert said.rstrip().endswith("data: [DONE]")
    assert 0 == await asyncio.wait_for(relay.process.wait(), 20)


async def _chat(relay: Deployed, words: str, begun: asyncio.Event | None = None) -> tuple[int, str]:
    """Status and body. With `begun` the answer is streamed, and that is set when its first piece is here."""
    said = b""
    async with (
        aiohttp.ClientSession(headers=signed("openai", relay.key)) as session,
        session.post(relay.url + _CHAT.path, **ask("openai", _CHAT, words, stream=begun is not None)) as reply,
    ):
        async for piece in reply.content.iter_any():
            said += piece
            if begun is not None:
                begun.set()
    return reply.status, said.decode()
