"""The hash by which nodes compare their configurations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from relay.config import Configuration

Read = Callable[..., Configuration]
SET = """
from relay import Plugin, Settings

class S(Settings):
    words: frozenset[str]
    by: dict[str, int] = {}

class It(Plugin):
    name = "it"
    Settings = S
"""


def test_it_covers_the_settings_in_force_and_not_how_they_were_written(read: Read) -> None:
    bare = read("plugins: []").hash

    assert bare == read("# words\nworkers: {env: W}\nplugins:\n", {"W": "1"}).hash
    assert bare != read("workers: 2\nplugins: []").hash


def test_of_a_secret_it_covers_only_whether_it_is_given(read: Read) -> None:
    text = "redis: {url: {env: URL, optional: true}}\nplugins: []"

    one, other, none = (read(text, environ).hash for environ in ({"URL": "a"}, {"URL": "b"}, {}))

    assert one == other
    assert one != none


def test_it_covers_the_order_of_plugins_and_of_mappings(read: Read, tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text(SET)
    text = "plugins: [{{it: {{use: 'it.py:It', words: [a], by: {}}}}}]"

    assert read(text.format("{x: 1, y: 2}")).hash != read(text.format("{y: 2, x: 1}")).hash


def test_it_is_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text(SET)
    (tmp_path / "relay.yaml").write_text("plugins: [{it: {use: 'it.py:It', words: [a, b, c, d, e, f]}}]")
    script = "import sys; from pathlib import Path; from relay.config import load; print(load(Path(sys.argv[1])).hash)"

    hashes = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "relay.yaml")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert 1 == len(hashes)
    assert 64 == len(hashes.pop())
