"""A request as it comes in: its head judged, its body read within its limits, made into a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from relay.engine.match import Matched
from relay.errors import Refused
from relay.exchange import Call, Client
from relay.values.content import Content
from relay.wire import multipart
from relay.wire.dialect import Dialect

_NOT_PASSED = frozenset(
    (
        b"accept-encoding", b"authorization", b"api-key", b"connection", b"content-encoding", b"content-length", b"cookie", b"expect",
        b"forwarded", b"host", b"keep-alive", b"origin", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"referer",
        b"te", b"trailer", b"transfer-encoding", b"upgrade", b"via", b"x-api-key", b"x-goog-api-key", b"x-real-ip", b"true-client-ip",
    )
)  # fmt: skip
_NOT_PASSED_PREFIXES = (b"x-relay-", b"x-forwarded-", b"sec-", b"cf-", b"proxy-")
_READ_AHEAD = 64 * 1024
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a request may be and how long it may take to come. Bytes and seconds."""

    body: int = 32 * 1024 * 1024
    body_s: float = 60.0
    upload: int = 512 * 1024 * 1024
    """How large a streamed body may be; it is never held."""
    search: int = 32 * 1024 * 1024
    """How far a multipart body is read for the model's name when it does not stand in the first 64 KiB."""


class Intake:
    """What is the same for every request of a listener."""

    def __init__(
        self,
        limits: Limits,
        *,
        trusted: tuple[IPv4Network | IPv6Network, ...] = (),
        hosts: tuple[str, ...] = (),
        plain_text: bool = True,
    ) -> None:
        self._limits = limits
        self._trusted = trusted
        self._hosts = frozenset(host.lower() for host in hosts)
        self._plain_text = plain_text
        self._drops: dict[str, tuple[frozenset[bytes], tuple[bytes, ...]]] = {}

    def client(self, request: web.BaseRequest) -> Client:
        """Whence a request came. X-Forwarded-* is read only from trusted proxies, right to left."""
        peer = request.remote or ""
        secure = request.transport is not None and request.transport.get_extra_info("sslcontext") is not None
        headers = request.headers
        if self._trusted and self._is_trusted(peer):
            secure = secure or headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower() == "https"
            for hop in reversed([hop.strip() for hop in ",".join(headers.getall("X-Forwarded-For", [])).split(",")]):
                if not _is_address(hop):
                    break
                peer = hop
                if not self._is_trusted(hop):
                    break
        return Client(peer, headers.get("User-Agent", "")[:512], secure, headers.get("Host", ""))

    def admit(self, request: web.BaseRequest, client: Client) -> None:
        """Judge the head. :raises Refused: `bad_request`, `unknown_host`, `plain_text_refused`"""
        if request.version < (1, 1) and "Transfer-Encoding" in request.headers:
            raise Refused("bad_request", "HTTP/1.0 has no transfer encodings.")
        if request.method != "GET" and request.method != "HEAD" and "Upgrade" in request.headers:
            raise Refused("bad_request", "Only GET can upgrade a connection.")
        if client.host and not _HOST.fullmatch(client.host):
            raise Refused("unknown_host", "The Host header cannot be read.")
        if (
            self._hosts
            and client.host.rpartition(":")[0].lower() not in self._hosts
            and client.host.lower() not in self._hosts
        ):
            raise Refused("unknown_host")
        if not self._plain_text and not client.secure:
            raise Refused("plain_text_refused")

    async def call(self, request: web.BaseRequest, matched: Matched, query: str) -> Call:
        """The call: its body read as far as it must be.

        :raises Refused: `too_large`, `request_timeout`, `unsupported_encoding`, `invalid_json`, or what the dialect says.
        """
        dialect, surface, params = matched.dialect, matched.surface, matched.params
        headers = self._headers(dialect, request)
        document: Any = None
        body, upload, upload_size = b"", None, None
        if surface.body == "multipart":
            body, upload, document = await self._form(request, surface.model == "form")
            if upload is not None and request.content_length is not None and "Content-Encoding" not in request.headers:
                upload_size = request.content_length - len(body)
        elif surface.body != "none" or request.body_exists:
            body = await self._body(request)
            if surface.body == "json" and body:
                document = _document(body)
            elif surface.body == "none":
                body = b""
        asked = dialect.ask(surface, params, query, document)
        return Call(
            dialect,
            surface,
            params=params,
            query=query,
            headers=headers,
            body=Content(body),
            document=document if surface.body == "json" else None,
            model=asked.model,
            stream=asked.stream,
            upload=upload,
            upload_size=upload_size,
        )

    async def _body(self, request: web.BaseRequest) -> bytes:
        limit = self._limits.body
        self._declared(request, limit)
        content = request.content
        if content.is_eof():
            body = content.read_nowait(-1)
            if len(body) > limit:
                raise Refused("too_large")
            return body
        pieces: list[bytes] = []
        size = 0
        async for piece in self._pieces(request):
            size += len(piece)
            if size > limit:
                raise Refused("too_large")
            pieces.append(piece)
        return b"".join(pieces)

    def _declared(self, request: web.BaseRequest, limit: int) -> None:
        encoding = request.headers.get("Content-Encoding")
        if encoding is not None and encoding.lower() not in ("gzip", "deflate", "br", "zstd", "identity"):
            raise Refused("unsupported_encoding")
        length = request.content_length
        if length is not None and length > limit:
            raise Refused("too_large")

    async def _pieces(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """The body as it comes, decompressed; the whole of it must be here within the time it may take."""
        content = request.content
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.body_s
        try:
            while True:
                async with asyncio.timeout_at(until):
                    piece = await content.readany()
                if not piece:
                    return
                yield piece
        except TimeoutError:
            raise Refused("request_timeout") from None
        except (HttpProcessingError, web.RequestPayloadError):
            raise Refused("bad_request", "The body cannot be decoded.") from None

    async def _form(
        self, request: web.BaseRequest, wants_model: bool
    ) -> tuple[bytes, AsyncIterator[bytes] | None, Mapping[str, str]]:
        """The beginning of a multipart body, the rest of it as it comes, and the fields in the beginning."""
        limit = self._limits.upload
        self._declared(request, limit)
        boundary = multipart.boundary(request.headers.get("Content-Type", ""))
        if boundary is None:
            raise Refused("bad_request", "The body must be multipart/form-data.")
        pieces = self._pieces(request)
        head = b""
        fields: Mapping[str, str] = {}
        most = min(limit, self._limits.search) if wants_model else _READ_AHEAD
        ended = True
        async for piece in pieces:
            head += piece
            if len(head) > limit:
                raise Refused("too_large")
            if len(head) >= _READ_AHEAD:
                fields = multipart.fields(head, boundary)
                if "model" in fields or len(head) >= most:
                    ended = False
                    break
        if ended:
            return head, None, multipart.fields(head, boundary)
        if wants_model and "model" not in fields:
            raise Refused("bad_request", "The form has no field 'model' before its files.")
        return head, _rest(len(head), pieces, limit), fields

    def _headers(self, dialect: Dialect, request: web.BaseRequest) -> list[tuple[str, str]]:
        """What of the client's headers goes on: not what belongs to this connection, to the relay, or to its credentials."""
        rules = self._drops.get(dialect.name)
        if rules is None:
            names = [name.encode() for name in (*dialect.drops, *dialect.key_headers)]
            rules = self._drops[dialect.name] = (
                _NOT_PASSED | {name for name in names if not name.endswith(b"-")},
                _NOT_PASSED_PREFIXES + tuple(name for name in names if name.endswith(b"-")),
            )
        exact, prefixes = rules
        named: tuple[str, ...] = ()
        if (connection := request.headers.get("Connection")) is not None:
            named = tuple(name.strip().lower() for name in connection.split(","))
        out = []
        for name, value in request.raw_headers:
            low = name.lower()
            if low in exact or low.startswith(prefixes) or (named and low.decode("latin-1") in named):
                continue
            out.append((name.decode("latin-1"), value.decode("latin-1")))
        out.append(("accept-encoding", "identity"))
        return out

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


async def _rest(size: int, pieces: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise Refused("too_large")
        yield piece


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        position = error.pos
    raise Refused("invalid_json", f"The body is not valid JSON (at byte {position}).")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
