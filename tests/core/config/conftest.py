"""Configurations and throwaway distributions in a folder of the test's own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

from relay.config import Configuration, installed, load
from relay.errors import ConfigurationError

DIALECT = """
    from types import SimpleNamespace
    from relay import Surface
    DIALECT = SimpleNamespace(name={name!r}, surfaces=({surfaces}))
"""


class Installer:
    """Puts distributions on `sys.path` as an installer leaves them: a module and its metadata."""

    def __init__(self, site: Path) -> None:
        self.site = site

    def plugin(self, name: str, source: str, *, keywords: str = "", distribution: str | None = None) -> None:
        """A plugin `name`, class `It` in the module `made_<name>`."""
        self.add(distribution or f"made-{name}", f"[relay.plugins]\n{name} = made_{name}:It\n", keywords)
        (self.site / f"made_{name}.py").write_text(dedent(source))

    def dialect(self, name: str, *paths: str) -> None:
        self.add(f"made-{name}", f"[relay.dialects]\n{name} = made_{name}:DIALECT\n", "")
        surfaces = "".join(f"Surface('s{i}', 'POST', {path!r})," for i, path in enumerate(paths))
        (self.site / f"made_{name}.py").write_text(dedent(DIALECT.format(name=name, surfaces=surfaces)))

    def add(self, distribution: str, entry_points: str, keywords: str) -> None:
        info = self.site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\nSummary: Made for a test.\nKeywords: {keywords}\n"
        )
        (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    yield Installer(site)
    for name in [name for name in sys.modules if name.startswith("made_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture(autouse=True)
def _nothing_else_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(*, group: str) -> list[metadata.EntryPoint]:
        found = metadata.distributions(path=[str(tmp_path / "site")])
        return [entry for distribution in found for entry in distribution.entry_points if entry.group == group]

    monkeypatch.setattr(installed, "entry_points", entry_points)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Configuration]:
    """Load a configuration of this text, as `relay.yaml` in the test's folder."""

    def read(text: str, environ: Mapping[str, str] | None = None) -> Configuration:
        return load(tmp_path / "relay.yaml", environ=environ or {}, text=dedent(text))

    return read


@pytest.fixture
def wrong(read: Callable[..., Configuration]) -> Callable[..., list[str]]:
    """The problems of a configuration, without the file's folder."""

    def wrong(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigurationError) as raised:
            read(text, environ)
        return [f"{problem.line}:{problem.column}: {problem.message}" for problem in raised.value.problems]

    return wrong
