"""A supervisor in a process of its own, as `relay serve` is one: fake workers, and a Valkey with VALKEY=1.

    fake_relay.py FOLDER ADDRESS [DRAIN_S]

It writes what is told to FOLDER/log, one JSON line each, and its workers to FOLDER/workers.json.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

from relay.engine.embedded import embedded_valkey
from relay.engine.sockets import close_listeners, open_listeners
from relay.engine.supervisor import Generation, Supervisor


async def main(folder: Path, address: str, drain_s: float = 5.0) -> int:
    with (folder / "log").open("w", buffering=1) as written:

        def log(event: str, /, **fields: object) -> None:
            written.write(json.dumps({"event": event, **fields}) + "\n")

        async def check() -> Generation:
            return Generation(environment={"FAKE": os.environ.get("FAKE", "")})

        listeners = open_listeners([address])
        supervisor = Supervisor(
            command=lambda generation: [sys.executable, str(Path(__file__).with_name("fake_worker.py"))],
            sockets=listeners,
            workers=2,
            check=check,
            drain_s=drain_s,
            ready_s=10,
            log=log,
            status_file=folder / "workers.json",
        )
        try:
            async with contextlib.AsyncExitStack() as around:
                if "VALKEY" in os.environ:
                    await around.enter_async_context(embedded_valkey(folder, log=log))
                return await supervisor.run()
        finally:
            close_listeners(listeners)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:]))))
