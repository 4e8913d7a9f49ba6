"""Run the bench and print its tables."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.speed import canned
from tests.speed.canned import EVENTS, REQUEST
from tests.speed.contenders import Contender, free_port, nginx, nginx_proxy, plain_proxy, relay, running
from tests.speed.load import median_latency_ms, open_streams, throughput

SECONDS = int(os.environ.get("SECONDS", "6"))
STREAMS = int(os.environ.get("STREAMS", "2000"))
STREAMED = REQUEST.replace(b'"model"', b'"stream": true, "model"')
Make = Callable[[], AbstractContextManager[Contender]]


def main() -> int:
    missing = [tool for tool in ("nginx", "wrk", "h2load", "taskset") if shutil.which(tool) is None]
    if missing:
        print(f"skipped: the bench needs {', '.join(missing)} (Debian: nginx-light wrk nghttp2-client util-linux)")
        return 0
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"one core for each gateway, load and canned upstream on the other; {SECONDS} s a figure\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        with nginx(folder / "upstream", port, canned.nginx_upstream(folder / "upstream", port), core=1):
            _requests(folder, port)
        paced = free_port()
        with running([sys.executable, "-m", "tests.speed.paced_upstream", str(paced)], paced, core=1):
            _events(folder, paced)
            _paced(folder, paced)
            _memory(folder, paced)
    return 0


def _requests(folder: Path, upstream: int) -> None:
    makes: list[Make] = [
        lambda: nginx_proxy(folder, upstream),
        lambda: plain_proxy(upstream),
        lambda: relay(folder, upstream),
        lambda: relay(folder, upstream, chain=True),
    ]
    print(
        "| one request, one answer | requests/s | beside nginx | CPU µs per request | median ms at 1,000/s |\n|---|---|---|---|---|"
    )
    first = 0.0
    for make in makes:
        with make() as contender:
            throughput(contender, seconds=2)
            result = throughput(contender, seconds=SECONDS)
            late = median_latency_ms(contender, per_s=1000, seconds=max(3, SECONDS // 2))
            first = first or result.per_s
            print(
                f"| {contender.name} | {result.per_s:,.0f} | {result.per_s / first:.2f} | {result.cpu_us:.0f} | {late:.2f} |",
                flush=True,
            )
    print()


def _events(folder: Path, upstream: int) -> None:
    makes: list[tuple[Make, str]] = [
        (lambda: nginx_proxy(folder, upstream, streams=True), "/fast/v1/chat/completions"),
        (lambda: plain_proxy(upstream), "/fast/v1/chat/completions"),
        (lambda: relay(folder, upstream, prefix="/fast/v1"), "/v1/chat/completions"),
        (lambda: relay(folder, upstream, prefix="/fast/v1", chain=True), "/v1/chat/completions"),
    ]
    print("| streams as fast as possible | events/s | beside nginx |\n|---|---|---|")
    first = 0.0
    for make, path in makes:
        with make() as contender:
            throughput(contender, seconds=2, path=path, body=STREAMED)
            result = throughput(contender, seconds=SECONDS, path=path, body=STREAMED)
            per_s = result.per_s * EVENTS
            first = first or per_s
            print(f"| {contender.name} | {per_s:,.0f} | {per_s / first:.2f} |", flush=True)
    print()


def _paced(folder: Path, upstream: int) -> None:
    makes: list[tuple[Make, str]] = [
        (lambda: nginx_proxy(folder, upstream, streams=True), "/paced/v1/chat/completions"),
        (lambda: relay(folder, upstream, prefix="/paced/v1"), "/v1/chat/completions"),
        (lambda: relay(folder, upstream, prefix="/paced/v1", chain=True), "/v1/chat/completions"),
    ]
    print("| events paced at 20 ms | CPU s per 100,000 events | beside nginx |\n|---|---|---|")
    first = 0.0
    for make, path in makes:
        with make() as contender:
            before, started = contender.cpu_s(), time.monotonic()
            result = throughput(contender, seconds=max(8, SECONDS), connections=100, path=path, body=STREAMED)
            events = result.per_s * (time.monotonic() - started) * EVENTS
            cost = (contender.cpu_s() - before) / events * 100_000
            first = first or cost
            print(f"| {contender.name} | {cost:.2f} | {cost / first:.2f} |", flush=True)
    print()


def _memory(folder: Path, upstream: int) -> None:
    print(f"| {STREAMS:,} open streams | KiB each |\n|---|---|")
    for chain in (False, True):
        with relay(folder, upstream, prefix="/held/v1", chain=chain) as contender:
            asyncio.run(_held(contender))


async def _held(contender: Contender) -> None:
    for writer in await open_streams(contender, 50):
        writer.close()
    await asyncio.sleep(1)
    before = contender.memory()
    writers = await open_streams(contender, STREAMS)
    each = (contender.memory() - before) / STREAMS / 1024
    print(f"| {contender.name} | {each:.1f} |", flush=True)
    for writer in writers:
        writer.close()
    with contextlib.suppress(OSError):
        await asyncio.gather(*[writer.wait_closed() for writer in writers], return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
