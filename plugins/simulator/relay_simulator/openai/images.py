"""Images: generations, edits, variations. Every picture is a valid PNG of 8×8 pixels."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from aiohttp import web

from relay import Usage
from relay_simulator import sse
from relay_simulator.ask import Document, text_field
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint, Piece
from relay_simulator.fault import Fault
from relay_simulator.figures import size, tokens, told, total
from relay_simulator.media import picture
from relay_simulator.script import without_script
from relay_simulator.serving import Serving

_INPUT_TOKENS = 256
_OUTPUT_TOKENS = {"low": 272, "medium": 1056, "high": 4160}


async def generate(serving: Serving) -> web.StreamResponse:
    """POST /v1/images/generations"""
    return await _answer(serving, serving.document, text_field(serving.document, "prompt"), 0, "image_generation")


async def edit(serving: Serving) -> web.StreamResponse:
    """POST /v1/images/edits"""
    given = serving.form.fields
    serving.form.file("image")
    return await _answer(serving, given, text_field(given, "prompt"), len(serving.form.files["image"]), "image_edit")


async def vary(serving: Serving) -> web.StreamResponse:
    """POST /v1/images/variations"""
    image = serving.form.file("image")
    return await _answer(serving, serving.form.fields, f"variation of {len(image.data)} bytes", 1, "image_variation")


async def _answer(serving: Serving, given: Document, prompt: str, inputs: int, event: str) -> web.StreamResponse:
    count = str(given.get("n") or 1)
    if not count.isdigit() or not 1 <= int(count) <= 10:
        raise Fault(400, "'n' must be between 1 and 10.", param="n")
    prompt = without_script(prompt)
    pictures = [base64.b64encode(picture(f"{prompt}/{at}")).decode() for at in range(int(count))]
    each = _OUTPUT_TOKENS.get(str(given.get("quality")), _OUTPUT_TOKENS["medium"])
    consumption = Usage(images=len(pictures))
    if not serving.model.startswith("dall-e"):
        consumption = Usage(
            input=tokens(size(prompt)),
            image_input=inputs * _INPUT_TOKENS,
            image_output=each * len(pictures),
            images=len(pictures),
        )
    figures = told(consumption, serving.script) if consumption.tokens else None
    reported = _usage(figures) if figures else None
    if str(given.get("stream", "")).lower() == "true":
        return await serving.stream(_events(pictures[0], event, reported), consumption)
    by_url = given.get("response_format") == "url"
    data = [{"url": f"data:image/png;base64,{one}"} if by_url else {"b64_json": one} for one in pictures]
    answer: Document = {"created": seconds(), "data": data}
    if reported:
        answer["usage"] = reported
    return await serving.json(answer, usage=consumption, reported=reported)


def _usage(usage: Usage) -> Document:
    return {
        "input_tokens": usage.input + usage.image_input,
        "input_tokens_details": {"text_tokens": usage.input, "image_tokens": usage.image_input},
        "output_tokens": usage.image_output,
        "total_tokens": total(usage),
    }


def _events(shown: str, event: str, reported: Document | None) -> Iterator[Piece]:
    form = {"b64_json": shown, "created_at": seconds(), "size": "1024x1024", "quality": "medium"}
    form |= {"background": "opaque", "output_format": "png"}
    partial = f"{event}.partial_image"
    yield Piece(sse.event({"type": partial, **form, "partial_image_index": 0}, partial))
    done = {"type": f"{event}.completed", **form, **({"usage": reported} if reported else {})}
    yield Piece(sse.event(done, f"{event}.completed"), reported=reported)


ENDPOINTS = (
    Endpoint("POST", "/v1/images/generations", "images.generations", generate),
    Endpoint("POST", "/v1/images/edits", "images.edits", edit),
    Endpoint("POST", "/v1/images/variations", "images.variations", vary),
)
