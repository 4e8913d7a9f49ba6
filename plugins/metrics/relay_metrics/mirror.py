"""The gauges that the core and the plugins offer, copied to where all workers' figures are added up.

A gauge lives in one process, and a scrape reaches any one of them: so each copies its own, every second and before it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from prometheus_client import Counter, Gauge

from relay import ports
from relay_metrics.series import LIMIT, Series


class Mirror:
    """Copies what `gauges` gives into metrics of the same names, and tells `log` of one that fails. Made within `Folder.joined`."""

    def __init__(self, gauges: Callable[[], Iterable[ports.Gauge]], log: Callable[..., None]) -> None:
        self._gauges = gauges
        self._log = log
        self._levels: dict[str, Series[Gauge]] = {}
        self._totals: dict[str, tuple[Series[Counter], dict[tuple[str, ...], float]]] = {}
        self._failed: set[str] = set()

    def copy(self) -> None:
        """Copy every gauge as it is now. One that cannot be read is left out, and said once."""
        for gauge in self._gauges():
            try:
                figures = dict(islice(gauge.read(), LIMIT))
                if gauge.kind == "counter":
                    self._copy_total(gauge, figures)
                else:
                    self._copy_level(gauge, figures)
            except Exception as error:
                # A plugin's gauge must not take all other figures with it.
                if gauge.name not in self._failed:
                    self._failed.add(gauge.name)
                    self._log("gauge_failed", gauge=gauge.name, error=type(error).__name__)

    def _copy_level(self, gauge: ports.Gauge, figures: dict[tuple[str, ...], float]) -> None:
        series = self._levels.get(gauge.name)
        if series is None:
            # The sum over workers that live: what a dead one had open is open no more.
            metric = Gauge(gauge.name, gauge.help, gauge.labels, registry=None, multiprocess_mode="livesum")
            series = self._levels[gauge.name] = Series(metric, len(gauge.labels))
        for labels in [labels for labels in series if labels not in figures]:
            series.of(labels).set(0)  # A series cannot be taken out of the file.
        for labels, figure in figures.items():
            series.of(labels).set(figure)

    def _copy_total(self, gauge: ports.Gauge, figures: dict[tuple[str, ...], float]) -> None:
        known = self._totals.get(gauge.name)
        if known is None:
            metric = Counter(gauge.name, gauge.help, gauge.labels, registry=None)
            known = self._totals[gauge.name] = (Series(metric, len(gauge.labels)), {})
        series, last = known
        for labels, figure in figures.items():
            grown = figure - last.get(labels, 0.0)
            # Less than before means that it began anew.
            series.of(labels).inc(grown if grown >= 0 else figure)
            last[labels] = figure
