"""Loading plugins and dialects: by entry point, out of a file, and not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.config import Configuration, installed

Read = Callable[..., Configuration]
Wrong = Callable[..., list[str]]

PLAIN = """
    from relay import Plugin

    class It(Plugin):
        name = "plain"
"""
HOARDER = """
    from relay import Column, Plugin, Table

    class It(Plugin):
        name = "hoarder"
        stores = (Table("bodies", (Column("text"),), "for ever", content=True),)
"""
COMMERCIAL = "mode: commercial\nsecrets: {master: [{env: S}], keys: [{env: S}]}\nplugins: "


def test_only_named_plugins_are_imported(install: Any, read: Read) -> None:
    install.plugin("plain", PLAIN)
    install.plugin("other", "raise SystemExit('imported')")

    read("plugins: [plain]")

    assert "made_plain" in sys.modules
    assert "made_other" not in sys.modules


def test_in_commercial_mode_a_plugin_that_says_it_stores_content_is_refused_before_its_import(
    install: Any, wrong: Wrong
) -> None:
    install.plugin("hoarder", HOARDER, keywords="gateway,relay-stores-content")

    found = wrong(COMMERCIAL + "[hoarder]", {"S": "s"})

    assert [
        "3:11: 'hoarder' stores prompts or answers, and in commercial mode nothing may; take it out, or use mode: standard "
        "(its distribution says 'relay-stores-content')"
    ] == found
    assert "made_hoarder" not in sys.modules


def test_in_commercial_mode_a_plugin_that_declares_a_table_of_content_is_refused(install: Any, wrong: Wrong) -> None:
    install.plugin("hoarder", HOARDER)

    found = wrong(COMMERCIAL + "[hoarder]", {"S": "s"})

    assert [
        "3:11: 'hoarder' stores prompts or answers, and in commercial mode nothing may; take it out, or use mode: standard"
    ] == found


def test_with_a_mode_that_is_not_understood_nothing_that_stores_content_is_imported(install: Any, wrong: Wrong) -> None:
    install.plugin("hoarder", HOARDER, keywords="relay-stores-content")

    wrong("mode: comercial\nplugins: [hoarder]")

    assert "made_hoarder" not in sys.modules


def test_a_mode_out_of_a_variable_is_understood_also_beside_mistakes(install: Any, wrong: Wrong) -> None:
    install.plugin("hoarder", HOARDER)

    found = wrong("mode: {env: MODE}\nworkers: x\nplugins: [hoarder]", {"MODE": "standard"})

    assert ["2:10: workers: expected a whole number, found 'x'"] == found


def test_in_standard_mode_it_may_store_content(install: Any, read: Read) -> None:
    install.plugin("hoarder", HOARDER, keywords="relay-stores-content")

    assert ["hoarder"] == [one.name for one in read("plugins: [hoarder]").chain]


@pytest.mark.parametrize(
    "source, problem",
    [
        ("import nothing_of_this_name", "the plugin 'it' cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("It = 5", "'made_it:It' is not a class that derives from relay.Plugin"),
        ("class It: name = 'it'", "'made_it:It' is not a class that derives from relay.Plugin"),
        (
            "from relay import Plugin\nclass It(Plugin): name = 'that'",
            "'made_it:It' calls itself 'that'; the key must be the plugin's name",
        ),
        ("from relay import Plugin\nclass It(Plugin): pass", "'made_it:It' calls itself ''; the key must be the plugin's name"),
        (
            "from relay import Plugin\nclass It(Plugin):\n  name = 'it'\n  api = 2",
            "'it' is written for version 2 of the plugin contract, this relay has version 1; upgrade Relay",
        ),
        (
            "from relay import Plugin\nclass It(Plugin):\n  name = 'it'\n  def __init__(self, settings): raise KeyError('hunter2')",
            "it: its settings cannot be read: KeyError",
        ),
    ],
)  # fmt: skip
def test_a_plugin_that_cannot_be_used_is_a_problem_at_its_line(
    install: Any, wrong: Wrong, source: str, problem: str
) -> None:
    install.plugin("it", source)

    assert [f"1:12: {problem}"] == wrong("plugins: [ it]")


def test_two_distributions_with_one_plugin_are_a_conflict(install: Any, wrong: Wrong) -> None:
    install.plugin("plain", PLAIN)
    install.plugin("plain", PLAIN, distribution="strangers-plain")

    assert [
        "1:11: several installed distributions offer the plugin 'plain': made-plain, strangers-plain; uninstall all but one"
    ] == wrong("plugins: [plain]")


def test_what_is_installed_is_described_without_being_imported(install: Any) -> None:
    install.plugin("plain", PLAIN, keywords="a, b")

    (one,) = installed.installed(installed.PLUGINS)["plain"]

    assert ("plain", "made-plain", "1.2", "Made for a test.", frozenset("ab"), str(install.site)) == (
        one.name,
        one.distribution,
        one.version,
        one.summary,
        one.keywords,
        one.location.rstrip("/"),
    )
    assert "made_plain" not in sys.modules


def test_a_dialect_that_is_none_is_a_problem(install: Any, wrong: Wrong) -> None:
    install.dialect("long")
    (install.site / "made_long.py").write_text("DIALECT = 5")

    assert ["2:12: 'made_long:DIALECT' is not a dialect named 'long'"] == wrong("plugins: []\ndialects: [long]")


def test_a_plugin_out_of_a_file_gets_its_settings(read: Read, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(
        "from __future__ import annotations\n"
        "from relay import Plugin, Settings\n"
        "class HelloSettings(Settings):\n    greeting: str = 'hello'\n    again: HelloSettings | None = None\n"
        "class Hello(Plugin):\n    name = 'hello'\n    Settings = HelloSettings\n"
    )

    configuration = read('plugins: [{hello: {use: "./hello.py:Hello", again: {greeting: hi}}}]')

    assert "hi" == configuration.chain[0].plugin.settings.again.greeting
    assert (f"use:{tmp_path}/hello.py",) == configuration.sources


def test_two_files_of_one_name_are_two_modules(read: Read, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "it.py").write_text(
            f"from relay import Plugin\nclass It(Plugin):\n    name = {name!r}\n    said = {name!r}\n"
        )

    configuration = read("plugins: [{one: {use: './one/it.py:It'}}, {two: {use: './two/it.py:It'}}]")

    assert ["one", "two"] == [one.plugin.said for one in configuration.chain]  # type: ignore[attr-defined]


def test_a_file_is_read_anew_each_time(read: Read, tmp_path: Path) -> None:
    source = "from relay import Plugin\nclass It(Plugin):\n    name = 'it'\n    said = {}\n"
    text = "plugins: [{it: {use: 'it.py:It'}}]"
    said = []

    for number in (1, 22):
        (tmp_path / "it.py").write_text(source.format(number))
        said.append(read(text).chain[0].plugin.said)  # type: ignore[attr-defined]

    assert [1, 22] == said


@pytest.mark.parametrize(
    "source, use, problem",
    [
        ("x = 1", "it.py", "'use' takes a file and a class, './it.py:It', found 'it.py'"),
        ("x = 1", "it.txt:It", "'use' takes a file and a class, './it.py:It', found 'it.txt:It'"),
        ("from relay import Plugin\nclass Itt(Plugin): name = 'it'", "it.py:It", "'it.py' has nothing named 'It'; did you mean 'Itt'?"),
        ("x = 1\ny = 1 / 0", "it.py:It", "'it.py' cannot be loaded: line 2: ZeroDivisionError: division by zero"),
        ("x = 1\n\ny = (", "it.py:It", "'it.py' cannot be loaded: line 3: SyntaxError: '(' was never closed"),
        ("class It: pass", "it.py:It", "'it.py:It' is not a class that derives from relay.Plugin"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_a_problem_where_it_is_named(
    wrong: Wrong, tmp_path: Path, source: str, use: str, problem: str
) -> None:
    (tmp_path / "it.py").write_text(source)

    assert [f"1:22: {problem}"] == wrong(f"plugins: [{{it: {{use: '{use}'}}}}]")
