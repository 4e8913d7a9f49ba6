"""What holds for every plugin, as a suite in one line of an author's tests:

    from relay.testing.conformance import conformance

    test_conforms = conformance(Hello, settings={"greeting": "hi"})

The plugin is played on every surface that a dialect has an example of (the plain dialect's, or those of `dialects`), streamed and
not. Each check is a test of its own, named after check, dialect, surface and form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import pytest

from relay.errors import ContentClosed
from relay.exchange import Attempt, Exchange, Reply
from relay.plugin import Plugin
from relay.ports import Held
from relay.testing.dialect import PLAIN
from relay.testing.examples import JSON, SSE, Example, examples
from relay.testing.play import CALLER, Play
from relay.testing.played import Played
from relay.testing.provider import broken
from relay.wire.dialect import Dialect
from relay.wire.vocabulary import CONTENT_KINDS

QUESTION = "What did the quick brown fox do?"
ANSWER = ("It jumped ", "over the ", "lazy dog.")
Form = Literal["whole", "stream"]


@dataclass(frozen=True, slots=True)
class Case:
    """A plugin on one surface, in one form."""

    plugin: type[Plugin]
    settings: Mapping[str, Any]
    services: Mapping[type, Any]
    dialect: Dialect
    example: Example
    form: Form
    answers: bool
    changes: bool

    def play(self, *beside: Plugin, way_in_s: float = 10.0) -> Play:
        """The plugin with others below it."""
        made = self.plugin(self.plugin.Settings.model_validate(dict(self.settings)))
        return Play([made, *beside], dialect=self.dialect, services=self.services, way_in_s=way_in_s)

    async def ask(self, play: Play, *, leaves_after: int | None = None) -> Played:
        is_stream = self.form == "stream"
        await self._own(play)
        return await play.ask(QUESTION, stream=is_stream, surface=self.example.surface, leaves_after=leaves_after)

    async def _own(self, play: Play) -> None:
        """Objects at the provider that the request names belong to the caller: else it is told that there are none."""
        shown = self.example
        surface = next(each for each in self.dialect.surfaces if each.name == shown.surface)
        ids = [shown.params[name] for name in surface.objects]
        body = shown.ask(QUESTION, "m", False)
        if surface.body == "json" and body:
            ids += self.dialect.references(surface, orjson.loads(body))
        for id in ids:
            await play.gateway.register.put(id, Held(CALLER.organisation, "provider1", "object"))

    @property
    def wire(self) -> list[bytes]:
        """The provider's answer."""
        if self.form == "stream" and self.example.stream is not None:
            return self.example.stream(ANSWER)
        return [self.example.whole("".join(ANSWER))]

    @property
    def content_type(self) -> str:
        return self.example.stream_type if self.form == "stream" else self.example.whole_type

    def answer(self, play: Play) -> None:
        play.replies(*self.wire, content_type=self.content_type)


