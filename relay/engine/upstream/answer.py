"""One attempt on the wire: what was written, the head that came, the body as it arrives, and the one timer that watches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import inf
from typing import Protocol

from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from relay.engine.upstream.channel import HEAD_LIMIT, Channel
from relay.engine.upstream.failure import Kind, UpstreamError

_CONTROL = bytes(
    {*range(32), 127} - {9, 10}
)  # RFC 9110 §5.5: in a field's value only the tab is allowed; \n see `_take`
_DETAIL: dict[Kind, str] = {
    "closed": "closed the connection without an answer",
    "first_byte_timeout": "gave no answer in time",
    "silence": "fell silent",
    "total_timeout": "did not finish in time",
    "cut": "broke off in the middle of its answer",
}


class Deadlines(Protocol):
    """How long an attempt may take, in seconds. (`relay.target.Deadlines` is one.)"""

    @property
    def connect_s(self) -> float: ...
    @property
    def first_byte_s(self) -> float: ...
    @property
    def silence_s(self) -> float: ...
    @property
    def total_s(self) -> float: ...


class Answer:
    """A provider's answer whose head has arrived; the body is read piece by piece, or not.

    `release` must be called, whatever happened; afterwards nothing of the attempt is left but, if all went well, a pooled connection.
    `headers` are in the order and case of the wire, as latin-1, without control characters. `connected_s` and `first_byte_s` are seconds
    from the start of `send` to the connection and to the head. Nothing is decompressed.
    """

    __slots__ = (
        "_channel", "_connection", "_deadlines", "_ends_at", "_failure", "_is_released", "_loop", "_payload", "_place", "_read_due",
        "_started", "_upload", "_write_due", "connected_s", "first_byte_s", "headers", "reason", "reused", "status",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, place: str, deadlines: Deadlines, started: float
    ) -> None:
        channel = connection.protocol
        assert isinstance(channel, Channel)
        self._loop = loop
        self._connection = connection
        self._channel = channel
        self._place = place
        self._deadlines = deadlines
        self._started = started
        self._payload: StreamReader | None = None
        self._failure: BaseException | None = None
        self._upload: asyncio.Task[None] | None = None
        self._is_released = False
        self._read_due = self._write_due = inf
        self._ends_at = started + deadlines.total_s
        self.reused = channel.uses > 0
        self.status = 0
        self.reason = ""
        self.headers: tuple[tuple[str, str], ...] = ()
        self.connected_s = loop.time() - started
        self.first_byte_s = 0.0

    def __repr__(self) -> str:
        return f"<Answer {self.status} from {self._place}>"

    async def begin(
        self,
        head: bytes,
        body: bytes | AsyncIterator[bytes] | None,
        declared: int | None,
        *,
        bodiless: bool,
        upgrade: bool = False,
    ) -> None:
        """Write the request and wait for the answer's head. Only `Upstream` calls this, once."""
        channel = self._channel
        channel.begin(bodiless=bodiless)
        transport = channel.transport
        assert transport is not None
        first_byte_s = self._deadlines.first_byte_s
        if body is None:
            transport.write(head)
        elif isinstance(body, bytes):
            if len(body) < 65536:
                transport.write(head + body)
            else:
                transport.writelines((head, body))
        else:
            transport.write(head)
            first_byte_s = inf  # counts from the end of the upload
            self._upload = self._loop.create_task(self._send(body, declared))
            self._upload.add_done_callback(self._uploaded)
        self._read_due = self._loop.time() + first_byte_s
        self._watch()
        failure: BaseException | None
        try:
            while True:
                message, payload = await channel.read()
                if message.code >= 200 or message.code == 101:
                    break
        except asyncio.CancelledError:
            self.release()
            raise
        except Exception as error:
            failure = self._failed_head(error)
        else:
            self._read_due = inf
            self._payload = payload
            failure = self._take(message, upgrade=upgrade)
        if failure is not None:
            self.release()
            raise failure
        self.first_byte_s = self._loop.time() - self._started

    def _take(self, message: RawResponseMessage, *, upgrade: bool) -> BaseException | None:
        self.status = message.code
        self.reason = message.reason
        raw = message.raw_headers
        # All names and values in one piece, taken apart again by a byte that cannot stand in one: checked and decoded at once.
        block = b"\n".join([part for field in raw for part in field])
        parts = block.decode("latin-1").split("\n") if raw else []
        if message.code == 101 and not upgrade:
            return self._error("protocol", "switched protocols without being asked")
        if len(block) + 2 * len(parts) + len(self.reason) > HEAD_LIMIT:
            return self._error("protocol", "the head is larger than 64 KiB")
        if (
            len(parts) != 2 * len(raw)
            or len(block.translate(None, _CONTROL)) != len(block)
            or not _is_clean(self.reason)
        ):
            return self._error("protocol", "a header holds a control character")
        self.headers = tuple(zip(parts[::2], parts[1::2], strict=True))
        return None

    async def read(self) -> bytes:
        """The next piece as it arrived (what is buffered comes together), `b""` at the proper end of the body.

        What came before a break is given out before the break is raised. Cancelling closes the connection at once.

        :raises UpstreamError: `cut`, `silence`, `total_timeout`, or `protocol` when the framing is broken.
        """
        payload = self._payload
        if self._failure is not None:
            raise self._failure
        if payload is None or self._is_released:
            raise RuntimeError("the answer was released")
        if payload.is_eof() and payload.exception() is None and payload.at_eof():
            return b""
        if data := payload._read_nowait(-1):
            return data
        self._read_due = self._loop.time() + self._deadlines.silence_s
        self._watch()
        try:
            data = await payload.readany()
        except asyncio.CancelledError:
            self.release()
            raise
        except Exception as error:
            failure = self._failure or self._broken(error)
        else:
            self._read_due = inf
            # A reset that comes with the last bytes ends the stream as well as breaking it: the break must win.
            if data or payload.exception() is None:
                return data
            failure = self._error("cut")
        self._failure = failure
        self.release()
        raise failure

    def is_ready(self) -> bool:
        """Would `read` answer without waiting?"""
        payload = self._payload
        return payload is None or payload.is_eof() or bool(payload._buffer) or payload.exception() is not None

    def release(self) -> None:
        """Give the connection back to the pool if the answer came whole, else close it at once. May be called again."""
        if self._is_released:
            return
        self._is_released = True
        self._channel.unwatch()
        payload, upload, channel = self._payload, self._upload, self._channel
        is_whole = payload is not None and payload.is_eof() and payload.exception() is None and self._failure is None
        if upload is not None and not upload.done():
            upload.cancel()
            is_whole = False
        if is_whole and channel.transport is not None and not channel.transport.get_write_buffer_size():
            self._connection.release()
        else:
            channel.abort()  # close() would first wait until what is still unwritten has been taken
            self._connection.close()

    def detach(self) -> Connection:
        """Hand over the connection of an answer that switched protocols; the deadlines end with it."""
        self._is_released = True
        self._channel.unwatch()
        return self._connection

    # The upload of a streamed body

    async def _send(self, body: AsyncIterator[bytes], declared: int | None) -> None:
        channel, left = self._channel, declared
        try:
            async for piece in body:
                if not piece:
                    continue
                if left is None:
                    piece = b"%x\r\n%b\r\n" % (len(piece), piece)
                elif (left := left - len(piece)) < 0:
                    raise ValueError("the body is longer than its declared content-length")
                if channel.transport is None:
                    return  # whoever reads the answer learns why
                channel.transport.write(piece)
                if channel.writing_paused:
                    self._write_due = self._loop.time() + self._deadlines.silence_s
                    self._watch()
                    await channel._drain_helper()
                    self._write_due = inf
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()
        if left:
            raise ValueError("the body is shorter than its declared content-length")
        if left is None and channel.transport is not None:
            channel.transport.write(b"0\r\n\r\n")

    def _uploaded(self, upload: asyncio.Task[None]) -> None:
        self._write_due = inf
        error = None if upload.cancelled() else upload.exception()
        if self._is_released:
            return
        if isinstance(error, ConnectionError):
            return  # the connection's own end is what its reader reports
        if error is not None:
            self._fail(error)
        elif self._payload is None:
            self._read_due = self._loop.time() + self._deadlines.first_byte_s
            self._watch()

    # The timer

    def _watch(self) -> None:
        self._channel.watch(min(self._read_due, self._write_due, self._ends_at), self._tick)

    def _tick(self) -> None:
        now = self._loop.time() + 0.001  # uvloop's clock counts milliseconds
        if self._payload is not None and self._payload.is_eof():
            return  # all has arrived; what is left is the reader's time, not the provider's
        if now >= self._ends_at:
            self._fail(self._error("total_timeout"))
        elif now >= self._read_due:
            self._fail(self._error("first_byte_timeout" if self._payload is None else "silence"))
        elif now >= self._write_due:
            self._fail(self._error("silence", "stopped taking the request"))
        else:
            self._watch()

    def _fail(self, failure: BaseException) -> None:
        self._failure = failure
        self._channel.set_exception(failure)  # wakes whoever waits for the head or for a piece
        self.release()

    # Errors; made here and raised outside of the handler, so that no parser's message with a piece of the answer hangs on them

    def _failed_head(self, error: Exception) -> BaseException:
        if self._failure is not None:
            return self._failure
        if isinstance(error, HttpProcessingError):
            return self._error("protocol", "sent something that is no HTTP/1.1 answer")
        return self._error("cut" if self._channel.has_heard else "closed")

    def _broken(self, error: Exception) -> UpstreamError:
        if isinstance(error, HttpProcessingError):
            return self._error("protocol", "broke the framing of its answer")
        return self._error("cut")

    def _error(self, kind: Kind, detail: str | None = None) -> UpstreamError:
        return UpstreamError(kind, written=True, place=self._place, detail=detail or _DETAIL[kind])


def _is_clean(reason: str) -> bool:
    return reason.isprintable() or not any((c < " " and c != "\t") or c == "\x7f" for c in reason)
