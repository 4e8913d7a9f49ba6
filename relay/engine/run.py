"""One exchange, driven: down the chain, through its attempts, up the chain, out to the client, to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import TYPE_CHECKING

from relay.engine.attempts import Attempts
from relay.engine.chain import PluginFailed
from relay.engine.ends import end
from relay.engine.stages import Pipeline
from relay.engine.stream import Stream
from relay.engine.upstream import UpstreamError
from relay.errors import Refused, StreamBroken
from relay.exchange import Attempt, Call, Exchange, Outcome, Reply
from relay.values.content import Content
from relay.wire.vocabulary import Created, Event, Failure, Stop, Usage

if TYPE_CHECKING:
    from relay.engine.gateway import Gateway

DEPTH = 4
"""How deeply exchanges that plugins ask for may be nested."""
_UPSTREAM_BREAKS = {
    "silence": "upstream_timeout",
    "total_timeout": "upstream_timeout",
    "first_byte_timeout": "upstream_timeout",
    "protocol": "upstream_invalid",
}


class Run:
    """The engine's side of one exchange. Made when a request's head has been read, finished exactly once."""

    __slots__ = (
        "_broken",
        "_children",
        "_created",
        "_pipeline",
        "_streams",
        "_task",
        "exchange",
        "gateway",
        "interruption",
        "is_client_gone",
    )

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.exchange: Exchange
        self.interruption: Refused | None = None
        """Why the exchange was cancelled by ourselves; None: if it is cancelled, the client has gone."""
        self.is_client_gone = False
        self._task: asyncio.Task[object] | None = None
        self._children: list[Run] = []
        self._streams: list[Stream] = []
        self._created: list[Created] = []
        self._pipeline: Pipeline | None = None
        self._broken: str | None = None

    # What an exchange asks of its engine (relay.exchange.Engine)

    def stop(self, exchange: Exchange, code: str, message: str | None) -> None:
        self.gateway.codes[code]
        self._interrupt(Refused(code, message))

    async def ask(self, exchange: Exchange, call: Call) -> Reply:
        if exchange.depth >= DEPTH:
            raise Refused("too_deep")
        child = Run(self.gateway)
        child.exchange = Exchange(call, exchange.client, child, parent=exchange)
        self._children.append(child)
        reply = await child.reply()
        if child.exchange.outcome == "refused" and child.exchange.error is not None:
            await child.finish()
            raise Refused(child.exchange.error)
        if isinstance(reply.source, Content):
            await child.finish("completed")
            return reply
        stream = Stream(_Puller(child, reply).pull, child.cancel, call.dialect, call.surface, reply.content_type)
        return Reply(reply.status, reply.headers, stream, dialect=call.dialect, surface=call.surface)

    # The way

    async def reply(self) -> Reply:
        """The reply, with all its stages registered and nothing written. Only a cancellation is raised."""
        exchange, gateway = self.exchange, self.gateway
        chain = gateway.chain
        reached = [0]
        self._task = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(gateway.way_in_s, self._interrupt, Refused("deadline"))
        try:
            try:
                reply = await chain.descend(exchange, reached)
                if reply is None:
                    reply = await gateway.own_answer(exchange)
                if reply is None:
                    await gateway.register.admit(exchange)
                    timer.cancel()
                    reply = await Attempts(gateway, exchange, self._streams.append, self._broken_off).reply()
                    if reply.status < 300:
                        reply = await self._owned(reply)
            finally:
                timer.cancel()
        except Refused as refused:
            reply = self._refuse(refused)
        except PluginFailed:
            reply = self._refuse(Refused("plugin_failed"))
        except asyncio.CancelledError:
            reply = self._refuse(self.resume())
        if reply.attempt is not None and reply.attempt.outcome == "failed":
            exchange.outcome, exchange.error = "failed", reply.attempt.error
        reply = await chain.ascend(exchange, reply, reached[0], self._refuse, self._replaced)
        exchange.status = reply.status
        return reply

    def pipeline(self, reply: Reply) -> Pipeline:
        """The stages of `reply`, ready to work; its events are noted on the attempt and the exchange."""
        assert isinstance(reply.source, Stream)
        attempt = reply.attempt

        def sink(event: Event) -> None:
            self._note(attempt, event)

        hides = attempt.hides if attempt is not None else None
        return Pipeline(reply.source, reply.stages, sink, self.gateway.observer_failed, hides)

    async def pieces(self, reply: Reply) -> AsyncIterator[bytes]:
        """The bytes of a streamed reply as they leave, each told to `written` afterwards by whoever writes it.

        A break that the reader must see comes as the dialect's own error event, and then the iteration ends; if the format has no
        such event, `StreamBroken` is raised: the connection must be cut.
        """
        stream = reply.source
        assert isinstance(stream, Stream)
        pipeline = self._pipeline = self.pipeline(reply)
        try:
            out = pipeline.start()
            if self._created:
                await self.note_created()
            if out:
                yield out
            while piece := await stream.read():
                out = pipeline.feed(piece)
                if self._created:
                    await self.note_created()
                if out:
                    yield out
            out = pipeline.end()
            if self._created:
                await self.note_created()
            if out:
                yield out
            if stream.skims and not pipeline.complete and reply.status < 300:
                raise StreamBroken("upstream_incomplete")
        except UpstreamError as error:
            broken = StreamBroken(_UPSTREAM_BREAKS.get(error.kind, "upstream_failed"))
        except StreamBroken as error:
            broken = error
        except asyncio.CancelledError:
            refused = self.resume()
            broken = StreamBroken(refused.code, refused.message)
        else:
            return
        self.broke(broken.code)
        await stream.close()
        rest = pipeline.flush() if broken.code != "reply_failed" else b""
        last = self.gateway.refused_in_stream(self.exchange, reply, broken)
        if not last:
            raise broken
        yield rest + last

    def written(self, size: int) -> None:
        """Bytes of the running stream have been written."""
        if self._pipeline is not None:
            self._pipeline.written(size)

    def whole_written(self, reply: Reply, size: int) -> None:
        """A reply made here has been written: its watchers are told. (It has no events: nothing of it is parsed.)"""
        for stage in reply.stages:
            if stage.form == "watch":
                try:
                    stage.do(size)
                except Exception:
                    self.gateway.observer_failed(stage.by)

    async def finish(self, outcome: Outcome | None = None) -> None:
        """End everything that is open: children, streams, attempts, the exchange. Does its work once; later calls do nothing."""
        exchange = self.exchange
        if exchange.ended:
            return
        for child in self._children:
            await child.finish("interrupted")
        for stream in self._streams:
            await stream.close()
        if outcome is None:
            outcome = exchange.outcome or self._outcome()
        exchange.outcome = outcome
        if self._broken is not None and exchange.error is None:
            exchange.error = self._broken
        for attempt in reversed(exchange.attempts):
            if attempt.outcome is None:
                attempt.outcome = "completed" if outcome == "completed" else outcome
                attempt.error = attempt.error or self._broken
                attempt.finished = perf_counter()
            await end(attempt, self.gateway.end_failed)
        await end(exchange, self.gateway.end_failed)
        self.gateway.ended(exchange)

    def cancel(self) -> None:
        """Close the streams of this exchange at once; its finish comes with its parent's."""
        for stream in self._streams:
            stream.close_source()

    # Inside

    def _outcome(self) -> Outcome:
        if self.is_client_gone:
            return "client_left"
        if self.interruption is not None:
            return "interrupted"
        if self._broken is not None:
            return "failed"
        return "completed"

    def _broken_off(self) -> Outcome:
        return "interrupted" if self.interruption is not None else "client_left"

    def _interrupt(self, why: Refused) -> None:
        if self.interruption is None and self._task is not None:
            self.interruption = why
            self._task.cancel()

    def resume(self) -> Refused:
        """After a cancellation: if it was ours, the reason, and the task goes on; else the cancellation goes on."""
        if self.interruption is None or self._task is None:
            self.is_client_gone = True
            raise asyncio.CancelledError
        if self._task.uncancel() > 0:
            self.is_client_gone = True
            raise asyncio.CancelledError
        return self.interruption

    def broke(self, code: str) -> None:
        """The reply broke off after it had begun."""
        self._broken = code

    def _refuse(self, refused: Refused) -> Reply:
        self.exchange.outcome = "interrupted" if self.interruption is not None else "refused"
        self.exchange.error = refused.code
        if refused.code.startswith("upstream_") or refused.code in ("plugin_failed", "reply_failed"):
            self.exchange.outcome = "failed"
        return self.gateway.refusal(self.exchange, refused)

    def _replaced(self, reply: Reply) -> None:
        if isinstance(reply.source, Stream):
            reply.source.close_source()
        if reply.attempt is not None:
            reply.attempt.outcome = "failed"
            reply.attempt.error = "reply_failed"

    async def _owned(self, reply: Reply) -> Reply:
        """A successful answer about objects at the provider: lists lose what belongs to others, what was deleted is forgotten."""
        surface, register = self.exchange.call.surface, self.gateway.register
        if surface.deletes:
            for name in surface.objects[:1]:
                await register.forget(self.exchange.call.params[name])
        if surface.lists is None or not isinstance(reply.source, Stream):
            return reply
        body = await reply.source.whole()
        return Reply(
            reply.status,
            reply.headers,
            await register.only_own(self.exchange, body),
            dialect=reply.dialect,
            surface=surface,
            attempt=reply.attempt,
        )

    def _note(self, attempt: Attempt | None, event: Event) -> None:
        value = event.value
        if isinstance(value, Created):
            if value not in self.exchange.created:
                self.exchange.created.append(value)
                self._created.append(value)
        elif attempt is None:
            return
        elif isinstance(value, Usage):
            is_part = attempt.call.surface.websocket and attempt.usage is not None
            attempt.usage = attempt.usage.plus(value) if is_part and attempt.usage is not None else value
        elif isinstance(value, Stop):
            if value.raw:
                attempt.stop = value
        elif isinstance(value, Failure):
            attempt.error = self._broken = "upstream_error"

    async def note_created(self) -> None:
        created, self._created = self._created, []
        await self.gateway.register.note(self.exchange, created)


class _Puller:
    """A child's reply as the source of another stream: its stages have been applied, its end is the child's end."""

    def __init__(self, run: Run, reply: Reply) -> None:
        self._run = run
        self._pieces = run.pieces(reply)
        self._last = 0

    async def pull(self) -> bytes:
        if self._last:
            self._run.written(self._last)
        self._last = 0
        async for piece in self._pieces:
            self._last = len(piece)
            return piece
        await self._run.finish()
        return b""
