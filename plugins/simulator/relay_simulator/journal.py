"""A file of JSON lines to which all processes of a node append, and which each reads on from where it was."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import orjson

from relay_simulator.ask import Document

_CHUNK = 1 << 20


class Journal:
    """Append-only lines. Its first line names the file, so that every reader notices when it was begun anew.

    A line is one `write` with O_APPEND, which Linux keeps whole: processes need no lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = b""
        self._read = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            fresh = self._fresh()
            try:
                os.link(fresh, path)
            except FileExistsError:  # another process was a moment earlier; its file is as good
                return
            finally:
                fresh.unlink()

    def write(self, line: Document) -> None:
        """Append a line. It outlives the process, not the machine: it is not synced."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        finally:
            os.close(descriptor)

    def begin(self) -> None:
        """Start with an empty file; what another process is just now writing may still go into the old one."""
        self._fresh().replace(self._path)

    def news(self) -> Iterator[Document | None]:
        """The lines since the last time, in order; None first where the file was begun anew."""
        with self._path.open("rb") as file:
            name = file.readline()
            if name != self._name:
                self._name, self._read = name, len(name)
                yield None
            file.seek(self._read)
            rest = b""
            while chunk := file.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._read += len(line) + 1
                    yield orjson.loads(line)

    def _fresh(self) -> Path:
        path = self._path.with_name(f".{self._path.name}-{secrets.token_hex(8)}")
        path.write_bytes(orjson.dumps({"journal": path.name}, option=orjson.OPT_APPEND_NEWLINE))
        return path
