"""One request on its way through the relay, and all that is known about it.

Made and driven by the engine; plugins read it, register on it and carry values over it. See `relay.plugin.Plugin` for when.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, overload
from weakref import ref

from relay.call import Call
from relay.errors import ContentClosed
from relay.target import Credential, Target
from relay.values import ids
from relay.values.content import Content
from relay.wire.dialect import Dialect, Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import CONTENT_KINDS, KINDS, TEXT_KINDS, Created, Event, Kind, Stop, Usage, only_known

if TYPE_CHECKING:
    from relay.plugin import Plugin

T = TypeVar("T")
Outcome = Literal["completed", "refused", "failed", "client_left", "skipped", "lost", "interrupted"]
End = Callable[..., Awaitable[None] | None]


class Key(Generic[T]):
    """The name of a value that one plugin leaves on an exchange for another. Two keys are never equal."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<key {self.name}>"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do. `models` and `surfaces` are patterns with `*`; None: all."""

    organisation: str
    key: str
    member: str | None = None
    models: tuple[str, ...] | None = None
    surfaces: tuple[str, ...] | None = None

    def may_use(self, model: str) -> bool:
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)

    def may_ask(self, surface: Surface) -> bool:
        return self.surfaces is None or any(fnmatchcase(surface.name, pattern) for pattern in self.surfaces)


@dataclass(frozen=True, slots=True)
class Client:
    """Whence a request came. `address` has been read through the trusted proxies; `secure`: it came over TLS."""

    address: str
    user_agent: str = ""
    secure: bool = False
    host: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Returned from `on_attempt`: this target cannot take it, take the next. If none is left, the client gets `code`."""

    code: str = "no_target"
    message: str | None = None
    retry_after_s: float | None = None


class _Ends:
    """Callbacks for the end, last in first out, each at most once."""

    __slots__ = ("_ends", "ended")

    def __init__(self) -> None:
        self._ends: list[tuple[End, tuple[Any, ...]]] = []
        self.ended = False

    def on_end(self, do: End, *args: Any) -> None:
        """Call `do(*args)` exactly once when this ends, whatever happened. Write it on the line after what it undoes."""
        if self.ended:
            raise RuntimeError("it has already ended")
        self._ends.append((do, args))


class Attempt(_Ends):
    """One try at one target. `number` counts from 1 over the exchange."""

    __slots__ = (
        "_exchange",
        "call",
        "credential",
        "error",
        "finished",
        "first_byte",
        "first_event",
        "hides",
        "number",
        "outcome",
        "request_id",
        "started",
        "status",
        "stop",
        "target",
        "tried",
        "usage",
    )

    def __init__(self, exchange: Exchange, target: Target, call: Call, number: int, tried: int) -> None:
        super().__init__()
        self._exchange = ref(
            exchange
        )  # the exchange holds its attempts: together they would be garbage for the collector
        self.target = target
        self.call = call
        self.number = number
        self.tried = tried
        """Which try at this target, from 1."""
        self.credential: Credential | None = target.credential
        self.status: int | None = None
        self.usage: Usage | None = None
        self.stop: Stop | None = None
        self.outcome: Outcome | None = None
        self.error: str | None = None
        """The registered code of what went wrong."""
        self.request_id: str | None = None
        self.hides: Callable[[Frame], bool] | None = None
        """Which frames the provider sends only because the relay asked for them; they do not reach the client."""
        self.started = perf_counter()
        self.first_byte: float | None = None
        self.first_event: float | None = None
        self.finished: float | None = None

    @property
    def exchange(self) -> Exchange:
        """The exchange it belongs to. :raises ReferenceError: that is long over, and nobody keeps it."""
        exchange = self._exchange()
        if exchange is None:
            raise ReferenceError("the exchange is over")
        return exchange


