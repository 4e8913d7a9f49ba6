"""Every wire fact about this family's usage, and that the buckets add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_openai.usage import LIMIT, milliseconds, read_rerank, read_usage

from relay.wire.vocabulary import Usage


def test_cached_audio_and_reasoning_tokens_are_taken_out_of_what_holds_them() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5, "accepted_prediction_tokens": 3},
        }
    )

    expected = Usage(input=50, cache_read=40, audio_input=10, output=25, reasoning=20, audio_output=5, total=150)
    assert expected == usage
    assert usage is not None
    assert 150 == usage.tokens


def test_the_names_of_responses_mean_the_same() -> None:
    usage = read_usage(
        {
            "input_tokens": 30,
            "output_tokens": 9,
            "total_tokens": 39,
            "input_tokens_details": {"cached_tokens": 8},
            "output_tokens_details": {"reasoning_tokens": 4},
        }
    )

    assert Usage(input=22, cache_read=8, output=5, reasoning=4, total=39) == usage


def test_tokens_written_to_the_cache_are_told_apart_by_how_long_they_stay() -> None:
    details = {
        "cached_tokens": 5,
        "cache_write_tokens": 20,
        "cache_write_tokens_details": {"ttl_30m_tokens": 12, "ttl_12h_tokens": 8},
    }

    usage = read_usage({"input_tokens": 30, "output_tokens": 1, "total_tokens": 31, "input_tokens_details": details})

    assert Usage(input=5, cache_read=5, cache_write_5m=12, cache_write_1h=8, output=1, total=31) == usage


def test_xai_counts_reasoning_outside_of_the_completion() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 315,
            "completion_tokens_details": {"reasoning_tokens": 300},
        }
    )

    assert Usage(input=10, output=5, reasoning=300, total=315) == usage


def test_xai_is_known_without_a_total_when_reasoning_exceeds_the_completion() -> None:
    source = {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 300}}

    assert Usage(input=10, output=5, reasoning=300) == read_usage(source)


def test_gemini_s_openai_mode_hides_thoughts_in_the_total() -> None:
    usage = read_usage({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40})

    assert Usage(input=10, output=5, reasoning=25, total=40) == usage


def test_mistral_s_audio_models_hide_the_recording_in_the_total() -> None:
    usage = read_usage(
        {"prompt_audio_seconds": 203, "prompt_tokens": 4, "total_tokens": 3264, "completion_tokens": 635}
    )

    assert Usage(input=4, audio_input=2625, output=635, audio_ms=203_000, total=3264) == usage


def test_embeddings_with_nothing_but_a_total_are_input() -> None:
    assert Usage(input=7, total=7) == read_usage({"total_tokens": 7}, hidden="input")
    assert Usage(input=8, total=8) == read_usage({"prompt_tokens": 8, "total_tokens": 8}, hidden="input")


@pytest.mark.parametrize("beside", ["prompt_cache_hit_tokens", "cached_tokens"])
def test_cached_tokens_beside_the_prompt_s_are_seen(beside: str) -> None:
    usage = read_usage({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, beside: 6})

    assert Usage(input=4, cache_read=6, output=1, total=11) == usage


def test_cached_audio_is_counted_once() -> None:
    told = {"audio_tokens": 90, "text_tokens": 10, "cached_tokens": 50, "cached_tokens_details": {"audio_tokens": 45}}
    untold = {"audio_tokens": 90, "cached_tokens": 50}

    for details, audio, text in ((told, 45, 5), (untold, 50, 0)):
        usage = read_usage(
            {"input_tokens": 100, "output_tokens": 0, "total_tokens": 100, "input_token_details": details}
        )

        assert Usage(input=text, cache_read=50, audio_input=audio, total=100) == usage


def test_pictures_are_output_where_no_details_tell() -> None:
    source: dict[str, Any] = {
        "input_tokens": 50,
        "output_tokens": 4160,
        "total_tokens": 4210,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    }
    detailed = {**source, "output_tokens_details": {"image_tokens": 4100, "text_tokens": 60}}

    plain = read_usage(source, plain="image")
    split = read_usage(detailed, plain="image")

    assert Usage(input=10, image_input=40, image_output=4160, total=4210) == plain
    assert Usage(input=10, image_input=40, output=60, image_output=4100, total=4210) == split


def test_speech_is_output_where_no_details_tell() -> None:
    usage = read_usage({"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}, plain="audio")

    assert Usage(input=14, audio_output=101, total=115) == usage


def test_a_transcript_may_be_charged_by_length() -> None:
    assert Usage(audio_ms=8500) == read_usage({"type": "duration", "seconds": 8.5})


def test_perplexity_s_searches_are_counted() -> None:
    source = {"prompt_tokens": 14, "completion_tokens": 9, "total_tokens": 23, "num_search_queries": 3}

    assert Usage(input=14, output=9, server_tools=3, total=23) == read_usage(source)


@pytest.mark.parametrize("source", [None, {}, [], "7", {"prompt_tokens": None, "total_tokens": None}, {"cost": 3}])
def test_what_states_nothing_is_no_usage(source: Any) -> None:
    assert read_usage(source) is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"prompt_tokens": -1, "completion_tokens": 5}, "negative"),
        ({"prompt_tokens": 1, "completion_tokens": LIMIT + 1}, "beyond"),
        ({"prompt_tokens": 1.5, "completion_tokens": 5}, "whole"),
        ({"prompt_tokens": "12", "completion_tokens": 5}, "whole"),
        ({"prompt_tokens": True, "completion_tokens": 5}, "whole"),
        ({"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 9}, "less than its parts"),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}, "details of the input"),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": -6}}, "negative"),
        ({"completion_tokens": 5, "completion_tokens_details": {"audio_tokens": 6}}, "details of the output"),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 5,
                "total_tokens": 8,
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
            "reasoning",
        ),
        ({"type": "duration", "seconds": -3}, "duration"),
        ({"type": "duration", "seconds": "3"}, "duration"),
        ({"prompt_audio_seconds": 1e300, "prompt_tokens": 4, "total_tokens": 9}, "duration"),
    ],
)
def test_figures_that_cannot_be_are_suspect(source: Any, reason: str) -> None:
    usage = read_usage(source)

    assert usage is not None
    assert reason in (usage.suspect or "")
    assert all(0 <= count <= LIMIT for count in usage.counts().values())


_COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 300), st.integers(-5, 2**41), st.sampled_from([None, 1.5, "3", True, [], {}])
)
_DETAILS = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "audio_tokens", "image_tokens", "text_tokens", "reasoning_tokens", "cache_write_tokens"]
    ),
    _COUNTS,
    max_size=4,
)
_SOURCES = st.dictionaries(
    st.sampled_from(
        [
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "input_tokens",
            "output_tokens",
            "seconds",
            "cached_tokens",
        ]
    ),
    _COUNTS,
)


@given(
    _SOURCES, _DETAILS, _DETAILS, st.sampled_from(["text", "audio", "image"]), st.sampled_from(["reasoning", "input"])
)
def test_whatever_a_provider_states_the_buckets_add_up_or_are_suspect(
    source: dict[str, Any], prompt: Any, completion: Any, plain: Any, hidden: Any
) -> None:
    usage = read_usage(
        {**source, "prompt_tokens_details": prompt, "completion_tokens_details": completion}, plain=plain, hidden=hidden
    )

    if usage is not None and usage.suspect is None:
        assert all(count >= 0 for count in usage.counts().values())
        if usage.total is not None:
            assert usage.total == usage.tokens
        elif "prompt_tokens" in source and isinstance(source["prompt_tokens"], int):
            assert usage.tokens >= source["prompt_tokens"]


def test_a_ranking_is_charged_by_searches_or_by_tokens() -> None:
    cohere = {"meta": {"billed_units": {"search_units": 2}}}
    jina = {"usage": {"total_tokens": 815}}
    both = {"meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 9, "output_tokens": 0}}}

    assert Usage(server_tools=2) == read_rerank(cohere)
    assert Usage(input=815, total=815) == read_rerank(jina)
    assert Usage(input=9, server_tools=1) == read_rerank(both)
    assert read_rerank({"meta": {"billed_units": {"search_units": -1}}}).suspect  # type: ignore[union-attr]
    assert read_rerank({"results": []}) is None


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, True, "1", None])
def test_only_durations_are_durations(seconds: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        milliseconds(seconds)
