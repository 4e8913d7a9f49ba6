"""P34: logged paths and URLs carry no secrets; nor does anything else that Relay writes or tells."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import string
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from relay.testing.upstream import RESET, ScriptedUpstream, Step, answer, stream

from .asking import MODELS, ask, carrying, path, signed
from .deployed import Deployed, deployed, free_port, make_key, provider, relay_command, shipped, write
from .taps import found_in

pytestmark = pytest.mark.asyncio(loop_scope="module")
_ALPHABET = string.ascii_letters + string.digits
_JSON = [("content-type", "application/json")]
_STATUSES = (302, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503)


def canary(prefix: str = "") -> str:
    """Something that looks like a key and stands nowhere else."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(32))


@dataclass
class House:
    """A relay, and everything secret that was ever put in; what clients were told in errors is kept in `told`."""

    relay: Deployed
    kept: dict[str, str]
    told: list[bytes] = field(default_factory=list)

    def new(self, what: str) -> str:
        """A key of a client's."""
        return self.kept.setdefault(f"{what} {len(self.kept)}", canary("sk-proj-"))

    def marks(self) -> Iterator[tuple[str, bytes]]:
        """Every form in which a secret could be written."""
        for what, secret in self.kept.items():
            # The first half would be too much, too.
            yield what, secret[: len(secret) // 2 + 4].encode()
            yield f"{what}, as base 64", base64.b64encode(secret.encode())[:24]
            yield f"{what}, as percents", "".join(f"%{ord(letter):02x}" for letter in secret[:12]).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    kept = {f"key of {name}": canary("sk-") for name in MODELS} | {
        "proxy password": canary(),
        "secret path": canary(),
        "secret header": canary(),
    }
    environment = {name.replace(" ", "_").upper(): secret for name, secret in kept.items()}
    async with AsyncExitStack() as stack:
        quoting = await stack.enter_async_context(ScriptedUpstream())
        _script(quoting, {name: kept[f"key of {name}"] for name in MODELS})
        nobody = f"127.0.0.1:{free_port()}"
        header = {"headers": {"x-account": kept["secret header"]}, "retry": {"tries": 1}}
        providers = {
            name: provider(quoting.url, name, key={"env": f"KEY_OF_{name.upper()}"}, **header) for name in MODELS
        }
        proxy = f"http://me:{kept['proxy password']}@{nobody}"
        providers["proxied"] = provider(f"http://{nobody}", "openai", proxy=proxy)
        providers["tunnelled"] = provider(f"https://{nobody}", "openai", proxy=proxy)
        providers["closed"] = provider(f"http://{nobody}/{kept['secret path']}", "openai")
        models = {name: [{"provider": name}] for name in ("proxied", "tunnelled", "closed")}
        configuration = shipped(
            routing={"providers": providers, "models": models, "breaker": {"failures": 1000}},
            limits={"body_bytes": "64KiB", "body_seconds": "1s", "header_seconds": "1s"},
        )  # fmt: skip
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        key = kept["client's key"] = make_key(folder, configuration)
        relay = await stack.enter_async_context(deployed(folder, configuration))
        relay.key = key
        yield House(relay, kept)


def _script(quoting: ScriptedUpstream, keys: Mapping[str, str]) -> None:
    """Providers that quote their keys in the error that a request's text asks for."""

    def play(key: str, manner: str, *steps: Step) -> None:
        quoting.play(*steps, when=lambda request: manner.encode() in request.body and key.encode() in request.head)

    for key in keys.values():
        words = f"Incorrect key provided: {key}. Find your key in the console."
        error = {"type": "invalid_request_error", "code": 400, "status": "INVALID_ARGUMENT", "message": words}
        body = json.dumps({"type": "error", "error": error}).encode()
        for status in _STATUSES:
            play(key, f"status-{status};", *answer(status, _JSON, body))
        play(key, "early-error;", *stream([b"event: error\ndata: " + body + b"\n\n"]))
        play(key, "error-as-200;", *answer(200, _JSON, body))
        play(key, "breaks;", *stream([b"data: {", RESET]))


@pytest.mark.parametrize("dialect", MODELS)
async def test_P34_a_provider_that_quotes_credentials_in_its_errors_is_not_repeated(house: House, dialect: str) -> None:
    manners = [f"status-{status};" for status in _STATUSES] + ["early-error;", "error-as-200;", "breaks;"]
    statuses = {}
    for manner in manners:
        statuses[manner] = await _ask(house, dialect, manner, stream=manner in ("early-error;", "breaks;"))

    assert [] == [manner for manner, status in statuses.items() if status < 400]
    assert [] == [what for what, mark in house.marks() for told in house.told if mark in told]
    await _nothing_is_written_down(house)


async def test_P34_addresses_and_passwords_of_unreachable_providers_are_not_told(house: House) -> None:
    statuses = [await _ask(house, "openai", "hi", model=model) for model in ("proxied", "tunnelled", "closed")]

    assert [502, 502, 502] == statuses
    assert [] == [what for what, mark in house.marks() for told in house.told if mark in told]
    await _nothing_is_written_down(house)


async def test_P34_keys_in_queries_headers_and_paths_are_not_written_down(house: House) -> None:
    for request in _requests(house):
        await _send(house, request)

    await house.relay.until("exchange", 20)
    await _nothing_is_written_down(house)


async def test_P34_keys_in_what_cannot_be_read_as_a_request_are_not_written_down_nor_repeated(house: House) -> None:
    house.told.clear()
    for request in _broken(house):
        house.told.append(await _send(house, request))

    assert [] == [what for what, mark in house.marks() for told in house.told if mark in told]
    await _nothing_is_written_down(house)


async def test_P34_a_configuration_that_cannot_be_used_is_reported_without_its_secrets(tmp_path: Path) -> None:
    password, query = canary(), canary()
    configuration = shipped()
    for entry in configuration["plugins"]:
        if "routing" in entry:
            entry["routing"]["providers"] = {
                "user": provider(f"http://me:{password}@127.0.0.1/v1", "openai"),
                "query": provider(f"http://127.0.0.1/v1?key={query}", "openai"),
                "proxy": provider("http://127.0.0.1", "openai", proxy=f"ftp://me:{password}@127.0.0.1:1/{query}"),
                "plain": provider("http://127.0.0.1", "openai", key=query),
                "header": provider("http://127.0.0.1", "openai", headers={"x-key": f"{query}\n"}),
            }
            entry["routing"]["models"] = {}
    configuration["redis"] = {"url": f"redis://:{password}@127.0.0.1"}
    config = write(tmp_path, configuration, free_port(), free_port())

    status, said = await relay_command("serve", "--config", str(config))

    assert 1 == status
    assert 6 <= said.count(f"{config}:")
    assert [] == [what for what in (password, query) if what in said]


async def _nothing_is_written_down(house: House) -> None:
    """Neither on the outputs, nor in metrics, nor on operators' pages, nor in a file of the data folder."""
    await asyncio.sleep(0.1)  # the log is written a moment later
    written = {"outputs": bytes(house.relay.said)}
    for page in ("/-/metrics", "/-/health/ready", "/-/simulator/tally", "/-/simulator/last"):
        written[page] = (await house.relay.get(page))[1].encode()
    hits = [(what, where) for what, mark in house.marks() for where, text in written.items() if mark in text]
    hits += [(what, file) for what, mark in house.marks() for file in found_in(house.relay.data, mark)]
    assert [] == hits


async def _ask(house: House, dialect: str, words: str, *, model: str | None = None, stream: bool = False) -> int:
    """Ask a provider; the answer is kept if it is an error. Returns its status."""
    surface = next(each for each in carrying(dialect) if each.generates)
    asked = ask(dialect, surface, words, model=model, stream=stream and dialect != "gemini")
    async with (
        aiohttp.ClientSession(headers=signed(dialect, house.relay.key)) as session,
        session.post(house.relay.url + path(surface, {}, MODELS[dialect]), **asked) as reply,
    ):
        said = await reply.read()
    if reply.status >= 400:
        house.told.append(said + str(reply.headers).encode())
    return reply.status


def _requests(house: House) -> Iterator[str]:
    """Requests that can be read, with a key wherever a client may put one by mistake."""
    mine = f"authorization: Bearer {house.relay.key}\r\n"
    for place in ("/v1/models", "/v1beta/models", "/-/health/live", "/nowhere"):
        for name in ("key", "api_key", "access_token", "%6Bey", "password"):
            yield _get(f"{place}?{name}={house.new('query')}")
            yield _get(f"{place}?a=b&{name}={''.join(f'%{ord(letter):02x}' for letter in house.new('percents'))}", mine)
    for place in ("/v1/models/{}", "/v1/files/{}", "/v1/files/{}/content", "/v1/responses/{}", "/{}", "/v1/{}", "/v1/x/{}",
                 "/v1beta/models/{}", "/-/{}", "/openai/v1/models/{}"):  # fmt: skip
        yield _get(place.format(house.new("path")))
        yield _get(place.format(house.new("path")), mine)
    yield _post(f"/v1beta/models/{house.new('path')}:generateContent", '{"contents":[]}', mine)
    yield _post("/v1/chat/completions", json.dumps({"model": house.new("model"), "messages": []}))
    basic = base64.b64encode(house.new("basic").encode()).decode()
    for line in (f"authorization: Basic {basic}", f"authorization: Token {house.new('header')}", f"authorization: {house.new('header')}",
                 f"x-api-key: {house.new('header')}", f"x-goog-api-key: {house.new('header')}", f"api-key: {house.new('header')}",
                 f"cookie: session={house.new('header')}", f"x-key: {house.new('header')}", f"proxy-authorization: {house.new('header')}",
                 f"referer: http://x/?key={house.new('header')}", f"user-agent: {house.new('header')}",
                 f"x-request-id: {house.new('header')}", f"host: {house.new('header')}"):  # fmt: skip
        yield _get("/v1/models", f"{line}\r\n")
        yield _get("/nowhere", f"{line}\r\n")
    yield _get("/v1/realtime?model=gpt-realtime",
               "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
               f"sec-websocket-protocol: realtime, openai-insecure-api-key.{house.new('protocol')}\r\n")  # fmt: skip


def _broken(house: House) -> Iterator[str]:
    """Requests that cannot be read, with a key in the place that is wrong."""
    yield f"GET http://me:{house.new('user')}@127.0.0.1/v1/models HTTP/1.1\r\nhost: relay\r\n\r\n"
    yield f"GET /v1/models?key={house.new('query')} HTTP/9.9\r\nhost: relay\r\n\r\n"
    yield f"GET /v1 {house.new('line')} HTTP/1.1\r\nhost: relay\r\n\r\n"
    yield f"{house.new('method')} /v1/models HTTP/1.1\r\nhost: relay\r\n\r\n"
    yield f"CONNECT {house.new('host')}:443 HTTP/1.1\r\nhost: relay\r\n\r\n"
    yield f"{house.new('line')}\r\n\r\n"
    yield f"GET /v1/models#{house.new('fragment')} HTTP/1.1\r\nhost: relay\r\n\r\n"
    yield _get("/v1/models", f"x-api-key {house.new('header')}\r\n")
    yield _get("/v1/models", f"x-api-key: \x01{house.new('header')}\r\n")
    yield _get("/v1/models", f"x-api-key: {house.new('header') * 1000}\r\n")
    yield _get(f"/v1/models?key={house.new('query') * 1000}")
    yield _get("/v1/models", f"transfer-encoding: {house.new('header')}\r\n")
    yield _get("/v1/models", f"expect: {house.new('header')}\r\n")
    yield _get("/v1/models", f"content-length: {house.new('header')}\r\n")
    mine = f"authorization: Bearer {house.relay.key}\r\n"
    yield _post("/v1/chat/completions", house.new("no JSON"), mine)
    yield _post("/v1/chat/completions", '{"model":"' + house.new("no JSON"), mine)
    yield _post("/v1/chat/completions", "{}", f"{mine}content-encoding: {house.new('encoding')}\r\n")
    yield _post("/v1/chat/completions", house.new("no gzip"), f"{mine}content-encoding: gzip\r\n")
    yield _post("/v1/chat/completions", house.new("long") * 4000, mine)
    yield _post("/v1/files", house.new("no form"), mine, f"multipart/form-data; boundary={house.new('boundary')}")
    chunked = f"POST /v1/chat/completions HTTP/1.1\r\nhost: relay\r\n{mine}transfer-encoding: chunked\r\n\r\n"
    yield f"{chunked}{house.new('chunk')}\r\n"
    yield f"{chunked}5\r\n{house.new('chunk')}\r\n"


def _get(path: str, more: str = "") -> str:
    host = "" if more.startswith("host:") else "host: relay\r\n"
    return f"GET {path} HTTP/1.1\r\n{host}{more}connection: close\r\n\r\n"


def _post(path: str, body: str, more: str = "", kind: str = "application/json") -> str:
    head = f"POST {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n{more}\r\n{body}"


async def _send(house: House, request: str) -> bytes:
    """All that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.relay.port)
    said = b""
    try:
        writer.write(request.encode("latin-1"))
        async with asyncio.timeout(5):
            while piece := await reader.read(65536):
                said += piece
    except ConnectionError:
        return said
    finally:
        writer.close()
    return said
