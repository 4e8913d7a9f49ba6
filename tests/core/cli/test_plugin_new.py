"""`relay plugin new`: what it makes works at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli.main import main

Captured = pytest.CaptureFixture[str]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The test run's own settings for pytest are not the new plugin's.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=50
    )


def test_a_new_plugin_passes_its_tests(capsys: Captured, folder: Path) -> None:
    status = main(["plugin", "new", "say_hello"])

    made = folder / "plugins" / "say_hello"
    tested = _run(made, "pytest", "-q", "-W", "error")
    assert 0 == status
    assert capsys.readouterr().out.startswith("made plugins/say_hello\n")
    assert (0, True) == (tested.returncode, "2 passed" in tested.stdout), tested.stdout


def test_a_new_plugin_is_clean_for_ruff(folder: Path) -> None:
    main(["plugin", "new", "say_hello", "--to", "elsewhere"])

    made = folder / "elsewhere" / "say_hello"
    # Without the order of imports: it depends on which packages lie in the same checkout.
    linted = _run(made, "ruff", "check", "--no-cache", "--select", "E,F,W,B,UP,RUF", "--line-length", "120", ".")
    formatted = _run(made, "ruff", "format", "--no-cache", "--check", "--line-length", "120", ".")
    assert (0, 0) == (linted.returncode, formatted.returncode), linted.stdout + formatted.stdout


def test_a_new_plugin_can_be_put_into_a_configuration(capsys: Captured, folder: Path) -> None:
    main(["plugin", "new", "hello", "--to", "."])
    (folder / "relay.yaml").write_text('plugins: [{hello: {use: "./hello/relay_hello/plugin.py:Hello", word: hi}}]')

    assert 0 == main(["check"])
    assert "hello" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Hello", "say-hello", "9lives", "class", "serve", "health", "", "../x", "a" * 41])
def test_a_name_that_does_not_do_makes_nothing(capsys: Captured, folder: Path, name: str) -> None:
    status = main(["plugin", "new", name])

    assert 1 == status
    assert capsys.readouterr().err.startswith(f"relay: '{name}' cannot be a plugin's name")
    assert not (folder / "plugins").exists()


def test_what_is_there_is_not_overwritten(capsys: Captured, folder: Path) -> None:
    (folder / "plugins" / "hello").mkdir(parents=True)

    status = main(["plugin", "new", "hello"])

    assert (1, "relay: plugins/hello is there already\n") == (status, capsys.readouterr().err)
