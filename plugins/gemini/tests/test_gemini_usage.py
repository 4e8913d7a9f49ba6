"""Usage: each fact of the wire is a test."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_gemini.dialect import DIALECT

from relay.wire.vocabulary import Kind, Usage

GENERATE = next(surface for surface in DIALECT.surfaces if surface.name == "generate")
USAGE: frozenset[Kind] = frozenset(("usage",))


def told(metadata: Any) -> Usage:
    framer, reader = DIALECT.framer(GENERATE, "application/json"), DIALECT.reader(GENERATE, "application/json")
    framer.feed(orjson.dumps({"candidates": [], "usageMetadata": metadata}))
    (event,) = [event for frame in framer.end() for event in reader.read(frame, USAGE)]
    assert isinstance(event.value, Usage)
    return event.value


def details(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in tokens.items()]


def test_the_prompt_includes_what_came_from_the_cache() -> None:
    usage = told(
        {"promptTokenCount": 100, "cachedContentTokenCount": 80, "candidatesTokenCount": 5, "totalTokenCount": 105}
    )

    assert Usage(input=20, cache_read=80, output=5, total=105) == usage


def test_candidates_exclude_thoughts() -> None:
    usage = told({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 70, "totalTokenCount": 85})

    assert Usage(input=10, output=5, reasoning=70, total=85) == usage


def test_candidates_that_include_thoughts_are_known_by_the_total() -> None:
    usage = told({"promptTokenCount": 10, "candidatesTokenCount": 75, "thoughtsTokenCount": 70, "totalTokenCount": 85})

    assert Usage(input=10, output=5, reasoning=70, total=85) == usage


def test_candidates_may_be_absent() -> None:
    assert Usage(input=10, total=10) == told({"promptTokenCount": 10, "totalTokenCount": 10})


def test_candidates_that_are_absent_but_in_the_total_are_output() -> None:
    usage = told({"promptTokenCount": 10, "thoughtsTokenCount": 3, "totalTokenCount": 20})

    assert Usage(input=10, output=7, reasoning=3, total=20) == usage


def test_the_prompt_tokens_of_tools_come_separately() -> None:
    usage = told(
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 30, "candidatesTokenCount": 5, "totalTokenCount": 45}
    )

    assert Usage(input=40, output=5, total=45) == usage


def test_the_prompt_tokens_of_tools_are_not_counted_twice_where_the_prompt_has_them() -> None:
    usage = told(
        {"promptTokenCount": 40, "toolUsePromptTokenCount": 30, "candidatesTokenCount": 5, "totalTokenCount": 45}
    )

    assert Usage(input=40, output=5, total=45) == usage


def test_sound_and_images_of_the_prompt_are_told_apart() -> None:
    usage = told(
        {
            "promptTokenCount": 100,
            "promptTokensDetails": details(TEXT=10, AUDIO=50, IMAGE=30, VIDEO=10),
            "totalTokenCount": 100,
        }
    )

    assert Usage(input=20, audio_input=50, image_input=30, total=100) == usage


def test_sound_that_came_from_the_cache_is_a_cache_read_only() -> None:
    usage = told(
        {
            "promptTokenCount": 100, "cachedContentTokenCount": 60, "totalTokenCount": 100,
            "promptTokensDetails": details(TEXT=40, AUDIO=60), "cacheTokensDetails": details(TEXT=20, AUDIO=40),
        }
    )  # fmt: skip

    assert Usage(input=20, cache_read=60, audio_input=20, total=100) == usage


def test_a_cache_whose_modalities_are_not_told_takes_no_bucket_below_zero() -> None:
    usage = told(
        {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "promptTokensDetails": details(AUDIO=90),
            "totalTokenCount": 100,
        }
    )

    assert Usage(cache_read=60, audio_input=40, total=100) == usage


def test_sound_and_images_of_the_answer_are_told_apart() -> None:
    usage = told(
        {
            "promptTokenCount": 1, "candidatesTokenCount": 1300, "totalTokenCount": 1301,
            "candidatesTokensDetails": details(IMAGE=1290, TEXT=10),
        }
    )  # fmt: skip

    assert Usage(input=1, output=10, image_output=1290, total=1301) == usage


def test_without_a_total_there_is_nothing_to_compare_with() -> None:
    assert Usage(input=3, output=4) == told({"promptTokenCount": 3, "candidatesTokenCount": 4})


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"promptTokenCount": -1}, "promptTokenCount is negative"),
        ({"promptTokenCount": 1 << 41}, "promptTokenCount is beyond any request"),
        ({"candidatesTokenCount": 1.5}, "candidatesTokenCount is not an integer"),
        ({"thoughtsTokenCount": "9"}, "thoughtsTokenCount is not an integer"),
        ({"totalTokenCount": True}, "totalTokenCount is not an integer"),
        ({"promptTokensDetails": {"TEXT": 1}}, "promptTokensDetails is not a list"),
        (
            {"promptTokenCount": 5, "promptTokensDetails": details(AUDIO=6)},
            "promptTokensDetails is more than promptTokenCount",
        ),
        (
            {"promptTokenCount": 5, "cachedContentTokenCount": 6},
            "cachedContentTokenCount is more than promptTokenCount",
        ),
        (
            {"candidatesTokenCount": 5, "candidatesTokensDetails": details(IMAGE=6)},
            "candidatesTokensDetails is more than candidatesTokenCount",
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 5, "totalTokenCount": 11},
            "the figures do not add up to totalTokenCount",
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 5, "totalTokenCount": 9},
            "the figures do not add up to totalTokenCount",
        ),
        (7, "usageMetadata is not an object"),
    ],
)
def test_figures_that_cannot_be_right_are_suspect(metadata: Any, reason: str) -> None:
    assert reason == told(metadata).suspect


COUNTS = st.integers(0, 1 << 30)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.data())
def test_the_buckets_add_up_to_the_total(
    prompt: int, tools: int, thoughts: int, candidates: int, data: st.DataObject
) -> None:
    heard = data.draw(st.integers(0, prompt))
    cached = data.draw(st.integers(0, prompt))
    drawn = data.draw(st.integers(0, candidates))
    metadata = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached,
        "toolUsePromptTokenCount": tools,
        "thoughtsTokenCount": thoughts,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + tools + thoughts + candidates,
        "promptTokensDetails": details(AUDIO=heard, TEXT=prompt - heard),
        "candidatesTokensDetails": details(IMAGE=drawn),
    }

    usage = told(metadata)

    assert (None, usage.total) == (usage.suspect, usage.tokens)
    assert min(usage.counts().values(), default=0) >= 0
