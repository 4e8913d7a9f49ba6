"""Plugins made of a few functions, for tests of the rules that the core keeps."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

import pytest

from relay import Code, Plugin


@pytest.fixture
def plugin() -> Callable[..., Plugin]:
    """`plugin("name", on_request=function, …)`: hooks are functions without `self`, async or not; other names are class attributes."""

    def make(name: str = "subject", **given: Any) -> Plugin:
        body: dict[str, Any] = {"name": name, "errors": (Code("not_today", 429, "Not today."),)}
        for key, value in given.items():
            body[key] = _hook(value) if key in ("on_request", "on_attempt", "on_reply") else value
        made: Plugin = type(name, (Plugin,), body)()
        return made

    return make


def _hook(do: Callable[..., Any]) -> Callable[..., Any]:
    async def hook(self: Plugin, *args: Any) -> Any:
        result = do(*args)
        return await result if isawaitable(result) else result

    return hook
