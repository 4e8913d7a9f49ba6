"""Which configuration a command is about."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from relay.config import Configuration, load
from relay.errors import RelayError

VARIABLE = "RELAY_CONFIG"
PLACES = (Path("relay.yaml"), Path("config/relay.yaml"))


class NoConfiguration(RelayError):
    """There is no configuration to read."""


def path_of(given: str | None) -> Path | None:
    """The configuration's path: as given, else `$RELAY_CONFIG`, else the first of the usual places that is there."""
    named = given or os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return next((place for place in PLACES if place.is_file()), None)


def configuration_path(arguments: argparse.Namespace) -> Path:
    """:raises NoConfiguration: none is named, and none lies in the usual places."""
    path = path_of(getattr(arguments, "config", None))
    if path is None:
        places = " and ".join(f"./{place}" for place in PLACES)
        raise NoConfiguration(
            f"there is no configuration: name one with --config or ${VARIABLE} ({places} are not there)"
        )
    return path


def configuration(arguments: argparse.Namespace) -> Configuration:
    """The configuration a command is about, loaded.

    :raises NoConfiguration: there is none.
    :raises ConfigurationError: with every problem found.
    """
    return load(configuration_path(arguments))
