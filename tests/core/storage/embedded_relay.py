"""A process that owns an embedded Postgres, as the supervisor does: `embedded_relay.py FOLDER [BINARIES]`. It says `ready` and waits."""

import asyncio
import sys
from pathlib import Path

from relay.storage.embedded import Postgres


async def main(folder: Path, binaries: Path | None = None) -> None:
    async with Postgres(folder, log=lambda event, **fields: None, binaries=binaries, wait_s=0.5) as postgres:
        print("ready", postgres.pid, flush=True)
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:])))
