"""The hash by which nodes compare their configurations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from relay.config import Configuration

Read = Callable[..., Configuration]
SET = """
from relay import Plugin, Settings

class S(Settings):
    numbers: frozenset[int]
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
    text = "plugins: [{{it: {{use: 'it.py:It', numbers: [1], by: {}}}}}]"

    assert read(text.format("{x: 1, y: 2}")).hash != read(text.format("{y: 2, x: 1}")).hash


def test_it_does_not_depend_on_the_order_in_which_a_set_was_filled(read: Read, tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text(SET)
    text = "plugins: [{{it: {{use: 'it.py:It', numbers: {}}}}}]"

    one, other = read(text.format([0, 8])), read(text.format([8, 0]))

    # The two fall into one slot, so that the later one is found behind the earlier one.
    assert [0, 8] == list(one.chain[0].plugin.settings.numbers)
    assert [8, 0] == list(other.chain[0].plugin.settings.numbers)
    assert one.hash == other.hash
    assert 64 == len(one.hash)
