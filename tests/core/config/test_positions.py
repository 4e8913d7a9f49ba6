"""YAML with positions: what scalars mean, what is refused, and that nothing ends the process."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.positions import DEPTH, NODES, Entry, Mapping, Problems, Scalar, Sequence, plain, read


def _read(text: str) -> tuple[Any, list[str]]:
    problems = Problems("x.yaml")
    node = read(text, problems)
    found = [f"{problem.line}:{problem.column}: {problem.message}" for problem in problems.found]
    return (plain(node) if node is not None else None), found


@pytest.mark.parametrize(
    "text, value",
    [
        ("yes", "yes"),
        ("NO", "NO"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("0755", "0755"),
        ("2026-01-31", "2026-01-31"),
        ("1__0", "1__0"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("7", 7),
        ("-7", -7),
        ("2_000_000", 2_000_000),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, "9" * 5000),
        ("'7'", "7"),
        ('"true"', "true"),
        ("!!str 7", "7"),
        ("! 7", "7"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    read_value, problems = _read(f"a: {text}")

    assert [] == problems
    assert {"a": value} == read_value
    assert type(value) is type(read_value["a"])


def test_keys_are_text_as_written() -> None:
    value, problems = _read("on: 1\n4: 2\ntrue: 3\n1.0: 4\n")

    assert [] == problems
    assert {"on": 1, "4": 2, "true": 3, "1.0": 4} == value


def test_everything_knows_its_place_counted_in_characters() -> None:
    problems = Problems("x")

    node = read("漢: [é, {b: 2}]\n", problems)

    inner = Mapping({"b": Entry("b", Scalar(2, 1, 12), 1, 9)}, 1, 8)
    assert Mapping({"漢": Entry("漢", Sequence([Scalar("é", 1, 5), inner], 1, 4), 1, 1)}, 1, 1) == node


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert ({}, []) == _read(text)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: 'a' is given twice (first in line 1)"),
        ("a: {b: 1, b: 2}", "1:11: 'b' is given twice (first in line 1)"),
        ("? [x]\n: 1\nb: 2", "1:3: a key must be plain text"),
        ("a: !secret 1", "1:4: the tag '!secret' is not known here; leave it out"),
        ("a: !!python/object:os.system {}", "1:4: the tag 'tag:yaml.org,2002:python/object:os.system' is not known here; leave it out"),
        ("a: *b", "1:4: the alias '*b' refers to nothing above it"),
        ("a: &a [*a]", "1:8: the alias '*a' refers to what it stands in"),
        ("<<: 1", "1:1: '<<' takes a mapping, or a list of mappings"),
        ("a: 1\n---\nb: 2", "2:1: a second document begins here; a configuration is one document"),
        ("a: 1\n b: 2", "2:3: this is not YAML: mapping values are not allowed in this context"),
        ("a: [1,\n", "2:1: this is not YAML: did not find expected node content"),
        ("\ta: 1", "1:1: this is not YAML: found character that cannot start any token"),
        ("a: 1\nb: é\x07", "2:5: this is not YAML: a control character stands here"),
        ("a: 1\nb: \ud800", "2:4: this is not YAML: half a character stands here"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, problem: str) -> None:
    _, problems = _read(text)

    assert [problem] == problems


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_deep_nesting_ends_with_a_problem_and_not_the_process(opening: str) -> None:
    value, problems = _read(opening * 100_000)

    assert value is None
    assert [f"this is nested more than {DEPTH} levels deep"] == [problem.split(": ", 1)[1] for problem in problems]


def test_aliases_cannot_multiply_without_a_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]

    value, problems = _read("\n".join(lines))

    assert value is None
    assert 1 == len(problems)
    assert f"more than {NODES} values" in problems[0]


def test_an_alias_repeats_what_its_anchor_holds() -> None:
    value, problems = _read("a: &x {k: [1]}\nb: *x\nc: [*x, *x]\n")

    assert [] == problems
    assert {"a": {"k": [1]}, "b": {"k": [1]}, "c": [{"k": [1]}, {"k": [1]}]} == value


def test_in_a_merge_the_mapping_itself_wins_then_the_first_merged() -> None:
    value, problems = _read("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  a: 0\n  <<: [*x, *y]\n")

    assert [] == problems
    assert {"a": 0, "b": 1, "c": 2} == value["z"]


def test_a_quoted_double_less_than_is_a_key() -> None:
    assert ({"<<": 1}, []) == _read('"<<": 1')


def test_several_mistakes_are_told_together() -> None:
    _, problems = _read("a: 1\na: 2\nb: *c\nd: !x 1\n")

    assert ["2:1", "3:4", "4:4"] == [problem.split(": ")[0] for problem in problems]


@given(
    st.text(alphabet=st.sampled_from("ab:-?[]{}&*!<|>'\"#%@`,~ \t\n\r\x00\x85\u2028漢\ud800019._") | st.characters())
)
def test_any_text_is_a_tree_or_problems(text: str) -> None:
    problems = Problems("x")

    node = read(text, problems)

    assert node is not None or problems.found
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems.found)
