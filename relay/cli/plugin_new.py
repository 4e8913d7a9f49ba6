"""`relay plugin new NAME`: a folder with a plugin that works, to be changed from there."""

from __future__ import annotations

import argparse
import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from relay.config.chain import CORE_NOUNS
from relay.errors import RelayError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN = frozenset((*CORE_NOUNS, "health", "relay"))
_INIT = '"""Puts a word into each answer\'s head."""\n'


class NotMade(RelayError):
    """The folder cannot be made; the message says why."""


def new(arguments: argparse.Namespace) -> int:
    """Make the folder and say what to do with it."""
    folder = make(arguments.name, Path(arguments.to))
    print(f"made {folder}")
    print(f"  its tests:   cd {folder} && python -m pytest")
    print(f"  to use it:   uv pip install -e {folder}, and `- {arguments.name}:` under `plugins` of the configuration")
    return 0


def make(name: str, within: Path) -> Path:
    """Make the folder `within/name`. :raises NotMade: the name does not do, or the folder is there already."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in _TAKEN:
        raise NotMade(
            f"'{name}' cannot be a plugin's name: lower case letters, digits and _, a letter first, at most 40, no word of Relay's own"
        )
    folder = within / name
    if folder.exists():
        raise NotMade(f"{folder} is there already")
    words = {
        "name": name,
        "cls": "".join(part.title() for part in name.split("_")),
        "header": f"x-relay-{name.replace('_', '-').strip('-')}",
    }
    module = folder / f"relay_{name}"
    try:
        module.mkdir(parents=True)
        (folder / "tests").mkdir()
        for template, path in (
            ("pyproject.toml", folder / "pyproject.toml"),
            ("pytest.ini", folder / "pytest.ini"),
            ("README.md", folder / "README.md"),
            ("plugin.py", module / "plugin.py"),
            ("test.py", folder / "tests" / f"test_{name}_answers.py"),
        ):
            path.write_text(_template(template).substitute(words))
        (module / "__init__.py").write_text(_INIT)
        (module / "py.typed").touch()
    except OSError as error:
        raise NotMade(f"{folder} cannot be made: {error.strerror}") from error
    return folder


def _template(name: str) -> Template:
    return Template((files("relay.cli") / "templates" / f"{name}.tmpl").read_text())
