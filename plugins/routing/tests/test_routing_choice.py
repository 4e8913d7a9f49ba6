"""Which targets an exchange gets, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_routing.names import Names

from relay import Refused
from relay.ports import Models, Targets

PROVIDERS = {
    "one": {"dialect": "blue", "base_url": "https://one.example/v1/"},
    "two": {"dialect": "blue", "base_url": "https://two.example"},
    "three": {"dialect": "green", "base_url": "https://three.example"},
}


def settings(models: Any = None, **rest: Any) -> dict[str, Any]:
    return {"providers": PROVIDERS, "models": models or {}, **rest}


async def routed(routing: Any, exchange: Any) -> list[str]:
    await routing.on_request(exchange)
    return [target.name for target in exchange.targets]


async def refused(routing: Any, exchange: Any) -> Refused:
    with pytest.raises(Refused) as raised:
        await routing.on_request(exchange)
    return raised.value


async def test_a_model_goes_to_its_provider_under_the_name_it_has_there(opened: Any, exchange: Any) -> None:
    asking = exchange("fast")

    async with opened(settings({"fast": [{"provider": "one", "model": "fast-2026"}]})) as routing:
        await routing.on_request(asking)

    (target,) = asking.targets
    assert ("one/fast-2026", "one", "fast-2026", "https://one.example/v1") == (
        target.name,
        target.provider,
        target.model,
        target.base_url,
    )


@pytest.mark.parametrize(
    ("asked", "name", "upstream"),
    [
        ("exact", "one/exact", "exact"),
        ("exactly", "two/exact*", "exactly"),
        ("claude-x", "one/claude-*", "claude-x"),
        ("claude-x-mini", "two/claude-*-mini", "claude-x-mini"),
        ("openai/gpt", "two/*", "gpt"),
        ("openai/", "two/*", ""),
        ("eu/x", "one/x*-eu", "xx-eu"),
        ("anything", "one/*", "anything"),
    ],
)
async def test_the_name_itself_then_the_most_specific_pattern_wins(
    opened: Any, exchange: Any, asked: str, name: str, upstream: str
) -> None:
    asking = exchange(asked)
    models = {
        "*": [{"provider": "one"}],
        "claude-*": [{"provider": "one"}],
        "claude-*-mini": [{"provider": "two"}],
        "exact*": [{"provider": "two"}],
        "exact": [{"provider": "one"}],
        "openai/*": [{"provider": "two", "model": "*"}],
        "eu/*": [{"provider": "one", "model": "x*-eu"}],
    }

    async with opened(settings(models)) as routing:
        await routing.on_request(asking)

    assert [(name, upstream)] == [(target.name, target.model) for target in asking.targets]


@given(
    st.dictionaries(st.text("ab*", max_size=6).filter(lambda name: name.count("*") < 2), st.integers()),
    st.text("ab", max_size=8),
)
def test_a_name_is_found_exactly_when_something_matches_it_and_then_the_longest(
    entries: dict[str, int], asked: str
) -> None:
    matching = {}
    for name in entries:
        before, star, behind = name.partition("*")
        if name == asked or (
            star and len(asked) >= len(before + behind) and asked.startswith(before) and asked.endswith(behind)
        ):
            matching[name] = (not star, len(before), len(behind))

    found = Names(entries).find(asked)

    assert (None if not matching else entries[max(matching, key=lambda name: matching[name])]) == (
        found.it if found else None
    )


async def test_many_made_up_names_under_a_pattern_are_not_kept(opened: Any, exchange: Any) -> None:
    async with opened(settings({"x-*": [{"provider": "one"}]})) as routing:
        for number in range(3000):
            await routing.on_request(exchange(f"x-{number}"))
        router, _ = routing._opened
        (choice,) = router._names.find("x-1").it.levels["blue"][0]

    assert len(choice._made) <= 1024


async def test_weights_decide_how_often_each_is_first_and_all_follow(opened: Any, exchange: Any) -> None:
    models = {"m": [{"provider": "one", "weight": 3}, {"provider": "two", "weight": 1}]}

    async with opened(settings(models), seed=7) as routing:
        orders = [await routed(routing, exchange("m")) for _ in range(4000)]

    first = Counter(order[0] for order in orders)
    assert {frozenset(("one/m", "two/m"))} == {frozenset(order) for order in orders}
    assert 0.72 < first["one/m"] / 4000 < 0.78


async def test_fallbacks_come_after_everything_of_a_lower_level(opened: Any, exchange: Any) -> None:
    models = {
        "m": [
            {"provider": "two", "model": "c", "fallback": 2, "weight": 1000},
            {"provider": "one", "model": "a"},
            {"provider": "two", "model": "a"},
            {"provider": "one", "model": "b", "fallback": 1},
        ]
    }

    async with opened(settings(models)) as routing:
        orders = [await routed(routing, exchange("m")) for _ in range(50)]

    assert {("one/b", "two/c")} == {tuple(order[2:]) for order in orders}
    assert {("one/a", "two/a"), ("two/a", "one/a")} == {tuple(order[:2]) for order in orders}


async def test_the_same_seed_gives_the_same_order(opened: Any, exchange: Any) -> None:
    models = {"m": [{"provider": "one"}, {"provider": "two"}]}
    runs = []

    for _ in range(2):
        async with opened(settings(models), seed=3) as routing:
            runs.append([await routed(routing, exchange("m")) for _ in range(20)])

    assert runs[0] == runs[1]


async def test_targets_of_another_dialect_are_left_out(opened: Any, exchange: Any) -> None:
    models = {"m": [{"provider": "three"}, {"provider": "one", "fallback": 1}]}

    async with opened(settings(models)) as routing:
        assert ["one/m"] == await routed(routing, exchange("m"))
        assert ["three/m"] == await routed(routing, exchange("m", dialect="green"))


async def test_a_model_of_another_dialect_only_is_refused_with_the_way_to_it(opened: Any, exchange: Any) -> None:
    async with opened(settings({"m": [{"provider": "three"}]})) as routing:
        refusal = await refused(routing, exchange("m"))

    assert "dialect_not_offered" == refusal.code
    assert "The model 'm' is offered through the green API, not through the blue API." == refusal.message


async def test_an_unknown_model_names_the_nearest_that_the_caller_may_use(opened: Any, exchange: Any) -> None:
    models = {name: [{"provider": "one"}] for name in ("gpt-4o", "gpt-4o-mini", "gpt-4o-secret")}
    models["gpt-4o-green"] = [{"provider": "three"}]

    async with opened(settings(models)) as routing:
        refusal = await refused(routing, exchange("gpt-4", models=("gpt-4o", "gpt-4o-mini", "gpt-4o-green")))

    assert "unknown_model" == refusal.code
    assert "There is no model 'gpt-4' here. Did you mean 'gpt-4o' or 'gpt-4o-mini'?" == refusal.message


async def test_an_unknown_model_that_is_like_nothing_gets_no_advice(opened: Any, exchange: Any) -> None:
    async with opened(settings({"gpt-4o": [{"provider": "one"}]})) as routing:
        refusal = await refused(routing, exchange("zzz\n" + "z" * 10_000))

    assert refusal.message is not None
    assert refusal.message.isprintable()
    assert len(refusal.message) < 150


async def test_a_request_without_a_model_goes_to_the_dialects_first_or_chosen_provider(
    opened: Any, exchange: Any
) -> None:
    async with opened(settings()) as routing:
        assert ["one"] == await routed(routing, exchange(None, surface="files"))
        assert ["three"] == await routed(routing, exchange(None, surface="files", dialect="green"))
    async with opened(settings(default_provider={"blue": "two"})) as routing:
        assert ["two"] == await routed(routing, exchange(None, surface="files"))


async def test_a_request_without_a_model_is_refused_where_nobody_speaks_its_dialect(opened: Any, exchange: Any) -> None:
    async with opened({"providers": {"one": PROVIDERS["one"]}}) as routing:
        assert "dialect_not_offered" == (await refused(routing, exchange(None, dialect="green"))).code


@pytest.mark.parametrize("lists", ["all", "one"])
async def test_lists_of_models_are_left_to_the_core(opened: Any, exchange: Any, lists: str) -> None:
    async with opened({"providers": {"one": PROVIDERS["one"]}}) as routing:
        assert [] == await routed(routing, exchange("nothing", lists=lists, dialect="green"))


async def test_targets_that_somebody_has_set_already_stay(opened: Any, exchange: Any, fake_relay: Any) -> None:
    without_model, with_model = exchange(None, surface="files.get"), exchange("m")

    async with opened(settings({"m": [{"provider": "one"}]})) as routing:
        for asking in (without_model, with_model):
            asking.targets = [fake_relay.ports[Targets].named("two")]
            assert ["two"] == await routed(routing, asking)


async def test_callers_are_shown_the_models_they_may_ask_for_in_the_order_of_the_configuration(
    opened: Any, exchange: Any, fake_relay: Any
) -> None:
    models = {"b": [{"provider": "one"}], "x-*": [{"provider": "one"}], "a": [{"provider": "three"}]}

    async with opened(settings(models, listed=["x-1", "x-2"])):
        port = fake_relay.ports[Models]

    assert ["b", "a", "x-1", "x-2"] == [entry.id for entry in port.offered(None)]
    assert ["a", "x-2"] == [entry.id for entry in port.offered(exchange("a", models=("a", "*2")).caller)]


async def test_an_accounts_target_is_found_by_its_name(opened: Any, fake_relay: Any) -> None:
    async with opened(settings()):
        port = fake_relay.ports[Targets]

    assert ("two", "two", None) == (port.named("two").name, port.named("two").provider, port.named("two").model)
    assert port.named("gone") is None
