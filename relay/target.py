"""A target: one provider account and model that could answer, with what it is tried by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from relay.values.secret import Secret
from relay.wire.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Retry:
    """When one target is tried again. Waits are `base_s` doubled each time up to `cap_s`, with full jitter.

    A provider's Retry-After is honoured up to `retry_after_cap_s`; if it asks for more, the next target is taken at once.
    `hedge_after_s`: start the next target beside this one if no content has come by then.
    """

    tries: int = 2
    statuses: frozenset[int] = frozenset((408, 409, 429, 500, 502, 503, 504, 529))
    base_s: float = 0.2
    cap_s: float = 5.0
    retry_after_cap_s: float = 10.0
    hedge_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds a target has: to connect, to the first byte, between bytes, in all; `commit_after_s`: after so long the answer's head goes
    to the client even if no content has come yet, and no other target is tried any more."""

    connect_s: float = 10.0
    first_byte_s: float = 120.0
    silence_s: float = 120.0
    total_s: float = 900.0
    commit_after_s: float = 30.0


class Credential(Protocol):
    """What an attempt signs its request with."""

    async def current(self) -> Secret: ...

    async def refreshed(self, stale: Secret) -> Secret | None:
        """After the provider refused `stale` with a 401: a newer one, or None. Several may ask at once."""
        ...


@dataclass(frozen=True, slots=True)
class FixedCredential:
    """A credential that never changes."""

    secret: Secret

    async def current(self) -> Secret:
        return self.secret

    async def refreshed(self, stale: Secret) -> Secret | None:
        return None


@dataclass(frozen=True, slots=True)
class Target:
    """One provider account and model that could answer.

    `name` is `provider/model`, or whatever tells it apart in logs; `origin` is `base_url` as the dialer prepared it (engine's).
    """

    name: str
    provider: str
    dialect: Dialect
    base_url: str
    model: str | None = None
    credential: Credential | None = None
    headers: tuple[tuple[str, str], ...] = ()
    retry: Retry = Retry()
    deadlines: Deadlines = Deadlines()
    allow_private: bool = False
    proxy: str | None = None
    ca: str | None = None
