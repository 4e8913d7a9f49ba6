"""The plugin `auth`: settings, lifespan, hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from relay import Command, Exchange, Job, Plugin, Relay, Secret, Settings
from relay.ports import Gauge
from relay.values.place import Place
from relay_auth import server_secret
from relay_auth.admission import CODES, admit
from relay_auth.commands import KeyCommands
from relay_auth.entries import KeyEntry, doubles
from relay_auth.keyring import Keyring


class AuthSettings(Settings):
    """Which keys are known."""

    keys: tuple[KeyEntry, ...] = Field(default=(), description="The known keys, as `relay keys create` prints them.")
    file: Place | None = Field(
        default=None, description="A YAML or JSON file with more keys; read again when it changes."
    )
    secret: Secret | None = Field(
        default=None,
        description="The secret under which keys are hashed, at least 32 characters; left out: generated in the data folder "
        "(not in commercial mode).",
    )

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: Secret | None) -> Secret | None:
        if secret is not None and len(secret.open()) < server_secret.LEAST:
            raise ValueError(
                f"found {len(secret.open())} characters, expected at least {server_secret.LEAST}; 'openssl rand -hex 32' makes one"
            )
        return secret

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> Self:
        if twice := doubles(self.keys):
            raise ValueError("; ".join(twice))
        context: Any = info.context
        if self.secret is None and isinstance(context, dict) and context.get("mode") == "commercial":
            raise ValueError(server_secret.DEMANDED)
        return self


class Auth(Plugin):
    """Who asks, and may they? Stands on top of the chain."""

    name = "auth"
    Settings = AuthSettings
    before = ("ratelimit", "routing", "byok", "policy", "ledger", "metering", "guard", "redaction", "bodylog", "cache")
    errors = CODES

    settings: AuthSettings
    _opened: tuple[Secret, Keyring] | None = None

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        """:raises RelayError: there is no secret, or the file of keys cannot be used."""
        secret = self.settings.secret
        if secret is None:
            if relay.mode == "commercial":
                raise server_secret.SecretUnusable(f"auth: {server_secret.DEMANDED}")
            secret = server_secret.generated(relay.data / "auth" / "secret")
        keyring = Keyring(secret, self.settings.keys, self.settings.file, relay.log)
        keyring.load()
        relay.check("auth", keyring.ready)
        relay.gauge(Gauge("relay_auth_keys", "Known API keys.", "gauge", (), lambda: [((), float(len(keyring)))]))
        relay.gauge(
            Gauge("relay_auth_file_stale", "1 while the file of keys, as it is now, is not in force.", "gauge", (),
                  lambda: [((), float(keyring.stale is not None))])
        )  # fmt: skip
        self._opened = secret, keyring
        yield
        self._opened = None

    def jobs(self) -> Iterable[Job]:
        if self.settings.file is not None:
            yield Job("auth.file", self._refresh, every=1.0, timeout_s=30.0, scope="process")

    def commands(self) -> Iterable[Command]:
        return KeyCommands(self._open, self.settings.file).all()

    async def on_request(self, exchange: Exchange) -> None:
        """Before anything else: who asks, and may this key ask for this? :raises Refused: see `errors`."""
        admit(self._open()[1], exchange)

    async def _refresh(self) -> None:
        await self._open()[1].refresh()

    def _open(self) -> tuple[Secret, Keyring]:
        if self._opened is None:
            raise RuntimeError("auth is used outside of its lifespan")
        return self._opened
