"""A real relay for these tests: the shipped configuration, served by `relay serve`, on other ports and in another folder."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError

from relay.cli.main import main

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
_STARTS_S = 120.0
_PATIENCE_S = 10.0
_CATCH_ALL = '"*": [{provider: openai}]'
_ROUTING = """\
"gpt-once": [{provider: openai, model: gpt-4o-mini, retry: {tries: 1}}]
        "claude-once": [{provider: anthropic, model: claude-sonnet-4-6, retry: {tries: 1}}]
        "gemini-once": [{provider: gemini, model: gemini-2.5-pro, retry: {tries: 1}}]
        "gpt-hurry": [{provider: openai, model: gpt-4o-mini, retry: {tries: 1}, deadlines: {first_byte: 0.5}}]
        "claude-hurry": [{provider: anthropic, model: claude-sonnet-4-6, retry: {tries: 1}, deadlines: {first_byte: 0.5}}]
        "gemini-hurry": [{provider: gemini, model: gemini-2.5-pro, retry: {tries: 1}, deadlines: {first_byte: 0.5}}]
        "gpt-*": [{provider: openai}]
        "text-*": [{provider: openai}]
        "omni-*": [{provider: openai}]
        "whisper-*": [{provider: openai}]
        "tts-*": [{provider: openai}]
        "rerank-*": [{provider: openai}]
      breaker: {failures: 1000}"""
"""In the place of the shipped catch-all, so that there are models that nobody offers; targets that are tried once, and for half a second;
and a breaker that the tests of failing providers do not open for the others."""
_KEYS: Mapping[str, tuple[str, ...]] = {
    "one": ("--organisation", "one"),
    "one too": ("--organisation", "one"),
    "two": ("--organisation", "two"),
    "narrow": ("--organisation", "one", "--models", "gpt-4o-mini,claude-sonnet-4-6,gemini-2.5-pro", "--surfaces",
               "chat,messages,generate*,models*"),
    "far": ("--organisation", "one", "--networks", "192.0.2.0/24"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """A relay that serves. `url` is for clients, `operators` for operators; `keys` are by the names of `_KEYS`."""

    url: str
    operators: str
    keys: Mapping[str, str]
    log: Path

    def exchange(self, id: str) -> dict[str, Any]:
        """The line in the relay's log about an exchange, as soon as it stands there."""
        return eventually(lambda: next((line for line in self._exchanges() if line["id"] == id), None))

    def served(self, request_id: str, outcome: str) -> dict[str, Any]:
        """What the simulator says about one of its requests, as soon as that has ended so."""
        place = f"{self.operators}/-/simulator/tally?request={request_id}"

        def look() -> dict[str, Any] | None:
            try:
                found = _get(place)
            except HTTPError:
                return None
            return found if found["outcome"] == outcome else None

        return eventually(look)

    def arrived(self, request_id: str) -> dict[str, Any]:
        """How one of the last requests arrived at the simulator: the names of its headers and its query."""
        return next(
            each for each in _get(f"{self.operators}/-/simulator/last")["last"] if each["request"] == request_id
        )

    def last(
        self, organisation: str, outcome: str, dialect: str = "openai", surface: str | None = None
    ) -> dict[str, Any] | None:
        """The last line in the relay's log about an exchange that an organisation had in a dialect, and that ended so."""
        found = None
        for line in self._exchanges():
            if (organisation, outcome, dialect) == (line.get("organisation"), line["outcome"], line["dialect"]) and (
                surface in (None, line["surface"])
            ):
                found = line
        return found

    def under_way(self, model: str) -> int:
        """How many requests for a model the simulator is answering."""
        models = _get(f"{self.operators}/-/simulator/tally")["dialects"].get("openai", {})
        count: int = models.get(model, {"open": 0})["open"]
        return count

    def _exchanges(self) -> Iterator[dict[str, Any]]:
        for line in self.log.read_text(encoding="utf-8").splitlines():
            if '"event":"exchange"' in line and line.endswith("}"):
                yield json.loads(line)


def eventually(look: Callable[[], T | None]) -> T:
    """What `look` finds, as soon as it finds something."""
    until = time.monotonic() + _PATIENCE_S
    while (found := look()) is None:
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)
    return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """`relay serve`, ready; at the end it is told to stop, and must do so in good order."""
    listen, operators = _free_ports()
    config = folder / "relay.yaml"
    config.write_text(_configuration(folder / "data", listen, operators), encoding="utf-8")
    keys = {name: _make_key(config, scope) for name, scope in _KEYS.items()}
    log = folder / "log"
    command = [str(Path(sys.executable).with_name("relay")), "serve", "--config", str(config)]
    # What the first process has compiled, the supervisor's check and the worker need not: it halves the time to start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    with log.open("wb") as out:
        process = subprocess.Popen(command, stderr=out, env=environment)
    try:
        served = Served(f"http://127.0.0.1:{listen}", f"http://127.0.0.1:{operators}", keys, log)
        _wait_until_ready(served, process)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(_STARTS_S)
    assert status == 0, log.read_text(encoding="utf-8")[-2000:]


def _configuration(data: Path, listen: int, operators: int) -> str:
    """The shipped configuration with other ports and another data folder."""
    text = (ROOT / "config" / "relay.yaml").read_text(encoding="utf-8")
    for found, put in (
        ("# listen: 127.0.0.1:8080", f"listen: 127.0.0.1:{listen} "),
        ("# operator_listen: 127.0.0.1:8081", f"operator_listen: 127.0.0.1:{operators} "),
        ("127.0.0.1:8081", f"127.0.0.1:{operators}"),
        ("../.relay", str(data)),
        (_CATCH_ALL, _ROUTING),
    ):
        assert found in text, f"the shipped configuration has no {found!r} any more"
        text = text.replace(found, put)
    return text


def _make_key(config: Path, scope: tuple[str, ...]) -> str:
    out = io.StringIO()
    said = io.StringIO()
    statuses: list[int] = []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        # In a thread: the command runs an event loop of its own and leaves the tests' alone.
        thread = threading.Thread(
            target=lambda: statuses.append(main(["keys", "create", "--config", str(config), *scope]))
        )
        thread.start()
        thread.join()
    assert statuses == [0], said.getvalue()
    return out.getvalue().splitlines()[0]


def _free_ports() -> tuple[int, int]:
    """Two ports below those that the system gives out by itself, so that nobody gets them before the relay does."""
    found: list[int] = []
    while len(found) < 2:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found[0], found[1]


def _wait_until_ready(served: Served, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _STARTS_S
    while True:
        with contextlib.suppress(OSError):  # also a worker that has not yet begun to answer
            if _get(f"{served.operators}/-/health/ready"):
                return
        assert process.poll() is None, served.log.read_text(encoding="utf-8")
        assert time.monotonic() < until, served.log.read_text(encoding="utf-8")
        time.sleep(0.05)


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
