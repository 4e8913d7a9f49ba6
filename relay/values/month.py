"""Calendar months in UTC: what tables that grow are divided by, and which month an id belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self
from uuid import UUID

from relay.values.clock import now

_SHOWN = re.compile(r"(\d{4})_(\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month. `str(month)` is `2026_11`, `month.number` 202611. :raises ValueError: there is no such month."""

    year: int
    month: int

    def __post_init__(self) -> None:
        date(self.year, self.month, 1)

    @classmethod
    def now(cls) -> Self:
        """The month it is."""
        return cls.of(now())

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """The month of a moment, in UTC. :raises ValueError: without a zone."""
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone")
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def read(cls, text: str) -> Self:
        """The month behind `2026_11`. :raises ValueError: it is none."""
        found = _SHOWN.fullmatch(text)
        if found is None:
            raise ValueError(f"not a month of the form 2026_11: {text!r}")
        return cls(int(found[1]), int(found[2]))

    def plus(self, months: int) -> Month:
        """The month so many months later."""
        years, month = divmod(self.month - 1 + months, 12)
        return Month(self.year + years, month + 1)

    @property
    def begins(self) -> datetime:
        """Its first moment, UTC."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def number(self) -> int:
        """As a number that sorts: 202611."""
        return self.year * 100 + self.month

    def __str__(self) -> str:
        return f"{self.year:04}_{self.month:02}"


def month_of(uuid: UUID) -> Month:
    """The month in which a UUIDv7 was made: it never changes, whatever clock looks at it. :raises ValueError: it is no UUIDv7."""
    if uuid.version != 7:
        raise ValueError(f"not a UUIDv7: version {uuid.version}")
    return Month.of(datetime.fromtimestamp((uuid.int >> 80) / 1000, UTC))


def first_uuid(month: Month) -> UUID:
    """The smallest UUIDv7 that can be made in a month: the border between its ids and those of the month before."""
    milliseconds = round(month.begins.timestamp() * 1000)
    return UUID(int=milliseconds << 80)
