"""Chat completions and completions, as they come from the providers of the family."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_openai.dialect import DIALECT

from relay.testing.strategies import chunkings
from relay.values.content import CORE
from relay.wire.vocabulary import Created, Kind, Stop, Usage


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    """A chunk as OpenAI sends it."""
    choices = [] if delta is None else [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "system_fingerprint": None,
    }
    return {**head, "choices": choices, **more}


def call(index: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": {"arguments": arguments}}]}


USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 2}}
TOLD = Usage(input=7, cache_read=2, output=4, total=13)
LONG = (
    chunk({"role": "assistant", "content": "", "refusal": None}, usage=None),
    chunk({"reasoning_content": "hm é"}, usage=None),
    chunk({"content": "Hel"}, usage=None),
    chunk({"content": "lo 雪"}, usage=None),
    chunk(call(0, "", id="call_a", type="function"), usage=None),
    chunk(call(0, '{"a":'), usage=None),
    chunk(call(1, '{"b"', id="call_b"), usage=None),
    chunk(call(0, "1}"), usage=None),
    chunk(call(1, ":2}"), usage=None),
    chunk({}, "tool_calls", usage=None),
    chunk(usage=USAGE),
)


def test_a_stream_tells_text_thinking_tools_its_end_and_its_usage(kit: Any) -> None:
    told = kit.read("chat", kit.stream(*LONG, done=True), kit.SSE)

    assert {("choice", 0, "content"): "Hello 雪"} == told.words("text")
    assert {("choice", 0, "reasoning_content"): "hm é"} == told.words("thinking")
    assert {("choice", 0, "tool", 0): '{"a":1}', ("choice", 0, "tool", 1): '{"b":2}'} == told.words("tool_args")
    assert [Stop("tool", "tool_calls")] == told.only("stop")
    assert [TOLD] == told.only("usage")
    assert [Created("chat.completion", "chatcmpl-1")] == told.only("created")
    assert [] == told.only("opaque", "error")
    assert told.complete


@given(st.data())
def test_any_chunking_tells_the_same(kit: Any, data: st.DataObject) -> None:
    whole = kit.stream(*LONG, done=True)

    told = kit.read("chat", data.draw(chunkings(whole)), kit.SSE)

    assert kit.read("chat", whole, kit.SSE).events == told.events


def test_marked_frames_alone_tell_usage_stop_error_and_creation(kit: Any) -> None:
    kinds: tuple[Kind, ...] = ("usage", "stop", "error", "created")
    marks = DIALECT.marks(kit.surface("chat"), kinds)
    assert marks is not None
    frames = kit.stream(*LONG, done=True).split(b"\n\n")

    marked = b"\n\n".join(frame for frame in frames if any(mark in frame for mark in marks)) + b"\n\n"
    told = kit.read("chat", marked, kit.SSE, kinds)

    assert kit.read("chat", kit.stream(*LONG, done=True), kit.SSE, kinds).events == told.events
    assert told.complete
    # Fragments of the second tool call share a mark with a second choice; no other text does.
    assert 5 == marked.count(b"\n\n")
    assert DIALECT.marks(kit.surface("chat"), ("text", "usage")) is None


def test_usage_is_found_in_a_chunk_with_choices(kit: Any) -> None:
    told = kit.read("chat", kit.stream(chunk({"content": "x"}, "stop", usage=USAGE), done=True), kit.SSE)

    assert [TOLD] == told.only("usage")


def test_usage_in_several_chunks_is_told_each_time_so_that_the_last_counts(kit: Any) -> None:
    early = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}

    told = kit.read("chat", kit.stream(chunk({"content": "x"}, usage=early), chunk({}, "stop", usage=USAGE)), kit.SSE)

    assert [Usage(input=9, output=1, total=10), TOLD] == told.only("usage")


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "stop", x_groq={"id": "req_1", "usage": USAGE}),
        {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
    ],
    ids=["x_groq.usage", "choices[].usage"],
)
def test_usage_is_found_where_groq_and_moonshot_put_it(kit: Any, last: dict[str, Any]) -> None:
    told = kit.read("chat", kit.stream(chunk({"content": "x"}), last), kit.SSE, ("usage",))

    assert [TOLD] == told.only("usage")


def test_comments_are_no_events_and_done_may_be_missing(kit: Any) -> None:
    text = b": OPENROUTER PROCESSING\n\n" + kit.stream(chunk({"content": "x"}), chunk({}, "stop"))

    told = kit.read("chat", text, kit.SSE)

    assert ["x"] == told.only("text")
    assert told.complete


def test_azure_s_first_chunk_without_choices_says_nothing(kit: Any) -> None:
    first = {"choices": [], "created": 0, "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}

    told = kit.read("chat", kit.stream(first, chunk({"content": "x"}, "stop")), kit.SSE)

    assert ["text", "created", "stop"] == [event.kind for event in told.events]


def test_a_stream_without_finish_or_done_is_not_complete(kit: Any) -> None:
    assert not kit.read("chat", kit.stream(chunk({"content": "x"})), kit.SSE).complete
    assert not kit.read("chat", b"", kit.SSE).complete


def test_with_two_choices_both_must_finish(kit: Any) -> None:
    begun = (chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"))

    for kinds in (("text", "stop"), ("stop",)):
        cut = kit.read("chat", kit.stream(*begun), kit.SSE, kinds)
        whole = kit.read("chat", kit.stream(*begun, chunk({}, "length", 1)), kit.SSE, kinds)

        assert not cut.complete
        assert whole.complete
        assert [Stop("end", "stop"), Stop("length", "length")] == whole.only("stop")


@pytest.mark.parametrize(
    ("answer", "status", "kind", "message"),
    [
        (b'data: {"error":{"message":"no","type":"server_error","code":null}}\n\n', 500, "server_error", "no"),
        (
            b'event: error\ndata: {"message":"slow down","code":"rate_limit_exceeded"}\n\n',
            429,
            "rate_limit_exceeded",
            "slow down",
        ),
        (b'data: {"error":{"message":"busy","code":502},"choices":[]}\n\n', 502, "", "busy"),
        (b'data: {"error":{"message":"key","code":"401"}}\n\n', 401, "", "key"),
        (
            b'data: {"error":"words","code":"Client specified an invalid argument"}\n\n',
            400,
            "Client specified an invalid argument",
            "words",
        ),
        (
            b'data: {"object":"error","message":"long","type":"BadRequestError","code":400}\n\n',
            400,
            "BadRequestError",
            "long",
        ),
    ],
)
def test_an_error_inside_a_200_is_seen(kit: Any, answer: bytes, status: int, kind: str, message: str) -> None:
    told = kit.read("chat", kit.stream(chunk({"content": "x"})) + answer, kit.SSE, ("error",))

    [event] = told.events
    assert (status, kind) == (event.value.status, event.value.kind)
    assert message == event.value.message.text(CORE)
    assert not told.complete


@pytest.mark.parametrize(
    ("delta", "kind", "block"),
    [
        ({"reasoning": "t"}, "thinking", "reasoning"),
        ({"refusal": "t"}, "text", "refusal"),
        ({"audio": {"id": "audio_1", "transcript": "t"}}, "text", "transcript"),
        ({"audio": {"data": "t"}}, "media", "audio"),
        ({"function_call": {"name": "f", "arguments": "t"}}, "tool_args", "function"),
        ({"content": [{"type": "text", "text": "t"}]}, "text", "content"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]}, "thinking", "reasoning"),
    ],
)
def test_every_member_of_a_delta_has_its_kind(kit: Any, delta: dict[str, Any], kind: Any, block: str) -> None:
    told = kit.read("chat", kit.stream(chunk(delta)), kit.SSE)

    assert {("choice", 0, block): "t"} == told.words(kind)
    assert [] == told.only("opaque")


def test_what_is_not_known_is_opaque(kit: Any) -> None:
    unknown = kit.read("chat", kit.stream(chunk({"telepathy": "t"})), kit.SSE)
    probable = kit.read(
        "chat", kit.stream({"id": "1", "choices": [{"index": 0, "delta": {}, "logprobs": {"content": [1]}}]}), kit.SSE
    )
    foreign = kit.read("chat", kit.stream({"what": "this"}), kit.SSE)

    assert ["t"] == unknown.only("opaque")
    assert ("choices", 0, "logprobs") == probable.events[0].where
    assert ['{"what":"this"}'] == foreign.only("opaque")
    with pytest.raises(ValueError, match="not JSON"):
        kit.read("chat", b"data: {nonsense\n\n", kit.SSE)


def test_calls_that_share_an_index_are_told_apart_by_their_ids(kit: Any) -> None:
    chunks = (
        chunk(call(0, "a", id="x")),
        chunk(call(0, "b", id="y")),
        chunk(call(0, "c")),
        chunk(call(0, "d", id="x")),
    )

    told = kit.read("chat", kit.stream(*chunks), kit.SSE)

    assert {("choice", 0, "tool", 0): "ad", ("choice", 0, "tool", 0, 1): "bc"} == told.words("tool_args")


def test_a_tool_call_ends_as_one_even_if_the_provider_says_stop(kit: Any) -> None:
    told = kit.read("chat", kit.stream(chunk(call(0, "{}")), chunk({}, "stop")), kit.SSE)

    assert [Stop("tool", "stop")] == told.only("stop")


def test_perplexity_s_repeats_count_as_repeats(kit: Any) -> None:
    def both(delta: str, message: str) -> dict[str, Any]:
        return {"id": "1", "choices": [{"index": 0, "delta": {"content": delta}, "message": {"content": message}}]}

    told = kit.read("chat", kit.stream(both("a", "a"), both("b", "ab")), kit.SSE)

    block = ("choice", 0, "content")
    assert {block: "ab", (*block, 1): "a", (*block, 2): "ab"} == told.words("text")


def test_a_whole_answer_tells_the_same_blocks(kit: Any) -> None:
    body = {
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    "audio": {"id": "audio_1", "data": "UklG", "transcript": "said", "expires_at": 1},
                    "annotations": [{"type": "url_citation", "url_citation": {"title": "T", "url": "u"}}],
                },
                "finish_reason": "tool_calls",
            },
            {"index": 1, "message": {"role": "assistant", "content": None, "refusal": "No."}, "finish_reason": "stop"},
        ],
        "usage": USAGE,
    }

    told = kit.read("chat", body)

    assert {
        ("choice", 0, "content"): "Hello",
        ("choice", 0, "transcript"): "said",
        ("choice", 0, "annotations", 0, "title"): "T",
        ("choice", 0, "annotations", 0, "url"): "u",
        ("choice", 1, "refusal"): "No.",
    } == told.words("text")
    assert {("choice", 0, "tool", 0): "{}"} == told.words("tool_args")
    assert [Stop("tool", "tool_calls"), Stop("refusal", "stop")] == told.only("stop")
    assert [TOLD] == told.only("usage")
    assert [Created("chat.completion", "chatcmpl-2"), Created("audio", "audio_1")] == told.only("created")
    assert all(event.whole for event in told.events if event.kind == "text")
    assert told.complete


def test_a_body_that_is_no_json_is_an_error(kit: Any) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        kit.read("chat", b'{"choices": [')


def test_completions_are_read_streamed_and_whole(kit: Any) -> None:
    choice = {"index": 0, "text": "once", "logprobs": None, "finish_reason": "length"}
    body = {"id": "cmpl-1", "object": "text_completion", "choices": [choice], "usage": USAGE}

    for told in (kit.read("completions", body), kit.read("completions", kit.stream(body, done=True), kit.SSE)):
        assert {("choice", 0, "content"): "once"} == told.words("text")
        assert [Stop("length", "length")] == told.only("stop")
        assert [TOLD] == told.only("usage")
        assert told.complete


def test_an_event_s_place_is_where_its_text_stands(kit: Any) -> None:
    for document in LONG:
        told = kit.read("chat", kit.stream(document), kit.SSE, ("text", "thinking", "tool_args"))

        for event in told.events:
            value: Any = orjson.loads(orjson.dumps(document))
            for step in event.where:
                value = value[step]
            assert kit.opened(event) == value
