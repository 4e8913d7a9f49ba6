"""Answers: streams under any chunking, whole messages, batch results, files."""

from __future__ import annotations

from collections.abc import Collection

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_anthropic.dialect import DIALECT

from relay.testing.strategies import chunkings, json_sources
from relay.values.content import CORE, Content
from relay.wire import lens
from relay.wire.dialect import Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import KINDS, TEXT_KINDS, Created, Event, Failure, Kind, Stop, Usage

SURFACES = {surface.name: surface for surface in DIALECT.surfaces}
MESSAGES = SURFACES["messages"]
SSE = "text/event-stream; charset=utf-8"
FLAGS: frozenset[Kind] = frozenset(("usage", "stop", "error", "created"))
ERRORS: frozenset[Kind] = frozenset(("error",))
STOPS: frozenset[Kind] = frozenset(("stop",))


def sse(*documents: dict[str, object]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (str(d["type"]).encode(), orjson.dumps(d)) for d in documents)


STREAM = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
            "stop_reason": None, "stop_sequence": None,
            "usage": {
                "input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 5, "output_tokens": 1,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}, "service_tier": "standard",
            },
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQBCg=="}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße aus 雪国 \"message\" 🂡"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "!"}},
    {
        "type": "content_block_delta", "index": 1,
        "delta": {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "cited", "document_title": None}},
    },
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"where\": \"he"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "re\"}"}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None, "container": {"id": "container_1"}},
        "usage": {"output_tokens": 44, "server_tool_use": {"web_search_requests": 2}},
    },
    {"type": "message_stop"},
)  # fmt: skip


def frames_of(chunks: list[bytes], surface: Surface = MESSAGES, content_type: str = SSE) -> list[Frame]:
    framer = DIALECT.framer(surface, content_type)
    return [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.end()


def read(
    chunks: list[bytes], kinds: Collection[Kind] = KINDS, surface: Surface = MESSAGES, content_type: str = SSE
) -> tuple[list[Event], bool]:
    reader = DIALECT.reader(surface, content_type)
    events = [event for frame in frames_of(chunks, surface, content_type) for event in reader.read(frame, kinds)]
    return events, reader.complete


def shown(event: Event) -> object:
    return event.value.text(CORE) if isinstance(event.value, Content) else event.value


def test_a_stream_is_read_block_by_block() -> None:
    events, complete = read([STREAM])

    start = Usage(input=10, cache_read=5, cache_write_5m=20, cache_write_1h=10, output=1)
    end = Usage(input=10, cache_read=5, cache_write_5m=20, cache_write_1h=10, output=44, server_tools=2)
    assert [
        ("usage", (), start),
        ("thinking", (0,), "Let me "),
        ("thinking", (0,), "see."),
        ("stop", (0,), Stop("end", "signature_delta")),
        ("stop", (0,), Stop("end", "content_block_stop")),
        ("text", (1,), 'Grüße aus 雪国 "message" 🂡'),
        ("text", (1,), "!"),
        ("text", (1, "citation", 1, "cited_text"), "cited"),
        ("stop", (1,), Stop("end", "content_block_stop")),
        ("tool_args", (2,), '{"where": "he'),
        ("tool_args", (2,), 're"}'),
        ("stop", (2,), Stop("end", "content_block_stop")),
        ("usage", (), end),
        ("created", (), Created("container", "container_1")),
        ("stop", (), Stop("tool", "tool_use")),
    ] == [(event.kind, event.block, shown(event)) for event in events]
    assert complete


@given(st.data())
def test_any_chunking_of_a_stream_says_the_same(data: st.DataObject) -> None:
    chunks = data.draw(chunkings(STREAM))

    assert read([STREAM]) == read(chunks)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends_say_the_same(line_end: bytes) -> None:
    assert read([STREAM]) == read([STREAM.replace(b"\n", line_end)])


def test_usage_and_stop_are_the_same_without_reading_any_text() -> None:
    everything, _ = read([STREAM])
    flags, complete = read([STREAM], FLAGS)

    assert [e for e in everything if e.kind in FLAGS and e.value != Stop("end", "signature_delta")] == flags
    assert complete


def test_a_stop_is_told_whatever_was_asked_for_before() -> None:
    reader = DIALECT.reader(MESSAGES, SSE)
    frames = frames_of([STREAM])

    for frame in frames[:-2]:
        reader.read(frame, ERRORS)
    events = reader.read(frames[-2], FLAGS)

    assert [Usage(input=10, cache_read=5, cache_write_5m=20, cache_write_1h=10, output=44, server_tools=2)] == [
        event.value for event in events if event.kind == "usage"
    ]
    assert [Stop("tool", "tool_use")] == [event.value for event in events if event.kind == "stop"]


@pytest.mark.parametrize("kinds", [{kind} for kind in sorted(KINDS)] + [FLAGS])
def test_a_frame_without_a_mark_has_no_event_of_these_kinds(kinds: set[Kind]) -> None:
    marks = DIALECT.marks(MESSAGES, kinds)
    whole = orjson.dumps(WHOLE)

    for source, content_type in ((STREAM, SSE), (whole, "application/json"), (ERROR, SSE)):
        reader = DIALECT.reader(MESSAGES, content_type)
        for frame in frames_of([source], MESSAGES, content_type):
            if reader.read(frame, kinds):
                assert marks is None or any(mark in frame.raw for mark in marks)


def test_a_text_delta_has_no_mark_for_what_the_relay_always_looks_for() -> None:
    delta = sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}})
    marks = DIALECT.marks(MESSAGES, FLAGS)

    assert marks is not None
    assert not any(mark in delta for mark in marks)


