"""The side of the client: aiohttp's low-level server with our limits; each request to a surface becomes one exchange.

What is used of aiohttp beyond its documentation is named in `relay.engine.listener`, and pinned there.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from relay.call import Call
from relay.engine.gateway import Gateway, body_of
from relay.engine.intake import Intake
from relay.engine.match import Matched, Surfaces
from relay.engine.outlet import Outlet
from relay.engine.run import Run
from relay.engine.session import Client, Session
from relay.engine.stream import Stream
from relay.errors import Refused, StreamBroken
from relay.exchange import Exchange, Reply
from relay.ports import PRESENTED_KEY
from relay.values.secret import Secret
from relay.wire.dialect import Dialect, Surface

NOWHERE = Surface("none", "GET", "", body="none", model="none", generates=False)
"""The surface of a request that matches none: it is refused, and logged, as any other."""


class Downstream:
    """Requests to surfaces become exchanges; all others are the application's."""

    def __init__(self, gateway: Gateway, surfaces: Surfaces, intake: Intake, pages: web.Application) -> None:
        self._gateway = gateway
        self._surfaces = surfaces
        self._intake = intake
        self._pages = pages
        self.open: set[Run] = set()
        self._idle: asyncio.Event | None = None
        self.is_draining = False

    def request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        """A bare request for a surface, the application's own kind for the rest (aiohttp's `request_factory`)."""
        if self._surfaces.covers(message.path):
            return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
        return self._pages._make_request(message, payload, protocol, writer, task)

    async def handle(self, request: web.BaseRequest) -> Any:
        """One request, whatever it is."""
        if isinstance(request, web.Request):
            return await self._page(request)
        run = Run(self._gateway)
        self.open.add(run)
        outlet = Outlet(request)
        try:
            return await self._exchange(request, run, outlet)
        except asyncio.CancelledError:
            run.is_client_gone = True
            raise
        except ConnectionResetError:
            run.is_client_gone = True
            return outlet.done()
        except Exception as error:
            self._gateway.failed(run.exchange, error)
            run.exchange.outcome, run.exchange.error = "failed", "reply_failed"
            if outlet.has_begun:
                outlet.cut()
            else:
                self._whole(
                    request, run, outlet, self._gateway.refusal(run.exchange, Refused("reply_failed")), close=True
                )
            return outlet.done()
        finally:
            try:
                await run.finish()
            finally:
                self.open.discard(run)
                if self._idle is not None and not self.open:
                    self._idle.set()

    async def idle(self, at_most_s: float) -> None:
        """Wait until no exchange is under way, at most so many seconds."""
        self._idle = asyncio.Event()
        if self.open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), max(0.0, at_most_s))

    async def _exchange(self, request: web.BaseRequest, run: Run, outlet: Outlet) -> Any:
        intake = self._intake
        path, _, query = request.raw_path.partition("?")
        client = intake.client(request)
        is_suspect = True
        try:
            intake.admit(request, client)
            is_suspect = False
            if self.is_draining:
                raise Refused("not_ready", retry_after_s=1)
            matched = self._surfaces.match(request.method, path, request.headers, query)
        except Refused as refused:
            call = Call(self._surfaces.speaker(path, request.headers, query), NOWHERE)
            run.exchange = Exchange(call, client, run)
            return self._refused(request, run, outlet, refused, close=is_suspect or self.is_draining)
        except Exception:
            # A dialect stumbled over the head: there is an exchange to tell of it.
            run.exchange = Exchange(Call(self._surfaces.first, NOWHERE), client, run)
            raise
        dialect = matched.dialect
        run.exchange = exchange = Exchange(Call(dialect, matched.surface, params=matched.params), client, run)
        try:
            if matched.surface.websocket:
                return await self._realtime(request, run, outlet, query)
            exchange.call = await intake.call(request, matched, query)
        except Refused as refused:
            return self._refused(request, run, outlet, refused, close=False)
        key = _presented(request, dialect, query)
        if key is not None:
            exchange.set(PRESENTED_KEY, key)
        reply = await run.reply()
        if isinstance(reply.source, Stream):
            await self._streamed(request, run, outlet, reply)
        else:
            self._whole(request, run, outlet, reply)
        return outlet.done()

    def _refused(self, request: web.BaseRequest, run: Run, outlet: Outlet, refused: Refused, *, close: bool) -> Any:
        """Refused before the chain was reached."""
        exchange = run.exchange
        exchange.outcome, exchange.error = "refused", refused.code
        reply = self._gateway.refusal(exchange, refused)
        exchange.status = reply.status
        self._whole(request, run, outlet, reply, close=close)
        return outlet.done()

    def _whole(self, request: web.BaseRequest, run: Run, outlet: Outlet, reply: Reply, *, close: bool = False) -> None:
        body = body_of(reply)
        outlet.head(self._gateway, run.exchange, reply, len(body), close=close)
        outlet.whole(body)
        run.whole_written(reply, len(body))

    async def _streamed(self, request: web.BaseRequest, run: Run, outlet: Outlet, reply: Reply) -> None:
        stream = reply.source
        assert isinstance(stream, Stream)
        if stream.ended and not stream.is_stream:
            # All of it is here: one write, with its length.
            try:
                body = await run.whole(reply)
                if body is None:
                    body = b"".join([piece async for piece in run.pieces(reply)])
            except StreamBroken as broken:
                replaced = self._gateway.refusal(run.exchange, Refused(broken.code, broken.message))
                run.exchange.status = replaced.status
                self._whole(request, run, outlet, replaced)
                return
            outlet.head(self._gateway, run.exchange, reply, len(body))
            outlet.whole(body)
            run.written(len(body))
            return
        outlet.head(self._gateway, run.exchange, reply, None)
        try:
            async with contextlib.aclosing(run.pieces(reply)) as leaving:
                async for piece in leaving:
                    try:
                        await outlet.piece(piece)
                    except asyncio.CancelledError as cancelled:
                        # Stopped while the client is slow to read: the stream says so, and nobody waits for the client.
                        outlet.write(await leaving.athrow(cancelled))
                    run.written(len(piece))
            outlet.write(b"", last=True)
            run.written(0)
        except StreamBroken:
            outlet.cut()

    async def _realtime(self, request: web.BaseRequest, run: Run, outlet: Outlet, query: str) -> Any:
        """A session: refused as any other request while it is not open, afterwards with an error message and a close."""
        exchange = run.exchange
        client = Client(request)
        if not client.can_open:
            raise Refused("upgrade_required", headers={"upgrade": "websocket"})
        exchange.call = await self._intake.call(
            request, Matched(exchange.call.dialect, exchange.call.surface, exchange.call.params), query
        )
        exchange.inbound = Reply(101, (), dialect=exchange.call.dialect, surface=exchange.call.surface)
        key = _presented(request, exchange.call.dialect, query)
        if key is not None:
            exchange.set(PRESENTED_KEY, key)
        reply = await run.reply()
        if not isinstance(reply.source, Session):
            self._whole(request, run, outlet, reply)
            return outlet.done()
        return await client.talk(run, reply)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """A route of a plugin, or nothing: what goes wrong there is told without a word of the request or of the error."""
        client = self._intake.client(request)
        late: asyncio.TimerHandle | None = None
        response: web.StreamResponse
        try:
            self._intake.admit(request, client)
            if self._intake.encoding(request) is not None:
                raise Refused("unsupported_encoding")
            if not request.content.is_eof():
                loop = asyncio.get_running_loop()
                late = loop.call_later(self._intake.limits.body_s, _late, request)
            response = await self._pages._handle(request)
        except Refused as refused:
            response = self._problem(refused)
            response.force_close()
        except web.HTTPException as told:
            told.headers["Server"] = "relay"
            raise
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            self._gateway.log("page_failed", route=_route(request), error=type(error).__name__)
            if request.writer.output_size > 0:
                raise ConnectionError("the page failed after it had begun") from None
            response = self._problem(Refused("plugin_failed", "A part of the relay failed."))
        finally:
            if late is not None:
                late.cancel()
        if not response.prepared:
            response.headers["Server"] = "relay"
        return response

    def _problem(self, refused: Refused) -> web.Response:
        code = self._gateway.codes[refused.code]
        problem = {
            "type": "about:blank",
            "title": refused.message or code.meaning,
            "status": code.status,
            "code": code.code,
        }
        return web.json_response(
            problem,
            status=code.status,
            content_type="application/problem+json",
            headers={**refused.headers, "x-relay-error": code.code},
        )


def _late(request: web.Request) -> None:
    """The body of a page's request has not come in time."""
    if not request.content.is_eof():
        request.protocol.force_close()


def _route(request: web.Request) -> str:
    """The route's template: a path's own text may hold anything."""
    resource = request.match_info.route.resource if request._match_info is not None else None
    return resource.canonical if resource is not None else ""


def _presented(request: web.BaseRequest, dialect: Dialect, query: str) -> Secret | None:
    """The key the client presented, where its dialect puts keys."""
    headers = request.headers
    for name in dialect.key_headers:
        value = headers.get(name)
        if value is None:
            continue
        if name == "authorization":
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "bearer":
                continue
        return Secret(value.strip())
    if dialect.key_query is not None and query:
        for part in query.split("&"):
            name, _, value = part.partition("=")
            if name == dialect.key_query:
                return Secret(value)
    return None
