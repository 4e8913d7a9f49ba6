"""`python -m relay_simulator --port N`: the provider as a process of its own, for benches, drills and SDK tests."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvloop
from aiohttp import web

from relay import Secret
from relay_simulator.provider import application
from relay_simulator.settings import SimulatorSettings


def main() -> None:
    """Serve on the loopback until interrupted. With port 0 the system chooses one; it is printed."""
    parser = argparse.ArgumentParser(prog="relay_simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two events of a stream")
    parser.add_argument("--key", help="the key that requests must carry")
    parser.add_argument("--folder", type=Path, help="where objects and the journal lie (default: a temporary folder)")
    given = parser.parse_args()
    settings = SimulatorSettings(pace=given.pace, key=Secret(given.key) if given.key else None)
    uvloop.install()
    web.run_app(application(settings, folder=given.folder), host="127.0.0.1", port=given.port, access_log=None)


if __name__ == "__main__":
    main()
