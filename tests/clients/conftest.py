"""One real relay for the whole run, and the official clients as their users make them: only the base URL and the key are ours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anthropic
import openai
import pytest
from google import genai

from .served import Served, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test that comes first waits for the relay, three processes' starts; on a crowded machine that takes most of a minute."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("relay")) as served:
        yield served


@pytest.fixture(scope="session", autouse=True)
def _nothing_from_the_environment() -> Iterator[None]:
    """The clients take keys and addresses from there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def openai_client(relay: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{relay.url}/v1", api_key=relay.keys["one"]) as client:
        yield client


@pytest.fixture(scope="session")
def anthropic_client(relay: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=relay.url, api_key=relay.keys["one"]) as client:
        yield client


@pytest.fixture
async def gemini_client(relay: Served) -> AsyncIterator[genai.Client]:
    with genai.Client(api_key=relay.keys["one"], http_options={"base_url": relay.url}) as client:
        async with client.aio:
            yield client