def test_each_text_of_a_stream_can_be_replaced_and_every_other_byte_stays() -> None:
    reader = DIALECT.reader(MESSAGES, SSE)
    changed = b""
    expected = STREAM

    for frame in frames_of([STREAM]):
        events = list(reader.read(frame, TEXT_KINDS))
        for event in events:
            assert frame.data is not None
            start, end = lens.spans(frame.data, [event.where])[event.where]
            frame_source = frame.data[start:end]
            expected = expected.replace(frame_source, b'"new"', 1)
            frame = frame.with_data(lens.replace(frame.data, {event.where: b'"new"'}))
        changed += frame.raw

    assert 7 == changed.count(b'"new"')
    assert expected == changed


ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}\n\n'


def test_an_error_inside_of_a_200_is_seen() -> None:
    head = STREAM[: STREAM.index(b"event: message_delta")]

    events, complete = read([head + ERROR], FLAGS)

    assert Failure(529, "overloaded_error", Content("Overloaded")) == events[-1].value
    assert not complete


@given(st.integers(0, len(STREAM) - 1))
def test_a_cut_stream_is_never_complete_before_its_stop_reason(at: int) -> None:
    _, complete = read([STREAM[:at]], FLAGS)

    assert complete == (at >= STREAM.index(b"\n\nevent: message_stop"))


def test_a_message_that_has_stopped_stays_complete_whatever_is_told_after_it() -> None:
    ended: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 1},
    }
    later: dict[str, object] = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 2}}

    assert read([sse(ended, later)], FLAGS)[1]
    assert not read([sse(later)], FLAGS)[1]


def test_what_is_not_understood_is_opaque() -> None:
    unknown = sse(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "hologram", "beam": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "beam_delta", "beam": "x"}},
        {"type": "message_surprise", "words": "x"},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "EmwK"}},
    )

    events, _ = read([unknown])

    assert [("content_block",), ("delta",), (), ("content_block", "data")] == [event.where for event in events]
    assert {"opaque"} == {event.kind for event in events}


def test_results_of_server_tools_are_read_from_the_start_of_their_block() -> None:
    found = {"type": "web_search_result", "title": "T", "url": "u", "encrypted_content": "E", "page_age": None}
    ran = {"type": "code_execution_result", "stdout": "O", "stderr": "", "return_code": 0,
           "content": [{"type": "code_execution_output", "file_id": "file_9"}]}  # fmt: skip
    stream = sse(
        {
            "type": "content_block_start",
            "index": 3,
            "content_block": {"type": "web_search_tool_result", "content": [found]},
        },
        {
            "type": "content_block_start",
            "index": 4,
            "content_block": {"type": "code_execution_tool_result", "content": ran},
        },
        {
            "type": "content_block_start",
            "index": 5,
            "content_block": {"type": "server_tool_use", "input": {"q": "now"}},
        },
    )

    events, _ = read([stream])
    flags, _ = read([stream], FLAGS)

    assert [
        ("text", "T", True), ("opaque", "E", True), ("text", "O", True), ("created", Created("file", "file_9"), False),
        ("tool_args", '{"q":"now"}', True),
    ] == [(event.kind, shown(event), event.whole) for event in events]  # fmt: skip
    assert events[-1].source
    assert [Created("file", "file_9")] == [event.value for event in flags]


WHOLE: dict[str, object] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "text", "text": "Hello", "citations": [{"type": "page_location", "cited_text": "page"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "here"}},
    ],
    "stop_reason": "refusal", "stop_sequence": None, "stop_details": {"type": "refusal", "explanation": "No."},
    "usage": {"input_tokens": 3, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
}  # fmt: skip


