"""The folder in which the workers of one relay keep their figures, in files that outlive a worker that is killed.

Each process writes its own files (prometheus-client's multi-process mode); whoever is asked adds all of them up. The first
process to come finds nobody else there and empties the folder; what dead processes have counted stays in the sums.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import mmap_dict, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import CollectorRegistry

# The parts of prometheus-client that these names stand for carry no types.
_values: Any = values
_Figures: Any = mmap_dict.MmapedDict
_Collector: Any = MultiProcessCollector
_choose_encoder: Any = choose_encoder

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PAST = "past"


class Folder:
    """The folder, and this process' place in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """While the block runs, every metric that is made keeps its figures here.

        prometheus-client has one place for that in a process: so one block at a time.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            presence = stack.enter_context(_opened(self._path / "present.lock"))
            try:
                fcntl.flock(presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # Others are there: their figures stay.
            else:
                for file in self._path.glob("*.db"):
                    file.unlink()
            # Held until the process ends, however it ends. Who holds it exclusively is only emptying the folder.
            fcntl.flock(presence, fcntl.LOCK_SH)
            before = os.environ.get(_VARIABLE)
            value_class = _values.ValueClass
            os.environ[_VARIABLE] = str(self._path)
            # Set here, because the variable is heeded only if it is there when prometheus-client is first imported.
            _values.ValueClass = _values.MultiProcessValue()
            try:
                yield
            finally:
                _values.ValueClass.close_all_files()
                _values.ValueClass = value_class
                if before is None:
                    del os.environ[_VARIABLE]
                else:
                    os.environ[_VARIABLE] = before

    def rendered(self, accept: str) -> tuple[bytes, str]:
        """The figures of all processes as Prometheus or OpenMetrics text, whichever `accept` asks for, and its content type.

        It reads files: call it in a thread.
        """
        registry = CollectorRegistry(auto_describe=False)
        _Collector(registry, str(self._path))
        encode, content_type = _choose_encoder(accept)
        with _opened(self._path / "reading.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._bury()
            return encode(registry), content_type

    def _bury(self) -> None:
        """Forget the gauges of dead processes, and put their counters together, so that files do not pile up."""
        for file in self._path.glob("*_*.db"):
            kind, _, owner = file.stem.rpartition("_")
            if not owner.isdigit() or _is_alive(int(owner)):
                continue
            if kind.startswith("gauge"):
                file.unlink()
                continue
            # First out of sight: killed in the middle of this, we lose some counts rather than count them twice.
            taken = file.rename(file.with_suffix(".taken"))
            past = _Figures(str(self._path / f"{kind}_{_PAST}.db"))
            for key, value, _, _ in _Figures.read_all_values_from_file(str(taken)):
                past.write_value(key, past.read_value(key)[0] + value, 0.0)
            past.close()
            taken.unlink()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