class _Witness(Plugin):
    """Stands below the plugin and counts how everything ends; on request it fails, refuses or hangs."""

    name = "witness"

    def __init__(self, does: Callable[[Exchange], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.begun: list[Exchange | Attempt] = []
        self.ended: list[Exchange | Attempt] = []
        self._does = does

    async def on_request(self, exchange: Exchange) -> Reply | None:
        self.begun.append(exchange)
        exchange.on_end(self.ended.append, exchange)
        if self._does is not None:
            await self._does(exchange)
        return None

    async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        self.begun.append(attempt)
        attempt.on_end(self.ended.append, attempt)

    def check(self, play: Play) -> None:
        """Every end once, attempts before their exchange, and nothing left open."""
        assert len(self.begun) == len(self.ended), "an end ran twice, or not at all"
        assert {id(each) for each in self.begun} == {id(each) for each in self.ended}
        for exchange in play.exchanges:
            assert exchange.outcome is not None
            assert all(attempt.outcome is not None for attempt in exchange.attempts)
        assert play.provider.open == 0, "a provider's answer was left open"


async def _answers(case: Case) -> None:
    """Without a fault of the provider's the answer arrives, and every end runs once."""
    witness = _Witness()
    async with case.play(witness) as play:
        case.answer(play)
        reply = await case.ask(play)

    witness.check(play)
    if not case.answers:
        assert reply.status == 200, f"the answer did not arrive: {reply.status} {reply.error}"
        assert reply.exchange.outcome == "completed"
        assert reply.sent, "nothing reached the provider"
        if case.example.says and not case.changes:
            assert reply.text == "".join(ANSWER)


async def _keeps_bytes(case: Case) -> None:
    """Bytes go through untouched, both ways, unless the plugin reads content."""
    if case.plugin.reads_content or case.answers:
        return
    async with case.play() as play:
        case.answer(play)
        reply = await case.ask(play)

    asked = case.example.ask(QUESTION, "m", case.form == "stream")
    assert reply.body == b"".join(case.wire), "the answer's bytes were changed by a plugin that reads no content"
    assert case.changes or all(body == asked for body in reply.upstream), "the request's bytes were changed"


async def _ends_when_the_client_leaves(case: Case) -> None:
    """A client that leaves in the middle ends everything once."""
    witness = _Witness()
    async with case.play(witness) as play:
        case.answer(play)
        await case.ask(play, leaves_after=1)

    witness.check(play)


async def _ends_when_the_provider_breaks(case: Case) -> None:
    """A provider that cannot be reached, or that breaks off, gives an error in the caller's dialect and ends everything once."""
    for at in (0, 1):
        witness = _Witness()
        async with case.play(witness) as play:
            if at:
                play.replies(*case.wire[:at], broken("cut"), content_type=case.content_type)
            else:
                play.breaks(broken("connect", written=False))
            reply = await case.ask(play)

        witness.check(play)
        if reply.sent or not case.answers:
            assert reply.exchange.outcome in ("failed", "refused", "completed")
            assert at or case.answers or reply.exchange.outcome != "completed"


async def _refusals_are_in_the_callers_dialect(case: Case) -> None:
    """What a plugin below fails at is told in the words of the caller's dialect; nothing of the conversation is in them."""

    async def fail(exchange: Exchange) -> None:
        raise RuntimeError(QUESTION)

    witness = _Witness(fail)
    async with case.play(witness) as play:
        case.answer(play)
        reply = await case.ask(play)

    witness.check(play)
    if witness.begun:
        assert (reply.status, reply.error) == (500, "plugin_failed")
        assert not reply.sent, "something reached the provider though the way in had failed"
        # In the bytes of a file nobody looks for anything: there the status is all that tells.
        if case.content_type in (JSON, SSE):
            assert "error" in [event.kind for event in reply.events], "the dialect's reader sees no error in it"
        assert QUESTION.encode() not in reply.body


async def _is_cut_by_the_deadline(case: Case) -> None:
    """A hook that hangs is cut by the deadline of the way in; the plugin above it bears that."""

    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(60)

    witness = _Witness(hang)
    async with case.play(witness, way_in_s=0.05) as play:
        case.answer(play)
        reply = await asyncio.wait_for(case.ask(play), 10)

    witness.check(play)
    if witness.begun:
        assert (reply.status, reply.error) == (504, "deadline")
        assert not reply.sent


async def _leaks_nothing(case: Case) -> None:
    """Nothing of the conversation stands in the log, or in the repr of the exchange and what hangs on it."""
    async with case.play() as play:
        case.answer(play)
        reply = await case.ask(play)

    exchange = reply.exchange
    parts = [
        exchange,
        exchange.call,
        exchange.call.body,
        exchange.attempts,
        exchange.values,
        exchange.created,
        play.log,
    ]
    shown = "".join(map(repr, parts))
    for words in (QUESTION, *ANSWER):
        assert words.strip() not in shown, "words of the conversation are shown"


async def _opens_no_content_without_saying_so(case: Case) -> None:
    """A plugin without `reads_content` can neither open the call nor name a kind of content."""
    plugin = case.plugin(case.plugin.Settings.model_validate(dict(case.settings)))
    if plugin.reads_content:
        return
    reply = Reply(200, [], b"{}")
    reply.by = plugin
    for kind in sorted(CONTENT_KINDS):
        with pytest.raises(ContentClosed):
            reply.observe(lambda event: None, kind)


CHECKS: tuple[Callable[[Case], Awaitable[None]], ...] = (
    _answers, _keeps_bytes, _ends_when_the_client_leaves, _ends_when_the_provider_breaks, _refusals_are_in_the_callers_dialect,
    _is_cut_by_the_deadline, _leaks_nothing, _opens_no_content_without_saying_so,
)  # fmt: skip


@dataclass(slots=True)
class _Suite:
    cases: list[Any] = field(default_factory=list)

    def add(self, case: Case) -> None:
        for check in CHECKS:
            name = check.__name__.strip("_")
            shown = f"{name}-{case.dialect.name}-{case.example.surface}-{case.form}"
            self.cases.append(pytest.param(check, case, id=shown))


def conformance(
    plugin: type[Plugin],
    *,
    settings: Mapping[str, Any] | None = None,
    services: Mapping[type, Any] | None = None,
    dialects: Sequence[Dialect] = (PLAIN,),
    answers: bool = False,
    changes: bool = False,
) -> Callable[..., Awaitable[None]]:
    """A parametrised test that plays `plugin` on every surface; assign it to a name that begins with `test_`.

    :param settings: the plugin's settings, such that it lets an ordinary exchange pass.
    :param services: stand-ins for the ports it needs.
    :param answers: it may answer or refuse by itself (a cache, a guard): then an answer of the provider's is not expected.
    :param changes: it changes calls or texts on purpose: then the words are not compared, and the request's bytes neither.
    """
    suite = _Suite()
    for dialect in dialects:
        for example in examples(dialect):
            forms: tuple[Form, ...] = ("whole",) if example.stream is None else ("whole", "stream")
            for form in forms:
                suite.add(Case(plugin, settings or {}, services or {}, dialect, example, form, answers, changes))

    @pytest.mark.parametrize(("check", "case"), suite.cases)
    async def test_conforms(check: Callable[[Case], Awaitable[None]], case: Case) -> None:
        await check(case)

    return test_conforms
