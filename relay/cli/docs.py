"""`relay docs`: the tables in the READMEs and the schema for editors, made from what the code declares."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from relay.cli import reference
from relay.cli.schema import shown
from relay.config import CoreSettings
from relay.config.installed import PLUGINS, NotLoaded, find, installed, load_plugin
from relay.errors import CORE_CODES, RelayError
from relay.plugin import Plugin

SCHEMA = Path("config/relay.schema.json")
CORE = Path("config/README.md")


class Undocumented(RelayError):
    """A README cannot be brought up to date; the message says why."""


def docs(arguments: argparse.Namespace) -> int:
    """Bring the documents below this folder up to date; with `--check`, only say which are not."""
    stale = [(path, text) for path, text in documents(Path.cwd()) if not path.is_file() or path.read_text() != text]
    for path, text in stale:
        if arguments.check:
            print(f"{path.relative_to(Path.cwd())} is out of date; `relay docs` writes it", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"wrote {path.relative_to(Path.cwd())}")
    return int(arguments.check and bool(stale))


def documents(root: Path) -> Iterator[tuple[Path, str]]:
    """Every generated document of a checkout, and the text it should have.

    :raises Undocumented: a README lacks the markers for something its plugin declares, or a plugin is not installed.
    """
    known = installed(PLUGINS)
    plugins: dict[str, type[Plugin]] = {}
    for folder in sorted(path.parent for path in (root / "plugins").glob("*/pyproject.toml")):
        for name in _names(folder / "pyproject.toml"):
            try:
                plugins[name] = load_plugin(find(known, name, "plugin"))
            except NotLoaded as error:
                raise Undocumented(f"{folder.name}: {error}; install it") from error
            readme = folder / "README.md"
            yield readme, _filled(readme, _tables(plugins[name]))
    yield root / CORE, core_reference(root / CORE)
    yield root / SCHEMA, shown(plugins)


def core_reference(readme: Path) -> str:
    """The core's README with its settings and error codes. :raises Undocumented: it has no place for them."""
    settings, errors = reference.settings_table(CoreSettings), reference.errors_table(CORE_CODES)
    return _filled(readme, {"settings": settings, "errors": errors})


def _names(pyproject: Path) -> list[str]:
    return list(tomllib.loads(pyproject.read_text()).get("project", {}).get("entry-points", {}).get(PLUGINS, {}))


def _tables(cls: type[Plugin]) -> dict[str, str]:
    """The tables of everything a plugin has, by marker."""
    plugin = _unset(cls)
    routes, commands = list(plugin.routes()), list(plugin.commands())
    return {
        marker: table
        for marker, declared, table in (
            ("settings", cls.Settings.model_fields, reference.settings_table(cls.Settings)),
            ("errors", cls.errors, reference.errors_table(cls.errors)),
            ("headers", cls.headers, reference.headers_table(cls.headers)),
            ("routes", routes, reference.routes_table(routes)),
            ("commands", commands, reference.commands_table(commands)),
        )
        if declared
    }


def _unset(cls: type[Plugin]) -> Plugin:
    """The plugin with its defaults, and with nothing where it has none: what it declares is to be read, it never runs."""
    required = {name: None for name, info in cls.Settings.model_fields.items() if info.is_required()}
    return cls(cls.Settings.model_construct(**required))


def _filled(readme: Path, tables: dict[str, str]) -> str:
    if not readme.is_file():
        raise Undocumented(f"{readme} is missing")
    text = readme.read_text()
    for marker, table in tables.items():
        place = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
        if not place.search(text):
            raise Undocumented(
                f"{readme} has no place for its {marker}: `<!-- {marker} -->` and `<!-- /{marker} -->`, each on a line"
            )
        text = place.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
    return text
