"""Imports point down, plugins meet only at ports, and the core knows no vendor."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    ("errors", "values", "version"),
    ("wire", "declare"),
    ("call", "exchange", "ports", "plugin", "target"),
    ("config", "storage"),
    ("engine",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Within a layer: who may know whom is the layer's own affair, except that these must not know each other.
APART = {("config", "storage"), ("storage", "config")}
VENDORS = re.compile(
    r"openai|anthropic|gemini|claude|gpt-\d|mistral|deepseek|bedrock|azure|groq|\bxai\b", re.IGNORECASE
)


def _modules(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts)


def _imports(path: Path, *, outside_functions: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    lazy = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only or (outside_functions and node in lazy):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", [p for p in _modules(ROOT / "relay") if p.parent != ROOT / "relay" or p.stem in LEVEL])
def test_imports_of_the_core_point_down(path: Path) -> None:
    own = path.relative_to(ROOT / "relay").parts[0].removesuffix(".py")
    if own == "testing":
        return

    used = {name.split(".")[1] for name in _imports(path, outside_functions=False) if name.startswith("relay.")}

    for other in used & LEVEL.keys():
        assert LEVEL[other] <= LEVEL[own], f"{path.name} is of {own} and imports {other}, which stands above it"
        assert (own, other) not in APART, f"{own} does not know {other}"
    assert "testing" not in used, "only tests and the drill import relay.testing"


@pytest.mark.parametrize("folder", sorted((ROOT / "plugins").glob("*/relay_*")), ids=lambda folder: folder.name)
def test_a_plugin_imports_no_other_plugin_and_nothing_of_the_engine(folder: Path) -> None:
    for path in _modules(folder):
        for name in _imports(path, outside_functions=False):
            other = name.split(".")[0]
            assert not other.startswith("relay_") or other == folder.name, f"{path} imports {other}"
            assert not name.startswith(("relay.engine", "relay.config", "relay.cli", "relay.storage")), (
                f"{path} imports {name}"
            )


@pytest.mark.parametrize("path", list(_modules(ROOT / "relay")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_names_no_vendor(path: Path) -> None:
    found = VENDORS.findall(path.read_text(encoding="utf-8"))

    assert [] == found


def test_no_module_is_called_by_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "manager", "base", "common", "misc"}
    modules = [*_modules(ROOT / "relay"), *_modules(ROOT / "plugins")]

    assert [] == [path for path in modules if path.stem in empty]


def test_the_public_surface_is_what_it_says() -> None:
    import relay

    assert sorted(relay.__all__) == sorted(relay._HOME_OF)
    assert all(getattr(relay, name) is not None for name in relay.__all__)
