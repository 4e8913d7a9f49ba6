from __future__ import annotations

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.testing.strategies import documents, json_sources, keys, texts
from relay.wire import lens
from relay.wire.lens import DuplicateKey, Path


def paths_of(document: Any, here: Path = ()) -> list[Path]:
    inside: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        inside = list(document.items())
    elif isinstance(document, list):
        inside = list(enumerate(document))
    return [here, *(path for step, value in inside for path in paths_of(value, (*here, step)))]


def value_at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def changed_at(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = changed_at(document[path[0]], path[1:], value)
    return copy


@given(json_sources())
def test_a_span_holds_the_source_of_the_value_at_its_path(source: bytes) -> None:
    document = orjson.loads(source)
    wanted = paths_of(document)

    found = lens.spans(source, wanted)

    assert set(wanted) == set(found)
    for path, (start, end) in found.items():
        assert value_at(document, path) == orjson.loads(source[start:end])
        assert source[start:end] == source[start:end].strip()


@given(st.data(), json_sources())
def test_each_path_is_found_whichever_others_are_wanted(data: st.DataObject, source: bytes) -> None:
    every = lens.spans(source, paths_of(orjson.loads(source)))
    wanted = data.draw(st.lists(st.sampled_from(list(every)), max_size=3, unique=True))

    found = lens.spans(source, [*wanted, ("nowhere", 7), (1_000,)])

    assert {path: every[path] for path in wanted} == found


@given(st.data(), json_sources(), st.one_of(documents(3), texts()))
def test_a_replaced_value_changes_that_value_and_no_other_byte(data: st.DataObject, source: bytes, value: Any) -> None:
    document = orjson.loads(source)
    path = data.draw(st.sampled_from(paths_of(document)))
    start, end = lens.spans(source, [path])[path]

    changed = lens.replace(source, {path: orjson.dumps(value)})

    assert changed_at(document, path, value) == orjson.loads(changed)
    assert source[:start] == changed[:start]
    assert source[end:] == changed[len(changed) - (len(source) - end) :]


@given(json_sources())
def test_values_replaced_by_their_own_source_leave_every_byte(source: bytes) -> None:
    leaves = [
        path for path, (a, b) in lens.spans(source, paths_of(orjson.loads(source))).items() if source[a] not in b"{["
    ]

    changed = lens.replace(source, {path: source[slice(*lens.spans(source, [path])[path])] for path in leaves})

    assert source == changed


def test_several_values_are_replaced_at_once() -> None:
    source = b'{ "a" : "x", "list":[1, {"b":null}],"z":1.50 }'

    changed = lens.replace(source, {("list", 1, "b"): b"[true]", ("a",): b'"long \\u00e9"', ("list", 0): b"2"})

    assert b'{ "a" : "long \\u00e9", "list":[2, {"b":[true]}],"z":1.50 }' == changed


def test_paths_within_each_other_cannot_be_replaced_together() -> None:
    with pytest.raises(ValueError, match="within another"):
        lens.replace(b'{"a":{"b":1}}', {("a",): b"1", ("a", "b"): b"2"})


def test_a_replacement_that_has_no_place_is_not_silently_dropped() -> None:
    with pytest.raises(ValueError, match="1 of 2 paths"):
        lens.replace(b'{"a":1}', {("a",): b"2", ("b",): b"2"})


@pytest.mark.parametrize(
    "source, wanted, at",
    [
        (b'{"a":1,"a":2}', ("a",), ("a",)),
        (b'{"a":1,"\\u0061":2}', ("a",), ("a",)),
        (b'{"a":1,"a":{"b":2}}', ("a", "b"), ("a",)),
        (b'{"l":[{"a":1},{"a":1,"x":[],"a":2}]}', ("l", 1, "a"), ("l", 1, "a")),
    ],
)
def test_a_wanted_member_that_stands_twice_is_found(source: bytes, wanted: Path, at: Path) -> None:
    with pytest.raises(DuplicateKey) as found:
        lens.spans(source, [wanted])

    assert at == found.value.path


@pytest.mark.parametrize(
    "source", [b'{"x":1,"x":2,"a":3}', b'{"o":{"a":1,"a":2},"a":3}', b'{"l":[{"a":1},{"a":2}],"a":3}']
)
def test_a_member_that_nobody_wants_may_stand_twice(source: bytes) -> None:
    start, end = lens.spans(source, [("a",)])[("a",)]

    assert b"3" == source[start:end]


@pytest.mark.parametrize("backslashes", range(12))
def test_a_string_ends_where_its_backslashes_say(backslashes: int) -> None:
    text = "\\" * backslashes
    source = b'{"t":' + orjson.dumps([text, text + '"', text + '"}],{"u":0' + text]) + b',"u":1}'

    found = lens.spans(source, [("u",), ("t", 1)])

    assert b"1" == source[slice(*found[("u",)])]
    assert text + '"' == orjson.loads(source[slice(*found[("t", 1)])])


def test_depth_costs_no_recursion() -> None:
    deep = b'{"a":[' * 10_000 + b'"]"' + b"]}" * 10_000
    path: Path = ("a", 0) * 10_000
    source = b'{"skipped":' + deep + b',"b":' + deep + b',"c":1}'

    found = lens.spans(source, [("c",), ("b", *path)])

    assert b"1" == source[slice(*found[("c",)])]
    assert b'"]"' == source[slice(*found[("b", *path)])]


GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.text('{}[]":,\\ a1\n', max_size=40).map(str.encode),
    st.tuples(json_sources(), st.integers(0, 200)).map(lambda cut: cut[0][: cut[1]]),
)


