"""One provider account's place, parsed once; and the head of a request to it, as bytes."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable

from aiohttp import ClientTimeout, encode_basic_auth
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict
from yarl import URL

from relay.engine.upstream.address import is_odd_literal

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_TARGET = re.compile(r"/[!\"$-~]*")  # printable ASCII without space and '#'
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})

# Names already found to be tokens: each word of the wire is checked once. Bounded, because clients invent names.
_names: dict[str, bool] = {"host": True, "content-length": True, "transfer-encoding": True}
_NAMES_LIMIT = 2048


class Place:
    """What aiohttp's connector wants to know of a request, without there being one: it reads these attributes and no others."""

    __slots__ = (
        "connection_key", "headers", "host", "port", "proxy", "proxy_auth", "proxy_headers", "server_hostname", "ssl", "url",
    )  # fmt: skip

    def __init__(self, url: URL, context: ssl.SSLContext | None, proxy: URL | None, login: str | None) -> None:
        self.url = url
        self.host = url.raw_host or ""
        self.port = url.port
        self.ssl = context or True
        self.proxy = proxy
        self.proxy_auth = None
        self.proxy_headers = CIMultiDict({"Proxy-Authorization": login}) if login else None
        self.server_hostname = None
        self.headers = CIMultiDict({"Host": authority(url)})  # for the CONNECT that opens a tunnel
        self.connection_key = ConnectionKey(
            self.host, self.port, self.is_ssl(), self.ssl, proxy, None, hash(login) if login else None, None
        )

    def is_ssl(self) -> bool:
        """Whether the connection is encrypted up to the provider."""
        return self.url.scheme == "https"


class Origin:
    """Where one provider account lives: made once at start, read by every request.

    `name` is `scheme://host:port`, for messages and logs. `allow_private` says whether the deployer named the host.
    """

    __slots__ = ("_prefix", "_prelude", "_timeouts", "allow_private", "dialled", "name", "place", "url")

    def __init__(
        self, base_url: str, *, context: ssl.SSLContext | None, allow_private: bool = False, proxy: str | None = None
    ) -> None:
        """:raises ValueError: when a URL cannot be used as an address of a provider or of a proxy."""
        self.url = parse(base_url)
        proxy_url = login = None
        if proxy is not None:
            given = URL(proxy)
            proxy_url = parse(str(given.with_user(None)))
            if given.user is not None:
                login = encode_basic_auth(given.user, given.password or "")
        secure = self.url.scheme == "https"
        self.place = Place(self.url, context, proxy_url, login)
        self.allow_private = allow_private
        self.dialled = (proxy_url or self.url).host or ""
        self.name = f"{self.url.scheme}://{authority(self.url)}"
        self._prefix = self.url.raw_path.rstrip("/")
        self._prelude = f" HTTP/1.1\r\nhost: {authority(self.url)}\r\n"
        if proxy_url is not None and not secure:  # RFC 9112 §3.2.2: to a proxy, the target in full
            self._prefix = f"{self.name}{self._prefix}"
            if login is not None:
                self._prelude += f"proxy-authorization: {login}\r\n"
        self._timeouts: tuple[float, ClientTimeout] = (0.0, ClientTimeout())

    def __repr__(self) -> str:
        return f"<Origin {self.name}>"

    def connect_timeout(self, seconds: float) -> ClientTimeout:
        """The connector's form of a deadline; made anew only when the deadline changes. It is never rounded up."""
        known, made = self._timeouts
        if known != seconds:
            made = ClientTimeout(connect=seconds, ceil_threshold=float("inf"))
            self._timeouts = (seconds, made)
        return made

    def head(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        length: int | None,
        *,
        streamed: bool = False,
    ) -> tuple[bytes, int | None]:
        """The head of a request, and the length of a streamed body if the caller declared one.

        The origin's own `host` and the framing made here stand; a given `host`, `transfer-encoding` or (but for a streamed body)
        `content-length` is left out. `length` is None when there is no body, or when it is streamed.

        :raises ValueError: for anything that could end a line or is no token, before a byte is written; the message shows none of it.
        """
        if not method.isascii() or not method.isalpha():
            raise ValueError("the method is not a word")
        if _TARGET.fullmatch(target) is None:
            raise ValueError("the target must begin with '/' and be printable ASCII without spaces or '#'")
        fields = []
        declared: int | None = None
        for name, value in headers:
            is_ours = _names.get(name)
            if is_ours is None:
                is_ours = _learn(name)
            if not is_ours:
                fields.append(f"{name}: {value}\r\n")
            elif streamed and name.lower() == "content-length":
                declared = _declared(value, declared)
        block = "".join(fields)
        if block.count("\n") != len(fields) or block.count("\r") != len(fields) or "\0" in block:
            raise ValueError("a header's value holds a line break or NUL")
        if streamed:
            framing = "transfer-encoding: chunked\r\n" if declared is None else f"content-length: {declared}\r\n"
        elif length is not None or method not in _BODILESS:
            framing = f"content-length: {length or 0}\r\n"
        else:
            framing = ""
        try:
            return f"{method} {self._prefix}{target}{self._prelude}{block}{framing}\r\n".encode("latin-1"), declared
        except UnicodeEncodeError:
            pass  # its message and its object would carry the head, credentials included
        raise ValueError("a header's value cannot be written as latin-1")


def parse(base_url: str) -> URL:
    """A base URL without anything that is no place: no user, query or fragment.

    :raises ValueError: for another scheme, a missing host, a user, a query, a fragment, or a number that is no plain address.
    """
    url = URL(base_url)
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("a base URL is http:// or https:// and a host")
    if url.raw_user is not None or url.raw_password is not None or url.raw_query_string or url.raw_fragment:
        raise ValueError(f"the base URL of {url.raw_host} must not hold a user, a query or a fragment")
    if is_odd_literal(url.raw_host):
        raise ValueError(f"{url.raw_host} is neither a host name nor an address in plain notation")
    return url


def authority(url: URL) -> str:
    """Host and, where it is not the scheme's own, port; an IPv6 address in brackets."""
    return url.host_port_subcomponent or ""


def _learn(name: str) -> bool:
    if _TOKEN.fullmatch(name) is None:
        raise ValueError("a header's name is not a token")
    is_ours = _names.get(name.lower(), False)
    if len(_names) < _NAMES_LIMIT:
        _names[name] = is_ours
    return is_ours


def _declared(value: str, before: int | None) -> int:
    if not (value.isascii() and value.isdigit()) or before not in (None, int(value)):
        raise ValueError("the declared content-length is not one number")
    return int(value)
