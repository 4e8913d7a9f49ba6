"""Secrets and content have no printable form."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from relay.errors import ContentClosed
from relay.values.content import CORE, Content
from relay.values.secret import Secret

WORDS = "canary-4711"


class Nosy:
    reads_content = False


WAYS: list[Callable[[Any], Any]] = [
    str,
    lambda it: f"{it}",
    lambda it: "{}".format(it),  # noqa: UP032
    lambda it: "%s" % it,  # noqa: UP031
    json.dumps,
    orjson.dumps,
    pickle.dumps,
]


@pytest.mark.parametrize(
    "it", [Secret(WORDS), Content(WORDS), Content(WORDS.encode())], ids=["secret", "text", "bytes"]
)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_prints_serialises_or_pickles_it(it: Any, way: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as caught:
        way(it)

    assert WORDS not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("it", [Secret(WORDS), Content(WORDS)])
def test_its_repr_tells_nothing(it: Any) -> None:
    assert WORDS not in repr(it)
    assert WORDS not in repr([it, {"a": it}])


def test_copies_are_the_thing_itself() -> None:
    secret, content = Secret(WORDS), Content(WORDS)

    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": secret})["a"] is secret
    assert copy.deepcopy(content) is content


def test_secrets_are_compared_by_value_and_only_with_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")


def test_content_tells_its_size_without_being_opened() -> None:
    assert (3, 1) == (Content("abc").size, Content("abc").tokens)
    assert (6, 2) == (Content("中文").size, Content("中文").tokens)
    assert 5 == Content(b"12345").size


def test_content_opens_only_for_declared_readers() -> None:
    content = Content("words")

    assert "words" == content.text(CORE)
    assert b"words" == content.data(CORE)
    with pytest.raises(ContentClosed):
        content.text(Nosy())
    with pytest.raises(ContentClosed):
        content.data(Nosy())
