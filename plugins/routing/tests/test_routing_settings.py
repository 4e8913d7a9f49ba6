"""What a deployer may write, what each target becomes of it, and where mistakes are shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from relay_routing.settings import RoutingSettings

from relay import Deadlines, RelayError, Retry, Secret

ONE = {"dialect": "blue", "base_url": "https://one.example"}


def problems(settings: dict[str, Any], **context: Any) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ValidationError) as raised:
        RoutingSettings.model_validate(settings, context=context)
    return {problem["loc"]: problem["msg"] for problem in raised.value.errors()}


def test_every_mistake_is_found_at_once_and_at_its_place() -> None:
    found = problems(
        {
            "providers": {"one": ONE, "two": {**ONE, "dialect": "bleu"}},
            "models": {
                "m": [{"provider": "oen"}, {"provider": "one", "model": "*"}],
                "a*b*": [{"provider": "one"}],
                " m": [{"provider": "one"}],
            },
            "listed": ["nothing", "a*"],
            "default_provider": {"blue": "thre", "green": "one"},
        },
        dialects=["blue", "green"],
    )

    assert {
        ("providers", "two", "dialect"): "found the dialect 'bleu', expected one of: blue, green; did you mean 'blue'?",
        ("models", "m", 0, "provider"): "found the provider 'oen', expected one of: one, two; did you mean 'one'?",
        ("models", "m", 1, "model"): "found '*', expected no `*`, because 'm' is not a pattern",
        ("models", "a*b*"): "found 'a*b*', expected a name or a pattern with one `*`",
        ("models", " m"): "found ' m', expected a name without spaces around it",
        ("listed", 0): "found 'nothing', expected a model's name that one of the patterns in `models` matches",
        ("listed", 1): "found 'a*', expected a model's name that one of the patterns in `models` matches",
        ("default_provider", "blue"): "found the provider 'thre', expected one of: one, two",
        ("default_provider", "green"): "found 'one', which speaks blue, expected a provider that speaks green",
    } == found


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("one.example/v1", "no scheme"),
        ("ftp://one.example", "no scheme"),
        ("https://", "no host"),
        ("https://user:pass@one.example", "a user"),
        ("https://one.example/?key=x", "a query"),
        ("http://one.example", "allow_private: true"),
    ],
)
def test_a_base_url_is_an_address_and_nothing_else(base_url: str, said: str) -> None:
    found = problems({"providers": {"one": {**ONE, "base_url": base_url}}})

    assert said in found["providers", "one", "base_url"]
    assert "pass" not in str(found)


def test_plain_text_is_for_providers_in_ones_own_network() -> None:
    settings = RoutingSettings.model_validate(
        {"providers": {"one": {"dialect": "blue", "base_url": "http://127.0.0.1:8000/", "allow_private": True}}}
    )

    assert "http://127.0.0.1:8000" == settings.providers["one"].base_url


@pytest.mark.parametrize(
    "header", [{"Host": "x"}, {"a b": "x"}, {"x-a": "1\r\nx-b: 2"}, {"Content-Length": "1"}, {"": "x"}, {"x": "é"}]
)
def test_a_header_that_would_break_the_request_is_refused(header: dict[str, str]) -> None:
    assert ("providers", "one", "headers") in problems({"providers": {"one": {**ONE, "headers": header}}})


def test_a_model_without_targets_is_refused() -> None:
    assert ("models", "m") in problems({"providers": {"one": ONE}, "models": {"m": []}})


async def test_a_dialect_that_is_not_installed_stops_the_start_with_the_nearest(opened: Any) -> None:
    with pytest.raises(RelayError, match=r"'one' speaks 'bleu', .* did you mean 'blue'"):
        async with opened({"providers": {"one": {**ONE, "dialect": "bleu"}}}):
            pass


async def test_a_target_gets_all_that_its_provider_and_its_own_entry_say(opened: Any, exchange: Any) -> None:
    provider = {
        **ONE,
        "key": Secret("sk-x"),
        "headers": {"X-A": "1", "x-b": "1"},
        "allow_private": True,
        "proxy": "http://proxy.example",
        "ca": "/ca.pem",
        "retry": {"tries": 4, "base": 0.5, "hedge_after": 3},
        "deadlines": {"connect": 1, "total": 60},
    }
    model = {"provider": "one", "headers": {"X-B": "2"}, "retry": {"tries": 1}, "deadlines": {"total": 30}}
    asking = exchange("m")

    async with opened({"providers": {"one": provider}, "models": {"m": [model]}}) as routing:
        await routing.on_request(asking)

    (target,) = asking.targets
    assert (("x-a", "1"), ("x-b", "2")) == target.headers
    assert Retry(tries=1, base_s=0.5, hedge_after_s=3) == target.retry
    assert Deadlines(connect_s=1, total_s=30) == target.deadlines
    assert (True, "http://proxy.example", "/ca.pem") == (target.allow_private, target.proxy, target.ca)
    assert Secret("sk-x") == await target.credential.current()
    assert "sk-x" not in repr(target)


async def test_without_settings_of_its_own_a_target_has_the_cores_policy(opened: Any, exchange: Any) -> None:
    asking = exchange("m")

    async with opened({"providers": {"one": ONE}, "models": {"m": [{"provider": "one"}]}}) as routing:
        await routing.on_request(asking)

    (target,) = asking.targets
    assert (Retry(), Deadlines(), None, ()) == (target.retry, target.deadlines, target.credential, target.headers)


async def test_targets_are_made_once(opened: Any, exchange: Any) -> None:
    first, second = exchange("m-1"), exchange("m-1")

    async with opened({"providers": {"one": ONE}, "models": {"m-*": [{"provider": "one"}]}}) as routing:
        await routing.on_request(first)
        await routing.on_request(second)

    assert first.targets[0] is second.targets[0]
