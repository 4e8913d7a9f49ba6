"""Audio: speech out of text, text out of sound."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from relay import Usage
from relay_simulator import sse
from relay_simulator.ask import Document, text_field
from relay_simulator.endpoint import Endpoint, Piece
from relay_simulator.figures import size, tokens, told, total
from relay_simulator.media import samples, sound
from relay_simulator.script import without_script
from relay_simulator.serving import Serving
from relay_simulator.speech import pieces

_CHUNK = 4096
_BYTES_PER_SECOND = 16_000
"""As if every sound were 16 bits at 8 kHz: how long a file plays."""


async def speak(serving: Serving) -> web.StreamResponse:
    """POST /v1/audio/speech: a WAV file in chunks (`pcm`: only its samples), or events with `stream_format: sse`."""
    given = serving.document
    text_field(given, "model")
    spoken = text_field(given, "input")
    text = without_script(spoken)
    audio = samples(text) if given.get("response_format") == "pcm" else sound(text)
    chunks = [audio[start : start + _CHUNK] for start in range(0, len(audio), _CHUNK)]
    if given.get("stream_format") == "sse":
        consumption = Usage(input=tokens(size(text)), audio_output=tokens(len(audio)))
        return await serving.stream(_speech_events(serving, chunks, consumption), consumption)
    kind = "audio/pcm" if given.get("response_format") == "pcm" else "audio/wav"
    return await serving.stream((Piece(chunk) for chunk in chunks), Usage(characters=len(text)), content_type=kind)


async def transcribe(serving: Serving) -> web.StreamResponse:
    """POST /v1/audio/transcriptions"""
    return await _hear(serving, "transcribe", "This recording of")


async def translate(serving: Serving) -> web.StreamResponse:
    """POST /v1/audio/translations"""
    return await _hear(serving, "translate", "In English, this recording of")


async def _hear(serving: Serving, task: str, beginning: str) -> web.StreamResponse:
    fields = serving.form.fields
    text_field(fields, "model")
    file = serving.form.file("file")
    mark = hashlib.sha256(file.data).hexdigest()[:8]
    text = serving.script.say or f"{beginning} {len(file.data)} bytes says {mark}."
    length_s = -(-len(file.data) // _BYTES_PER_SECOND)
    form = fields.get("response_format", "json")
    is_whisper = serving.model.startswith("whisper")
    consumption = Usage(audio_ms=length_s * 1000)
    if not is_whisper:
        consumption = Usage(audio_input=length_s * 10, output=tokens(size(text)))
    reported = _usage(told(consumption, serving.script), length_s)
    if fields.get("stream") == "true" and not is_whisper:
        return await serving.stream(_transcript_events(serving, text, reported), consumption)
    if form in ("text", "srt", "vtt"):
        return await serving.blob(_written(form, text, length_s).encode(), "text/plain", usage=consumption)
    answer: Document = {"text": text}
    if form == "verbose_json":
        answer = {
            "task": task,
            "language": "english",
            "duration": float(length_s),
            "text": text,
            "segments": [_segment(text, length_s)],
        }
    if reported:
        answer["usage"] = reported
    return await serving.json(answer, usage=consumption, reported=reported)


def _usage(usage: Usage | None, length_s: int) -> Document | None:
    if usage is None:
        return None
    if usage.audio_ms:
        return {"type": "duration", "seconds": length_s}
    return {
        "type": "tokens",
        "input_tokens": usage.input + usage.audio_input,
        "input_token_details": {"text_tokens": usage.input, "audio_tokens": usage.audio_input},
        "output_tokens": usage.output,
        "total_tokens": total(usage),
    }


def _segment(text: str, length_s: int) -> Document:
    figures = {"avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0, "temperature": 0.0}
    return {"id": 0, "seek": 0, "start": 0.0, "end": float(length_s), "text": text, "tokens": [1, 2, 3], **figures}


def _written(form: Any, text: str, length_s: int) -> str:
    end = f"{length_s // 3600:02}:{length_s // 60 % 60:02}:{length_s % 60:02}"
    if form == "srt":
        return f"1\n00:00:00,000 --> {end},000\n{text}\n"
    if form == "vtt":
        return f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n"
    return text + "\n"


def _speech_events(serving: Serving, chunks: list[bytes], consumption: Usage) -> Iterator[Piece]:
    for chunk in chunks:
        yield Piece(sse.event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()}))
    figures = told(consumption, serving.script)
    done: Document = {"type": "speech.audio.done"}
    if figures:
        done["usage"] = {
            "input_tokens": figures.input,
            "output_tokens": figures.audio_output,
            "total_tokens": total(figures),
        }
    yield Piece(sse.event(done), reported=done.get("usage"))


def _transcript_events(serving: Serving, text: str, reported: Document | None) -> Iterator[Piece]:
    for words in pieces(text, serving.script.events):
        yield Piece(sse.event({"type": "transcript.text.delta", "delta": words}), size(words))
    done = {"type": "transcript.text.done", "text": text, **({"usage": reported} if reported else {})}
    yield Piece(sse.event(done), reported=reported)
    yield Piece(b"data: [DONE]\n\n")


ENDPOINTS = (
    Endpoint("POST", "/v1/audio/speech", "audio.speech", speak),
    Endpoint("POST", "/v1/audio/transcriptions", "audio.transcriptions", transcribe),
    Endpoint("POST", "/v1/audio/translations", "audio.translations", translate),
)
