"""The README's table is the surfaces, no more and no less."""

from __future__ import annotations

from pathlib import Path

from relay_openai.dialect import DIALECT

README = Path(__file__).parents[1] / "README.md"


def table() -> str:
    lines = ["| surface | request | body | model in | |\n", "|---|---|---|---|---|\n"]
    for surface in DIALECT.surfaces:
        notes = [
            "owner" if surface.objects or surface.creates or surface.lists else "",
            "WebSocket" if surface.websocket else "",
            "free" if not surface.generates else "",
        ]
        shown = ", ".join(note for note in notes if note)
        lines.append(
            f"| `{surface.name}` | `{surface.method} {surface.path}` | {surface.body} | {surface.model} | {shown} |\n"
        )
    return "".join(lines)


def test_the_readme_lists_every_surface() -> None:
    text = README.read_text()

    shown = text.partition("<!-- surfaces -->\n")[2].partition("<!-- /surfaces -->")[0]

    assert table() == shown
