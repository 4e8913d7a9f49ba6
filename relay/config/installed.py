"""Which plugins and dialects are installed, and how one is loaded: by its entry point, or out of a single file.

Only what a configuration names is imported: a name is looked up in the distributions' metadata, which runs no code of theirs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.config.nearest import did_you_mean
from relay.plugin import API, Plugin
from relay.wire.dialect import Dialect

PLUGINS = "relay.plugins"
DIALECTS = "relay.dialects"
STORES_CONTENT = "relay-stores-content"
"""A keyword in a distribution's metadata: a plugin in it keeps prompts or answers. It is read without running any code."""


class NotLoaded(Exception):
    """A plugin or a dialect cannot be loaded; the message says why, for a deployer."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry point and what its distribution says about itself."""

    name: str
    entry: EntryPoint
    distribution: str
    version: str
    summary: str
    keywords: frozenset[str]
    location: str

    @property
    def stores_content(self) -> bool:
        return STORES_CONTENT in self.keywords


def installed(group: str) -> dict[str, list[Installed]]:
    """What is installed in an entry point group, by name; more than one of a name is a conflict."""
    by_name: dict[str, list[Installed]] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        by_name.setdefault(entry.name, []).append(_described(entry))
    return by_name


def find(known: Dict[str, Sequence[Installed]], name: str, what: str) -> Installed:
    """The one of this name among what `installed` gave. :raises NotLoaded: there is none, or there are several."""
    found = known.get(name, ())
    if len(found) > 1:
        both = ", ".join(sorted(one.distribution for one in found))
        raise NotLoaded(f"several installed distributions offer the {what} '{name}': {both}; uninstall all but one")
    if not found:
        raise NotLoaded(f"no {what} named '{name}' is installed{did_you_mean(name, known)}")
    return found[0]


def load_plugin(found: Installed) -> type[Plugin]:
    """Import a plugin's class. :raises NotLoaded: it cannot be used."""
    return _checked(_imported(found, "plugin"), found.name, f"'{found.entry.value}'")


def load_dialect(found: Installed) -> Dialect:
    """Import a dialect. :raises NotLoaded: it cannot be used."""
    dialect = _imported(found, "dialect")
    if getattr(dialect, "name", None) != found.name or not hasattr(dialect, "surfaces"):
        raise NotLoaded(f"'{found.entry.value}' is not a dialect named '{found.name}'")
    return dialect  # type: ignore[no-any-return]


def load_file(use: str, name: str, directory: Path) -> tuple[type[Plugin], Path]:
    """A plugin out of one file, `path.py:Class`; the path starts at `directory`. The file runs anew each time.

    :raises NotLoaded: it cannot be used.
    """
    place, colon, attribute = use.rpartition(":")
    path = Path(directory, place)
    if not colon or not attribute.isidentifier() or path.suffix != ".py":
        raise NotLoaded(f"'use' takes a file and a class, './{name}.py:{name.title()}', found '{use}'")
    if not path.is_file():
        raise NotLoaded(f"there is no file '{path}'")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    module_name = f"relay_use_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    # Settings classes look up their annotations in the module that the interpreter knows by its name.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # Whatever a stranger's file does: the deployer reads where.
        del sys.modules[module_name]
        raise NotLoaded(f"'{place}' cannot be loaded: {_told(error, str(path))}") from error
    if not hasattr(module, attribute):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Plugin)]
        near = did_you_mean(attribute, (key for key in classes if key != "Plugin"))
        raise NotLoaded(f"'{place}' has nothing named '{attribute}'{near}")
    return _checked(getattr(module, attribute), name, f"'{use}'"), path


def _described(entry: EntryPoint) -> Installed:
    if entry.dist is None:
        return Installed(entry.name, entry, "", "", "", frozenset(), "")
    metadata = entry.dist.metadata
    words = " ".join(metadata.get_all("Keywords") or ()).replace(",", " ").split()
    return Installed(
        name=entry.name,
        entry=entry,
        distribution=metadata["Name"],
        version=entry.dist.version,
        summary=" ".join(metadata.get_all("Summary") or ()),
        keywords=frozenset(words),
        location=_location(entry.dist),
    )


def _location(distribution: Distribution) -> str:
    """The folder it is imported from; of an editable install, the folder of its source (PEP 610)."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return unquote(urlsplit(origin["url"]).path)
    return str(distribution.locate_file(""))


def _imported(found: Installed, what: str) -> Any:
    try:
        return found.entry.load()
    except Exception as error:  # Whatever its import does: the deployer reads it at the plugin's line.
        raise NotLoaded(f"the {what} '{found.name}' cannot be imported: {_told(error)}") from error


def _checked(it: Any, name: str, where: str) -> type[Plugin]:
    if not (isinstance(it, type) and issubclass(it, Plugin)):
        raise NotLoaded(f"{where} is not a class that derives from relay.Plugin")
    if getattr(it, "name", None) != name:
        raise NotLoaded(f"{where} calls itself '{getattr(it, 'name', '')}'; the key must be the plugin's name")
    if it.api > API:
        raise NotLoaded(
            f"'{name}' is written for version {it.api} of the plugin contract, this relay has version {API}; upgrade Relay"
        )
    return it


def _told(error: BaseException, path: str | None = None) -> str:
    """An error in one line, with the line of the file it came from."""
    said = f"{type(error).__name__}: {error}".strip().splitlines()[0].removesuffix(": ")
    if isinstance(error, SyntaxError):
        return f"{said}" if path is None else f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    return f"line {line}: {said}" if path and (line := next(_lines(error, path), None)) else said


def _lines(error: BaseException, path: str) -> Iterator[int]:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == path and frame.lineno is not None:
            yield frame.lineno
