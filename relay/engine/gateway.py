"""The running relay in one process: its chain, its connections, its services, its figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from relay.engine.chain import Chain
from relay.engine.register import Register
from relay.engine.upstream import Origin, Upstream
from relay.errors import CORE_CODES, Code, Refused, StreamBroken
from relay.exchange import Exchange, Reply
from relay.plugin import Plugin
from relay.ports import LIMITS, Finding, Gauge, Models, Objects, SharedState, Targets
from relay.target import Target
from relay.values.content import CORE, Content
from relay.wire.dialect import Dialect, Keeps, Links, Meters, Refusal

P = TypeVar("P")
_PASSED = frozenset(("content-type", "content-disposition", "retry-after", "content-language", "etag", "last-modified"))
Log = Callable[..., None]


class Gateway:
    """What a plugin's lifespan gets (`relay.plugin.Relay`), and what drives every exchange of the process."""

    def __init__(
        self,
        plugins: Sequence[Plugin],
        dialects: Mapping[str, Dialect],
        state: SharedState,
        upstream: Upstream,
        *,
        mode: Literal["standard", "commercial"] = "standard",
        data: Path = Path(".relay"),
        way_in_s: float = 10.0,
        log: Log,
    ) -> None:
        self.mode = mode
        self.data = data
        self.dialects = dict(dialects)
        self.upstream = upstream
        self.way_in_s = way_in_s
        self.log = log
        self.chain = Chain(plugins, self._plugin_failed)
        self.register = Register(state)
        self.codes: dict[str, Code] = {code.code: code for code in CORE_CODES}
        for plugin in plugins:
            self.codes.update({code.code: code for code in plugin.errors})
        self.observer_failures: dict[str, int] = {}
        self.live: set[str] = set()
        objects: Objects = self.register
        self._services: dict[type, Any] = {SharedState: state, Objects: objects}
        self._gauges: list[Gauge] = []
        self._watchers: list[Callable[[Exchange], None]] = []
        self._checks: dict[str, Callable[[], Finding]] = {}
        self._origins: dict[tuple[str, bool, str | None, str | None], Origin] = {}
        self.meters = {name: dialect for name, dialect in self.dialects.items() if isinstance(dialect, Meters)}
        self.keeps = {name: dialect for name, dialect in self.dialects.items() if isinstance(dialect, Keeps)}
        self.links = {name: dialect for name, dialect in self.dialects.items() if isinstance(dialect, Links)}
        self._passes = {
            name: (
                _PASSED | {p for p in dialect.passes if not p.endswith("-")},
                tuple(p for p in dialect.passes if p.endswith("-")),
            )
            for name, dialect in self.dialects.items()
        }

    # For plugins (relay.plugin.Relay)

    def get(self, port: type[P]) -> P:
        if port not in self._services:
            raise LookupError(f"nobody provides {port.__name__}")
        return cast(P, self._services[port])

    def find(self, port: type[P]) -> P | None:
        return cast("P | None", self._services.get(port))

    def provide(self, port: type[P], it: P) -> None:
        if port in self._services:
            raise LookupError(f"{port.__name__} is provided already")
        self._services[port] = it

    def gauge(self, gauge: Gauge) -> None:
        self._gauges.append(gauge)

    def gauges(self) -> Iterable[Gauge]:
        return tuple(self._gauges)

    def watch(self, ended: Callable[[Exchange], None]) -> None:
        self._watchers.append(ended)

    def check(self, name: str, ready: Callable[[], Finding]) -> None:
        self._checks[name] = ready

    # Opening and closing

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open every plugin, top to bottom; close in reverse, also when one of them fails to open."""
        async with AsyncExitStack() as stack:
            for plugin in self.chain.plugins:
                await stack.enter_async_context(asynccontextmanager(plugin.lifespan)(self))
            self.register.targets = self.find(Targets)
            yield

    def readiness(self) -> dict[str, Finding]:
        """What each check says."""
        return {name: check() for name, check in self._checks.items()}

    # For exchanges

    async def own_answer(self, exchange: Exchange) -> Reply | None:
        """What the core answers itself: the lists of models, with what this caller may use."""
        call = exchange.call
        models = self.find(Models)
        if models is None or call.surface.models is None:
            return None
        entries: Sequence[Any] = models.offered(exchange.caller, call.dialect.name)
        if call.surface.models == "one":
            entries = [entry for entry in entries if entry.id == call.params.get("model")]
            if not entries:
                raise Refused("object_not_found", "There is no such model, or it may not be used with this key.")
        body = call.dialect.models(call.surface, entries)
        return Reply(200, [("content-type", "application/json")], body, dialect=call.dialect, surface=call.surface)

    def origin(self, target: Target) -> Origin:
        """The place of a target, prepared once."""
        key = (target.base_url, target.allow_private, target.proxy, target.ca)
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = self.upstream.origin(
                target.base_url, allow_private=target.allow_private, proxy=target.proxy, ca=target.ca
            )
        return origin

    def passed(self, dialect: Dialect, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers of a provider's answer that reach the client, lower case."""
        names, prefixes = self._passes[dialect.name]
        out = []
        for name, value in headers:
            low = name.lower()
            if low in names or low.startswith(prefixes):
                out.append((low, value))
        return out

    def request_id(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """The provider's own id of a request."""
        for name, value in headers:
            if name in ("x-request-id", "request-id"):
                return value[:128]
        return None

    def refusal(self, exchange: Exchange, refused: Refused, *, status: int | None = None) -> Reply:
        """A refusal in the caller's dialect."""
        code = self.codes.get(refused.code) or self.codes["plugin_failed"]
        call = exchange.call
        words = Refusal(
            code.code, status or code.status, refused.message or code.meaning, exchange.id, refused.retry_after_s
        )
        status, headers, body = call.dialect.refuse(words)
        fields = [(name.lower(), value) for name, value in {**headers, **refused.headers}.items()]
        fields.append(("x-relay-error", code.code))
        if refused.retry_after_s is not None:
            fields.append(("retry-after", str(max(1, round(refused.retry_after_s)))))
        return Reply(status, fields, body, dialect=call.dialect, surface=call.surface)

    def refused_in_stream(self, exchange: Exchange, reply: Reply, broken: StreamBroken) -> bytes:
        """The bytes that end a stream which has begun, in the caller's dialect; b"": its format has none."""
        code = self.codes.get(broken.code) or self.codes["reply_failed"]
        if reply.dialect is None or reply.surface is None:
            return b""
        refusal = Refusal(code.code, code.status, broken.message or code.meaning, exchange.id)
        return reply.dialect.refuse_in_stream(reply.surface, reply.content_type, refusal)

    def limits(self, exchange: Exchange) -> Mapping[str, str]:
        """Headers that tell the caller about its limits."""
        return exchange.get(LIMITS) or {}

    def ended(self, exchange: Exchange) -> None:
        """Tell everybody who watches that an exchange has ended."""
        for watcher in self._watchers:
            try:
                watcher(exchange)
            except Exception as error:
                self.log("watcher_failed", error=type(error).__name__)

    def end_failed(self, error: Exception) -> None:
        """A callback of `on_end` failed."""
        self.log("end_failed", error=type(error).__name__)

    def observer_failed(self, plugin: str) -> None:
        """An observer failed and was dropped."""
        self.observer_failures[plugin] = self.observer_failures.get(plugin, 0) + 1
        self.log("observer_failed", plugin=plugin)

    def failed(self, exchange: Exchange, error: Exception) -> None:
        """Something of the relay's own failed, or of a dialect's."""
        self.log("relay_failed", exchange=exchange.id, error=type(error).__name__, where=_where(error))

    def _plugin_failed(self, exchange: Exchange, plugin: str, error: Exception) -> None:
        self.log("plugin_failed", plugin=plugin, exchange=exchange.id, error=type(error).__name__, where=_where(error))


def _where(error: Exception) -> str:
    """File and line where it was raised: an exception's words may hold content, its place does not."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""


def body_of(reply: Reply) -> bytes:
    """The bytes of a reply that was made here."""
    assert isinstance(reply.source, Content)
    return reply.source.data(CORE)
