"""Who may enter, and what everybody else is told."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from relay_auth import keys

from relay import Caller, Refused
from relay.ports import PRESENTED_KEY


async def refusal(auth: Any, exchange: Any) -> Refused:
    with pytest.raises(Refused) as raised:
        await auth.on_request(exchange)
    return raised.value


async def test_a_known_key_enters_as_its_organisation_and_member(opened: Any, known: Any, exchange: Any) -> None:
    key, entry = known(member="reports", models=["gpt-*"], surfaces=["chat"])
    asking = exchange(key)

    async with opened(keys=[entry]) as auth:
        await auth.on_request(asking)

    assert Caller("acme", "key_a", "reports", ("gpt-*",), ("chat",)) == asking.caller


async def test_the_key_is_taken_off_the_exchange_whatever_comes_of_it(opened: Any, known: Any, exchange: Any) -> None:
    key, entry = known()
    entering, refused = exchange(key), exchange(keys.make())

    async with opened(keys=[entry]) as auth:
        await auth.on_request(entering)
        await refusal(auth, refused)

    assert PRESENTED_KEY not in entering.values
    assert PRESENTED_KEY not in refused.values


async def test_a_request_without_a_key_is_told_that_it_has_none(opened: Any, exchange: Any) -> None:
    async with opened() as auth:
        refused = await refusal(auth, exchange())

    assert "no_key" == refused.code
    assert "Bearer" == refused.headers["www-authenticate"]


async def test_malformed_unknown_and_disabled_keys_cannot_be_told_apart(opened: Any, known: Any, exchange: Any) -> None:
    disabled, entry = known(disabled=True)
    stranger = keys.make().open()
    presented = [
        disabled,
        stranger,
        stranger[:-1] + ("0" if stranger[-1] != "0" else "1"),
        "sk-other",
        "",
        "rk_live_ü",
        "x" * 100_000,
    ]

    async with opened(keys=[entry]) as auth:
        refusals = [await refusal(auth, exchange(key)) for key in presented]

    assert {("invalid_key", None, None, "Bearer")} == {
        (refused.code, refused.message, refused.retry_after_s, refused.headers["www-authenticate"])
        for refused in refusals
    }


async def test_a_malformed_key_is_never_hashed(opened: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(keys, "digest", lambda *seen: hashed.append(seen))

    async with opened() as auth:
        await refusal(auth, exchange("rk_live_" + "0" * 39))

    assert [] == hashed


@pytest.mark.parametrize(
    ("expires", "code"),
    [
        ("2000-01-01", "expired_key"),
        ("2000-01-01T00:00:00+08:00", "expired_key"),
        ("2999-12-31", None),
        ("2999-12-31T10:00:00Z", None),
    ],
)
async def test_a_key_is_refused_from_its_expiry_on(
    opened: Any, known: Any, exchange: Any, expires: str, code: str | None
) -> None:
    key, entry = known(expires=expires)

    async with opened(keys=[entry]) as auth:
        if code is None:
            await auth.on_request(exchange(key))
        else:
            assert code == (await refusal(auth, exchange(key))).code


@pytest.mark.parametrize(
    ("address", "enters"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("11.1.2.3", False),
        ("2001:db9::1", False),
        ("::ffff:11.1.2.3", False),
        ("", False),
        ("unix:", False),
        ("10.1.2.3, 11.0.0.1", False),
    ],
)
async def test_a_key_is_used_only_from_its_networks(
    opened: Any, known: Any, exchange: Any, address: str, enters: bool
) -> None:
    key, entry = known(networks=["10.0.0.0/8", "2001:db8::/32"])
    asking = exchange(key, address=address)

    async with opened(keys=[entry]) as auth:
        if enters:
            await auth.on_request(asking)
        else:
            assert "address_not_allowed" == (await refusal(auth, asking)).code

    assert enters is (asking.caller is not None)


async def test_a_model_outside_of_the_scope_is_refused_by_name_and_shows_no_other(
    opened: Any, known: Any, exchange: Any
) -> None:
    key, entry = known(models=["gpt-4o*", "secret-model"])

    async with opened(keys=[entry]) as auth:
        await auth.on_request(exchange(key, model="gpt-4o-mini"))
        refused = await refusal(auth, exchange(key, model="claude-x"))

    assert ("model_not_allowed", "The API key may not use the model 'claude-x'.") == (refused.code, refused.message)


async def test_a_scope_of_no_models_allows_none(opened: Any, known: Any, exchange: Any) -> None:
    key, entry = known(models=[])

    async with opened(keys=[entry]) as auth:
        assert "model_not_allowed" == (await refusal(auth, exchange(key))).code


async def test_a_made_up_model_name_cannot_break_the_message(opened: Any, known: Any, exchange: Any) -> None:
    key, entry = known(models=["a"])

    async with opened(keys=[entry]) as auth:
        refused = await refusal(auth, exchange(key, model="x\r\n\x1b[31m" + "y" * 5000))

    assert refused.message is not None
    assert refused.message.isprintable()
    assert len(refused.message) < 200


async def test_a_surface_outside_of_the_scope_is_refused(opened: Any, known: Any, exchange: Any) -> None:
    key, entry = known(surfaces=["chat", "files*"])

    async with opened(keys=[entry]) as auth:
        await auth.on_request(exchange(key, surface="files.content", model=None))
        assert "surface_not_allowed" == (await refusal(auth, exchange(key, surface="batches"))).code


async def test_a_plugins_own_call_enters_as_its_parents_caller_and_within_its_scope(
    opened: Any, known: Any, exchange: Any
) -> None:
    key, entry = known(models=["gpt-4o"])
    parent = exchange(key)

    async with opened(keys=[entry]) as auth:
        await auth.on_request(parent)
        await auth.on_request(exchange(parent=parent, model="gpt-4o"))
        refused = await refusal(auth, exchange(parent=parent, model="dear-model"))

    assert "model_not_allowed" == refused.code


async def test_a_child_of_a_parent_that_nobody_vouched_for_needs_a_key(opened: Any, exchange: Any) -> None:
    async with opened() as auth:
        assert "no_key" == (await refusal(auth, exchange(parent=exchange()))).code


async def test_every_code_is_registered(opened: Any, known: Any, exchange: Any) -> None:
    key, entry = known(models=[], surfaces=[], networks=["10.0.0.0/8"], expires="2000-01-01")

    async with opened(keys=[entry]) as auth:
        assert {
            "no_key",
            "invalid_key",
            "expired_key",
            "address_not_allowed",
            "surface_not_allowed",
            "model_not_allowed",
        } == {code.code for code in auth.errors}
        assert (await refusal(auth, exchange(key))).code in {code.code for code in auth.errors}


async def test_a_look_up_does_not_grow_with_the_number_of_keys(opened: Any, known: Any, exchange: Any) -> None:
    entries = []
    for number in range(2000):
        key, entry = known()
        entries.append({**entry, "id": f"key_{number}"})

    async with opened(keys=entries) as auth:
        exchanges = [exchange(key) for _ in range(200)]
        started = process_time()
        for asking in exchanges:
            await auth.on_request(asking)
        each_s = (process_time() - started) / 200

    assert each_s < 0.000_5  # It takes some 8 µs; a scan of 2,000 HMACs would take 2 ms.
