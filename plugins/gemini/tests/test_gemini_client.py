"""The official client against answers of this dialect: refusals, errors in streams, models, and where it calls."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web
from google import genai
from google.genai import errors, types
from relay_gemini.dialect import DIALECT

from relay.wire.dialect import ModelEntry, Refusal
from relay.wire.sse import SseFramer

# The client itself inherits from aiohttp's session, which aiohttp discourages; that is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

SURFACES = {surface.name: surface for surface in DIALECT.surfaces}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CHUNK = {"candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}]}


@asynccontextmanager
async def client(handle: Handler, version: str | None = None) -> AsyncIterator[Any]:
    """The client's asynchronous side, which calls `handle`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", api_version=version)
        sdk = genai.Client(api_key="k", http_options=options)
        try:
            yield sdk.aio
        finally:
            await sdk.aio.aclose()
            sdk.close()
    finally:
        await runner.cleanup()


def refusal(status: int, code: str = "some_code", retry_after_s: float | None = None) -> Refusal:
    return Refusal(code, status, "Not now.", "exc_1", retry_after_s)


@pytest.mark.parametrize(
    ("status", "error", "name"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (401, errors.ClientError, "UNAUTHENTICATED"),
        (402, errors.ClientError, "FAILED_PRECONDITION"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (405, errors.ClientError, "INVALID_ARGUMENT"),
        (413, errors.ClientError, "INVALID_ARGUMENT"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (501, errors.ServerError, "UNIMPLEMENTED"),
        (502, errors.ServerError, "UNAVAILABLE"),
        (503, errors.ServerError, "UNAVAILABLE"),
        (504, errors.ServerError, "DEADLINE_EXCEEDED"),
        (508, errors.ServerError, "INTERNAL"),
    ],
)
async def test_a_refusal_is_the_right_exception_of_the_client(
    status: int, error: type[errors.APIError], name: str
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        code, headers, body = DIALECT.refuse(refusal(status, retry_after_s=2.1))
        return web.Response(status=code, headers=headers, body=body)

    async with client(handle) as sdk:
        with pytest.raises(error) as raised:
            await sdk.models.generate_content(model="m", contents="x")
        with pytest.raises(error) as streamed:
            async for _ in await sdk.models.generate_content_stream(model="m", contents="x"):
                pass

    said = raised.value
    assert (status, name, "Not now.") == (said.code, said.status, said.message)
    assert (status, name) == (streamed.value.code, streamed.value.status)
    reason, request_id, retry = said.details["error"]["details"]
    assert ("some_code", "exc_1", "3s") == (reason["reason"], request_id["requestId"], retry["retryDelay"])


@pytest.mark.parametrize(("status", "error"), [(503, errors.ServerError), (429, errors.ClientError)])
async def test_an_error_in_a_running_stream_is_raised_by_the_client(status: int, error: type[errors.APIError]) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: %b\r\n\r\n" % orjson.dumps(CHUNK))
        await response.write(
            DIALECT.refuse_in_stream(SURFACES["generate.stream.v1"], "text/event-stream", refusal(status))
        )
        return response

    seen = []
    async with client(handle) as sdk:
        with pytest.raises(error) as raised:
            async for chunk in await sdk.models.generate_content_stream(model="m", contents="x"):
                seen.append(chunk.text)

    assert ["Hel"] == seen
    assert (status, "Not now.") == (raised.value.code, raised.value.message)


def test_an_error_event_is_a_whole_event_with_the_line_ends_of_the_others() -> None:
    event = DIALECT.refuse_in_stream(SURFACES["generate.stream"], "text/event-stream", refusal(503))

    (frame,) = SseFramer().feed(event)

    assert 503 == frame.document()["error"]["code"]
    assert event.endswith(b"}\r\n\r\n")


def test_an_error_in_a_running_array_is_its_last_element() -> None:
    begun = b"[" + orjson.dumps(CHUNK)

    ended = begun + DIALECT.refuse_in_stream(
        SURFACES["generate.stream"], "application/json; charset=UTF-8", refusal(503)
    )

    assert [CHUNK, 503] == [orjson.loads(ended)[0], orjson.loads(ended)[1]["error"]["code"]]


def test_what_cannot_hold_an_error_gets_none() -> None:
    assert b"" == DIALECT.refuse_in_stream(SURFACES["generate"], "application/json", refusal(502))
    assert b"" == DIALECT.refuse_in_stream(SURFACES["generate.stream"], "application/octet-stream", refusal(502))


async def test_the_client_reads_the_list_of_models_and_one_of_them() -> None:
    entries = [
        ModelEntry(
            "gemini-2.5-pro", surfaces=("generate", "count_tokens.v1"), input_limit=1_000_000, output_limit=65_536
        ),
        ModelEntry("embedder", surfaces=("embed", "chat")),
        ModelEntry("any"),
    ]

    async def handle(request: web.Request) -> web.StreamResponse:
        one = not request.path.endswith("/models")
        body = DIALECT.models(SURFACES["models.get.v1" if one else "models.v1"], entries[:1] if one else entries)
        return web.Response(body=body, content_type="application/json")

    async with client(handle) as sdk:
        listed = [model async for model in await sdk.models.list()]
        model = await sdk.models.get(model="gemini-2.5-pro")

    assert [
        ("models/gemini-2.5-pro", ["generateContent", "countTokens"]),
        ("models/embedder", ["embedContent"]),
        ("models/any", ["generateContent", "countTokens"]),
    ] == [(each.name, each.supported_actions) for each in listed]
    assert ("models/gemini-2.5-pro", "gemini-2.5-pro", 1_000_000, 65_536) == (
        model.name, model.display_name, model.input_token_limit, model.output_token_limit,
    )  # fmt: skip


@pytest.mark.parametrize(("version", "mark"), [(None, ".v1"), ("v1beta", ""), ("v1alpha", ".v1alpha")])
async def test_every_call_of_the_client_is_a_surface(version: str | None, mark: str) -> None:
    called: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        assert DIALECT.claims({name.lower(): value for name, value in request.headers.items()}, request.query_string)
        surface, params = surface_of(request.method, request.path)
        called.append(surface)
        document = await request.json() if request.can_read_body else None
        assert DIALECT.ask(SURFACES[surface], params, request.query_string, document).model in ("m", None)
        return web.Response(body=b"{}", content_type="application/json")

    async with client(handle, version) as sdk:
        await sdk.models.generate_content(model="m", contents="x", config={"system_instruction": "s"})
        async for _ in await sdk.models.generate_content_stream(model="models/m", contents="x"):
            pass
        await sdk.models.count_tokens(model="m", contents="x")
        await sdk.models.embed_content(model="m", contents=["x", "y"])
        await sdk.models.list()
        await sdk.models.get(model="m")

    assert [
        name + mark for name in ("generate", "generate.stream", "count_tokens", "embed.batch", "models", "models.get")
    ] == called


def surface_of(method: str, path: str) -> tuple[str, dict[str, str]]:
    for surface in DIALECT.surfaces:
        pattern = surface.path.replace("{model:path}", "(?P<model>.+)").replace("{model}", "(?P<model>[^/:]+)")
        if surface.method == method and (match := re.fullmatch(pattern, path)):
            return surface.name, match.groupdict()
    return f"{method} {path}", {}
