"""An exchange and a relay, as far as auth sees them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from relay_auth import keys
from relay_auth.plugin import Auth, AuthSettings

from relay import Call, Client, Secret, Surface
from relay.exchange import Exchange
from relay.ports import PRESENTED_KEY

SECRET = Secret("0123456789abcdef" * 4)


class FakeRelay:
    def __init__(self, data, mode="standard"):
        self.data, self.mode = data, mode
        self.checks = {}
        self.gauges = {}

    def check(self, name, ready):
        self.checks[name] = ready

    def gauge(self, gauge):
        self.gauges[gauge.name] = gauge


@pytest.fixture
def secret():
    return SECRET


@pytest.fixture
def fake_relay(tmp_path):
    return FakeRelay(tmp_path)


@pytest.fixture
def opened(fake_relay):
    """Auth within its lifespan: `async with opened(keys=[…]) as auth`."""

    @asynccontextmanager
    async def open_auth(**settings):
        auth = Auth(AuthSettings.model_validate({"secret": SECRET, **settings}))
        lifespan = auth.lifespan(fake_relay)
        await anext(lifespan)
        try:
            yield auth
        finally:
            await anext(lifespan, None)

    return open_auth


@pytest.fixture
def known():
    """A key and its entry: `key, entry = known(models=[…])`."""

    def make_known(**entry):
        key = keys.make()
        return key, {"id": "key_a", "hash": keys.store(keys.digest(SECRET, key)), "organisation": "acme", **entry}

    return make_known


@pytest.fixture
def exchange():
    """An exchange that presents a key: `exchange(key, model="gpt-4o")`."""

    def make_exchange(key=None, *, model="gpt-4o", surface="chat", address="192.0.2.7", parent=None):
        call = Call(SimpleNamespace(name="fake"), Surface(surface, "POST", "/v1/chat"), model=model)
        made = Exchange(call, Client(address), SimpleNamespace(), parent=parent)
        if key is not None:
            made.set(PRESENTED_KEY, key if isinstance(key, Secret) else Secret(key))
        return made

    return make_exchange
