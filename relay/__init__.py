"""Relay: a self-hosted AI API gateway. What a plugin author imports stands here; it is versioned by `API`.

Names are loaded when they are first used, so that the supervisor and small commands stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.call import Call
    from relay.declare import Column, Command, Header, Job, Route, Table
    from relay.errors import Code, ConfigurationError, ContentClosed, Refused, RelayError
    from relay.exchange import Attempt, Caller, Client, Exchange, Key, Reply, Rewriter, Skip
    from relay.plugin import API, Plugin, Relay, Settings
    from relay.target import Credential, Deadlines, FixedCredential, Retry, Target
    from relay.values.content import Content
    from relay.values.secret import Secret
    from relay.wire.dialect import Dialect, ModelEntry, Surface
    from relay.wire.vocabulary import Created, Event, Failure, Kind, Stop, Usage

_HOMES = {
    "relay.declare": "Column Command Header Job Route Table",
    "relay.errors": "Code ConfigurationError ContentClosed Refused RelayError",
    "relay.call": "Call",
    "relay.exchange": "Attempt Caller Client Exchange Key Reply Rewriter Skip",
    "relay.target": "Credential Deadlines FixedCredential Retry Target",
    "relay.plugin": "API Plugin Relay Settings",
    "relay.values.content": "Content",
    "relay.values.secret": "Secret",
    "relay.wire.dialect": "Dialect ModelEntry Surface",
    "relay.wire.vocabulary": "Created Event Failure Kind Stop Usage",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "API",
    "Attempt",
    "Call",
    "Caller",
    "Client",
    "Code",
    "Column",
    "Command",
    "ConfigurationError",
    "Content",
    "ContentClosed",
    "Created",
    "Credential",
    "Deadlines",
    "Dialect",
    "Event",
    "Exchange",
    "Failure",
    "FixedCredential",
    "Header",
    "Job",
    "Key",
    "Kind",
    "ModelEntry",
    "Plugin",
    "Refused",
    "Relay",
    "RelayError",
    "Reply",
    "Retry",
    "Rewriter",
    "Route",
    "Secret",
    "Settings",
    "Skip",
    "Stop",
    "Surface",
    "Table",
    "Target",
    "Usage",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'relay' has no attribute '{name}'")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
