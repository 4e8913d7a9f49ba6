"""The checking dialer: resolves, checks every address, and dials none but those it checked.

The check stands in two places on purpose. The resolver refuses a name as soon as one of its addresses is not public (a mixed
answer is what DNS rebinding looks like); the socket factory refuses the very address about to be dialled, whatever way it came
there: a literal, a cached answer, a proxy. Nothing resolves again between the check and the connect.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import ThreadedResolver

from relay.engine.upstream.address import is_public
from relay.engine.upstream.channel import Channel

dialled_host: ContextVar[str] = ContextVar("dialled_host", default="")
"""The host name on whose behalf the current task connects; the socket factory only sees addresses."""


class AddressRefused(OSError):
    """A host leads to an address that is not public. (An OSError, so that aiohttp treats it as a failed connect.)"""


class Egress:
    """Every (host, address, port) dialled since start, oldest first; bounded, the oldest falls out.

    `dials` counts them by host.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self.dials: dict[str, int] = {}
        self._limit = limit
        self._seen: dict[tuple[str, str, int], None] = {}

    def add(self, host: str, address: str, port: int) -> None:
        """Note one dial, whether or not it will succeed."""
        self._seen[host, address, port] = None
        if len(self._seen) > self._limit:
            del self._seen[next(iter(self._seen))]
        self.dials[host] = self.dials.get(host, 0) + 1
        if len(self.dials) > self._limit:
            del self.dials[next(iter(self.dials))]

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        return iter(tuple(self._seen))

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, place: object) -> bool:
        return place in self._seen


class CheckedResolver(AbstractResolver):
    """Resolves through another resolver and refuses a name one of whose addresses is not public."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """:raises AddressRefused: when any of the addresses is not public."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(place["host"]) for place in found):
            raise AddressRefused(f"{host} leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Nothing: the inner resolver belongs to whoever made it."""


def connector(
    *,
    public_only: bool,
    resolver: AbstractResolver | None,
    egress: Egress,
    limit: int,
    limit_per_host: int,
    idle_s: float,
) -> TCPConnector:
    """A pool of connections, to public addresses only or to hosts the deployer named. Needs a running loop.

    The two kinds are separate pools, so that neither a pooled connection nor a cached look-up of one serves the other.
    """
    inner = resolver or ThreadedResolver()
    made = TCPConnector(
        resolver=CheckedResolver(inner) if public_only else inner,
        socket_factory=_socket_factory(egress, public_only=public_only),
        limit=limit,
        limit_per_host=limit_per_host,
        keepalive_timeout=idle_s,
    )
    made._factory = partial(Channel, loop=made._loop)  # type: ignore[assignment]  # pinned by the contract tests
    return made


def _socket_factory(egress: Egress, *, public_only: bool) -> Callable[[AddrInfoType], socket.socket]:
    def make(info: AddrInfoType) -> socket.socket:
        family, kind, proto, _, place = info
        address, port = str(place[0]), int(place[1])
        if public_only and not is_public(address):
            raise AddressRefused(f"{address} is not a public address")
        egress.add(dialled_host.get(), address, port)
        return socket.socket(family, kind, proto)

    return make
