"""The plugin `ratelimit`: settings, lifespan, hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from relay import Exchange, Job, Plugin, Relay, Reply
from relay.ports import Gauge, Scripts, SharedState
from relay_ratelimit.admission import LIMITS_UNAVAILABLE, RATE_LIMITED, admit, take_place
from relay_ratelimit.degrading import Degrading
from relay_ratelimit.local import LocalLimiter
from relay_ratelimit.scopes import Scopes
from relay_ratelimit.settings import RatelimitSettings
from relay_ratelimit.shared import RENEW_S, SharedLimiter


class Ratelimit(Plugin):
    """How much may a caller ask for? Stands below `auth`, which says who asks."""

    name = "ratelimit"
    Settings = RatelimitSettings
    after = ("auth",)
    before = ("routing", "byok", "policy", "ledger", "metering", "guard", "redaction", "bodylog", "cache")
    needs = (SharedState,)
    errors = (RATE_LIMITED, LIMITS_UNAVAILABLE)

    settings: RatelimitSettings
    _opened: tuple[Scopes, Degrading] | None = None

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        state, settings = relay.get(SharedState), self.settings
        shared = SharedLimiter(state) if isinstance(state, Scripts) else None
        parts = settings.processes or 1
        limiter = Degrading(shared, LocalLimiter(parts), parts=parts, without=settings.without_state, log=relay.log)
        relay.check("ratelimit", limiter.finding)
        relay.gauge(
            Gauge("relay_ratelimit_degraded", "1 while limits are not exact over all processes.", "gauge", (),
                  lambda: [((), float(limiter.is_degraded))])
        )  # fmt: skip
        self._opened = Scopes(settings), limiter
        yield
        self._opened = None

    def jobs(self) -> Iterable[Job]:
        yield Job("ratelimit.renew", self._renew, every=RENEW_S, timeout_s=10.0, scope="process")

    async def on_request(self, exchange: Exchange) -> None:
        """Let in what is within all its limits. :raises Refused: see `errors`."""
        await admit(*self._open(), exchange)

    async def on_reply(self, exchange: Exchange, reply: Reply) -> None:
        """The provider's words about its limits give way to ours."""
        take_place(exchange, reply)

    async def _renew(self) -> None:
        await self._open()[1].renew()

    def _open(self) -> tuple[Scopes, Degrading]:
        if self._opened is None:
            raise RuntimeError("ratelimit is used outside of its lifespan")
        return self._opened