class Rewriter(Protocol):
    """Changes the text of one block. `feed` may hold back what it cannot decide on yet; `end` gives the rest."""

    def feed(self, text: str) -> str: ...

    def end(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What was registered on a reply, in order. `do` is the observer, maker of rewriters, change or watcher."""

    form: Literal["observe", "watch", "rewrite", "transform"]
    do: Callable[..., Any]
    kinds: frozenset[Kind]
    by: str


class Source(Protocol):
    """Where a reply's bytes come from (the engine's upstream stream, or bytes at hand)."""

    async def read(self) -> bytes:
        """The next piece, b"" at the proper end. :raises StreamBroken: it ended otherwise."""
        ...

    async def peek(self, reply: Reply, n: int, kinds: frozenset[Kind]) -> list[Event]: ...

    async def close(self) -> None: ...


class Reply:
    """Status, headers and a stream of frames; an answer that is not streamed is a stream of one frame.

    Header names are lower case. Nothing has been written while hooks see it.
    """

    __slots__ = ("attempt", "by", "content_type", "dialect", "headers", "source", "stages", "status", "surface")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        body: Content | Source | bytes = b"",
        *,
        dialect: Dialect | None = None,
        surface: Surface | None = None,
        attempt: Attempt | None = None,
    ) -> None:
        self.status = status
        self.headers: list[tuple[str, str]] = list(headers)
        self.source: Source | Content = Content(body) if isinstance(body, bytes) else body
        self.dialect = dialect
        self.surface = surface
        self.attempt = attempt
        """The attempt that won, or None: the reply was made here."""
        self.stages: list[Stage] = []
        self.by: Plugin | None = None
        self.content_type = self.header("content-type") or ""

    def header(self, name: str) -> str | None:
        """The value of a header, by lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def set_header(self, name: str, value: str) -> None:
        """Set a header, replacing those of the same lower-case name."""
        self.headers = [pair for pair in self.headers if pair[0] != name]
        self.headers.append((name, value))

    def observe(self, see: Callable[[Event], None], *kinds: Kind) -> None:
        """See events of these kinds, each after it was written. A failing observer is dropped and counted."""
        self._register("observe", see, kinds, KINDS)

    def watch(self, see: Callable[[int], None]) -> None:
        """See the size in bytes of each piece after it was written. Nothing is parsed for it."""
        self._register("watch", see, (), KINDS)

    def rewrite(self, make: Callable[[Kind], Rewriter], *kinds: Kind) -> None:
        """Change the strings of these kinds wherever they stand, streamed or not; every other byte stays.

        `make` is called once per block (choice, item, tool call) and once per repeat of it. A failing rewriter ends the stream, and so
        does a part of the answer that is not understood, unless `opaque` is named too: then such parts pass unchanged.
        """
        self._register("rewrite", make, kinds, TEXT_KINDS | {"opaque"})

    def transform(self, change: Callable[[Event], Iterable[Event]], *kinds: Kind) -> None:
        """Drop and insert events: `change` returns what stands in the place of the event it gets.

        Return the event itself, copies of it with another value, several, or nothing.
        """
        self._register("transform", change, kinds, TEXT_KINDS | {"opaque"})

    async def peek(self, n: int, *kinds: Kind) -> list[Event]:
        """The first `n` events of these kinds (fewer at the end of the stream); they stay in the stream."""
        self._permit(kinds, KINDS)
        if isinstance(self.source, Content):
            return []
        return await self.source.peek(self, n, frozenset(kinds))

    def _register(self, form: Literal["observe", "watch", "rewrite", "transform"], do: Callable[..., Any],
                  kinds: tuple[Kind, ...], allowed: frozenset[Kind]) -> None:  # fmt: skip
        self._permit(kinds, allowed)
        self.stages.append(Stage(form, do, frozenset(kinds), self.by.name if self.by else "relay"))

    def _permit(self, kinds: tuple[Kind, ...], allowed: frozenset[Kind]) -> None:
        only_known(kinds, allowed)
        if self.by is not None and not self.by.reads_content and not CONTENT_KINDS.isdisjoint(kinds):
            raise ContentClosed(f"plugin '{self.by.name}' names content but does not declare reads_content")


class Engine(Protocol):
    """What an exchange asks of the engine that drives it."""

    async def ask(self, exchange: Exchange, call: Call) -> Reply: ...

    def stop(self, exchange: Exchange, code: str, message: str | None) -> None: ...


class Exchange(_Ends):
    """One request on its way through the relay."""

    __slots__ = (
        "__weakref__",
        "attempts",
        "call",
        "caller",
        "client",
        "created",
        "depth",
        "engine",
        "error",
        "id",
        "inbound",
        "outcome",
        "parent",
        "started",
        "started_at",
        "status",
        "targets",
        "values",
    )

    def __init__(self, call: Call, client: Client, engine: Engine, *, parent: Exchange | None = None) -> None:
        super().__init__()
        self.id = ids.shown("exc")
        self.call = call
        self.client = client
        self.engine = engine
        self.caller: Caller | None = parent.caller if parent else None
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.inbound: Reply | None = None
        """In a realtime session: where stages for the client's messages are registered, as on a reply."""
        self.targets: list[Target] = []
        self.attempts: list[Attempt] = []
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.error: str | None = None
        self.created: list[Created] = []
        self.started = perf_counter()
        self.values: dict[Key[Any], Any] = {}

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that answered, or the last one."""
        for attempt in reversed(self.attempts):
            if attempt.outcome == "completed":
                return attempt
        return self.attempts[-1] if self.attempts else None

    def set(self, key: Key[T], value: T) -> None:
        """Leave a value for the plugins below and above."""
        self.values[key] = value

    @overload
    def get(self, key: Key[T]) -> T | None: ...
    @overload
    def get(self, key: Key[T], default: T) -> T: ...
    def get(self, key: Key[T], default: T | None = None) -> T | None:
        return self.values.get(key, default)

    def stop(self, code: str = "stopped", message: str | None = None) -> None:
        """End the running stream with an error event in the caller's dialect; from anywhere, also from a timer."""
        self.engine.stop(self, code, message)

    async def ask(self, call: Call) -> Reply:
        """Send a call of our own through the whole chain, as a child of this exchange, and get its reply.

        It has its own attempts, limits and log line, and ends with this exchange at the latest.

        :raises Refused: `too_deep`, or whatever the chain refuses it with.
        """
        return await self.engine.ask(self, call)
