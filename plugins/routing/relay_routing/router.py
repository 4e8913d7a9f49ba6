"""Choosing targets: made once from the configuration, then only looked up and shuffled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from random import Random

from relay import Caller, Code, Dialect, Exchange, ModelEntry, Refused, Target
from relay_routing.names import Names

CODES = (
    Code("unknown_model", 404, "There is no such model here."),
    Code("dialect_not_offered", 400, "This model is not offered through this API."),
    Code("target_busy", 503, "As many requests as allowed are under way at the provider."),
    Code("target_open", 503, "The provider has been failing and is left alone for a moment."),
)
_MADE_LIMIT = 1024  # Targets kept for names that clients made up and a pattern matched.


@dataclass(slots=True)
class Choice:
    """One target of a model. Where the name upstream depends on what the client asked for, a target is made for each name."""

    target: Target
    upstream: str | None = None
    """A template with `*`; "": the name the client asked for; None: the target's own model."""
    weight: float = 1.0
    fallback: int = 0
    _made: dict[str, Target] = field(default_factory=dict)

    def at(self, asked: str, matched: str | None) -> Target:
        """The target for a name. Its own name stays the configuration's: breakers and metrics go by it."""
        if self.upstream is None:
            return self.target
        model = asked if not self.upstream else self.upstream.replace("*", matched or "", 1)
        made = self._made.get(model)
        if made is None:
            if len(self._made) >= _MADE_LIMIT:
                self._made.clear()
            made = self._made[model] = replace(self.target, model=model)
        return made


class Model:
    """What stands under one name or pattern: its targets by dialect, in levels."""

    __slots__ = ("levels",)

    def __init__(self, choices: Iterable[Choice]) -> None:
        self.levels: dict[str, list[list[Choice]]] = {}
        for choice in sorted(choices, key=lambda choice: choice.fallback):
            levels = self.levels.setdefault(choice.target.dialect.name, [])
            if not levels or levels[-1][0].fallback != choice.fallback:
                levels.append([])
            levels[-1].append(choice)


class Router:
    """The ports `Models` and `Targets`, and the choice of targets for an exchange.

    :param models: by name or pattern.
    :param listed: further names to show, which patterns match.
    :param accounts: provider → its target without a model.
    :param defaults: dialect → the target for requests without a model.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        listed: Sequence[str],
        accounts: Mapping[str, Target],
        defaults: Mapping[str, Target],
        random: Random,
    ) -> None:
        self._names = Names(models)
        self._accounts = accounts
        self._defaults = defaults
        self._random = random
        shown = dict.fromkeys([*(name for name in models if "*" not in name), *listed])
        self._entries = tuple(ModelEntry(name) for name in shown)
        self._spoken: dict[str, list[ModelEntry]] = {}
        for entry in self._entries:
            found = self._names.find(entry.id)
            for dialect in found.it.levels if found is not None else ():
                self._spoken.setdefault(dialect, []).append(entry)

    def offered(self, caller: Caller | None, dialect: str | None = None) -> Sequence[ModelEntry]:
        entries = self._entries if dialect is None else self._spoken.get(dialect, ())
        if caller is None or caller.models is None:
            return entries
        return [entry for entry in entries if caller.may_use(entry.id)]

    def named(self, name: str) -> Target | None:
        return self._accounts.get(name)

    def route(self, exchange: Exchange) -> None:
        """Set the exchange's targets, the first to be tried first. Those that somebody has set already stay.

        :raises Refused: `unknown_model`, `dialect_not_offered`
        """
        call = exchange.call
        if exchange.targets or call.surface.models is not None:
            return
        if call.model is None:
            exchange.targets = [self._default(call.dialect)]
            return
        found = self._names.find(call.model)
        if found is None:
            raise Refused("unknown_model", self._unknown(call.model, call.dialect, exchange.caller))
        levels = found.it.levels.get(call.dialect.name)
        if levels is None:
            others = " or ".join(sorted(found.it.levels))
            raise Refused(
                "dialect_not_offered",
                f"The model {call.model[:100]!r} is offered through the {others} API, not through the {call.dialect.name} API.",
            )
        exchange.targets = [
            choice.at(call.model, found.matched) for level in levels for choice in self._shuffled(level)
        ]

    def _shuffled(self, level: list[Choice]) -> list[Choice]:
        """A random order in which each is first with the probability of its weight (exponential clocks)."""
        if len(level) == 1:
            return level
        return sorted(level, key=lambda choice: self._random.expovariate(choice.weight))

    def _default(self, dialect: Dialect) -> Target:
        target = self._defaults.get(dialect.name)
        if target is None:
            raise Refused("dialect_not_offered", f"No provider here speaks the {dialect.name} API.")
        return target

    def _unknown(self, model: str, dialect: Dialect, caller: Caller | None) -> str:
        asked = model[:100]
        usable = [
            entry.id
            for entry in self.offered(caller)
            if (found := self._names.find(entry.id)) is not None and dialect.name in found.it.levels
        ]
        nearest = [repr(name) for name in get_close_matches(asked, usable, n=3, cutoff=0.5)]
        message = f"There is no model {asked!r} here."
        if not nearest:
            return message
        *first, last = nearest
        return f"{message} Did you mean {', '.join(first) + ' or ' if first else ''}{last}?"
