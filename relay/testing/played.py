"""The client's side of a played exchange: how the reply is taken, and what came of it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from relay.engine.gateway import Gateway, body_of
from relay.engine.run import Run
from relay.engine.stream import Stream
from relay.errors import Refused, StreamBroken
from relay.exchange import Exchange, Reply
from relay.testing.provider import Sent
from relay.values.content import CORE, Content
from relay.wire.vocabulary import KINDS, Event


@dataclass(frozen=True, slots=True)
class Played:
    """What a client got, and what became of its exchange, which has ended."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes, ...]
    """The body as it left, write by write."""
    is_cut: bool
    """Was the connection broken off, because the format has no way to tell of an error within it?"""
    exchange: Exchange
    sent: tuple[Sent, ...]
    """What reached the provider meanwhile."""

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def upstream(self) -> tuple[bytes, ...]:
        """The bodies that reached the provider meanwhile."""
        return tuple(sent.body for sent in self.sent)

    def header(self, name: str) -> str | None:
        """The value of a header, by lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def error(self) -> str | None:
        """The code with which the relay refused; None: it did not."""
        return self.header("x-relay-error")

    @property
    def events(self) -> list[Event]:
        """Everything the answer says, read as its dialect's clients do."""
        call = self.exchange.call
        kind = self.header("content-type") or ""
        framer, reader = call.dialect.framer(call.surface, kind), call.dialect.reader(call.surface, kind)
        return [event for frame in [*framer.feed(self.body), *framer.end()] for event in reader.read(frame, KINDS)]

    @property
    def text(self) -> str:
        """The answer's words. What is told again as a whole is not counted twice."""
        return "".join(
            event.value.text(CORE)
            for event in self.events
            if event.kind == "text" and isinstance(event.value, Content) and not event.repeat
        )


class Reading:
    """A client that takes what it is given, and may leave."""

    def __init__(self, gateway: Gateway, run: Run, leaves_after: int | None) -> None:
        self._gateway = gateway
        self._run = run
        self._leaves_after = leaves_after
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self.pieces: list[bytes] = []
        self.is_cut = False

    async def read(self, reply: Reply) -> None:
        """Take the whole reply, as the downstream would write it."""
        stream = reply.source
        if not isinstance(stream, Stream):
            self.whole(reply)
            return
        self._head(reply)
        pieces = self._run.pieces(reply)
        if stream.ended and not stream.skims:
            try:
                body = b"".join([piece async for piece in pieces])
            except StreamBroken as broken:
                refused = self._gateway.refusal(self._run.exchange, Refused(broken.code, broken.message))
                self._run.exchange.status = refused.status
                self.whole(refused)
                return
            self.pieces.append(body)
            self._run.written(len(body))
            self._run.written(0)
            return
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if self._leaves_after is not None and len(self.pieces) >= self._leaves_after:
                        self._run.is_client_gone = True
                        return
                    self.pieces.append(piece)
                    self._run.written(len(piece))
            self._run.written(0)
        except StreamBroken:
            self.is_cut = True

    def whole(self, reply: Reply) -> None:
        """Take a reply that was made here."""
        self._head(reply)
        body = body_of(reply)
        self.pieces = [body]
        self._run.whole_written(reply, len(body))

    def _head(self, reply: Reply) -> None:
        exchange = self._run.exchange
        self.status = reply.status
        limits = self._gateway.limits(exchange).items()
        self.headers = (*reply.headers, *limits, ("x-relay-id", exchange.id))
