"""Ids."""

from __future__ import annotations

from time import time_ns
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.values import ids


def test_ids_only_grow_within_a_process() -> None:
    made = [ids.new() for _ in range(10_000)]

    assert sorted(made) == made
    assert len(set(made)) == len(made)


def test_an_id_is_a_uuid_of_version_7_and_tells_its_time() -> None:
    before = time_ns() // 1_000_000
    made = ids.new()

    assert 7 == made.version
    assert "specified in RFC 4122" == made.variant
    assert before <= made.int >> 80 <= before + 5_000


@given(st.integers(0, 2**128 - 1))
def test_what_is_shown_can_be_read(number: int) -> None:
    uuid = UUID(int=number)

    assert uuid == ids.read("exc", ids.show("exc", uuid))
    assert 36 == len(ids.show("exc", uuid))


def test_shown_ids_stand_in_the_order_of_time() -> None:
    made = [ids.shown("exc") for _ in range(1000)]

    assert sorted(made) == made


@pytest.mark.parametrize(
    "text", ["", "exc_", "key_" + "0" * 32, "exc_019", "exc_" + "g" * 32, "exc_" + "A" * 32, "exc_" + "0" * 33]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id of the form exc_"):
        ids.read("exc", text)
