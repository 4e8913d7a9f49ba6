"""`relay check`, `relay plugins` and `relay schema`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from relay.cli.main import main
from relay.config import load

Captured = pytest.CaptureFixture[str]


def test_check_shows_what_the_configuration_makes(capsys: Captured, folder: Path) -> None:
    status = main(["check"])

    shown = [re.sub(" {2,}", "  ", line).strip() for line in capsys.readouterr().out.splitlines()]
    assert 0 == status
    assert "relay.yaml: no problems" == shown[0]
    assert f"mode standard, 1 worker, data in {folder}/.relay" == shown[1]
    assert f"configuration {load(folder / 'relay.yaml').hash}" == shown[3]
    parts = {line: shown[i + 1] for i, line in enumerate(shown) if i and not shown[i - 1]}
    assert "tool  line 2" == parts["Chain, top to bottom"]
    assert "GET  /-/tool/{id}  operator  tool" == parts["Routes"]
    assert "tool.sweep  every 30 s  once in the cluster  tool" == parts["Jobs"]
    assert "relay thing make  operator  tool" == parts["Commands"]
    assert "tool.uses  kept 13 months" == parts["Tables"]
    assert "tool.uses.email  whose address  to say hello" == parts["Personal data"]
    assert "tool.sum  daily at 03:30 UTC  in each node  tool" in shown
    assert "tool_broken  503  tool  The tool is broken." in shown


def test_check_opens_nothing(capsys: Captured, folder: Path) -> None:
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}

    main(["check"])

    assert "open standard" not in capsys.readouterr().out
    assert before == {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_plugins_shows_what_is_installed_without_importing_it(
    capsys: Captured, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = folder / "made_far-3.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-far\nVersion: 3.4\nSummary: Goes far.\n")
    (info / "entry_points.txt").write_text("[relay.plugins]\nfar = made_far:Far\n")
    monkeypatch.syspath_prepend(folder)

    status = main(["plugins"])

    shown = [re.sub(" {2,}", "  ", line).strip() for line in capsys.readouterr().out.splitlines()]
    assert 0 == status
    assert "made_far" not in sys.modules
    assert f"far  3.4  Goes far.  made-far in {folder}" in [line.rstrip("/") for line in shown]


def test_schema_is_json_with_the_installed_plugins_and_names_those_that_fail(
    capsys: Captured, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = folder / "made_far-3.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-far\nVersion: 3.4\n")
    (info / "entry_points.txt").write_text("[relay.plugins]\ntool = tool:Tool\nfar = made_far:Far\n")
    monkeypatch.syspath_prepend(folder)

    status = main(["schema"])

    shown = capsys.readouterr()
    entries = json.loads(shown.out)["properties"]["plugins"]["items"]["anyOf"]
    assert ["tool"] in [entry.get("required") for entry in entries]
    assert 1 == status
    assert "relay: the plugin 'far' cannot be imported: ModuleNotFoundError: No module named 'made_far'" in shown.err
    sys.modules.pop("tool")
