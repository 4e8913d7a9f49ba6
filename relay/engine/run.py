"""One exchange, driven: down the chain, through its attempts, up the chain, out to the client, to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from time import perf_counter
from typing import TYPE_CHECKING

import orjson

from relay.call import Call
from relay.engine.attempts import Attempts
from relay.engine.chain import PluginFailed
from relay.engine.ends import end
from relay.engine.stages import Pipeline
from relay.engine.stream import OUTCOME_KINDS, Stream, broken_by
from relay.engine.upstream import UpstreamError
from relay.errors import Refused, StreamBroken
from relay.exchange import Attempt, Exchange, Outcome, Reply
from relay.values.content import CORE, Content
from relay.wire import lens
from relay.wire.dialect import Links
from relay.wire.vocabulary import Created, Event, Failure, Stop, Usage

if TYPE_CHECKING:
    from relay.engine.gateway import Gateway

DEPTH = 4
"""How deeply exchanges that plugins ask for may be nested."""


class _Over:
    """The engine of an exchange that has ended: there is nothing left to stop, and nothing to ask."""

    def stop(self, exchange: Exchange, code: str, message: str | None) -> None:
        """It has stopped already."""

    async def ask(self, exchange: Exchange, call: Call) -> Reply:
        raise RuntimeError("the exchange has ended")


_OVER = _Over()


class Run:
    """The engine's side of one exchange. Made when a request's head has been read, finished exactly once."""

    __slots__ = (
        "_broken",
        "_children",
        "_created",
        "_is_cancelling",
        "_pipeline",
        "_pulled",
        "_streams",
        "_task",
        "exchange",
        "gateway",
        "interruption",
        "is_client_gone",
        "refused",
    )

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.exchange: Exchange
        self.interruption: Refused | None = None
        """Why the exchange was cancelled by ourselves; None: if it is cancelled, the client has gone."""
        self.is_client_gone = False
        self.refused: Refused | None = None
        """What it was refused with, last."""
        self._task: asyncio.Task[object] | None = None
        self._children: list[Run] = []
        self._streams: list[Stream] = []
        self._created: list[tuple[Attempt, Created]] = []
        self._pipeline: Pipeline | None = None
        self._pulled: AsyncGenerator[bytes, None] | None = None
        """The pieces of this reply, where another exchange takes them."""
        self._broken: str | None = None
        self._is_cancelling = False

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
        if child.refused is not None and child.exchange.outcome == "refused":
            await child.finish()
            raise child.refused
        if isinstance(reply.source, Content):
            child.whole_written(reply, reply.source.size)
            await child.finish()
            return Reply(reply.status, reply.headers, reply.source, dialect=call.dialect, surface=call.surface)
        child._pulled = child.pieces(reply)
        stream = Stream(child.pull, child.cancel, call.dialect, call.surface, reply.content_type)
        self._streams.append(stream)
        return Reply(reply.status, reply.headers, stream, dialect=call.dialect, surface=call.surface)

    async def pull(self) -> bytes:
        """The next piece of this exchange's reply, for the exchange that asked for it; its end is this exchange's end."""
        assert self._pulled is not None
        async for piece in self._pulled:
            self.written(len(piece))
            return piece
        self.written(0)
        await self.finish()
        return b""

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
                if reply is not None:
                    self._as_stream(reply)
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
        except StreamBroken as broken:
            reply = self._refuse(Refused(broken.code, broken.message))
        except PluginFailed:
            reply = self._refuse(Refused("plugin_failed"))
        except asyncio.CancelledError:
            reply = self._refuse(self.resume())
        except Exception as error:
            # A credential, a dialect or a service failed: whatever it is, the client is answered and nothing stays open.
            gateway.failed(exchange, error)
            was_sent = any(attempt.status for attempt in exchange.attempts)
            reply = self._refuse(Refused("reply_failed" if was_sent else "plugin_failed"))
        if reply.attempt is not None and reply.attempt.outcome == "failed":
            exchange.outcome, exchange.error = "failed", reply.attempt.error
        reply = await chain.ascend(exchange, reply, reached[0], self._refuse, self._replaced, self.resume)
        exchange.status = reply.status
        return reply

    def pipeline(self, reply: Reply) -> Pipeline:
        """The stages of `reply`, ready to work; its events are noted on the attempt and the exchange."""
        assert isinstance(reply.source, Stream)
        attempt = reply.attempt

        keeps = attempt is not None and self._keeps(attempt.call)

        def sink(event: Event) -> None:
            if keeps or event.kind != "created":
                self._note(attempt, event)

        hides = attempt.hides if attempt is not None else None
        return Pipeline(reply.source, reply.stages, sink, self.gateway.observer_failed, hides)

    async def whole(self, reply: Reply) -> bytes | None:
        """The body of a reply that was read ahead to its end and at which no stage looks; None: it is not such a reply.

        Most answers are. What they say of their outcome is noted. :raises StreamBroken: an object could not be noted.
        """
        stream, attempt = reply.source, reply.attempt
        if not isinstance(stream, Stream) or not stream.ended or stream.is_stream or reply.stages or attempt is None:
            return None
        reader, keeps = stream.reader(), self._keeps(attempt.call)
        for frame in stream.frames:
            try:
                events = reader.read(frame, OUTCOME_KINDS)
            except ValueError:
                continue  # it passes as it is; what it consumed stays unknown
            for event in events:
                if keeps or event.kind != "created":
                    self._note(attempt, event)
        if self._created:
            await self.note_created()
        return stream.pieces[0] if len(stream.pieces) == 1 else b"".join(stream.pieces)

    async def pieces(self, reply: Reply) -> AsyncGenerator[bytes, None]:
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
                if self._is_cancelling:
                    await asyncio.sleep(0)  # where the provider is quick nothing else would let the cancellation in
                out = pipeline.feed(piece)
                if self._created:
                    await self.note_created()
                if out:
                    yield out
            if self._is_cancelling:
                await asyncio.sleep(0)
            out = pipeline.end()
            if self._created:
                await self.note_created()
            if out:
                yield out
            if stream.is_stream and not pipeline.complete and reply.status < 300 and self._broken is None:
                raise StreamBroken("upstream_incomplete")
        except UpstreamError as error:
            broken = broken_by(error)
        except StreamBroken as error:
            broken = error
        except asyncio.CancelledError:
            refused = self.resume()
            broken = StreamBroken(refused.code, refused.message)
        except Exception as error:
            self.gateway.failed(self.exchange, error)
            broken = StreamBroken("reply_failed")
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
        """Bytes of the running stream have been written; 0: nothing more will be."""
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
        was_cancelled = await self._settle()
        for child in self._children:
            was_cancelled |= await _to_its_end(child.finish("interrupted"))
        if self._pulled is not None:
            await self._pulled.aclose()
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
            was_cancelled |= await _to_its_end(end(attempt, self.gateway.end_failed))
        was_cancelled |= await _to_its_end(end(exchange, self.gateway.end_failed))
        self.gateway.ended(exchange)
        # What is over leaves no circle behind for the collector to find.
        exchange.engine = _OVER
        self._pipeline = None
        if was_cancelled:
            raise asyncio.CancelledError

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
            self._is_cancelling = True
            self._task.cancel()

    async def _settle(self) -> bool:
        """From here on nothing interrupts; an interruption that came too late is taken back. Returns: was it cancelled from outside?"""
        task, self._task = self._task, None
        if not self._is_cancelling or task is None:
            return False
        self._is_cancelling = False
        self.interruption = None
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return task.uncancel() > 0
        task.uncancel()
        return False

    def resume(self) -> Refused:
        """After a cancellation: if it was ours, the reason, and the task goes on; else the cancellation goes on."""
        if self.interruption is None or self._task is None:
            self.is_client_gone = True
            raise asyncio.CancelledError
        self._is_cancelling = False
        if self._task.uncancel() > 0:
            self.is_client_gone = True
            raise asyncio.CancelledError
        return self.interruption

    def broke(self, code: str) -> None:
        """The reply broke off after it had begun."""
        self._broken = code

    def _refuse(self, refused: Refused) -> Reply:
        self.refused = refused
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

    def _as_stream(self, reply: Reply) -> None:
        """A plugin's own answer is a stream like any other: peeked at, observed and rewritten by the plugins above."""
        call = self.exchange.call
        if not isinstance(reply.source, Content) or reply.status >= 300 or not reply.source.size:
            return
        reply.dialect, reply.surface = reply.dialect or call.dialect, reply.surface or call.surface
        stream = Stream.of(reply.source.data(CORE), reply.dialect, reply.surface, reply.content_type)
        reply.source = stream
        self._streams.append(stream)

    async def _owned(self, reply: Reply) -> Reply:
        """A successful answer about objects at the provider: lists lose what belongs to others, what was deleted is forgotten, and
        addresses lead here."""
        surface, register = self.exchange.call.surface, self.gateway.register
        if surface.deletes:
            for name in surface.objects[:1]:
                await register.forget(self.exchange.call.params[name])
        links = self.gateway.links.get(self.exchange.call.dialect.name)
        if links is not None and surface.name not in links.linked:
            links = None
        if (surface.lists is None and links is None) or not isinstance(reply.source, Stream):
            return reply
        body = await reply.source.whole()
        if surface.lists is not None:
            body = await register.only_own(self.exchange, body)
        return Reply(
            reply.status,
            reply.headers,
            body if links is None else _relinked(links, body),
            dialect=reply.dialect,
            surface=surface,
            attempt=reply.attempt,
        )

    def _keeps(self, call: Call) -> bool:
        """Will what the answer creates be there when it has ended?"""
        dialect = self.gateway.keeps.get(call.dialect.name)
        return dialect is None or dialect.keeps(call.surface, call.document(CORE))

    def _note(self, attempt: Attempt | None, event: Event) -> None:
        value = event.value
        if isinstance(value, Failure):
            # In a session an error answers one message; in a reply it is the end.
            if not self.exchange.call.surface.websocket:
                self._broken = "upstream_error"
                if attempt is not None:
                    attempt.error = self._broken
        elif attempt is None:
            return
        elif isinstance(value, Created):
            if value not in self.exchange.created:
                self.exchange.created.append(value)
                self._created.append((attempt, value))
        elif isinstance(value, Usage):
            is_part = attempt.call.surface.websocket and attempt.usage is not None
            attempt.usage = attempt.usage.plus(value) if is_part and attempt.usage is not None else value
        elif isinstance(value, Stop) and (value.raw or attempt.stop is None):
            attempt.stop = value

    async def note_created(self) -> None:
        created, self._created = self._created, []
        for attempt, made in created:
            await self.gateway.register.note(attempt, made)


def _relinked(links: Links, body: bytes) -> bytes:
    """An answer whose addresses lead here and not past the relay. :raises Refused: `upstream_invalid`"""
    try:
        found = links.links(orjson.loads(body))
        return lens.replace(body, {path: lens.string(there) for path, there in found.items()})
    except ValueError:
        raise Refused("upstream_invalid") from None


async def _to_its_end(work: Awaitable[None]) -> bool:
    """Await what finishes its work before it lets a cancellation go on. Returns whether there was one."""
    try:
        await work
    except asyncio.CancelledError:
        return True
    return False
