"""What supervisor and worker say to each other: variables downwards, one JSON line per state upwards.

A worker's side of it is `inherited()` at its start and `announce("ready")`, or `announce("failed", message=…)`, once it
knows. Then SIGTERM is the only word it hears: finish what runs, take nothing new, and end.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import NamedTuple

from relay.errors import RelayError

SOCKETS = "RELAY_SOCKETS"
"""Descriptors of the listening sockets, in the order they were configured, separated by commas."""
STATUS = "RELAY_STATUS_FD"
"""Descriptor of the pipe that takes the worker's states."""
WORKER = "RELAY_WORKER"
"""The worker's number, from 1; it keeps it over restarts and reloads."""
GENERATION = "RELAY_GENERATION"
"""The number of the configuration it serves; grows with every reload."""

FIRST = "RELAY_FIRST"
"""Set for the first worker of all: nobody serves yet, so it answers for the relay's health while it starts."""


class NotSupervised(RelayError):
    """This process was not started by a supervisor."""


class Inherited(NamedTuple):
    """What a supervisor gives its worker."""

    sockets: list[socket.socket]
    number: int
    generation: int


def inherited() -> Inherited:
    """Take over what the supervisor passed on. Call it once, first; children of the worker inherit none of it.

    The sockets listen already; they are the same open sockets in every worker.

    :raises NotSupervised: when the variables are missing.
    """
    try:
        descriptors = [int(number) for number in os.environ[SOCKETS].split(",") if number]
        status, number, generation = (int(os.environ[name]) for name in (STATUS, WORKER, GENERATION))
    except KeyError as error:
        raise NotSupervised(f"{error.args[0]} is not set: a worker is started by `relay serve`, not by hand") from None
    for descriptor in (*descriptors, status):
        os.set_inheritable(descriptor, False)
    return Inherited([socket.socket(fileno=descriptor) for descriptor in descriptors], number, generation)


def announce(state: str, **details: str) -> None:
    """Tell the supervisor a state: `ready`, or `failed` with a `message` for the deployer.

    Says nothing where there is no supervisor, or no longer one: the worker is about to be told to end then.
    """
    if descriptor := os.environ.get(STATUS):
        with contextlib.suppress(BrokenPipeError):
            os.write(int(descriptor), json.dumps({"state": state, **details}).encode() + b"\n")
