"""Observers, rewriters and transforms: what they see, what they change, and that every other byte stays (rules 4, 5 and 7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from relay import Content, Event
from relay.engine.stages import Pipeline
from relay.engine.stream import Stream
from relay.testing.dialect import PLAIN
from relay.testing.play import Play
from relay.wire.sse import sse

SSE: dict[str, Any] = {"content_type": "text/event-stream"}


class Upper:
    """Upper-cases, a word at a time: what stands behind the last space is held back."""

    def __init__(self, kind: str = "text") -> None:
        self.held = ""

    def feed(self, text: str) -> str:
        done, space, self.held = (self.held + text).rpartition(" ")
        return (done + space).upper()

    def end(self) -> str:
        rest, self.held = self.held.upper(), ""
        return rest


class Failing:
    def feed(self, text: str) -> str:
        raise ValueError("a secret that nobody may read")

    def end(self) -> str:
        return ""


def rewriting(plugin: Any, make: Callable[[Any], Any] = Upper, *kinds: Any, name: str = "subject") -> Any:
    return plugin(name, reads_content=True, on_reply=lambda _, reply: reply.rewrite(make, *(kinds or ("text",))))


def frames(*documents: Any) -> list[bytes]:
    return [sse(each if isinstance(each, bytes) else orjson.dumps(each)) for each in documents]


async def test_a_reply_without_stages_is_passed_on_byte_for_byte() -> None:
    wire = [
        b": hello\r\n",
        b'\r\ndata:{"n":0,  "text":"\\u0061"}\r\n\r',
        b"\nid: 7\nda",
        b'ta: {"stop":"end"}\n\ndata: [END]\n\n',
    ]
    async with Play() as play:
        play.replies(*wire, **SSE)
        reply = await play.ask(stream=True)

    assert b"".join(wire) == reply.body


async def test_a_rewriter_changes_the_text_and_leaves_every_other_byte(plugin: Any) -> None:
    wire = [
        b': a comment\n\nevent: x\ndata: {"n":0,  "text" : "one tw", "more":[1, 2.50]}\n\n',
        b'data: {"ping" : 1, "usage":{"in":1,"out":2}}\n\n',
        b'id: 7\ndata: {"n":0,"text":"o three"}\r\n\r\n',
        b'data: {"n":0,"stop":"end"}\n\ndata: [END]\n\n',
    ]
    async with Play(rewriting(plugin)) as play:
        play.replies(*wire, **SSE)
        reply = await play.ask(stream=True)

    assert "ONE TWO THREE" == reply.text
    expected = (
        b': a comment\n\nevent: x\ndata: {"n":0,  "text" : "ONE ", "more":[1, 2.50]}\n\n'
        b'data: {"ping" : 1, "usage":{"in":1,"out":2}}\n\n'
        b'id: 7\ndata: {"n":0,"text":"TWO "}\r\n\r\n'
        b'id: 7\ndata: {"n":0,"text":"THREE"}\r\n\r\n'
        b'data: {"n":0,"stop":"end"}\n\ndata: [END]\n\n'
    )
    assert expected == reply.body


async def test_a_rewriter_changes_a_whole_body_in_place(plugin: Any) -> None:
    async with Play(rewriting(plugin)) as play:
        play.replies(b'{ "text":"one two" , "usage":{"in":1,"out":2}, "x":1.0}')
        reply = await play.ask()

    assert b'{ "text":"ONE TWO" , "usage":{"in":1,"out":2}, "x":1.0}' == reply.body


async def test_each_block_has_a_rewriter_of_its_own_and_stops_flush_their_own(plugin: Any) -> None:
    made: list[str] = []

    def make(kind: str) -> Upper:
        made.append(kind)
        return Upper()

    wire = frames(
        {"n": 0, "text": "a b"}, {"n": 1, "text": "x y"}, {"n": 0, "stop": "end"}, {"n": 1, "text": "z"}, {"stop": "end"}, b"[END]"
    )  # fmt: skip
    async with Play(rewriting(plugin, make)) as play:
        play.replies(*wire, **SSE)
        reply = await play.ask(stream=True)

    events: list[Any] = reply.events
    said = [
        (event.block[1], event.value.text(play.plugins[0])) if event.kind == "text" else event.kind for event in events
    ]
    assert [(0, "A "), (1, "X "), (0, "B"), "stop", (1, ""), (1, "YZ"), "stop"] == said
    assert ["text", "text"] == made


async def test_a_repeat_of_a_block_is_rewritten_whole_after_what_was_held_back(plugin: Any) -> None:
    wire = frames({"n": 0, "text": "a b"}, {"n": 0, "again": "a b"}, {"stop": "end"}, b"[END]")
    async with Play(rewriting(plugin)) as play:
        play.replies(*wire, **SSE)
        reply = await play.ask(stream=True)

    assert frames({"n": 0, "text": "A "}, {"n": 0, "text": "B"}, {"n": 0, "again": "A B"}) == [
        piece + b"\n\n" for piece in reply.body.split(b"\n\n")[:3]
    ]


async def test_held_text_leaves_before_the_providers_error(plugin: Any) -> None:
    wire = frames({"n": 0, "text": "a b"}, {"error": {"status": 529, "code": "busy", "message": "x"}})
    async with Play(rewriting(plugin)) as play:
        play.replies(*wire, **SSE)
        reply = await play.ask(stream=True)

    assert "A B" == reply.text
    assert ["text", "text", "error"] == [event.kind for event in reply.events]
    assert ("failed", "upstream_error") == (reply.exchange.outcome, reply.exchange.error)


async def test_held_text_leaves_before_the_mark_that_ends_a_stream_without_a_stop(plugin: Any) -> None:
    async with Play(rewriting(plugin)) as play:
        play.replies(*frames({"n": 0, "text": "a b"}, b"[END]"), **SSE)
        reply = await play.ask(stream=True)

    assert b"".join(frames({"n": 0, "text": "A "}, {"n": 0, "text": "B"}, b"[END]")) == reply.body


async def test_held_text_leaves_before_an_error_of_the_relays_own(plugin: Any) -> None:
    async with Play(rewriting(plugin)) as play:
        play.replies(*frames({"n": 0, "text": "a b"}), **SSE)
        reply = await play.ask(stream=True)

    assert "A B" == reply.text
    assert "upstream_incomplete" == reply.exchange.error


async def test_text_in_the_frame_of_a_stop_is_flushed_into_that_frame(plugin: Any) -> None:
    async with Play(rewriting(plugin)) as play:
        play.replies(*frames({"n": 0, "text": "a b", "stop": "end"}, b"[END]"), **SSE)
        reply = await play.ask(stream=True)

    assert b"".join(frames({"n": 0, "text": "A B", "stop": "end"}, b"[END]")) == reply.body


async def test_stages_see_what_those_before_them_made(plugin: Any) -> None:
    seen: dict[str, str] = {"first": "", "last": ""}

    def watch(name: str) -> Callable[[Any, Any], None]:
        def on_reply(_: Any, reply: Any) -> None:
            def see(event: Event) -> None:
                assert isinstance(event.value, Content)
                seen[name] += event.value.text(reader)

            reply.observe(see, "text")

        return on_reply

    reader = plugin("last", reads_content=True, on_reply=watch("last"))
    chain = [reader, rewriting(plugin, name="middle"), plugin("first", reads_content=True, on_reply=watch("first"))]
    async with Play(chain) as play:
        play.answers(stream=["one t", "wo"])
        await play.ask(stream=True)

    assert {"first": "one two", "last": "ONE TWO"} == seen


async def test_two_rewriters_pass_held_text_from_one_to_the_next(plugin: Any) -> None:
    class Dashes(Upper):
        def feed(self, text: str) -> str:
            return super().feed(text).replace(" ", "-")

        def end(self) -> str:
            return super().end() + "."

    async with Play([rewriting(plugin, Dashes, name="above"), rewriting(plugin, name="below")]) as play:
        play.answers(stream=["o", "ne tw", "o three"])
        reply = await play.ask(stream=True)

    assert "ONE-TWO-THREE." == reply.text


async def test_text_held_behind_a_transform_that_drops_still_meets_the_last_rewriter(plugin: Any) -> None:
    def drop_empty(event: Event) -> list[Event]:
        assert isinstance(event.value, Content)
        return [event] if event.value.size else []

    class Hold(Upper):
        def feed(self, text: str) -> str:
            self.held += text
            return ""

        def end(self) -> str:
            return self.held

    def on_reply(_: Any, reply: Any) -> None:
        reply.rewrite(lambda kind: Hold(), "text")
        reply.transform(drop_empty, "text")
        reply.rewrite(Upper, "text")

    async with Play(plugin(reads_content=True, on_reply=on_reply)) as play:
        play.answers(stream=["a secr", "et"])
        reply = await play.ask(stream=True)

    assert "A SECRET" == reply.text


async def test_a_transform_drops_and_inserts_events(plugin: Any) -> None:
    def change(event: Event) -> list[Event]:
        assert isinstance(event.value, Content)
        word = event.value.text(subject)
        return [] if word == "no" else [event, dataclasses.replace(event, value=Content("!"))]

    subject = plugin(reads_content=True, on_reply=lambda _, reply: reply.transform(change, "text"))
    async with Play(subject) as play:
        play.answers(stream=["yes", "no", "well"])
        reply = await play.ask(stream=True)

    assert "yes!well!" == reply.text
    assert b'"no"' not in reply.body


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failing_rewriter_ends_the_answer_with_an_error(plugin: Any, stream: bool) -> None:
    async with Play(rewriting(plugin, lambda kind: Failing())) as play:
        reply = await play.ask(stream=stream)

    assert ("failed", "reply_failed") == (reply.exchange.outcome, reply.exchange.error)
    assert "error" == reply.events[-1].kind
    assert (200 if stream else 500) == reply.status
    assert b"secret" not in reply.body + orjson.dumps(play.log)
    assert b"An " not in reply.body
    assert 0 == play.provider.open


async def test_a_failing_observer_is_dropped_and_counted_and_the_answer_goes_on(plugin: Any) -> None:
    calls = []

    def see(event: Event) -> None:
        calls.append(event)
        raise ValueError

    subject = plugin(on_reply=lambda _, reply: reply.observe(see, "usage", "stop"))
    async with Play(subject) as play:
        reply = await play.ask(stream=True)

        assert {"subject": 1} == play.gateway.observer_failures

    assert "An answer." == reply.text
    assert 1 == len(calls)
    assert "completed" == reply.exchange.outcome


async def test_observers_see_an_event_after_it_was_written(plugin: Any) -> None:
    written: list[int] = []
    seen_at: list[tuple[str, int]] = []

    def on_reply(_: Any, reply: Any) -> None:
        reply.observe(lambda event: seen_at.append((event.kind, sum(written))), "text", "stop")
        reply.watch(written.append)

    async with Play(plugin(reads_content=True, on_reply=on_reply)) as play:
        play.replies(b'data: {"n":0,"text":"a"}\n\n', b'data: {"stop":"end"}\n\n', b"data: [END]\n\n", **SSE)
        reply = await play.ask(stream=True)

    assert [("text", 0), ("stop", 26)] == seen_at
    assert [len(piece) for piece in reply.pieces] == written


async def test_an_observer_is_told_of_frames_that_a_rewriter_swallowed(plugin: Any) -> None:
    seen: list[str] = []

    def on_reply(_: Any, reply: Any) -> None:
        reply.observe(lambda event: seen.append(event.kind), "text")
        reply.transform(lambda event: [], "text")

    async with Play(plugin(reads_content=True, on_reply=on_reply)) as play:
        play.replies(*frames(b"[END]", {"n": 0, "text": "a"}), **SSE)
        await play.ask(stream=True)

    assert ["text"] == seen


async def test_a_part_that_is_not_understood_ends_the_stream_unless_it_is_named(plugin: Any) -> None:
    wire = frames({"n": 0, "text": "a "}, {"riddle": "what?"}, {"stop": "end"}, b"[END]")

    async with Play(rewriting(plugin)) as play:
        play.replies(*wire, **SSE)
        strict = await play.ask(stream=True)
    async with Play(rewriting(plugin, Upper, "text", "opaque")) as play:
        play.replies(*wire, **SSE)
        tolerant = await play.ask(stream=True)

    assert "reply_failed" == strict.exchange.error
    assert b"riddle" not in strict.body
    assert b"".join(wire).replace(b'"a "', b'"A "') == tolerant.body


async def test_an_answer_made_by_a_plugin_is_peeked_observed_and_rewritten_like_any_other(plugin: Any) -> None:
    from relay import Reply

    kinds: list[str] = []
    peeked: list[Event] = []

    async def on_reply(_: Any, reply: Any) -> None:
        peeked.extend(await reply.peek(1, "text"))
        reply.observe(lambda event: kinds.append(event.kind), "text", "usage")
        reply.rewrite(Upper, "text")

    def answer(_: Any) -> Reply:
        return Reply(200, [("content-type", "text/event-stream")], b"".join(frames({"n": 0, "text": "kept"}, b"[END]")))

    async with Play(
        [plugin("above", reads_content=True, on_reply=on_reply), plugin("cache", on_request=answer)]
    ) as play:
        reply = await play.ask(stream=True)

    assert "KEPT" == reply.text
    assert ["text"] == kinds
    assert ["text"] == [event.kind for event in peeked]
    assert "completed" == reply.exchange.outcome


async def test_peek_shows_the_first_events_and_leaves_them_in_the_stream(plugin: Any) -> None:
    peeked: list[str] = []

    async def on_reply(_: Any, reply: Any) -> None:
        for event in await reply.peek(2, "text"):
            peeked.append(event.value.text(subject))

    subject = plugin(reads_content=True, on_reply=on_reply)
    async with Play(subject) as play:
        play.answers(stream=["a", "b", "c"])
        reply = await play.ask(stream=True)

    assert ["a", "b"] == peeked
    assert "abc" == reply.text


async def test_peek_at_a_stream_that_breaks_is_the_providers_failure_and_not_the_plugins(plugin: Any) -> None:
    from relay.testing.provider import broken

    async def on_reply(_: Any, reply: Any) -> None:
        await reply.peek(5, "text")

    async with Play(plugin(reads_content=True, on_reply=on_reply)) as play:
        play.replies(*frames({"n": 0, "text": "a"}), broken("silence"), **SSE)
        reply = await play.ask(stream=True)

        assert 0 == play.gateway.chain.timings["subject"].failures

    assert (504, "upstream_timeout") == (reply.status, reply.error)


def test_events_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Event("text").kind = "stop"  # type: ignore[misc]


async def test_a_frame_without_an_end_that_nobody_changes_passes_and_is_not_kept() -> None:
    async def nothing() -> bytes:
        return b""

    stream = Stream(nothing, lambda: None, PLAIN, PLAIN.surfaces[0], "text/event-stream")
    pipeline = Pipeline(stream, [], lambda event: None, lambda name: None)
    piece = b"x" * 2**20

    left = [pipeline.feed(piece) for _ in range(18)]

    assert [piece] * 18 == left
    assert b"" == stream.rest
