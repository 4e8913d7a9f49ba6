"""`relay docs` and the tables it writes."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from relay import Secret, Settings
from relay.cli.main import main
from relay.cli.reference import settings_table
from relay.values.quantity import Duration, Size

Captured = pytest.CaptureFixture[str]
CORE = "# Configuration\n<!-- settings -->\n<!-- /settings -->\nand\n<!-- errors -->\nold\n<!-- /errors -->\nend\n"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Settings):
    """An inner."""

    key: Secret | None = Field(default=None, description="The key | its value.")
    inner: Inner | None = Field(default=None, description="Another.")


class Outer(Settings):
    """An outer."""

    word: str = Field(description="A\nword.")
    size: Size = Field(default=16384, description="A size.")
    wait: Duration = Field(default=1.5, description="A time.")
    on: bool = Field(default=True, description="On?")
    colour: Colour = Field(default=Colour.RED, description="A colour.")
    level: Literal["low", "high"] = Field(default="low", description="A level.")
    networks: tuple[IPv4Network | IPv6Network, ...] = Field(default=(), description="Networks.")
    either: str | list[int] = Field(default="x", description="Either.")
    codes: frozenset[int] = Field(default=frozenset((3, 1)), description="Codes.")
    limits: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: {"a": 1}, description="Limits.")
    by_name: dict[str, Inner] = Field(default={}, description="By name.")
    rows: list[Inner] = Field(default=[], description="Rows.")
    one: Inner = Field(default=Inner(key=None, inner=None), description="One.")


def test_a_table_of_settings_goes_down_to_the_last() -> None:
    rows = [line.strip("| ").split(" | ", 3) for line in settings_table(Outer).splitlines()[2:]]

    assert [
        ["`word`", "text", "required", "A word."],
        ["`size`", "size", "`16KiB`", "A size."],
        ["`wait`", "duration", "`1.5s`", "A time."],
        ["`on`", "true or false", "`true`", "On?"],
        ["`colour`", "`red`, `blue`", "`red`", "A colour."],
        ["`level`", "`low`, `high`", "`low`", "A level."],
        ["`networks`", "list of network", "`[]`", "Networks."],
        ["`either`", "text or list of whole number", "`x`", "Either."],
        ["`codes`", "list of whole number", "`[1, 3]`", "Codes."],
        ["`limits`", "mapping of whole number", "`{a: 1}`", "Limits."],
        ["`by_name`", "mapping of settings", "`{}`", "By name."],
        ["`by_name.<name>.key`", "secret", "", "The key \\| its value."],
        ["`by_name.<name>.inner`", "settings", "", "Another."],
        ["`rows`", "list of settings", "`[]`", "Rows."],
        ["`rows[].key`", "secret", "", "The key \\| its value."],
        ["`rows[].inner`", "settings", "", "Another."],
        ["`one`", "settings", "", "One."],
        ["`one.key`", "secret", "", "The key \\| its value."],
        ["`one.inner`", "settings", "", "Another."],
    ] == rows


@pytest.fixture
def checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A checkout with one installed plugin, `tool`, whose README is this."""

    def checkout(readme: str) -> Path:
        plugin = folder / "plugins" / "tool"
        plugin.mkdir(parents=True)
        (plugin / "pyproject.toml").write_text('[project.entry-points."relay.plugins"]\ntool = "docs_tool:Tool"\n')
        (plugin / "README.md").write_text(readme)
        (folder / "docs_tool.py").write_text((folder / "tool.py").read_text())
        info = folder / "made_tool-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-tool\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[relay.plugins]\ntool = docs_tool:Tool\n")
        monkeypatch.syspath_prepend(folder)
        (folder / "config").mkdir()
        (folder / "config" / "README.md").write_text(CORE)
        return plugin / "README.md"

    return checkout


def _places(*markers: str) -> str:
    return "".join(f"<!-- {marker} -->\n<!-- /{marker} -->\n" for marker in markers)


def test_docs_writes_what_a_plugin_declares_between_the_markers(checkout: Callable[[str], Path], folder: Path) -> None:
    readme = checkout("above\n" + _places("settings", "errors", "headers", "routes", "commands") + "below\n")

    status = main(["docs"])

    text = readme.read_text()
    assert 0 == status
    assert text.startswith("above\n<!-- settings -->\n| setting | type | default | meaning |\n|---|---|---|---|\n")
    assert text.endswith("<!-- /commands -->\nbelow\n")
    assert "| `greeting` | text | `hello` | What it says. |\n<!-- /settings -->\n" in text
    assert "| `tool_broken` | 503 | The tool is broken. |\n<!-- /errors -->\n" in text
    assert "| `x-relay-tool` | What the tool says. |\n<!-- /headers -->\n" in text
    assert "| GET | `/-/tool/{id}` | operator | Show a thing. |\n<!-- /routes -->\n" in text
    assert "| `relay thing make` | `--name` (required) `--count` `--fast`" in text
    core = (folder / "config" / "README.md").read_text()
    assert "| `limits.head_bytes` | size | `16KiB` |" in core
    assert "| `not_found` | 404 |" in core
    assert "\nold\n" not in core
    assert (folder / "config" / "relay.schema.json").is_file()


def test_docs_check_is_content_with_what_docs_wrote(checkout: Callable[[str], Path], capsys: Captured) -> None:
    checkout(_places("settings", "errors", "headers", "routes", "commands"))
    main(["docs"])
    capsys.readouterr()

    status = main(["docs", "--check"])

    assert (0, ("", "")) == (status, tuple(capsys.readouterr()))


def test_docs_check_names_what_is_out_of_date_and_changes_nothing(
    checkout: Callable[[str], Path], capsys: Captured
) -> None:
    before = _places("settings", "errors", "headers", "routes", "commands")
    readme = checkout(before)

    status = main(["docs", "--check"])

    assert 1 == status
    assert [
        "plugins/tool/README.md is out of date; `relay docs` writes it",
        "config/README.md is out of date; `relay docs` writes it",
        "config/relay.schema.json is out of date; `relay docs` writes it",
    ] == capsys.readouterr().err.splitlines()
    assert before == readme.read_text()


def test_a_readme_without_a_place_for_what_its_plugin_declares_is_told(
    checkout: Callable[[str], Path], capsys: Captured
) -> None:
    checkout(_places("settings"))

    status = main(["docs"])

    assert 1 == status
    assert (
        "has no place for its errors: `<!-- errors -->` and `<!-- /errors -->`, each on a line"
        in capsys.readouterr().err
    )
