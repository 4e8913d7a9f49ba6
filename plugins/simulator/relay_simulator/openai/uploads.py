"""Uploads: a large file in parts."""

from __future__ import annotations

from aiohttp import web

from relay_simulator.ask import Document, strings, text_field, whole
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault
from relay_simulator.openai.files import keep
from relay_simulator.serving import Serving


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/uploads"""
    given = serving.document
    document: Document = {
        "id": serving.mint("upload_"),
        "object": "upload",
        "bytes": whole(given, "bytes") or 0,
        "created_at": seconds(),
        "filename": text_field(given, "filename"),
        "purpose": text_field(given, "purpose"),
        "status": "pending",
        "expires_at": seconds() + 3600,
        "file": None,
    }
    serving.shelf.put("upload", document["id"], document)
    return await serving.json(document)


async def add(serving: Serving) -> web.StreamResponse:
    """POST /v1/uploads/{upload_id}/parts"""
    upload = _pending(serving)
    part: Document = {
        "id": serving.mint("part_"),
        "object": "upload.part",
        "created_at": seconds(),
        "upload_id": upload["id"],
    }
    serving.shelf.put_bytes("part", part["id"], serving.form.file("data").data)
    serving.shelf.put("part", part["id"], part)
    return await serving.json(part)


async def complete(serving: Serving) -> web.StreamResponse:
    """POST /v1/uploads/{upload_id}/complete: the parts in the order named make the file."""
    upload = _pending(serving)
    data = bytearray()
    for part_id in strings(serving.document.get("part_ids")):
        part = serving.shelf.get("part", part_id)
        if part["upload_id"] != upload["id"]:
            raise Fault(400, f"The part {part_id} belongs to another upload.", param="part_ids")
        data += serving.shelf.get_bytes("part", part_id)
    if upload["bytes"] != len(data):
        raise Fault(400, f"The upload was to have {upload['bytes']} bytes and has {len(data)}.")
    upload["file"] = keep(serving, upload["filename"], upload["purpose"], bytes(data))
    upload["status"] = "completed"
    serving.shelf.put("upload", upload["id"], upload)
    return await serving.json(upload)


async def cancel(serving: Serving) -> web.StreamResponse:
    """POST /v1/uploads/{upload_id}/cancel"""
    upload = _pending(serving)
    upload["status"] = "cancelled"
    serving.shelf.put("upload", upload["id"], upload)
    return await serving.json(upload)


def _pending(serving: Serving) -> Document:
    upload = serving.shelf.get("upload", serving.param("upload_id"))
    if upload["status"] != "pending":
        raise Fault(400, f"The upload is {upload['status']}.")
    return upload


ENDPOINTS = (
    Endpoint("POST", "/v1/uploads", "uploads.create", create),
    Endpoint("POST", "/v1/uploads/{upload_id}/parts", "uploads.parts", add),
    Endpoint("POST", "/v1/uploads/{upload_id}/complete", "uploads.complete", complete),
    Endpoint("POST", "/v1/uploads/{upload_id}/cancel", "uploads.cancel", cancel),
)
