"""A key as a deployer writes it down, and the same made ready for requests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated

from pydantic import AfterValidator, Field

from relay import Caller, Settings
from relay_auth import keys

Network = IPv4Network | IPv6Network


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _stored(text: str) -> str:
    keys.read_stored(text)
    return text


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A point in time; UTC where no zone is written, midnight where no time is."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}$")]
"""What tells keys, organisations and members apart; it is logged, so it has a narrow form."""


class KeyEntry(Settings):
    """One key, without the key."""

    id: Name = Field(description="What the key is called in logs and by `relay keys`; unique.")
    hash: Annotated[str, AfterValidator(_stored)] = Field(
        description="What `relay keys create` prints: the key's digest."
    )
    organisation: Name = Field(description="The organisation that asks with this key.")
    member: Name | None = Field(default=None, description="The person or service in it.")
    models: tuple[str, ...] | None = Field(
        default=None, description="Models it may ask for, as patterns with `*`; left out: all."
    )
    surfaces: tuple[str, ...] | None = Field(
        default=None, description="Surfaces it may ask, as patterns with `*`; left out: all."
    )
    expires: Moment | None = Field(
        default=None, description="From when on it is refused; UTC unless a zone is written."
    )
    networks: tuple[Network, ...] | None = Field(
        default=None, description="Networks it may be used from; left out: all."
    )
    disabled: bool = Field(default=False, description="It is refused as if nobody knew it.")

    def grant(self) -> Grant:
        """The entry made ready for requests."""
        return Grant(
            caller=Caller(self.organisation, self.id, self.member, self.models, self.surfaces),
            expires_at=None if self.expires is None else self.expires.timestamp(),
            networks=self.networks,
            disabled=self.disabled,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What a known key gives. `expires_at`: seconds since 1970; `networks`: None for all."""

    caller: Caller
    expires_at: float | None = None
    networks: tuple[Network, ...] | None = None
    disabled: bool = False

    def admits(self, address: str) -> bool:
        """May it be used from this address? An IPv4 address in IPv6's clothes counts as IPv4; what is no address, not at all."""
        if self.networks is None:
            return True
        try:
            client: IPv4Address | IPv6Address = ip_address(address)
        except ValueError:
            return False
        if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped
        return any(client in network for network in self.networks)


def doubles(entries: Iterable[KeyEntry]) -> list[str]:
    """What stands twice, in words: the same id, or the same key under two ids."""
    ids: set[str] = set()
    hashes: dict[str, str] = {}
    found = []
    for entry in entries:
        if entry.id in ids:
            found.append(f"two keys have the id '{entry.id}'")
        elif entry.hash in hashes:
            found.append(f"'{hashes[entry.hash]}' and '{entry.id}' are the same key")
        ids.add(entry.id)
        hashes.setdefault(entry.hash, entry.id)
    return found
