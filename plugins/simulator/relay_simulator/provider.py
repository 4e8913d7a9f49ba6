"""The provider as a whole: all endpoints of all dialects, and the pages on which it tells what it did."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from relay_simulator import anthropic, gemini, openai
from relay_simulator.ask import Document
from relay_simulator.endpoint import Endpoint, Manner
from relay_simulator.fault import ClientLeft, Fault
from relay_simulator.form import read_form
from relay_simulator.journal import Journal
from relay_simulator.script import Script, read_script
from relay_simulator.serving import Serving
from relay_simulator.settings import SimulatorSettings
from relay_simulator.shelf import Shelf
from relay_simulator.tally import Tally

ROOT = "/-/simulator"
_LARGEST_BODY = 512 << 20
_CREDENTIALS = frozenset(("authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request exactly as it came. `headers` and `body` hold what was sent: only for tests, only in memory."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Provider:
    """Serves requests once it has been opened."""

    def __init__(self, settings: SimulatorSettings, *, record: bool = False) -> None:
        self.recorded: list[Recorded] = []
        self._settings = settings
        self._record = record
        self._seed = ""
        self._served = 0
        self._shelf: Shelf | None = None
        self._tally: Tally | None = None

    def open(self, folder: Path, *, seed: str) -> None:
        """Begin to serve. `folder` keeps objects and the journal; ids are derived from `seed`, which two processes must not share."""
        self._seed = seed
        self._shelf = Shelf(folder / "objects")
        self._tally = Tally(Journal(self._settings.tally_file or folder / "journal.jsonl"), self._settings.last)

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of everything the provider answers."""
        found: list[tuple[str, str, Handler]] = [
            ("GET", f"{ROOT}/tally", self._show_tally),
            ("POST", f"{ROOT}/tally/reset", self._reset_tally),
            ("GET", f"{ROOT}/last", self._show_last),
        ]
        for family in (openai, anthropic, gemini):
            root = f"{ROOT}/{family.MANNER.name}"
            found.extend(
                (one.method, root + one.path, self._handler(family.MANNER, one, root)) for one in family.ENDPOINTS
            )
        return found

    def _handler(self, manner: Manner, endpoint: Endpoint, root: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, manner, endpoint, root)

        return handle

    async def _serve(self, request: web.Request, manner: Manner, endpoint: Endpoint, root: str) -> web.StreamResponse:
        if self._shelf is None or self._tally is None:
            raise web.HTTPServiceUnavailable(text="The simulator is not open yet.")
        self._served += 1
        seed = f"{self._seed}/{self._served}"
        base = f"{request.scheme}://{request.host}{root}"
        serving = Serving(request, manner, endpoint, self._shelf, seed, self._settings.pace, base)
        head: Document | None = None
        try:
            body = await _body(request)
            wrong = await _understand(serving, body)
            head = _head(serving, body)
            self._tally.came(head)
            if self._record:
                self.recorded.append(Recorded(request.method, request.path_qs, tuple(request.headers.items()), body))
            try:
                self._check_key(serving)
                if wrong is not None:
                    raise wrong
                serving.script = self._steer(serving, body)
                await serving.faults()
                return await endpoint.run(serving)
            except Fault as fault:
                return await serving.refuse(fault)
        except ClientLeft:
            # aiohttp wants an answer to write; on a connection that is closing it goes nowhere.
            return web.Response(status=500)
        finally:
            if head is not None:
                sent = {"events": serving.events, "bytes": serving.bytes}
                self._tally.ended(head, serving.outcome, serving.status, sent, serving.reported, serving.served)

    def _check_key(self, serving: Serving) -> None:
        if self._settings.key is None:
            return
        given = serving.manner.credential(serving.request)
        if given is None or not hmac.compare_digest(given.encode(), self._settings.key.open().encode()):
            raise serving.manner.wrong_key(given is None)

    def _steer(self, serving: Serving, body: bytes) -> Script:
        text = serving.manner.steering({**serving.form.fields, **serving.document})
        script = read_script(text, serving.model, serving.request.headers)
        if script.times is None or self._shelf is None:
            return script
        mark = hashlib.sha256(body).hexdigest()
        tries = (self._shelf.find("try", mark) or {"tries": 0})["tries"] + 1
        self._shelf.put("try", mark, {"tries": tries})
        return script if tries <= script.times else script.healed()

    async def _show_tally(self, request: web.Request) -> web.StreamResponse:
        tally = self._told()
        if (wanted := request.query.get("request")) is None:
            return web.json_response(tally.sums())
        found = tally.one(wanted)
        if found is None:
            return web.json_response({"error": "no such request among the last ones"}, status=404)
        return web.json_response(found)

    async def _reset_tally(self, request: web.Request) -> web.StreamResponse:
        self._told().reset()
        return web.json_response({"reset": True})

    async def _show_last(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"last": self._told().heads()})

    def _told(self) -> Tally:
        if self._tally is None:
            raise web.HTTPServiceUnavailable(text="The simulator is not open yet.")
        return self._tally


