"""Several processes, one sum: live ones, dead ones, killed ones. And the gauges that the relay offers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from prometheus_client import values
from relay_metrics.folder import Folder

from relay.ports import Gauge

WORKER = """
import sys
from pathlib import Path
from prometheus_client import Counter, Gauge, Histogram
from relay_metrics.folder import Folder

with Folder(Path(sys.argv[1])).joined():
    Counter("work", "Work.", ["kind"], registry=None).labels("a").inc(10)
    Gauge("open", "Open.", registry=None, multiprocess_mode="livesum").set(3)
    Histogram("took", "Took.", buckets=(1.0, 2.0), registry=None).observe(1.5)
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process that has its figures in the folder; it is returned when it has written them."""
    started: list[subprocess.Popen[str]] = []

    def start(*, wait: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "metrics")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        if wait:
            written(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def written(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("\n")


async def test_the_figures_of_all_processes_are_added_up(opened: Any, scrape: Any, worker: Any) -> None:
    async with opened() as metrics:
        worker(), worker()
        seen = await scrape(metrics)

    assert 20 == seen.of("work_total", kind="a")
    assert 6 == seen.of("open")
    assert [0, 2, 2] == [seen.of("took_bucket", le=le) for le in ("1.0", "2.0", "+Inf")]


@pytest.mark.parametrize("how", ["ended", "killed"])
async def test_what_a_dead_process_counted_stays_and_what_it_had_open_goes(
    opened: Any, scrape: Any, worker: Any, how: str
) -> None:
    async with opened() as metrics:
        first, _ = worker(), worker()
        if how == "killed":
            first.send_signal(signal.SIGKILL)
        end(first)
        seen = [await scrape(metrics) for _ in range(2)]

    assert [20, 20] == [each.of("work_total") for each in seen]
    assert [3, 3] == [each.of("open") for each in seen]
    assert [2, 2] == [each.of("took_count") for each in seen]


async def test_files_of_dead_processes_do_not_pile_up(opened: Any, scrape: Any, worker: Any, tmp_path: Path) -> None:
    async with opened() as metrics:
        await scrape(metrics)
        before = len(os.listdir(tmp_path / "metrics"))
        for _ in range(3):
            end(worker())
            seen = await scrape(metrics)
        after = len(os.listdir(tmp_path / "metrics"))

    assert 30 == seen.of("work_total")
    assert 60 - 15 == seen.of("took_sum") * 10
    assert after <= before + 2  # one file for all past counters, one for all past histograms


async def test_the_first_process_empties_the_folder_and_later_ones_do_not(
    opened: Any, scrape: Any, worker: Any, tmp_path: Path
) -> None:
    end(worker())

    async with opened() as metrics:
        fresh = await scrape(metrics)
        worker()
        worker()
        joined = await scrape(metrics)

    assert fresh.of("work_total") is None
    assert 20 == joined.of("work_total")


async def test_processes_that_start_together_do_not_empty_the_folder_for_each_other(
    opened: Any, scrape: Any, worker: Any
) -> None:
    together = [worker(wait=False) for _ in range(4)]
    for process in together:
        written(process)

    async with opened() as metrics:
        seen = await scrape(metrics)

    assert 40 == seen.of("work_total")


async def test_the_folder_is_only_for_its_owner(opened: Any, tmp_path: Path) -> None:
    async with opened():
        assert 0o700 == (tmp_path / "metrics").stat().st_mode & 0o777


async def test_prometheus_clients_own_state_is_as_before_afterwards(opened: Any) -> None:
    before = values.ValueClass

    async with opened():
        assert values.ValueClass is not before

    assert values.ValueClass is before
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_the_parts_of_prometheus_client_that_carry_this_are_there(tmp_path: Path) -> None:
    """A contract test: metrics must take the class of values that stands in the module when they are made."""
    with Folder(tmp_path).joined():
        made = prometheus_client.Counter("made", "Made.", registry=None)
        labelled = prometheus_client.Counter("labelled", "Labelled.", ["a"], registry=None)
        made.inc()
        labelled.labels("x").inc()

        assert [f"counter_{os.getpid()}.db"] == [file.name for file in tmp_path.glob("*.db")]


async def test_gauges_are_shown_as_they_are_when_asked(opened: Any, scrape: Any, fake_relay: Any) -> None:
    state = {("a",): 2.0}
    fake_relay.offered.append(Gauge("relay_open", "Open.", "gauge", ("who",), lambda: state.items()))
    fake_relay.offered.append(Gauge("relay_connections", "Connections.", "gauge", (), lambda: [((), 7.0)]))

    async with opened() as metrics:
        first = await scrape(metrics)
        state.clear()
        state["b",] = 5.0
        second = await scrape(metrics)

    assert (2, None, 7) == (
        first.of("relay_open", who="a"),
        first.of("relay_open", who="b"),
        first.of("relay_connections"),
    )
    assert (0, 5) == (second.of("relay_open", who="a"), second.of("relay_open", who="b"))


async def test_totals_only_grow_also_when_what_they_mirror_begins_anew(
    opened: Any, scrape: Any, fake_relay: Any
) -> None:
    now = [5.0]
    fake_relay.offered.append(Gauge("relay_bytes_total", "Bytes.", "counter", (), lambda: [((), now[0])]))
    seen = []

    async with opened() as metrics:
        for now[0] in (5.0, 5.0, 8.0, 2.0):
            seen.append((await scrape(metrics)).of("relay_bytes_total"))

    assert [5, 5, 8, 10] == seen


async def test_the_job_shows_this_process_gauges_to_the_others(opened: Any, fake_relay: Any, tmp_path: Path) -> None:
    fake_relay.offered.append(Gauge("relay_open", "Open.", "gauge", (), lambda: [((), 4.0)]))

    async with opened() as metrics:
        (job,) = metrics.jobs()
        await job.run()
        text, _ = Folder(tmp_path / "metrics").rendered("")  # as another process would

    assert b"\nrelay_open 4.0\n" in text
    assert ("process", 1.0) == (job.scope, job.every)


async def test_a_gauge_that_cannot_be_read_takes_no_other_with_it(opened: Any, scrape: Any, fake_relay: Any) -> None:
    def broken() -> Any:
        raise RuntimeError("no")

    fake_relay.offered.append(Gauge("relay_broken", "Broken.", "gauge", (), broken))
    fake_relay.offered.append(Gauge("relay_open", "Open.", "gauge", (), lambda: [((), 1.0)]))

    async with opened() as metrics:
        seen = await scrape(metrics)

    assert (None, 1) == (seen.of("relay_broken"), seen.of("relay_open"))


async def test_a_gauge_with_endless_labels_is_cut(opened: Any, scrape: Any, fake_relay: Any) -> None:
    fake_relay.offered.append(
        Gauge("relay_many", "Many.", "gauge", ("id",), lambda: (((str(number),), 1.0) for number in range(10_000)))
    )

    async with opened() as metrics:
        seen = await scrape(metrics)

    assert seen.of("relay_many") <= 2000


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/plain", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("", "text/plain"),
    ],
)
async def test_the_answer_is_in_the_format_that_is_asked_for(
    opened: Any, scrape: Any, exchange: Any, accept: str, content_type: str
) -> None:
    async with opened() as metrics:
        metrics._ended(exchange())
        seen = await scrape(metrics, accept)

    assert seen.content_type.startswith(content_type)
    assert ("# EOF" in seen.text) is ("openmetrics" in content_type)
    assert 1 == seen.of("relay_requests_total")


async def test_the_route_is_for_operators(opened: Any) -> None:
    async with opened() as metrics:
        (route,) = metrics.routes()

    assert ("GET", "/-/metrics", "operator") == (route.method, route.path, route.permission)


async def test_an_exchange_that_ends_after_everything_is_closed_harms_nothing(
    opened: Any, exchange: Any, fake_relay: Any
) -> None:
    async with opened():
        pass

    (ended,) = fake_relay.watchers
    ended(exchange())
