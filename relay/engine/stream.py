"""Where a reply's bytes come from, and how far they have been read ahead while nothing was written yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable

from relay.engine.upstream import UpstreamError
from relay.errors import StreamBroken
from relay.exchange import Reply
from relay.wire.dialect import Dialect, Reader, Surface
from relay.wire.framing import LIMIT, Frame, FrameTooLarge, PieceFramer, WholeFramer, has_mark
from relay.wire.sse import SseFramer
from relay.wire.vocabulary import CONTENT_KINDS, Event, Failure, Kind

HELD = 64 * 1024
"""Bytes of a reply that are held while another target could still be tried."""
OUTCOME_KINDS: frozenset[Kind] = frozenset(("usage", "stop", "error", "created"))
"""What the core itself looks for in every reply."""
_COMMITS: frozenset[Kind] = CONTENT_KINDS | {"stop"}
_ERROR: frozenset[Kind] = frozenset(("error",))
_BREAKS = {
    "silence": "upstream_timeout",
    "total_timeout": "upstream_timeout",
    "first_byte_timeout": "upstream_timeout",
    "protocol": "upstream_invalid",
}


def broken_by(error: UpstreamError) -> StreamBroken:
    """What a fault on the wire means to the reader of a reply that had begun."""
    return StreamBroken(_BREAKS.get(error.kind, "upstream_failed"))


class Stream:
    """The bytes of one reply, pulled from wherever they come, cut into frames when somebody looks.

    `pull` gives the next piece, b"" at the proper end, and raises `StreamBroken` when it ends otherwise. `close` may be called
    at any time and more than once. `ready` tells whether `pull` would answer at once.
    """

    __slots__ = (
        "_pending", "_pull", "_ready", "close_source", "content_type", "dialect", "ended", "framer", "frames", "is_json", "is_stream",
        "pieces", "rest", "skims", "surface",
    )  # fmt: skip

    def __init__(
        self,
        pull: Callable[[], Awaitable[bytes]],
        close: Callable[[], None],
        dialect: Dialect,
        surface: Surface,
        content_type: str,
        ready: Callable[[], bool] | None = None,
    ) -> None:
        self._pull = pull
        self._ready = ready
        self.close_source = close
        self.dialect = dialect
        self.surface = surface
        self.content_type = content_type
        self.framer = dialect.framer(surface, content_type)
        self.is_json = content_type.startswith("application/json")
        self.is_stream = not isinstance(self.framer, WholeFramer | PieceFramer)
        """Whether it consists of events, so that it can be told from its frames when it has said everything."""
        self.skims = isinstance(self.framer, SseFramer)
        """Whether events can be passed by without cutting them out (see `SseFramer.boundary`)."""
        self.pieces: list[bytes] = []
        self.frames: list[Frame] = []
        self.rest = b""
        self.ended = False
        self._pending: asyncio.Task[bytes] | None = None

    @classmethod
    def of(cls, body: bytes, dialect: Dialect, surface: Surface, content_type: str) -> Stream:
        """The stream of a body that is all here. :raises StreamBroken: `upstream_too_large`."""

        async def nothing() -> bytes:
            return b""

        stream = cls(nothing, lambda: None, dialect, surface, content_type)
        stream.pieces, stream.frames, stream.ended = [body], [*stream.cut(body), *stream.tail()], True
        return stream

    def reader(self) -> Reader:
        """A reader of this stream's frames, from the first on."""
        return self.dialect.reader(self.surface, self.content_type)

    def marks(self, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        """See `Dialect.marks`."""
        return self.dialect.marks(self.surface, kinds)

    async def read(self) -> bytes:
        """The next piece, b"" at the proper end."""
        if self.ended:
            return b""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            piece = await pending
        else:
            piece = await self._pull()
        if not piece:
            self.ended = True
        return piece

    def cut(self, piece: bytes) -> list[Frame]:
        """The frames that end with this piece. :raises StreamBroken: `upstream_too_large`."""
        try:
            if not self.skims:
                return self.framer.feed(piece)
            look = self.rest + piece if self.rest else piece
            at = SseFramer.boundary(look)
            self.rest = look[at:] if at else look
            if len(self.rest) > LIMIT:
                raise StreamBroken("upstream_too_large")
            return self.framer.feed(look[:at]) if at else []
        except FrameTooLarge as error:
            raise StreamBroken("upstream_too_large") from error

    def tail(self) -> list[Frame]:
        """What is left at the end: whole frames, and at most one that is not complete."""
        rest, self.rest = self.rest, b""
        return [*(self.framer.feed(rest) if rest else ()), *self.framer.end()]

    async def ahead(self, until: float | None = None) -> list[Frame] | None:
        """Read one piece ahead and keep it. Returns its frames; None: nothing came before the loop's time `until`."""
        piece = await self._read_until(until)
        if piece is None:
            return None
        if piece:
            self.pieces.append(piece)
            frames = self.cut(piece)
        else:
            frames = self.tail()
        self.frames += frames
        return frames

    async def prime(self, commit_at: float) -> Failure | None:
        """Hold the reply until it says something: content, its stop, its end, 64 KiB, or until the loop's time `commit_at`.

        Returns the error that the provider reported instead. :raises StreamBroken: it broke before it said anything.
        """
        is_whole = isinstance(self.framer, WholeFramer)
        kinds = _ERROR if is_whole else _COMMITS | _ERROR
        reader = self.reader()
        marks = self.marks(_ERROR) if is_whole else None
        held = 0
        frames: list[Frame] | None
        at_hand = self._ready if is_whole and not self.pieces else None
        while held < HELD and not self.ended:
            frames = await (self.ahead(commit_at) if at_hand is None else self._at_hand(at_hand))
            at_hand = None
            if frames is None:
                return None
            if self.pieces:
                held += len(self.pieces[-1])
                if isinstance(self.framer, PieceFramer):
                    return None
            for frame in frames:
                try:
                    if marks is not None and self.is_json and not has_mark(frame.raw, marks):
                        # Only that it can be read at all; who wants to know more reads it once the reply goes out.
                        frame.document()
                        continue
                    events = reader.read(frame, kinds)
                except ValueError as error:
                    raise StreamBroken("upstream_invalid") from error
                for event in events:
                    if event.kind == "error" and isinstance(event.value, Failure):
                        return event.value
                    if not is_whole and event.kind in _COMMITS and not event.repeat:
                        return None
        if self.ended and self.is_stream and not reader.complete:
            raise StreamBroken("upstream_incomplete")
        return None

    async def _at_hand(self, ready: Callable[[], bool]) -> list[Frame]:
        """What has arrived of a body. Most answers come at once: then it is all of it, and one frame."""
        size = 0
        while size < HELD and ready():
            piece = await self.read()
            if not piece:
                body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
                self.frames = [Frame(body)] if body else []
                return self.frames
            self.pieces.append(piece)
            size += len(piece)
        for piece in self.pieces:
            self.cut(piece)
        return []

    async def peek(self, reply: Reply, n: int, kinds: frozenset[Kind]) -> list[Event]:
        """See `Reply.peek`. :raises StreamBroken: it broke before that."""
        reader = self.reader()
        try:
            found = _events(reader, self.frames, kinds)
            while len(found) < n and not self.ended:
                found += _events(reader, await self.ahead() or (), kinds)
        except UpstreamError as error:
            raise broken_by(error) from None
        except ValueError:
            raise StreamBroken("upstream_invalid") from None
        return found[:n]

    async def whole(self) -> bytes:
        """All bytes, for an answer that must be read to its end before any of it may leave. :raises StreamBroken:"""
        pieces, self.pieces, self.frames = self.pieces, [], []
        size = sum(map(len, pieces))
        try:
            while piece := await self.read():
                size += len(piece)
                if size > LIMIT:
                    raise StreamBroken("upstream_too_large")
                pieces.append(piece)
        except UpstreamError as error:
            raise broken_by(error) from None
        return b"".join(pieces)

    async def close(self) -> None:
        """Stop reading: the source is closed at once if it has not ended."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
            pending.add_done_callback(_looked_at)
        self.close_source()

    async def _read_until(self, until: float | None) -> bytes | None:
        if until is None or (self._ready is not None and self._pending is None and self._ready()):
            return await self.read()
        loop = asyncio.get_running_loop()
        if self._pending is None:
            self._pending = loop.create_task(self._start_pull())
        done, _ = await asyncio.wait((self._pending,), timeout=max(0.0, until - loop.time()))
        return await self.read() if done else None

    async def _start_pull(self) -> bytes:
        return await self._pull()


def _events(reader: Reader, frames: Iterable[Frame], kinds: frozenset[Kind]) -> list[Event]:
    return [
        event
        for frame in frames
        if frame.data is not None
        for event in reader.read(frame, kinds)
        if event.kind in kinds
    ]


def _looked_at(pending: asyncio.Task[bytes]) -> None:
    """Nobody waits for this piece any more, nor for the fault that came instead of it."""
    if not pending.cancelled():
        pending.exception()
