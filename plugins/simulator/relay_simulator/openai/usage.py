"""How OpenAI writes usage down: inputs include what was cached, outputs include reasoning."""

from __future__ import annotations

from relay import Usage
from relay_simulator.ask import Document
from relay_simulator.figures import total


def of_chat(usage: Usage) -> Document:
    """For chat completions and completions."""
    read = {"cached_tokens": usage.cache_read, "audio_tokens": 0}
    if usage.cache_write_5m:
        read["cache_write_tokens"] = usage.cache_write_5m
    return {
        "prompt_tokens": _input(usage),
        "completion_tokens": usage.output + usage.reasoning,
        "total_tokens": total(usage),
        "prompt_tokens_details": read,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def of_response(usage: Usage) -> Document:
    """For responses and batches."""
    return {
        "input_tokens": _input(usage),
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write_5m},
        "output_tokens": usage.output + usage.reasoning,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": total(usage),
    }


def _input(usage: Usage) -> int:
    return usage.input + usage.cache_read + usage.cache_write_5m
