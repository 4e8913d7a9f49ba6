"""Jobs are repeated, limited in time, and disturb nobody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from relay.declare import Job
from relay.engine.jobs import Jobs, _until_next


async def test_a_job_runs_again_and_again_until_the_end_also_after_it_failed() -> None:
    runs: list[int] = []
    told: list[tuple[str, dict[str, Any]]] = []

    async def work() -> None:
        runs.append(1)
        if len(runs) == 2:
            raise ValueError("content")

    jobs = Jobs(
        [("p", Job("p.work", work, every=0.01, scope="process"))], lambda event, **more: told.append((event, more))
    )
    async with jobs.running(("process",)):
        while len(runs) < 4:
            await asyncio.sleep(0.005)
    count = len(runs)
    await asyncio.sleep(0.05)

    assert count == len(runs)
    assert [("job_failed", {"plugin": "p", "job": "p.work", "error": "ValueError"})] == told


async def test_a_job_that_hangs_is_cancelled_after_its_time() -> None:
    told: list[str] = []

    async def hang() -> None:
        await asyncio.sleep(60)

    jobs = Jobs(
        [("p", Job("p.hang", hang, every=0.01, timeout_s=0.02, scope="process"))],
        lambda event, **more: told.append(event),
    )
    async with jobs.running(("process",)):
        while not told:
            await asyncio.sleep(0.005)

    assert "job_failed" == told[0]


async def test_only_jobs_of_the_asked_scope_run() -> None:
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)

    jobs = Jobs([("p", Job("p.work", work, every=0.001, scope="cluster"))], lambda event, **more: None)
    async with jobs.running(("process",)):
        await asyncio.sleep(0.03)

    assert [] == runs


@pytest.mark.parametrize(
    ("at", "moment", "seconds"),
    [
        ("03:30", datetime(2026, 11, 22, 3, 0, tzinfo=UTC), 1800),
        ("03:30", datetime(2026, 11, 22, 3, 30, tzinfo=UTC), 86400),
        ("00:00", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 60),
    ],
)
def test_a_daily_job_is_due_at_its_time(at: str, moment: datetime, seconds: float) -> None:
    async def work() -> None: ...

    assert seconds == _until_next(Job("p.work", work, at=at), moment)
