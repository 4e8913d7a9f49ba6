"""Paths in settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from relay.values.place import Place

PLACE: TypeAdapter[Path] = TypeAdapter(Place)


@pytest.mark.parametrize(
    "written, path",
    [("keys.yaml", "/etc/relay/keys.yaml"), ("./a/../b", "/etc/relay/b"), ("../b", "/etc/b"), ("/var/lib", "/var/lib")],
)
def test_a_relative_path_starts_at_the_configurations_folder(written: str, path: str) -> None:
    assert Path(path) == PLACE.validate_python(written, context={"directory": Path("/etc/relay")})


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    assert Path("/home/somebody/keys") == PLACE.validate_python("~/keys", context={"directory": Path("/etc")})


def test_without_a_configuration_a_path_stays_as_it_is() -> None:
    assert Path("a/../b") == PLACE.validate_python("a/../b")
