"""Answers that are pictures, speech or transcripts: whole, and as streams of events.

https://platform.openai.com/docs/api-reference/images-streaming · https://platform.openai.com/docs/api-reference/audio
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Kind, Stop, Usage
from relay_openai.errors import failure, read_error
from relay_openai.gather import Block, Gather, member, number, objects
from relay_openai.usage import Plain, milliseconds, read_usage, with_pieces

MARKS: tuple[bytes, ...] = (
    b"image_generation.completed",
    b"image_edit.completed",
    b"transcript.text.done",
    b"speech.audio.done",
    b'"error"',
    b"event: error",
)
_END = Stop("end")


def tell_images(found: Gather, document: Any) -> None:
    """Pictures: how many there are is charged where no tokens are stated."""
    images = objects(member(document, "data"))
    if not isinstance(member(document, "data"), list):
        if not read_error(document):
            found.opaque(document, ())
        return
    for i, image in images:
        found.whole("media", image.get("b64_json"), ("image", i), ("data", i, "b64_json"))
        found.whole("media", image.get("url"), ("image", i, "url"), ("data", i, "url"))
        found.whole("text", image.get("revised_prompt"), ("image", i, "prompt"), ("data", i, "revised_prompt"))
    found.stop(_END)
    found.usage(with_pieces(read_usage(document.get("usage"), plain="image"), "images", len(images)), ("usage",))


def tell_transcript(found: Gather, document: Any) -> None:
    """A transcript as JSON: the text, and the same once more in segments and words."""
    if not isinstance(document, dict) or not isinstance(document.get("text"), str):
        if not read_error(document):
            found.opaque(document, ())
        return
    found.whole("text", document["text"], ("text",), ("text",))
    for name, field in (("segments", "text"), ("words", "word")):
        for i, entry in objects(document.get(name)):
            found.whole("text", entry.get(field), (name, i), (name, i, field))
    found.opaque(document.get("logprobs"), ("logprobs",))
    found.stop(_END)
    usage = read_usage(document.get("usage"))
    found.usage(usage if usage else _by_length(document.get("duration")), ("usage",))


def _by_length(duration: Any) -> Usage | None:
    """A verbose transcript states its length, and older answers nothing else."""
    if duration is None:
        return None
    try:
        # whisper-1 has been seen to give it as a string.
        return Usage(audio_ms=milliseconds(float(duration) if isinstance(duration, str) else duration))
    except ValueError:
        return Usage(suspect="duration is no plausible duration")


class MediaReader:
    """Reads the events of streamed pictures, speech or a transcript. `n` pictures come one after the other."""

    def __init__(self) -> None:
        self._told: dict[Block, int] = {}
        self._images = 0
        self.complete = False

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        data = frame.data
        if data is None or not data.strip() or data.startswith(b"[DONE]"):
            return ()
        document = frame.document()
        found = Gather(kinds, self._told)
        error = read_error(document) or (failure(document) if frame.name == "error" else None)
        found.failure(error)
        type_ = member(document, "type")
        if (
            isinstance(type_, str)
            and isinstance(document, dict)
            and type_.startswith(("image_generation.", "image_edit."))
        ):
            self._image(found, type_.rpartition(".")[2], document)
        elif (
            isinstance(type_, str)
            and isinstance(document, dict)
            and type_.startswith(("transcript.text.", "speech.audio."))
        ):
            self._audio(found, type_, document)
        elif error is None and type_ not in ("ping", "keepalive"):
            found.opaque(document, ())
        return found.events

    def _image(self, found: Gather, verb: str, document: dict[str, Any]) -> None:
        done = verb == "completed"
        block: Block = (
            ("image", self._images) if done else ("image", self._images, number(document, "partial_image_index"))
        )
        found.whole("media", document.get("b64_json"), block, ("b64_json",))
        if done:
            self._images += 1
            self._end(found, document, "image")

    def _audio(self, found: Gather, type_: str, document: dict[str, Any]) -> None:
        speech = type_.startswith("speech.")
        found.opaque(document.get("logprobs"), ("logprobs",))
        if type_.endswith(".delta"):
            found.delta(
                "media" if speech else "text",
                document.get("audio" if speech else "delta"),
                ("audio",) if speech else ("text",),
                ("audio" if speech else "delta",),
            )
        elif type_.endswith(".segment"):
            found.whole("text", document.get("text"), ("segment", str(document.get("id"))), ("text",))
        elif type_.endswith(".done"):
            found.whole("text", document.get("text"), ("text",), ("text",))
            self._end(found, document, "audio" if speech else "text")

    def _end(self, found: Gather, document: dict[str, Any], plain: Plain) -> None:
        self.complete = True
        usage = read_usage(document.get("usage"), plain=plain)
        if plain == "image":
            usage = with_pieces(usage, "images", self._images)
        found.stop(_END)
        found.usage(usage, ("usage",))
