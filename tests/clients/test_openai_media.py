"""OpenAI's client for Python: vectors, pictures, sound, judgements, and a realtime session."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .served import Served

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_embeddings_come_as_the_client_asks_for_them_in_base64(openai_client: Any) -> None:
    answer = openai_client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=64)

    assert [64, 64] == [len(each.embedding) for each in answer.data]
    assert answer.data[0].embedding != answer.data[1].embedding


def test_embeddings_in_floats_are_those_in_base64(openai_client: Any) -> None:
    packed = openai_client.embeddings.create(model="text-embedding-3-small", input="one", dimensions=8)
    floats = openai_client.embeddings.create(
        model="text-embedding-3-small", input="one", dimensions=8, encoding_format="float"
    )

    assert [round(each, 5) for each in packed.data[0].embedding] == [round(e, 5) for e in floats.data[0].embedding]


def test_texts_are_moderated(openai_client: Any) -> None:
    answer = openai_client.moderations.create(model="omni-moderation-latest", input=["peace", "quiet"])

    assert 2 == len(answer.results)


def test_the_providers_own_model_moderates_where_none_is_named(openai_client: Any) -> None:
    answer = openai_client.moderations.create(input="peace")

    assert answer.model


# The client calls it out of date.
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_pictures_are_made_changed_and_varied(openai_client: Any) -> None:
    made = openai_client.images.generate(model="gpt-image-1", prompt="a relay runner", n=2)
    changed = openai_client.images.edit(model="gpt-image-1", image=("a.png", PICTURE), prompt="in red")
    varied = openai_client.images.create_variation(
        model="gpt-image-1", image=("a.png", PICTURE), response_format="b64_json"
    )

    assert made.data is not None
    assert 2 == len(made.data)
    for answer in (made, changed, varied):
        assert answer.data is not None
        assert base64.b64decode(answer.data[0].b64_json or "")


def test_speech_is_streamed_into_a_file(openai_client: Any, tmp_path: Path) -> None:
    with openai_client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="Hello there, this is a relay.", response_format="wav"
    ) as answer:
        answer.stream_to_file(tmp_path / "hello.wav")

    assert (tmp_path / "hello.wav").read_bytes().startswith(b"RIFF")


def test_speech_comes_as_events(openai_client: Any) -> None:
    with openai_client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Hello", response_format="pcm", stream_format="sse"
    ) as answer:
        text = answer.read().decode()

    assert "speech.audio.delta" in text
    assert "speech.audio.done" in text


def test_sound_is_written_down(openai_client: Any) -> None:
    answer = openai_client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF" + bytes(2000)))

    assert "2004 bytes" in answer.text


def test_a_large_sound_is_streamed_through_whole(openai_client: Any) -> None:
    sound = b"RIFF" + bytes(range(256)) * 1024

    answer = openai_client.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound))

    assert f"{len(sound)} bytes" in answer.text


def test_a_form_may_have_its_file_before_its_model(relay: Served) -> None:
    sound = b"RIFF" + bytes(30_000)
    form: Any = {"file": ("a.wav", sound), "model": (None, "whisper-1")}

    answer = httpx2.post(
        f"{relay.url}/v1/audio/transcriptions",
        files=form,
        headers={"authorization": f"Bearer {relay.keys['one']}"},
    )

    assert f"{len(sound)} bytes" in answer.json()["text"]


def test_a_transcript_is_streamed(openai_client: Any) -> None:
    stream = openai_client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", b"RIFF" + bytes(2000)), stream=True
    )

    events = list(stream)

    assert "transcript.text.done" == events[-1].type
    assert events[-1].text == "".join(event.delta for event in events if event.type == "transcript.text.delta")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_sound_is_translated(openai_client: Any) -> None:
    answer = openai_client.audio.translations.create(model="whisper-1", file=("a.wav", b"RIFF" + bytes(20)))

    assert answer.text.startswith("In English")


def test_documents_are_ranked(relay: Served) -> None:
    answer = httpx2.post(
        f"{relay.url}/v1/rerank",
        json={"model": "rerank-english", "query": "plum", "documents": ["a pear", "a plum"], "top_n": 1},
        headers={"authorization": f"Bearer {relay.keys['one']}"},
    )

    assert 1 == answer.json()["results"][0]["index"]


# The client opens its connection in a way that the library below it calls out of date.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
def test_a_realtime_session_answers_in_text(openai_client: Any) -> None:
    with openai_client.realtime.connect(model="gpt-realtime") as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "[[sim say=over to you]]"}],
            }
        )
        connection.response.create()
        said = ""
        for event in connection:
            if event.type == "response.output_text.delta":
                said += event.delta
            if event.type == "response.done":
                done = event.response
                break

    assert "over to you" == said
    assert "completed" == done.status
    assert done.usage is not None
