"""Child processes that cannot outlive their parent, and whose end can be awaited."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Looked up before any fork: between fork and exec nothing may be imported or loaded.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

# The parent's, not the child's: a Ctrl-C reaches the whole process group, but only the parent decides what it means.
_ASIDE = (signal.SIGINT, signal.SIGHUP)
_HELD_BACK = (*_ASIDE, signal.SIGTERM)

_POLL_S = 0.02


def spawn(
    command: Sequence[str | os.PathLike[str]],
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    output: IO[bytes] | None = None,
    own_session: bool = False,
    orphan_signal: signal.Signals = signal.SIGTERM,
    user: tuple[int, int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that ignores SIGINT and SIGHUP, ends at SIGTERM, and gets `orphan_signal` when this process dies.

    The last holds on Linux, whatever kills the parent, `kill -9` included. It is bound to the *thread* that starts the
    child (prctl(2), PR_SET_PDEATHSIG), hence:

    :param environment: the child's whole environment; the parent's when left out.
    :param pass_fds: descriptors the child inherits under the same numbers.
    :param output: where its standard output and error go; the parent's own when left out.
    :param own_session: away from the terminal's process group, where SIGINT and SIGHUP are meant for it: it heeds them.
    :param user: run it as this user and group, by number; only root can.
    :raises RuntimeError: outside the main thread.
    :raises OSError: when the program cannot be started.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a child that ends with its parent must be started from the main thread")
    parent = os.getpid()
    # Until exec the child shares the event loop's wake-up pipe: a signal it got there would be taken for the parent's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)

    def between_fork_and_exec() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        if os.getppid() != parent:  # It died before prctl: nothing would ever tell this child.
            os._exit(1)
        for number in _ASIDE:
            signal.signal(number, signal.SIG_DFL if own_session else signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        return subprocess.Popen(
            command,
            env=environment,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=own_session,
            user=None if user is None else user[0],
            group=None if user is None else user[1],
            extra_groups=None if user is None else [],
            preexec_fn=between_fork_and_exec,  # It only makes system calls: no lock of another thread can stop it.
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait until the child is gone, reap it and return its exit status, or minus the signal that killed it."""
    if (descriptor := _pidfd(process)) is not None:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    while (status := process.poll()) is None:  # noqa: ASYNC110 - nothing tells, where there is no pidfd
        await asyncio.sleep(_POLL_S)
    return status


def how(status: int) -> str:
    """An exit status in words, for logs."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def _pidfd(process: subprocess.Popen[bytes]) -> int | None:
    """A descriptor that becomes readable when the child ends (pidfd_open(2)); None where there is no such thing."""
    if sys.platform != "linux" or process.returncode is not None:
        return None
    try:
        return os.pidfd_open(process.pid)
    except OSError:  # An old kernel, a sandbox that forbids it, or no descriptor left: polling does it too.
        return None
