"""Answers: streams as events and as an array, under any chunking; whole answers, embeddings, errors."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_gemini.dialect import DIALECT

from relay.testing.strategies import chunkings, json_sources
from relay.values.content import CORE, Content
from relay.wire import lens
from relay.wire.dialect import Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import KINDS, TEXT_KINDS, Event, Failure, Kind, Stop, Usage

SURFACES = {surface.name: surface for surface in DIALECT.surfaces}
GENERATE, STREAM = SURFACES["generate"], SURFACES["generate.stream"]
SSE, JSON = "text/event-stream", "application/json; charset=UTF-8"
FLAGS: frozenset[Kind] = frozenset(("usage", "stop", "error", "created"))
TEXT: frozenset[Kind] = frozenset(("text",))
STOP: frozenset[Kind] = frozenset(("stop",))


def chunk(
    *parts: dict[str, Any], index: int = 0, usage: dict[str, Any] | None = None, **candidate: Any
) -> dict[str, Any]:
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    return {
        "candidates": [{**content, **candidate, "index": index}],
        "usageMetadata": usage or {"promptTokenCount": 4, "totalTokenCount": 4},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }


LAST = {"promptTokenCount": 4, "candidatesTokenCount": 6, "thoughtsTokenCount": 2, "totalTokenCount": 12}
CHUNKS: list[dict[str, Any]] = [
    chunk({"text": "Hm, ", "thought": True}),
    chunk({"text": "yes.", "thought": True, "thoughtSignature": "c2ln"}),
    chunk({"text": 'Grüße aus 雪国, "error" '}),
    chunk({"text": "🂡!"}, {"functionCall": {"name": "look", "args": {"where": "here"}}, "thoughtSignature": "c2ln"}),
    chunk({"inlineData": {"mimeType": "image/png", "data": "aW1hZ2U="}}),
    chunk({"text": ""}, finishReason="STOP", usage=LAST),
]  # fmt: skip
EVENTS = b"".join(b"data: %b\r\n\r\n" % orjson.dumps(each) for each in CHUNKS)
ARRAY = b"[" + b",\r\n".join(orjson.dumps(each, option=orjson.OPT_INDENT_2) for each in CHUNKS) + b"\n]\n"


def frames_of(chunks: list[bytes], surface: Surface = STREAM, content_type: str = SSE) -> list[Frame]:
    framer = DIALECT.framer(surface, content_type)
    return [frame for each in chunks for frame in framer.feed(each)] + framer.end()


def read(
    chunks: list[bytes], kinds: Collection[Kind] = KINDS, surface: Surface = STREAM, content_type: str = SSE
) -> tuple[list[Event], bool]:
    reader = DIALECT.reader(surface, content_type)
    events = [event for frame in frames_of(chunks, surface, content_type) for event in reader.read(frame, kinds)]
    return events, reader.complete


def shown(event: Event) -> object:
    return event.value.text(CORE) if isinstance(event.value, Content) else event.value


def test_a_stream_is_read_with_thoughts_and_text_told_apart() -> None:
    events, complete = read([EVENTS])

    assert [
        ("thinking", (0, "thinking"), "Hm, ", False),
        ("thinking", (0, "thinking"), "yes.", False),
        ("stop", (0, "thinking"), Stop("end", "part"), False),
        ("text", (0,), 'Grüße aus 雪国, "error" ', False),
        ("text", (0,), "🂡!", False),
        ("stop", (0,), Stop("end", "part"), False),
        ("tool_args", (0, "tool_args", 1), '{"where":"here"}', True),
        ("stop", (0,), Stop("end", "part"), False),
        ("stop", (0,), Stop("end", "part"), False),
        ("media", (0, "media", 2), "aW1hZ2U=", True),
        ("stop", (0,), Stop("tool", "STOP"), False),
    ] == [(event.kind, event.block, shown(event), event.whole) for event in events if event.kind != "usage"]
    assert complete


def test_an_array_and_its_events_say_the_same() -> None:
    events, complete = read([EVENTS])
    same, same_complete = read([ARRAY], KINDS, STREAM, JSON)

    assert (events, complete) == (same, same_complete)


@given(st.data())
def test_any_chunking_of_a_stream_says_the_same(data: st.DataObject) -> None:
    for source, content_type in ((EVENTS, SSE), (ARRAY, JSON)):
        chunks = data.draw(chunkings(source))

        assert source == b"".join(frame.raw for frame in frames_of(chunks, STREAM, content_type))
        assert read([source], KINDS, STREAM, content_type) == read(chunks, KINDS, STREAM, content_type)


def test_usage_stands_in_every_chunk_and_the_last_one_counts() -> None:
    events, _ = read([EVENTS], FLAGS)
    told = [event.value for event in events if event.kind == "usage"]

    assert len(CHUNKS) == len(told)
    assert Usage(input=4, output=6, reasoning=2, total=12) == told[-1]


def test_usage_and_the_last_stop_are_the_same_without_reading_any_text() -> None:
    everything, _ = read([EVENTS])
    flags, complete = read([EVENTS], FLAGS)

    assert [e for e in everything if e.kind in FLAGS and e.value != Stop("end", "part")] == flags
    assert complete


@pytest.mark.parametrize("kinds", [{kind} for kind in sorted(KINDS)] + [FLAGS])
def test_a_frame_without_a_mark_has_no_event_of_these_kinds(kinds: set[Kind]) -> None:
    marks = DIALECT.marks(STREAM, kinds)
    blocked = b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\r\n\r\n'

    for source in (EVENTS, ERROR, blocked):
        reader = DIALECT.reader(STREAM, SSE)
        for frame in frames_of([source]):
            if reader.read(frame, kinds):
                assert marks is None or any(mark in frame.raw for mark in marks)


def test_each_text_of_a_stream_can_be_replaced_and_every_other_byte_stays() -> None:
    for source, content_type in ((EVENTS, SSE), (ARRAY, JSON)):
        reader = DIALECT.reader(STREAM, content_type)
        changed, expected = b"", source

        for frame in frames_of([source], STREAM, content_type):
            for event in reader.read(frame, TEXT_KINDS):
                assert frame.data is not None
                start, end = lens.spans(frame.data, [event.where])[event.where]
                new = b'{"n":1}' if event.source else b'"new"'
                expected = expected.replace(frame.data[start:end], new, 1)
                frame = frame.with_data(lens.replace(frame.data, {event.where: new}))
            changed += frame.raw

        assert (4, 1) == (changed.count(b'"new"'), changed.count(b'{"n":1}'))
        assert expected == changed


def test_a_stop_after_a_function_call_is_a_tool_stop_even_if_nobody_reads_the_call() -> None:
    events, _ = read([EVENTS], STOP)

    assert [Stop("tool", "STOP")] == [event.value for event in events]


def test_a_text_ends_before_a_call_without_arguments_too() -> None:
    body = b"data: %b\r\n\r\n" % orjson.dumps(chunk({"text": "a"}, {"functionCall": {"name": "now"}}))

    events, _ = read([body], TEXT | STOP)

    assert ["text", "stop"] == [event.kind for event in events]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("STOP", "end"), ("MAX_TOKENS", "length"), ("SAFETY", "filter"), ("RECITATION", "filter"), ("LANGUAGE", "filter"),
        ("BLOCKLIST", "filter"), ("PROHIBITED_CONTENT", "filter"), ("SPII", "filter"), ("IMAGE_SAFETY", "filter"),
        ("OTHER", "incomplete"), ("MALFORMED_FUNCTION_CALL", "incomplete"), ("NEW_WORD", "incomplete"),
    ],
)  # fmt: skip
def test_finish_reasons_are_told_in_the_common_words(raw: str, reason: str) -> None:
    events, _ = read([orjson.dumps(chunk({"text": "x"}, finishReason=raw))], STOP, GENERATE, JSON)

    assert [(reason, raw)] == [
        (event.value.reason, event.value.raw) for event in events if isinstance(event.value, Stop)
    ]


def test_an_unspecified_finish_reason_ends_nothing() -> None:
    events, complete = read([b"data: %b\r\n\r\n" % orjson.dumps(chunk(finishReason="FINISH_REASON_UNSPECIFIED"))], STOP)

    assert ([], False) == (events, complete)


def test_a_blocked_prompt_is_a_filter_stop_and_a_whole_answer() -> None:
    events, complete = read([b'data: {"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}\r\n\r\n'], FLAGS)

    assert ([Stop("filter", "PROHIBITED_CONTENT")], True) == ([event.value for event in events], complete)


def test_a_stream_is_whole_when_every_candidate_has_finished() -> None:
    one = [chunk({"text": "a"}), chunk({"text": "b"}, index=1), chunk(finishReason="STOP")]
    both = [*one, chunk(finishReason="MAX_TOKENS", index=1)]

    for chunks, whole in ((one, False), (both, True)):
        events, complete = read([b"".join(b"data: %b\r\n\r\n" % orjson.dumps(each) for each in chunks)])

        assert [(0,), (1,)] == [event.block for event in events if event.kind == "text"]
        assert whole == complete


@given(st.integers(0, len(EVENTS) - 1))
def test_a_cut_stream_is_never_complete_before_its_last_chunk(at: int) -> None:
    _, complete = read([EVENTS[:at]], FLAGS)

    assert complete == (at >= len(EVENTS) - 4)


ERROR = b'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\r\n\r\n'


@pytest.mark.parametrize(
    ("source", "content_type", "surface"),
    [
        (EVENTS[: EVENTS.index(b"data:", 9)] + ERROR, SSE, STREAM),
        (
            b"[" + orjson.dumps(CHUNKS[0]) + b',\n{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]',
            JSON,
            STREAM,
        ),
        (b'[{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]', JSON, STREAM),
        (b'[{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]', JSON, GENERATE),
        (b'{"error":{"message":"x","status":"UNAVAILABLE"}}', JSON, GENERATE),
        (b'{"error":{"code":503}}', JSON, SURFACES["models.v1"]),
    ],
)
def test_an_error_inside_of_a_200_is_seen_bare_or_in_an_array(
    source: bytes, content_type: str, surface: Surface
) -> None:
    events, complete = read([source], FLAGS, surface, content_type)
    (failure,) = [event.value for event in events if isinstance(event.value, Failure)]

    assert 503 == failure.status
    assert surface is not STREAM or not complete


def test_a_bad_key_is_told_with_400_and_stays_a_400() -> None:
    body = b'{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}'

    events, _ = read([body], FLAGS, GENERATE, JSON)

    assert [Failure(400, "INVALID_ARGUMENT", Content("API key not valid."))] == [event.value for event in events]


def test_what_is_not_understood_is_opaque() -> None:
    odd = {"candidates": [{"content": {"parts": [{"hologram": {"beam": 1}}]}, "aura": "x"}], "surprise": [1]}

    events, _ = read([orjson.dumps(odd)], KINDS, GENERATE, JSON)
    streamed, _ = read([b"data: 7\r\n\r\n"])

    assert {("surprise",), ("candidates", 0, "content", "parts", 0, "hologram"), ("candidates", 0, "aura")} == {
        event.where for event in events
    }
    assert [("opaque", "7")] == [(event.kind, shown(event)) for event in streamed]


def test_pieces_of_the_text_that_are_told_again_as_evidence_are_texts() -> None:
    grounds = {"groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 2, "text": "Hi"}}]}

    events, _ = read(
        [orjson.dumps(chunk({"text": "Hi"}, groundingMetadata=grounds, finishMessage="Why."))], TEXT, GENERATE, JSON
    )

    assert ["Hi", "Why.", "Hi"] == [shown(event) for event in events]
    assert 3 == len({event.block for event in events})


def test_embeddings_are_vectors_in_place() -> None:
    one = b'{"embedding":{"values":[0.5,-1]},"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}'
    two = b'{"embeddings":[{"values":[1]},{"values":[2]}]}'

    single, _ = read([one], KINDS, SURFACES["embed"], JSON)
    batch, _ = read([two], KINDS, SURFACES["embed.batch.v1"], JSON)

    assert [("vector", "[0.5,-1]"), ("usage", Usage(input=3, total=3))] == [
        (event.kind, shown(event)) for event in single
    ]
    assert [("embeddings", 0, "values"), ("embeddings", 1, "values")] == [event.where for event in batch]


def test_counting_tokens_is_no_usage() -> None:
    events, complete = read([b'{"totalTokens":31,"promptTokensDetails":[]}'], KINDS, SURFACES["count_tokens"], JSON)

    assert ([], True) == (events, complete)


def test_what_is_no_json_is_an_error_of_the_reader() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        read([b"data: {candidates\r\n\r\n"])


@given(json_sources())
def test_no_document_breaks_the_readers_of_answers(body: bytes) -> None:
    document = orjson.loads(body)

    for wrapped in (
        document, {"candidates": document}, {"candidates": [{"content": document, "index": document, "groundingMetadata": document}]},
        {"candidates": [{"content": {"parts": document}}], "usageMetadata": document, "error": document},
        {"usageMetadata": document, "promptFeedback": document, "embedding": document, "embeddings": document},
    ):  # fmt: skip
        for surface in (GENERATE, STREAM, SURFACES["embed"], SURFACES["models"]):
            read([orjson.dumps(wrapped)], KINDS, surface, JSON)
