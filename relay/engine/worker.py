"""A worker process: reads the configuration, opens everything, says that it is ready, and serves until it is told to end.

`python -m relay.engine.worker check` reads the configuration for the supervisor and prints what that must know, as JSON;
`migrate` brings the embedded database to what the plugins need, and prints what was done.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import orjson
import uvloop

from relay.config import Configuration, load
from relay.engine.environment import CONFIGURATION, DATABASE, JOBS, PUBLIC, STATE
from relay.engine.exchange_log import ExchangeLog, event_log
from relay.engine.gateway import Gateway
from relay.engine.intake import Limits
from relay.engine.jobs import Jobs
from relay.engine.serving import Serving, Terms
from relay.engine.upstream import Upstream
from relay.engine.worker_status import FIRST, announce, inherited
from relay.errors import ConfigurationError, RelayError
from relay.ports import Database
from relay.storage.opening import is_wanted, migrate_database, opened_database
from relay.storage.state import open_state


def main() -> int:
    """The entry of a worker, or of the check."""
    path = Path(os.environ[CONFIGURATION])
    if sys.argv[1:] == ["check"]:
        return _check(path)
    if sys.argv[1:] == ["migrate"]:
        return _migrate(path)
    try:
        configuration = load(path)
    except ConfigurationError as error:
        announce("failed", message=str(error))
        return 1
    try:
        return uvloop.run(_serve(configuration))
    except Exception as error:
        announce("failed", message=f"{type(error).__name__}: {error}")
        return 1


def _check(path: Path) -> int:
    try:
        configuration = load(path)
    except ConfigurationError as error:
        sys.stdout.buffer.write(orjson.dumps({"problems": [str(problem) for problem in error.problems]}))
        return 1
    core = configuration.core
    jobs = [job for loaded in configuration.chain for job in loaded.plugin.jobs() if job.scope != "process"]
    said: dict[str, Any] = {
        "hash": configuration.hash,
        "listen": core.listen,
        "operator_listen": core.operator_listen,
        "workers": core.workers,
        "data": str(core.data),
        "drain_s": core.limits.drain_seconds,
        "tls": core.tls is not None,
        "has_redis": core.redis.url is not None,
        "has_jobs": bool(jobs),
        "embeds_database": core.database.url is None and is_wanted(loaded.plugin for loaded in configuration.chain),
        "log": core.log.format,
    }
    sys.stdout.buffer.write(orjson.dumps(said))
    return 0


def _migrate(path: Path) -> int:
    try:
        configuration = load(path)
        plugins = [loaded.plugin for loaded in configuration.chain]
        applied = asyncio.run(migrate_database(os.environ[DATABASE], plugins))
    except RelayError as error:
        sys.stdout.buffer.write(orjson.dumps({"problems": str(error).splitlines()}))
        return 1
    sys.stdout.buffer.write(orjson.dumps({"applied": [str(migration) for migration in applied]}))
    return 0


async def _serve(configuration: Configuration) -> int:
    core = configuration.core
    sockets, number, generation = inherited()
    public = int(os.environ[PUBLIC])
    is_jobs = os.environ.get(JOBS) == str(number)
    log = event_log(core.log.format, worker=number, generation=generation, configuration=configuration.hash[:12])
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    state = open_state(core.redis.url.open() if core.redis.url is not None else os.environ.get(STATE))
    database_url = core.database.url.open() if core.database.url is not None else os.environ.get(DATABASE)
    direct_url = core.database.direct_url.open() if core.database.direct_url is not None else None
    upstream = Upstream(allow_private=core.egress.allow_private, trust_env=core.egress.proxy_from_environment)
    plugins = [loaded.plugin for loaded in configuration.chain]
    gateway = Gateway(
        plugins,
        configuration.dialects,
        state,
        upstream,
        mode=core.mode,
        data=core.data,
        way_in_s=core.limits.way_in_seconds,
        log=log,
    )
    gateway.watch(ExchangeLog(log).ended)
    try:
        async with opened_database(database_url, direct_url, plugins, log=log) as database:
            if database is not None:
                gateway.provide(Database, database)
                gateway.check("database", database.finding)
            if is_jobs:
                jobs = Jobs([(plugin.name, job) for plugin in plugins for job in plugin.jobs()], log)
                async with gateway.opened(), jobs.running(("node", "cluster")):
                    announce("ready")
                    await stop.wait()
                return 0
            served = [configuration.dialects[name] for name in core.dialects]
            is_first = FIRST in os.environ
            serving = Serving(
                gateway, served, terms(configuration), sockets[:public], sockets[public:], is_first=is_first
            )
            async with serving.opened():
                announce("ready")
                await stop.wait()
            return 0
    finally:
        await upstream.close()
        await state.close()


def terms(configuration: Configuration) -> Terms:
    """On what terms a configuration serves its clients."""
    core, limits = configuration.core, configuration.core.limits
    tls = None
    if core.tls is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(core.tls.cert, core.tls.key)
    return Terms(
        Limits(
            body=min(limits.body_bytes, limits.body_decompressed_bytes),
            body_s=limits.body_seconds,
            upload=limits.upload_bytes,
            search=limits.multipart_search_bytes,
        ),
        head_bytes=limits.head_bytes,
        head_s=limits.header_seconds,
        connections=limits.connections,
        drain_s=limits.drain_seconds,
        trusted=core.trusted_proxies,
        hosts=core.hosts,
        plain_text=core.plain_text == "allow",
        tls=tls,
    )


if __name__ == "__main__":
    sys.exit(main())
