"""The contract of a plugin: one class, one concern. Override what you need; a hook you do not override costs nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from relay.declare import Command, Header, Job, Route, Table
from relay.errors import Code
from relay.exchange import Attempt, Exchange, Reply, Skip
from relay.ports import Finding, Gauge
from relay.wire.dialect import Dialect

API = 1
"""The version of this contract. It grows when a plugin written for the older one would break."""

P = TypeVar("P")


class Settings(BaseModel):
    """The root of every settings class: frozen, unknown settings are errors, a field's description is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Relay(Protocol):
    """What a plugin's lifespan gets: the running relay, as far as a plugin may know it."""

    @property
    def mode(self) -> Literal["standard", "commercial"]: ...

    @property
    def data(self) -> Path:
        """The data folder; a plugin uses `data / name`."""
        ...

    @property
    def dialects(self) -> dict[str, Dialect]:
        """The dialects that can be spoken to providers, by name (also those that are not served)."""
        ...

    def get(self, port: type[P]) -> P:
        """A service. :raises LookupError: nobody provides it (declare it in `needs`, and this is found at start)."""
        ...

    def find(self, port: type[P]) -> P | None:
        """A service, or None: for what a plugin lists in `uses`."""
        ...

    def provide(self, port: type[P], it: P) -> None:
        """Offer a service. A port has one provider."""
        ...

    def log(self, event: str, **fields: object) -> None:
        """Write one line to the relay's log. Never content, keys, or an exception's words."""
        ...

    def gauge(self, gauge: Gauge) -> None:
        """Offer a figure to whoever collects metrics."""
        ...

    def gauges(self) -> Iterable[Gauge]: ...

    def watch(self, ended: Callable[[Exchange], None]) -> None:
        """Be told of each exchange when it has ended, children included."""
        ...

    def check(self, name: str, ready: Callable[[], Finding]) -> None:
        """Take part in the readiness check."""
        ...


class Plugin:
    """One concern of the relay.

    A plugin is made once per process with its settings; nothing has a side effect before `lifespan`.
    """

    name: ClassVar[str]
    """= folder = entry point = YAML key = database schema."""
    api: ClassVar[int] = API
    """The version of the contract it was written for; a newer one than the relay's is refused at start."""
    Settings: ClassVar[type[BaseModel]] = Settings
    after: ClassVar[tuple[str, ...]] = ()
    """Plugins that must stand above this one, when present."""
    before: ClassVar[tuple[str, ...]] = ()
    """Plugins that must stand below this one, when present."""
    needs: ClassVar[tuple[type, ...]] = ()
    uses: ClassVar[tuple[type, ...]] = ()
    provides: ClassVar[tuple[type, ...]] = ()
    reads_content: ClassVar[bool] = False
    """May it open prompts and answers?"""
    stores: ClassVar[tuple[Table, ...]] = ()
    errors: ClassVar[tuple[Code, ...]] = ()
    """The codes it refuses with, beside the core's."""
    headers: ClassVar[tuple[Header, ...]] = ()

    settings: Any

    def __init__(self, settings: BaseModel | None = None) -> None:
        self.settings = settings if settings is not None else type(self).Settings()

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        """Open · yield · close. Runs once in each worker, top to bottom; closing in reverse, also after a half start."""
        yield

    def routes(self) -> Iterable[Route]:
        """HTTP routes. Asked once, before lifespan."""
        return ()

    def jobs(self) -> Iterable[Job]:
        """Things done again and again. Asked once, before lifespan."""
        return ()

    def commands(self) -> Iterable[Command]:
        """Commands of the command line. Asked without a server."""
        return ()

    async def on_request(self, exchange: Exchange) -> Reply | None:
        """Top to bottom, when a request has been read. A Reply answers now; the plugins above see it in `on_reply`.

        :raises Refused: refuse it. Any other exception is a 500 `plugin_failed`; nothing goes upstream.
        """

    async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> Skip | None:
        """Top to bottom, before each try at a target. A Skip takes the next target.

        :raises Refused: refuse the exchange. Any other exception is a 500 `plugin_failed`.
        """

    async def on_reply(self, exchange: Exchange, reply: Reply) -> Reply | None:
        """Bottom to top, once, on the winning reply; no byte has been written. A Reply takes its place.

        :raises Refused: refuse after all. Any other exception is a 500 `reply_failed`.
        """
