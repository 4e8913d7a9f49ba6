"""The plugin list: entries become plugin classes with their settings."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence as List
from dataclasses import dataclass

from relay.config.binding import bind
from relay.config.chain import Loaded
from relay.config.installed import (
    PLUGINS,
    STORES_CONTENT,
    Installed,
    NotLoaded,
    find,
    installed,
    load_file,
    load_plugin,
)
from relay.config.positions import Mapping, Node, Problems, Scalar, Sequence
from relay.config.references import References
from relay.plugin import Plugin

Known = Dict[str, List[Installed]]
USE = "use"
"""The key in a plugin's settings that names a file to load it from."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of the list. `settings` is without `use`; its position is the key's, where a missing setting is reported."""

    name: str
    settings: Mapping
    use: Node | None
    line: int
    column: int


def entries(node: Node, problems: Problems) -> list[Listed]:
    """The entries of the list: `- auth`, `- auth:` or `- auth: {…}`; a name that comes again is a problem."""
    if isinstance(node, Scalar) and node.value is None:
        return []
    if not isinstance(node, Sequence):
        problems.add(node.line, node.column, "plugins: expected a list, each entry `- name:` with its settings below")
        return []
    listed: list[Listed] = []
    for item in node.items:
        if (one := _entry(item, problems)) is None:
            continue
        if first := next((earlier for earlier in listed if earlier.name == one.name), None):
            problems.add(one.line, one.column, f"the plugin '{one.name}' is listed twice (first in line {first.line})")
            continue
        listed.append(one)
    return listed


def load_all(
    listed: List[Listed], context: Dict[str, object], references: References, problems: Problems
) -> list[Loaded]:
    """Load and set up each plugin; those that cannot be are left out, with their problems said.

    :param context: what settings classes may know of the rest: `mode`, `plain_text`, `workers`, and the names of the `dialects`.
    """
    known = installed(PLUGINS)
    chain = [_load(one, known, context, references, problems) for one in listed]
    return [loaded for loaded in chain if loaded is not None]


def _entry(item: Node, problems: Problems) -> Listed | None:
    if isinstance(item, Scalar) and isinstance(item.value, str):
        return Listed(item.value, Mapping({}, item.line, item.column), None, item.line, item.column)
    if not isinstance(item, Mapping) or len(item.entries) != 1:
        problems.add(
            item.line,
            item.column,
            "an entry names one plugin: `- name`, or `- name:` with its settings indented below it",
        )
        return None
    (entry,) = item.entries.values()
    value = entry.value
    if isinstance(value, Scalar) and value.value is None:
        value = Mapping({}, entry.line, entry.column)
    if not isinstance(value, Mapping):
        problems.add(value.line, value.column, f"{entry.key}: expected a mapping of settings")
        value = Mapping({}, entry.line, entry.column)
    settings = {key: setting for key, setting in value.entries.items() if key != USE}
    use = value.entries.get(USE)
    return Listed(
        entry.key, Mapping(settings, entry.line, entry.column), use.value if use else None, entry.line, entry.column
    )


def _load(
    one: Listed, known: Known, context: Dict[str, object], references: References, problems: Problems
) -> Loaded | None:
    commercial = context["mode"] == "commercial"
    try:
        cls = _class(one, known, commercial, references)
    except NotLoaded as error:
        at = one.use or one
        problems.add(at.line, at.column, str(error))
        return None
    if commercial and any(table.content for table in cls.stores):
        problems.add(one.line, one.column, _forbidden(one.name))
        return None
    try:
        settings = bind(cls.Settings, one.settings, one.name, references, problems, context, also_known=(USE,))
        plugin = cls(settings) if settings is not None else None
    except (
        Exception
    ) as error:  # A mistake in the plugin's own code. Its words might repeat a secret: only the kind is told.
        problems.add(one.line, one.column, f"{one.name}: its settings cannot be read: {type(error).__name__}")
        return None
    return Loaded(one.name, plugin, one.line, one.column) if plugin is not None else None


def _class(one: Listed, known: Known, commercial: bool, references: References) -> type[Plugin]:
    """:raises NotLoaded: it cannot be used."""
    if one.use is not None:
        if not (isinstance(one.use, Scalar) and isinstance(one.use.value, str)):
            raise NotLoaded(f"{one.name}.use: expected a file and a class, './{one.name}.py:{one.name.title()}'")
        cls, path = load_file(one.use.value, one.name, references.directory)
        references.note(f"use:{path}")
        return cls
    found = find(known, one.name, "plugin")
    # Before its import: in commercial mode no code that stores content runs at all.
    if commercial and found.stores_content:
        raise NotLoaded(f"{_forbidden(one.name)} (its distribution says '{STORES_CONTENT}')")
    return load_plugin(found)


def _forbidden(name: str) -> str:
    return f"'{name}' stores prompts or answers, and in commercial mode nothing may; take it out, or use mode: standard"
