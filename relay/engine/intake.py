"""A request as it comes in: its head judged, its body read within its limits, made into a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from relay.call import Call
from relay.engine.forwarded import Hosts, Network, is_trusted, origin
from relay.engine.inflate import ENCODINGS, PIECE, Inflate, Undecodable
from relay.engine.match import Matched
from relay.errors import Refused
from relay.exchange import Client
from relay.values.content import Content
from relay.wire import lens, multipart
from relay.wire.dialect import Dialect, Surface

_NOT_PASSED = frozenset(
    (
        b"accept-encoding", b"authorization", b"api-key", b"connection", b"content-encoding", b"content-length", b"cookie", b"expect",
        b"forwarded", b"host", b"keep-alive", b"origin", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"referer",
        b"te", b"trailer", b"transfer-encoding", b"upgrade", b"via", b"x-api-key", b"x-goog-api-key", b"x-real-ip", b"true-client-ip",
    )
)  # fmt: skip
_NOT_PASSED_PREFIXES = (b"x-relay-", b"x-forwarded-", b"sec-", b"cf-", b"proxy-")
_READ_AHEAD = 64 * 1024
_TARGET = re.compile(r"/[!\"$-~]*")
"""What a request line may ask for: printable ASCII from the root on, without a fragment. (RFC 9112 §3.2.1)"""
_HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,63}\.?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
MODEL = 256
"""Characters of a model's name."""


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
        trusted: tuple[Network, ...] = (),
        hosts: tuple[str, ...] = (),
        plain_text: bool = True,
    ) -> None:
        self.limits = limits
        self._trusted = trusted
        self._hosts = Hosts(hosts)
        self._plain_text = plain_text
        self._drops: dict[str, tuple[frozenset[bytes], tuple[bytes, ...]]] = {}

    def client(self, request: web.BaseRequest) -> Client:
        """Whence a request came. X-Forwarded-* is read only from trusted proxies, right to left."""
        peer = request.remote or ""
        secure = request.transport is not None and request.transport.get_extra_info("sslcontext") is not None
        headers = request.headers
        if self._trusted and is_trusted(peer, self._trusted):
            protocol = ",".join(headers.getall("X-Forwarded-Proto", [])).rpartition(",")[2]
            secure = secure or protocol.strip().lower() == "https"
            peer = origin(peer, ",".join(headers.getall("X-Forwarded-For", [])).split(","), self._trusted)
        agent = headers.get("User-Agent", "")[:512]
        if not agent.isprintable():
            agent = "".join(letter if letter.isprintable() else "?" for letter in agent)
        return Client(peer, agent, secure, headers.get("Host", ""))

    def admit(self, request: web.BaseRequest, client: Client) -> None:
        """Judge the head. :raises Refused: `bad_request`, `head_too_large`, `expectation_failed`, `unknown_host`, `plain_text_refused`"""
        headers, path = request.headers, request.raw_path
        size = len(path)
        for name, value in request.raw_headers:
            size += len(name) + len(value) + 4
        # aiohttp bounds the line and each header by itself.
        if size > request.protocol.max_line_size:
            raise Refused("head_too_large")
        if _TARGET.fullmatch(path) is None:
            raise Refused("bad_request", "The request line must ask for a path of printable ASCII.")
        if (transfer := headers.get("Transfer-Encoding")) is not None:
            if request.version < (1, 1):
                raise Refused("bad_request", "HTTP/1.0 has no transfer encodings.")
            if transfer.strip().lower() != "chunked":
                raise Refused("bad_request", "The only transfer encoding that is understood is chunked.")
        if "Upgrade" in headers and request.method != "GET" and headers["Upgrade"].strip().lower() == "websocket":
            raise Refused("bad_request", "Only GET can upgrade a connection.")
        if (expect := headers.get("Expect")) is not None and expect.lower() != "100-continue":
            raise Refused("expectation_failed")
        if client.host and not _HOST.fullmatch(client.host):
            raise Refused("unknown_host", "The Host header cannot be read.")
        if not self._hosts.has(client.host):
            raise Refused("unknown_host")
        if not self._plain_text and not client.secure:
            raise Refused("plain_text_refused")

    async def call(self, request: web.BaseRequest, matched: Matched, query: str) -> Call:
        """The call: its body read as far as it must be.

        :raises Refused: `too_large`, `request_timeout`, `unsupported_encoding`, `invalid_json`, `ambiguous_body`, or what the dialect says.
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
        if asked.model is not None:
            _judge_model(asked.model, surface, body, document)
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

    def encoding(self, request: web.BaseRequest) -> str | None:
        """How the body is compressed, if it is. :raises Refused: `unsupported_encoding`, for all but one known encoding."""
        if "Content-Encoding" not in request.headers:
            return None
        encoding = ",".join(request.headers.getall("Content-Encoding")).strip().lower()
        if encoding == "identity":
            return None
        if encoding not in ENCODINGS:
            raise Refused("unsupported_encoding", headers={"accept-encoding": "gzip, deflate"})
        return encoding

    async def _body(self, request: web.BaseRequest) -> bytes:
        limit = self.limits.body
        encoding = self._declared(request, limit)
        content = request.content
        if encoding is None and content.is_eof() and content.exception() is None:
            body = content.read_nowait(-1)
            if len(body) > limit:
                raise Refused("too_large")
            return body
        pieces: list[bytes] = []
        size = 0
        async for piece in self._pieces(request, encoding):
            size += len(piece)
            if size > limit:
                raise Refused("too_large")
            pieces.append(piece)
        return b"".join(pieces)

    def _declared(self, request: web.BaseRequest, limit: int) -> str | None:
        encoding = self.encoding(request)
        length = request.content_length
        if length is not None and length > limit:
            raise Refused("too_large")
        return encoding

    async def _pieces(self, request: web.BaseRequest, encoding: str | None) -> AsyncIterator[bytes]:
        """The body as it comes, decompressed; the whole of it must be here within the time it may take."""
        content = request.content
        if "Expect" in request.headers and request.version >= (1, 1) and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        inflate = Inflate(encoding) if encoding is not None else None
        until = asyncio.get_running_loop().time() + self.limits.body_s
        try:
            while True:
                async with asyncio.timeout_at(until):
                    piece = await content.readany()
                if not piece:
                    break
                if inflate is None:
                    yield piece
                    continue
                for out in inflate.feed(piece):
                    yield out
                    if len(out) == PIECE:
                        await asyncio.sleep(0)  # opening a bomb must not keep the others waiting
            if inflate is not None:
                inflate.end()
        except TimeoutError:
            raise Refused("request_timeout") from None
        except (HttpProcessingError, web.RequestPayloadError, Undecodable):
            raise Refused("bad_request", "The body cannot be decoded.") from None

    async def _form(
        self, request: web.BaseRequest, wants_model: bool
    ) -> tuple[bytes, AsyncIterator[bytes] | None, Mapping[str, str]]:
        """The beginning of a multipart body, the rest of it as it comes, and the fields in the beginning."""
        limits = self.limits
        encoding = self._declared(request, limits.upload)
        boundary = multipart.boundary(request.headers.get("Content-Type", ""))
        if boundary is None:
            raise Refused("bad_request", "The body must be multipart/form-data.")
        form = multipart.Form(boundary, once=("model",) if wants_model else ())
        pieces = self._pieces(request, encoding)
        head = bytearray()
        most = min(limits.upload, limits.search) if wants_model else _READ_AHEAD
        async for piece in pieces:
            _read(form, piece)
            head += piece
            if len(head) > limits.upload:
                raise Refused("too_large")
            if len(head) >= _READ_AHEAD and ("model" in form.fields or not wants_model or len(head) >= most):
                break
        else:
            return bytes(head), None, form.fields
        if wants_model and "model" not in form.fields:
            raise Refused("bad_request", "The form has no field 'model' before its files.")
        return bytes(head), _rest(form, len(head), pieces, limits.upload), form.fields

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


async def _rest(form: multipart.Form, size: int, pieces: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise Refused("too_large")
        _read(form, piece)
        yield piece


def _read(form: multipart.Form, piece: bytes) -> None:
    try:
        form.feed(piece)
        return
    except multipart.NamedTwice:
        refused = Refused("ambiguous_body")
    except multipart.Malformed:
        refused = Refused("bad_request", "The form cannot be read: readers could take it for different ones.")
    raise refused


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        position = error.pos
    raise Refused("invalid_json", f"The body is not valid JSON (at byte {position}).")


def _judge_model(model: str, surface: Surface, body: bytes, document: Any) -> None:
    """:raises Refused: no name can be like that; or it stands twice: the relay would decide on one, the provider could take the other."""
    if not 0 < len(model) <= MODEL or not model.isprintable():
        raise Refused("bad_request", f"A model's name has 1 to {MODEL} printable characters.")
    if surface.model == "body" and isinstance(document, dict) and document.get("model") == model:
        try:
            lens.top_level_string(body, "model", model)
            return
        except lens.DuplicateKey:
            pass
        raise Refused("ambiguous_body")
