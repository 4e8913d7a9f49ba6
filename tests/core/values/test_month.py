"""Months: of a moment, of an id, and in their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from relay.values import ids
from relay.values.month import Month, first_uuid, month_of


def test_a_month_is_that_of_utc() -> None:
    taipei = timezone(timedelta(hours=8))

    assert Month(2026, 11) == Month.of(datetime(2026, 12, 1, 7, 59, tzinfo=taipei))
    assert Month(2026, 12) == Month.of(datetime(2026, 12, 1, 8, 0, tzinfo=taipei))
    with pytest.raises(ValueError, match="without a time zone"):
        Month.of(datetime(2026, 12, 1))  # noqa: DTZ001


def test_months_are_counted_over_the_turn_of_the_year() -> None:
    november = Month(2026, 11)

    assert ["2026_11", "2027_01", "2025_12", "2028_11"] == [str(november.plus(n)) for n in (0, 2, -11, 24)]
    assert 202611 == november.number
    assert november < Month(2027, 1)
    assert november == Month.read("2026_11")


@pytest.mark.parametrize("text", ["2026_13", "2026-11", "26_11", "2026_11 "])
def test_what_is_no_month_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="month"):
        Month.read(text)


def test_an_id_keeps_its_month_to_the_millisecond() -> None:
    first = first_uuid(Month(2026, 12))
    last_of_november = UUID(int=((first.int >> 80) - 1) << 80 | 0x7FFF << 64 | 0b10 << 62 | (1 << 62) - 1)
    first_of_december = UUID(int=first.int | 0x7 << 76 | 0b10 << 62)

    assert (Month(2026, 11), Month(2026, 12)) == (month_of(last_of_november), month_of(first_of_december))
    assert last_of_november < first <= first_of_december
    assert Month.of(datetime.now(UTC)) == month_of(ids.new())


def test_an_id_without_a_time_has_no_month() -> None:
    with pytest.raises(ValueError, match="not a UUIDv7: version 4"):
        month_of(uuid4())
