"""One request being served: what it asks, what has been sent for it so far, and every way an answer can go out or go wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from relay import Usage
from relay_simulator.ask import Document
from relay_simulator.endpoint import Endpoint, Manner, Piece
from relay_simulator.fault import ClientLeft, Fault
from relay_simulator.figures import plus, so_far
from relay_simulator.form import Form
from relay_simulator.script import Script
from relay_simulator.shelf import Shelf
from relay_simulator.tally import flat

_LOOK_S = 0.05
"""While it waits, it looks so often whether the client is still there: nothing wakes a handler whose client leaves."""
_PATIENCE_S = 600.0


class Serving:
    """Made for one request; the endpoint answers through `json`, `blob` or `stream` exactly once."""

    def __init__(
        self, request: web.Request, manner: Manner, endpoint: Endpoint, shelf: Shelf, seed: str, pace: float, base: str
    ) -> None:
        self.request = request
        self.manner = manner
        self.endpoint = endpoint
        self.shelf = shelf
        self.base = base
        """URL of the dialect's root, for answers that name further ones."""
        self.script = Script()
        self.document: Document = {}
        self.form = Form()
        self.model = ""
        self.outcome = "cut"
        self.status = 0
        self.events = 0
        self.bytes = 0
        self.reported: dict[str, int] = {}
        self.served = Usage()
        self._seed = seed
        self._minted = 0
        self._pace = pace
        self.id = self.mint("req_")

    def param(self, name: str) -> str:
        """A parameter of the path."""
        return self.request.match_info[name]

    def mint(self, before: str, letters: int = 24) -> str:
        """A new id: a hash of the request's number and how many ids it has had."""
        self._minted += 1
        return before + hashlib.sha256(f"{self._seed}/{self._minted}".encode()).hexdigest()[:letters]

    async def json(
        self, document: Any, *, usage: Usage | None = None, reported: Document | None = None, status: int = 200
    ) -> web.StreamResponse:
        """Answer with a JSON document. `usage` is what was really consumed, `reported` what the document says."""
        return await self.blob(
            orjson.dumps(document), "application/json", usage=usage, reported=reported, status=status
        )

    async def blob(
        self,
        body: bytes,
        content_type: str,
        *,
        usage: Usage | None = None,
        reported: Document | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.StreamResponse:
        """Answer with a body of known length."""
        script = self.script
        if status < 400:
            if script.error_in_stream is not None:
                fault = Fault(500, "The simulator failed, as it was asked to.", code="server_error")
                body, usage, reported = orjson.dumps(self.manner.failure(fault, self.id)), None, None
            elif script.garbage is not None:
                body = b"<html>Bad Gateway</html>{"
            if script.cut == 0:
                raise self.leave()
        response = web.StreamResponse(status=status, headers={**self._headers(), **(headers or {})})
        response.content_type = content_type
        response.content_length = len(body)
        if status < 400 and (script.cut is not None or script.silent is not None):
            half = body[: len(body) // 2]
            await self._open(response)
            await self._write(response, half, 1)
            await self._stay(script)
            raise self.leave()
        await self._open(response)
        await self._write(response, body, 1)
        await self._close(response)
        self._settle(usage, reported)
        self.outcome = "refused" if status >= 400 else "failed" if script.error_in_stream is not None else "completed"
        return response

    async def stream(
        self,
        pieces: Iterable[Piece],
        usage: Usage,
        *,
        content_type: str = "text/event-stream",
        trouble: Sequence[Piece] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> web.StreamResponse:
        """Answer piece by piece at the script's pace. `trouble` is what tells of an error, where it is not the dialect's usual event."""
        script = self.script
        if script.cut == 0:
            raise self.leave()
        response = web.StreamResponse(headers={**self._headers(), **(headers or {})})
        response.content_type = content_type
        pace = self._pace if script.pace is None else script.pace
        words = 0
        await self._open(response)
        try:
            for at, piece in enumerate(pieces):
                if pace and at:
                    await self.wait(pace)
                if at == script.error_in_stream:
                    fault = Fault(500, "The simulator failed, as it was asked to.", code="server_error")
                    for bad in trouble or (Piece(self.manner.trouble(fault, self.id)),):
                        await self._write(response, bad.data, 1)
                    await self._close(response)
                    self.outcome = "failed"
                    break
                if at == script.cut or at == script.silent:
                    await self._stay(script)
                    raise self.leave()
                if at == script.garbage:
                    await self._write(response, b'data: {"garbage": \n\n', 0)
                await self._write(response, piece.data, 1)
                words += piece.words
                if piece.reported:
                    self.reported |= flat(piece.reported)
            else:
                await self._close(response)
                self.outcome = "completed"
        finally:
            self.served = usage if self.outcome == "completed" else so_far(usage, words)
        return response

    async def refuse(self, fault: Fault) -> web.StreamResponse:
        """Answer with the dialect's own error."""
        headers = {"retry-after": f"{fault.retry_after_s:g}"} if fault.retry_after_s is not None else {}
        body = orjson.dumps(self.manner.failure(fault, self.id))
        return await self.blob(body, "application/json", status=fault.status, headers=headers)

    async def faults(self) -> None:
        """What happens before the head: the delay, the error status, the silence. :raises Fault: · :raises ClientLeft:"""
        script = self.script
        if script.delay:
            await self.wait(script.delay)
        if script.silent == 0:
            await self._stay(script)
            raise self.leave()
        if script.status is not None and script.status >= 400:
            raise Fault(script.status, "The simulator refuses, as it was asked to.", retry_after_s=script.retry_after)

    async def wait(self, seconds: float) -> None:
        """Pass the time. :raises ClientLeft: as soon as nobody waits any more."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _LOOK_S))
            if self._gone():
                raise ClientLeft

    def bill(self, usage: Usage, reported: Document | None) -> None:
        """Add what one turn of a longer exchange (a realtime session) has consumed."""
        self.served = plus(self.served, usage)
        for name, value in flat(reported or {}).items():
            self.reported[name] = self.reported.get(name, 0) + value

    def _settle(self, usage: Usage | None, reported: Document | None) -> None:
        self.served = usage or Usage()
        self.reported = flat(reported or {})

    def _headers(self) -> dict[str, str]:
        return {self.manner.request_header: self.id, **self.manner.headers()}

    async def _stay(self, script: Script) -> None:
        """Be silent until the client leaves, where the script says silence and not a cut."""
        if script.silent is not None:
            await self.wait(_PATIENCE_S)

    def leave(self) -> ClientLeft:
        """Close the connection without a proper end. What was written still goes out."""
        if self.request.transport is not None:
            self.request.transport.close()
        return ClientLeft()

    def _gone(self) -> bool:
        transport = self.request.transport
        return transport is None or transport.is_closing()

    async def _open(self, response: web.StreamResponse) -> None:
        self.status = response.status
        try:
            await response.prepare(self.request)
        except ConnectionError as gone:
            raise ClientLeft from gone

    async def _write(self, response: web.StreamResponse, data: bytes, events: int) -> None:
        try:
            await response.write(data)
        except ConnectionError as gone:
            raise ClientLeft from gone
        self.events += events
        self.bytes += len(data)

    async def _close(self, response: web.StreamResponse) -> None:
        try:
            await response.write_eof()
        except ConnectionError as gone:
            raise ClientLeft from gone
