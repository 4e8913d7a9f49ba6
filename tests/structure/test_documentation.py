"""What the READMEs say of settings, errors, headers, routes and commands is what the code declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.cli.docs import documents

ROOT = Path(__file__).parents[2]
DOCUMENTS = dict(documents(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_says_what_the_code_declares(path: Path) -> None:
    """`relay docs` writes it."""
    assert DOCUMENTS[path] == path.read_text()
