"""The ends of exchanges and attempts: every callback exactly once, last in first out, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from relay.exchange import Attempt, Exchange

Ends = Attempt | Exchange


async def end(it: Ends, failed: Callable[[Exception], None]) -> None:
    """Run the callbacks of `it` if that has not been done. A failing callback is reported and does not keep the others from running.

    Cancelling waits: the callbacks run to their end first, then the cancellation goes on.
    """
    if it.ended:
        return
    it.ended = True
    while it._ends:
        do, args = it._ends.pop()
        try:
            waiting = do(*args)
        except Exception as error:
            failed(error)
            continue
        if waiting is not None:
            await shielded(_rest(it, waiting, failed))


async def _rest(it: Ends, waiting: Awaitable[None] | None, failed: Callable[[Exception], None]) -> None:
    while True:
        if waiting is not None:
            try:
                await waiting
            except Exception as error:
                failed(error)
        if not it._ends:
            return
        do, args = it._ends.pop()
        try:
            waiting = do(*args)
        except Exception as error:
            failed(error)
            waiting = None


async def shielded(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end even if this task is cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.get_running_loop().create_task(work)
    was_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done() and not was_cancelled and task.cancelled():
                raise
            was_cancelled = True
    task.result()
    if was_cancelled:
        raise asyncio.CancelledError