@given(GARBAGE, st.lists(st.lists(st.one_of(keys(), st.integers(0, 3)), max_size=3).map(tuple), max_size=3))
def test_garbage_is_answered_or_refused(garbage: bytes, wanted: list[Path]) -> None:
    try:
        found = lens.spans(garbage, wanted)
    except ValueError:
        return

    assert all(0 <= start <= end <= len(garbage) for start, end in found.values())


@pytest.mark.parametrize(
    "unit", [b"[", b'{"a":', b'"', b'\\"', b'"\\', b'{"', b'["a",', b"[]", b'[""', b"\\", b",", b" "]
)
def test_garbage_takes_no_longer_than_its_size_allows(unit: bytes) -> None:
    garbage = b'{"x":' + unit * (400_000 // len(unit))
    started = time.perf_counter()

    with pytest.raises(ValueError):
        lens.spans(garbage, [("a", "a", 3)])

    assert time.perf_counter() - started < 5


@given(texts())
def test_a_string_is_written_as_it_is_read(text: str) -> None:
    assert text == orjson.loads(lens.string(text))


def test_a_lone_surrogate_is_escaped() -> None:
    assert b'"\\ud83d x"' == lens.string("\ud83d x")


@given(st.dictionaries(keys(), documents(6), max_size=4), texts(), st.booleans(), st.booleans())
@example({"a": '\\"model"', "b": {"model": "x"}}, "x", False, False)
def test_the_top_level_string_is_the_one_the_parser_found(
    rest: dict[str, Any], value: str, first: bool, ascii: bool
) -> None:
    document = {"model": value, **rest, "model": value} if first else {**rest, "model": value}  # noqa: F601
    source = json.dumps(document, ensure_ascii=ascii).encode()

    start, end = lens.top_level_string(source, "model", value)

    assert lens.spans(source, [("model",)])[("model",)] == (start, end)
    assert value == orjson.loads(source[start:end])


@pytest.mark.parametrize(
    "source",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"b","x":[{"y":1}],"mod\\u0065l":"a"}',
        b'{"mod\\u0065l":"b","model":"a"}',
        b'{"\\u006Dodel":"b","\\u006dodel":"a"}',
        b'{"model":{"model":"a"},"model":"a"}',
        b'{"x":"\\"model\\"","model":"a" , "model" : "a"}',
    ],
)
def test_a_top_level_string_that_stands_twice_is_refused(source: bytes) -> None:
    with pytest.raises(DuplicateKey):
        lens.top_level_string(source, "model", orjson.loads(source)["model"])


@pytest.mark.parametrize(
    "source",
    [
        b'{"model":"a"}',
        b'{"model" :\n"a"}',
        b'{"role":"model","model":"a","more":"mod\\u0065l"}',
        b'{"x":{"model":"b"},"model":"a"}',
        b'{"mod\\u0065l":"\\u0061"}',
        b'{"x":"\\"model","model":"a"}',
    ],
)
def test_a_top_level_string_is_found_among_its_likes(source: bytes) -> None:
    start, end = lens.top_level_string(source, "model", "a")

    assert "a" == orjson.loads(source[start:end])


@pytest.mark.parametrize("key", ['q"', "b\\", "a/b", "ключ", "", "x y"])
def test_any_key_can_name_a_top_level_string(key: str) -> None:
    source = json.dumps({"z": 1, key: "v"}).encode()

    start, end = lens.top_level_string(source, key, "v")

    assert b'"v"' == source[start:end]


@pytest.mark.parametrize("source", [b"{}", b'{"model":1}', b'["model"]', b'{"x":{"model":"a"}}', b"", b'{"model":'])
def test_a_top_level_string_that_is_not_there_is_an_error(source: bytes) -> None:
    with pytest.raises(ValueError):
        lens.top_level_string(source, "model", "b")


def test_the_source_of_a_value_is_given_to_the_letter() -> None:
    data = b'{"a": [{"args": {"n": 12345678901234567890123, "x": 1.10}}]}'

    assert b'{"n": 12345678901234567890123, "x": 1.10}' == lens.source(data, ("a", 0, "args"))
    with pytest.raises(ValueError, match="nowhere"):
        lens.source(data, ("b",))


def test_an_object_with_a_member_twice_is_refused_wherever_it_stands() -> None:
    lens.refuse_doubles(b'{"a": [{"b": 1}, {"b": 2}], "c": {"a": 1}}')
    for doubled in (b'{"a": 1, "a": 1}', b'{"a": [{"b": 1, "\\u0062": 2}]}'):
        with pytest.raises(lens.DuplicateKey):
            lens.refuse_doubles(doubled)
