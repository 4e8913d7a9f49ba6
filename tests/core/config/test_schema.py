"""The JSON schema of a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import Field

from relay import Plugin, Secret, Settings
from relay.config import CoreSettings
from relay.config.schema import schema


class Inner(Settings):
    """An account."""

    key: Secret | None = Field(default=None, description="What opens it.")


class DoorSettings(Settings):
    """How the door opens."""

    key: Secret = Field(description="What opens it.")
    wide: float = Field(default=1.0, description="How wide.")
    accounts: dict[str, Inner] = Field(default={}, description="By name.")
    odd: Callable[[], None] | None = Field(default=None, description="What JSON cannot say.")


class Door(Plugin):
    """Lets callers in."""

    name = "door"
    Settings = DoorSettings


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _walk(inner)


def test_every_reference_leads_somewhere_and_it_is_json() -> None:
    made = schema({"door": Door})

    references = {node["$ref"] for node in _walk(made) if isinstance(node.get("$ref"), str)}

    assert references
    assert all(reference.removeprefix("#/$defs/") in made["$defs"] for reference in references)
    assert made == json.loads(json.dumps(made))


def test_every_core_setting_is_described() -> None:
    made = schema({})

    described = set()
    for name, setting in made["properties"].items():
        behind = made["$defs"].get(setting.get("$ref", "").removeprefix("#/$defs/"), {})
        if setting.get("description") or behind.get("description"):
            described.add(name)

    assert {*CoreSettings.model_fields, "plugins"} == described


def test_a_secret_is_a_reference_and_a_number_may_be_one() -> None:
    made = schema({"door": Door})
    door = made["$defs"]["DoorSettings"]["properties"]

    assert [{"$ref": "#/$defs/reference.secret"}] == door["key"]["anyOf"]
    assert {"$ref": "#/$defs/reference.variable"} in door["wide"]["anyOf"]
    assert [["env"], ["file"]] == [form["required"] for form in made["$defs"]["reference.secret"]["anyOf"]]


def test_a_plugin_is_listed_by_name_with_its_settings_or_out_of_a_file() -> None:
    entries = schema({"door": Door})["properties"]["plugins"]["items"]["anyOf"]

    assert ["door"] == entries[0]["required"]
    assert "Lets callers in." == entries[0]["description"]
    assert {"enum": ["door"]} == entries[1]
    assert {"$ref": "#/$defs/plugin.file"} == entries[2]


def test_unknown_settings_are_refused_at_every_level() -> None:
    made = schema({"door": Door})

    assert made["additionalProperties"] is False
    assert made["$defs"]["DoorSettings"]["additionalProperties"] is False
