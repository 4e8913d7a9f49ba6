"""Lists, a page at a time, as OpenAI cuts them."""

from __future__ import annotations

from relay_simulator.ask import Document
from relay_simulator.fault import Fault
from relay_simulator.serving import Serving


def page(serving: Serving, items: list[Document], *, by_default: int = 20) -> Document:
    """`items` come newest first. Understands `limit`, `after` and `order`. :raises Fault: 400."""
    query = serving.request.query
    limit = query.get("limit", str(by_default))
    if not limit.isdigit() or not 1 <= int(limit) <= 10_000:
        raise Fault(400, "'limit' must be between 1 and 10000.", param="limit")
    if query.get("order") == "asc":
        items = items[::-1]
    if after := query.get("after"):
        at = next((at for at, item in enumerate(items) if item.get("id") == after), len(items))
        items = items[at + 1 :]
    shown = items[: int(limit)]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0].get("id") if shown else None,
        "last_id": shown[-1].get("id") if shown else None,
        "has_more": len(items) > len(shown),
    }
