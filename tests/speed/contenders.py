"""The processes that are measured, each alone on the first core, and those around them, on the other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.speed import canned

STRAIGHT = '''
from relay import Plugin, Settings, Target

class Straight(Plugin):
    """Sends everything to one place: the bare relay."""

    name = "straight"

    class Settings(Settings):
        to: str

    async def lifespan(self, relay):
        self.target = Target("up", "up", relay.dialects["openai"], self.settings.to, allow_private=True)
        yield

    async def on_request(self, exchange):
        exchange.targets = [self.target]
'''
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contender:
    """A proxy at work. `headers` are what its clients send besides."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    headers: tuple[str, ...] = ()

    def cpu_s(self) -> float:
        """CPU seconds used so far by the process and its children."""
        return sum(_cpu(pid) for pid in _family(self.process.pid))

    def memory(self) -> int:
        """Resident bytes of the process that serves."""
        return max(_rss(pid) for pid in _family(self.process.pid))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, *, core: int, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, awaited until it listens, ended at the end."""

    def pin() -> None:
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})

    process = subprocess.Popen(command, preexec_fn=pin, cwd=cwd, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(0.5)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nginx(folder: Path, port: int, text: str, *, core: int) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    with running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port, core=core) as process:
        yield process


@contextlib.contextmanager
def nginx_proxy(folder: Path, upstream: int, *, streams: bool = False) -> Iterator[Contender]:
    port = free_port()
    text = canned.nginx_proxy(folder / "proxy", port, upstream, streams=streams)
    with nginx(folder / "proxy", port, text, core=0) as process:
        yield Contender("nginx", port, process)


@contextlib.contextmanager
def plain_proxy(upstream: int) -> Iterator[Contender]:
    port = free_port()
    command = [sys.executable, "-m", "tests.speed.plain_proxy", str(port), f"http://127.0.0.1:{upstream}"]
    with running(command, port, core=0) as process:
        yield Contender("plain aiohttp proxy", port, process)


@contextlib.contextmanager
def relay(folder: Path, upstream: int, *, prefix: str = "/v1", chain: bool = False) -> Iterator[Contender]:
    """Relay: bare, or with auth, routing and metrics in the chain."""
    folder = folder / ("chain" if chain else "bare")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "straight.py").write_text(STRAIGHT)
    port, operators = free_port(), free_port()
    to = f"http://127.0.0.1:{upstream}{prefix}"
    plugins = f'  - straight: {{use: "./straight.py:Straight", to: "{to}"}}\n'
    if chain:
        plugins = (
            "  - auth: {file: keys.yaml}\n  - routing:\n      providers:\n"
            f'        up: {{dialect: openai, base_url: "{to}", allow_private: true}}\n'
            '      models: {"*": [{provider: up}]}\n  - metrics:\n'
        )
    config = folder / "relay.yaml"
    config.write_text(
        f"dialects: [openai]\nlisten: 127.0.0.1:{port}\noperator_listen: 127.0.0.1:{operators}\ndata: data\n"
        f"limits: {{connections: 20000}}\nplugins:\n{plugins}"
    )
    program = str(Path(sys.executable).with_name("relay"))
    headers: tuple[str, ...] = ()
    if chain:
        made = subprocess.run(
            [program, "keys", "create", "--organisation", "bench", "--config", str(config)],
            capture_output=True,
            text=True,
            check=True,
        )
        headers = (f"authorization: Bearer {made.stdout.split()[0]}",)
    with running([program, "serve", "--config", str(config)], port, core=0) as process:
        _answers(port)
        yield Contender("Relay, auth + routing + metrics" if chain else "Relay, bare", port, process, headers)


def _answers(port: int) -> None:
    """Wait until a worker takes connections: the port is open before."""
    with socket.create_connection(("127.0.0.1", port), 60) as probe:
        probe.sendall(b"GET /-/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        probe.settimeout(60)
        while probe.recv(4096):
            pass


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    if children.exists():
        for child in children.read_text().split():
            found += _family(int(child))
    return found


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
