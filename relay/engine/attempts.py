"""Attempts: one target after another, each as often as its policy says, until one has begun to answer.

What a hook acquired for an attempt is ended with it, before the next is tried.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from time import perf_counter
from typing import TYPE_CHECKING

from relay.engine.ends import end, shielded
from relay.engine.session import Session
from relay.engine.stream import HELD, Stream
from relay.engine.upstream import Answer, UpgradeRefused, UpstreamError
from relay.errors import Refused, StreamBroken
from relay.exchange import Attempt, Exchange, Outcome, Reply, Skip
from relay.target import Target
from relay.values.clock import now
from relay.values.content import CORE, Content
from relay.values.secret import Secret
from relay.wire.vocabulary import Failure

if TYPE_CHECKING:
    from relay.engine.gateway import Gateway

_CODES = {
    "refused_address": "upstream_refused",
    "connect": "upstream_failed",
    "connect_timeout": "upstream_timeout",
    "closed": "upstream_failed",
    "protocol": "upstream_invalid",
    "first_byte_timeout": "upstream_timeout",
    "silence": "upstream_timeout",
    "total_timeout": "upstream_timeout",
    "cut": "upstream_failed",
    "upgrade_refused": "upstream_failed",
}
_OURS = frozenset((401, 402, 403))
"""Statuses with which a provider refuses our credential, not the caller's request."""


