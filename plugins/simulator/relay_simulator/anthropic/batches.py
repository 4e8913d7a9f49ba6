"""Message batches: made at once, worked off when they are looked at for the first time."""

from __future__ import annotations

import orjson
from aiohttp import web

from relay import Usage
from relay_simulator.anthropic.manner import MANNER
from relay_simulator.anthropic.messages import message
from relay_simulator.anthropic.paging import page
from relay_simulator.ask import Document, mapping, objects
from relay_simulator.clock import stamp
from relay_simulator.endpoint import Endpoint
from relay_simulator.fault import Fault, missing
from relay_simulator.figures import plus
from relay_simulator.script import read_script
from relay_simulator.serving import Serving

_KIND = "message_batch"
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


async def create(serving: Serving) -> web.StreamResponse:
    """POST /v1/messages/batches"""
    requests = objects(serving.document, "requests")
    if not requests:
        raise Fault(400, "requests: at least one is required")
    shown = {
        "id": serving.mint("msgbatch_"),
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": _counts(processing=len(requests)),
        "ended_at": None,
        "created_at": stamp(),
        "expires_at": stamp(86_400),
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    serving.shelf.put(_KIND, str(shown["id"]), {"id": shown["id"], "shown": shown, "requests": requests})
    return await serving.json(shown)


async def show(serving: Serving) -> web.StreamResponse:
    """GET /v1/messages/batches/{batch_id}: the first look finds it ended."""
    kept = _kept(serving)
    if kept["shown"]["processing_status"] != "ended":
        _work_off(serving, kept)
    return await serving.json(kept["shown"])


async def show_all(serving: Serving) -> web.StreamResponse:
    """GET /v1/messages/batches"""
    return await serving.json(page(serving, [kept["shown"] for kept in serving.shelf.all(_KIND)]))


async def cancel(serving: Serving) -> web.StreamResponse:
    """POST /v1/messages/batches/{batch_id}/cancel"""
    kept = _kept(serving)
    if kept["shown"]["processing_status"] == "ended":
        raise Fault(400, "The batch has already ended.")
    kept["shown"] |= {"processing_status": "canceling", "cancel_initiated_at": stamp()}
    serving.shelf.put(_KIND, kept["id"], kept)
    return await serving.json(kept["shown"])


async def remove(serving: Serving) -> web.StreamResponse:
    """DELETE /v1/messages/batches/{batch_id}"""
    kept = _kept(serving)
    if kept["shown"]["processing_status"] != "ended":
        raise Fault(400, "A batch can be deleted when it has ended.")
    serving.shelf.remove(_KIND, kept["id"])
    return await serving.json({"id": kept["id"], "type": "message_batch_deleted"})


async def results(serving: Serving) -> web.StreamResponse:
    """GET /v1/messages/batches/{batch_id}/results: JSON lines. The batch's usage counts with the first answer."""
    kept = _kept(serving)
    if kept["shown"]["processing_status"] != "ended":
        raise Fault(404, "The batch has no results yet.")
    usage = Usage() if kept["counted"] else Usage(**kept["consumed"])
    serving.shelf.put(_KIND, kept["id"], {**kept, "counted": True})
    lines = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in kept["results"])
    return await serving.blob(lines, "application/x-jsonl", usage=usage)


def _work_off(serving: Serving, kept: Document) -> None:
    is_canceled = kept["shown"]["processing_status"] == "canceling"
    consumed = Usage()
    counts = dict.fromkeys(_COUNTS, 0)
    lines: list[Document] = []
    steered = serving.script
    for request in kept["requests"]:
        result: Document = {"type": "canceled"}
        if not is_canceled:
            params = mapping(request, "params")
            try:
                serving.script = read_script(MANNER.steering(params), str(params.get("model", "")), {})
                if serving.script.status is not None and serving.script.status >= 400:
                    raise Fault(serving.script.status, "The simulator refuses, as it was asked to.")
                answer, consumption = message(serving, params)
                result = {"type": "succeeded", "message": answer}
                consumed = plus(consumed, consumption)
            except Fault as fault:
                result = {"type": "errored", "error": MANNER.failure(fault, serving.id)}
        counts[result["type"]] += 1
        lines.append({"custom_id": request.get("custom_id"), "result": result})
    serving.script = steered
    url = f"{serving.base}/v1/messages/batches/{kept['id']}/results"
    kept["shown"] |= {"processing_status": "ended", "ended_at": stamp(), "request_counts": counts, "results_url": url}
    serving.shelf.put(_KIND, kept["id"], kept | {"results": lines, "consumed": consumed.counts(), "counted": False})


def _counts(**some: int) -> dict[str, int]:
    return {**dict.fromkeys(_COUNTS, 0), **some}


def _kept(serving: Serving) -> Document:
    kept = serving.shelf.find(_KIND, serving.param("batch_id"))
    if kept is None:
        raise missing("batch", serving.param("batch_id"))
    return kept


_ALL = "/v1/messages/batches"

ENDPOINTS = (
    Endpoint("POST", _ALL, "batches.create", create),
    Endpoint("GET", _ALL, "batches.list", show_all),
    Endpoint("GET", f"{_ALL}/{{batch_id}}", "batches.get", show),
    Endpoint("DELETE", f"{_ALL}/{{batch_id}}", "batches.delete", remove),
    Endpoint("POST", f"{_ALL}/{{batch_id}}/cancel", "batches.cancel", cancel),
    Endpoint("GET", f"{_ALL}/{{batch_id}}/results", "batches.results", results),
)
