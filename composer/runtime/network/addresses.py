"""Addresses of networks and containers: Docker's pools, Compose's ``ipam``, and leases that are files.

A lease is ``<directory>/<ip>``, made by link(2) of a complete file, so two processes can never hold one
address and a reader never sees half of one; no lock. ``.<owner>.<family>`` is the same file under its
holder's name, made first: one whose address is not the same file is a lease that never came to be. Reads no
state of the kernel: what is in use is passed in.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

BITS = {4: 32, 6: 128}


class Subnet:
    """A range of addresses by its first address (an int), prefix length and family (4 or 6)."""

    __slots__ = ("family", "first", "prefix")

    def __init__(self, first: int, prefix: int, family: int) -> None:
        self.first = first
        self.prefix = prefix
        self.family = family

    @property
    def last(self) -> int:
        return self.first + (1 << (BITS[self.family] - self.prefix)) - 1

    def __str__(self) -> str:
        return f"{ip_text(self.first, self.family)}/{self.prefix}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subnet) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((self.first, self.prefix, self.family))

    def __contains__(self, other: Subnet) -> bool:
        return self.family == other.family and self.first <= other.first and other.last <= self.last


class Pool:
    """A network's addresses of one family: where containers' addresses come from.

    ``range`` is the part to choose from, ``reserved`` maps addresses that are never chosen to their names
    (Compose's aux_addresses, turned round).
    """

    __slots__ = ("gateway", "range", "reserved", "subnet")

    def __init__(self, subnet: Subnet, gateway: str, range: Subnet, reserved: Mapping[str, str]) -> None:
        self.subnet = subnet
        self.gateway = gateway
        self.range = range
        self.reserved = reserved


# ------------------------------------------------------------------ text and numbers


def ip_number(text: str) -> tuple[int, int]:
    """Return an address as (number, family). Raises ValueError with the reason."""
    family = 6 if ":" in text else 4
    try:
        packed = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, text)
    except (OSError, ValueError):
        raise ValueError(f"invalid IP address '{text}'") from None
    return int.from_bytes(packed, "big"), family


def _numbers(names: Iterable[str], family: int) -> Iterator[int]:
    """Yield the numbers of the names that are addresses of a family; others are somebody else's files.

    Each start does this with all leases of its network. Nothing is remembered for the next: a supervisor that touches
    what it keeps copies these pages after each fork, which took longer than reading the names anew.
    """
    kind, colon, read = (socket.AF_INET6 if family == 6 else socket.AF_INET), family == 6, socket.inet_pton
    for name in names:
        if (":" in name) == colon:
            try:
                yield int.from_bytes(read(kind, name), "big")
            except (OSError, ValueError):
                continue


def ip_text(number: int, family: int) -> str:
    """Return the text of an address, in its shortest form."""
    packed = number.to_bytes(BITS[family] // 8, "big")
    return socket.inet_ntop(socket.AF_INET6 if family == 6 else socket.AF_INET, packed)


def parse_subnet(text: str) -> Subnet:
    """Return the subnet of ``address/prefix``; host bits are cleared. Raises ValueError with the reason."""
    ip, slash, prefix = text.partition("/")
    number, family = ip_number(ip)
    bits = int(prefix) if prefix.isascii() and prefix.isdecimal() and len(prefix) < 4 else -1
    if not slash or not 0 <= bits <= BITS[family]:
        raise ValueError(f"invalid subnet '{text}': use an address and a prefix length, such as 10.1.0.0/16")
    host = BITS[family] - bits
    return Subnet(number >> host << host, bits, family)


def overlaps(a: Subnet, b: Subnet) -> bool:
    """Tell whether two ranges have an address in common."""
    return a.family == b.family and a.first <= b.last and b.first <= a.last


def mac_address(ip: str, given: str | None = None) -> str:
    """Return ``given`` in lower case with colons, or the one that Docker makes of an address (02:42 and its last
    bytes).

    Raises ValueError when ``given`` is none, or is a group's.
    """
    if not given:
        number, _ = ip_number(ip)
        return (b"\x02\x42" + (number & 0xFFFFFFFF).to_bytes(4, "big")).hex(":")
    digits = given.replace(":", "").replace("-", "").replace(".", "")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != 6 or raw[0] & 1 or raw == bytes(6):
        raise ValueError(
            f"invalid hardware address '{given}': use the address of one interface, such as 02:42:ac:11:00:02"
        )
    return raw.hex(":")


# ------------------------------------------------------------------ pools


def given_pools(ipam: Mapping[str, Any]) -> dict[int, Pool]:
    """Return the pools that Compose's ``ipam`` asks for, by family. Raises Conflict when it contradicts itself."""
    given: dict[int, Pool] = {}
    for config in ipam.get("config") or ():
        pool = _given_pool(config)
        if pool.subnet.family in given:
            raise _conflict(
                f"ipam has two IPv{pool.subnet.family} subnets: a bridge network supports one per address family"
            )
        given[pool.subnet.family] = pool
    return given


def _given_pool(config: Mapping[str, Any]) -> Pool:
    try:
        if not config.get("subnet"):
            raise ValueError("subnet is required in each ipam config")
        subnet = parse_subnet(str(config["subnet"]))
        if BITS[subnet.family] - subnet.prefix < 2:
            raise ValueError(f"subnet '{subnet}' is too small for a gateway and a container")
        chosen = parse_subnet(str(config["ip_range"])) if config.get("ip_range") else subnet
        if chosen not in subnet:
            raise ValueError(f"ip_range '{chosen}' is not inside subnet '{subnet}'")
        gateway = str(config.get("gateway") or ip_text(subnet.first + 1, subnet.family))
        gateway = _inside(gateway, subnet, "gateway")
        reserved = {
            _inside(str(ip), subnet, f"aux address '{name}'"): str(name)
            for name, ip in (config.get("aux_addresses") or {}).items()
        }
    except ValueError as error:
        raise _conflict(str(error), hint="correct the network's ipam.config") from None
    return Pool(subnet, gateway, chosen, reserved)


def _inside(ip: str, subnet: Subnet, what: str) -> str:
    """Return the canonical text of an address that a host of the subnet may have."""
    number, family = ip_number(ip)
    first, last = _hosts(subnet)
    if family != subnet.family or not first <= number <= last:
        raise ValueError(f"{what} '{ip}' is not in subnet '{subnet}'")
    return ip_text(number, family)


def _hosts(subnet: Subnet) -> tuple[int, int]:
    """Return the first and last address that a host may have: not the network's own, nor IPv4's broadcast."""
    return subnet.first + 1, subnet.last - (1 if subnet.family == 4 else 0)


# ------------------------------------------------------------------ leases


class Leases:
    """The leases of one network, in one directory. ``owner`` is whoever holds one: a container's id.

    An address that was given back is remembered as ``.was.<ip>.<owner>`` for as long as that container exists: it
    gets it again, and others get it only when there is no other. ``exists`` tells whether a container does.
    """

    def __init__(self, directory: str, exists: Callable[[str], bool] | None = None) -> None:
        self._directory = directory
        self._exists = exists or self._has_container

    def _has_container(self, id: str) -> bool:
        return os.path.isdir(os.path.join(self._directory, "../../../containers", id))

    def allocate(self, pool: Pool, owner: str, *, static: str | None = None, former: str = "") -> str:
        """Lease ``static``, or what the owner had before, or what ``former`` had, whose place it takes, or the lowest.

        Asked again, an owner gets what it has.

        An owner has one address of each family: another static one replaces it. Raises Conflict when
        ``static`` is taken (naming by whom), reserved or outside the subnet, and when the pool is full.
        """
        _check_owner(owner)
        held = self._lease_of(owner, pool.subnet.family)
        if static is None:
            if held is not None:
                return held
            return self._allocate_next(pool, owner, former)
        ip = self._static(pool, static)
        if held != ip:
            if not self._take(ip, owner, pool.subnet.family):
                raise _taken(ip, self.owner(ip))
            if held is not None:
                self._unlink(held)
        return ip

    def release(self, ip: str, owner: str) -> None:
        """Give an address back; not one that somebody else holds. Idempotent."""
        _check_owner(owner)
        family = 6 if ":" in ip else 4
        if self.owner(ip) == owner:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            os.close(os.open(f"{self._directory}/.was.{ip}.{owner}", flags, 0o600))
            self._unlink(ip)
        if self._lease_of(owner, family) is None:
            self._unlink(f".{owner}.{family}")

    def owner(self, ip: str) -> str | None:
        """Return who holds an address, or None."""
        lease = self._read(ip)
        return None if lease is None else lease[0]

    def held(self) -> dict[str, str]:
        """Return owner by address."""
        found = {}
        for name in self._names():
            owner = self.owner(name)
            if owner is not None:  # else released since it was listed
                found[name] = owner
        return found

    def _allocate_next(self, pool: Pool, owner: str, former: str) -> str:
        family = pool.subnet.family
        names = os.listdir(self._directory)
        leased = (name for name in names if name[0] != ".")
        taken = {
            number for given in (leased, (pool.gateway, *pool.reserved)) for number in _numbers(given, family)
        }
        low, high = _hosts(pool.subnet)
        low, high = max(low, pool.range.first), min(high, pool.range.last)
        remembered = [
            (number, one) for number, one in self._remembered(names, family, former) if low <= number <= high
        ]
        wanted = [number for whose in (owner, former) for number, one in remembered if one == whose]
        for number in wanted:
            ip = ip_text(number, family)
            if number not in taken and self._take(ip, owner, family):
                self._unlink(f".was.{ip}.{owner}")
                return ip
        kept = {number for number, _ in remembered}
        while True:
            free = first_free(taken | kept, low, high)
            if free is None:
                free = first_free(taken, low, high)
            if free is None:
                raise _conflict(
                    f"no available addresses in subnet '{pool.range}'",
                    hint="remove containers, or give the network a larger subnet",
                )
            ip = ip_text(free, family)
            if self._take(ip, owner, family):
                return ip
            taken.add(free)  # somebody was faster

    def _remembered(self, names: Sequence[str], family: int, former: str) -> list[tuple[int, str]]:
        """Return numbers of addresses and who had them before; what containers had that are no more is forgotten.

        ``former`` may be gone: its address is not, until this one has it.
        """
        found = []
        for name in names:
            if not name.startswith(".was."):
                continue
            ip, _, owner = name.removeprefix(".was.").rpartition(".")
            if owner != former and not self._exists(owner):
                self._unlink(name)
                continue
            found += [(number, owner) for number in _numbers((ip,), family)]
        return found

    def _static(self, pool: Pool, static: str) -> str:
        try:
            ip = _inside(static, pool.subnet, "address")
        except ValueError as error:
            raise _conflict(str(error), hint="use an address in the network's subnet") from None
        if ip == pool.gateway:
            raise _conflict(f"address '{ip}' is the network's gateway", hint="use another address")
        if ip in pool.reserved:
            raise _conflict(
                f"address '{ip}' is reserved for '{pool.reserved[ip]}'", hint="use another address"
            )
        return ip

    def _take(self, ip: str, owner: str, family: int) -> bool:
        """Lease an address; False when somebody holds it."""
        index = f"{self._directory}/.{owner}.{family}"
        previous = self._read(f".{owner}.{family}")
        self._write(f".{owner}.{family}", f"{owner}\n{ip}\n")
        try:
            os.link(index, f"{self._directory}/{ip}")
        except FileExistsError:
            if previous is not None and self.owner(previous[1]) == owner:
                self._restore(previous[1], index)
            return False
        return True

    def _restore(self, ip: str, index: str) -> None:
        """Let the holder's name be the same file as the lease that it still has."""
        temporary = f"{index}.{os.getpid()}"
        os.link(f"{self._directory}/{ip}", temporary)
        os.replace(temporary, index)

    def _lease_of(self, owner: str, family: int) -> str | None:
        """Return the address that an owner holds, if it really does."""
        lease = self._read(f".{owner}.{family}")
        if lease is None:
            return None
        try:
            same = os.path.samefile(f"{self._directory}/.{owner}.{family}", f"{self._directory}/{lease[1]}")
        except FileNotFoundError:
            return None
        return lease[1] if same else None

    def _names(self) -> list[str]:
        return [name for name in os.listdir(self._directory) if not name.startswith(".")]

    def _read(self, name: str) -> tuple[str, str] | None:
        """Return (owner, address) of a lease, None where there is none."""
        try:
            with open(f"{self._directory}/{name}", encoding="utf-8") as file:
                owner, _, ip = file.read().partition("\n")
        except FileNotFoundError:
            return None
        return owner, ip.strip()

    def _write(self, name: str, text: str) -> None:
        temporary = f"{self._directory}/{name if name.startswith('.') else '.' + name}.{os.getpid()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, f"{self._directory}/{name}")

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(f"{self._directory}/{name}")
        except FileNotFoundError:
            pass  # that is what was wanted


def first_free(taken: Collection[int], first: int, last: int) -> int | None:
    """Return the lowest number of first..last that is not taken; None if there is none."""
    return next((number for number in range(first, last + 1) if number not in taken), None)


def _check_owner(owner: str) -> None:
    if not owner or "/" in owner or "\n" in owner or len(owner) > 128:
        raise ValueError(f"invalid address owner '{owner}': it is used in a file name")


def _taken(ip: str, owner: str | None) -> Exception:
    by = f" by '{owner}'" if owner else ""
    return _conflict(
        f"address '{ip}' is already in use{by}",
        hint="use another address, or stop the container that uses it",
    )


def _conflict(message: str, *, hint: str | None = None) -> Exception:
    from composer.errors import Conflict

    return Conflict(message, hint=hint)
