"""The process's connections to every provider."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Collection, Iterable
from typing import cast
from urllib.request import getproxies, proxy_bypass

from aiohttp import ClientConnectorError, ClientError, ClientRequest, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection

from relay.engine.upstream.address import is_public
from relay.engine.upstream.answer import Answer, Deadlines
from relay.engine.upstream.channel import Channel
from relay.engine.upstream.dialer import AddressRefused, Egress, connector, dialled_host
from relay.engine.upstream.failure import Kind, UpgradeRefused, UpstreamError
from relay.engine.upstream.origin import Origin, parse
from relay.engine.upstream.socket import Socket

_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_HANDSHAKE = frozenset(
    {"connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"}
)


class Upstream:
    """All outgoing connections of a process. Made inside a running loop, closed with `close`.

    `limit` bounds connections to public hosts and, separately, to those the deployer named; `limit_per_host` those to one host, port,
    certificate authority and proxy, however many accounts share it. 0 is no limit. `allow_private` are host names that may
    lead to any address. `resolver` stands in for the system's. `trust_env` takes proxies from the environment. A connection
    idle for `idle_s` seconds is closed.
    """

    def __init__(
        self,
        *,
        limit: int = 0,
        limit_per_host: int = 0,
        allow_private: Collection[str] = (),
        resolver: AbstractResolver | None = None,
        trust_env: bool = False,
        idle_s: float = 60.0,
    ) -> None:
        self.egress = Egress()
        self._loop = asyncio.get_running_loop()
        self._allow_private = frozenset(host.lower() for host in allow_private)
        self._trust_env = trust_env
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._public, self._named = (
            connector(
                public_only=public_only,
                resolver=resolver,
                egress=self.egress,
                limit=limit,
                limit_per_host=limit_per_host,
                idle_s=idle_s,
            )
            for public_only in (True, False)
        )

    def origin(
        self, base_url: str, *, allow_private: bool = False, proxy: str | None = None, ca: str | None = None
    ) -> Origin:
        """A place to send requests to: `https://host[:port][/prefix]`. Reads the CA file: call it at start.

        `allow_private` lets this host lead to any address. `proxy` is `http://[user:password@]host[:port]`, an address the deployer
        chose and therefore not checked; the proxy resolves the provider's name, so a name behind it cannot be checked here either. `ca` is
        a file of certificates that are trusted instead of the system's.

        :raises ValueError: when a URL cannot be used.
        :raises OSError: when the CA file cannot be read.
        """
        url = parse(base_url)
        host = (url.raw_host or "").lower()
        if proxy is None and self._trust_env and not proxy_bypass(host):
            proxy = getproxies().get(url.scheme)
        is_plain = url.scheme == "http" and not (proxy or "").startswith("https:")
        return Origin(
            base_url,
            context=None if is_plain else self._context(ca),
            allow_private=allow_private or host in self._allow_private,
            proxy=proxy,
        )

    def _context(self, ca: str | None) -> ssl.SSLContext:
        if ca not in self._contexts:
            made = ssl.create_default_context(cafile=ca)
            made.minimum_version = ssl.TLSVersion.TLSv1_2
            made.set_alpn_protocols(["http/1.1"])
            self._contexts[ca] = made
        return self._contexts[ca]

    async def send(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
        deadlines: Deadlines,
    ) -> Answer:
        """Send one request and return when the head of its answer is here. The answer must be released.

        `target` is path and query below the origin's prefix. A body of bytes leaves together with the head; an iterator is sent chunked, or
        plain when `headers` declare its content-length, no faster than the provider takes it, while an early answer is
        listened for; what it raises is raised here, or by `Answer.read`. Interim answers (1xx) are skipped, redirects returned.

        :raises ValueError: for a method, target or header that could not be written safely; nothing was sent.
        :raises UpstreamError: every other failure; `written` tells whether trying again is free of risk.
        """
        streamed = body is not None and not isinstance(body, bytes)
        head, declared = origin.head(
            method, target, headers, len(body) if isinstance(body, bytes) else None, streamed=streamed
        )
        started = self._loop.time()
        answer = Answer(self._loop, await self._connect(origin, deadlines), origin.name, deadlines, started)
        await answer.begin(head, body, declared, bodiless=method == "HEAD")
        return answer

    async def upgrade(
        self,
        origin: Origin,
        target: str,
        headers: Iterable[tuple[str, str]],
        deadlines: Deadlines,
        *,
        heartbeat_s: float | None = 20.0,
        max_message: int = 16 * 1024 * 1024,
    ) -> Socket:
        """Open a WebSocket. The handshake keeps the deadlines; the session has none of its own but the heartbeat.

        `headers` may name `sec-websocket-protocol`; the rest of the handshake is made here, without extensions. `heartbeat_s`: a ping that
        often, and an end when no pong comes within half of it. `max_message`: bytes of one message from the provider.

        :raises UpgradeRefused: when the provider gives an ordinary answer instead; it must be released.
        :raises UpstreamError: as `send`, and `protocol` for a handshake that is no WebSocket's.
        """
        key = base64.b64encode(os.urandom(16))
        wanted = [(name, value) for name, value in headers if name.lower() not in _HANDSHAKE]
        wanted += [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", key.decode()),
        ]
        head, _ = origin.head("GET", target, wanted, None)
        started = self._loop.time()
        answer = Answer(self._loop, await self._connect(origin, deadlines), origin.name, deadlines, started)
        await answer.begin(head, None, None, bodiless=False, upgrade=True)
        if answer.status != 101:
            raise UpgradeRefused(answer, place=origin.name)
        given = {name.lower(): value for name, value in answer.headers}
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest()).decode()  # noqa: S324  # RFC 6455 §4.2.2
        offered = {name.strip() for n, v in wanted if n.lower() == "sec-websocket-protocol" for name in v.split(",")}
        chosen = given.get("sec-websocket-protocol")
        if (
            given.get("upgrade", "").lower() != "websocket"
            or given.get("sec-websocket-accept") != accept
            or "sec-websocket-extensions" in given
            or (chosen is not None and chosen not in offered)
        ):
            answer.release()
            raise UpstreamError(
                "protocol", written=True, place=origin.name, detail="answered with a handshake that is no WebSocket's"
            )
        return Socket(answer.detach(), origin.name, chosen, heartbeat_s=heartbeat_s, max_message=max_message)

    async def close(self) -> None:
        """Close every connection, the idle and the busy; whoever waits for one or reads from one gets an error."""
        await self._public.close()
        await self._named.close()

    async def _connect(self, origin: Origin, deadlines: Deadlines) -> Connection:
        """A connection on which nothing is under way. One from the pool that has gone stale is replaced without a word."""
        seconds = min(deadlines.connect_s, deadlines.total_s)
        pool = self._pool(origin)
        failure: UpstreamError
        if dialled_host.get() != origin.dialled:
            dialled_host.set(origin.dialled)
        try:
            while True:
                connection = await pool.connect(cast(ClientRequest, origin.place), [], origin.connect_timeout(seconds))
                channel = connection.protocol
                assert isinstance(channel, Channel)
                if channel.uses == 0 or channel.is_fresh():
                    return connection
                connection.close()
        except TimeoutError:
            kind: Kind = "connect_timeout" if deadlines.connect_s <= deadlines.total_s else "total_timeout"
            failure = _unsent(kind, origin, "no connection in time")
        except (ClientError, OSError, UnicodeError) as error:
            failure = _unconnected(error, origin)
        raise failure

    def _pool(self, origin: Origin) -> TCPConnector:
        place = origin.place
        if place.proxy is None:
            return self._named if origin.allow_private else self._public
        if not origin.allow_private and _is_literal(place.host) and not is_public(place.host):
            raise _unsent("refused_address", origin, "is not a public address")
        return self._named


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _unsent(kind: Kind, origin: Origin, detail: str) -> UpstreamError:
    return UpstreamError(kind, written=False, place=origin.name, detail=detail)


def _unconnected(error: Exception, origin: Origin) -> UpstreamError:
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    if isinstance(cause, AddressRefused):
        return _unsent("refused_address", origin, "leads to an address that is not public")
    certificate = getattr(error, "certificate_error", None) or cause
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return _unsent("connect", origin, f"its certificate was refused: {certificate.verify_message}")
    if isinstance(cause, ssl.SSLError):
        return _unsent("connect", origin, f"no TLS: {cause.reason or 'the handshake failed'}")
    reason = type(error).__name__
    if isinstance(cause, OSError):  # a look-up's numbers are below zero and its text is its own
        reason = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror or reason
    return _unsent("connect", origin, f"cannot be connected to: {reason}")
