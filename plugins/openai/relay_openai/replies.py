"""Which framer, reader and marks belong to an answer of a surface."""

from __future__ import annotations

from collections.abc import Collection

from relay.wire.dialect import Reader, Surface
from relay.wire.framing import Framer, PieceFramer, WholeFramer
from relay.wire.sse import SseFramer
from relay.wire.vocabulary import CONTENT_KINDS, Kind
from relay_openai import chat, media, realtime, responses
from relay_openai.scores import tell_embeddings, tell_moderations, tell_rerank
from relay_openai.stored import tell_stored
from relay_openai.whole import PieceReader, PlainReader, Tell, WholeReader

_TELLS: dict[str, Tell] = {
    "chat": chat.tell_chat,
    "completions": chat.tell_chat,
    "responses": responses.tell_response,
    "responses.retrieve": responses.tell_retrieved,
    "responses.cancel": responses.tell_retrieved,
    "responses.compact": responses.tell_retrieved,
    "embeddings": tell_embeddings,
    "moderations": tell_moderations,
    "rerank": tell_rerank,
    "images.generations": media.tell_images,
    "images.edits": media.tell_images,
    "images.variations": media.tell_images,
    "audio.transcriptions": media.tell_transcript,
    "audio.translations": media.tell_transcript,
}
_FILES = frozenset(("files.content", "containers.files.content"))
"""Their answers are the bytes of a file, whatever type they claim."""


def framer(surface: Surface, content_type: str) -> Framer:
    """See `relay.wire.dialect.Dialect.framer`. In a WebSocket each message is a frame, so bytes are not cut there."""
    if surface.websocket or surface.name in _FILES:
        return PieceFramer()
    if _is_sse(content_type):
        return SseFramer()
    return PieceFramer() if surface.name == "audio.speech" and not _is_json(content_type) else WholeFramer()


def reader(surface: Surface, content_type: str) -> Reader:
    """See `relay.wire.dialect.Dialect.reader`."""
    if surface.websocket:
        return realtime.RealtimeReader()
    if surface.name in _FILES:
        return PieceReader("opaque")
    if _is_sse(content_type):
        return _stream(surface)
    if surface.name == "audio.speech" and not _is_json(content_type):
        return PieceReader("media")
    if surface.name.startswith("audio.") and content_type and not _is_json(content_type):
        return PlainReader()
    tell = _TELLS.get(surface.name)
    return WholeReader(tell or tell_stored(surface), is_new=surface.generates)


ERROR_MARKS = (b'"error"', b"event: error", b'"detail"')
"""One of them stands in every error, whatever its shape (see `errors.read_error`)."""


def marks(surface: Surface, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
    """See `relay.wire.dialect.Dialect.marks`."""
    if not CONTENT_KINDS.isdisjoint(kinds):
        return None
    if set(kinds) == {"error"} and not surface.websocket:
        return ERROR_MARKS
    if surface.name in ("chat", "completions"):
        return (*chat.MARKS, chat.AUDIO_MARK) if "created" in kinds else chat.MARKS
    if surface.name in ("responses", "responses.retrieve"):
        return (*responses.MARKS, *responses.CREATED_MARKS) if "created" in kinds else responses.MARKS
    if surface.websocket:
        return realtime.MARKS
    if surface.name in _FILES:
        return ()
    return media.MARKS if surface.name.startswith(("images.", "audio.")) else None


def _stream(surface: Surface) -> Reader:
    if surface.name.startswith("responses"):
        return responses.ResponsesReader(is_new=surface.generates)
    if surface.name.startswith(("images.", "audio.")):
        return media.MediaReader()
    return chat.ChatReader()


def _is_sse(content_type: str) -> bool:
    return content_type.lstrip().lower().startswith("text/event-stream")


def _is_json(content_type: str) -> bool:
    return "json" in content_type.partition(";")[0].lower()
