"""The supervisor as a process, which signals reach: SIGTERM, Ctrl-C, SIGHUP, and `kill -9`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FAKE_RELAY = Path(__file__).with_name("fake_relay.py")


@dataclass
class Served:
    """A running supervisor and what it said."""

    process: subprocess.Popen[bytes]
    folder: Path

    def told(self, event: str) -> list[dict[str, Any]]:
        log = self.folder / "log"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        return [fields for fields in map(json.loads, lines) if fields["event"] == event]

    def until(self, event: str, times: int = 1) -> dict[str, Any]:
        eventually(lambda: len(self.told(event)) >= times, f"{times} × {event}")
        return self.told(event)[times - 1]

    def workers(self) -> list[int]:
        return [worker["pid"] for worker in json.loads((self.folder / "workers.json").read_text())["workers"]]

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.folder / "relay.sock"))
        return client

    def begin_long_answer(self, seconds: float) -> socket.socket:
        client = self.connect()
        client.sendall(f"slow {seconds}\n".encode())
        assert b"begun\n" == client.recv(100)
        return client


def eventually(true: Callable[[], bool], what: str, within_s: float = 15.0) -> float:
    """Wait for it; the seconds it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() < started + within_s, what
        time.sleep(0.01)
    return time.monotonic() - started


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    started: list[subprocess.Popen[bytes]] = []

    def make(drain_s: float = 5.0, **variables: str) -> Served:
        command = [sys.executable, str(FAKE_RELAY), str(tmp_path), f"unix:{tmp_path}/relay.sock", str(drain_s)]
        started.append(subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True))
        served = Served(started[-1], tmp_path)
        served.until("worker_ready", 2)
        return served

    yield make
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_by_signal_finishes_what_has_begun(serve: Callable[..., Served], number: int) -> None:
    served = serve()
    workers = served.workers()
    with served.begin_long_answer(0.5) as client:
        # As a terminal does it for Ctrl-C: to the supervisor and its workers at once.
        (os.killpg if number == signal.SIGINT else os.kill)(served.process.pid, number)

        assert b"done\n" == client.recv(100)
    assert 0 == served.process.wait(5)
    assert [False, False] == [is_alive(pid) for pid in workers]
    assert [] == served.told("worker_ended")


def test_a_second_signal_ends_it_at_once(serve: Callable[..., Served]) -> None:
    served = serve(drain_s=30, FAKE="stays")
    started = time.monotonic()

    served.process.send_signal(signal.SIGTERM)
    served.until("stopping")
    served.process.send_signal(signal.SIGTERM)

    assert 0 == served.process.wait(5)
    assert time.monotonic() - started < 5


def test_two_hangups_at_once_lose_no_reload_and_cut_no_answer(serve: Callable[..., Served]) -> None:
    served = serve()
    with served.begin_long_answer(0.8) as client:
        served.process.send_signal(signal.SIGHUP)
        served.until("reloading")
        served.process.send_signal(signal.SIGHUP)
        served.process.send_signal(signal.SIGHUP)
        served.until("reloaded", 2)

        assert b"done\n" == client.recv(100)
    served.until("drained", 2)
    assert [2, 3] == [fields["generation"] for fields in served.told("reloading")]
    assert 2 == len(served.workers())


def test_nothing_outlives_a_killed_supervisor(serve: Callable[..., Served]) -> None:
    served = serve(VALKEY="1")
    valkey = served.told("valkey_ready")[0]["pid"]
    children = [*served.workers(), valkey]
    assert [True] * 3 == [is_alive(pid) for pid in children]

    served.process.kill()
    took_s = eventually(lambda: not any(map(is_alive, children)), f"{children} are gone")

    assert took_s < 2.0


def test_the_supervisors_process_imports_no_server(tmp_path: Path) -> None:
    program = "import sys, relay.engine.supervisor, relay.engine.embedded; print('aiohttp' in sys.modules)"

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert "False\n" == printed
