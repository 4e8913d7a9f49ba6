"""Child processes; the promise that none outlives a killed parent is shown in test_supervisor_signals.py."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from relay.storage.children import ended, how, spawn


async def test_the_end_of_a_child_is_told_with_its_status() -> None:
    process = spawn(["sh", "-c", "exit 3"])

    assert 3 == await ended(process)
    assert 3 == await ended(process)  # And as often as one asks.


async def test_the_end_of_a_child_is_told_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    process = spawn(["sleep", "20"])
    process.kill()

    assert -signal.SIGKILL == await ended(process)


async def test_waiting_for_a_child_may_be_given_up() -> None:
    process = spawn(["sleep", "20"])
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ended(process), 0.01)

    assert before == len(os.listdir("/proc/self/fd"))
    process.kill()
    await ended(process)


async def test_ctrl_c_and_a_closed_terminal_are_left_to_the_parent() -> None:
    process = spawn(["sleep", "20"])

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ended(process), 0.1)
    process.terminate()

    assert -signal.SIGTERM == await ended(process)


async def test_a_child_in_a_session_of_its_own_heeds_ctrl_c_from_its_first_moment() -> None:
    process = spawn(["sleep", "20"], own_session=True)

    process.send_signal(signal.SIGINT)

    assert -signal.SIGINT == await ended(process)


def test_a_child_that_could_outlive_its_parent_is_not_started() -> None:
    refused: list[str] = []

    def elsewhere() -> None:
        try:
            spawn(["true"])
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert ["a child that ends with its parent must be started from the main thread"] == refused


def test_a_child_begins_with_no_signal_held_back(tmp_path: Path) -> None:
    program = "import signal; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"

    with (tmp_path / "printed").open("wb") as output:
        status = spawn([sys.executable, "-c", program], output=output).wait()

    assert (0, "0\n") == (status, (tmp_path / "printed").read_text())
    assert set() == signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit status 0"), (7, "exit status 7"), (-9, "signal SIGKILL"), (-250, "signal 250")]
)
def test_a_status_is_shown_in_words(status: int, words: str) -> None:
    assert words == how(status)
