"""One answer within a realtime session: its item, and the events that tell it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from relay_simulator.ask import Document
from relay_simulator.figures import size
from relay_simulator.media import samples
from relay_simulator.serving import Serving
from relay_simulator.speech import Speech, pieces


@dataclass(frozen=True, slots=True)
class Turn:
    """`events` are their type, their fields beside the response's id, and the bytes of words in them."""

    item: Document
    events: list[tuple[str, Document, int]]


def of_turn(serving: Serving, speech: Speech, is_spoken: bool) -> Turn:
    """The answer as text, as sound with its transcript, or as the first tool call."""
    base: Document = {"id": serving.mint("item_"), "object": "realtime.item", "status": "completed"}
    if speech.calls:
        call = speech.calls[0]
        item = {
            **base,
            "type": "function_call",
            "name": call.name,
            "call_id": serving.mint("call_"),
            "arguments": call.json,
        }
        place = {"item_id": item["id"], "call_id": item["call_id"]}
        name = "response.function_call_arguments"
        middle = [
            (f"{name}.delta", {**place, "delta": call.json}, speech.size),
            (f"{name}.done", {**place, "arguments": call.json}, 0),
        ]
        return Turn(item, [_added(item), *middle, ("response.output_item.done", {"item": item}, 0)])
    field = "transcript" if is_spoken else "text"
    part = {"type": "output_audio" if is_spoken else "output_text", field: speech.text}
    item = {**base, "type": "message", "role": "assistant", "content": [part]}
    place = {"item_id": item["id"], "content_index": 0}
    words = "response.output_audio_transcript" if is_spoken else "response.output_text"
    events = [_added(item), ("response.content_part.added", {**place, "part": {**part, field: ""}}, 0)]
    events += [
        (f"{words}.delta", {**place, "delta": one}, size(one)) for one in pieces(speech.text, serving.script.events)
    ]
    if is_spoken:
        sound = base64.b64encode(samples(speech.text[:20])).decode()
        events += [
            ("response.output_audio.delta", {**place, "delta": sound}, 0),
            ("response.output_audio.done", place, 0),
        ]
    events += [
        (f"{words}.done", {**place, field: speech.text}, 0),
        ("response.content_part.done", {**place, "part": part}, 0),
        ("response.output_item.done", {"item": item}, 0),
    ]
    return Turn(item, events)


def _added(item: Document) -> tuple[str, Document, int]:
    opening = {**item, "status": "in_progress"}
    opening |= {name: empty for name, empty in (("content", []), ("arguments", "")) if name in item}
    return "response.output_item.added", {"item": opening}, 0
