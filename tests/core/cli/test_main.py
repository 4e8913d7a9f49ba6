"""The command line from outside: what is printed where, and the exit status."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli import main as cli
from relay.cli.main import CORE_WORDS, main
from relay.config.chain import CORE_NOUNS
from relay.version import VERSION

Captured = pytest.CaptureFixture[str]


def test_the_version_is_printed(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert (0, f"relay {VERSION}\n") == (left.value.code, capsys.readouterr().out)


def test_the_cores_words_are_those_that_plugins_may_not_have() -> None:
    assert set(CORE_NOUNS) == CORE_WORDS


def test_a_configuration_with_problems_tells_them_all_and_ends_with_1(capsys: Captured, folder: Path) -> None:
    (folder / "relay.yaml").write_text("workers: x\nmode: y\nplugins: []\n")

    status = main(["check"])

    shown = capsys.readouterr()
    assert (1, "") == (status, shown.out)
    assert [
        "relay.yaml:1:10: workers: expected a whole number, found 'x'",
        "relay.yaml:2:7: mode: expected one of 'standard', 'commercial', found 'y'",
        "2 problems",
    ] == shown.err.splitlines()


def test_without_a_configuration_it_says_where_one_is_looked_for(capsys: Captured, folder: Path) -> None:
    (folder / "relay.yaml").unlink()

    status = main(["check"])

    assert 1 == status
    assert (
        "relay: there is no configuration: name one with --config or $RELAY_CONFIG "
        "(./relay.yaml and ./config/relay.yaml are not there)\n"
    ) == capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--config", "other.yaml", "check"], ["check", "--config", "other.yaml"], ["check", "--config=other.yaml"]],
)
def test_the_configuration_can_be_named_before_and_behind_the_command(
    capsys: Captured, folder: Path, arguments: list[str]
) -> None:
    (folder / "other.yaml").write_text("plugins: []\n")

    status = main(arguments)

    assert 0 == status
    assert capsys.readouterr().out.startswith("other.yaml: no problems\n")


def test_the_configuration_can_be_named_by_a_variable(
    capsys: Captured, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "other.yaml").write_text("plugins: []\n")
    monkeypatch.setenv("RELAY_CONFIG", "other.yaml")

    main(["check"])

    assert capsys.readouterr().out.startswith("other.yaml: no problems\n")


def test_the_configuration_may_lie_in_the_folder_config(capsys: Captured, folder: Path) -> None:
    (folder / "relay.yaml").unlink()
    (folder / "config").mkdir()
    (folder / "config" / "relay.yaml").write_text("plugins: []\n")

    main(["check"])

    assert capsys.readouterr().out.startswith("config/relay.yaml: no problems\n")


@pytest.mark.parametrize(
    "arguments", [["sevre"], ["check", "--nonsense"], ["plugin"], ["plugin", "old"], [], ["thing", "make"]]
)
def test_a_wrong_command_line_ends_with_2(capsys: Captured, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)

    assert 2 == left.value.code
    assert capsys.readouterr().err.startswith("usage: relay")


def test_the_help_lists_core_and_plugin_commands(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    shown = capsys.readouterr().out
    assert all(f"    {word}" in shown for word in (*CORE_NOUNS, "thing"))


def test_the_help_works_while_the_configuration_does_not(capsys: Captured, folder: Path) -> None:
    (folder / "relay.yaml").write_text("workers: x\n")

    with pytest.raises(SystemExit) as left:
        main(["--help"])

    assert 0 == left.value.code
    assert "    check" in capsys.readouterr().out


def test_serve_hands_the_engine_the_configuration_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def serve_command(arguments: argparse.Namespace) -> int:
        asked.append(arguments)
        return 7

    monkeypatch.setattr("relay.cli.serve.serve_command", serve_command)

    status = main(["serve", "--say", "try this"])

    assert 7 == status
    assert [("relay.yaml", "try this")] == [(arguments.config, arguments.say) for arguments in asked]


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(given: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)

    assert 130 == main(["check"])


def test_a_reader_that_leaves_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from relay.cli.main import main; sys.exit(main(['schema']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()

    _, said = process.communicate(timeout=30)

    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_the_version_comes_without_loading_the_configuration(capsys: Captured, folder: Path) -> None:
    (folder / "tool.py").write_text("raise SystemExit('loaded')")

    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert 0 == left.value.code


def test_a_core_command_is_not_kept_from_running_by_a_broken_configuration(capsys: Captured, folder: Path) -> None:
    (folder / "relay.yaml").write_text("workers: x\n")

    assert 0 == main(["plugins"])
