"""A provider in memory: what stands in for `relay.engine.upstream.Upstream` where a test needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from relay.engine.upstream import Deadlines, Kind, UpstreamError

Step = bytes | float | asyncio.Event | UpstreamError
"""Of an answer's body: send these bytes, wait so many seconds, wait for that, or break."""


def broken(kind: Kind, *, written: bool = True) -> UpstreamError:
    """A fault on the wire, as the real upstream would raise it. `written`: may the request have reached the provider?"""
    return UpstreamError(kind, written=written, place="https://provider.test", detail="as the test has it")


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: after `before`, the head; then the steps of its body."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    before: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that reached the provider. `base_url` is the target's; `place` path and query below it."""

    base_url: str
    method: str
    place: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, by lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class PlayedAnswer:
    """An answer as the engine reads it (the interface of `relay.engine.upstream.Answer`)."""

    def __init__(self, script: Script, deadlines: Deadlines) -> None:
        self.status = script.status
        self.headers = script.headers
        self.is_released = False
        self.is_whole = False
        self._steps = list(script.steps)
        self._deadlines = deadlines

    def is_ready(self) -> bool:
        """Would `read` answer at once?"""
        return not self._steps or isinstance(self._steps[0], bytes)

    async def read(self) -> bytes:
        """The next piece, b"" at the end of the script. :raises UpstreamError: as the script has it, or `silence`."""
        if self.is_released:
            raise RuntimeError("the answer was released")
        try:
            async with asyncio.timeout(self._deadlines.silence_s):
                while self._steps:
                    step = self._steps.pop(0)
                    if isinstance(step, bytes) and step:
                        return step
                    await _wait(step)
        except TimeoutError:
            self.release()
            raise broken("silence") from None
        except (UpstreamError, asyncio.CancelledError):
            self.release()
            raise
        self.is_whole = True
        return b""

    def release(self) -> None:
        """Be done with it."""
        self.is_released = True


class Provider:
    """Answers requests by script: each request takes the next, and the last one serves all that follow."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.answers: list[PlayedAnswer] = []
        self._scripts: list[Script] = []

    def play(self, script: Script) -> None:
        """Answer the next request that has no script yet like this, and, unless more is said, all after it."""
        self._scripts.append(script)

    @property
    def has_script(self) -> bool:
        return bool(self._scripts)

    @property
    def open(self) -> int:
        """How many answers have not been released."""
        return sum(not answer.is_released for answer in self.answers)

    # The interface of `relay.engine.upstream.Upstream`

    def origin(
        self, base_url: str, *, allow_private: bool = False, proxy: str | None = None, ca: str | None = None
    ) -> str:
        return base_url

    async def send(
        self,
        origin: str,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
        deadlines: Deadlines,
    ) -> PlayedAnswer:
        """:raises UpstreamError: as the script has it, or `first_byte_timeout`"""
        data = body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, bytes):
            data = b"".join([piece async for piece in body])
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        if not (script.before and isinstance(script.before[0], UpstreamError) and not script.before[0].written):
            self.sent.append(Sent(origin, method, target, tuple(headers), data))
        try:
            async with asyncio.timeout(deadlines.first_byte_s):
                for step in script.before:
                    await _wait(step)
        except TimeoutError:
            raise broken("first_byte_timeout") from None
        answer = PlayedAnswer(script, deadlines)
        self.answers.append(answer)
        return answer


async def _wait(step: Step) -> None:
    if isinstance(step, UpstreamError):
        raise step
    if isinstance(step, asyncio.Event):
        await step.wait()
    elif isinstance(step, float | int):
        await asyncio.sleep(step)


def script(
    steps: Sequence[Step], *, status: int = 200, content_type: str = "", headers: Iterable[tuple[str, str]] = ()
) -> Script:
    """A script of an answer with a content type."""
    fields = [*headers, *([("content-type", content_type)] if content_type else [])]
    return Script(status, tuple(fields), tuple(steps))
