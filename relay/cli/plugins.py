"""`relay plugins`: what is installed. None of it is imported."""

from __future__ import annotations

import argparse

from relay.cli.columns import columns
from relay.config.installed import DIALECTS, PLUGINS, installed


def plugins(arguments: argparse.Namespace) -> int:
    """Print name, version, what it does and where it lies, of plugins and dialects."""
    for title, group in (("Plugins", PLUGINS), ("Dialects", DIALECTS)):
        rows = [
            (one.name, one.version, one.summary, f"{one.distribution} in {one.location}")
            for same in installed(group).values()
            for one in same
        ]
        print(title)
        print("\n".join(columns(rows)) or "  none")
    return 0
