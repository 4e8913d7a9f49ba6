"""Files."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.ask import Document, text_field
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint
from relay_simulator.openai.paging import page
from relay_simulator.serving import Serving


def keep(serving: Serving, filename: str, purpose: str, data: bytes) -> Document:
    """Make a file of these bytes."""
    document: Document = {
        "id": serving.mint("file-"),
        "object": "file",
        "bytes": len(data),
        "created_at": seconds(),
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": None,
    }
    serving.shelf.put_bytes("file", document["id"], data)
    serving.shelf.put("file", document["id"], document)
    return document


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/files"""
    file = serving.form.file("file")
    purpose = text_field(serving.form.fields, "purpose")
    return await serving.json(keep(serving, file.filename, purpose, file.data))


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1/files"""
    purpose = serving.request.query.get("purpose")
    found = [file for file in serving.shelf.all("file") if purpose in (None, file["purpose"])]
    return await serving.json(page(serving, found, by_default=10_000))


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/files/{file_id}"""
    return await serving.json(serving.shelf.get("file", serving.param("file_id")))


async def remove(serving: Serving) -> web.StreamResponse:
    """DELETE /v1/files/{file_id}"""
    serving.shelf.remove("file", serving.param("file_id"))
    return await serving.json({"id": serving.param("file_id"), "object": "file", "deleted": True})


async def content(serving: Serving) -> web.StreamResponse:
    """GET /v1/files/{file_id}/content"""
    data = serving.shelf.get_bytes("file", serving.param("file_id"))
    return await serving.blob(data, "application/octet-stream")


ENDPOINTS = (
    Endpoint("POST", "/v1/files", "files.create", create),
    Endpoint("GET", "/v1/files", "files.list", show_all),
    Endpoint("GET", "/v1/files/{file_id}", "files.get", show),
    Endpoint("DELETE", "/v1/files/{file_id}", "files.delete", remove),
    Endpoint("GET", "/v1/files/{file_id}/content", "files.content", content),
)