def test_a_whole_message_says_everything_at_once() -> None:
    events, complete = read([orjson.dumps(WHOLE)], KINDS, MESSAGES, "application/json")

    assert [
        ("thinking", (0,), "Hm."),
        ("text", (1,), "Hello"),
        ("text", (1, "citations", 0, "cited_text"), "page"),
        ("tool_args", (2,), '{"where":"here"}'),
        ("usage", (), Usage(input=3, output=5, reasoning=4)),
        ("text", ("stop_details",), "No."),
        ("stop", (), Stop("refusal", "refusal")),
    ] == [(event.kind, event.block, shown(event)) for event in events]
    assert all(event.whole for event in events if isinstance(event.value, Content))
    assert complete


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "end"), ("max_tokens", "length"), ("stop_sequence", "stop_sequence"), ("tool_use", "tool"),
        ("pause_turn", "pause"), ("refusal", "refusal"), ("model_context_window_exceeded", "context"), ("new_word", "incomplete"),
    ],
)  # fmt: skip
def test_stop_reasons_are_told_in_the_common_words(raw: str, reason: str) -> None:
    body = orjson.dumps({"type": "message", "content": [], "stop_reason": raw})

    events, _ = read([body], STOPS, MESSAGES, "application/json")

    assert [(reason, raw)] == [
        (event.value.reason, event.value.raw) for event in events if isinstance(event.value, Stop)
    ]


def test_an_error_body_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"req_1"}'

    events, _ = read([body], KINDS, MESSAGES, "application/json")

    assert [Failure(404, "not_found_error", Content("model: x"))] == [event.value for event in events]


@pytest.mark.parametrize(("surface", "kind"), [("batches.create", "batch"), ("files.create", "file")])
def test_a_created_object_is_noted(surface: str, kind: str) -> None:
    body = b'{"id":"obj_1","type":"message_batch","error":null}'

    events, _ = read([body], FLAGS, SURFACES[surface], "application/json")

    assert [Created(kind, "obj_1")] == [event.value for event in events]


RESULTS = b"\n".join(
    (
        orjson.dumps({"custom_id": "a", "result": {"type": "succeeded", "message": WHOLE}}),
        orjson.dumps(
            {"custom_id": "b", "result": {"type": "errored", "error": {"type": "error", "error": {"message": "Bad."}}}}
        ),
        orjson.dumps({"custom_id": "c", "result": {"type": "expired"}}),
        b"",
    )
)


@given(st.data())
def test_each_line_of_batch_results_tells_its_own_usage(data: st.DataObject) -> None:
    chunks = data.draw(chunkings(RESULTS))

    frames = frames_of(chunks, SURFACES["batches.results"], "application/x-jsonl")
    events, complete = read(chunks, KINDS, SURFACES["batches.results"], "application/x-jsonl")

    assert RESULTS == b"".join(frame.raw for frame in frames)
    assert [(("result", "a"), Usage(input=3, output=5, reasoning=4))] == [
        (event.block, event.value) for event in events if event.kind == "usage"
    ]
    assert ["Hello", "page", "No.", "Bad."] == [shown(event) for event in events if event.kind == "text"]
    assert [] == [event for event in events if event.kind == "error"]
    assert complete


def test_a_line_of_results_can_be_changed_in_place() -> None:
    frames = frames_of([b'{"a":1}\r\n\n'], SURFACES["batches.results"], "application/x-jsonl")

    assert [b'{"a":2}\r\n', b"\n"] == [frames[0].with_data(b'{"a":2}').raw, frames[1].raw]
    assert frames[1].data is None


def test_the_bytes_of_a_file_are_media_and_pass_as_they_come() -> None:
    chunks = [b"\x89PNG", b'{"error":1}']

    events, complete = read(chunks, KINDS, SURFACES["files.content"], "application/octet-stream")

    assert [("media", "�PNG"), ("media", '{"error":1}')] == [(event.kind, shown(event)) for event in events]
    assert complete


def test_what_is_no_json_is_an_error_of_the_reader() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        read([b"event: message_start\ndata: {message\n\n"])


@given(json_sources())
def test_no_document_breaks_the_readers_of_answers(body: bytes) -> None:
    document = orjson.loads(body)

    for kind in (
        "message_start",
        "message_delta",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "error",
    ):
        for member in ("message", "delta", "content_block", "usage", "error"):
            read([sse({"type": kind, member: document, "index": 0})])
    for surface in SURFACES.values():
        for wrapped in (document, {"type": "message", "content": document, "usage": document, "id": document}):
            read([orjson.dumps(wrapped)], KINDS, surface, "application/json")
