"""A real `relay serve` with its own configuration, ports and data folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from relay_simulator.provider import application
from relay_simulator.settings import SimulatorSettings

PLUGIN = '''
from relay import Plugin, Settings, Target

class Straight(Plugin):
    """Sends everything to one place."""

    name = "straight"

    class Settings(Settings):
        to: str

    async def on_request(self, exchange):
        exchange.targets = [
            Target("up", "up", exchange.call.dialect, self.settings.to, allow_private=True)
        ]
'''


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Served:
    """A running `relay serve`."""

    process: asyncio.subprocess.Process
    config: Path
    port: int
    operators: int
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(self, event: str, count: int = 1, timeout_s: float = 40) -> dict[str, Any]:
        """The `count`-th log line of this event."""
        async with asyncio.timeout(timeout_s):
            while True:
                found = [line for line in self.events if line.get("event") == event]
                if len(found) >= count:
                    return found[count - 1]
                await asyncio.sleep(0.02)

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            with contextlib.suppress(ValueError):
                self.events.append(json.loads(line))

    def workers(self) -> dict[int, int]:
        """Worker numbers and the process ids of the latest start of each."""
        return {line["worker"]: line["pid"] for line in self.events if line.get("event") == "worker_started"}


Start = Callable[..., Any]


@pytest.fixture
async def provider() -> AsyncIterator[str]:
    """The base URL of a provider in this process, which outlives every worker."""
    runner = web.AppRunner(application(SimulatorSettings()), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/-/simulator/openai/v1"
    await runner.cleanup()


@pytest.fixture
async def serve(tmp_path: Path, provider: str) -> AsyncIterator[Start]:
    """`await serve(workers=2)` starts a relay that sends everything to `provider`."""
    started: list[tuple[Served, asyncio.Task[None]]] = []
    (tmp_path / "straight.py").write_text(PLUGIN)

    async def start(*, workers: int = 1, more: str = "", below: str = "") -> Served:
        config = tmp_path / "relay.yaml"
        port, operators = free_port(), free_port()
        config.write_text(text(port, operators, workers, provider, more) + below)
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("relay")),
            "serve",
            "--config",
            str(config),
            stderr=asyncio.subprocess.PIPE,
        )
        served = Served(process, config, port, operators)
        started.append((served, asyncio.create_task(served.read())))
        await served.until("serving")
        return served

    yield start
    for served, reading in started:
        if served.process.returncode is None:
            served.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(served.process.wait(), 10)
            except TimeoutError:
                served.process.kill()
                await served.process.wait()
        await reading


def text(port: int, operators: int, workers: int, to: str, more: str = "") -> str:
    return (
        f"dialects: [openai]\nlisten: 127.0.0.1:{port}\noperator_listen: 127.0.0.1:{operators}\nworkers: {workers}\ndata: data\n"
        f"limits: {{drain_seconds: 5}}\n{more}\n"
        f'plugins:\n  - straight: {{use: "./straight.py:Straight", to: "{to}"}}\n'
    )
