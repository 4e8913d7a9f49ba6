"""Jobs: what plugins do again and again. Each has its task, its time limit, and no effect on any request."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime, timedelta

from relay.declare import Job
from relay.values.clock import now


class Jobs:
    """The jobs of all plugins; `running` starts those of some scopes and ends them."""

    def __init__(self, jobs: Sequence[tuple[str, Job]], log: Callable[..., None]) -> None:
        self._jobs = jobs
        self._log = log

    @contextlib.asynccontextmanager
    async def running(self, scopes: Collection[str]) -> AsyncIterator[None]:
        """Run the jobs of these scopes while the block runs."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._repeat(plugin, job)) for plugin, job in self._jobs if job.scope in scopes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, plugin: str, job: Job) -> None:
        while True:
            await asyncio.sleep(_until_next(job, now()))
            try:
                async with asyncio.timeout(job.timeout_s):
                    await job.run()
            except Exception as error:
                self._log("job_failed", plugin=plugin, job=job.name, error=type(error).__name__)


def _until_next(job: Job, moment: datetime) -> float:
    """Seconds until a job is due. Those that repeat are spread by a tenth, so that processes do not act in step."""
    if job.every is not None:
        return job.every * random.uniform(0.9, 1.1)  # noqa: S311
    hour, _, minute = (job.at or "00:00").partition(":")
    due = moment.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    if due <= moment:
        due += timedelta(days=1)
    return (due - moment).total_seconds()
