"""The endpoints of the family. A provider's base URL ends in `/v1` already; what stands here is what a client calls.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from typing import Any

from relay.wire.dialect import Surface


def _made(name: str, path: str, creates: str | None = None, **more: Any) -> Surface:
    """A POST that handles a stored object and makes no model work."""
    more = {"model": "none", "generates": False, **more}
    return Surface(name, "POST", path, creates=creates, **more)


def _seen(name: str, path: str, *objects: str, lists: str | None = None, generates: bool = False) -> Surface:
    return Surface(name, "GET", path, body="none", model="none", objects=objects, lists=lists, generates=generates)


def _gone(name: str, path: str, *objects: str) -> Surface:
    return Surface(name, "DELETE", path, body="none", model="none", objects=objects, deletes=True, generates=False)


_CHAT = "/v1/chat/completions"
_RESPONSE = "/v1/responses/{response_id}"
_CONVERSATION = "/v1/conversations/{conversation_id}"
_STORE = "/v1/vector_stores/{vector_store_id}"
_CONTAINER = "/v1/containers/{container_id}"

SURFACES: tuple[Surface, ...] = (
    Surface("chat", "POST", _CHAT, creates="chat.completion"),
    _seen("chat.list", _CHAT, lists="chat.completion"),
    _seen("chat.retrieve", _CHAT + "/{completion_id}", "completion_id"),
    _made("chat.update", _CHAT + "/{completion_id}", objects=("completion_id",)),
    _gone("chat.delete", _CHAT + "/{completion_id}", "completion_id"),
    _seen("chat.messages", _CHAT + "/{completion_id}/messages", "completion_id"),
    Surface("completions", "POST", "/v1/completions"),
    Surface("responses", "POST", "/v1/responses", creates="response"),
    _made("responses.input_tokens", "/v1/responses/input_tokens", model="body"),
    Surface("responses.compact", "POST", "/v1/responses/compact"),
    _seen("responses.retrieve", _RESPONSE, "response_id"),
    _gone("responses.delete", _RESPONSE, "response_id"),
    _made("responses.cancel", _RESPONSE + "/cancel", body="none", objects=("response_id",)),
    _seen("responses.input_items", _RESPONSE + "/input_items", "response_id"),
    _made("conversations.create", "/v1/conversations", "conversation"),
    _seen("conversations.retrieve", _CONVERSATION, "conversation_id"),
    _made("conversations.update", _CONVERSATION, objects=("conversation_id",)),
    _gone("conversations.delete", _CONVERSATION, "conversation_id"),
    _made("conversations.items.create", _CONVERSATION + "/items", "item", objects=("conversation_id",)),
    _seen("conversations.items.list", _CONVERSATION + "/items", "conversation_id"),
    _seen("conversations.items.retrieve", _CONVERSATION + "/items/{item_id}", "conversation_id"),
    # The conversation outlives its item, so nothing of the path's objects is gone.
    Surface(
        "conversations.items.delete",
        "DELETE",
        _CONVERSATION + "/items/{item_id}",
        body="none",
        model="none",
        objects=("conversation_id",),
        generates=False,
    ),
    Surface("embeddings", "POST", "/v1/embeddings"),
    Surface("moderations", "POST", "/v1/moderations"),
    Surface("rerank", "POST", "/v1/rerank"),
    Surface("images.generations", "POST", "/v1/images/generations"),
    Surface("images.edits", "POST", "/v1/images/edits", body="multipart", model="form"),
    Surface("images.variations", "POST", "/v1/images/variations", body="multipart", model="form"),
    Surface("audio.speech", "POST", "/v1/audio/speech"),
    Surface("audio.transcriptions", "POST", "/v1/audio/transcriptions", body="multipart", model="form"),
    Surface("audio.translations", "POST", "/v1/audio/translations", body="multipart", model="form"),
    _made("files.create", "/v1/files", "file", body="multipart"),
    _seen("files.list", "/v1/files", lists="file"),
    _seen("files.retrieve", "/v1/files/{file_id}", "file_id"),
    _gone("files.delete", "/v1/files/{file_id}", "file_id"),
    _seen("files.content", "/v1/files/{file_id}/content", "file_id"),
    _made("uploads.create", "/v1/uploads", "upload"),
    _made("uploads.parts", "/v1/uploads/{upload_id}/parts", body="multipart", objects=("upload_id",)),
    _made("uploads.complete", "/v1/uploads/{upload_id}/complete", "file", objects=("upload_id",)),
    _made("uploads.cancel", "/v1/uploads/{upload_id}/cancel", body="none", objects=("upload_id",)),
    Surface("batches.create", "POST", "/v1/batches", model="none", creates="batch"),
    _seen("batches.list", "/v1/batches", lists="batch"),
    _seen("batches.retrieve", "/v1/batches/{batch_id}", "batch_id"),
    _made("batches.cancel", "/v1/batches/{batch_id}/cancel", body="none", objects=("batch_id",)),
    _made("vector_stores.create", "/v1/vector_stores", "vector_store"),
    _seen("vector_stores.list", "/v1/vector_stores", lists="vector_store"),
    _seen("vector_stores.retrieve", _STORE, "vector_store_id"),
    _made("vector_stores.update", _STORE, objects=("vector_store_id",)),
    _gone("vector_stores.delete", _STORE, "vector_store_id"),
    Surface("vector_stores.search", "POST", _STORE + "/search", model="none", objects=("vector_store_id",)),
    _made("vector_stores.files.create", _STORE + "/files", objects=("vector_store_id",)),
    _seen("vector_stores.files.list", _STORE + "/files", "vector_store_id"),
    _seen("vector_stores.files.retrieve", _STORE + "/files/{file_id}", "vector_store_id", "file_id"),
    # Taken out of the store, the file itself stays.
    Surface(
        "vector_stores.files.delete",
        "DELETE",
        _STORE + "/files/{file_id}",
        body="none",
        model="none",
        objects=("vector_store_id", "file_id"),
        generates=False,
    ),
    _made("vector_stores.files.update", _STORE + "/files/{file_id}", objects=("vector_store_id", "file_id")),
    _seen("vector_stores.files.content", _STORE + "/files/{file_id}/content", "vector_store_id", "file_id"),
    # A batch of files belongs to its store.
    _made("vector_stores.batches.create", _STORE + "/file_batches", objects=("vector_store_id",)),
    _seen("vector_stores.batches.retrieve", _STORE + "/file_batches/{batch_id}", "vector_store_id"),
    _made(
        "vector_stores.batches.cancel",
        _STORE + "/file_batches/{batch_id}/cancel",
        body="none",
        objects=("vector_store_id",),
    ),
    _seen("vector_stores.batches.files", _STORE + "/file_batches/{batch_id}/files", "vector_store_id"),
    _made("containers.create", "/v1/containers", "container"),
    _seen("containers.list", "/v1/containers", lists="container"),
    _seen("containers.retrieve", _CONTAINER, "container_id"),
    _gone("containers.delete", _CONTAINER, "container_id"),
    # From a stored file only: a form could name somebody else's file, and forms are not looked through for ids.
    _made("containers.files.create", _CONTAINER + "/files", objects=("container_id",)),
    _seen("containers.files.list", _CONTAINER + "/files", "container_id"),
    _seen("containers.files.retrieve", _CONTAINER + "/files/{file_id}", "container_id"),
    Surface(
        "containers.files.delete",
        "DELETE",
        _CONTAINER + "/files/{file_id}",
        body="none",
        model="none",
        objects=("container_id",),
        generates=False,
    ),
    _seen("containers.files.content", _CONTAINER + "/files/{file_id}/content", "container_id"),
    Surface("models", "GET", "/v1/models", body="none", model="none", models="all", generates=False),
    Surface("models.get", "GET", "/v1/models/{model:path}", body="none", model="path", models="one", generates=False),
    Surface("realtime", "GET", "/v1/realtime", body="none", model="query", websocket=True),
)

PASSES: tuple[str, ...] = (
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-ratelimit-",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "content-disposition",
)
"""Headers of an answer that its client may see; nothing that names the deployer's account or the provider's machines."""

DROPS: tuple[str, ...] = (
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "cookie",
    "openai-organization",
    "openai-project",
    "anthropic-",
    # In it browsers send keys: https://platform.openai.com/docs/guides/realtime-websocket
    "sec-websocket-protocol",
)
"""Headers of a request that never reach a provider: keys of every family, and accounts at the provider."""
