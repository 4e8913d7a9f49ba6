"""The README says what the dialect does."""

from __future__ import annotations

from pathlib import Path

from relay_gemini.dialect import DIALECT

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def test_the_table_of_surfaces_is_all_there_is() -> None:
    table = README.partition("<!-- surfaces -->")[2].partition("<!-- /surfaces -->")[0].strip().splitlines()[2:]

    assert [f"| `{s.name}` | `{s.method} {s.path}` |" for s in DIALECT.surfaces] == [
        " |".join(row.split(" |")[:2]) + " |" for row in table
    ]
