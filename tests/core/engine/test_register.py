"""Whose an object at a provider is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from relay.call import Call
from relay.engine.register import Register
from relay.errors import Refused, StreamBroken
from relay.exchange import Attempt, Caller, Client, Exchange
from relay.ports import Held, Objects, StateUnavailable
from relay.storage.state import LocalState
from relay.target import Target
from relay.testing.dialect import PLAIN
from relay.values.content import Content
from relay.wire.vocabulary import Created

SURFACES = {surface.name: surface for surface in PLAIN.surfaces}


class NoEngine:
    async def ask(self, exchange: Exchange, call: Call) -> Any:
        raise NotImplementedError

    def stop(self, exchange: Exchange, code: str, message: str | None) -> None:
        raise NotImplementedError


class Away(LocalState):
    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StateUnavailable

    async def set(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        raise StateUnavailable


def target(provider: str) -> Target:
    return Target(f"{provider}/m", provider, PLAIN, f"https://{provider}.test")


def exchange(
    surface: str, organisation: str | None = "acme", *, thing: str | None = None, things: Sequence[str] = ()
) -> Exchange:
    body = orjson.dumps({"model": "m", "things": list(things)}) if surface == "ask" else b""
    call = Call(
        PLAIN,
        SURFACES[surface],
        params={"thing": thing} if thing else {},
        body=Content(body),
        model="m" if body else None,
    )
    made = Exchange(call, Client("127.0.0.1"), NoEngine())
    made.caller = Caller(organisation, "key") if organisation else None
    made.targets = [target("one"), target("two")]
    return made


async def held(**things: str) -> Register:
    register = Register(LocalState())
    for thing, owner in things.items():
        organisation, _, provider = owner.partition("@")
        await register.put(thing, Held(organisation, provider, "thing"))
    return register


async def test_an_own_object_is_reached_at_the_account_that_holds_it() -> None:
    register = await held(t1="acme@two")
    asked = exchange("things.get", thing="t1")
    await register.admit(asked)

    assert ["two"] == [t.provider for t in asked.targets]


@pytest.mark.parametrize("owner", ["other@one", None])
@pytest.mark.parametrize("surface", ["things.get", "things.delete"])
async def test_an_object_of_others_is_as_if_it_did_not_exist(owner: str | None, surface: str) -> None:
    register = await held(**({"t1": owner} if owner else {}))

    with pytest.raises(Refused) as refused:
        await register.admit(exchange(surface, thing="t1"))

    assert "object_not_found" == refused.value.code


async def test_objects_in_a_body_are_checked_and_choose_among_the_targets() -> None:
    register = await held(a="acme@two", b="other@two", c="acme@one", d="acme@three")
    asked = exchange("ask", things=["a"])
    await register.admit(asked)

    assert ["two"] == [t.provider for t in asked.targets]
    for things, code in (
        (["a", "b"], "object_not_found"),
        (["a", "c"], "object_elsewhere"),
        (["d"], "object_elsewhere"),
    ):
        with pytest.raises(Refused) as refused:
            await register.admit(exchange("ask", things=things))
        assert code == refused.value.code


async def test_without_callers_there_is_one_organisation() -> None:
    register = await held(t1="@one")
    await register.admit(exchange("things.get", None, thing="t1"))

    with pytest.raises(Refused):
        await register.admit(exchange("things.get", "acme", thing="t1"))


async def test_what_is_noted_belongs_to_its_maker_and_what_is_forgotten_to_nobody() -> None:
    register = Register(LocalState())
    made = exchange("things.create")
    attempt = Attempt(made, target("one"), made.call, 1, 1)
    await register.note(attempt, Created("thing", "t9"))

    assert [Held("acme", "one", "thing")] == await register.find(["t9"])
    await register.forget("t9")
    assert [None] == await register.find(["t9"])


async def test_a_plugin_that_knows_an_object_can_say_whose_it_is() -> None:
    port: Objects = Register(LocalState())
    await port.put("t1", Held("acme", "one", "thing"))

    assert [Held("acme", "one", "thing"), None] == await port.find(["t1", "t2"])


async def test_lists_show_only_own_objects_and_pages_begin_and_end_with_them() -> None:
    register = await held(a="acme@one", b="other@one", c="acme@one")
    page = orjson.dumps(
        {"data": [{"id": "b"}, {"id": "a"}, {"id": "x"}], "first_id": "b", "last_id": "x", "has_more": True}
    )

    shown = orjson.loads(await register.only_own(exchange("things.list"), page))

    assert {"data": [{"id": "a"}], "first_id": "a", "last_id": "a", "has_more": True} == shown
    own = b'{ "data": [ {"id": "a"}, {"id": "c"} ] }'
    assert own == await register.only_own(exchange("things.list"), own)


async def test_when_the_register_cannot_be_asked_nothing_is_let_through() -> None:
    register = Register(Away())
    made = exchange("things.create")

    with pytest.raises(Refused) as refused:
        await register.admit(exchange("things.get", thing="t1"))
    with pytest.raises(StreamBroken):
        await register.note(Attempt(made, target("one"), made.call, 1, 1), Created("thing", "t9"))

    assert "not_ready" == refused.value.code
