"""Load from the other core: wrk for throughput, h2load at a fixed rate for latency, a client of our own for open streams."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.speed.canned import REQUEST
from tests.speed.contenders import Contender

PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Throughput:
    per_s: float
    cpu_us: float
    """CPU of the contender per request, in microseconds."""


def throughput(
    contender: Contender, *, seconds: int, connections: int = 64, path: str = PATH, body: bytes = REQUEST
) -> Throughput:
    """As many requests as it takes, on kept connections."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        headers = {"content-type": "application/json", **dict(h.split(": ", 1) for h in contender.headers)}
        lines = ['wrk.method = "POST"', f"wrk.body = [==[{body.decode()}]==]"]
        lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
        script.write_text("\n".join(lines))
        before = contender.cpu_s()
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script),
                   f"http://127.0.0.1:{contender.port}{path}"]  # fmt: skip
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = contender.cpu_s() - before
    found = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    assert found, out
    assert rate, out
    if bad:
        raise RuntimeError(f"{contender.name}: {bad[1]} of {found[1]} requests failed")
    return Throughput(float(rate[1]), used / int(found[1]) * 1e6)


def median_latency_ms(contender: Contender, *, per_s: int, seconds: int, connections: int = 10) -> float:
    """The median time of a request at a fixed rate."""
    with tempfile.TemporaryDirectory() as folder:
        data, log = Path(folder) / "body", Path(folder) / "log"
        data.write_bytes(REQUEST)
        headers = [part for header in ("content-type: application/json", *contender.headers) for part in ("-H", header)]
        command = ["taskset", "-c", "1", "h2load", "--h1", "-c", str(connections), "--rps", str(per_s // connections), "-D", str(seconds),
                   "-d", str(data), f"--log-file={log}", *headers, f"http://127.0.0.1:{contender.port}{PATH}"]  # fmt: skip
        subprocess.run(command, capture_output=True, text=True, check=True)
        # Each line: start in microseconds, status, duration in microseconds.
        times = [int(line.split()[2]) for line in log.read_text().splitlines() if line.split()[1] == "200"]
    return statistics.median(times) / 1000


async def open_streams(contender: Contender, count: int) -> list[asyncio.StreamWriter]:
    """So many streams, each open after its first event."""
    body = REQUEST.replace(b'"model"', b'"stream": true, "model"')
    lines = [
        f"POST {PATH} HTTP/1.1",
        "host: x",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *contender.headers,
    ]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    writers: list[asyncio.StreamWriter] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", contender.port, limit=4096)
        writer.write(request)
        await reader.readuntil(b"word 000")
        writers.append(writer)

    for start in range(0, count, 100):
        await asyncio.gather(*[one() for _ in range(start, min(start + 100, count))])
    return writers
