"""Conversations and their items."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.ask import Document, mapping, objects
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import missing
from relay_simulator.openai.paging import page
from relay_simulator.openai.responses import as_items
from relay_simulator.serving import Serving


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/conversations"""
    shown = {
        "id": serving.mint("conv_"),
        "object": "conversation",
        "created_at": seconds(),
        "metadata": mapping(serving.document, "metadata"),
    }
    items = as_items(serving, objects(serving.document, "items"))
    serving.shelf.put("conversation", str(shown["id"]), {"shown": shown, "items": items})
    return await serving.json(shown)


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/conversations/{conversation_id}"""
    return await serving.json(_kept(serving)["shown"])


async def update(serving: Serving) -> web.StreamResponse:
    """POST /v1/conversations/{conversation_id}"""
    kept = _kept(serving)
    kept["shown"]["metadata"] = mapping(serving.document, "metadata")
    _keep(serving, kept)
    return await serving.json(kept["shown"])


async def remove(serving: Serving) -> web.StreamResponse:
    """DELETE /v1/conversations/{conversation_id}"""
    kept = _kept(serving)
    serving.shelf.remove("conversation", kept["shown"]["id"])
    return await serving.json({"id": kept["shown"]["id"], "object": "conversation.deleted", "deleted": True})


async def add_items(serving: Serving) -> web.StreamResponse:
    """POST /v1/conversations/{conversation_id}/items"""
    kept = _kept(serving)
    items = as_items(serving, objects(serving.document, "items"))
    kept["items"] += items
    _keep(serving, kept)
    return await serving.json(page(serving, items))


async def show_items(serving: Serving) -> web.StreamResponse:
    """GET /v1/conversations/{conversation_id}/items"""
    return await serving.json(page(serving, _kept(serving)["items"][::-1]))


async def show_item(serving: Serving) -> web.StreamResponse:
    """GET /v1/conversations/{conversation_id}/items/{item_id}"""
    return await serving.json(_item(serving, _kept(serving)))


async def remove_item(serving: Serving) -> web.StreamResponse:
    """DELETE /v1/conversations/{conversation_id}/items/{item_id}"""
    kept = _kept(serving)
    kept["items"].remove(_item(serving, kept))
    _keep(serving, kept)
    return await serving.json(kept["shown"])


def _kept(serving: Serving) -> Document:
    return serving.shelf.get("conversation", serving.param("conversation_id"))


def _keep(serving: Serving, kept: Document) -> None:
    serving.shelf.put("conversation", kept["shown"]["id"], kept)


def _item(serving: Serving, kept: Document) -> Document:
    wanted = serving.param("item_id")
    found: Document | None = next((item for item in kept["items"] if item["id"] == wanted), None)
    if found is None:
        raise missing("item", wanted)
    return found


_ONE = "/v1/conversations/{conversation_id}"

ENDPOINTS = (
    Endpoint("POST", "/v1/conversations", "conversations.create", create),
    Endpoint("GET", _ONE, "conversations.get", show),
    Endpoint("POST", _ONE, "conversations.update", update),
    Endpoint("DELETE", _ONE, "conversations.delete", remove),
    Endpoint("POST", f"{_ONE}/items", "conversations.items.create", add_items),
    Endpoint("GET", f"{_ONE}/items", "conversations.items.list", show_items),
    Endpoint("GET", f"{_ONE}/items/{{item_id}}", "conversations.items.get", show_item),
    Endpoint("DELETE", f"{_ONE}/items/{{item_id}}", "conversations.items.delete", remove_item),
)
