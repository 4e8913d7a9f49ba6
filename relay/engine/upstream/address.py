"""Which addresses may be dialled: those of the public internet, whatever they are wrapped in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# An allow-list for IPv6: what is not global unicast (RFC 4291 §2.4) is refused without having to be named.
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_REFUSED_6 = (
    IPv6Network("2001::/23"),  # protocol assignments: Teredo, ORCHID, benchmarking (RFC 2928)
    IPv6Network("2001:db8::/32"),  # documentation (RFC 3849)
    IPv6Network("2002::/16"),  # 6to4 carries any IPv4 address inside (RFC 7526 retired it)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
_NAT64 = IPv6Network("64:ff9b::/96")  # the last 32 bits are the IPv4 address dialled (RFC 6052)
_REFUSED_4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments (RFC 6890)
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
)


def is_public(address: str) -> bool:
    """Whether a numeric address is global unicast, after IPv4-mapped and NAT64 addresses are unwrapped.

    Private, loopback, link-local, carrier (100.64/10), multicast, reserved, documentation and unspecified ranges are not; nor is
    anything that does not parse, nor an address with a zone.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        inner = _inner(ip)
        if inner is None:
            return ip.scope_id is None and ip in _GLOBAL_UNICAST_6 and not any(ip in net for net in _REFUSED_6)
        ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in net for net in _REFUSED_4)


def _inner(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped


def is_odd_literal(host: str) -> bool:
    """Whether a host is a number that is no plain dotted quad: `127.1`, `0x7f.1`, `2130706433`, `0177.0.0.1`.

    Resolvers map those onto addresses in ways of their own; the rule is the URL standard's: a last label that is a number.
    """
    if ":" in host:
        return False
    last = host.rstrip(".").rpartition(".")[2].lower()
    if not (last.isdigit() or (last.startswith("0x") and all(c in "0123456789abcdef" for c in last[2:]))):
        return False
    try:
        IPv4Address(host)
    except ValueError:
        return True
    return False
