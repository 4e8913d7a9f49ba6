"""The JSON schema of a whole configuration, for editors: the core's settings and those of each plugin given."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from relay.config.settings import CoreSettings
from relay.plugin import Plugin
from relay.values.secret import Secret

_ENV = {
    "type": "object",
    "description": "The value of an environment variable.",
    "properties": {
        "env": {"type": "string", "description": "The variable's name."},
        "optional": {"type": "boolean", "default": False, "description": "Whether it may be unset."},
    },
    "required": ["env"],
    "additionalProperties": False,
}
_FILE = {
    "type": "object",
    "description": "The content of a file.",
    "properties": {
        "file": {
            "type": "string",
            "description": "The file's path; a relative one starts at the configuration's folder.",
        },
        "optional": {"type": "boolean", "default": False, "description": "Whether it may be missing."},
    },
    "required": ["file"],
    "additionalProperties": False,
}
_MODE: JsonSchemaMode = "validation"
_REFERENCE = {"$ref": "#/$defs/reference.variable"}


class _Generate(GenerateJsonSchema):
    """pydantic's schema, with references where a configuration may have them."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        if schema["cls"] is Secret:
            # Within anyOf, because pydantic looks up the definition behind a reference that stands alone.
            return {"anyOf": [{"$ref": "#/$defs/reference.secret"}]}
        return {}

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return _or_variable(super().str_schema(schema))

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return _or_variable(super().float_schema(schema))

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return _or_variable(super().bool_schema(schema))

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return _or_variable(super().literal_schema(schema))

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        found.pop("propertyNames", None)  # A key is never a reference.
        return found

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        if isinstance(schema.get("default"), BaseModel):
            found.pop("default", None)  # A nested settings class shows its own.
        return found

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> JsonSchemaValue:
        return {}  # A type that JSON schema cannot say: anything, for an editor.


def schema(plugins: Dict[str, type[Plugin]]) -> dict[str, Any]:
    """The schema of configurations that may list these plugins, and any others from files (`use`)."""
    classes: list[type[BaseModel]] = [CoreSettings, *(plugin.Settings for plugin in plugins.values())]
    references, found = models_json_schema([(cls, _MODE) for cls in dict.fromkeys(classes)], schema_generator=_Generate)
    definitions = found.get("$defs", {}) | {"reference.variable": _ENV, "reference.secret": {"anyOf": [_ENV, _FILE]}}
    core = definitions.pop(references[CoreSettings, _MODE]["$ref"].rsplit("/", 1)[-1])
    entries: list[dict[str, Any]] = [
        {
            "type": "object",
            "description": _first_line(plugin),
            "properties": {name: {"anyOf": [references[plugin.Settings, _MODE], {"type": "null"}]}},
            "required": [name],
            "additionalProperties": False,
        }
        for name, plugin in plugins.items()
    ]
    entries.append({"enum": list(plugins)} if plugins else {"type": "string"})
    entries.append({"$ref": "#/$defs/plugin.file"})
    definitions["plugin.file"] = {
        "type": "object",
        "description": "A plugin in a file of its own, with its settings.",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {
            "type": "object",
            "properties": {"use": {"type": "string", "description": "File and class: `./hello.py:Hello`."}},
            "required": ["use"],
        },
    }
    listed = {
        "type": "array",
        "description": "The plugins; their order is the order of execution.",
        "items": {"anyOf": entries},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Relay",
        "description": core.get("description", ""),
        "type": "object",
        "properties": core["properties"] | {"plugins": listed},
        "required": ["plugins"],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _or_variable(found: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [found, dict(_REFERENCE)]}


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n", 1)[0]
