"""P45: rate limits are exact over several workers and hosts."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from relay_auth import keys

from relay import Secret
from relay.engine.embedded import embedded_valkey

from .asking import ask, carrying, signed
from .deployed import Deployed, deployed, plugin, provider, shipped
from .taps import PREFIX, simulator

_PROCESSES, _LIMIT, _TRIES = 4, 100, 1000
_CHAT = next(surface for surface in carrying("openai") if surface.name == "chat")
_HOST = """
import asyncio, sys
from relay_ratelimit.limit import Ask
from relay_ratelimit.shared import SharedLimiter
from relay.storage.redis_state import RedisState

async def tries(url, name, count):
    state = RedisState(url, time_box_s=30)
    limiter, ask = SharedLimiter(state), Ask("one", "requests", 100, 60)
    await state.get("connected")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    taken = await asyncio.gather(*[limiter.take(f"{name}.{number}", [ask]) for number in range(count)])
    print(sum(each.permits for each in taken), flush=True)
    await state.close()

asyncio.run(tries(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_P45_four_hosts_that_share_a_server_let_in_exactly_the_limit(tmp_path: Path) -> None:
    async with embedded_valkey(tmp_path, log=_nothing) as url:
        hosts = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _HOST, url, f"host{number}", str(_TRIES // _PROCESSES),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )
            for number in range(_PROCESSES)
        ]  # fmt: skip
        for host in hosts:
            assert host.stdout is not None
            assert b"ready\n" == await host.stdout.readline()
        said = await asyncio.gather(*[host.communicate(b"go\n") for host in hosts])

    served = [int(out) for out, _ in said]
    assert _LIMIT == sum(served)


async def test_P45_two_relays_serve_exactly_the_limit_of_a_key(tmp_path: Path) -> None:
    secret, key = Secret("s" * 40), keys.make()
    known = {"id": "key_known", "hash": keys.store(keys.digest(secret, key)), "organisation": "acme"}
    async with simulator() as port, embedded_valkey(tmp_path, log=_nothing) as state, AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{port}{PREFIX['openai']}"
        configuration = shipped(
            redis={"url": {"env": "P45_STATE"}},
            routing={"providers": {"openai": provider(url, "openai")}, "models": {"*": [{"provider": "openai"}]}},
        )
        configuration["plugins"][0] = {"auth": {"keys": [known], "secret": {"env": "P45_SECRET"}}}
        configuration["plugins"].insert(1, {"ratelimit": {"requests_per_minute": _LIMIT}})
        plugin(configuration, "routing")["models"] = {"*": [{"provider": "openai"}]}
        environment = {"P45_STATE": state, "P45_SECRET": secret.open()}
        relays = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            relays.append(deployed(tmp_path / name, configuration, environment))
        opened = await asyncio.gather(*[stack.enter_async_context(relay) for relay in relays])
        request = ask("openai", _CHAT, "Hello") | {"headers": signed("openai", key.open())}
        found: Counter[tuple[int, str]] = Counter()
        left: list[int] = []

        async def client(session: aiohttp.ClientSession, relay: Deployed) -> None:
            for _ in range(_TRIES // 40):
                async with session.post(relay.url + "/v1/chat/completions", **request) as answer:
                    found[answer.status, answer.headers.get("x-relay-error", "")] += 1
                    left.append(int(answer.headers["x-ratelimit-remaining-requests"]))
                    await answer.read()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*[client(session, relay) for relay in opened for _ in range(20)])

    assert {(200, ""): _LIMIT, (429, "rate_limited"): _TRIES - _LIMIT} == found
    assert [*range(_LIMIT)] == sorted(left)[-_LIMIT:], "a remainder was told twice"


def _nothing(event: str, /, **fields: object) -> None:
    """Nobody reads the server's log."""
