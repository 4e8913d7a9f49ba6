"""The chain: the hooks of the plugins in the order of the configuration, bound once, timed each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns
from typing import TypeVar

from relay.errors import Refused, StreamBroken
from relay.exchange import Attempt, Exchange, Reply, Skip
from relay.plugin import Plugin

T = TypeVar("T")
Failed = Callable[[Exchange, str, Exception], None]


class Timing:
    """How often a plugin's hooks ran, how long they took in all, and how often they failed."""

    __slots__ = ("calls", "failures", "nanoseconds")

    def __init__(self) -> None:
        self.calls = 0
        self.nanoseconds = 0
        self.failures = 0


class PluginFailed(Exception):
    """A hook raised something that is no refusal."""

    def __init__(self, plugin: str) -> None:
        super().__init__(plugin)
        self.plugin = plugin


class Chain:
    """The hooks that are there: a plugin that does not override one has no place in its list."""

    def __init__(self, plugins: Sequence[Plugin], failed: Failed) -> None:
        self.plugins = tuple(plugins)
        self.timings = {plugin.name: Timing() for plugin in plugins}
        self._failed = failed
        self._requests = [
            (position, plugin, plugin.on_request, self.timings[plugin.name])
            for position, plugin in enumerate(plugins)
            if type(plugin).on_request is not Plugin.on_request
        ]
        self._attempts = [
            (plugin, plugin.on_attempt, self.timings[plugin.name])
            for plugin in plugins
            if type(plugin).on_attempt is not Plugin.on_attempt
        ]
        self.has_attempts = bool(self._attempts)
        self._replies = [
            (position, plugin, plugin.on_reply, self.timings[plugin.name])
            for position, plugin in reversed(list(enumerate(plugins)))
            if type(plugin).on_reply is not Plugin.on_reply
        ]

    async def descend(self, exchange: Exchange, reached: list[int]) -> Reply | None:
        """`on_request`, top to bottom, until one answers. `reached` is given the position where the descent ended.

        :raises Refused: by a hook. :raises PluginFailed: a hook failed.
        """
        for position, plugin, hook, timing in self._requests:
            reached[0] = position
            reply = await self._timed(exchange, plugin, timing, hook(exchange))
            if reply is not None:
                return reply
        reached[0] = len(self.plugins)
        return None

    async def attempt(self, exchange: Exchange, attempt: Attempt) -> Skip | None:
        """`on_attempt`, top to bottom, until one skips. :raises Refused: :raises PluginFailed:"""
        for plugin, hook, timing in self._attempts:
            skip = await self._timed(exchange, plugin, timing, hook(exchange, attempt))
            if skip is not None:
                return skip
        return None

    async def ascend(
        self,
        exchange: Exchange,
        reply: Reply,
        reached: int,
        refuse: Callable[[Refused], Reply],
        replaced: Callable[[Reply], None],
        resume: Callable[[], Refused],
    ) -> Reply:
        """`on_reply`, bottom to top, of the plugins above the position that was reached.

        A refusal or a failure takes the reply's place, and the plugins above see that. `replaced` gets what was replaced. `resume`
        gives the reason of a cancellation that was our own, and raises it again if it was not.
        """
        for position, plugin, hook, timing in self._replies:
            if position >= reached:
                continue
            reply.by = plugin
            try:
                other = await self._timed(exchange, plugin, timing, hook(exchange, reply))
            except Refused as refused:
                other = refuse(refused)
            except StreamBroken as broken:
                other = refuse(Refused(broken.code, broken.message))
            except PluginFailed:
                other = refuse(Refused("reply_failed"))
            except asyncio.CancelledError:
                other = refuse(resume())
            finally:
                reply.by = None
            if other is not None and other is not reply:
                replaced(reply)
                reply = other
        return reply

    async def _timed(self, exchange: Exchange, plugin: Plugin, timing: Timing, hook: Awaitable[T]) -> T:
        started = perf_counter_ns()
        try:
            return await hook
        except (Refused, StreamBroken):
            raise
        except Exception as error:
            timing.failures += 1
            self._failed(exchange, plugin.name, error)
            raise PluginFailed(plugin.name) from None
        finally:
            timing.calls += 1
            timing.nanoseconds += perf_counter_ns() - started
