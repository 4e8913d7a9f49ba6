"""Refusals arrive in the official SDK as its right exceptions, whole and inside a stream; providers' errors are understood."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import orjson
import pytest
from aiohttp import web
from relay_openai.dialect import DIALECT
from relay_openai.errors import read_error

from relay.values.content import CORE
from relay.wire.dialect import Refusal

SSE = "text/event-stream"


@asynccontextmanager
async def answering(status: int, headers: dict[str, str], body: bytes) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, connected to a server that always gives this answer."""

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(status=status, headers=headers, body=body)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    client = openai.AsyncOpenAI(api_key="k", base_url=f"http://{host}:{port}/v1", max_retries=0)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "code", "exception", "type_"),
    [
        (400, "bad_request", openai.BadRequestError, "invalid_request_error"),
        (401, "invalid_key", openai.AuthenticationError, "authentication_error"),
        (402, "insufficient_balance", openai.APIStatusError, "insufficient_quota"),
        (403, "not_allowed", openai.PermissionDeniedError, "permission_error"),
        (404, "unknown_model", openai.NotFoundError, "invalid_request_error"),
        (404, "object_not_found", openai.NotFoundError, "invalid_request_error"),
        (409, "conflict", openai.ConflictError, "invalid_request_error"),
        (413, "too_large", openai.APIStatusError, "invalid_request_error"),
        (422, "unprocessable", openai.UnprocessableEntityError, "invalid_request_error"),
        (429, "rate_limited", openai.RateLimitError, "rate_limit_error"),
        (500, "plugin_failed", openai.InternalServerError, "server_error"),
        (503, "no_target", openai.InternalServerError, "server_error"),
        (529, "overloaded", openai.InternalServerError, "server_error"),
    ],
)
async def test_a_refusal_is_the_sdk_s_right_exception(
    status: int, code: str, exception: type[openai.APIStatusError], type_: str
) -> None:
    answer = DIALECT.refuse(Refusal(code, status, "What to do about it.", "exc_1"))

    async with answering(answer[0], dict(answer[1]), answer[2]) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="m", messages=[])

    assert exception is type(caught.value)
    assert status == caught.value.status_code
    assert ("model_not_found" if code == "unknown_model" else code) == caught.value.code
    assert type_ == caught.value.type
    assert "What to do about it." in caught.value.message
    assert "exc_1" == caught.value.request_id


REFUSAL = Refusal("upstream_incomplete", 502, "It broke off.", "exc_1")
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'


async def test_a_broken_chat_stream_raises_after_what_was_said(kit: Any) -> None:
    end = DIALECT.refuse_in_stream(kit.surface("chat"), SSE, REFUSAL)
    said = []

    async with answering(200, {"content-type": SSE}, CHUNK + end) as client:
        with pytest.raises(openai.APIError) as caught:
            async for chunk in await client.chat.completions.create(model="m", messages=[], stream=True):
                said.append(chunk.choices[0].delta.content)

    assert ["x"] == said
    assert ("upstream_incomplete", "It broke off.") == (caught.value.code, caught.value.message)
    assert b"[DONE]" not in end


async def test_a_broken_response_stream_raises(kit: Any) -> None:
    end = DIALECT.refuse_in_stream(kit.surface("responses"), SSE, REFUSAL)

    async with answering(200, {"content-type": SSE}, end) as client:
        with pytest.raises(openai.APIError, match="It broke off") as caught:
            async for _ in await client.responses.create(model="m", input="x", stream=True):
                pass

    assert "upstream_incomplete" == caught.value.code


async def test_a_broken_picture_stream_raises(kit: Any) -> None:
    end = DIALECT.refuse_in_stream(kit.surface("images.generations"), SSE, REFUSAL)

    async with answering(200, {"content-type": SSE}, end) as client:
        with pytest.raises(openai.APIError, match="It broke off"):
            async for _ in await client.images.generate(model="m", prompt="x", stream=True):
                pass


def test_relay_understands_its_own_end_of_a_stream(kit: Any) -> None:
    for name in ("chat", "completions", "responses", "images.generations", "audio.transcriptions"):
        end = DIALECT.refuse_in_stream(kit.surface(name), kit.SSE, REFUSAL)

        told = kit.read(name, end, kit.SSE)

        assert {"upstream_incomplete"} == {failure.kind for failure in told.only("error")}


def test_a_session_is_told_in_a_message_of_its_own(kit: Any) -> None:
    message = orjson.loads(DIALECT.refuse_in_stream(kit.surface("realtime"), "", REFUSAL))

    assert ("error", "upstream_incomplete") == (message["type"], message["error"]["code"])


def test_a_json_body_cannot_be_mended(kit: Any) -> None:
    assert b"" == DIALECT.refuse_in_stream(kit.surface("chat"), "application/json", REFUSAL)


@pytest.mark.parametrize(
    ("provider", "document", "status", "kind"),
    [
        (
            "openai",
            {"error": {"message": "m", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}},
            401,
            "invalid_api_key",
        ),
        (
            "openai",
            {"error": {"message": "m", "type": "invalid_request_error", "code": "model_not_found"}},
            404,
            "model_not_found",
        ),
        (
            "openai",
            {"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}},
            429,
            "insufficient_quota",
        ),
        ("openai", {"error": {"message": "m", "type": "requests", "code": None}}, 429, "requests"),
        ("mistral", {"detail": "Unauthorized"}, 500, ""),
        ("voyage", {"detail": [{"loc": ["body"], "msg": "field required"}]}, 500, ""),
        (
            "mistral",
            {"object": "error", "message": "m", "type": "rate_limit_error", "code": "1300"},
            429,
            "rate_limit_error",
        ),
        (
            "xai",
            {"code": "Client specified an invalid argument", "error": "Incorrect API key provided"},
            400,
            "Client specified an invalid argument",
        ),
        ("openrouter", {"error": {"message": "m", "code": 402}}, 402, ""),
        ("perplexity", {"error": {"message": "m", "type": "invalid_model", "code": 400}}, 400, "invalid_model"),
        ("azure", {"error": {"code": "401", "message": "m"}}, 401, ""),
        (
            "gemini",
            [{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}],
            429,
            "RESOURCE_EXHAUSTED",
        ),
        ("gemini", [{"error": {"message": "m", "status": "UNAVAILABLE"}}], 503, "UNAVAILABLE"),
        (
            "vllm",
            {
                "object": "error",
                "message": "This model's maximum context length is 4096",
                "type": "BadRequestError",
                "code": 400,
            },
            400,
            "context_length_exceeded",
        ),
        (
            "together",
            {"error": {"message": "the prompt is too long", "type": "invalid_request_error", "code": None}},
            400,
            "context_length_exceeded",
        ),
    ],
)
def test_each_provider_s_error_is_understood(provider: str, document: Any, status: int, kind: str) -> None:
    failure = read_error(document)

    assert failure is not None
    assert (status, kind) == (failure.status, failure.kind)
    assert failure.message is not None
    assert failure.message.text(CORE)


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "error",
        [],
        [{"a": 1}, {"error": "x"}],
        {},
        {"error": None},
        {"choices": [], "detail": "x"},
        {"object": "list"},
    ],
)
def test_what_reports_no_error_is_none(document: Any) -> None:
    assert read_error(document) is None
