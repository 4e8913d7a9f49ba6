"""How a request steers its answer, and what fits a schema."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_simulator.ask import Ask
from relay_simulator.fault import Fault
from relay_simulator.sample import sample
from relay_simulator.script import Script, read_script, without_script
from relay_simulator.speech import compose, pieces


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello", Script()),
        ("[[sim status=429 retry_after=1]]", Script(status=429, retry_after=1)),
        ("a [[sim delay=20ms]] b [[sim pace=2s]]", Script(delay=0.02, pace=2)),
        ("[[sim cut]]", Script(cut=0)),
        ("[[sim say=cut=3 and [more] ]]", Script(say="cut=3 and [more]")),
        ("[[sim no_usage refuse]]", Script(no_usage=True, refuse=True)),
        ("[[sim\n cached=1\tno_usage ]]", Script(cached=1, no_usage=True)),
    ],
)
def test_a_directive_is_read_out_of_a_text(text: str, script: Script) -> None:
    assert script == read_script(text, "gpt-4o", {})


@pytest.mark.parametrize("text", ["nonsense", "status=abc", "delay=1h", "say", "usage", "cached", "status=-1"])
def test_a_directive_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Fault) as refused:
        read_script(f"[[sim {text}]]", "", {})

    assert 400 == refused.value.status


@pytest.mark.parametrize(
    ("model", "script"),
    [
        ("sim-status-429-retry_after-1", Script(status=429, retry_after=1)),
        ("sim-pace-20ms-events-50", Script(pace=0.02, events=50)),
        ("sim-large-refuse", Script(refuse=True)),
        ("sim-cut-3", Script(cut=3)),
        ("sim-4o", Script()),
        ("other-status-429", Script()),
    ],
)
def test_a_models_name_steers(model: str, script: Script) -> None:
    assert script == read_script("", model, {})


@given(st.text())
def test_any_text_is_a_script_or_a_refusal(text: str) -> None:
    with contextlib.suppress(Fault):
        read_script(f"[[sim {text}]]", f"sim-{text}", {})


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 40))
def test_the_pieces_of_a_text_make_the_text(text: str, count: int) -> None:
    assert text == "".join(pieces(text, None))
    assert text == "".join(pieces(text, count))
    assert count == len(pieces(text, count))


@given(st.integers(0, 5000))
def test_a_text_of_a_length_has_that_length(length: int) -> None:
    assert length == compose(Ask("", 0), Script(bytes=length)).size


def test_directives_are_not_echoed() -> None:
    assert "a  b" == without_script("a [[sim cut=3]] b [[sim say=x]]")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "words"),
        ({"type": "string", "maxLength": 3}, "wor"),
        ({"type": "string", "enum": ["a", "b"]}, "a"),
        ({"type": "string", "format": "date"}, "2025-01-02"),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "number", "exclusiveMaximum": 3}, 2.0),
        ({"type": ["null", "boolean"]}, True),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 7),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [7, 7]),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}}, 1),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, {"a": "words"}),
    ],
)
def test_a_value_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert value == sample(schema, "words")


def test_a_schema_that_contains_itself_has_an_end() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}, "required": ["child"]}

    assert "words" == sample(tree, "words")["name"]


WORDS = ["type", "items", "properties", "required", "enum", "anyOf", "allOf", "$ref", "minItems", "a"]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_a_schema_made_to_explode_is_bounded() -> None:
    wide = {"type": "object", "properties": {f"p{number}": {"$ref": "#"} for number in range(200)}}
    deep = {
        "type": "array",
        "minItems": 9999,
        "items": {"type": "array", "minItems": 9999, "items": {"type": "integer"}},
    }

    assert len(str(sample(wide, ""))) < 1_000_000
    assert len(str(sample(deep, ""))) < 1_000_000


@given(json)
def test_any_schema_has_some_value(schema: Any) -> None:
    sample(schema, "words")
