"""What a provider of this family says it consumed, brought into buckets that do not overlap.

`prompt_tokens` (or `input_tokens`) holds cached, audio and image tokens; `completion_tokens` (or `output_tokens`) holds reasoning
and audio tokens; the details say how many. Some providers count reasoning outside of the completion (xAI), some
name tokens in the total only (Gemini's OpenAI mode, Mistral's audio models), some state nothing but a total (embeddings). The
total decides: the buckets always add up to it, or the figures are marked as suspect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from relay.wire.vocabulary import Usage

LIMIT = 2**40
"""More than any model or batch consumes: a figure beyond it is an error or an attack."""

Plain = Literal["text", "audio", "image"]
"""What the output tokens are where no details tell."""
_COMMON = frozenset(
    ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")
)
_KNOWN = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "seconds")


class _Suspect(Exception):
    """Figures that contradict each other or cannot be. The message becomes `Usage.suspect`."""


def read_usage(
    source: Any, *, plain: Plain = "text", hidden: Literal["reasoning", "input"] = "reasoning"
) -> Usage | None:
    """The usage in a `usage` object; None where it is none or states nothing.

    :param plain: what output tokens are that no details describe (images, speech).
    :param hidden: where tokens belong that only the total holds: to the reasoning, or, where nothing is generated, to the input.
    """
    if not isinstance(source, dict):
        return None
    usage = _common(source) if plain == "text" else None
    if usage is not None:
        return usage
    if all(source.get(name) is None for name in _KNOWN):
        return None
    try:
        return _buckets(source, plain, hidden)
    except _Suspect as reason:
        return replace(_salvaged(source), suspect=str(reason))


def read_rerank(document: dict[str, Any]) -> Usage | None:
    """Usage of a rerank answer: tokens in `usage` (Jina, Voyage) or in `meta`, searches in `meta.billed_units` (Cohere)."""
    meta = _details(document, "meta")
    billed = _details(meta, "billed_units")
    found = (read_usage(source, hidden="input") for source in (document.get("usage"), meta.get("tokens"), billed))
    usage = next((usage for usage in found if usage is not None), None)
    searches = billed.get("search_units")
    return with_pieces(usage, "server_tools", searches) if searches else usage


def with_pieces(usage: Usage | None, bucket: Literal["server_tools", "images"], pieces: Any) -> Usage:
    """The usage with a count of things that are no tokens (`pieces`: not trusted to be a number)."""
    usage = usage or Usage()
    try:
        count = _figure(pieces, bucket)
    except _Suspect as reason:
        return replace(usage, suspect=usage.suspect or str(reason))
    return replace(usage, server_tools=count) if bucket == "server_tools" else replace(usage, images=count)


def milliseconds(seconds: Any) -> int:
    """:raises ValueError: the duration is none, or longer than can be."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        raise ValueError("a duration is no number")
    if not 0 <= seconds <= LIMIT / 1000:
        raise ValueError("a duration is negative or beyond any recording")
    return round(seconds * 1000)


def _common(source: dict[str, Any]) -> Usage | None:
    """What most answers state, in one look: counts that add up, and of details no more than cached and reasoning tokens.

    None: it is anything else, and read with care. This is on the way of every answer.
    """
    if not source.keys() <= _COMMON:
        return None
    prompt, completion, total = source.get("prompt_tokens"), source.get("completion_tokens"), source.get("total_tokens")
    if type(prompt) is not int or type(completion) is not int or type(total) is not int:
        return None
    cached = _only(source.get("prompt_tokens_details"), "cached_tokens")
    reasoning = _only(source.get("completion_tokens_details"), "reasoning_tokens")
    if not (0 <= cached <= prompt and 0 <= reasoning <= completion and prompt + completion == total <= LIMIT):
        return None
    return Usage(
        input=prompt - cached, cache_read=cached, output=completion - reasoning, reasoning=reasoning, total=total
    )


def _only(details: Any, name: str) -> int:
    """The only detail that is not zero; 0 where there is none, -1 where there is another or it is no count."""
    if not details:
        return 0
    if not isinstance(details, dict):
        return -1
    count = 0
    for key, value in details.items():
        if value:
            if key != name or type(value) is not int:
                return -1
            count = value
    return count


@dataclass(frozen=True, slots=True)
class _Output:
    output: int
    reasoning: int


