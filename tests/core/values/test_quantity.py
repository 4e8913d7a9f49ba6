"""Sizes and durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from relay.values.quantity import Duration, Size, shown_duration, shown_size

SIZE: TypeAdapter[int] = TypeAdapter(Size)
DURATION: TypeAdapter[float] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    "written, count",
    [(512, 512), ("512", 512), ("16KiB", 16384), ("32 MiB", 2**25), ("1GiB", 2**30), ("1.5kb", 1500), ("1_000B", 1000), ("2MB", 2 * 10**6),
     (0, 0)],
)  # fmt: skip
def test_a_size_is_a_number_of_bytes(written: object, count: int) -> None:
    assert count == SIZE.validate_python(written)


@pytest.mark.parametrize(
    "written, seconds",
    [(10, 10.0), (0.5, 0.5), ("10", 10.0), ("10s", 10.0), ("500 ms", 0.5), ("5m", 300.0), ("1.5h", 5400.0), ("2d", 172_800.0)],
)  # fmt: skip
def test_a_duration_is_a_number_of_seconds(written: object, seconds: float) -> None:
    assert seconds == DURATION.validate_python(written)


@pytest.mark.parametrize(
    "written", ["", "x", "10 parsecs", "-1s", "1e9999", "1s1s", 0, -1, None, [], "0s", float("nan"), float("inf")]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(written)


@pytest.mark.parametrize("written", ["", "x", "10 KiBit", "-1", "1..5MB", -1, None, {}, 1.5])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        SIZE.validate_python(written)


@given(st.integers(0, 2**50))
def test_a_size_that_is_shown_reads_as_the_same(count: int) -> None:
    assert count == SIZE.validate_python(shown_size(count))


@given(st.integers(1, 10**6))
def test_a_duration_that_is_shown_reads_as_the_same(tenths: int) -> None:
    assert pytest.approx(tenths / 10, rel=1e-5) == DURATION.validate_python(shown_duration(tenths / 10))
