"""A real `relay serve` with a shipped configuration, of which only places are changed: ports, the data folder, the providers' addresses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from relay_auth import keys, server_secret

from relay import Secret

ROOT = Path(__file__).parents[2]
_COMMAND = str(Path(sys.executable).with_name("relay"))
_STARTS_S = 50.0
_PATIENCE_S = 10.0
Configuration = dict[str, Any]


def shipped(name: str = "relay.yaml", *, routing: Mapping[str, Any] | None = None, **core: Any) -> Configuration:
    """A shipped configuration as data. `core` replaces its settings, `routing` those of that plugin; models are added to what is there."""
    made: Configuration = yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))
    made |= core
    settings = plugin(made, "routing")
    for setting, value in (routing or {}).items():
        settings[setting] = {**value, **settings[setting]} if setting == "models" else value
    return made


def plugin(configuration: Configuration, name: str) -> dict[str, Any]:
    """The settings of one of its plugins."""
    settings: dict[str, Any] = next(entry[name] for entry in configuration["plugins"] if name in entry)
    return settings


def provider(url: str, dialect: str, **more: Any) -> dict[str, Any]:
    """The settings of a provider that stands on this machine."""
    return {"dialect": dialect, "base_url": url, "allow_private": True, **more}


@dataclass
class Deployed:
    """A relay at work. `said` is all that its processes have written, on both outputs."""

    process: asyncio.subprocess.Process
    config: Path
    port: int
    operators: str
    key: str = ""
    said: bytearray = field(default_factory=bytearray)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.config.parent / "data"

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What it has logged of this event."""
        found = (json.loads(line) for line in bytes(self.said).splitlines() if line.startswith(b"{"))
        return [line for line in found if line.get("event") == event]

    async def until(self, event: str, count: int = 1, within_s: float = _PATIENCE_S) -> dict[str, Any]:
        """The `count`-th line of this event, as soon as it is there."""
        async with asyncio.timeout(within_s):
            while len(found := self.lines(event)) < count:
                assert self.process.returncode is None, bytes(self.said).decode()
                await asyncio.sleep(0.02)
            return found[count - 1]

    async def get(self, path: str) -> tuple[int, str]:
        """Ask on the operators' listener: status and text."""
        async with aiohttp.ClientSession() as session, session.get(self.operators + path) as answer:
            return answer.status, await answer.text()

    async def figures(self, name: str) -> dict[str, float]:
        """The series of a metric: what stands in its braces → figure."""
        _, text = await self.get("/-/metrics")
        return {
            labels: float(figure) for labels, figure in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)
        }

    def worker(self) -> int:
        """The process id of the worker that was started last."""
        pid: int = self.lines("worker_started")[-1]["pid"]
        return pid


@asynccontextmanager
async def deployed(
    folder: Path, configuration: Configuration, environment: Mapping[str, str] | None = None, *, wait: bool = True
) -> AsyncIterator[Deployed]:
    """Serve `configuration` until the context is left; it must then stop in good order. Without `wait` it may still be starting."""
    port, operators = free_port(), free_port()
    config = write(folder, configuration, port, operators)
    environ = {**os.environ, **(environment or {})}
    process = await asyncio.create_subprocess_exec(
        _COMMAND, "serve", "--config", str(config), env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    relay = Deployed(process, config, port, f"http://127.0.0.1:{operators}")
    assert process.stdout is not None
    assert process.stderr is not None
    reading = [asyncio.create_task(_read(stream, relay.said)) for stream in (process.stdout, process.stderr)]
    try:
        if wait:
            await relay.until("serving", within_s=_STARTS_S)
        yield relay
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(process.wait(), _STARTS_S)
        except TimeoutError:
            process.kill()
            raise
        await asyncio.gather(*reading)
    assert status == 0, bytes(relay.said).decode()


async def relay_command(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command of `relay` to its end: exit status, and what it wrote on both outputs."""
    process = await asyncio.create_subprocess_exec(
        _COMMAND, *arguments, env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), _STARTS_S)
    assert process.returncode is not None
    return process.returncode, out.decode()


def write(folder: Path, configuration: Configuration, port: int, operators: int) -> Path:
    """The configuration as a file, with these ports; its data is beside it."""
    places = {
        "listen": f"127.0.0.1:{port}",
        "operator_listen": f"127.0.0.1:{operators}",
        "data": str(folder / "data"),
    }
    config = folder / "relay.yaml"
    config.write_text(yaml.safe_dump({**configuration, **places}, sort_keys=False), encoding="utf-8")
    return config


def make_key(folder: Path, configuration: Configuration, secret: str | None = None) -> str:
    """A key for a relay that is about to be started in `folder`; its `auth` then reads the file that holds it.

    `secret` is that of its `auth`, where the configuration demands one.
    """
    file = folder / "keys.yaml"
    plugin(configuration, "auth")["file"] = str(file)
    under = Secret(secret) if secret is not None else server_secret.generated(folder / "data" / "auth" / "secret")
    key = keys.make()
    entry = {"id": "key_promises", "hash": keys.store(keys.digest(under, key)), "organisation": "acme"}
    file.write_text(json.dumps([entry]), encoding="utf-8")
    return key.open()


def free_port() -> int:
    """A port below those that the system gives out by itself, so that nobody gets it before the relay does."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def _read(stream: asyncio.StreamReader, said: bytearray) -> None:
    async for line in stream:
        said += line
