"""The provider on a real socket, and the official clients pointed at it.

The clients have their own types, so that what is asked of them is checked. Where they declare an answer as a union of
everything it may be, a test that has asked for one of these reads it as `Any`: what is there is what it asserts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from aiohttp import web
from google import genai
from relay_simulator.provider import PROVIDER, ROOT, Provider, application
from relay_simulator.settings import SimulatorSettings

from relay import Secret

KEY = "sim-key"


@dataclass
class Running:
    """The provider while a test runs."""

    url: str
    provider: Provider
    http: aiohttp.ClientSession

    async def tally(self, request: str | None = None) -> dict[str, Any]:
        query = {} if request is None else {"request": request}
        async with self.http.get(f"{self.url}/tally", params=query) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def model(self, dialect: str, name: str) -> dict[str, Any]:
        """The tally of one model."""
        found: dict[str, Any] = (await self.tally())["dialects"][dialect][name]
        return found

    def chat(self, text: str, **more: Any) -> Any:
        """A bare chat request, as a context manager."""
        return self.post(
            "/openai/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}
        )

    def post(self, path: str, document: Any) -> Any:
        return self.http.post(
            self.url + path, json=document, headers={"Authorization": f"Bearer {KEY}", "x-goog-api-key": KEY}
        )


@pytest.fixture
async def simulator() -> AsyncIterator[Running]:
    runner = web.AppRunner(application(SimulatorSettings(key=Secret(KEY)), record=True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as http:
        yield Running(f"http://127.0.0.1:{port}{ROOT}", runner.app[PROVIDER], http)
    await runner.cleanup()


@pytest.fixture
async def openai_client(simulator: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{simulator.url}/openai/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def anthropic_client(simulator: Running) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=f"{simulator.url}/anthropic", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def gemini_client(simulator: Running) -> AsyncIterator[genai.client.AsyncClient]:
    client = genai.Client(api_key=KEY, http_options={"base_url": f"{simulator.url}/gemini"})
    yield client.aio
    await client.aio.aclose()
    client.close()
