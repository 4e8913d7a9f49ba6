"""P11: a dedicated instance runs from the same build: what its configuration does not name is not there, not even in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from relay.config.installed import PLUGINS, installed

from .asking import MODELS, ask, carrying, path, signed
from .deployed import Configuration, Deployed, deployed, make_key, provider, shipped
from .taps import Tap, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
_PARTS = {"routing": ("routing",), "keys": ("auth", "routing")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provided() -> AsyncIterator[Tap]:
    async with simulator() as port, Tap("provider", port) as tap:
        yield tap


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=_PARTS)
async def dedicated(
    request: pytest.FixtureRequest, provided: Tap, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Deployed, tuple[str, ...]]]:
    """A relay with these parts of the shipped configuration, and which they are."""
    parts = _PARTS[request.param]
    folder: Path = tmp_path_factory.mktemp(request.param)
    async with AsyncExitStack() as stack:
        configuration = _only(parts, provided)
        key = make_key(folder, configuration) if "auth" in parts else "any"
        witness = f"{Path(__file__).with_name('witness.py')}:Witness"
        configuration["plugins"].append({"witness": {"use": witness}})
        relay = await stack.enter_async_context(deployed(folder, configuration))
        relay.key = key
        yield relay, parts


def _only(parts: tuple[str, ...], tap: Tap) -> Configuration:
    configuration = shipped(routing={"providers": {dialect: provider(tap.url(dialect), dialect) for dialect in MODELS}})
    configuration["plugins"] = [entry for entry in configuration["plugins"] if next(iter(entry)) in parts]
    return configuration


async def test_P11_a_dedicated_instance_answers_on_every_dialect(dedicated: tuple[Deployed, tuple[str, ...]]) -> None:
    relay, _ = dedicated
    answers: dict[str, bool] = {}
    for dialect, model in MODELS.items():
        surface = next(each for each in carrying(dialect) if each.generates)
        async with (
            aiohttp.ClientSession(headers=signed(dialect, relay.key)) as session,
            session.post(relay.url + path(surface, {}, model), **ask(dialect, surface, "Are you there?")) as reply,
        ):
            answers[dialect] = "Are you there?" in await reply.text()

    assert dict.fromkeys(MODELS, True) == answers
    assert 200 == (await relay.get("/-/health/ready"))[0]


async def test_P11_what_a_dedicated_instance_does_not_name_is_never_imported(
    dedicated: tuple[Deployed, tuple[str, ...]],
) -> None:
    relay, parts = dedicated

    modules = set(json.loads((await relay.get("/-/witness"))[1])["modules"])

    # Dialects are no plugins: a provider may speak any of them.
    known = {name: found[0].entry.module.split(".")[0] for name, found in installed(PLUGINS).items()}
    assert {"auth", "routing", "metrics", "simulator"} <= known.keys()
    assert set(parts) == {name for name, module in known.items() if module in modules}
    assert (await relay.get("/-/metrics"))[0] == 404
    assert (await relay.get("/-/simulator/tally"))[0] == 404


async def test_P11_a_dedicated_instance_asks_for_a_key_only_if_it_has_keys(
    dedicated: tuple[Deployed, tuple[str, ...]],
) -> None:
    relay, parts = dedicated
    async with aiohttp.ClientSession() as session, session.get(f"{relay.url}/v1/models") as reply:
        await reply.read()

    assert (401 if "auth" in parts else 200) == reply.status
