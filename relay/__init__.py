"""Relay: a self-hosted AI API gateway. What a plugin author imports stands here; it is versioned by `API`."""

from relay.declare import Column, Command, Header, Job, Route, Table
from relay.errors import Code, ConfigurationError, ContentClosed, Refused, RelayError
from relay.exchange import (
    Attempt,
    Call,
    Caller,
    Client,
    Credential,
    Deadlines,
    Exchange,
    FixedCredential,
    Key,
    Reply,
    Retry,
    Rewriter,
    Skip,
    Target,
)
from relay.plugin import API, Plugin, Relay, Settings
from relay.values.content import Content
from relay.values.secret import Secret
from relay.wire.dialect import Dialect, ModelEntry, Surface
from relay.wire.vocabulary import Created, Event, Failure, Kind, Stop, Usage

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
