"""A worker for the supervisor's tests: it answers lines on the sockets it inherited.

`who` is answered with its number, generation and pid; `slow S` with `begun`, and S seconds later with `done`.
FAKE says how it behaves, as `behaviour` for every worker or `behaviour:number` for one.
"""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import types

# The package without its __init__, which imports the whole contract (0.4 s): this worker needs none of it, and the
# tests start dozens.
package = types.ModuleType("relay")
found = importlib.util.find_spec("relay")
assert found is not None
package.__path__ = list(found.submodule_search_locations or ())
sys.modules["relay"] = package

from relay.engine.worker_status import STATUS, announce, inherited  # noqa: E402


async def main() -> int:
    sockets, number, generation = inherited()
    behaviour, _, only = os.environ.get("FAKE", "").partition(":")
    if only and int(only) != number:
        behaviour = ""
    if behaviour == "fails":
        announce("failed", message="the database does not answer")
        return 1
    if behaviour == "dies":
        return 3
    if behaviour == "fails when told":
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
        await told.wait()
        return 4
    if behaviour == "hangs":
        await asyncio.sleep(60)
    if behaviour == "leaves a child":
        subprocess.Popen(["sleep", os.environ["FAKE_SLEEP"]], pass_fds=(int(os.environ[STATUS]),))
    stop = asyncio.Event()
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            answering.add(task)
            task.add_done_callback(answering.discard)
        word, *details = (await reader.readline()).decode().split() or ["nothing"]
        if word == "who":
            writer.write(f"{number} {generation} {os.getpid()}\n".encode())
        elif word == "slow":
            writer.write(b"begun\n")
            await asyncio.sleep(float(details[0]))
            writer.write(b"done\n")
        writer.close()

    servers = [await asyncio.start_server(answer, sock=listener, backlog=1024) for listener in sockets]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    announce("ready")
    if behaviour == "faints":
        return 7
    await stop.wait()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)  # Told again, it ends at once.
    for server in servers:
        server.close()
    if answering:
        await asyncio.wait(answering)
    if behaviour == "stays":
        await asyncio.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