PROVIDER: web.AppKey[Provider] = web.AppKey("provider", Provider)


def application(
    settings: SimulatorSettings | None = None, *, record: bool = False, folder: Path | None = None
) -> web.Application:
    """The provider as an application of its own, under the same paths as inside Relay.

    Without a folder its objects and its journal live in a temporary one. With `record` the exact bytes of all requests are
    kept in `app[PROVIDER].recorded`.
    """
    provider = Provider(settings or SimulatorSettings(), record=record)
    app = web.Application()
    app[PROVIDER] = provider
    for method, path, handler in provider.routes():
        app.router.add_route(method, path, handler)

    async def opened(_: web.Application) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="relay-simulator-") as temporary:
            provider.open(folder or Path(temporary), seed=secrets.token_hex(8))
            yield

    app.cleanup_ctx.append(opened)
    return app


async def _body(request: web.Request) -> bytes:
    """:raises Fault: 413. :raises ClientLeft: it left before it had said everything."""
    body = bytearray()
    try:
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise web.HTTPRequestEntityTooLarge(_LARGEST_BODY, len(body))
    except ConnectionError as gone:
        raise ClientLeft from gone
    return bytes(body)


async def _understand(serving: Serving, body: bytes) -> Fault | None:
    """Read the body into the serving. A Fault says what is wrong with it; it is raised when the key has been checked."""
    request = serving.request
    try:
        if request.content_type.startswith("multipart/"):
            serving.form = await read_form(request.headers["Content-Type"], body)
        elif body and (request.content_type == "application/json" or body[:1] == b"{"):
            document: Any = orjson.loads(body)
            if not isinstance(document, dict):
                return Fault(400, "The body must be a JSON object.")
            serving.document = document
    except Fault as fault:
        return fault
    except orjson.JSONDecodeError:
        return Fault(400, "We could not parse the JSON body of your request.")
    model = serving.document.get("model", serving.form.fields.get("model"))
    named = request.match_info.get("model") or request.query.get("model") or model
    if isinstance(named, str):
        serving.model = named
    return None


def _head(serving: Serving, body: bytes) -> Document:
    """What `/last` shows of a request: names, never values; the body only by its size and hash."""
    request = serving.request
    return {
        "request": serving.id,
        "dialect": serving.manner.name,
        "surface": serving.endpoint.surface,
        "model": serving.model,
        "method": request.method,
        "path": request.path,
        "query": sorted(request.query),
        "headers": [name for name, _ in request.headers.items()],
        "credentials": {
            name: "present"
            for name in sorted({*(name.lower() for name in request.headers), *(f"?{name}" for name in request.query)})
            if name in _CREDENTIALS or name == "?key"
        },
        "body": {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()},
    }
