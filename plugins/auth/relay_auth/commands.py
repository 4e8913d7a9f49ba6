"""`relay keys create`, `list` and `revoke`: keys of the configuration and of a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from relay import Command, RelayError, Secret
from relay.values import clock, ids
from relay_auth import key_file, keys
from relay_auth.entries import KeyEntry, Moment
from relay_auth.keyring import Keyring

_MOMENT: TypeAdapter[Moment] = TypeAdapter(Moment)
_DURATION = re.compile(r"(\d{1,5})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}


class KeyCommandFailed(RelayError):
    """A command cannot do what it was asked; the message says why."""


class Create(BaseModel):
    """Make a key. It is printed once; only its digest is stored."""

    model_config = ConfigDict(extra="forbid")
    organisation: str = Field(description="The organisation that will ask with it.")
    member: str | None = Field(default=None, description="The person or service in it.")
    models: str | None = Field(
        default=None, description="Models it may ask for: patterns with `*`, separated by commas."
    )
    surfaces: str | None = Field(
        default=None, description="Surfaces it may ask: patterns with `*`, separated by commas."
    )
    expires: str | None = Field(
        default=None, description="How long it lives (`12h`, `90d`, `4w`, `1y`), or until which date."
    )
    networks: str | None = Field(
        default=None, description="Networks it may be used from, as CIDR, separated by commas."
    )
    file: Path | None = Field(
        default=None, description="The file to write its entry to; left out: the configured one, else it is printed."
    )


class List(BaseModel):
    """Show the known keys, as far as they can be shown."""

    model_config = ConfigDict(extra="forbid")
    file: Path | None = Field(default=None, description="The file to read; left out: all keys that are in force.")


class Revoke(BaseModel):
    """Disable a key of a file. Running relays notice within two seconds."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(description="The id that `relay keys list` shows.")
    file: Path | None = Field(default=None, description="The file it stands in; left out: the configured one.")


class KeyCommands:
    """The commands, over the ring and secret that the plugin's lifespan has opened.

    :param opened: gives the server's secret and the keyring.
    :param file: the configured file.
    """

    def __init__(self, opened: Callable[[], tuple[Secret, Keyring]], file: Path | None) -> None:
        self._opened = opened
        self._file = file

    def all(self) -> Iterable[Command]:
        yield Command("keys", "create", self.create, "operator", Create, opened=True)
        yield Command("keys", "list", self.list, "operator", List, opened=True)
        yield Command("keys", "revoke", self.revoke, "operator", Revoke, opened=True)

    async def create(self, asked: Create) -> None:
        """The first line on standard output is the key; without a file, its entry follows as YAML."""
        secret, _ = self._opened()
        key = keys.make()
        entry = _entry(asked, keys.store(keys.digest(secret, key)))
        file = asked.file or self._file
        if file is not None:
            key_file.change(file, lambda entries: [*entries, entry])
        sys.stdout.write(key.open() + "\n")
        if file is None:
            sys.stdout.write(yaml.safe_dump([key_file.plain(entry)], sort_keys=False))
            sys.stderr.write("The key is shown only now. Put the entry under 'keys' of the plugin 'auth'.\n")
        else:
            sys.stderr.write(f"The key is shown only now. It is called {entry.id} and stands, hashed, in {file}.\n")

    async def list(self, asked: List) -> None:
        _, ring = self._opened()
        try:
            entries = ring.entries if asked.file is None else key_file.read(asked.file)
        except FileNotFoundError:
            raise KeyCommandFailed(f"{asked.file} does not exist") from None
        for entry in entries:
            sys.stdout.write(_line(entry) + "\n")

    async def revoke(self, asked: Revoke) -> None:
        file = asked.file or self._file
        _, ring = self._opened()
        if file is None:
            raise KeyCommandFailed(
                f"no file of keys is configured: remove '{asked.id}' from 'keys' of the plugin 'auth', or name its --file"
            )

        def disable(entries: list[KeyEntry]) -> list[KeyEntry]:
            if all(entry.id != asked.id for entry in entries):
                elsewhere = any(entry.id == asked.id for entry in ring.entries)
                raise KeyCommandFailed(
                    f"'{asked.id}' stands in the configuration: remove it there"
                    if elsewhere
                    else f"there is no key '{asked.id}' in {file}; 'relay keys list' shows them"
                )
            return [entry.model_copy(update={"disabled": True}) if entry.id == asked.id else entry for entry in entries]

        key_file.change(file, disable)
        sys.stderr.write(f"{asked.id} is disabled.\n")


def _entry(asked: Create, stored: str) -> KeyEntry:
    try:
        return KeyEntry.model_validate(
            {
                "id": ids.shown("key"),
                "hash": stored,
                "organisation": asked.organisation,
                "member": asked.member,
                "models": _parts(asked.models),
                "surfaces": _parts(asked.surfaces),
                "expires": None if asked.expires is None else _until(asked.expires),
                "networks": _parts(asked.networks),
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise KeyCommandFailed(f"--{problem['loc'][0]}: {problem['msg']}") from None


def _parts(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _until(text: str) -> Moment:
    if match := _DURATION.fullmatch(text):
        return clock.now().replace(microsecond=0) + timedelta(hours=int(match[1]) * _HOURS[match[2]])
    try:
        until = _MOMENT.validate_python(text)
    except ValidationError:
        raise KeyCommandFailed(
            f"--expires: found '{text}', expected 12h, 90d, 4w, 1y or a date like 2027-01-31"
        ) from None
    if until <= clock.now():
        raise KeyCommandFailed(f"--expires: {text} has passed")
    return until


def _line(entry: KeyEntry) -> str:
    state = "active"
    if entry.disabled:
        state = "disabled"
    elif entry.expires is not None and entry.expires <= clock.now():
        state = "expired"
    scopes = {
        "member": entry.member,
        "models": None if entry.models is None else ",".join(entry.models),
        "surfaces": None if entry.surfaces is None else ",".join(entry.surfaces),
        "expires": None if entry.expires is None else clock.rfc3339(entry.expires),
        "networks": None if entry.networks is None else ",".join(map(str, entry.networks)),
    }
    return "  ".join(
        [
            entry.id,
            state,
            entry.organisation,
            *(f"{name}={value}" for name, value in scopes.items() if value is not None),
        ]
    )
