"""From settings to targets, lanes and a router: everything that can be made once is made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import TypeVar

from relay import Dialect, FixedCredential, RelayError, Settings, Target
from relay_routing.breaker import Breaker, BreakerPolicy
from relay_routing.faults import close_to
from relay_routing.lanes import Account, Lane, Lanes
from relay_routing.router import Choice, Model, Router
from relay_routing.settings import ProviderSettings, RoutingSettings, TargetSettings

S = TypeVar("S", bound=Settings)


def build(settings: RoutingSettings, dialects: Mapping[str, Dialect], random: Random) -> tuple[Router, Lanes]:
    """:raises RelayError: a provider speaks a dialect that is not installed."""
    accounts = {
        name: _account(name, provider, _dialect(name, provider, dialects))
        for name, provider in settings.providers.items()
    }
    models = {
        name: Model([_choice(name, target, settings, accounts) for target in targets])
        for name, targets in settings.models.items()
    }
    defaults: dict[str, Target] = {}
    for account in accounts.values():
        defaults.setdefault(account.dialect.name, account)
    defaults |= {dialect: accounts[name] for dialect, name in settings.default_provider.items()}
    router = Router(models, settings.listed, accounts, defaults, random)
    return router, _lanes(settings, random)


def _dialect(name: str, provider: ProviderSettings, dialects: Mapping[str, Dialect]) -> Dialect:
    dialect = dialects.get(provider.dialect)
    if dialect is None:
        hint = close_to(provider.dialect, dialects)
        raise RelayError(
            f"routing: the provider '{name}' speaks '{provider.dialect}', which is not installed; "
            f"installed are {', '.join(sorted(dialects)) or 'none'}" + (f"; did you mean '{hint}'?" if hint else "")
        )
    return dialect


def _account(name: str, provider: ProviderSettings, dialect: Dialect) -> Target:
    return Target(
        name=name,
        provider=name,
        dialect=dialect,
        base_url=provider.base_url,
        credential=FixedCredential(provider.key) if provider.key else None,
        headers=tuple(provider.headers.items()),
        retry=provider.retry.policy(),
        deadlines=provider.deadlines.policy(),
        allow_private=provider.allow_private,
        proxy=provider.proxy,
        ca=None if provider.ca is None else str(provider.ca),
    )


def _choice(name: str, target: TargetSettings, settings: RoutingSettings, accounts: Mapping[str, Target]) -> Choice:
    provider = settings.providers[target.provider]
    asked_decides = "*" in (target.model if target.model is not None else name)
    made = replace(
        accounts[target.provider],
        name=_target_name(name, target),
        model=None if asked_decides else target.model or name,
        headers=tuple((provider.headers | target.headers).items()),
        retry=_over(provider.retry, target.retry).policy(),
        deadlines=_over(provider.deadlines, target.deadlines).policy(),
    )
    return Choice(made, (target.model or "") if asked_decides else None, target.weight, target.fallback)


def _target_name(name: str, target: TargetSettings) -> str:
    return f"{target.provider}/{target.model or name}"


def _over(base: S, differing: S | None) -> S:
    """The base's settings, with what was written down in `differing` in their place."""
    if differing is None:
        return base
    return base.model_copy(update={name: getattr(differing, name) for name in differing.model_fields_set})


def _lanes(settings: RoutingSettings, random: Random) -> Lanes:
    breaker = settings.breaker
    policy = BreakerPolicy(breaker.failures, breaker.window, breaker.open, breaker.half_open, breaker.jitter)
    accounts = {name: Account(provider.concurrent) for name, provider in settings.providers.items()}
    lanes = {name: Lane(name, account, Breaker(policy, random)) for name, account in accounts.items()}
    for name, targets in settings.models.items():
        for target in targets:
            lane_name = _target_name(name, target)
            lane = lanes.setdefault(lane_name, Lane(lane_name, accounts[target.provider], Breaker(policy, random)))
            # Two names may lead to one target: the narrower limit holds for both.
            limits = [limit for limit in (lane.limit, target.concurrent) if limit is not None]
            lane.limit = min(limits, default=None)
    return Lanes(lanes.values())
