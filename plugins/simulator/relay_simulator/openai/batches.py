"""Batches: made at once, worked off when they are looked at for the first time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from relay import Usage
from relay_simulator.ask import Document, text_field
from relay_simulator.clock import seconds
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault
from relay_simulator.figures import plus, told
from relay_simulator.openai import chat, completions, embeddings, responses, usage
from relay_simulator.openai.files import keep
from relay_simulator.openai.manner import MANNER
from relay_simulator.openai.paging import page
from relay_simulator.script import read_script
from relay_simulator.serving import Serving

_WORK: dict[str, Callable[[Serving, Document], tuple[Document, Usage]]] = {
    "/v1/chat/completions": chat.completion,
    "/v1/completions": completions.completion,
    "/v1/embeddings": embeddings.embedding,
    "/v1/moderations": embeddings.moderation,
    "/v1/responses": responses.finished,
}


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/batches"""
    given = serving.document
    endpoint = text_field(given, "endpoint")
    if endpoint not in _WORK:
        raise Fault(400, f"Batches cannot be made for {endpoint}.", param="endpoint")
    file_id = text_field(given, "input_file_id")
    serving.shelf.get("file", file_id)
    now = seconds()
    document: Document = {
        "id": serving.mint("batch_"),
        "object": "batch",
        "endpoint": endpoint,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": given.get("completion_window", "24h"),
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "in_progress_at": None,
        "expires_at": now + 86_400,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": given.get("metadata"),
    }
    serving.shelf.put("batch", document["id"], document)
    return await serving.json(document)


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/batches/{batch_id}: the first look finds it completed; its usage counts with that answer."""
    batch = serving.shelf.get("batch", serving.param("batch_id"))
    if batch["status"] != "validating":
        return await serving.json(batch)
    consumption = _work_off(serving, batch)
    figures = told(consumption, serving.script)
    if figures is not None:
        batch["usage"] = usage.of_response(figures)
    serving.shelf.put("batch", batch["id"], batch)
    return await serving.json(batch, usage=consumption, reported=batch.get("usage"))


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1/batches"""
    return await serving.json(page(serving, serving.shelf.all("batch")))


async def cancel(serving: Serving) -> web.StreamResponse:
    """POST /v1/batches/{batch_id}/cancel: only one that nobody has looked at is still to be stopped."""
    batch = serving.shelf.get("batch", serving.param("batch_id"))
    if batch["status"] != "validating":
        raise Fault(409, f"Cannot cancel a batch with status '{batch['status']}'.")
    batch |= {"status": "cancelled", "cancelling_at": seconds(), "cancelled_at": seconds()}
    serving.shelf.put("batch", batch["id"], batch)
    return await serving.json(batch)


def _work_off(serving: Serving, batch: Document) -> Usage:
    """Answer every line of the input file, and write the output and the error file."""
    done: list[Document] = []
    failed: list[Document] = []
    consumed = Usage()
    steered = serving.script
    for line in serving.shelf.get_bytes("file", batch["input_file_id"]).splitlines():
        custom_id: Any = None
        try:
            asked = orjson.loads(line)
            custom_id = asked.get("custom_id")
            body = asked["body"]
            serving.script = read_script(MANNER.steering(body), str(body.get("model", "")), {})
            if serving.script.status is not None and serving.script.status >= 400:
                raise Fault(serving.script.status, "The simulator refuses, as it was asked to.")
            answer, consumption = _WORK[batch["endpoint"]](serving, body)
        except (orjson.JSONDecodeError, KeyError, AttributeError):
            failed.append(_line(serving, custom_id, 400, MANNER.failure(Fault(400, "The line is no request."), "")))
        except Fault as fault:
            failed.append(_line(serving, custom_id, fault.status, MANNER.failure(fault, "")))
        else:
            done.append(_line(serving, custom_id, 200, answer))
            consumed = plus(consumed, consumption)
    serving.script = steered
    now = seconds()
    batch |= {"status": "completed", "in_progress_at": now, "finalizing_at": now, "completed_at": now}
    batch["request_counts"] = {"total": len(done) + len(failed), "completed": len(done), "failed": len(failed)}
    for name, lines in (("output_file_id", done), ("error_file_id", failed)):
        if lines:
            data = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
            batch[name] = keep(serving, f"{batch['id']}_{name[:-8]}.jsonl", "batch_output", data)["id"]
    return consumed


def _line(serving: Serving, custom_id: Any, status: int, body: Document) -> Document:
    response = {"status_code": status, "request_id": serving.mint("req_"), "body": body}
    return {"id": serving.mint("batch_req_"), "custom_id": custom_id, "response": response, "error": None}


ENDPOINTS = (
    Endpoint("POST", "/v1/batches", "batches.create", create),
    Endpoint("GET", "/v1/batches", "batches.list", show_all),
    Endpoint("GET", "/v1/batches/{batch_id}", "batches.get", show),
    Endpoint("POST", "/v1/batches/{batch_id}/cancel", "batches.cancel", cancel),
)
