"""`relay serve`: the engine, for a configuration."""

from __future__ import annotations

import argparse

from relay.cli.configured import configuration_path
from relay.engine.serve import serve_command


def serve(arguments: argparse.Namespace) -> int:
    """Serve until told to stop. :raises NoConfiguration: there is none."""
    arguments.config = str(configuration_path(arguments))
    return serve_command(arguments)
