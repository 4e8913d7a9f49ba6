"""Whence a request came, told by the connection and, where a trusted proxy stands before the relay, by its headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


def read(address: str) -> IPv4Address | IPv6Address | None:
    """An address in any of the notations in which proxies write it; an IPv4 address in IPv6's clothes is what it is.

    None for everything else, zones included: they may hold any characters.
    """
    found = _WITH_PORT.fullmatch(address)
    if found is not None:
        address = found[1] or found[2]
    if "%" in address:
        return None
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def origin(peer: str, hops: Iterable[str], trusted: tuple[Network, ...]) -> str:
    """The address that the last trusted proxy saw. `hops` is X-Forwarded-For, split at its commas, left to right.

    Read from the right, because a proxy appends and a client can write anything to the left of that. What cannot be read ends the
    search: then it is the proxy that passed it on.
    """
    parsed = read(peer)
    if parsed is None:
        return peer.partition("%")[0]
    for hop in reversed(list(hops)):
        if not any(parsed in network for network in trusted):
            break
        before = read(hop.strip())
        if before is None:
            break
        parsed = before
    return str(parsed)


def is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    """Does a connection come from a trusted proxy?"""
    parsed = read(peer)
    return parsed is not None and any(parsed in network for network in trusted)


class Hosts:
    """The host names that are answered for: exact ones, and `*.example.org` for everything below it. None given: all."""

    def __init__(self, names: Iterable[str]) -> None:
        lowered = [name.lower().rstrip(".") for name in names]
        self._exact = frozenset(name for name in lowered if not name.startswith("*."))
        self._below = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._any = not lowered

    def has(self, host: str) -> bool:
        """`host` is a Host header: a name or an address, an IPv6 one in brackets, with or without a port."""
        if self._any:
            return True
        host = host.lower()
        if host in self._exact:
            return True
        name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
        name = name.rstrip(".")
        return name in self._exact or (name.endswith(self._below) and name[0] != ".")
