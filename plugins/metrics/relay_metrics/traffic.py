"""What is counted of each exchange when it has ended. No label holds anything that a client wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from prometheus_client import Counter, Histogram

from relay import Attempt, Exchange
from relay.ports import Models, Targets
from relay.wire.vocabulary import BUCKETS
from relay_metrics.series import Series
from relay_metrics.tally import AttemptTally, RequestTally, Times

_UNITS = frozenset(("images", "server_tools", "audio_ms", "characters"))
"""The buckets of usage that are not tokens."""
_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
_PLACE = ("dialect", "surface", "provider", "model")


class Traffic:
    """The metrics of exchanges. Made within `Folder.joined`.

    :param duration_buckets: upper bounds, in seconds.
    :param first_event_buckets: upper bounds, in seconds.
    :param models: gives the port, or None while nobody routes.
    :param targets: likewise.
    """

    def __init__(
        self,
        duration_buckets: Sequence[float],
        first_event_buckets: Sequence[float],
        models: Callable[[], Models | None],
        targets: Callable[[], Targets | None],
    ) -> None:
        self._bounds = duration_buckets, first_event_buckets
        self._find_models = models
        self._find_targets = targets
        self._names: frozenset[str] | None = None
        self._pending: dict[tuple[str, str, str, str, str, str], RequestTally] = {}
        self._pending_attempts: dict[tuple[str, str, str, str], AttemptTally] = {}
        self._pending_errors: dict[tuple[str, ...], int] = {}
        self._requests = _counter(
            "relay_requests_total",
            "Requests that have ended.",
            "dialect",
            "surface",
            "outcome",
            "status",
            "provider",
            "model",
        )
        self._durations = _histogram(
            "relay_request_seconds", "Time from a request's head to its end.", duration_buckets, *_PLACE
        )
        self._first_events = _histogram(
            "relay_first_event_seconds",
            "Time from a request's head to the first content.",
            first_event_buckets,
            *_PLACE,
        )
        self._attempts = _counter("relay_attempts_total", "Tries at providers.", "provider", "outcome", "status")
        self._errors = _counter(
            "relay_errors_total", "Requests that ended with an error, by its code.", "dialect", "code"
        )
        self._tokens = _counter(
            "relay_tokens_total",
            "Tokens as providers report them, in buckets that do not overlap.",
            "provider",
            "model",
            "bucket",
        )
        self._units = _counter(
            "relay_usage_units_total",
            "What providers report beside tokens, each in its unit.",
            "provider",
            "model",
            "unit",
        )
        self._suspect = _counter(
            "relay_suspect_usage_total", "Reports of usage that cannot be right and are not counted.", "provider"
        )

    def ended(self, exchange: Exchange) -> None:
        """Count an exchange and its attempts."""
        seconds = perf_counter() - exchange.started
        call = exchange.call
        dialect = call.dialect.name
        model = self._model(call.model)
        provider = "none"
        attempt = exchange.attempt
        if attempt is not None:
            provider = self._provider(attempt)
            for each in exchange.attempts:
                self._attempt(each, provider if each is attempt else self._provider(each), model)
        key = (dialect, call.surface.name, exchange.outcome or "none", _class(exchange.status), provider, model)
        tally = self._pending.get(key)
        if tally is None:
            tally = self._pending[key] = RequestTally(*self._bounds)
        tally.count += 1
        tally.durations.add(seconds)
        if attempt is not None and attempt.first_event is not None:
            tally.first_events.add(attempt.first_event - exchange.started)
        if exchange.error is not None:
            error = (dialect, exchange.error)
            self._pending_errors[error] = self._pending_errors.get(error, 0) + 1

    def flush(self) -> None:
        """Write what has been counted, and look again which models there are."""
        models = self._find_models()
        self._names = frozenset(entry.id for entry in models.offered(None)) if models is not None else frozenset()
        pending, self._pending = self._pending, {}
        for (dialect, surface, outcome, status, provider, model), requests in pending.items():
            self._requests.of((dialect, surface, outcome, status, provider, model)).inc(requests.count)
            place = (dialect, surface, provider, model)
            _pour(requests.durations, self._durations.of(place))
            if any(requests.first_events.counts):
                _pour(requests.first_events, self._first_events.of(place))
        attempts, self._pending_attempts = self._pending_attempts, {}
        for (provider, model, outcome, status), tally in attempts.items():
            self._attempts.of((provider, outcome, status)).inc(tally.count)
            if tally.suspect:
                self._suspect.of((provider,)).inc(tally.suspect)
            for bucket, amount in zip(BUCKETS, tally.amounts, strict=True):
                if amount:
                    (self._units if bucket in _UNITS else self._tokens).of((provider, model, bucket)).inc(amount)
        errors, self._pending_errors = self._pending_errors, {}
        for error, count in errors.items():
            self._errors.of(error).inc(count)

    def _attempt(self, attempt: Attempt, provider: str, model: str) -> None:
        key = (provider, model, attempt.outcome or "none", _class(attempt.status))
        tally = self._pending_attempts.get(key)
        if tally is None:
            tally = self._pending_attempts[key] = AttemptTally()
        tally.add(attempt)

    def _model(self, asked: str | None) -> str:
        """The name, if the deployer configured it: clients can ask for anything."""
        if asked is None:
            return "none"
        if self._names is None:
            self.flush()
        assert self._names is not None
        return asked if asked in self._names else "other"

    def _provider(self, attempt: Attempt) -> str:
        """The provider's name, if the deployer configured it; a customer's own account is `other`."""
        targets = self._find_targets()
        name = attempt.target.provider
        return name if targets is not None and targets.named(name) is not None else "other"


def _class(status: int | None) -> str:
    return _CLASSES[status // 100] if status is not None and 100 <= status < 600 else "none"


def _pour(times: Times, histogram: Any) -> None:
    """Add times to a histogram's series. prometheus-client has no public way to add many at once; a test pins this one."""
    histogram._sum.inc(times.total_s)
    for bucket, count in zip(histogram._buckets, times.counts, strict=True):
        if count:
            bucket.inc(count)


def _counter(name: str, help: str, *labels: str) -> Series[Counter]:
    return Series(Counter(name, help, labels, registry=None), len(labels))


def _histogram(name: str, help: str, buckets: Sequence[float], *labels: str) -> Series[Histogram]:
    return Series(Histogram(name, help, labels, registry=None, buckets=tuple(buckets)), len(labels))
