"""Addresses of networks and containers: Docker's pools, Compose's ``ipam``, and leases that are files.

A lease is ``<directory>/<ip>`` made by link(2) of a complete file, so two processes can never hold one address and
a reader never sees half of one; no lock. Reads no state of the kernel: what is in use is passed in.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any


class Subnet:
    """A range of addresses by its first address (an int), prefix length and family (4 or 6)."""

    __slots__ = ("family", "first", "prefix")

    def __init__(self, first: int, prefix: int, family: int) -> None:
        self.first = first
        self.prefix = prefix
        self.family = family


class Pool:
    """A network's addresses of one family: where containers' addresses come from.

    ``range`` is the part to choose from, ``reserved`` maps addresses that are never chosen to their names (aux_addresses).
    """

    __slots__ = ("gateway", "range", "reserved", "subnet")

    def __init__(self, subnet: Subnet, gateway: str, range: Subnet, reserved: Mapping[str, str]) -> None:
        self.subnet = subnet
        self.gateway = gateway
        self.range = range
        self.reserved = reserved


def parse_subnet(text: str) -> Subnet:
    """Return the subnet of ``address/prefix``; host bits are cleared. Raises ValueError with the reason."""
    raise NotImplementedError


def choose_pools(
    ipam: Mapping[str, Any], *, used: Iterable[str], ipv4: bool = True, ipv6: bool = False, seed: str = ""
) -> list[Pool]:
    """Return a new network's pools from Compose's ``ipam`` (``config`` with subnet, gateway, ip_range, aux_addresses).

    ``used`` are the host's addresses, routes and existing networks as ``address/prefix``: a default subnet that
    overlaps one is skipped, an explicit one that overlaps an existing network is the caller's to refuse. ``seed`` (the
    network's name) chooses the IPv6 unique local prefix. Raises Conflict when nothing is free, and when ipam contradicts itself.
    """
    raise NotImplementedError


class Leases:
    """The leases of one network, in one directory. ``owner`` is whoever holds one (a container's id), shown in errors."""

    def __init__(self, directory: str) -> None:
        raise NotImplementedError

    def allocate(self, pool: Pool, owner: str, *, static: str | None = None) -> str:
        """Lease ``static``, or the first free address after the last one; asked again, the same owner gets the same.

        Raises Conflict when ``static`` is taken (naming by whom), reserved or outside the subnet, and when the pool is full.
        """
        raise NotImplementedError

    def release(self, ip: str, owner: str) -> None:
        """Give an address back; not one that somebody else holds. Idempotent."""
        raise NotImplementedError

    def owner(self, ip: str) -> str | None:
        raise NotImplementedError

    def held(self) -> dict[str, str]:
        """Return owner by address."""
        raise NotImplementedError


def mac_address(ip: str, given: str | None = None) -> str:
    """Return ``given`` in lower case with colons, or the address that Docker makes of an IPv4 address (02:42:…)."""
    raise NotImplementedError


def overlaps(a: Subnet, b: Subnet) -> bool:
    raise NotImplementedError


def first_free(taken: Sequence[int], first: int, last: int, after: int) -> int | None:
    """Return the first number of first..last that is not taken, from after + 1 on and around; None if there is none."""
    raise NotImplementedError
