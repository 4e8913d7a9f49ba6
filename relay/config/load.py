"""From a YAML file to a configuration that can run, or to everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path

from relay.config import chain, listing
from relay.config.binding import bind
from relay.config.chain import Loaded
from relay.config.fingerprint import fingerprint
from relay.config.installed import DIALECTS, NotLoaded, find, installed, load_dialect
from relay.config.positions import Mapping, Node, Problems, Scalar, Sequence, read
from relay.config.references import FromEnvironment, References
from relay.config.settings import CoreSettings
from relay.errors import ConfigurationError
from relay.wire.dialect import Dialect

__all__ = ["Configuration", "Loaded", "load"]

_PLUGINS = "plugins"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that was found right. Nothing in it has been opened."""

    path: Path
    core: CoreSettings
    chain: tuple[Loaded, ...]
    """The plugins, in the order of the list."""
    dialects: dict[str, Dialect]
    """The dialects by name: those that are served (`core.dialects`) in their order, then the others that are installed."""
    hash: str
    """SHA-256 over the settings in force, hexadecimal; of a secret it covers only whether it is given."""
    sources: tuple[str, ...]
    """What the values came from beside the file: `env:NAME`, `file:PATH`, `use:PATH`, in the order they were asked for."""


def load(path: Path, *, environ: Dict[str, str] = os.environ, text: str | None = None) -> Configuration:
    """Read a configuration, load the plugins it names and check that they fit together. Nothing is opened.

    :param environ: where `{env: X}` is looked up.
    :param text: read this instead of the file's content; `path` still says where relative paths start.
    :raises ConfigurationError: with every problem found.
    """
    problems = Problems(str(path))
    tree = read(_text(path, problems) if text is None else text, problems)
    if tree is not None and not isinstance(tree, Mapping):
        problems.add(
            tree.line, tree.column, "expected settings such as `listen: 127.0.0.1:8080` and a list of `plugins`"
        )
    if not isinstance(tree, Mapping):
        raise ConfigurationError(problems.found)

    references = References(environ, path.resolve().parent)
    listed = _take_plugins(tree, problems)
    core = bind(CoreSettings, tree, "", references, problems, also_known=(_PLUGINS,))
    dialects = _dialects(tree, problems)
    # In doubt nothing that stores content is imported.
    commercial = core.mode == "commercial" if core else _may_be_commercial(tree)
    context = {
        "dialects": tuple(dialects),
        "mode": "commercial" if commercial else "standard",
        "plain_text": core.plain_text if core else "allow",
        "workers": core.workers if core else 1,
    }
    plugins = listing.load_all(listed, context, references, problems)
    chain.check(plugins, dialects.values(), problems, complete=len(plugins) == len(listed))
    if core is not None:
        _across(core, tree, problems)
    if problems.found or core is None:
        raise ConfigurationError(problems.found)

    core = core.model_copy(update={"dialects": core.dialects or tuple(dialects)})
    parts = [("", core), *((one.name, one.plugin.settings) for one in plugins)]
    return Configuration(path, core, tuple(plugins), dialects, fingerprint(parts), tuple(references.used))


def _text(path: Path, problems: Problems) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.add(1, 1, f"the configuration cannot be read: {error.strerror}")
        raise ConfigurationError(problems.found) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        problems.add(before.count(b"\n") + 1, error.start - before.rfind(b"\n"), "the configuration must be UTF-8 text")
        raise ConfigurationError(problems.found) from None


def _take_plugins(tree: Mapping, problems: Problems) -> list[listing.Listed]:
    entry = tree.entries.pop(_PLUGINS, None)
    if entry is None:
        problems.add(tree.line, tree.column, "the list of `plugins` is missing; `plugins: []` for none")
        return []
    return listing.entries(entry.value, problems)


def _may_be_commercial(tree: Mapping) -> bool:
    entry = tree.entries.get("mode")
    return entry is not None and _word(entry.value) != "standard"


def _word(node: Node) -> object:
    """What a scalar says, also where a variable says it."""
    value = node.value if isinstance(node, Scalar) else None
    return value.value if isinstance(value, FromEnvironment) else value


def _dialects(tree: Mapping, problems: Problems) -> dict[str, Dialect]:
    """The served dialects in their order, then the others: a provider may speak one that no client does."""
    known = installed(DIALECTS)
    served = _served(tree)
    entry = tree.entries.get("dialects") or tree
    found: dict[str, Dialect] = {}
    for name in (*served, *(name for name in known if name not in served)):
        at = served.get(name, entry)
        try:
            found[name] = load_dialect(find(known, name, "dialect"))
        except NotLoaded as error:
            problems.add(at.line, at.column, str(error))
    if not served:
        by_size = sorted(found.values(), key=lambda dialect: (-len(dialect.surfaces), dialect.name))
        found = {dialect.name: dialect for dialect in by_size}
    return found


def _served(tree: Mapping) -> dict[str, Scalar]:
    """The dialects that are listed and where; out of the tree, so that it can be said also when other settings are wrong."""
    entry = tree.entries.get("dialects")
    items = entry.value.items if entry and isinstance(entry.value, Sequence) else []
    return {name: item for item in items if isinstance(item, Scalar) and isinstance(name := _word(item), str)}


def _across(core: CoreSettings, tree: Mapping, problems: Problems) -> None:
    """What depends on more than one setting."""

    def say(setting: str, message: str) -> None:
        entry = tree.entries.get(setting)
        at = entry or tree
        problems.add(at.line, at.column, message)

    if core.mode == "commercial":
        for name in ("master", "keys"):
            if not getattr(core.secrets, name):
                say(
                    "secrets" if "secrets" in tree.entries else "mode",
                    f"secrets.{name}: commercial mode demands one; give a list of secrets",
                )
    if core.plain_text == "refuse" and core.tls is None and not core.trusted_proxies:
        say(
            "plain_text",
            "plain_text: every request would be refused; give `tls`, or `trusted_proxies` that speak https to clients",
        )
    for address in core.listen:
        if address in core.operator_listen and not address.endswith(":0"):
            say("operator_listen", f"operator_listen: '{address}' is already in `listen`")
