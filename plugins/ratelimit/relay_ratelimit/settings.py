"""The settings of `ratelimit`: how much of what, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from relay import Settings

Dimension = Literal["key", "member", "organisation", "model"]


class Amounts(Settings):
    """How much there may be of what."""

    requests_per_minute: int | None = Field(
        default=None, ge=1, le=10**9, description="Requests that are let in per minute, whatever becomes of them."
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=10**12,
        description="Tokens per minute, in and out: estimated when a request comes in, corrected by the provider's figures at its end.",
    )
    tokens_per_day: int | None = Field(default=None, ge=1, le=10**12, description="Tokens per 24 hours, likewise.")
    concurrent: int | None = Field(default=None, ge=1, le=10**6, description="Requests that run at the same time.")


class Limit(Amounts):
    """One limit more, for its own circle of callers."""

    per: tuple[Dimension, ...] = Field(
        description="Whose requests are counted together: any of `key`, `member`, `organisation`, `model`; with several, each "
        "combination counts for itself; `[]`: all together. What lacks one of them (a key without a member) is not limited."
    )
    only: Mapping[Dimension, str] = Field(
        default={},
        description="Limits only those whose `key`, `member`, `organisation` or `model` fits a pattern with `*`.",
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not any(getattr(self, name) for name in Amounts.model_fields):
            raise ValueError(f"found no amount, expected at least one of {', '.join(Amounts.model_fields)}")
        return self


class RatelimitSettings(Amounts):
    """Amounts on top hold for each key; further limits in `limits`."""

    limits: tuple[Limit, ...] = Field(default=(), description="Further limits; a request must be within all of them.")
    without_state: Literal["divide", "refuse"] = Field(
        default="divide",
        description="When the shared state does not answer: `divide` lets each process give out its part of every limit, `refuse` "
        "refuses all requests that have a limit.",
    )
    processes: int | None = Field(
        default=None,
        ge=1,
        validate_default=True,
        description="Processes that serve in all, by which limits are divided; left out: the `workers` of this host.",
    )

    @field_validator("processes")
    @classmethod
    def _of_this_host(cls, processes: int | None, info: ValidationInfo) -> int:
        return processes or int((info.context or {}).get("workers", 1))

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen = set()
        for limit in self.limits:
            scope = frozenset(limit.per), frozenset(limit.only.items())
            if scope in seen:
                raise ValueError(
                    f"found two limits per {list(limit.per)} with the same 'only', expected one with all amounts"
                )
            seen.add(scope)
        return self
