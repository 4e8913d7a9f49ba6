"""Distributions are alike, complete, and carry exactly what the repository holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
TOP = {
    "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "config", "constraints.txt", "deploy", "plugins", "pyproject.toml", "relay",
    "setup.cfg", "tests",
}  # fmt: skip


def _listed(folder: Path) -> list[str]:
    """What git knows below a folder, and new files it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "."]
    out = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [line for line in out.splitlines() if (folder / line).exists()]


def test_the_top_level_holds_what_belongs_there() -> None:
    found = {line.split("/")[0] for line in _listed(ROOT)}

    assert set() == {name for name in found if not name.startswith(".")} - TOP


def test_no_lock_file_is_kept() -> None:
    assert [] == [
        p for p in _listed(ROOT) if Path(p).name in ("uv.lock", "poetry.lock", "package-lock.json", "yarn.lock")
    ]


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_every_plugin_folder_has_the_same_files(folder: Path) -> None:
    module = folder / f"relay_{folder.name}"

    assert (folder / "README.md").is_file()
    assert (module / "__init__.py").is_file()
    assert (module / "py.typed").is_file()
    assert (module / "plugin.py").is_file() or (module / "dialect.py").is_file()
    assert list((folder / "tests").glob("test_*.py"))


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_plugins_pyprojects_are_alike(folder: Path) -> None:
    manifest = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    name = folder.name
    project = manifest["project"]
    groups = project["entry-points"]

    assert {"build-system", "project", "tool"} == set(manifest)
    assert {"requires": ["uv_build>=0.9,<0.14"], "build-backend": "uv_build"} == manifest["build-system"]
    assert {"uv": {"build-backend": {"module-name": f"relay_{name}", "module-root": ""}}} == manifest["tool"]
    assert f"rocket-relay-{name}" == project["name"]
    assert ">=3.11" == project["requires-python"]
    assert "Apache-2.0" == project["license"]
    assert "rocket-relay" == project["dependencies"][0]
    assert 1 == len(groups)
    group, entries = next(iter(groups.items()))
    assert group in ("relay.plugins", "relay.dialects")
    assert [name] == list(entries)
    assert entries[name].split(":")[0] == f"relay_{name}." + ("plugin" if group == "relay.plugins" else "dialect")


@pytest.mark.parametrize("folder", [ROOT, *PLUGINS], ids=lambda folder: folder.name if folder != ROOT else "core")
def test_a_wheel_holds_what_git_lists(folder: Path, tmp_path: Path) -> None:
    package = "relay" if folder == ROOT else f"relay_{folder.name}"
    # Built from a copy: an earlier build beside the sources would be packed again.
    copy, out = tmp_path / "source", tmp_path / "out"
    for line in _listed(folder):
        (copy / line).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / line, copy / line)
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "-q", "-o", str(out), str(copy)]
    subprocess.run(command, check=True, capture_output=True, text=True)

    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith(f"{package}/") and not name.endswith("/")}

    assert {line for line in _listed(folder) if line.startswith(f"{package}/")} == packed
