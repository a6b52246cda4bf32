"""Which addresses may be connected to, and how far inside a network they lie. Pure."""

from __future__ import annotations

import ipaddress
from enum import IntEnum
from typing import Final, TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA: Final = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "fd00:ec2::254")
)
"""Where clouds keep a machine's secrets, beside the link-local 169.254.169.254."""

_BROADCAST: Final = ipaddress.ip_address("255.255.255.255")
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Reach(IntEnum):
    """How private an address is; what is greater is more so."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2


def reach_of(address: str) -> Reach | None:
    """Tell how private an address is; None: nothing is ever fetched from such a one.

    That is what is link-local, multicast, broadcast, unspecified, or a cloud's metadata.

    Raises
    ------
    ValueError
        It is no address.

    """
    meant = _meant(ipaddress.ip_address(address))
    if (
        meant.is_link_local
        or meant.is_multicast
        or meant.is_unspecified
        or meant in _METADATA
        or meant == _BROADCAST
        or meant in _THIS_NETWORK
    ):
        return None
    if meant.is_loopback:
        return Reach.LOOPBACK
    return Reach.PUBLIC if meant.is_global else Reach.PRIVATE


def _meant(address: _Address) -> _Address:
    """Give the IPv4 address inside an IPv6 one that leads to it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
