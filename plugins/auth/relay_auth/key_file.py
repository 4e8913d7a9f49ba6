"""A file of keys: a YAML or JSON list of entries, read whole and replaced whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from relay import RelayError
from relay_auth.entries import KeyEntry, doubles

_ENTRIES = TypeAdapter(list[KeyEntry])
_HEAD = "# API keys of Relay, without the keys. Written by 'relay keys'; comments are not kept.\n"


class KeyFileInvalid(RelayError):
    """A file of keys cannot be used; the message says what is wrong and where."""


def read(path: Path) -> list[KeyEntry]:
    """The entries of a file.

    :raises FileNotFoundError: there is none.
    :raises KeyFileInvalid: it cannot be read, is no list of keys, or holds something twice.
    """
    try:
        text = path.read_text("utf-8")
        # JSON is YAML too, so one parser reads both.
        found = yaml.safe_load(text)
    except FileNotFoundError:
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise KeyFileInvalid(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise KeyFileInvalid(f"{path}: cannot be read: {type(error).__name__}") from error
    try:
        entries = _ENTRIES.validate_python([] if found is None else found)
    except ValidationError as error:
        wrong = [
            ".".join(map(str, problem["loc"])) + ": " + problem["msg"]
            for problem in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise KeyFileInvalid(f"{path}: {'; '.join(wrong)}") from None
    if twice := doubles(entries):
        raise KeyFileInvalid(f"{path}: {'; '.join(twice)}")
    return entries


def change(path: Path, make: Callable[[list[KeyEntry]], Sequence[KeyEntry]]) -> None:
    """Replace the file's entries by what `make` makes of them; readers see the old file or the new one, never a half.

    Two commands at once wait for each other. The file is readable by its owner only.

    :raises KeyFileInvalid: what stands there, or what would stand there, cannot be used; nothing was changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        try:
            entries = read(path)
        except FileNotFoundError:
            entries = []
        after = make(entries)
        if twice := doubles(after):
            raise KeyFileInvalid(f"{path}: {'; '.join(twice)}")
        _replace(path, _written(path, [plain(entry) for entry in after]))


def plain(entry: KeyEntry) -> dict[str, Any]:
    """An entry as a file holds it: what was not set is left out."""
    return entry.model_dump(mode="json", exclude_defaults=True)


def _written(path: Path, entries: list[dict[str, Any]]) -> str:
    if path.suffix == ".json":
        return json.dumps(entries, indent=2) + "\n"
    return _HEAD + yaml.safe_dump(entries, sort_keys=False)


def _replace(path: Path, text: str) -> None:
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600.
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # The folder is locked because the file itself is replaced.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
