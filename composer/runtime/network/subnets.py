"""Free subnets for new networks: Docker's default pools first, then /24s of the private ranges.

A search goes through a pool by its gaps, so that the thousandth network costs little more than the first. Reads no
state of the kernel: what is in use is passed in, with who has it.
"""

from __future__ import annotations

import bisect
from typing import NamedTuple

from composer.errors import Conflict
from composer.runtime.network.addresses import BITS, Pool, Subnet, given_pools, ip_text, parse_subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

# A route this short is a default route in disguise (VPNs set 0.0.0.0/1 and 128.0.0.0/1): it overlaps everything.
_SHORTEST_USED = 8
_MOST_NAMED = 5


class Source(NamedTuple):
    """A range that networks are taken from: the next free one of this prefix length in it."""

    base: Subnet
    prefix: int

    @classmethod
    def of(cls, base: str, prefix: int) -> Source:
        """Return a checked one. Raises ValueError with the reason."""
        subnet = parse_subnet(base)
        if not subnet.prefix <= prefix <= BITS[subnet.family] - 2:
            raise ValueError(
                f"size {prefix} does not fit pool {base}: it must be from {subnet.prefix} "
                f"to {BITS[subnet.family] - 2}"
            )
        return cls(subnet, prefix)


class Used(NamedTuple):
    """Addresses in use, and who has them, in words: ``network 'shop_default'``, ``route through tun0``."""

    subnet: str
    owner: str


def defaults4() -> Iterator[Source]:
    """Yield Docker's pools (172.17 to 172.31 as /16, 192.168 as /20), then /24s: RFC 1918, RFC 6598."""
    for second in range(17, 32):
        yield Source(Subnet((172 << 24) | (second << 16), 16, 4), 16)
    yield Source.of("192.168.0.0/16", 20)
    for base in ("172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8", "100.64.0.0/10"):
        yield Source.of(base, 24)


def defaults6(seed: str) -> Iterator[Source]:
    """Yield /64s under fd00::/8 that depend on ``seed`` (RFC 4193: 40 bits of global id, 16 of subnet)."""
    import hashlib

    for attempt in range(64):
        digest = hashlib.sha256(f"{seed}\0{attempt}".encode()).digest()
        yield Source(Subnet(int.from_bytes(b"\xfd" + digest[:7] + bytes(8), "big"), 64, 6), 64)


def choose_pools(
    ipam: Mapping[str, Any],
    *,
    used: Sequence[Used],
    sources: Sequence[Source] = (),
    ipv4: bool = True,
    ipv6: bool = False,
    seed: str = "",
) -> list[Pool]:
    """Return a new network's pools from Compose's ``ipam``: IPv4's first, then IPv6's.

    ``used`` are the host's addresses, routes and existing networks; a subnet that overlaps one is skipped, an
    explicit one that overlaps an existing network is the caller's to refuse. ``sources`` take the place of the default
    ones of their family. ``seed`` (the network's name) chooses the IPv6 unique local prefix. Raises Conflict when
    nothing is free, and when ``ipam`` contradicts itself.
    """
    given = given_pools(ipam)
    pools = []
    for family in (4, 6):
        if not (ipv4 if family == 4 else ipv6):
            continue
        if family not in given:
            own = [source for source in sources if source.base.family == family]
            subnet = choose(own or list(defaults4() if family == 4 else defaults6(seed)), used, family)
            given[family] = Pool(subnet, ip_text(subnet.first + 1, family), subnet, {})
        pools.append(given[family])
    return pools


def choose(sources: Sequence[Source], used: Iterable[Used], family: int) -> Subnet:
    """Return the first free subnet of the sources. Raises Conflict, which names who has the addresses."""
    taken = _Taken(used, family)
    for source in sources:
        found = taken.gap(source)
        if found is not None:
            return found
    ranges = ", ".join(dict.fromkeys(str(source.base) for source in sources))
    raise Conflict(
        f"no free IPv{family} subnet in {_short(ranges, family)}: in use by {taken.owners(sources)}",
        hint="remove unused networks (composer network prune), set address_pools in config.toml, "
        "or set a subnet under ipam.config",
    )


def _short(ranges: str, family: int) -> str:
    return ranges if len(ranges) < 80 else "the default address pools" if family == 4 else "fd00::/8"


class _Taken:
    """What is in use, by its first address; what overlaps is one range."""

    def __init__(self, used: Iterable[Used], family: int) -> None:
        self._used = [
            (subnet, one.owner)
            for one in used
            if (subnet := parse_subnet(one.subnet)).family == family and subnet.prefix >= _SHORTEST_USED
        ]
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for subnet, _ in sorted(self._used, key=lambda entry: entry[0].first):
            if self._lasts and subnet.first <= self._lasts[-1]:
                self._lasts[-1] = max(self._lasts[-1], subnet.last)
            else:
                self._firsts.append(subnet.first)
                self._lasts.append(subnet.last)

    def gap(self, source: Source) -> Subnet | None:
        """Return the first free subnet of a source."""
        size = 1 << (BITS[source.base.family] - source.prefix)
        first = source.base.first
        while first + size - 1 <= source.base.last:
            index = bisect.bisect_right(self._firsts, first + size - 1) - 1
            if index < 0 or self._lasts[index] < first:
                return Subnet(first, source.prefix, source.base.family)
            first = (self._lasts[index] // size + 1) * size
        return None

    def owners(self, sources: Sequence[Source]) -> str:
        """Return who has addresses of the sources, those who have most first."""
        having: dict[str, int] = {}
        for subnet, owner in self._used:
            shared = sum(_common(subnet, source.base) for source in sources)
            if shared:
                having[owner] = having.get(owner, 0) + shared
        names = sorted(having, key=lambda owner: (-having[owner], owner))
        rest = len(names) - _MOST_NAMED
        return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _common(a: Subnet, b: Subnet) -> int:
    """Return how many addresses two ranges have in common."""
    return max(0, min(a.last, b.last) - max(a.first, b.first) + 1)
