"""What is counted of exchanges, under which labels, and at what cost."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from prometheus_client import Histogram
from pydantic import ValidationError
from relay_metrics.plugin import MetricsSettings
from relay_metrics.series import LIMIT
from relay_metrics.tally import Times
from relay_metrics.traffic import _pour

from relay import Usage
from relay.ports import Models, Targets


async def test_a_request_is_counted_by_what_it_was_and_what_became_of_it(
    opened: Any, scrape: Any, exchange: Any
) -> None:
    async with opened() as metrics:
        metrics._ended(exchange())
        metrics._ended(exchange())
        metrics._ended(exchange(outcome="failed", status=503, error="no_target", provider=None))
        seen = await scrape(metrics)

    labels = {"dialect": "fake", "surface": "chat", "model": "gpt-4o"}
    assert 2 == seen.of("relay_requests_total", outcome="completed", status="2xx", provider="one", **labels)
    assert 1 == seen.of("relay_requests_total", outcome="failed", status="5xx", provider="none", **labels)
    assert 1 == seen.of("relay_errors_total", dialect="fake", code="no_target")
    assert 3 == seen.of("relay_request_seconds_count", **labels)
    assert seen.of("relay_first_event_seconds_count", provider="none") is None


async def test_the_time_to_the_first_content_falls_into_its_bucket(opened: Any, scrape: Any, exchange: Any) -> None:
    async with opened(first_event_buckets=(0.2, 0.4)) as metrics:
        metrics._ended(exchange())
        seen = await scrape(metrics)

    assert [0, 1, 1] == [seen.of("relay_first_event_seconds_bucket", le=le) for le in ("0.2", "0.4", "+Inf")]
    assert 0.3 == pytest.approx(seen.of("relay_first_event_seconds_sum"))


async def test_every_attempt_is_counted_and_not_only_the_last(opened: Any, scrape: Any, exchange: Any) -> None:
    async with opened() as metrics:
        metrics._ended(exchange(failed=2))
        seen = await scrape(metrics)

    assert 2 == seen.of("relay_attempts_total", provider="one", outcome="failed", status="5xx")
    assert 1 == seen.of("relay_attempts_total", provider="one", outcome="completed", status="2xx")
    assert 1 == seen.of("relay_requests_total")


async def test_usage_is_counted_by_bucket_and_what_is_no_token_apart(opened: Any, scrape: Any, exchange: Any) -> None:
    async with opened() as metrics:
        metrics._ended(exchange(usage=Usage(input=10, cache_read=5, output=7, images=2, audio_ms=1500)))
        seen = await scrape(metrics)

    tokens = {
        bucket: seen.of("relay_tokens_total", bucket=bucket, model="gpt-4o", provider="one")
        for bucket in ("input", "cache_read", "output", "images")
    }
    assert {"input": 10, "cache_read": 5, "output": 7, "images": None} == tokens
    assert 2 == seen.of("relay_usage_units_total", unit="images")
    assert 1500 == seen.of("relay_usage_units_total", unit="audio_ms")


async def test_usage_that_cannot_be_right_is_not_counted_but_seen(opened: Any, scrape: Any, exchange: Any) -> None:
    async with opened() as metrics:
        metrics._ended(exchange(usage=Usage(input=-5, suspect="negative")))
        seen = await scrape(metrics)

    assert seen.of("relay_tokens_total") is None
    assert 1 == seen.of("relay_suspect_usage_total", provider="one")


async def test_nothing_that_a_client_or_a_customer_wrote_becomes_a_label(
    opened: Any, scrape: Any, exchange: Any
) -> None:
    async with opened() as metrics:
        for number in range(50):
            metrics._ended(exchange(f"canary-{number}", provider=f"canary-{number}", usage=Usage(input=1)))
        seen = await scrape(metrics)

    assert "canary" not in seen.text
    assert "acme" not in seen.text
    assert 50 == seen.of("relay_requests_total", model="other", provider="other")
    assert 1 == len([name for name, _ in seen if name == "relay_requests_total"])


async def test_without_anybody_who_routes_models_and_providers_have_no_names(
    opened: Any, scrape: Any, exchange: Any, fake_relay: Any
) -> None:
    del fake_relay.ports[Models], fake_relay.ports[Targets]

    async with opened() as metrics:
        metrics._ended(exchange())
        metrics._ended(exchange(None))
        seen = await scrape(metrics)

    assert 1 == seen.of("relay_requests_total", model="other", provider="other")
    assert 1 == seen.of("relay_requests_total", model="none", provider="other")


async def test_a_model_that_is_configured_later_gets_its_name(
    opened: Any, scrape: Any, exchange: Any, fake_relay: Any
) -> None:
    async with opened() as metrics:
        metrics._ended(exchange("new"))
        fake_relay.ports[Models].models = ("gpt-4o", "new")
        (job,) = metrics.jobs()
        await job.run()
        metrics._ended(exchange("new"))
        seen = await scrape(metrics)

    assert 1 == seen.of("relay_requests_total", model="new")
    assert 1 == seen.of("relay_requests_total", model="other")


async def test_series_are_bounded_and_what_is_beyond_is_still_counted(
    opened: Any, scrape: Any, exchange: Any, fake_relay: Any
) -> None:
    fake_relay.ports[Models].models = tuple(f"m-{number}" for number in range(LIMIT + 500))

    async with opened() as metrics:
        _, traffic, _ = metrics._opened
        for number in range(LIMIT + 500):
            traffic.ended(exchange(f"m-{number}"))
        seen = await scrape(metrics)

    assert LIMIT + 1 == len([name for name, _ in seen if name == "relay_requests_total"])
    assert LIMIT + 500 == seen.of("relay_requests_total")
    assert 500 == seen.of("relay_requests_total", model="other", dialect="other")


async def test_what_is_beyond_the_bound_takes_no_memory(opened: Any) -> None:
    async with opened() as metrics:
        errors = metrics._opened[1]._errors
        for number in range(LIMIT * 3):
            errors.of(("fake", f"code-{number}"))

    assert LIMIT + 1 == len(list(errors))


async def test_counting_an_exchange_costs_little(opened: Any, exchange: Any) -> None:
    ended = exchange(usage=Usage(input=10, output=7))

    async with opened() as metrics:
        metrics._ended(ended)
        best_s = min(_each_s(metrics, ended) for _ in range(5))

    assert best_s < 0.000_05  # Some 5 µs; ten times that is a mistake on any machine.


def _each_s(metrics: Any, ended: Any) -> float:
    started = process_time()
    for _ in range(500):
        metrics._ended(ended)
    return (process_time() - started) / 500


async def test_times_are_counted_in_the_buckets_that_prometheus_client_would_put_them_in(opened: Any) -> None:
    """Pins the private parts of its histogram that many times are added through at once."""
    bounds = (0.1, 0.5, 1.0)
    seconds = [0.0, 0.1, 0.100001, 0.5, 0.7, 1.0, 1.1, 99.0]
    tally = Times(bounds)

    async with opened():
        theirs = Histogram("theirs", "Theirs.", buckets=bounds, registry=None)
        ours = Histogram("ours", "Ours.", buckets=bounds, registry=None)
        for each in seconds:
            theirs.observe(each)
            tally.add(each)
        _pour(tally, ours)
        expected, actual = (
            [
                (sample.labels, sample.value)
                for each in metric.collect()
                for sample in each.samples
                if "_created" not in sample.name
            ]
            for metric in (theirs, ours)
        )

    assert expected == actual


@pytest.mark.parametrize("buckets", [[], [0], [1, 1], [2, 1], ["x"]])
def test_buckets_that_do_not_grow_are_refused(buckets: list[Any]) -> None:
    with pytest.raises(ValidationError):
        MetricsSettings.model_validate({"duration_buckets": buckets})
