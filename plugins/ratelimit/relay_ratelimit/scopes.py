"""Which limits a request meets: from the settings, and from who asks for what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b

from relay import Exchange
from relay_ratelimit.limit import Ask
from relay_ratelimit.settings import Amounts, Dimension, Limit, RatelimitSettings

MINUTE_S, DAY_S = 60, 86_400
_WORDS: Mapping[Dimension, str] = {
    "key": "this API key",
    "member": "this member",
    "organisation": "this organisation",
    "model": "this model",
}


class Scope:
    """One limit of the settings."""

    def __init__(self, amounts: Amounts, per: Iterable[Dimension], only: Mapping[Dimension, str]) -> None:
        self._amounts = amounts
        self._per = tuple(sorted(set(per)))
        self._only = only
        # A limit keeps its counts over a reload: they belong to whom it limits, not to how much or to its place in the list.
        self._name = f"{self._per} {sorted(only.items())}"
        self._whose = " and ".join(_WORDS[each] for each in _WORDS if each in self._per) or "all callers together"

    def asks(self, exchange: Exchange, here: Mapping[Dimension, str | None], tag: str) -> Iterator[Ask]:
        """What a request meets of it: nothing, where it is not meant."""
        for dimension, pattern in self._only.items():
            value = here[dimension]
            if value is None or not fnmatchcase(value, pattern):
                return
        values = [here[dimension] for dimension in self._per]
        if None in values:
            return
        # Members and keys are names within their organisation.
        owner = here["organisation"] if {"key", "member"} & set(self._per) else None
        digest = blake2b(repr((self._name, owner, values)).encode(), digest_size=12).hexdigest()
        yield from self._amounted(exchange, f"ratelimit:{{{tag}}}:{digest}:")

    def _amounted(self, exchange: Exchange, key: str) -> Iterator[Ask]:
        amounts, call = self._amounts, exchange.call
        if (limit := amounts.requests_per_minute) is not None:
            yield Ask(key + "rpm", "requests", limit, MINUTE_S, whose=self._whose)
        if call.surface.generates:
            # What is no text (an upload, a picture in a form) is counted when the provider has told.
            tokens = max(1, call.body.tokens) if call.surface.body == "json" else 1
            for limit, window_s, name in (
                (amounts.tokens_per_minute, MINUTE_S, "tpm"),
                (amounts.tokens_per_day, DAY_S, "tpd"),
            ):
                if limit is not None:
                    # A request larger than its limit is let in when nothing else is: else it would never be.
                    yield Ask(key + name, "tokens", limit, window_s, min(tokens, limit), whose=self._whose)
        # What a plugin asks for on behalf of a request runs in that request's slot: or it would wait for itself.
        if (limit := amounts.concurrent) is not None and exchange.parent is None:
            yield Ask(key + "now", "requests at once", limit, whose=self._whose)


class Scopes:
    """All limits of the settings."""

    def __init__(self, settings: RatelimitSettings) -> None:
        self._scopes = [Scope(settings, ("key",), {}), *(Scope(each, each.per, each.only) for each in settings.limits)]
        self._is_by_organisation = all(_is_of_one_organisation(limit) for limit in settings.limits)

    def of(self, exchange: Exchange) -> list[Ask]:
        """The limits a request meets, in the order of the settings. Without `auth` everybody is one caller."""
        caller = exchange.caller
        organisation = caller.organisation if caller else ""
        here: dict[Dimension, str | None] = {
            "key": caller.key if caller else "",
            "member": caller.member if caller else None,
            "organisation": organisation,
            "model": exchange.call.model,
        }
        # Redis Cluster runs a script on one node, so a request's counts must lie together: with those of its organisation if they can.
        whole = blake2b(organisation.encode(), digest_size=8).hexdigest() if self._is_by_organisation else "all"
        return [ask for scope in self._scopes for ask in scope.asks(exchange, here, whole)]


def _is_of_one_organisation(limit: Limit) -> bool:
    return bool({"key", "member", "organisation"} & set(limit.per))
