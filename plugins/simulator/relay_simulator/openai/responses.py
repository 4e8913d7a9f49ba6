"""Responses: made, kept, found again, cancelled, deleted."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from relay import Usage
from relay_simulator.ask import Document, text_field, weigh
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault, missing
from relay_simulator.figures import consumed, tokens, told
from relay_simulator.openai import asked
from relay_simulator.openai.answered import events, queued, response, trouble
from relay_simulator.openai.paging import page
from relay_simulator.serving import Serving
from relay_simulator.speech import compose

_TROUBLE = "The simulator failed, as it was asked to."


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/responses"""
    given = serving.document
    document, consumption = finished(serving, given)
    is_background = given.get("background") is True
    is_stream = given.get("stream") is True
    _keep(serving, given, document, consumption, pending=is_background and not is_stream)
    if is_stream:
        pieces = events(document, serving.script.events)
        bad = trouble(document, serving.script.error_in_stream or 0, _TROUBLE)
        return await serving.stream(pieces, consumption, trouble=bad)
    if is_background:
        return await serving.json(queued(document))
    return await serving.json(document, usage=consumption, reported=document["usage"])


def finished(serving: Serving, given: Document) -> tuple[Document, Usage]:
    """The response that a request gets, whole, and what it consumed. :raises Fault: 400, 404."""
    text_field(given, "model")
    if "input" not in given and "prompt" not in given and "conversation" not in given:
        raise Fault(400, "Missing required parameter: 'input'.", code="missing_required_parameter", param="input")
    ask = asked.of_response(given, _before(serving, given))
    speech = compose(ask, serving.script)
    consumption = consumed(ask, serving.script, [speech.size], speech.reasoning)
    return response(serving, given, speech, told(consumption, serving.script)), consumption


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/responses/{response_id}: a background response is finished, and its usage counts, when it is first looked at."""
    kept = _kept(serving)
    document: Document = kept["response"]
    is_news = kept["pending"]
    consumption = Usage(**kept["consumed"]) if is_news else Usage()
    if is_news:
        serving.shelf.put("response", document["id"], {**kept, "pending": False})
    if serving.request.query.get("stream") == "true":
        after = serving.request.query.get("starting_after", "-1")
        start = int(after) if after.isdigit() else -1
        return await serving.stream(events(document, serving.script.events, counts=is_news, after=start), consumption)
    return await serving.json(document, usage=consumption, reported=document["usage"] if is_news else None)


async def cancel(serving: Serving) -> web.StreamResponse:
    """POST /v1/responses/{response_id}/cancel: only what runs in the background can be cancelled."""
    kept = _kept(serving)
    if not kept["response"]["background"]:
        raise Fault(400, "Only responses created with background=true can be cancelled.")
    if kept["pending"]:
        kept = {**kept, "response": {**queued(kept["response"]), "status": "cancelled"}, "pending": False}
        serving.shelf.put("response", kept["response"]["id"], kept)
    return await serving.json(kept["response"])


async def remove(serving: Serving) -> web.StreamResponse:
    """DELETE /v1/responses/{response_id}"""
    kept = _kept(serving)
    serving.shelf.remove("response", kept["response"]["id"])
    return await serving.json({"id": kept["response"]["id"], "object": "response", "deleted": True})


async def input_items(serving: Serving) -> web.StreamResponse:
    """GET /v1/responses/{response_id}/input_items"""
    return await serving.json(page(serving, _kept(serving)["input"][::-1]))


async def input_tokens(serving: Serving) -> web.StreamResponse:
    """POST /v1/responses/input_tokens: free of charge."""
    ask = asked.of_response(serving.document, _before(serving, serving.document))
    count = tokens(ask.prompt_bytes) + ask.media * 256
    return await serving.json({"object": "response.input_tokens", "input_tokens": count})


def _before(serving: Serving, given: Document) -> int:
    """The bytes of what was said before, in the response or the conversation that the request names."""
    if (previous := given.get("previous_response_id")) is not None:
        kept = serving.shelf.find("response", str(previous))
        if kept is None:
            message = f"Previous response with id '{previous}' not found."
            raise Fault(400, message, code="previous_response_not_found", param="previous_response_id")
        before: int = kept["size"]
        return before
    if (conversation := _conversation(given)) is not None:
        return weigh(serving.shelf.get("conversation", conversation)["items"])[0]
    return 0


def _keep(serving: Serving, given: Document, document: Document, consumption: Usage, *, pending: bool) -> None:
    items = as_items(serving, given.get("input"))
    if (conversation := _conversation(given)) is not None:
        kept = serving.shelf.get("conversation", conversation)
        kept["items"] += [*items, *document["output"]]
        serving.shelf.put("conversation", conversation, kept)
    if document["store"]:
        size = weigh(items, document["output"])[0] + _before(serving, given)
        line = {
            "response": document,
            "input": items,
            "pending": pending,
            "size": size,
            "consumed": consumption.counts(),
        }
        serving.shelf.put("response", document["id"], line)


def as_items(serving: Serving, given: Any) -> list[Document]:
    """The input as items with ids."""
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    items = []
    for item in given if isinstance(given, list) else []:
        kind = item.get("type", "message")
        made = {"id": serving.mint("msg_" if kind == "message" else "item_"), "type": kind, **item}
        if kind == "message":
            made.setdefault("status", "completed")
            if isinstance(made.get("content"), str):
                part = "output_text" if made.get("role") == "assistant" else "input_text"
                made["content"] = [{"type": part, "text": made["content"]}]
        items.append(made)
    return items


def _conversation(given: Document) -> str | None:
    conversation = given.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return conversation if isinstance(conversation, str) else None


def _kept(serving: Serving) -> Document:
    response_id = serving.param("response_id")
    kept = serving.shelf.find("response", response_id)
    if kept is None:
        raise missing("response", response_id)
    return kept


ENDPOINTS = (
    Endpoint("POST", "/v1/responses", "responses", create),
    Endpoint("POST", "/v1/responses/input_tokens", "responses.input_tokens", input_tokens),
    Endpoint("GET", "/v1/responses/{response_id}", "responses.get", show),
    Endpoint("DELETE", "/v1/responses/{response_id}", "responses.delete", remove),
    Endpoint("POST", "/v1/responses/{response_id}/cancel", "responses.cancel", cancel),
    Endpoint("GET", "/v1/responses/{response_id}/input_items", "responses.input_items", input_items),
)
