"""Every sample in the READMEs runs as it stands there, and everything they name exists."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from relay_auth import keys
from relay_simulator.provider import application
from relay_simulator.settings import SimulatorSettings

from relay import Secret
from relay.cli.main import COMMANDS
from relay.config import load
from relay.testing.server import Served, serve

ROOT = Path(__file__).parents[2]
TOP = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"
CATALOGUE = sorted((ROOT / "plugins").glob("*/README.md"))
DOCUMENTS = sorted(
    ROOT / line
    for line in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if (ROOT / line).exists()
)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block(language: str, words: str) -> str:
    """The one block of the top README in which these words stand."""
    (found,) = [each for each in blocks(TOP, language) if words in each]
    return found


def variables(text: str) -> dict[str, str]:
    """A value for each variable that a configuration names."""
    return dict.fromkeys(re.findall(r"\{env: (\w+)", text), "x" * 40)


@dataclass
class Running:
    """The shipped configuration at work, and a key for it."""

    served: Served
    key: str


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    secret, key = Secret("s" * 40), keys.make()
    entry = {"id": "key_1", "hash": keys.store(keys.digest(secret, key)), "organisation": "try"}
    runner = web.AppRunner(application(SimulatorSettings()), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    text = (ROOT / "config" / "relay.yaml").read_text(encoding="utf-8")
    for found, put in (
        ("auth: {file: ../.relay/keys.yaml}", f"auth: {json.dumps({'secret': {'env': 'KEYS'}, 'keys': [entry]})}"),
        ("127.0.0.1:8081/", f"127.0.0.1:{runner.addresses[0][1]}/"),
        ("../.relay", str(tmp_path)),
    ):
        assert found in text
        text = text.replace(found, put)
    configuration = load(tmp_path / "relay.yaml", environ={"KEYS": secret.open()}, text=text)
    plugins = [loaded.plugin for loaded in configuration.chain]
    dialects = [configuration.dialects[name] for name in configuration.core.dialects]
    async with serve(plugins, dialects=dialects, targets=()) as served:
        yield Running(served, key.open())
    await runner.cleanup()


async def test_the_first_call_is_answered(running: Running) -> None:
    words = shlex.split(block("sh", "curl"))
    headers = [words[at + 1] for at, word in enumerate(words) if word == "-H"]
    sent = urllib.request.Request(
        next(word for word in words if word.startswith(ADDRESS)).replace(ADDRESS, running.served.url),
        data=words[words.index("-d") + 1].encode(),
        headers=dict(header.replace("$KEY", running.key).split(": ", 1) for header in headers),
    )

    def ask() -> tuple[int, str]:
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return answer.status, answer.read().decode()

    status, said = await asyncio.to_thread(ask)

    assert "curl" == words[0]
    assert 200 == status
    assert said.endswith("data: [DONE]\n\n")


async def test_the_official_clients_work_with_another_base_url(running: Running) -> None:
    code = block("python", "from openai import").replace(ADDRESS, running.served.url)

    await asyncio.to_thread(exec, code, {"key": running.key})

    exchanges = running.served.exchanges
    assert ["responses", "messages"] == [each.call.surface.name for each in exchanges]
    assert ["completed", "completed"] == [each.outcome for each in exchanges]


async def test_the_plugin_keeps_what_its_test_says() -> None:
    namespace: dict[str, Any] = {"__name__": "curfew"}
    exec(block("python", "class Curfew"), namespace)
    exec(block("python", "async def test_"), namespace)

    await namespace["test_a_closed_model_is_refused"]()

    async with namespace["Play"](namespace["Curfew"]()) as play:
        assert "open" == (await play.ask()).header("x-relay-curfew")


def test_the_plugin_can_be_used_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "curfew.py").write_text(block("python", "class Curfew"), encoding="utf-8")
    (entry,) = re.findall(r"`(- curfew: .*?)`", TOP)

    configuration = load(tmp_path / "relay.yaml", environ={}, text=f"plugins:\n  {entry}\n")

    assert ["curfew"] == [loaded.name for loaded in configuration.chain]


@pytest.mark.parametrize("path", [ROOT / "README.md", *CATALOGUE], ids=lambda path: path.parent.name)
def test_every_configuration_that_is_shown_loads(path: Path, tmp_path: Path) -> None:
    shown = [
        each for each in blocks(path.read_text(encoding="utf-8"), "yaml") if "plugins" in (yaml.safe_load(each) or {})
    ]

    for text in shown:
        configuration = load(tmp_path / "relay.yaml", environ=variables(text), text=text)
        assert configuration.chain
    assert shown


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = " ".join([*blocks(TOP, "sh"), *re.findall(r"`([^`\n]+)`", TOP)])
    named = set(re.findall(r"\bmake (\w+)", shown))

    assert {"run", "test"} <= named
    assert named <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_linked_exists(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (path.parent / link).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(path: Path) -> None:
    """Those of plugins are held to their declarations by `relay docs`."""
    text = path.read_text(encoding="utf-8")
    shown = re.findall(r"(?:`|^)relay ([a-z]+)(?= |`|$)", text, re.MULTILINE)

    assert [] == [noun for noun in shown if noun not in {entry.words[0] for entry in COMMANDS} | {"keys"}]


def test_every_file_that_the_front_page_names_exists() -> None:
    named = re.findall(r"`((?:relay|config|plugins|tests)/[\w./]+)`", TOP)

    assert named
    assert [] == [name for name in named if not (ROOT / name).exists()]
