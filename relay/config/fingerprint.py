"""One short string by which nodes tell whether they run the same configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping as Dict

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from relay.values.secret import Secret


def fingerprint(parts: Iterable[tuple[str, BaseModel]]) -> str:
    """SHA-256, hexadecimal, over named settings in their order. Of a secret it covers only whether it is given."""
    plain = [[name, _plain(settings.model_dump(mode="python"))] for name, settings in parts]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """What JSON holds, the same in every process: sets have no order of their own, and mappings keep theirs."""
    if isinstance(value, Dict):
        return [[_plain(key), _plain(inner)] for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(inner) for inner in value), key=repr)
    return to_jsonable_python(value, fallback=_named)


def _named(value: object) -> str:
    # An object that JSON cannot show: its repr could hold an address of memory.
    return "<secret>" if isinstance(value, Secret) else f"<{type(value).__qualname__}>"
