"""The stages of a reply at work: what was registered on it, applied to its frames in the order of registration.

Bytes that nobody changes are passed on as they came; frames that nobody asked for are not even parsed (`Dialect.marks`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from relay.engine.stream import OUTCOME_KINDS, Stream
from relay.errors import StreamBroken
from relay.exchange import Rewriter, Stage
from relay.values.content import CORE, Content
from relay.wire import lens
from relay.wire.framing import LIMIT, Frame, has_mark
from relay.wire.sse import SseFramer
from relay.wire.vocabulary import TEXT_KINDS, Event, Kind, Path

Block = tuple[Kind, Hashable]


@dataclass(slots=True)
class _Template:
    """The last frame that carried a delta of a block: what is held back at the block's end leaves in a copy of it.

    `deltas` are all the deltas of that frame; the copy says nothing in the place of the others.
    """

    frame: Frame
    event: Event
    deltas: list[Event]


class Pipeline:
    """One reply's way through its stages.

    `sink` is told every outcome event (usage, stop, error, created) before the bytes it stands in are given out. `failed` is told the
    name of a plugin whose observer failed and was dropped. `hidden` says of a frame that the client never asked for it.
    """

    __slots__ = (
        "_blind", "_changes", "_dropped", "_failed", "_hidden", "_kinds", "_marks", "_reader", "_rewriters", "_seen", "_sink", "_stages",
        "_stream", "_templates", "_tolerates", "_watchers",
    )  # fmt: skip

    def __init__(
        self,
        stream: Stream,
        stages: Sequence[Stage],
        sink: Callable[[Event], None],
        failed: Callable[[str], None],
        hidden: Callable[[Frame], bool] | None = None,
    ) -> None:
        self._stream = stream
        self._stages = tuple(stage for stage in stages if stage.form != "watch")
        self._watchers = [stage for stage in stages if stage.form == "watch"]
        self._sink = sink
        self._failed = failed
        self._hidden = hidden
        changing = [stage for stage in self._stages if stage.form in ("rewrite", "transform")]
        self._changes = bool(changing)
        self._tolerates = all("opaque" in stage.kinds for stage in changing)
        kinds: set[Kind] = set(OUTCOME_KINDS)
        for stage in self._stages:
            kinds |= stage.kinds
        if self._changes:
            kinds.add("opaque")
        self._kinds: frozenset[Kind] = frozenset(kinds)
        self._marks = stream.marks(self._kinds)
        self._reader = stream.reader()
        self._rewriters: dict[Block, dict[int, Rewriter]] = {}
        self._templates: dict[Block, _Template] = {}
        self._seen: list[tuple[Stage, Event]] = []
        self._dropped: set[int] = set()
        self._blind = False

    @property
    def is_exact(self) -> bool:
        """Do the bytes leave as they came, none added and none taken away?"""
        return not self._changes and self._hidden is None

    @property
    def complete(self) -> bool:
        """Has the reply said everything that belongs to its proper end?"""
        return self._blind or self._reader.complete

    def start(self) -> bytes:
        """The bytes that were read ahead."""
        stream = self._stream
        frames, stream.frames = stream.frames, []
        pieces, stream.pieces = stream.pieces, []
        changed = b"".join([part for frame in frames for part in self._frame(frame)])
        return b"".join(pieces) if self.is_exact else changed

    def feed(self, piece: bytes) -> bytes:
        """A further piece as it leaves. :raises StreamBroken: a stage failed, or the piece cannot be read."""
        stream, marks = self._stream, self._marks
        if self._blind:
            return piece
        if stream.skims and not self._changes and marks is not None:
            look = stream.rest + piece if stream.rest else piece
            if not has_mark(look, marks):
                # Nobody looks into these events: they are not even cut.
                at = SseFramer.boundary(look)
                stream.rest = look[at:] if at else look
                if len(stream.rest) > LIMIT:
                    return self._overgrown(piece)
                return piece if self._hidden is None else look[:at]
        try:
            frames = stream.cut(piece)
        except StreamBroken:
            return self._overgrown(piece)
        changed = [part for frame in frames for part in self._frame(frame)]
        return piece if self.is_exact else b"".join(changed)

    def _overgrown(self, piece: bytes) -> bytes:
        """A frame that does not end. Where nobody changes it, it may pass; what it consumed stays unknown and is marked so."""
        if not self.is_exact:
            raise StreamBroken("upstream_too_large")
        self._blind, self._stream.rest = True, b""
        return piece

    def messages(self, message: bytes) -> list[bytes]:
        """What leaves for one message of a session: none, or several where a rewriter had held something back."""
        return [part for frame in self._stream.cut(message) for part in self._frame(frame) if part]

    def end(self) -> bytes:
        """What is left at the end of the stream, and what rewriters held back."""
        out = (
            b"".join([part for frame in self._stream.tail() for part in self._frame(frame)]) if not self._blind else b""
        )
        if self.is_exact:
            return b""
        return out + b"".join(self._flush(None))

    def rest(self) -> list[bytes]:
        """What rewriters hold back at the end of a session, as messages."""
        return self._flush(None)

    def flush(self) -> bytes:
        """What rewriters hold back, before an error of ours ends the stream. A rewriter that fails now gives nothing more."""
        try:
            return b"".join(self._flush(None))
        except StreamBroken:
            return b""

    def written(self, size: int) -> None:
        """Bytes have been written: tell the observers what they said, and the watchers how many they were.

        0: nothing more will be written, and what is left to tell was said by frames of which nothing left.
        """
        if self._seen:
            seen, self._seen = self._seen, []
            for stage, event in seen:
                self._show(stage, event)
        if size:
            for stage in self._watchers:
                self._show(stage, size)

    def _show(self, stage: Stage, what: Event | int) -> None:
        if id(stage) in self._dropped:
            return
        try:
            stage.do(what)
        except Exception:
            # Whatever it is: an observer must not disturb the answer. It is dropped, counted and named.
            self._dropped.add(id(stage))
            self._failed(stage.by)

    def _frame(self, frame: Frame) -> Sequence[bytes]:
        """A frame as it leaves, behind whatever its events flush; nothing, if it was dropped."""
        if (self._marks is not None and not has_mark(frame.raw, self._marks)) or frame.data is None:
            return (frame.raw,)
        try:
            events = self._reader.read(frame, self._kinds)
        except ValueError as error:
            if self._changes:
                raise StreamBroken("upstream_invalid") from error
            return (frame.raw,)
        for event in events:
            if event.kind in OUTCOME_KINDS:
                self._sink(event)
        if not self._changes:
            for event in events:
                self._observe(event)
            return () if self._hidden is not None and self._hidden(frame) else (frame.raw,)
        try:
            out = self._changed(frame, events)
        except StreamBroken:
            raise
        except Exception as error:
            raise StreamBroken("reply_failed") from error
        return out if self._hidden is None or not self._hidden(frame) else ()

    def _observe(self, event: Event) -> None:
        for stage in self._stages:
            if event.kind in stage.kinds:
                self._seen.append((stage, event))

    def _changed(self, frame: Frame, events: Sequence[Event]) -> list[bytes]:
        before: list[bytes] = []
        texts: dict[Path, tuple[Event, list[Event]]] = {}
        deltas: list[Event] = []
        others = False
        assert frame.data is not None
        for event in events:
            if event.kind in TEXT_KINDS and event.where:
                if event.source:
                    # As it stands there: a number that was read and written again need not be the same.
                    event = replace(event, value=Content(lens.source(frame.data, event.where)))
                block: Block = (event.kind, event.block)
                if event.whole:
                    if event.repeat:
                        before += self._flush([block])
                    texts[event.where] = (event, self._through(event, 0))
                else:
                    deltas.append(event)
                    self._templates[block] = _Template(frame, event, deltas)
                    texts[event.where] = (event, self._through(event, 0))
                continue
            if event.kind == "opaque" and not self._tolerates:
                raise StreamBroken(
                    "reply_failed", "a part of the answer is not understood, and a plugin must read it all"
                )
            others = True
            if event.kind in ("stop", "error"):
                before += self._flush(self._ended_by(event), texts)
            self._through(event, 0)
        if not events and self._reader.complete:
            # The mark behind the last event: nothing may follow it, so what was held back leaves before it.
            before += self._flush(None)
        if not texts:
            return [*before, frame.raw]
        changes = {
            where: _source(event, "".join([_text(out) for out in outs]))
            for where, (event, outs) in texts.items()
            if len(outs) != 1 or outs[0].value is not event.value
        }
        if not others and all(not outs for _, outs in texts.values()) and not any(e.whole for e, _ in texts.values()):
            return before
        if not changes:
            return [*before, frame.raw]
        return [*before, frame.with_data(lens.replace(frame.data, changes)).raw]

    def _through(self, event: Event, at: int) -> list[Event]:
        """What the stages from the `at`-th on make of an event."""
        events = [event]
        for index in range(at, len(self._stages)):
            stage = self._stages[index]
            if event.kind not in stage.kinds:
                continue
            if stage.form == "observe":
                self._seen += [(stage, each) for each in events]
            elif stage.form == "rewrite" and event.kind != "opaque":
                events = [self._rewritten(index, stage, each) for each in events]
            elif stage.form == "transform":
                events = [made for each in events for made in stage.do(each)]
                if any(made.kind != event.kind for made in events):
                    raise StreamBroken("reply_failed", "a transform may not turn one kind of event into another")
        return events

    def _rewritten(self, index: int, stage: Stage, event: Event) -> Event:
        before = _text(event)
        if event.whole:
            rewriter: Rewriter = stage.do(event.kind)
            after = rewriter.feed(before) + rewriter.end()
        else:
            rewriters = self._rewriters.setdefault((event.kind, event.block), {})
            if index not in rewriters:
                rewriters[index] = stage.do(event.kind)
            after = rewriters[index].feed(before)
        return event if after == before else replace(event, value=Content(after))

    def _ended_by(self, event: Event) -> list[Block] | None:
        """The blocks that a stop ends: its own and those within it; an error, or a stop of everything, ends all (None)."""
        if event.kind == "error" or event.block == ():
            return None
        within = event.block if isinstance(event.block, tuple) else (event.block,)
        return [
            block
            for block in self._rewriters
            if block[1] == event.block or (isinstance(block[1], tuple) and block[1][: len(within)] == within)
        ]

    def _flush(
        self, blocks: list[Block] | None, texts: dict[Path, tuple[Event, list[Event]]] | None = None
    ) -> list[bytes]:
        """What was held back of `blocks` (None: of all), as frames, or added to the block's text in the frame at hand."""
        out: list[bytes] = []
        for block in list(self._rewriters) if blocks is None else blocks:
            rewriters = self._rewriters.pop(block, None)
            template = self._templates.pop(block, None)
            if rewriters is None or template is None:
                continue
            left: list[Event] = []
            try:
                for index in range(len(self._stages)):
                    rest = rewriters[index].end() if index in rewriters else ""
                    if rest:
                        left += self._through_rest(replace(template.event, value=Content(rest)), index + 1, rewriters)
            except StreamBroken:
                raise
            except Exception as error:
                raise StreamBroken("reply_failed") from error
            if not left:
                continue
            own = texts.get(template.event.where) if texts is not None else None
            if own is not None and own[0] is template.event:
                own[1].extend(left)
            else:
                out.append(_told(template, "".join([_text(event) for event in left])))
        return out

    def _through_rest(self, event: Event, at: int, rewriters: dict[int, Rewriter]) -> list[Event]:
        events = [event]
        for index in range(at, len(self._stages)):
            stage = self._stages[index]
            if event.kind not in stage.kinds:
                continue
            if stage.form == "observe":
                self._seen += [(stage, each) for each in events]
            elif stage.form == "transform":
                events = [made for each in events for made in stage.do(each)]
            elif event.kind != "opaque":
                # It may be new: what stands between the two can have dropped all that came before.
                if index not in rewriters:
                    rewriters[index] = stage.do(event.kind)
                events = [replace(each, value=Content(rewriters[index].feed(_text(each)))) for each in events]
        return events


def _told(template: _Template, text: str) -> bytes:
    """A copy of the template's frame that says `text`."""
    frame = template.frame
    assert frame.data is not None
    changes = {event.where: _source(event, "") for event in template.deltas}
    changes[template.event.where] = _source(template.event, text)
    return frame.with_data(lens.replace(frame.data, changes)).raw


def _text(event: Event) -> str:
    assert isinstance(event.value, Content)
    return event.value.text(CORE)


def _source(event: Event, text: str) -> bytes:
    return text.encode() if event.source else lens.string(text)
