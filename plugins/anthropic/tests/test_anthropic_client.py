"""The official client against answers of this dialect: refusals, errors in streams, models, and where it calls."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import orjson
import pytest
from aiohttp import web
from relay_anthropic.dialect import DIALECT

from relay.wire.dialect import ModelEntry, Refusal

SURFACES = {surface.name: surface for surface in DIALECT.surfaces}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ASK: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}


@asynccontextmanager
async def client(handle: Handler) -> AsyncIterator[anthropic.AsyncAnthropic]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with anthropic.AsyncAnthropic(api_key="k", base_url=f"http://127.0.0.1:{port}", max_retries=0) as made:
            yield made
    finally:
        await runner.cleanup()


def refusal(status: int, code: str = "some_code", retry_after_s: float | None = None) -> Refusal:
    return Refusal(code, status, "Not now.", "exc_1", retry_after_s)


@pytest.mark.parametrize(
    ("status", "error", "kind", "shown"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error", 400),
        (401, anthropic.AuthenticationError, "authentication_error", 401),
        (402, anthropic.PaymentRequiredError, "billing_error", 402),
        (403, anthropic.PermissionDeniedError, "permission_error", 403),
        (404, anthropic.NotFoundError, "not_found_error", 404),
        (408, anthropic.RequestTimeoutError, "timeout_error", 408),
        (409, anthropic.ConflictError, "conflict_error", 409),
        (413, anthropic.ContentTooLargeError, "request_too_large", 413),
        (415, anthropic.APIStatusError, "invalid_request_error", 415),
        (429, anthropic.RateLimitError, "rate_limit_error", 429),
        (431, anthropic.RequestHeaderFieldsTooLargeError, "invalid_request_error", 431),
        (500, anthropic.InternalServerError, "api_error", 500),
        (501, anthropic.HTTPNotImplementedError, "api_error", 501),
        (502, anthropic.InternalServerError, "api_error", 502),
        (503, anthropic.OverloadedError, "overloaded_error", 529),
        (504, anthropic.GatewayTimeoutError, "timeout_error", 504),
    ],
)
async def test_a_refusal_is_the_right_exception_of_the_client(
    status: int, error: type[anthropic.APIStatusError], kind: str, shown: int
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        code, headers, body = DIALECT.refuse(refusal(status))
        return web.Response(status=code, headers=headers, body=body)

    async with client(handle) as sdk:
        with pytest.raises(error) as raised:
            await sdk.messages.create(**ASK)

    said = raised.value
    assert (shown, kind, "some_code", "exc_1") == (said.status_code, said.type, said.error_code, said.request_id)
    assert error is type(said)
    assert "Not now." == said.api_message


async def test_an_error_in_a_running_stream_is_raised_by_the_client() -> None:
    start = {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m",
             "usage": {"input_tokens": 1, "output_tokens": 1}}}  # fmt: skip
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hel"}}

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in (start, block):
            await response.write(b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event)))
        await response.write(
            DIALECT.refuse_in_stream(SURFACES["messages"], "text/event-stream", refusal(503, "stopped"))
        )
        return response

    seen = []
    async with client(handle) as sdk:
        with pytest.raises(anthropic.APIStatusError) as raised:
            async for event in await sdk.messages.create(**ASK, stream=True):
                seen.append(event.type)

    assert ["message_start", "content_block_start"] == seen
    assert ("overloaded_error", "stopped") == (raised.value.type, raised.value.error_code)


def test_what_cannot_hold_an_error_gets_none() -> None:
    for content_type in ("application/json", "application/x-jsonl", "application/octet-stream", ""):
        assert b"" == DIALECT.refuse_in_stream(SURFACES["messages"], content_type, refusal(502))


async def test_the_client_reads_the_list_of_models_and_one_of_them() -> None:
    entries = [
        ModelEntry("claude-sonnet-4-5", created=1_759_276_800, input_limit=200_000, output_limit=64_000),
        ModelEntry("gpt-4o"),
    ]

    async def handle(request: web.Request) -> web.StreamResponse:
        one = request.path != "/v1/models"
        body = DIALECT.models(SURFACES["models.get" if one else "models"], entries[:1] if one else entries)
        return web.Response(body=body, content_type="application/json")

    async with client(handle) as sdk:
        page = await sdk.models.list()
        model = await sdk.models.retrieve("claude-sonnet-4-5")

    assert ["claude-sonnet-4-5", "gpt-4o"] == [entry.id for entry in page.data]
    assert not page.has_next_page()
    assert ("model", "claude-sonnet-4-5", 2025, 200_000) == (
        model.type, model.display_name, model.created_at.year, model.max_input_tokens,
    )  # fmt: skip


async def test_an_empty_list_of_models_ends_at_once() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=DIALECT.models(SURFACES["models"], []), content_type="application/json")

    async with client(handle) as sdk:
        assert [] == [model async for model in sdk.models.list()]


async def test_every_call_of_the_client_is_a_surface() -> None:
    called: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        assert DIALECT.claims({name.lower(): value for name, value in request.headers.items()}, request.query_string)
        called.append(surface_of(request.method, request.path))
        return web.Response(
            body=b'{"id":"x","data":[],"results_url":"/v1/messages/batches/b/results"}', content_type="application/json"
        )

    async with client(handle) as sdk:
        await sdk.messages.create(**ASK)
        await sdk.beta.messages.create(**ASK, betas=["some-beta"])
        await sdk.messages.count_tokens(model="m", messages=ASK["messages"])
        await sdk.messages.batches.create(requests=[{"custom_id": "a", "params": ASK}])  # type: ignore[typeddict-item]
        await sdk.messages.batches.list()
        await sdk.messages.batches.retrieve("b")
        await sdk.messages.batches.cancel("b")
        await sdk.messages.batches.delete("b")
        await sdk.messages.batches.results("b")
        await sdk.beta.files.upload(file=("a.txt", b"x", "text/plain"))
        await sdk.beta.files.list()
        await sdk.beta.files.retrieve_metadata("f")
        await sdk.beta.files.download("f")
        await sdk.beta.files.delete("f")
        await sdk.models.list()
        await sdk.models.retrieve("m")

    assert [
        "messages", "messages", "messages.count_tokens", "batches.create", "batches.list", "batches.retrieve", "batches.cancel",
        "batches.delete", "batches.retrieve", "batches.results", "files.create", "files.list", "files.retrieve", "files.content",
        "files.delete", "models", "models.get",
    ] == called  # fmt: skip


def surface_of(method: str, path: str) -> str:
    for surface in DIALECT.surfaces:
        pattern = re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\w+:path\}", ".+", surface.path))
        if surface.method == method and re.fullmatch(pattern, path):
            return surface.name
    return f"{method} {path}"
