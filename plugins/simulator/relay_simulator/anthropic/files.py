"""Files."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.anthropic.paging import page
from relay_simulator.clock import stamp
from relay_simulator.endpoint import Endpoint
from relay_simulator.serving import Serving

_KIND = "anthropic_file"


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/files"""
    file = serving.form.file("file")
    document = {
        "id": serving.mint("file_"),
        "type": "file",
        "filename": file.filename,
        "mime_type": file.content_type,
        "size_bytes": len(file.data),
        "created_at": stamp(),
        "downloadable": True,
    }
    serving.shelf.put_bytes(_KIND, str(document["id"]), file.data)
    serving.shelf.put(_KIND, str(document["id"]), document)
    return await serving.json(document)


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1/files"""
    return await serving.json(page(serving, serving.shelf.all(_KIND)))


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/files/{file_id}"""
    return await serving.json(serving.shelf.get(_KIND, serving.param("file_id")))


async def remove(serving: Serving) -> web.StreamResponse:
    """DELETE /v1/files/{file_id}"""
    serving.shelf.remove(_KIND, serving.param("file_id"))
    return await serving.json({"id": serving.param("file_id"), "type": "file_deleted"})


async def content(serving: Serving) -> web.StreamResponse:
    """GET /v1/files/{file_id}/content"""
    document = serving.shelf.get(_KIND, serving.param("file_id"))
    data = serving.shelf.get_bytes(_KIND, document["id"])
    return await serving.blob(data, document["mime_type"].partition(";")[0])


ENDPOINTS = (
    Endpoint("POST", "/v1/files", "files.create", create),
    Endpoint("GET", "/v1/files", "files.list", show_all),
    Endpoint("GET", "/v1/files/{file_id}", "files.get", show),
    Endpoint("DELETE", "/v1/files/{file_id}", "files.delete", remove),
    Endpoint("GET", "/v1/files/{file_id}/content", "files.content", content),
)
