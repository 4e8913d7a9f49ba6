"""The responses endpoint: events, repeats, items of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_openai.dialect import DIALECT

from relay.testing.strategies import chunkings
from relay.wire.vocabulary import Created, Kind, Stop, Usage

USAGE = {
    "input_tokens": 37,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 11,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 48,
}
TOLD = Usage(input=32, cache_read=5, output=8, reasoning=3, total=48)
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "I think"}],
    "encrypted_content": "gAAA",
}
PART = {"type": "output_text", "text": "Hi 雪", "annotations": [], "logprobs": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}


def response(status: str = "in_progress", output: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    head = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
    }
    return {
        **head,
        "instructions": "Be kind",
        "max_output_tokens": None,
        "output": output or [],
        "usage": None,
        "tools": [],
        **more,
    }


def event(type_: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "sequence_number": 1, **more}


def at(type_: str, item: int, id: str, **more: Any) -> dict[str, Any]:
    return event(type_, item_id=id, output_index=item, **more)


STREAM = (
    event("response.created", response=response()),
    event("response.in_progress", response=response()),
    event("response.output_item.added", output_index=0, item={"id": "rs_1", "type": "reasoning", "summary": []}),
    at("response.reasoning_summary_part.added", 0, "rs_1", summary_index=0, part={"type": "summary_text", "text": ""}),
    at("response.reasoning_summary_text.delta", 0, "rs_1", summary_index=0, delta="I "),
    at("response.reasoning_summary_text.delta", 0, "rs_1", summary_index=0, delta="think"),
    at("response.reasoning_summary_text.done", 0, "rs_1", summary_index=0, text="I think"),
    at("response.reasoning_summary_part.done", 0, "rs_1", summary_index=0, part=REASONING["summary"][0]),
    event("response.output_item.done", output_index=0, item=REASONING),
    event("response.output_item.added", output_index=1, item={**MESSAGE, "status": "in_progress", "content": []}),
    at("response.content_part.added", 1, "msg_1", content_index=0, part={**PART, "text": ""}),
    at("response.output_text.delta", 1, "msg_1", content_index=0, delta="Hi ", logprobs=[]),
    at("response.output_text.delta", 1, "msg_1", content_index=0, delta="雪", logprobs=[]),
    at("response.output_text.done", 1, "msg_1", content_index=0, text="Hi 雪", logprobs=[]),
    at("response.content_part.done", 1, "msg_1", content_index=0, part=PART),
    event("response.output_item.done", output_index=1, item=MESSAGE),
    event("response.output_item.added", output_index=2, item={**CALL, "arguments": ""}),
    at("response.function_call_arguments.delta", 2, "fc_1", delta='{"a":'),
    at("response.function_call_arguments.delta", 2, "fc_1", delta="1}"),
    at("response.function_call_arguments.done", 2, "fc_1", arguments='{"a":1}'),
    event("response.output_item.done", output_index=2, item=CALL),
    event("response.completed", response=response("completed", [REASONING, MESSAGE, CALL], usage=USAGE)),
)


def test_a_stream_tells_each_text_and_each_of_its_repeats(kit: Any) -> None:
    told = kit.read("responses", kit.stream(*STREAM, named=True), kit.SSE)

    text: tuple[Any, ...] = ("item", 1, "content", 0)
    thought: tuple[Any, ...] = ("item", 0, "summary", 0)
    arguments: tuple[Any, ...] = ("item", 2, "arguments")
    assert {
        # What was asked is told again, three times.
        **{("instructions", repeat): "Be kind" for repeat in (1, 2, 3)},
        text: "Hi 雪",
        **{(*text, repeat): "Hi 雪" for repeat in (1, 2, 3, 4)},
    } == told.words("text")
    assert {thought: "I think", **{(*thought, repeat): "I think" for repeat in (1, 2, 3, 4)}} == told.words("thinking")
    assert {arguments: '{"a":1}', **{(*arguments, repeat): '{"a":1}' for repeat in (1, 2, 3)}} == told.words(
        "tool_args"
    )
    assert ["gAAA", "gAAA"] == told.only("opaque")
    assert [Stop("tool", "completed")] == told.only("stop")
    assert [TOLD] == told.only("usage")
    assert [("response", "resp_1"), ("item", "rs_1"), ("item", "msg_1"), ("item", "fc_1")] == [
        (made.kind, made.id) for made in told.only("created")
    ]
    assert told.complete


@given(st.data())
def test_any_chunking_tells_the_same(kit: Any, data: st.DataObject) -> None:
    whole = kit.stream(*STREAM, named=True)

    told = kit.read("responses", data.draw(chunkings(whole)), kit.SSE)

    assert kit.read("responses", whole, kit.SSE).events == told.events


def test_marked_frames_alone_tell_usage_stop_error_and_creation(kit: Any) -> None:
    kinds: tuple[Kind, ...] = ("usage", "stop", "error", "created")
    marks = DIALECT.marks(kit.surface("responses"), kinds)
    assert marks is not None
    frames = kit.stream(*STREAM, named=True).split(b"\n\n")

    marked = [frame for frame in frames if any(mark in frame for mark in marks)]
    told = kit.read("responses", b"\n\n".join(marked) + b"\n\n", kit.SSE, kinds)

    assert kit.read("responses", kit.stream(*STREAM, named=True), kit.SSE, kinds).events == told.events
    assert told.complete
    assert len(marked) < 8


@pytest.mark.parametrize(
    ("type_", "more", "stop"),
    [
        (
            "response.incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            Stop("length", "max_output_tokens"),
        ),
        ("response.incomplete", {"incomplete_details": {"reason": "content_filter"}}, Stop("filter", "content_filter")),
        ("response.cancelled", {}, Stop("incomplete", "cancelled")),
    ],
)
def test_what_ends_early_tells_why_and_what_it_cost(kit: Any, type_: str, more: dict[str, Any], stop: Stop) -> None:
    last = event(type_, response=response(type_.removeprefix("response."), [MESSAGE], usage=USAGE, **more))

    told = kit.read("responses", kit.stream(*STREAM[:12], last), kit.SSE)

    assert [stop] == told.only("stop")
    assert [TOLD] == told.only("usage")
    assert told.complete


def test_a_failed_response_is_an_error_and_tells_what_it_cost(kit: Any) -> None:
    failed = response("failed", error={"code": "rate_limit_exceeded", "message": "slow"}, usage=USAGE)

    for told in (
        kit.read("responses", kit.stream(event("response.failed", response=failed)), kit.SSE),
        kit.read("responses", failed),
    ):
        [failure] = told.only("error")
        assert (429, "rate_limit_exceeded") == (failure.status, failure.kind)
        assert [TOLD] == told.only("usage")
        assert told.complete


@pytest.mark.parametrize(
    "error",
    [
        {
            "type": "error",
            "error": {"type": "server_error", "code": "server_error", "message": "m"},
            "sequence_number": 2,
        },
        {"type": "error", "code": "server_error", "message": "m", "param": None, "sequence_number": 2},
    ],
)
def test_an_error_event_is_seen_nested_or_flat_and_before_the_failure(kit: Any, error: dict[str, Any]) -> None:
    failed = event("response.failed", response=response("failed", error={"code": "server_error", "message": "m"}))

    told = kit.read("responses", kit.stream(error, failed, named=True), kit.SSE, ("error",))

    assert [(500, "server_error")] * 2 == [(failure.status, failure.kind) for failure in told.only("error")]
    assert told.complete


def test_a_stream_without_a_terminal_event_is_not_complete(kit: Any) -> None:
    assert not kit.read("responses", kit.stream(*STREAM[:-1], done=True), kit.SSE).complete


def test_a_whole_response_tells_the_same_blocks(kit: Any) -> None:
    told = kit.read("responses", response("completed", [REASONING, MESSAGE, CALL], usage=USAGE))

    assert {("instructions", 1): "Be kind", ("item", 1, "content", 0): "Hi 雪"} == told.words("text")
    assert {("item", 2, "arguments"): '{"a":1}'} == told.words("tool_args")
    assert [TOLD] == told.only("usage")
    assert Created("response", "resp_1") in told.only("created")
    assert told.complete


def test_hosted_tools_are_counted_as_pieces(kit: Any) -> None:
    items = [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "web_search_call", "status": "failed", "action": {"type": "search", "query": "q"}},
        {"type": "file_search_call", "status": "completed", "queries": ["q"]},
        {"type": "image_generation_call", "status": "completed", "result": "iVBO"},
        {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "status": "completed"},
    ]

    counted = kit.read("responses", response("completed", items, usage=USAGE))
    stated = kit.read(
        "responses", response("completed", items, usage=USAGE, tool_usage={"web_search": {"num_requests": 4}})
    )
    absurd = kit.read(
        "responses", response("completed", items, usage=USAGE, tool_usage={"web_search": {"num_requests": "4"}})
    )

    assert (2, 1) == (counted.only("usage")[0].server_tools, counted.only("usage")[0].images)
    assert 5 == stated.only("usage")[0].server_tools
    assert absurd.only("usage")[0].suspect
    assert Created("container", "cntr_1") in counted.only("created")


@pytest.mark.parametrize(
    ("told_by", "kind", "block"),
    [
        (at("response.refusal.delta", 3, "m", content_index=1, delta="t"), "text", ("item", 3, "content", 1)),
        (at("response.refusal.done", 3, "m", content_index=1, refusal="t"), "text", ("item", 3, "content", 1)),
        (
            at("response.reasoning_text.delta", 3, "m", content_index=0, delta="t"),
            "thinking",
            ("item", 3, "content", 0),
        ),
        (at("response.mcp_call_arguments.delta", 3, "m", delta="t"), "tool_args", ("item", 3, "arguments")),
        (at("response.custom_tool_call_input.delta", 3, "m", delta="t"), "text", ("item", 3, "input")),
        (at("response.custom_tool_call_input.done", 3, "m", input="t"), "text", ("item", 3, "input")),
        (at("response.code_interpreter_call_code.delta", 3, "m", delta="t"), "text", ("item", 3, "code")),
        (at("response.code_interpreter_call_code.done", 3, "m", code="t"), "text", ("item", 3, "code")),
        (
            at("response.shell_call_command.delta", 3, "m", command_index=2, delta="t"),
            "text",
            ("item", 3, "action", "commands", 2),
        ),
        (
            at("response.shell_call_output_content.delta", 3, "m", command_index=0, delta={"stdout": "t"}),
            "text",
            ("item", 3, "output", 0, "stdout"),
        ),
        (
            at("response.image_generation_call.partial_image", 3, "m", partial_image_index=0, partial_image_b64="t"),
            "media",
            ("item", 3, "partial", 0),
        ),
        (
            at(
                "response.output_text.annotation.added",
                3,
                "m",
                content_index=0,
                annotation_index=1,
                annotation={"title": "t"},
            ),
            "text",
            ("item", 3, "content", 0, "annotations", 1, "title"),
        ),
        (event("response.audio.delta", delta="t"), "media", ("item", 0, "audio")),
        (event("response.audio.transcript.delta", delta="t"), "text", ("item", 0, "transcript")),
    ],
)
def test_every_event_with_a_text_tells_it(kit: Any, told_by: dict[str, Any], kind: Any, block: Any) -> None:
    told = kit.read("responses", kit.stream(told_by), kit.SSE)

    assert {block: "t"} == told.words(kind)
    assert 1 == len(told.events)


@pytest.mark.parametrize(
    "silent",
    [
        "response.web_search_call.searching",
        "response.file_search_call.completed",
        "response.code_interpreter_call.interpreting",
        "response.image_generation_call.generating",
        "response.mcp_call.in_progress",
        "response.mcp_list_tools.completed",
        "response.compaction.compacting",
        "response.audio.done",
        "keepalive",
    ],
)
def test_progress_tells_nothing_and_what_is_not_known_is_opaque(kit: Any, silent: str) -> None:
    assert [] == kit.read("responses", kit.stream(event(silent, output_index=0)), kit.SSE).events
    assert ["opaque"] == [
        told.kind for told in kit.read("responses", kit.stream(event("response.telepathy")), kit.SSE).events
    ]


def test_a_retrieved_response_that_had_failed_is_no_failure_of_retrieving_it(kit: Any) -> None:
    failed = response("failed", error={"code": "server_error", "message": "m"}, usage=USAGE)

    for told in (
        kit.read("responses.retrieve", failed),
        kit.read("responses.cancel", failed),
        kit.read("responses.retrieve", kit.stream(event("response.failed", response=failed)), kit.SSE),
    ):
        assert [] == told.only("error", "created")
        assert [TOLD] == told.only("usage")
        assert told.complete
    assert [500] == [each.status for each in kit.read("responses.retrieve", {"error": {"message": "m"}}).only("error")]


def test_the_beginning_of_a_response_says_nothing_that_is_new(kit: Any) -> None:
    begun = kit.read("responses", kit.stream(*STREAM[:3], *STREAM[9:11]), kit.SSE)

    assert all(event.repeat for event in begun.events if event.kind in ("text", "thinking", "tool_args"))
