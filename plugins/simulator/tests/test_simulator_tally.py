"""What the provider says it served is what it served."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import aiohttp
import orjson
import pytest
from relay_simulator.fault import Fault
from relay_simulator.journal import Journal
from relay_simulator.plugin import Simulator
from relay_simulator.settings import SimulatorSettings
from relay_simulator.shelf import Shelf
from relay_simulator.tally import Tally

from plugins.simulator.tests.conftest import Running
from relay import Usage

HEAD = {"request": "req_1", "dialect": "openai", "surface": "chat", "model": "gpt-4o"}


async def test_one_request_is_found_by_the_providers_id(simulator: Running) -> None:
    async with simulator.chat("[[sim cached=3 reasoning=2 say=abcd]]") as response:
        answer = await response.read()

    one = await simulator.tally(response.headers["x-request-id"])

    assert ("completed", 200, len(answer)) == (one["outcome"], one["status"], one["bytes"])
    assert {"input": 10, "cache_read": 3, "output": 1, "reasoning": 2} == one["served"]
    assert (13, 3) == (one["reported"]["prompt_tokens"], one["reported"]["prompt_tokens_details.cached_tokens"])


async def test_a_client_that_leaves_is_counted_with_what_it_was_sent(simulator: Running) -> None:
    async with simulator.chat("[[sim pace=20ms bytes=4000 events=1000]]", stream=True) as response:
        for _ in range(6):
            await response.content.readuntil(b"\n\n")
        response.close()

    while (await simulator.tally())["total"]["open"]:
        await asyncio.sleep(0.01)
    one = await simulator.model("openai", "gpt-4o")
    assert (1, 0) == (one["cut"], one["completed"])
    assert 5 <= one["served"]["output"] <= 20
    assert {} == one["reported"]


@pytest.mark.parametrize("stream", [False, True])
async def test_every_bucket_is_reported_where_the_dialect_has_it(simulator: Running, stream: bool) -> None:
    async with simulator.chat(
        "[[sim cached=3 written=5 reasoning=2]]", stream=stream, stream_options={"include_usage": True}
    ) as response:
        await response.read()

    one = await simulator.tally(response.headers["x-request-id"])

    served, reported = one["served"], one["reported"]
    assert (3, 5, 2) == (served["cache_read"], served["cache_write_5m"], served["reasoning"])
    assert 5 == reported["prompt_tokens_details.cache_write_tokens"]
    assert reported["total_tokens"] == sum(served.values())


async def test_gemini_writes_no_cache(simulator: Running) -> None:
    body = {"contents": [{"parts": [{"text": "[[sim written=5 say=abcd]]"}]}]}

    async with simulator.post("/gemini/v1beta/models/gemini-2.5-pro:generateContent", body) as response:
        await response.read()

    assert {"input": 12, "output": 1} == (await simulator.tally(response.headers["x-request-id"]))["served"]


async def test_sums_go_by_dialect_and_model_and_can_be_reset(simulator: Running) -> None:
    for text in ("[[sim say=abcd]]", "[[sim say=abcd]]", "[[sim status=500]]"):
        await (await simulator.chat(text)).read()
    body = {"contents": [{"parts": [{"text": "[[sim say=abcd]]"}]}]}
    await (await simulator.post("/gemini/v1beta/models/gemini-2.5-pro:generateContent", body)).read()

    before = await simulator.tally()
    await simulator.http.post(f"{simulator.url}/tally/reset")
    after = await simulator.tally()

    chat, total = before["dialects"]["openai"]["gpt-4o"], before["total"]
    assert (3, 2, 1) == (chat["requests"], chat["completed"], chat["refused"])
    assert (2, 10) == (chat["served"]["output"], chat["reported"]["total_tokens"])
    assert (4, 3, 3) == (total["requests"], total["completed"], total["served"]["output"])
    assert 5 == before["dialects"]["gemini"]["gemini-2.5-pro"]["reported"]["totalTokenCount"]
    assert (0, {}) == (after["total"]["requests"], after["dialects"])


async def test_the_last_heads_show_names_and_no_values(simulator: Running) -> None:
    body = orjson.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "my secret"}]})
    headers = {"Authorization": "Bearer sim-key", "Content-Type": "application/json", "X-Mark": "my-mark"}

    await simulator.http.post(f"{simulator.url}/openai/v1/chat/completions?key=abc", data=body, headers=headers)
    async with simulator.http.get(f"{simulator.url}/last") as response:
        shown = await response.text()

    head = orjson.loads(shown)["last"][-1]
    assert {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} == head["body"]
    assert "X-Mark" in head["headers"]
    assert {"?key": "present", "authorization": "present"} == head["credentials"]
    for value in ("secret", "my-mark", "sim-key", "abc"):
        assert value not in shown.replace(head["body"]["sha256"], "")


async def test_the_exact_bytes_of_requests_are_recorded_for_tests(simulator: Running) -> None:
    body = b'{ "model":"gpt-4o",\n"messages":[{"role":"user","content":"\\u0041"}] }'
    headers = {"Authorization": "Bearer sim-key", "Content-Type": "application/json"}

    await simulator.http.post(f"{simulator.url}/openai/v1/chat/completions?a=%20b", data=body, headers=headers)

    assert (body, "POST") == (simulator.provider.recorded[0].body, simulator.provider.recorded[0].method)
    assert simulator.provider.recorded[0].target.endswith("/chat/completions?a=%20b")


def test_two_processes_sum_into_one_tally(tmp_path: Path) -> None:
    one, other = (Tally(Journal(tmp_path / "journal"), 10) for _ in range(2))

    one.came(HEAD)
    other.came({**HEAD, "request": "req_2"})
    one.ended(HEAD, "completed", 200, {"events": 1, "bytes": 10}, {"total_tokens": 3}, Usage(input=2, output=1))

    assert one.sums() == other.sums()
    assert (2, 1, 1) == tuple(one.sums()["total"][name] for name in ("requests", "completed", "open"))


def test_a_reset_by_one_process_is_seen_by_the_others(tmp_path: Path) -> None:
    one, other = (Tally(Journal(tmp_path / "journal"), 10) for _ in range(2))
    one.came(HEAD)
    assert 1 == other.sums()["total"]["requests"]

    one.reset()
    one.came(HEAD)
    one.came(HEAD)

    assert 2 == other.sums()["total"]["requests"]


def test_the_tally_survives_a_restart(tmp_path: Path) -> None:
    Tally(Journal(tmp_path / "journal"), 10).came(HEAD)

    assert 1 == Tally(Journal(tmp_path / "journal"), 10).sums()["total"]["requests"]


@pytest.mark.parametrize("id", ["../../etc/passwd", "", ".", "a/b", "a\0b", "x" * 300])
def test_no_id_becomes_a_path(tmp_path: Path, id: str) -> None:
    shelf = Shelf(tmp_path)

    assert None is shelf.find("file", id)
    with pytest.raises(Fault):
        shelf.put("file", id, {})


def test_of_each_kind_the_newest_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, keep=5)

    for number in range(256):
        shelf.put("file", f"file-{number}", {"number": number})

    assert [255, 254, 253, 252, 251] == [document["number"] for document in shelf.all("file")]


def test_every_route_is_for_operators_and_stands_under_the_plugins_name() -> None:
    routes = tuple(Simulator(SimulatorSettings()).routes())

    assert {"operator"} == {route.permission for route in routes}
    assert all(route.path.startswith("/-/simulator/") for route in routes)
    assert len(routes) == len({(route.method, route.path) for route in routes}) > 70


async def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay_simulator", "--port", "0", "--folder", str(tmp_path),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        while b"http://" not in (line := await process.stdout.readline()):
            assert line, "the process ended before it served"
        url = line.split()[-2 if line.split()[-1] == b"========" else -1].decode()
        async with aiohttp.ClientSession() as http, http.get(f"{url}/-/simulator/openai/v1/models") as response:
            assert 200 == response.status
    finally:
        process.terminate()
        await process.communicate()

    assert 1 == Tally(Journal(tmp_path / "journal.jsonl"), 10).sums()["total"]["completed"]
