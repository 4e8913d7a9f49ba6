"""The endpoints of the family, and which headers pass. A provider's base URL has no `/v1`: it is in each path.

https://docs.anthropic.com/en/api/overview
"""

from __future__ import annotations

from relay.wire.dialect import Surface


def _stored(name: str, method: str, path: str, *objects: str, lists: str | None = None) -> Surface:
    """A stored object, or a list of them: no body goes there and no model works."""
    return Surface(
        name, method, path, body="none", model="none", objects=objects, lists=lists,
        deletes=method == "DELETE", generates=False,
    )  # fmt: skip


_BATCHES = "/v1/messages/batches"
_BATCH = "/v1/messages/batches/{batch_id}"
_FILE = "/v1/files/{file_id}"

SURFACES: tuple[Surface, ...] = (
    Surface("messages", "POST", "/v1/messages"),
    Surface("messages.count_tokens", "POST", "/v1/messages/count_tokens", generates=False),
    Surface("batches.create", "POST", _BATCHES, creates="batch"),
    _stored("batches.list", "GET", _BATCHES, lists="batch"),
    _stored("batches.retrieve", "GET", _BATCH, "batch_id"),
    _stored("batches.cancel", "POST", _BATCH + "/cancel", "batch_id"),
    _stored("batches.delete", "DELETE", _BATCH, "batch_id"),
    _stored("batches.results", "GET", _BATCH + "/results", "batch_id"),
    Surface("files.create", "POST", "/v1/files", body="multipart", model="none", creates="file", generates=False),
    _stored("files.list", "GET", "/v1/files", lists="file"),
    _stored("files.retrieve", "GET", _FILE, "file_id"),
    _stored("files.delete", "DELETE", _FILE, "file_id"),
    _stored("files.content", "GET", _FILE + "/content", "file_id"),
    Surface("models", "GET", "/v1/models", body="none", model="none", models="all", generates=False),
    Surface("models.get", "GET", "/v1/models/{model:path}", body="none", model="path", models="one", generates=False),
)

MESSAGES = frozenset(("messages", "messages.count_tokens"))
"""Surfaces whose request is one message request; a batch holds many."""

KEY_HEADERS: tuple[str, ...] = ("x-api-key", "authorization")

PASSES: tuple[str, ...] = (
    "request-id",
    "anthropic-ratelimit-",
    "anthropic-priority-",
    "anthropic-fast-",
    "anthropic-version",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "content-disposition",
)
"""Headers of an answer that its client may see; nothing that names the deployer's account or the provider's machines."""

DROPS: tuple[str, ...] = (
    "x-api-key",
    "authorization",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "anthropic-organization-id",
    "anthropic-workspace-id",
    # A browser's request is refused by the provider unless it says that its key is public; ours is not the browser's.
    "anthropic-dangerous-direct-browser-access",
    "origin",
    "referer",
    "sec-",
)
"""Headers of a request that never reach a provider: keys of every family, accounts at the provider, a browser's traces."""
