"""`relay schema`: the JSON schema of a configuration."""

from __future__ import annotations

import argparse
import json
import sys

from relay.config import installed
from relay.config import schema as of
from relay.plugin import Plugin


def schema(arguments: argparse.Namespace) -> int:
    """Print the schema with every installed plugin; one that cannot be imported is named on stderr and left out."""
    plugins: dict[str, type[Plugin]] = {}
    failed = False
    known = installed.installed(installed.PLUGINS)
    for name in known:
        try:
            plugins[name] = installed.load_plugin(installed.find(known, name, "plugin"))
        except installed.NotLoaded as error:
            print(f"relay: {error}", file=sys.stderr)
            failed = True
    print(shown(plugins), end="")
    return int(failed)


def shown(plugins: dict[str, type[Plugin]]) -> str:
    """The schema as it is printed and stored."""
    return json.dumps(of.schema(plugins), indent=2, ensure_ascii=False) + "\n"
