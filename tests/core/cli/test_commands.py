"""Commands that plugins bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.cli.main import main

Captured = pytest.CaptureFixture[str]


def test_options_become_what_the_command_takes(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    arguments = ["--name", "x", "--count", "2", "--tags", "a", "--tags", "b", "--labels", "one=1", "--labels", "two=2"]

    status = main(["thing", "make", *arguments, "--key", "env:KEY", "--where", "./there"])

    assert (0, "hi x 2 False ['a', 'b'] {'one': 1, 'two': 2} hunter2 there\n") == (status, capsys.readouterr().out)


def test_what_is_left_out_has_its_default(capsys: Captured) -> None:
    main(["thing", "make", "--name", "x"])

    assert "hi x 1 False [] {} None None\n" == capsys.readouterr().out


def test_the_commands_status_is_the_exit_status(capsys: Captured) -> None:
    assert 3 == main(["thing", "make", "--name", "x", "--fast"])
    assert 0 == main(["thing", "make", "--name", "x", "--no-fast"])


def test_options_that_do_not_fit_are_told_in_plain_words(capsys: Captured) -> None:
    status = main(["thing", "make", "--name", "x", "--count", "many", "--key", "sk-abc", "--labels", "a=b"])

    shown = capsys.readouterr()
    assert (1, "") == (status, shown.out)
    assert (
        "relay: --count: expected a whole number, found 'many'; --labels.a: expected a whole number, found 'b'; "
        "--key: expected a secret as {env: NAME} or {file: path}, found text\n"
    ) == shown.err


def test_the_help_of_a_command_shows_the_fields_descriptions(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["thing", "make", "--help"])

    shown = capsys.readouterr().out
    assert "Make a thing." in shown
    assert "--name TEXT" in shown
    assert "What it is called; 100% yours." in shown
    assert "How many. (default: 1)" in shown
    assert "What it is. Can be given several times." in shown
    assert "--key env:NAME|file:PATH" in shown


def test_a_command_that_wants_it_runs_inside_the_plugins_lifespan(capsys: Captured) -> None:
    status = main(["thing", "open"])

    assert (0, "open standard .relay\nopened True\nclose\n") == (status, capsys.readouterr().out)


def test_a_command_that_fails_on_purpose_says_why_without_a_traceback(capsys: Captured) -> None:
    status = main(["thing", "fail"])

    assert (1, "relay: there is nothing to do it with\n") == (status, capsys.readouterr().err)


def test_with_problems_in_the_configuration_its_commands_tell_them(capsys: Captured, folder: Path) -> None:
    (folder / "relay.yaml").write_text("workers: x\nplugins: []\n")

    status = main(["thing", "make", "--name", "x"])

    assert 1 == status
    assert "relay.yaml:1:10: workers:" in capsys.readouterr().err


def test_without_a_configuration_the_installed_plugins_commands_are_there(
    capsys: Captured, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "relay.yaml").unlink()
    (folder / "installed_tool.py").write_text((folder / "tool.py").read_text())
    info = folder / "made_tool-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-tool\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[relay.plugins]\ntool = installed_tool:Tool\n")
    monkeypatch.syspath_prepend(folder)

    status = main(["thing", "make", "--name", "x"])

    assert (0, "hello x 1 False [] {} None None\n") == (status, capsys.readouterr().out)
