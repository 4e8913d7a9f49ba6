"""OpenAI's own client talks to the provider: files, uploads, batches, images, audio."""

from __future__ import annotations

import base64
import io
import json
import struct
import wave
import zlib
from typing import Any

import openai
import pytest

from plugins.simulator.tests.conftest import Running


def colour_of(png: bytes) -> tuple[int, bytes]:
    """Width and pixels of a PNG, every checksum verified."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, blocks = 8, {}
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        blocks[kind] = data
        at += 12 + length
    return struct.unpack(">I", blocks[b"IHDR"][:4])[0], zlib.decompress(blocks[b"IDAT"])


async def test_a_file_comes_back_byte_for_byte(openai_client: openai.AsyncOpenAI) -> None:
    data = bytes(range(256)) * 40

    file = await openai_client.files.create(file=("a.bin", data), purpose="user_data")
    found = await openai_client.files.retrieve(file.id)
    content = await openai_client.files.content(file.id)
    listed = [one.id async for one in await openai_client.files.list(purpose="user_data")]
    others = [one.id async for one in await openai_client.files.list(purpose="batch")]
    await openai_client.files.delete(file.id)

    assert (file, data, [file.id], []) == (found, content.read(), listed, others)
    assert len(data) == file.bytes
    with pytest.raises(openai.NotFoundError):
        await openai_client.files.content(file.id)


async def test_a_list_is_cut_into_pages(openai_client: openai.AsyncOpenAI) -> None:
    for name in "abc":
        await openai_client.files.create(file=(name, b"x"), purpose="user_data")

    page = await openai_client.files.list(limit=2)
    names = [file.filename async for file in page]

    assert 2 == len(page.data)
    assert ["c", "b", "a"] == names


async def test_an_upload_puts_its_parts_together(openai_client: openai.AsyncOpenAI) -> None:
    upload = await openai_client.uploads.create(bytes=5, filename="a", mime_type="text/plain", purpose="assistants")
    one = await openai_client.uploads.parts.create(upload.id, data=b"abc")
    two = await openai_client.uploads.parts.create(upload.id, data=b"de")

    done: Any = await openai_client.uploads.complete(upload.id, part_ids=[two.id, one.id])

    assert "completed" == done.status
    assert b"deabc" == (await openai_client.files.content(done.file.id)).read()
    with pytest.raises(openai.BadRequestError):
        await openai_client.uploads.cancel(upload.id)


async def test_a_batch_answers_its_lines_and_counts_them_once(
    openai_client: openai.AsyncOpenAI, simulator: Running
) -> None:
    bodies = [
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[sim say=abcd]]"}]},
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[sim status=400]]"}]},
    ]
    lines = [
        {"custom_id": f"line-{at}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for at, body in enumerate(bodies)
    ]
    file = await openai_client.files.create(
        file=b"\n".join(json.dumps(line).encode() for line in lines), purpose="batch"
    )

    made = await openai_client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    done: Any = await openai_client.batches.retrieve(made.id)
    await openai_client.batches.retrieve(made.id)
    answers = [
        json.loads(line) for line in (await openai_client.files.content(done.output_file_id)).read().splitlines()
    ]
    errors = [json.loads(line) for line in (await openai_client.files.content(done.error_file_id)).read().splitlines()]

    assert ("validating", "completed") == (made.status, done.status)
    assert ["line-0"] == [answer["custom_id"] for answer in answers]
    assert "abcd" == answers[0]["response"]["body"]["choices"][0]["message"]["content"]
    assert [400] == [error["response"]["status_code"] for error in errors]
    assert 5 == done.usage.total_tokens == sum((await simulator.tally())["total"]["served"].values())
    assert [made.id] == [batch.id async for batch in openai_client.batches.list()]


async def test_a_batch_nobody_looked_at_can_be_cancelled(openai_client: openai.AsyncOpenAI) -> None:
    file = await openai_client.files.create(file=b"{}", purpose="batch")
    made = await openai_client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")

    await openai_client.batches.cancel(made.id)

    assert "cancelled" == (await openai_client.batches.retrieve(made.id)).status


async def test_pictures_are_valid_and_depend_on_the_prompt(openai_client: openai.AsyncOpenAI) -> None:
    made: Any = await openai_client.images.generate(model="gpt-image-1", prompt="a fox", n=2, quality="low")
    edited: Any = await openai_client.images.edit(model="gpt-image-1", image=b"x", prompt="a hat")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied: Any = await openai_client.images.create_variation(image=b"x", model="dall-e-2")

    shown = [base64.b64decode(one.b64_json) for one in (*made.data, *edited.data, *varied.data)]
    assert [8, 8, 8, 8] == [colour_of(one)[0] for one in shown]
    assert 4 == len({colour_of(one)[1] for one in shown})
    assert (2, 544, 546) == (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens)
    assert 256 == edited.usage.input_tokens_details.image_tokens
    assert None is varied.usage


async def test_a_picture_is_streamed(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.images.generate(model="gpt-image-1", prompt="a fox", stream=True, partial_images=1)

    kinds = [event.type async for event in stream]

    assert ["image_generation.partial_image", "image_generation.completed"] == kinds


async def test_speech_is_a_sound_file(openai_client: openai.AsyncOpenAI) -> None:
    spoken = await openai_client.audio.speech.create(model="tts-1", voice="alloy", input="Hello")

    with wave.open(io.BytesIO(spoken.read())) as sound:
        assert (8000, 1, 2, 2000) == (
            sound.getframerate(),
            sound.getnchannels(),
            sound.getsampwidth(),
            sound.getnframes(),
        )


async def test_speech_as_events_is_the_same_sound(openai_client: openai.AsyncOpenAI, simulator: Running) -> None:
    asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hello", "stream_format": "sse"}
    spoken = await openai_client.audio.speech.create(model="tts-1", voice="alloy", input="Hello")

    async with simulator.post("/openai/v1/audio/speech", asked) as response:
        events = [json.loads(line[6:]) async for line in response.content if line.startswith(b"data: ")]

    assert spoken.read() == b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert 2 == events[-1]["usage"]["input_tokens"]


async def test_a_recording_is_transcribed_in_every_form(openai_client: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "whisper-1", "file": ("a.wav", b"x" * 20_000)}

    plain = await openai_client.audio.transcriptions.create(**asked)
    text = await openai_client.audio.transcriptions.create(**asked, response_format="text")
    full = await openai_client.audio.transcriptions.create(**asked, response_format="verbose_json")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        english = await openai_client.audio.translations.create(**asked)
    subtitles = await openai_client.audio.transcriptions.create(**asked, response_format="srt")

    assert "20000 bytes" in plain.text
    assert plain.text + "\n" == text
    assert (plain.text, 2.0) == (full.text, full.duration)
    assert (2, "duration") == (plain.usage.seconds, plain.usage.type)
    assert english.text.startswith("In English")
    assert "00:00:00,000 --> 00:00:02,000" in subtitles


async def test_a_transcript_is_streamed(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", b"x"), stream=True
    )
    events: list[Any] = [event async for event in stream]

    assert events[-1].text == "".join(event.delta for event in events[:-1])
    assert 10 == events[-1].usage.input_tokens
