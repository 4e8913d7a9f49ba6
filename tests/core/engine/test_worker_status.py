"""The worker's side of the supervisor, in a process of its own and in this one."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from relay.engine.sockets import close_listeners, open_listeners
from relay.engine.worker_status import GENERATION, SOCKETS, STATUS, WORKER, NotSupervised, announce, inherited


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> int:
    """The supervisor's end of a status pipe."""
    ours, theirs = os.pipe()
    monkeypatch.setenv(STATUS, str(theirs))
    return ours


def test_a_worker_takes_over_its_sockets_and_keeps_them_from_its_children(
    monkeypatch: pytest.MonkeyPatch, pipe: int, tmp_path: Path
) -> None:
    listeners = open_listeners(["127.0.0.1:0", f"unix:{tmp_path / 'relay.sock'}"])
    passed = [os.dup(listener.fileno()) for listener in listeners]
    theirs = int(os.environ[STATUS])
    for descriptor in (*passed, theirs):
        os.set_inheritable(descriptor, True)
    monkeypatch.setenv(SOCKETS, ",".join(map(str, passed)))
    monkeypatch.setenv(WORKER, "3")
    monkeypatch.setenv(GENERATION, "7")

    sockets, number, generation = inherited()

    assert (3, 7) == (number, generation)
    assert [listener.getsockname() for listener in listeners] == [taken.getsockname() for taken in sockets]
    assert [socket.AF_INET, socket.AF_UNIX] == [taken.family for taken in sockets]
    assert not any(os.get_inheritable(descriptor) for descriptor in (*passed, theirs))
    for taken in sockets:
        taken.close()
    close_listeners(listeners)
    os.close(pipe)
    os.close(theirs)


def test_a_worker_started_by_hand_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOCKETS, raising=False)

    with pytest.raises(NotSupervised, match="RELAY_SOCKETS is not set: a worker is started by `relay serve`"):
        inherited()


def test_a_state_is_one_line(pipe: int) -> None:
    announce("failed", message="two\nlines, and 漢字")
    announce("ready")
    os.close(int(os.environ[STATUS]))

    with open(pipe, "rb") as read:
        lines = read.read().splitlines()

    assert [{"state": "failed", "message": "two\nlines, and 漢字"}, {"state": "ready"}] == [*map(json.loads, lines)]


def test_without_a_supervisor_nothing_is_announced(monkeypatch: pytest.MonkeyPatch, pipe: int) -> None:
    os.close(pipe)
    announce("ready")  # It has died: the pipe has no reader.
    os.close(int(os.environ[STATUS]))

    monkeypatch.delenv(STATUS)
    announce("ready")  # There never was one.
