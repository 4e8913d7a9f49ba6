"""Lists, a page at a time, as Anthropic cuts them."""

from __future__ import annotations

from relay_simulator.ask import Document
from relay_simulator.fault import Fault
from relay_simulator.serving import Serving


def page(serving: Serving, items: list[Document]) -> Document:
    """`items` come newest first. Understands `limit`, `after_id` and `before_id`. :raises Fault: 400."""
    query = serving.request.query
    limit = query.get("limit", "20")
    if not limit.isdigit() or not 1 <= int(limit) <= 1000:
        raise Fault(400, "limit: must be between 1 and 1000")
    ids = [item["id"] for item in items]
    if (after := query.get("after_id")) in ids:
        items = items[ids.index(after) + 1 :]
        shown = items[: int(limit)]
    elif (before := query.get("before_id")) in ids:
        items = items[: ids.index(before)]
        shown = items[-int(limit) :]
    else:
        shown = items[: int(limit)]
    return {
        "data": shown,
        "has_more": len(items) > len(shown),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }
