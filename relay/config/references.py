"""What `{env: X}` and `{file: path}` stand for: values that are not written into the configuration."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path

from relay.config.positions import Mapping, Node, Scalar
from relay.values.secret import Secret


class Unresolved(Exception):
    """A reference leads nowhere. `node` is where to point at."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """Marks a value that came out of a variable: messages name the variable and never the value."""

    variable: str
    value: str


@dataclass(slots=True)
class References:
    """Follows references; `used` are the variables and files that were asked for, `env:NAME` and `file:PATH`."""

    environ: Dict[str, str]
    directory: Path
    used: list[str] = field(default_factory=list)

    def text(self, node: Mapping) -> FromEnvironment | None:
        """The value of `{env: X}`. None: it is optional and not set. An empty variable counts as not set.

        :raises Unresolved: it is not set.
        """
        variable = _target(node, "env")
        self.note(f"env:{variable}")
        if value := self.environ.get(variable, ""):
            return FromEnvironment(variable, value)
        if _optional(node):
            return None
        raise Unresolved(
            node.entries["env"].value,
            f"the environment variable '{variable}' is {'empty' if variable in self.environ else 'not set'}"
            "; set it, or add `optional: true`",
        )

    def secret(self, node: Mapping) -> Secret | None:
        """The secret of `{env: X}` or `{file: path}`; one newline at a file's end is not part of it. None: as in `text`.

        :raises Unresolved: it is not set, or the file cannot be read.
        """
        if "env" in node.entries:
            found = self.text(node)
            return Secret(found.value) if found else None
        return self._file(node)

    def _file(self, node: Mapping) -> Secret | None:
        at = node.entries["file"].value
        path = self.directory / _target(node, "file")
        self.note(f"file:{path}")
        try:
            value = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if _optional(node):
                return None
            raise Unresolved(at, f"there is no file '{path}'; make it, or add `optional: true`") from None
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a NUL in it
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise Unresolved(at, f"the file '{path}' cannot be read: {reason}") from None
        if value := value.removesuffix("\n").removesuffix("\r"):
            return Secret(value)
        raise Unresolved(at, f"the file '{path}' is empty")

    def note(self, used: str) -> None:
        """Remember that this was asked for."""
        if used not in self.used:
            self.used.append(used)


def is_reference(node: Node, *forms: str) -> bool:
    """Is it a mapping of exactly one of these forms (`env`, `file`), with or without `optional`?"""
    return isinstance(node, Mapping) and any(node.entries.keys() in ({form}, {form, "optional"}) for form in forms)


def _target(node: Mapping, form: str) -> str:
    value = node.entries[form].value
    if isinstance(value, Scalar) and value.value is not None and not isinstance(value.value, bool):
        return str(value.value)
    raise Unresolved(value, f"'{form}' takes a {'variable' if form == 'env' else 'path'}, as text")


def _optional(node: Mapping) -> bool:
    entry = node.entries.get("optional")
    if entry is None:
        return False
    if isinstance(entry.value, Scalar) and isinstance(entry.value.value, bool):
        return entry.value.value
    raise Unresolved(entry.value, "'optional' is true or false")