class Failed(Exception):
    """An attempt came to nothing. `again`: the same target may be tried again; `elsewhere`: another one may be."""

    def __init__(
        self,
        code: str,
        *,
        reply: Reply | None = None,
        message: str | None = None,
        status: int | None = None,
        again: bool = True,
        elsewhere: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.reply = reply
        """The provider's own error answer, whole."""
        self.message = message
        self.status = status
        self.again = again
        self.elsewhere = elsewhere
        self.retry_after_s = retry_after_s


class Attempts:
    """All attempts of one exchange."""

    def __init__(
        self, gateway: Gateway, exchange: Exchange, opened: Callable[[Stream], None], broken_off: Callable[[], Outcome]
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._opened = opened
        self._broken_off = broken_off
        self._skip: Skip | None = None
        self._failure: Failed | None = None
        self._lost: set[asyncio.Task[Reply | None]] = set()

    async def reply(self) -> Reply:
        """The first reply that has begun. :raises Refused: no target is left; a provider's own error is a Reply, not a refusal."""
        exchange = self._exchange
        at = 0
        while at < len(exchange.targets):
            target = exchange.targets[at]
            at += 1
            hedge_after_s = target.retry.hedge_after_s
            if hedge_after_s is not None and at < len(exchange.targets) and exchange.call.replayable:
                reply, used = await self._race(target, exchange.targets[at], hedge_after_s)
                at += used
            else:
                reply = await self._target(target)
            if reply is not None:
                return reply
            if not exchange.call.replayable and any(attempt.outcome != "skipped" for attempt in exchange.attempts):
                break
            if self._failure is not None and not self._failure.elsewhere:
                break
        return self._nothing_left()

    def _nothing_left(self) -> Reply:
        failure, skip = self._failure, self._skip
        if failure is not None:
            if failure.reply is not None:
                return failure.reply
            raise Refused(failure.code, failure.message, retry_after_s=failure.retry_after_s)
        if skip is not None:
            raise Refused(skip.code, skip.message, retry_after_s=skip.retry_after_s)
        raise Refused("no_target")

    async def _target(self, target: Target) -> Reply | None:
        """One target, with its retries. None: it failed or was skipped, which is remembered."""
        policy = target.retry
        for tried in range(1, policy.tries + 1):
            try:
                result = await self._once(target, tried)
            except Failed as failed:
                if self._failure is None or failed.reply is not None or self._failure.reply is None:
                    self._failure = failed
                if (
                    not failed.again
                    or not failed.elsewhere
                    or tried == policy.tries
                    or not self._exchange.call.replayable
                ):
                    return None
                wait = random.uniform(0, min(policy.cap_s, policy.base_s * 2 ** (tried - 1)))  # noqa: S311
                if failed.retry_after_s is not None:
                    if failed.retry_after_s > policy.retry_after_cap_s:
                        return None
                    wait = max(wait, failed.retry_after_s)
                await asyncio.sleep(wait)
                continue
            if isinstance(result, Skip):
                self._skip = self._skip or result
                return None
            return result
        return None

    async def _race(self, first: Target, second: Target, after_s: float) -> tuple[Reply | None, int]:
        """Two targets, the second started beside the first when that is late. Returns the winner and how many of the later were used."""
        loop = asyncio.get_running_loop()
        racers = [loop.create_task(self._target(first))]
        used = 0
        winner: asyncio.Task[Reply | None] | None = None
        try:
            await asyncio.wait(racers, timeout=after_s)
            if not racers[0].done():
                racers.append(loop.create_task(self._target(second)))
                used = 1
            waiting = set(racers)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for racer in racers:
                    if racer in done and racer.exception() is None and racer.result() is not None:
                        winner = racer
                        self._lost.update(racers)
                        return racer.result(), used
                for racer in done:
                    if racer.exception() is not None:
                        self._lost.update(waiting)
                    racer.result()
            return None, used
        finally:
            await shielded(self._settle([racer for racer in racers if racer is not winner]))

    async def _settle(self, losers: list[asyncio.Task[Reply | None]]) -> None:
        """End what the losers of a race have begun, also one that had an answer at the same moment as the winner."""
        for racer in losers:
            racer.cancel()
        for answer in await asyncio.gather(*losers, return_exceptions=True):
            if isinstance(answer, Reply):
                if isinstance(answer.source, Stream):
                    await answer.source.close()
                if answer.attempt is not None:
                    await self._over(answer.attempt, "lost", None)

    async def _once(self, target: Target, tried: int) -> Reply | Skip:
        exchange, gateway = self._exchange, self._gateway
        call = exchange.call
        if gateway.chain.has_attempts or (target.model is not None and target.model != call.model):
            call = call.renamed(target.model)  # a copy: what a hook changes is for this attempt alone
        attempt = Attempt(exchange, target, call, len(exchange.attempts) + 1, tried)
        exchange.attempts.append(attempt)
        try:
            skip = await self._admitted(attempt) if gateway.chain.has_attempts else None
            if skip is not None:
                await self._over(attempt, "skipped", skip.code)
                return skip
            return await self._sent(attempt)
        except Failed as failed:
            attempt.status = attempt.status or failed.status
            await self._over(attempt, "failed", failed.code)
            raise
        except asyncio.CancelledError:
            await self._over(attempt, "lost" if asyncio.current_task() in self._lost else self._broken_off(), None)
            raise
        except Refused as refused:
            await self._over(attempt, "refused", refused.code)
            raise
        except BaseException:
            await self._over(attempt, "failed", "plugin_failed")
            raise

    async def _admitted(self, attempt: Attempt) -> Skip | None:
        """What the hooks say before a try; together they have the time of the way in."""
        try:
            async with asyncio.timeout(self._gateway.way_in_s):
                return await self._gateway.chain.attempt(self._exchange, attempt)
        except TimeoutError:
            raise Refused("deadline") from None

    async def _over(self, attempt: Attempt, outcome: Outcome, error: str | None) -> None:
        attempt.outcome = outcome
        attempt.error = attempt.error or error
        attempt.finished = perf_counter()
        await end(attempt, self._gateway.end_failed)

    async def _sent(self, attempt: Attempt) -> Reply:
        credential = attempt.credential
        secret = await credential.current() if credential is not None else None
        if attempt.call.surface.websocket:
            return await self._upgraded(attempt, secret)
        answer = await self._send(attempt, secret)
        if answer.status == 401 and credential is not None and secret is not None and attempt.call.replayable:
            answer.release()
            newer = await credential.refreshed(secret)
            if newer is not None:
                secret = newer
                answer = await self._send(attempt, newer)
        attempt.status = answer.status
        attempt.first_byte = perf_counter()
        call = attempt.call
        stream = Stream(answer.read, answer.release, call.dialect, call.surface, _content_type(answer), answer.is_ready)
        self._opened(stream)
        gateway = self._gateway
        headers = gateway.passed(attempt.target.dialect, answer.headers)
        attempt.request_id = gateway.request_id(headers)
        if (_header(answer, "content-encoding") or "identity").lower() != "identity":
            answer.release()
            raise Failed("upstream_invalid", message="The provider sent a compressed answer it was not asked for.")
        if answer.status >= 300:
            raise await self._refused(attempt, answer, headers, secret)
        reply = Reply(
            answer.status, headers, stream, dialect=attempt.call.dialect, surface=attempt.call.surface, attempt=attempt
        )
        loop = asyncio.get_running_loop()
        try:
            failure = await stream.prime(loop.time() + attempt.target.deadlines.commit_after_s)
        except UpstreamError as error:
            raise _wire(error, attempt) from None
        except StreamBroken as broken:
            await stream.close()
            raise Failed(broken.code, message=broken.message) from None
        except BaseException:
            # The exchange may go on without this attempt (a hedge): its connection must not wait for the exchange's end.
            await stream.close()
            raise
        if failure is not None:
            await stream.close()
            raise self._reported(attempt, failure, secret)
        attempt.first_event = perf_counter()
        return reply

    async def _upgraded(self, attempt: Attempt, secret: Secret | None) -> Reply:
        """A session: the provider has accepted the WebSocket."""
        call, target, gateway = attempt.call, attempt.target, self._gateway
        place, headers = _request(attempt, secret)
        try:
            socket = await gateway.upstream.upgrade(gateway.origin(target), place, headers, target.deadlines)
        except UpgradeRefused as error:
            answer = error.answer
            headers = gateway.passed(target.dialect, answer.headers)
            raise await self._refused(attempt, answer, headers, secret) from None
        except UpstreamError as error:
            raise _wire(error, attempt) from None
        attempt.status = 101
        attempt.first_byte = attempt.first_event = perf_counter()
        stream = Session(socket, call.dialect, call.surface)
        self._opened(stream)
        return Reply(101, (), stream, dialect=call.dialect, surface=call.surface, attempt=attempt)

    async def _send(self, attempt: Attempt, secret: Secret | None) -> Answer:
        call, target, gateway = attempt.call, attempt.target, self._gateway
        place, headers = _request(attempt, secret)
        body: bytes | AsyncIterator[bytes] | None = None
        if call.upload is not None:
            first = call.body.data(CORE)
            body = _joined(first, call.upload)
            if call.upload_size is not None:
                headers.append(("content-length", str(len(first) + call.upload_size)))
        elif call.body.size or call.surface.method in ("POST", "PUT", "PATCH"):
            body = call.body.data(CORE)
            if call.stream and call.surface.body == "json" and (meters := gateway.meters.get(call.dialect.name)):
                asking = meters.meter(call.surface, body, call.document(CORE))
                if asking is not None:
                    body, attempt.hides = asking, meters.unmeter
        try:
            return await gateway.upstream.send(
                gateway.origin(target), call.surface.method, place, headers, body, target.deadlines
            )
        except UpstreamError as error:
            raise _wire(error, attempt) from None
        except ValueError:
            raise Refused("bad_request", "A header or the path holds characters that cannot be sent on.") from None

    async def _refused(
        self, attempt: Attempt, answer: Answer, headers: list[tuple[str, str]], secret: Secret | None
    ) -> Failed:
        """What an error answer means for the attempts that could follow."""
        status = answer.status
        retry_after_s = _retry_after(answer)
        if status in _OURS or status < 400:
            answer.release()
            code = "upstream_credential" if status in _OURS else "upstream_invalid"
            return Failed(code, status=status, again=False)
        body = b""
        try:
            while len(body) < HELD and (piece := await answer.read()):
                body += piece
        except UpstreamError as error:
            return _wire(error, attempt)
        finally:
            answer.release()
        body = _unquoted(body, secret)
        reply = Reply(
            status, headers, Content(body), dialect=attempt.call.dialect, surface=attempt.call.surface, attempt=attempt
        )
        again = status in attempt.target.retry.statuses
        return Failed(
            "upstream_error",
            reply=reply,
            status=status,
            again=again and _may_repeat(attempt),
            elsewhere=again or status == 404,
            retry_after_s=retry_after_s,
        )

    def _reported(self, attempt: Attempt, failure: Failure, secret: Secret | None) -> Failed:
        """An error inside a 200, before any content: it counts as the status it names."""
        status = failure.status
        if status in _OURS:
            return Failed("upstream_credential", status=status, again=False)
        again = status in attempt.target.retry.statuses
        message = failure.message.text(CORE) if failure.message is not None and 400 <= status < 500 else None
        if message is not None:
            message = _unquoted(message.encode(), secret).decode()
        reply = self._gateway.refusal(self._exchange, Refused("upstream_error", message), status=status)
        reply.attempt = attempt
        return Failed(
            "upstream_error", reply=reply, status=status, again=again and _may_repeat(attempt), elsewhere=again
        )


def _request(attempt: Attempt, secret: Secret | None) -> tuple[str, list[tuple[str, str]]]:
    """Path and headers of an attempt's request."""
    call, target = attempt.call, attempt.target
    headers = [*call.headers, *target.headers]
    if secret is not None:
        headers += target.dialect.sign(secret.open())
    return call.dialect.place(call.surface, call.params, call.query, call.model), headers


def _unquoted(said: bytes, secret: Secret | None) -> bytes:
    """A provider's words about an error without the credential, which some quote: it is not the client's to know."""
    return said.replace(secret.open().encode(), b"***") if secret is not None and secret.open() else said


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _may_repeat(attempt: Attempt) -> bool:
    """Making an object twice is worse than failing."""
    surface = attempt.call.surface
    return surface.generates or surface.method in ("GET", "HEAD", "DELETE")


def _wire(error: UpstreamError, attempt: Attempt) -> Failed:
    again = not error.written or _may_repeat(attempt)
    return Failed(_CODES[error.kind], again=again and error.kind != "refused_address", elsewhere=again)


def _header(answer: Answer, name: str) -> str | None:
    for key, value in answer.headers:
        if key.lower() == name:
            return value
    return None


def _content_type(answer: Answer) -> str:
    return _header(answer, "content-type") or ""


def _retry_after(answer: Answer) -> float | None:
    """Seconds the provider asks us to wait. (RFC 9110 §10.2.3; some give milliseconds in a header of their own.)"""
    raw = _header(answer, "retry-after-ms")
    try:
        if raw is not None:
            return max(0.0, float(raw) / 1000)
        raw = _header(answer, "retry-after")
        if raw is None:
            return None
        if raw.strip().replace(".", "", 1).isdigit():
            return float(raw)
        return max(0.0, (parsedate_to_datetime(raw).astimezone(UTC) - now()).total_seconds())
    except ValueError:
        return None
