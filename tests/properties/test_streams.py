"""Any stream of events, under any chunking, through any stages: what must stay stays, what must change changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from relay import Content, Event, Plugin
from relay.engine.stages import Pipeline
from relay.engine.stream import Stream
from relay.exchange import Reply
from relay.testing import strategies
from relay.testing.dialect import PLAIN
from relay.wire.sse import SseFramer, sse

SURFACE = PLAIN.surfaces[0]
WORDS = st.one_of(st.sampled_from(["", "a", "one two", "é雪🂡", 'q"\\', "\n", " "]), strategies.texts())
COMMENTS = st.sampled_from([b": ping\n\n", b"\n", b'event: ping\ndata: {"usage":{"in":1,"out":2}}\n\n', b":\r\n\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """The frames of one answer: deltas of several blocks and kinds, repeats, comments, stops, in plain's wire format."""
    frames: list[bytes] = []
    for _ in range(draw(st.integers(0, 8))):
        block, kind = draw(st.integers(0, 1)), draw(st.sampled_from(["text", "text", "thinking"]))
        document = {"n": block, kind: draw(WORDS), "more": [1.5, "text"]}
        source = orjson.dumps(document, option=draw(st.sampled_from([0, orjson.OPT_INDENT_2])))
        frames.append(draw(st.sampled_from([sse(source), sse(source, event="delta", id="7")])))
        if draw(st.integers(0, 4)) == 0:
            frames.append(draw(COMMENTS))
    if draw(st.booleans()):
        frames.append(sse(orjson.dumps({"n": draw(st.integers(0, 1)), "stop": "end"})))
    end = {"stop": "end", "usage": {"in": 1, "out": 2}}
    return [*frames, sse(orjson.dumps(end)), sse(b"[END]")]


class Reading(Plugin):
    name = "reading"
    reads_content = True


READING = Reading()


class Holding:
    """Holds back the last `most` letters, and changes what it gives by `change`."""

    def __init__(self, most: int, change: Any) -> None:
        self.most = most
        self.change = change
        self.held = ""

    def feed(self, text: str) -> str:
        self.held += text
        at = max(0, len(self.held) - self.most)
        done, self.held = self.held[:at], self.held[at:]
        return str(self.change(done))

    def end(self) -> str:
        rest, self.held = self.held, ""
        return str(self.change(rest))


def holding(most: int, change: Any, kind: str) -> Holding:
    return Holding(most, change)


def upper(text: str) -> str:
    """Letter by letter, so that where the text is cut makes no difference."""
    return "".join(letter.upper() if letter.isascii() else letter for letter in text)


async def through(chunks: list[bytes], register: Any, *, ahead: int = 0) -> bytes:
    """What leaves when `chunks` come in and `register` has put its stages on the reply."""
    waiting = [chunk for chunk in chunks if chunk]

    async def pull() -> bytes:
        return waiting.pop(0) if waiting else b""

    stream = Stream(pull, lambda: None, PLAIN, SURFACE, "text/event-stream")
    reply = Reply(200, [("content-type", "text/event-stream")], stream, dialect=PLAIN, surface=SURFACE)
    reply.by = READING
    register(reply)
    for _ in range(ahead):
        await stream.ahead()
    pipeline = Pipeline(stream, reply.stages, lambda event: None, lambda name: None)
    out = [pipeline.start()]
    pipeline.written(len(out[0]))
    while piece := await stream.read():
        out.append(pipeline.feed(piece))
        pipeline.written(len(out[-1]))
    out.append(pipeline.end())
    pipeline.written(len(out[-1]))
    pipeline.written(0)
    assert pipeline.complete
    return b"".join(out)


def events(wire: bytes, *kinds: str) -> Iterable[Event]:
    framer, reader = SseFramer(), PLAIN.reader(SURFACE, "text/event-stream")
    for frame in [*framer.feed(wire), *framer.end()]:
        if frame.data is not None:
            yield from reader.read(frame, kinds)  # type: ignore[arg-type]


def words(wire: bytes) -> dict[Any, str]:
    """The text of each block and kind."""
    told: dict[Any, str] = {}
    for event in events(wire, "text", "thinking"):
        assert isinstance(event.value, Content)
        told[event.kind, event.block] = told.get((event.kind, event.block), "") + event.value.text(READING)
    return told


def without_words(wire: bytes) -> list[bytes]:
    """Every frame that says no text, byte for byte."""
    framer = SseFramer()
    return [frame.raw for frame in [*framer.feed(wire), *framer.end()] if b'"text":' not in frame.raw.replace(b'" ', b'"')
            and b'"thinking":' not in frame.raw]  # fmt: skip


@given(st.data())
def test_without_a_stage_that_changes_the_bytes_are_the_same(data: st.DataObject) -> None:
    wire = b"".join(data.draw(streams()))
    chunks = data.draw(strategies.chunkings(wire))
    kinds: set[Any] = data.draw(st.sets(st.sampled_from(["text", "thinking", "usage", "stop", "opaque"])))

    def register(reply: Reply) -> None:
        for kind in sorted(kinds):
            reply.observe(lambda event: None, kind)

    left = asyncio.run(through(chunks, register, ahead=data.draw(st.integers(0, 3))))

    assert wire == left


@given(st.data())
def test_rewriters_that_only_hold_back_change_no_word_and_no_other_byte(data: st.DataObject) -> None:
    wire = b"".join(data.draw(streams()))
    chunks = data.draw(strategies.chunkings(wire))
    holds: list[Any] = data.draw(
        st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["text", "thinking"])), max_size=3)
    )

    def register(reply: Reply) -> None:
        for most, kind in holds:
            reply.rewrite(partial(holding, most, str), kind)

    left = asyncio.run(through(chunks, register, ahead=data.draw(st.integers(0, 3))))

    assert words(wire) == words(left)
    assert without_words(wire) == without_words(left)


@given(st.data())
def test_any_hold_back_and_any_chunking_upper_cases_all_of_it(data: st.DataObject) -> None:
    wire = b"".join(data.draw(streams()))
    chunks = data.draw(strategies.chunkings(wire))
    holds: list[int] = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))

    def register(reply: Reply) -> None:
        for most in holds:
            reply.rewrite(partial(holding, most, upper), "text", "thinking")

    left = asyncio.run(through(chunks, register))

    assert {block: upper(text) for block, text in words(wire).items()} == words(left)
    assert without_words(wire) == without_words(left)


@given(st.data())
def test_observers_see_exactly_the_concatenation_at_their_place_in_the_order(data: st.DataObject) -> None:
    wire = b"".join(data.draw(streams()))
    chunks = data.draw(strategies.chunkings(wire))
    most = data.draw(st.integers(0, 9))
    above: dict[Any, str] = {}
    below: dict[Any, str] = {}

    def see(into: dict[Any, str]) -> Any:
        def look(event: Event) -> None:
            assert isinstance(event.value, Content)
            into[event.kind, event.block] = into.get((event.kind, event.block), "") + event.value.text(READING)

        return look

    def register(reply: Reply) -> None:
        reply.observe(see(below), "text", "thinking")
        reply.rewrite(partial(holding, most, upper), "text", "thinking")
        reply.observe(see(above), "text", "thinking")

    left = asyncio.run(through(chunks, register, ahead=data.draw(st.integers(0, 3))))

    assert words(wire) == below
    assert words(left) == above
