"""`relay serve`: the supervisor's process. It reads the configuration through a child, so that it stays small and can read it anew."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from relay.engine.embedded import ValkeyFailed, embedded_valkey
from relay.engine.environment import CONFIGURATION, DATABASE, JOBS, PUBLIC, STATE
from relay.engine.exchange_log import Log, event_log
from relay.engine.sockets import CannotListen, close_listeners, open_listeners, shown
from relay.engine.supervisor import Generation, Supervisor
from relay.errors import RelayError
from relay.storage.embedded import PostgresFailed, embedded_postgres

_READY_S = 30.0
_NEED_RESTART = ("listen", "operator_listen", "workers", "data", "tls", "has_redis", "has_jobs", "embeds_database")


class Unusable(RelayError):
    """The configuration cannot be used; the message is all its problems, a line each."""


def serve_command(arguments: argparse.Namespace) -> int:
    """Serve until told to stop. `arguments`: `config`, and `say`, printed once the relay serves (`-`: standard input is)."""
    say = getattr(arguments, "say", None)
    try:
        return asyncio.run(_serve(Path(arguments.config), sys.stdin.read() if say == "-" else say))
    except (Unusable, CannotListen, ValkeyFailed, PostgresFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


async def _serve(path: Path, say: str | None) -> int:
    first = await _read(path)
    log = event_log(first["log"], worker=0)
    workers: int = first["workers"]
    data = Path(first["data"])
    os.makedirs(data, mode=0o700, exist_ok=True)
    public = open_listeners(first["listen"])
    operators = open_listeners(first["operator_listen"])
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(close_listeners, [*public, *operators])
        environment = {CONFIGURATION: str(path), PUBLIC: str(len(public))}
        if workers > 1 and not first["has_redis"]:
            environment[STATE] = await stack.enter_async_context(embedded_valkey(data, log=log))
        if first["embeds_database"]:
            # Each worker has a pool and a listener, and at a reload there are two generations.
            settings = {"max_connections": str(100 + 24 * workers)}
            environment[DATABASE] = await stack.enter_async_context(embedded_postgres(data, log=log, settings=settings))
        if first["has_jobs"]:
            environment[JOBS] = str(workers + 1)

        async def check() -> Generation:
            said = await _read(path)
            changed = [name for name in _NEED_RESTART if said[name] != first[name]]
            if changed:
                log("needs_restart", settings=changed)
            if DATABASE in environment:
                migrated = await _ask(path, "migrate", {DATABASE: environment[DATABASE]})
                log("migrated", applied=migrated["applied"])
            log("configuration", hash=said["hash"])
            return Generation(environment=environment)

        supervisor = Supervisor(
            command=lambda generation: [sys.executable, "-m", "relay.engine.worker"],
            sockets=[*public, *operators],
            workers=workers + bool(first["has_jobs"]),
            check=check,
            drain_s=first["drain_s"] + 3.0,
            ready_s=_READY_S,
            log=log,
            status_file=data / "workers.json",
        )
        scheme = "https" if first["tls"] else "http"
        greeting = asyncio.create_task(_greet(supervisor, [f"{scheme}://{shown(each)}" for each in public], log, say))
        try:
            return await supervisor.run()
        finally:
            greeting.cancel()


async def _greet(supervisor: Supervisor, addresses: list[str], log: Log, say: str | None) -> None:
    await supervisor.serving.wait()
    log("serving", on=addresses)
    if say is not None:
        sys.stdout.write(f"{say}\n")
        sys.stdout.flush()


async def _read(path: Path) -> dict[str, Any]:
    """What the supervisor must know of a configuration. :raises Unusable:"""
    return await _ask(path, "check", {})


async def _ask(path: Path, word: str, environment: dict[str, str]) -> dict[str, Any]:
    """Let a child do what needs the configuration and the plugins. :raises Unusable: it found problems."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "relay.engine.worker",
        word,
        env={**os.environ, **environment, CONFIGURATION: str(path)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    try:
        said: dict[str, Any] = json.loads(out)
    except ValueError:
        raise Unusable(f"{path}: the configuration could not be read (see above)") from None
    if "problems" in said:
        raise Unusable("\n".join(said["problems"]))
    return said
