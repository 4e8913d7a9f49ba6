"""Usage: each fact of the wire is a test."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_anthropic.dialect import DIALECT

from relay.wire.sse import sse
from relay.wire.vocabulary import Kind, Usage

MESSAGES = next(surface for surface in DIALECT.surfaces if surface.name == "messages")

USAGE: frozenset[Kind] = frozenset(("usage",))


def body(usage: Any) -> list[Usage]:
    return told(orjson.dumps({"type": "message", "content": [], "usage": usage}), "application/json")


def stream(start: Any, *deltas: Any) -> list[Usage]:
    documents = [{"type": "message_start", "message": {"type": "message", "content": [], "usage": start}}]
    documents += [{"type": "message_delta", "delta": {}, "usage": delta} for delta in deltas]
    return told(b"".join(sse(orjson.dumps(d), str(d["type"])) for d in documents), "text/event-stream")


def told(source: bytes, content_type: str) -> list[Usage]:
    framer, reader = DIALECT.framer(MESSAGES, content_type), DIALECT.reader(MESSAGES, content_type)
    frames = [*framer.feed(source), *framer.end()]
    return [event.value for frame in frames for event in reader.read(frame, USAGE) if isinstance(event.value, Usage)]


def test_input_tokens_leave_out_what_the_cache_read_and_wrote() -> None:
    (usage,) = body(
        {"input_tokens": 7, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 3}
    )

    assert Usage(input=7, cache_read=100, cache_write_5m=50, output=3) == usage
    assert 160 == usage.tokens


def test_message_delta_overrides_message_start_and_is_never_added_to_it() -> None:
    told = stream({"input_tokens": 10, "output_tokens": 1}, {"input_tokens": 12, "output_tokens": 20})

    assert Usage(input=12, output=20) == told[-1]


def test_message_delta_may_carry_only_output_tokens() -> None:
    told = stream({"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1}, {"output_tokens": 20})

    assert [Usage(input=10, cache_read=4, output=1), Usage(input=10, cache_read=4, output=20)] == told


def test_message_delta_may_repeat_everything() -> None:
    full = {"input_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 6, "output_tokens": 20}

    assert Usage(input=10, cache_read=4, cache_write_5m=6, output=20) == stream({**full, "output_tokens": 1}, full)[-1]


def test_input_tokens_may_grow_between_start_and_delta() -> None:
    told = stream({"input_tokens": 10, "output_tokens": 1}, {"input_tokens": 4000, "output_tokens": 20})

    assert Usage(input=4000, output=20) == told[-1]


def test_there_may_be_several_message_deltas_and_the_last_counts() -> None:
    told = stream(
        {"input_tokens": 10, "output_tokens": 1}, {"output_tokens": 20}, {"output_tokens": 20}, {"output_tokens": 25}
    )

    assert Usage(input=10, output=25) == told[-1]


def test_a_null_in_message_delta_changes_nothing() -> None:
    told = stream(
        {"input_tokens": 10, "cache_read_input_tokens": 4}, {"cache_read_input_tokens": None, "output_tokens": 2}
    )

    assert Usage(input=10, cache_read=4, output=2) == told[-1]


def test_iterations_are_not_added_on_top() -> None:
    turns = [
        {"type": "message", "input_tokens": 5, "output_tokens": 6},
        {"type": "compaction", "input_tokens": 50, "output_tokens": 60},
    ]

    assert [Usage(input=10, output=12)] == body({"input_tokens": 10, "output_tokens": 12, "iterations": turns})


def test_cache_writes_are_split_by_how_long_they_last() -> None:
    split = {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}

    assert [Usage(cache_write_5m=20, cache_write_1h=30)] == body(
        {"cache_creation_input_tokens": 50, "cache_creation": split}
    )


def test_cache_writes_without_a_split_last_five_minutes() -> None:
    assert [Usage(cache_write_5m=50)] == body({"cache_creation_input_tokens": 50, "cache_creation": None})


def test_cache_writes_that_grew_after_they_were_split_are_all_counted() -> None:
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 30}
    start = {"cache_creation_input_tokens": 30, "cache_creation": split}

    assert Usage(cache_write_5m=10, cache_write_1h=30) == stream(start, {"cache_creation_input_tokens": 40})[-1]


def test_thinking_is_a_part_of_the_output_and_told_apart_from_it() -> None:
    (usage,) = body({"output_tokens": 100, "output_tokens_details": {"thinking_tokens": 60}})

    assert Usage(output=40, reasoning=60) == usage


def test_searches_are_counted_as_calls_of_server_tools() -> None:
    used = {"web_search_requests": 3, "web_fetch_requests": 2}

    assert [Usage(input=1, server_tools=3)] == body({"input_tokens": 1, "server_tool_use": used})


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        ({"input_tokens": -1}, "input_tokens is negative"),
        ({"output_tokens": 1 << 41}, "output_tokens is beyond any request"),
        ({"output_tokens": 1.5}, "output_tokens is not an integer"),
        ({"output_tokens": "7"}, "output_tokens is not an integer"),
        ({"output_tokens": True}, "output_tokens is not an integer"),
        ({"cache_creation": [1]}, "cache_creation is not an object"),
        (
            {"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 6}},
            "cache_creation is more than cache_creation_input_tokens",
        ),
        (
            {"output_tokens": 5, "output_tokens_details": {"thinking_tokens": 6}},
            "thinking_tokens is more than output_tokens",
        ),
    ],
)
def test_figures_that_cannot_be_right_are_suspect(usage: Any, reason: str) -> None:
    (read,) = body(usage)

    assert reason == read.suspect


@pytest.mark.parametrize("usage", ["lots", [1], 7, 1 << 50, -3])
def test_a_usage_that_is_no_object_is_suspect(usage: Any) -> None:
    (whole,) = body(usage)
    (streamed,) = stream(usage)

    assert "usage is not an object" == whole.suspect
    assert "usage is not an object" == streamed.suspect


@pytest.mark.parametrize("usage", [None, {}])
def test_no_figures_are_no_usage(usage: Any) -> None:
    assert [] == body(usage)


COUNTS = st.integers(0, 1 << 30)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.data())
def test_the_buckets_add_up_to_all_that_was_told(
    a: int, read: int, short: int, long: int, out: int, data: st.DataObject
) -> None:
    thought = data.draw(st.integers(0, out))
    usage = {
        "input_tokens": a,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": out,
        "output_tokens_details": {"thinking_tokens": thought},
    }

    whole, streamed = body(usage), stream({**usage, "output_tokens": 0, "output_tokens_details": None}, usage)

    assert whole[-1] == streamed[-1]
    assert (None, a + read + short + long + out) == (whole[-1].suspect, whole[-1].tokens)
