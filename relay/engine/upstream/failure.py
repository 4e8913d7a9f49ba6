"""What can go wrong on the way to a provider.

UpstreamError            kind, written
└── UpgradeRefused       the provider answered a WebSocket handshake with an ordinary answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from relay.errors import RelayError

if TYPE_CHECKING:
    from relay.engine.upstream.answer import Answer

Kind = Literal[
    "refused_address",  # the checking dialer said no
    "connect",  # DNS, TCP, TLS or the proxy
    "connect_timeout",  # no connection, or no place in the pool, within connect_s
    "closed",  # the peer closed before the first byte of an answer
    "protocol",  # what came is not an HTTP/1.1 answer
    "first_byte_timeout",  # no head within first_byte_s of the request being written
    "silence",  # no byte for silence_s while one was awaited
    "total_timeout",  # not finished within total_s
    "cut",  # the answer ended before its framing did
    "upgrade_refused",  # see UpgradeRefused
]


class UpstreamError(RelayError):
    """An attempt failed on the wire. The message names the place and the fault, never a header, a query or a body.

    `written` says whether a byte of the request may have reached the provider: if not, trying again cannot do a thing twice.
    """

    def __init__(self, kind: Kind, *, written: bool, place: str, detail: str) -> None:
        super().__init__(f"{place}: {detail}")
        self.kind = kind
        self.written = written
        self.place = place
        self.detail = detail


class UpgradeRefused(UpstreamError):
    """The provider answered the handshake with `answer` (401, 429, …), which the caller may read and must release."""

    def __init__(self, answer: Answer, *, place: str) -> None:
        super().__init__(
            "upgrade_refused", written=True, place=place, detail=f"answered a WebSocket handshake with {answer.status}"
        )
        self.answer = answer
