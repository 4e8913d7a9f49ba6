"""The plugin `metrics`: settings, lifespan, route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from pydantic import Field, field_validator

from relay import Exchange, Job, Plugin, Relay, Route, Settings
from relay.ports import Models, Targets
from relay_metrics.folder import Folder
from relay_metrics.mirror import Mirror
from relay_metrics.traffic import Traffic


class MetricsSettings(Settings):
    """How finely times are told apart."""

    duration_buckets: tuple[float, ...] = Field(
        default=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0),
        description="Upper bounds of the buckets for a request's whole time, in seconds.",
    )
    first_event_buckets: tuple[float, ...] = Field(
        default=(0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0, 120.0),
        description="Upper bounds of the buckets for the time to the first content, in seconds.",
    )

    @field_validator("duration_buckets", "first_event_buckets")
    @classmethod
    def _growing(cls, buckets: tuple[float, ...]) -> tuple[float, ...]:
        if not buckets or len(buckets) > 50 or buckets[0] <= 0 or list(buckets) != sorted(set(buckets)):
            raise ValueError("found something else, expected 1 to 50 numbers above 0, each larger than the one before")
        return buckets


class Metrics(Plugin):
    """Counts, and shows the counts to Prometheus."""

    name = "metrics"
    Settings = MetricsSettings
    uses = (Models, Targets)

    settings: MetricsSettings
    _opened: tuple[Folder, Traffic, Mirror] | None = None

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        folder = Folder(relay.data / "metrics")
        with folder.joined():
            traffic = Traffic(
                self.settings.duration_buckets,
                self.settings.first_event_buckets,
                lambda: relay.find(Models),
                lambda: relay.find(Targets),
            )
            mirror = Mirror(relay.gauges, relay.log)
            self._opened = folder, traffic, mirror
            relay.watch(self._ended)
            yield
            self._write(traffic, mirror)
            self._opened = None

    def routes(self) -> Iterable[Route]:
        yield Route("GET", "/-/metrics", self._show, "operator")

    def jobs(self) -> Iterable[Job]:
        yield Job("metrics.write", self._flush, every=1.0, timeout_s=10.0, scope="process")

    def _ended(self, exchange: Exchange) -> None:
        if self._opened is not None:
            self._opened[1].ended(exchange)

    async def _flush(self) -> None:
        if self._opened is not None:
            _, traffic, mirror = self._opened
            self._write(traffic, mirror)

    @staticmethod
    def _write(traffic: Traffic, mirror: Mirror) -> None:
        traffic.flush()
        mirror.copy()

    async def _show(self, request: web.Request) -> web.Response:
        """The figures of all workers; this one's are of now, the others' at most a second old."""
        if self._opened is None:
            raise web.HTTPServiceUnavailable
        folder, traffic, mirror = self._opened
        self._write(traffic, mirror)
        body, content_type = await asyncio.to_thread(folder.rendered, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})