def _buckets(source: dict[str, Any], plain: Plain, hidden: Literal["reasoning", "input"]) -> Usage:
    if source.get("total_tokens") is None and source.get("type") == "duration":
        return Usage(audio_ms=_duration(source, "seconds"))
    prompt = _first(source, "prompt_tokens", "input_tokens")
    completion = _first(source, "completion_tokens", "output_tokens")
    total = _optional(source, "total_tokens")
    details = _details(source, "completion_tokens_details", "output_tokens_details", "output_token_details")
    reasoning = _of(details, "reasoning_tokens") or _of(source, "reasoning_tokens")
    # Mistral's audio models count the recording's tokens in the total alone, and state its length.
    audio_ms = _duration(source, "prompt_audio_seconds") if source.get("prompt_audio_seconds") else 0

    unnamed = 0 if total is None else total - prompt - completion
    if unnamed < 0:
        raise _Suspect("total_tokens is less than its parts")
    audio_hidden = 0
    if unnamed and audio_ms:
        audio_hidden, unnamed = unnamed, 0
    elif unnamed and hidden == "input":
        prompt, unnamed = prompt + unnamed, 0
    outside = _outside(completion, reasoning, unnamed, total)

    input = _input(source, prompt)
    audio_output, image_output = _of(details, "audio_tokens"), _of(details, "image_tokens")
    text = outside.output - audio_output - image_output
    if text < 0:
        raise _Suspect("the details of the output exceed it")
    if plain == "audio" and not audio_output:
        audio_output, text = text, 0
    elif plain == "image" and not image_output:
        # An answer with details that name text tokens only has made no picture (SVG).
        text_only = _of(details, "text_tokens")
        if text_only > text:
            raise _Suspect("the details of the output exceed it")
        image_output, text = text - text_only, text_only
    usage = replace(
        input,
        audio_input=input.audio_input + audio_hidden,
        output=text,
        reasoning=outside.reasoning,
        audio_output=audio_output,
        image_output=image_output,
        audio_ms=audio_ms,
        # Perplexity's searches, xAI's sources.
        server_tools=_of(source, "num_search_queries") or _of(source, "num_sources_used"),
        total=total,
    )
    if total is not None and usage.tokens != total:
        raise _Suspect("the parts do not add up to total_tokens")
    return usage


def _outside(completion: int, reasoning: int, unnamed: int, total: int | None) -> _Output:
    """Splits the completion from the reasoning, which lies inside of it, outside of it (xAI) or in the total only (Gemini)."""
    if unnamed:
        if reasoning <= unnamed:
            return _Output(completion, unnamed)
        if reasoning <= completion:
            return _Output(completion - reasoning, reasoning + unnamed)
    elif reasoning <= completion:
        return _Output(completion - reasoning, reasoning)
    elif total is None:
        return _Output(completion, reasoning)
    raise _Suspect("reasoning_tokens exceed the output they belong to")


def _input(source: dict[str, Any], prompt: int) -> Usage:
    details = _details(source, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    # DeepSeek and Moonshot state cached tokens beside the prompt's, not in details of it.
    cached = _of(details, "cached_tokens") or _of(source, "prompt_cache_hit_tokens") or _of(source, "cached_tokens")
    write = _of(details, "cache_write_tokens")
    long_write = _of(_details(details, "cache_write_tokens_details"), "ttl_12h_tokens")
    audio, image = _of(details, "audio_tokens"), _of(details, "image_tokens")
    from_cache = _details(details, "cached_tokens_details")
    audio -= _of(from_cache, "audio_tokens")
    image -= _of(from_cache, "image_tokens")
    text = prompt - cached - write - audio - image
    if text < 0 and not from_cache and -text <= cached:
        # Cached tokens are audio or image tokens as well, and nothing says how many: as many as the sum needs.
        overlap = min(-text, audio)
        audio, text = audio - overlap, text + overlap
        overlap = min(-text, image)
        image, text = image - overlap, text + overlap
    if min(text, audio, image) < 0 or long_write > write:
        raise _Suspect("the details of the input exceed it")
    return Usage(
        input=text,
        cache_read=cached,
        cache_write_5m=write - long_write,
        cache_write_1h=long_write,
        audio_input=audio,
        image_input=image,
    )


def _salvaged(source: dict[str, Any]) -> Usage:
    """What can be said of figures that contradict each other: the plain counts, as far as they are figures at all."""

    def plausible(*names: str) -> int:
        for name in names:
            value = source.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LIMIT:
                return value
        return 0

    return Usage(
        input=plausible("prompt_tokens", "input_tokens"),
        output=plausible("completion_tokens", "output_tokens"),
        total=plausible("total_tokens") or None,
    )


def _figure(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Suspect(f"{name} is no whole number")
    if value < 0:
        raise _Suspect(f"{name} is negative")
    if value > LIMIT:
        raise _Suspect(f"{name} is beyond any model")
    return value


def _optional(source: dict[str, Any], name: str) -> int | None:
    value = source.get(name)
    return None if value is None else _figure(value, name)


def _of(source: dict[str, Any], name: str) -> int:
    return _optional(source, name) or 0


def _first(source: dict[str, Any], *names: str) -> int:
    for name in names:
        if (value := _optional(source, name)) is not None:
            return value
    return 0


def _details(source: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = source.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _duration(source: dict[str, Any], name: str) -> int:
    try:
        return milliseconds(source[name])
    except (KeyError, ValueError):
        raise _Suspect(f"{name} is no plausible duration") from None
