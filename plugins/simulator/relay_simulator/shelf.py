"""Where objects made at the provider lie: files, uploads, batches, responses, conversations."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from relay_simulator.ask import Document
from relay_simulator.fault import missing

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_LOOK_EVERY = 256


class Shelf:
    """Objects by kind and id, each a small JSON file, so that all worker processes see the same ones.

    It reads and writes on the event loop: the files are small and local. Of each kind the newest `keep` stay.
    """

    def __init__(self, folder: Path, *, keep: int = 10_000) -> None:
        self._folder = folder
        self._keep = keep
        self._put = 0

    def put(self, kind: str, id: str, document: Document) -> None:
        """Lay down an object, or put a changed one in its place (in the list it stays where it was)."""
        path = self._path(kind, id, ".json")
        placed = self._entry(path)
        at = placed["at"] if placed else time.time_ns()
        self._write(path, orjson.dumps({"at": at, "document": document}))
        self._put += 1
        if self._put % _LOOK_EVERY == 0:
            self._prune(kind)

    def find(self, kind: str, id: str) -> Document | None:
        """The object, or None."""
        if not _ID.fullmatch(id):
            return None
        placed = self._entry(self._path(kind, id, ".json"))
        document: Document | None = placed["document"] if placed else None
        return document

    def get(self, kind: str, id: str) -> Document:
        """The object. :raises Fault: 404."""
        document = self.find(kind, id)
        if document is None:
            raise missing(kind, id)
        return document

    def remove(self, kind: str, id: str) -> None:
        """Take an object away, with its bytes. :raises Fault: 404."""
        self.get(kind, id)
        for ending in (".json", ".bytes"):
            self._path(kind, id, ending).unlink(missing_ok=True)

    def all(self, kind: str) -> list[Document]:
        """Every object of a kind, newest first."""
        placed = sorted(self._entries(kind), key=lambda entry: entry[0], reverse=True)
        return [document for _, document, _ in placed]

    def put_bytes(self, kind: str, id: str, data: bytes) -> None:
        """The bytes that belong to an object."""
        self._write(self._path(kind, id, ".bytes"), data)

    def get_bytes(self, kind: str, id: str) -> bytes:
        """The bytes of an object. :raises Fault: 404."""
        self.get(kind, id)
        try:
            return self._path(kind, id, ".bytes").read_bytes()
        except FileNotFoundError:
            raise missing(kind, id) from None

    def _prune(self, kind: str) -> None:
        entries = sorted(self._entries(kind), key=lambda entry: entry[0], reverse=True)
        for _, _, path in entries[self._keep :]:
            path.unlink(missing_ok=True)
            path.with_suffix(".bytes").unlink(missing_ok=True)

    def _entries(self, kind: str) -> Iterator[tuple[int, Document, Path]]:
        for path in (self._folder / kind).glob("*.json"):
            if placed := self._entry(path):
                yield placed["at"], placed["document"], path

    def _entry(self, path: Path) -> Document | None:
        try:
            entry: Document = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        return entry

    def _path(self, kind: str, id: str, ending: str) -> Path:
        if not _ID.fullmatch(id):  # ids come out of URLs: nothing else may become a path
            raise missing(kind, id)
        return self._folder / kind / f"{id}{ending}"

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        draft.write_bytes(data)
        os.replace(draft, path)
