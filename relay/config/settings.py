"""The core's own settings: everything at the top of the file but `plugins`."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork

from relay.plugin import Settings
from relay.values.place import Place
from relay.values.quantity import Duration, Size
from relay.values.secret import Secret

_HOST = re.compile(
    r"(?:\*\.)?(?:[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]"
)


def _address(given: str) -> str:
    if given.startswith("unix:"):
        if len(given) == len("unix:"):
            raise ValueError("expected a path behind 'unix:'")
        return given
    host, colon, port = given.rpartition(":")
    if not (host and colon) or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError("expected an address such as 127.0.0.1:8080, [::1]:8080 or unix:/path")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:8080")
    return given


def _host(given: str) -> str:
    if not _HOST.fullmatch(given):
        raise ValueError("expected a host name such as api.example.org, without scheme, port or path")
    return given.lower()


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _once(given: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for i, name in enumerate(given) if name in given[:i]]
    if twice:
        raise ValueError(f"'{twice[0]}' is listed twice")
    return given


Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Host = Annotated[str, AfterValidator(_host)]


class Secrets(Settings):
    """The relay's own secrets. The first of each list is current, the others are still accepted."""

    master: tuple[Secret, ...] = Field(
        default=(), description="Keys under which stored credentials are encrypted; new ones are put first."
    )
    keys: tuple[Secret, ...] = Field(
        default=(), description="Keys under which customer keys are hashed; new ones are put first."
    )


class Database(Settings):
    """Where rows are kept."""

    url: Secret | None = Field(
        default=None, description="Address of a PostgreSQL server. Left out: an embedded one in the data folder."
    )
    direct_url: Secret | None = Field(
        default=None,
        description="A way to the same server around a transaction pooler, for LISTEN, migrations and locks.",
    )


class Redis(Settings):
    """Where state is kept that several processes share."""

    url: Secret | None = Field(
        default=None,
        description="Address of a Redis or Valkey server. Left out: none, or an embedded one with several workers.",
    )


class Tls(Settings):
    """TLS on the public listener."""

    cert: Place = Field(description="File with the certificate and its chain, PEM.")
    key: Place = Field(description="File with the certificate's private key, PEM.")


class Limits(Settings):
    """What one client may cost."""

    head_bytes: Size = Field(default=16 * 1024, description="Size of a request line and its headers together.")
    body_bytes: Size = Field(default=32 * 1024**2, description="Size of a request body as it is sent.")
    body_decompressed_bytes: Size = Field(
        default=32 * 1024**2, description="Size of a request body after it was decompressed."
    )
    upload_bytes: Size = Field(
        default=512 * 1024**2, description="Size of a streamed upload (multipart), which is not held in memory."
    )
    multipart_search_bytes: Size = Field(
        default=32 * 1024**2,
        description="How far into a multipart body its model is looked for; what stands before it is held in memory.",
    )
    answer_bytes: Size = Field(
        default=64 * 1024**2, description="Size of a provider's answer that has to be held in memory."
    )
    header_seconds: Duration = Field(default=10.0, description="Time for a request's head to arrive.")
    body_seconds: Duration = Field(default=60.0, description="Time between two pieces of a request's body.")
    connections: int = Field(default=10_000, ge=1, description="Connections open at once, for each worker.")
    way_in_seconds: Duration = Field(
        default=10.0, description="Time that all plugins together have before a request goes to a provider."
    )
    drain_seconds: Duration = Field(
        default=30.0, description="Time that running answers have to end when a worker stops."
    )


class Egress(Settings):
    """Where the relay may connect to by itself."""

    allow_private: tuple[Host, ...] = Field(
        default=(),
        description="Hosts that may be reached although their addresses are private, as for a provider in the same network.",
    )
    proxy_from_environment: bool = Field(
        default=False, description="Whether HTTPS_PROXY, HTTP_PROXY and NO_PROXY are heeded."
    )


class Log(Settings):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severity that is written."
    )
    format: Literal["json", "text"] = Field(default="json", description="One JSON object per line, or text for people.")


class CoreSettings(Settings):
    """The settings of the relay itself. Relative paths start at the folder of the configuration file."""

    mode: Literal["standard", "commercial"] = Field(
        default="standard",
        description="`commercial`: content is never stored, plugins that would are refused, and secrets must be given.",
    )
    listen: Addresses = Field(
        default=("127.0.0.1:8080",),
        min_length=1,
        description="Address for clients, or a list: `host:port`, `[ipv6]:port` or `unix:/path`.",
    )
    operator_listen: Addresses = Field(
        default=("127.0.0.1:8081",),
        description="Address for operators: metrics and operators' routes. `[]`: none is opened.",
    )
    workers: int = Field(default=1, ge=1, le=512, description="Processes that serve.")
    data: Place = Field(
        default=Path(".relay"),
        validate_default=True,
        description="Folder for embedded servers, the journal and generated secrets.",
    )
    secrets: Secrets = Field(
        default=Secrets(), description="The relay's own secrets. Left out in standard mode: made in the data folder."
    )
    database: Database = Field(default=Database(), description="Where rows are kept.")
    redis: Redis = Field(default=Redis(), description="Where state is kept that several processes share.")
    trusted_proxies: tuple[Annotated[IPv4Network | IPv6Network, IPvAnyNetwork], ...] = Field(
        default=(),
        description="Networks from which X-Forwarded-For and X-Forwarded-Proto are believed, read right to left.",
    )
    hosts: tuple[Host, ...] = Field(
        default=(), description="Host names that are answered; `*.example.org` for all below one. Empty: any."
    )
    dialects: Annotated[tuple[str, ...], AfterValidator(_once)] = Field(
        default=(),
        description="Which surfaces are served. A path that several share goes by the headers, else to the first. "
        "Left out: all that are installed, the one with the most surfaces first.",
    )
    tls: Tls | None = Field(
        default=None, description="TLS on the public listener. Left out: plain HTTP, as behind a reverse proxy."
    )
    plain_text: Literal["allow", "refuse"] = Field(
        default="allow",
        description="`refuse`: requests must come over TLS, own or a trusted proxy's, and providers are reached by https only.",
    )
    limits: Limits = Field(default=Limits(), description="What one client may cost.")
    egress: Egress = Field(default=Egress(), description="Where the relay may connect to by itself.")
    log: Log = Field(default=Log(), description="What is written to standard error.")
