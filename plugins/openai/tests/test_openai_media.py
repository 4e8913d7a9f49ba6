"""Pictures, speech, transcripts, sessions, figures and stored objects."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from relay_openai.dialect import DIALECT

from relay.wire.vocabulary import Created, Kind, Stop, Usage

IMAGE_USAGE = {
    "input_tokens": 50,
    "output_tokens": 4160,
    "total_tokens": 4210,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}
TEXT_USAGE = {
    "type": "tokens",
    "input_tokens": 14,
    "output_tokens": 45,
    "total_tokens": 59,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
}


def test_pictures_are_media_and_are_counted(kit: Any) -> None:
    with_tokens = kit.read("images.generations", {"created": 1, "data": [{"b64_json": "iVBO"}], "usage": IMAGE_USAGE})
    by_piece = kit.read(
        "images.variations", {"created": 1, "data": [{"url": "https://a"}, {"url": "https://b", "revised_prompt": "p"}]}
    )

    assert ["iVBO"] == with_tokens.only("media")
    assert [Usage(input=10, image_input=40, image_output=4160, images=1, total=4210)] == with_tokens.only("usage")
    assert ["https://a", "https://b"] == by_piece.only("media")
    assert ["p"] == by_piece.only("text")
    assert [Usage(images=2)] == by_piece.only("usage")
    assert by_piece.complete


@pytest.mark.parametrize("family", ["image_generation", "image_edit"])
def test_streamed_pictures_end_with_their_usage(kit: Any, family: str) -> None:
    partial = {"type": f"{family}.partial_image", "b64_json": "iV", "partial_image_index": 0}
    completed = {"type": f"{family}.completed", "b64_json": "iVBO", "usage": IMAGE_USAGE}

    cut = kit.read("images.generations", kit.stream(partial, named=True), kit.SSE)
    told = kit.read("images.generations", kit.stream(partial, completed, named=True), kit.SSE)

    assert not cut.complete
    assert {("image", 0, 0): "iV", ("image", 0): "iVBO"} == told.words("media")
    assert [Usage(input=10, image_input=40, image_output=4160, images=1, total=4210)] == told.only("usage")
    assert [Stop("end")] == told.only("stop")
    assert told.complete


def test_a_transcript_is_told_with_its_segments_and_words(kit: Any) -> None:
    verbose = {
        "task": "transcribe",
        "duration": 8.47,
        "text": "Hi there",
        "segments": [{"id": 0, "text": "Hi there"}],
        "words": [{"word": "Hi"}],
    }

    told = kit.read("audio.transcriptions", verbose)

    assert ["Hi there", "Hi there", "Hi"] == told.only("text")
    assert [Usage(audio_ms=8470)] == told.only("usage")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (TEXT_USAGE, Usage(input=4, audio_input=10, output=45, total=59)),
        ({"type": "duration", "seconds": 9}, Usage(audio_ms=9000)),
    ],
)
def test_a_transcript_is_charged_by_tokens_or_by_length(kit: Any, usage: dict[str, Any], expected: Usage) -> None:
    delta = {"type": "transcript.text.delta", "delta": "Hi"}
    done = {"type": "transcript.text.done", "text": "Hi", "usage": usage}

    whole = kit.read("audio.transcriptions", {"text": "Hi", "usage": usage})
    streamed = kit.read("audio.transcriptions", kit.stream(delta, done), kit.SSE)

    assert [expected] == whole.only("usage")
    assert [expected] == streamed.only("usage")
    assert {("text",): "Hi", ("text", 1): "Hi"} == streamed.words("text")
    assert streamed.complete


def test_a_plain_transcript_has_no_place_to_be_changed_in(kit: Any) -> None:
    told = kit.read("audio.translations", b"1\n00:00 --> 00:01\nHi \xe9", "text/plain; charset=utf-8")

    assert ["1\n00:00 --> 00:01\nHi �"] == told.only("opaque")
    assert [] == told.only("text")
    assert told.complete


def test_speech_is_bytes_or_events(kit: Any) -> None:
    delta = {"type": "speech.audio.delta", "audio": "UklG"}
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}}

    pieces = kit.read("audio.speech", [b"\xff\xfb", b"", b"\x90"], "audio/mpeg")
    events = kit.read("audio.speech", kit.stream(delta, done), kit.SSE)

    assert [2, 1] == [event.value.size for event in pieces.events]
    assert pieces.complete
    assert ["UklG"] == events.only("media")
    assert [Usage(input=14, audio_output=101, total=115)] == events.only("usage")
    assert events.complete


def test_marked_frames_of_media_tell_the_end(kit: Any) -> None:
    marks = DIALECT.marks(kit.surface("audio.speech"), ("usage", "stop"))

    assert marks is not None
    assert any(mark in b'data: {"type":"speech.audio.done"}' for mark in marks)
    assert not any(mark in b'data: {"type":"speech.audio.delta","audio":"UklG"}' for mark in marks)
    assert () == DIALECT.marks(kit.surface("files.content"), ("usage", "stop"))


def test_a_file_s_bytes_are_opaque_whatever_type_they_claim(kit: Any) -> None:
    told = kit.read("files.content", [b'{"custom_id":', b'"a"}'], "application/json")

    assert [("opaque", 13), ("opaque", 4)] == [(event.kind, event.value.size) for event in told.events]


ITEM = {
    "id": "item_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_audio", "transcript": "Hi"}],
}
SESSION = [
    {"type": "session.created", "session": {"id": "sess_1", "instructions": "Be kind"}},
    {"type": "input_audio_buffer.speech_started", "item_id": "item_0"},
    {
        "type": "conversation.item.input_audio_transcription.delta",
        "item_id": "item_0",
        "content_index": 0,
        "delta": "Hel",
    },
    {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "item_0",
        "content_index": 0,
        "transcript": "Hello",
        "usage": TEXT_USAGE,
    },
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"id": "item_1", "type": "message", "content": []},
    },
    {"type": "response.output_audio.delta", "item_id": "item_1", "content_index": 0, "delta": "UklG"},
    {"type": "response.output_audio_transcript.delta", "item_id": "item_1", "content_index": 0, "delta": "Hi"},
    {"type": "response.output_audio_transcript.done", "item_id": "item_1", "content_index": 0, "transcript": "Hi"},
    {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
    {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "status": "completed",
            "output": [ITEM],
            "usage": {
                "total_tokens": 253,
                "input_tokens": 132,
                "output_tokens": 121,
                "input_token_details": {
                    "text_tokens": 119,
                    "audio_tokens": 13,
                    "cached_tokens": 64,
                    "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
                },
                "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
            },
        },
    },
    {"type": "rate_limits.updated", "rate_limits": []},
    {"type": "error", "error": {"type": "invalid_request_error", "code": "unknown_parameter", "message": "m"}},
]


def test_a_session_tells_both_sides_and_every_usage(kit: Any) -> None:
    told = kit.read("realtime", [orjson.dumps(message) for message in SESSION])

    heard, said = ("item", "item_0", "content", 0, "transcript"), ("item", "item_1", "content", 0, "transcript")
    assert {
        ("instructions", 1): "Be kind",
        heard: "Hel",
        (*heard, 1): "Hello",
        said: "Hi",
        (*said, 1): "Hi",
        (*said, 2): "Hi",
        (*said, 3): "Hi",
    } == told.words("text")
    assert {("item", "item_1", "content", 0, "audio"): "UklG"} == told.words("media")
    assert [
        Usage(input=4, audio_input=10, output=45, total=59),
        Usage(input=55, cache_read=64, audio_input=13, output=30, audio_output=91, total=253),
    ] == told.only("usage")
    assert [Stop("end", "completed")] == told.only("stop")
    assert [400] == [failure.status for failure in told.only("error")]
    assert [] == told.only("opaque")
    assert told.complete


def test_marked_messages_of_a_session_tell_usage_stop_and_error(kit: Any) -> None:
    kinds: tuple[Kind, ...] = ("usage", "stop", "error")
    marks = DIALECT.marks(kit.surface("realtime"), kinds)
    assert marks is not None
    messages = [orjson.dumps(message) for message in SESSION]

    marked = kit.read(
        "realtime", [message for message in messages if any(mark in message for mark in marks)], kinds=kinds
    )

    assert kit.read("realtime", messages, kinds=kinds).events == marked.events


@pytest.mark.parametrize(
    ("response", "kind", "expected"),
    [
        (
            {"status": "cancelled", "status_details": {"reason": "turn_detected"}},
            "stop",
            Stop("incomplete", "cancelled"),
        ),
        (
            {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}},
            "stop",
            Stop("length", "incomplete"),
        ),
        (
            {"status": "completed", "output": [{"type": "function_call", "arguments": "{}"}]},
            "stop",
            Stop("tool", "completed"),
        ),
    ],
)
def test_a_session_s_responses_end_with_their_reason(
    kit: Any, response: dict[str, Any], kind: Any, expected: Stop
) -> None:
    told = kit.read("realtime", [orjson.dumps({"type": "response.done", "response": response})])

    assert [expected] == told.only(kind)


def test_vectors_are_told_as_they_are_written(kit: Any) -> None:
    usage = {"prompt_tokens": 8, "total_tokens": 8}

    told = kit.read(
        "embeddings", {"object": "list", "data": [{"embedding": "AACAPw=="}, {"embedding": [1.0, 0.5]}], "usage": usage}
    )

    assert ["AACAPw==", "[1.0,0.5]"] == told.only("vector")
    assert [False, True] == [event.source for event in told.events if event.kind == "vector"]
    assert [Usage(input=8, total=8)] == told.only("usage")
    assert told.complete


def test_rankings_repeat_documents(kit: Any) -> None:
    results = [{"index": 0, "relevance_score": 0.9, "document": {"text": "a"}}, {"index": 1, "document": "b"}]

    told = kit.read("rerank", {"results": results, "meta": {"billed_units": {"search_units": 1}}})

    assert ["a", "b"] == told.only("text")
    assert [Usage(server_tools=1)] == told.only("usage")


def test_verdicts_hold_no_text(kit: Any) -> None:
    assert ["stop"] == [
        event.kind for event in kit.read("moderations", {"id": "m", "results": [{"flagged": False}]}).events
    ]


BATCH_USAGE = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("files.create", {"id": "file-1", "object": "file", "filename": "a.jsonl"}, [("file", "file-1")]),
        ("files.retrieve", {"id": "file-1", "object": "file"}, []),
        ("uploads.create", {"id": "upload_1", "object": "upload", "file": None}, [("upload", "upload_1")]),
        ("uploads.complete", {"id": "upload_1", "object": "upload", "file": {"id": "file-2"}}, [("file", "file-2")]),
        ("batches.create", {"id": "batch_1", "object": "batch", "output_file_id": None}, [("batch", "batch_1")]),
        (
            "batches.retrieve",
            {"id": "batch_1", "output_file_id": "file-3", "error_file_id": "file-4"},
            [("file", "file-3"), ("file", "file-4")],
        ),
        ("batches.list", {"data": [{"id": "batch_1", "output_file_id": "file-3"}]}, []),
        ("conversations.create", {"id": "conv_1", "object": "conversation"}, [("conversation", "conv_1")]),
        (
            "conversations.items.create",
            {"object": "list", "data": [{"id": "msg_1", "type": "message", "content": []}]},
            [("item", "msg_1")],
        ),
        ("vector_stores.create", {"id": "vs_1", "object": "vector_store"}, [("vector_store", "vs_1")]),
        ("containers.create", {"id": "cntr_1", "object": "container"}, [("container", "cntr_1")]),
        ("responses.retrieve", {"id": "resp_1", "object": "response", "output": []}, []),
        (
            "responses.retrieve",
            {"id": "resp_1", "output": [{"id": "msg_1", "type": "message", "content": []}]},
            [("item", "msg_1")],
        ),
        ("chat.retrieve", {"id": "chatcmpl-1", "choices": []}, []),
    ],
)
def test_what_is_made_is_told(kit: Any, name: str, body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    told = kit.read(name, body)

    assert [Created(*made) for made in expected] == told.only("created")
    assert [] == told.only("opaque")
    assert told.complete


def test_a_batch_states_its_usage_when_it_is_done(kit: Any) -> None:
    assert [Usage(input=5, output=2, total=7)] == kit.read("batches.retrieve", {"id": "b", "usage": BATCH_USAGE}).only(
        "usage"
    )
    assert [] == kit.read("batches.list", {"data": [{"id": "b", "usage": BATCH_USAGE}]}).only("usage")


def test_stored_texts_are_told_and_cost_nothing_again(kit: Any) -> None:
    completion = {
        "id": "c",
        "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": BATCH_USAGE,
    }

    retrieved = kit.read("chat.retrieve", completion)
    listed = kit.read("chat.list", {"object": "list", "data": [completion]})
    messages = kit.read(
        "chat.messages",
        {"object": "list", "data": [{"id": "m", "role": "user", "content": "b", "content_parts": None}]},
    )
    items = kit.read(
        "responses.input_items",
        {"object": "list", "data": [{"type": "message", "content": [{"type": "input_text", "text": "c"}]}]},
    )
    hits = kit.read(
        "vector_stores.search",
        {"search_query": ["q"], "data": [{"filename": "f", "content": [{"type": "text", "text": "d"}]}]},
    )

    assert ["text"] == [event.kind for event in retrieved.events]
    assert ("data", 0, "choices", 0, "message", "content") == listed.events[0].where
    assert ["b"] == messages.only("text")
    assert ["c"] == items.only("text")
    assert ["q", "d", "f"] == hits.only("text")


def test_an_error_instead_of_an_answer_is_told(kit: Any) -> None:
    error = {"error": {"message": "m", "type": "server_error"}}

    for name in (
        "chat",
        "responses",
        "embeddings",
        "moderations",
        "rerank",
        "images.edits",
        "audio.transcriptions",
        "files.create",
    ):
        assert ["error"] == [event.kind for event in kit.read(name, error).events]
