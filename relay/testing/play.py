"""`Play`: a plugin, or a chain of them, under test without server, socket or database.

    async with Play(Hello(Hello.Settings(greeting="hi"))) as play:
        reply = await play.ask("How are you?")

        assert reply.status == 200
        assert reply.text == "hi"

What drives the exchange is the engine itself; only the provider is played (`play.answers`, `play.fails`, `play.replies`).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, cast

import orjson
from pydantic import ValidationError

from relay.call import Call
from relay.engine.exchange_log import line
from relay.engine.gateway import Gateway
from relay.engine.run import Run
from relay.engine.upstream import Upstream
from relay.errors import Refused, RelayError
from relay.exchange import Caller, Client, Exchange
from relay.plugin import Plugin
from relay.ports import Objects, SharedState
from relay.storage.state import LocalState
from relay.target import Retry, Target
from relay.testing.dialect import PLAIN
from relay.testing.examples import Example, example, examples
from relay.testing.played import Played, Reading
from relay.testing.provider import Provider, Script, Step, script
from relay.values.content import Content
from relay.wire import multipart
from relay.wire.dialect import Dialect, Surface

CALLER = Caller(organisation="org_play", key="key_play")
ONE_TRY = Retry(tries=1, base_s=0.0)


def target(number: int = 1, *, dialect: Dialect = PLAIN, retry: Retry = ONE_TRY, **changes: Any) -> Target:
    """An account at the played provider: `changes` are further fields of `Target`."""
    name = f"provider{number}"
    return replace(Target(f"{name}/m", name, dialect, f"https://{name}.test", retry=retry), **changes)


class NotPlayable(RelayError):
    """The plugins cannot be played like this: settings that do not fit, or a service that nobody provides."""


class Stand(Plugin):
    """Stands above the plugins under test and gives each exchange its caller and its targets."""

    name = "play"

    def __init__(self, caller: Caller | None, targets: Sequence[Target]) -> None:
        super().__init__()
        self.caller = caller
        self.targets = targets

    async def on_request(self, exchange: Exchange) -> None:
        exchange.caller = exchange.caller or self.caller
        if self.targets:
            exchange.targets = list(self.targets)


class Play:
    """Plugins under test; see the module.

    `plugins` stand in their order, each made already or as a class with `settings`. `targets` are accounts at the played provider,
    made up where it is a number; 0 leaves them to a plugin that routes. `services` are given for the ports that no plugin here
    provides. `retry` holds for targets that are made up; it does not wait. `state` takes the place of the process' own shared state.

    :raises NotPlayable: the settings do not fit, or a needed service is missing.
    """

    def __init__(
        self,
        plugins: Plugin | type[Plugin] | Sequence[Plugin | type[Plugin]] = (),
        *,
        settings: Mapping[str, Any] | None = None,
        dialect: Dialect = PLAIN,
        targets: int | Sequence[Target] = 1,
        retry: Retry | None = None,
        services: Mapping[type, Any] | None = None,
        caller: Caller | None = CALLER,
        mode: Literal["standard", "commercial"] = "standard",
        way_in_s: float = 10.0,
        state: SharedState | None = None,
    ) -> None:
        given = plugins if isinstance(plugins, Sequence) else [plugins]
        self.plugins = [_made(each, settings) for each in given]
        self.dialect = dialect
        self.provider = Provider()
        self.log: list[dict[str, Any]] = []
        """The relay's own events, as they would be logged."""
        self.exchanges: list[Exchange] = []
        """All that have ended, children included, in the order of their ends."""
        made = targets
        if isinstance(made, int):
            made = [target(number, dialect=dialect, retry=retry or ONE_TRY) for number in range(1, made + 1)]
        self._stand = Stand(caller, made)
        self._services = dict(services or {})
        self._terms: dict[str, Any] = {"mode": mode, "way_in_s": way_in_s}
        self._state = LocalState() if state is None else state
        self._stack = AsyncExitStack()
        self.gateway: Gateway

    async def __aenter__(self) -> Self:
        data = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-play-"))
        upstream = cast(Upstream, self.provider)
        self.gateway = Gateway(
            [self._stand, *self.plugins],
            {self.dialect.name: self.dialect},
            self._state,
            upstream,
            data=Path(data),
            log=self._logged,
            **self._terms,
        )
        self.gateway.watch(self._ended)
        try:
            self._check_needs()
            for port, service in self._services.items():
                self.gateway.provide(port, service)
            await self._stack.enter_async_context(self.gateway.opened())
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    # What the provider does

    def answers(
        self, text: str = "An answer.", *, stream: Sequence[str] | None = None, surface: str | None = None
    ) -> None:
        """The next request is answered with `text`, or, streamed, with the texts of `stream` one after another."""
        shown = self._example(surface)
        if stream is None:
            self.replies(shown.whole(text), content_type=shown.whole_type)
        elif shown.stream is None:
            raise NotPlayable(f"the surface '{shown.surface}' of '{self.dialect.name}' does not stream")
        else:
            self.replies(*shown.stream(stream), content_type=shown.stream_type)

    def fails(self, *, status: int = 500, retry_after: float | None = None, body: bytes = b'{"error":{}}') -> None:
        """The next request is answered with an error of the provider's own. `retry_after` in seconds."""
        headers = [("retry-after", f"{retry_after:g}")] if retry_after is not None else []
        self.replies(body, status=status, content_type="application/json", headers=headers)

    def replies(
        self,
        *steps: Step,
        status: int = 200,
        content_type: str = "application/json",
        headers: Iterable[tuple[str, str]] = (),
        before: Sequence[Step] = (),
    ) -> None:
        """The next request is answered step by step: bytes, seconds to wait, an event to wait for, a fault (`provider.broken`).

        `before` are steps that come before the answer's head.
        """
        played = script(steps, status=status, content_type=content_type, headers=headers)
        self.provider.play(replace(played, before=tuple(before)))

    def breaks(self, *before: Step) -> None:
        """The next request gets no answer: it breaks before the head of one, after these steps."""
        self.provider.play(Script(before=before))

    # What a client does

    async def ask(
        self,
        text: str = "A question?",
        *,
        model: str = "m",
        stream: bool = False,
        surface: str | None = None,
        leaves_after: int | None = None,
    ) -> Played:
        """Ask the text on the dialect's first surface, or the one that is named. A streamed answer is played if none was prepared.

        `leaves_after`: the client closes its connection after so many writes.
        """
        shown = self._example(surface)
        if not self.provider.has_script:
            streams = stream and shown.stream is not None
            self.answers(stream=["An ", "answer."] if streams else None, surface=surface)
        query = shown.stream_query if stream and shown.stream_query is not None else shown.query
        return await self.request(
            shown.surface,
            shown.ask(text, model, stream),
            params=shown.params,
            query=query,
            content_type=shown.ask_type,
            leaves_after=leaves_after,
        )

    async def request(
        self,
        surface: str,
        body: Mapping[str, Any] | bytes = b"",
        *,
        stream: bool | None = None,
        params: Mapping[str, str] | None = None,
        query: str = "",
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "application/json",
        leaves_after: int | None = None,
    ) -> Played:
        """Send a body to a surface by its name. `stream`: set that member of a JSON body."""
        if isinstance(body, Mapping):
            body = orjson.dumps({**body, **({} if stream is None else {"stream": stream})})
        if not self.provider.has_script:
            self.answers()
        run = Run(self.gateway)
        found = self._surface(surface)
        run.exchange = Exchange(Call(self.dialect, found, params=params, query=query), Client("192.0.2.1"), run)
        before = len(self.provider.sent)
        client = Reading(self.gateway, run, leaves_after)
        try:
            try:
                run.exchange.call = self._call(
                    found, body, params or {}, query, [*headers, ("content-type", content_type)]
                )
            except Refused as refused:
                run.exchange.outcome, run.exchange.error = "refused", refused.code
                client.whole(self.gateway.refusal(run.exchange, refused))
            else:
                await client.read(await run.reply())
        except asyncio.CancelledError:
            run.is_client_gone = True
            raise
        finally:
            await run.finish()
        sent = tuple(self.provider.sent[before:])
        return Played(client.status, client.headers, tuple(client.pieces), client.is_cut, run.exchange, sent)

    # Inside

    def _surface(self, name: str) -> Surface:
        for surface in self.dialect.surfaces:
            if surface.name == name:
                return surface
        names = ", ".join(surface.name for surface in self.dialect.surfaces)
        raise NotPlayable(f"the dialect '{self.dialect.name}' has no surface '{name}'; it has {names}")

    def _example(self, surface: str | None) -> Example:
        return examples(self.dialect)[0] if surface is None else example(self.dialect, surface)

    def _call(
        self,
        surface: Surface,
        body: bytes,
        params: Mapping[str, str],
        query: str,
        headers: list[tuple[str, str]],
    ) -> Call:
        document: Any = None
        if surface.body == "json" and body:
            document = orjson.loads(body)
        elif surface.body == "multipart" and (boundary := multipart.boundary(dict(headers)["content-type"])):
            document = multipart.fields(body, boundary)
        asked = self.dialect.ask(surface, params, query, document)
        return Call(
            self.dialect,
            surface,
            params=params,
            query=query,
            headers=headers,
            body=Content(body),
            document=document if surface.body == "json" else None,
            model=asked.model,
            stream=asked.stream,
        )

    def _check_needs(self) -> None:
        there = {SharedState, Objects, *self._services}
        for plugin in self.plugins:
            there |= set(plugin.provides)
        for plugin in self.plugins:
            for port in plugin.needs:
                if port not in there:
                    raise NotPlayable(
                        f"plugin '{plugin.name}' needs {port.__name__}: add a plugin that provides it, "
                        f"or give one with Play(…, services={{{port.__name__}: …}})"
                    )

    def _logged(self, event: str, **fields: object) -> None:
        self.log.append({"event": event, **fields})

    def _ended(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self._logged("exchange", **line(exchange))


def _made(plugin: Plugin | type[Plugin], settings: Mapping[str, Any] | None) -> Plugin:
    if isinstance(plugin, Plugin):
        return plugin
    try:
        return plugin(plugin.Settings.model_validate(dict(settings or {})))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg']}" for each in error.errors()]
    raise NotPlayable(f"the settings of '{plugin.name}' do not fit: " + "; ".join(wrong))
