"""Whose an object at a provider is: noted when it passes, asked before anybody follows up on it.

An object that is not in the register belongs to nobody here, and is answered as if it did not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import orjson

from relay.call import Call
from relay.errors import Refused, StreamBroken
from relay.exchange import Attempt, Exchange
from relay.ports import Held, SharedState, StateUnavailable, Targets
from relay.values.content import CORE
from relay.wire.dialect import MarksIds
from relay.wire.framing import has_mark
from relay.wire.vocabulary import Created

TTL_S = 400 * 24 * 3600.0
"""Longer than any provider keeps an object that it deletes by itself."""


class Register:
    """The register of objects, in the shared state. (It implements `ports.Objects`.)"""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self.targets: Targets | None = None
        self._marked: dict[str, MarksIds | Literal[False]] = {}

    async def put(self, id: str, held: Held) -> None:
        """:raises StateUnavailable:"""
        await self._state.set(_key(id), orjson.dumps([held.organisation, held.provider, held.kind]), ttl_s=TTL_S)

    async def find(self, ids: Sequence[str]) -> list[Held | None]:
        """:raises StateUnavailable:"""
        values = await self._state.get_many([_key(id) for id in ids])
        return [Held(*orjson.loads(value)) if value is not None else None for value in values]

    async def forget(self, id: str) -> None:
        """:raises StateUnavailable:"""
        await self._state.delete(_key(id))

    async def admit(self, exchange: Exchange) -> None:
        """Check every object that a request names, and send the request to the account that holds them.

        :raises Refused: `object_not_found`, `object_elsewhere`, or `not_ready` when the register cannot be asked.
        """
        call = exchange.call
        ids = [call.params[name] for name in call.surface.objects]
        named = self._named(call) if call.surface.body == "json" else ()
        if not ids and not named:
            return
        try:
            held = await self.find([*ids, *named])
        except StateUnavailable:
            raise Refused("not_ready", retry_after_s=1) from None
        organisation = organisation_of(exchange)
        owned = [each for each in held if each is not None and each.organisation == organisation]
        if len(owned) < len(held):
            raise Refused("object_not_found")
        provider = owned[0].provider
        if any(each.provider != provider for each in owned):
            raise Refused("object_elsewhere", "The named objects are held by different provider accounts.")
        if call.surface.model == "none":
            chosen = [target for target in exchange.targets if target.provider == provider]
            target = self.targets.named(provider) if self.targets is not None else next(iter(chosen), None)
            exchange.targets = [target] if target is not None else []
            if target is None:
                raise Refused("object_not_found")
            return
        exchange.targets = [target for target in exchange.targets if target.provider == provider]
        if not exchange.targets:
            raise Refused("object_elsewhere")

    def _named(self, call: Call) -> Sequence[str]:
        """The ids in a body, which is searched only if one may stand there: an escape could hide anything."""
        dialect = self._marked.get(call.dialect.name)
        if dialect is None:
            dialect = self._marked[call.dialect.name] = call.dialect if isinstance(call.dialect, MarksIds) else False
        if dialect:
            body = call.body.data(CORE)
            if body.find(b"\\u") < 0 and not has_mark(body, dialect.id_marks):
                return ()
        return call.dialect.references(call.surface, call.document(CORE))

    async def note(self, attempt: Attempt, made: Created) -> None:
        """Before the client learns of an object, note whose it is. :raises StreamBroken: that was not possible."""
        held = Held(organisation_of(attempt.exchange), attempt.target.provider, made.kind)
        try:
            await self.put(made.id, held)
        except StateUnavailable:
            raise StreamBroken("not_ready") from None

    async def only_own(self, exchange: Exchange, body: bytes) -> bytes:
        """A list answer without the objects of others. :raises Refused: `upstream_invalid`, `not_ready`"""
        call = exchange.call
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Refused("upstream_invalid") from None
        items = call.dialect.list_items(call.surface, document)
        if not items:
            return body
        try:
            held = await self.find([id for id, _ in items])
        except StateUnavailable:
            raise Refused("not_ready", retry_after_s=1) from None
        organisation = organisation_of(exchange)
        own = [entry is not None and entry.organisation == organisation for entry in held]
        if all(own):
            return body
        for (_, path), keep in reversed(list(zip(items, own, strict=True))):
            if not keep:
                _remove(document, path)
        kept = [id for (id, _), keep in zip(items, own, strict=True) if keep]
        gone = {id for (id, _), keep in zip(items, own, strict=True) if not keep}
        if isinstance(document, dict):
            # Where a page begins and ends is told by ids, too.
            for name, value in list(document.items()):
                if isinstance(value, str) and value in gone:
                    document[name] = (kept[0] if "first" in name else kept[-1]) if kept else None
        return orjson.dumps(document)


def organisation_of(exchange: Exchange) -> str:
    """The organisation that a caller's objects belong to; without callers there is one, which has no name."""
    return exchange.caller.organisation if exchange.caller is not None else ""


def _key(id: str) -> str:
    return "object:" + id


def _remove(document: Any, path: tuple[str | int, ...]) -> None:
    for step in path[:-1]:
        document = document[step]
    del document[path[-1]]
