"""Values that Compose lets pass and nothing can carry out: why not, in words that end a sentence.

`composer lint` says them as advice about the files, the built-in runtime refuses by them before any effect. Each
function returns None for a value that can be used.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_NAME = 240
"""A container's name is the name of a file, of at most 255 bytes, also while it has a prefix: it is being replaced."""

LEAST_INTERVAL_NS = 100_000_000
"""The shortest time between two probes of a health check: each is a process that enters the container."""

HOST_HINT = "write HOST=ADDRESS, with an IP address or host-gateway"
"""What to do about a `host_problem`."""

PROTOCOLS = ("tcp", "udp", "sctp")
_MAC = pattern(r"(?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE)
_TMPFS_WORDS = frozenset(
    "rw ro exec noexec suid nosuid dev nodev sync async dirsync atime noatime diratime nodiratime relatime norelatime "
    "strictatime nostrictatime iversion noiversion mand nomand defaults bind rbind private rprivate slave rslave "
    "unbindable runbindable swap noswap".split()
)
_SIZE = pattern(r"[0-9]+(?:\.[0-9]+)?[kmgtpe]?i?b?%?", re.IGNORECASE)
_COUNT = pattern(r"[0-9]+[kmg]?", re.IGNORECASE)
_TMPFS_VALUES = {
    "size": _SIZE,
    "mode": pattern(r"[0-7]{1,5}"),
    "uid": pattern(r"[0-9]{1,10}"),
    "gid": pattern(r"[0-9]{1,10}"),
    "nr_inodes": _COUNT,
    "nr_blocks": _COUNT,
    "mpol": pattern(r"[a-z=:,0-9-]+"),
    "huge": pattern(r"[a-z_]+"),
}
_UNUSABLE_4 = (
    (0x00000000, 8, "means 'this network' (RFC 1122)"),
    (0x7F000000, 8, "belongs to the loopback interface"),
    (0xE0000000, 4, "is for multicast"),
    (0xF0000000, 4, "is reserved (RFC 1112)"),
)
_UNUSABLE_6 = (
    (0, 8, "is reserved (RFC 4291) and contains the loopback address"),
    (0xFF << 120, 8, "is for multicast"),
)


def mac_problem(text: str) -> str | None:
    digits = re.sub(r"[:.-]", "", text)
    if not _MAC.fullmatch(text) or digits == "0" * 12:
        return f"invalid hardware address '{text[:40]}': use one such as 02:42:ac:11:00:02"
    if int(digits[:2], 16) & 1:
        return f"'{text}' is a multicast hardware address, not the address of one interface"
    return None


def protocol_problem(text: str) -> str | None:
    if text in PROTOCOLS:
        return None
    return f"unsupported protocol '{text[:40]}': must be one of {', '.join(PROTOCOLS)}"


def target_problem(target: object) -> str | None:
    text = str(target or "")
    if text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536:
        return None
    return f"invalid container port '{text[:40]}'" if text else "the container port is missing"


def host_pairs(value: object) -> list[tuple[str, str]]:
    """Return the names and addresses of ``extra_hosts``: ``HOST=ADDRESS``, ``HOST:ADDRESS``, or a mapping."""
    if isinstance(value, dict):
        every = ((str(name), [one] if isinstance(one, str) else one) for name, one in value.items())
        pairs = [(name, str(address)) for name, addresses in every for address in addresses or ()]
    else:
        texts = [str(entry) for entry in value] if isinstance(value, list | tuple) else []
        pairs = [
            (name, address) for name, _, address in (t.partition("=" if "=" in t else ":") for t in texts)
        ]
    return [(name, address.removeprefix("[").removesuffix("]")) for name, address in pairs]


def host_problem(name: str, address: str) -> str | None:
    """Return why a container cannot have this line in its hosts file; ``host-gateway`` is an address, too."""
    if not name:
        return f"invalid host '{name}={address}'"
    if address != "host-gateway" and not is_address(address):
        return f"invalid IP address '{address[:60]}'"
    return None


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, with a zone where it has one."""
    import socket

    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def tmpfs_problem(options: str) -> str | None:
    """Say which option of a tmpfs, as in ``size=64m,mode=1777,noexec``, no kernel takes."""
    for part in filter(None, options.split(",")):
        key, separator, value = part.partition("=")
        form = _TMPFS_VALUES.get(key)
        if key in _TMPFS_WORDS and not separator:
            continue
        if form is None:
            return f"unknown tmpfs option '{part[:40]}'"
        if not form.fullmatch(value):
            return f"invalid value in tmpfs option '{part[:40]}'"
    return None


def name_problem(text: str) -> str | None:
    if len(text) <= MAX_NAME:
        return None
    return f"the name is too long: {len(text)} characters (limit: {MAX_NAME})"


def subnet_problem(text: str) -> str | None:
    """Say why no container can have an address of a subnet. Nothing is said of what is no subnet at all."""
    import socket

    ip, _, prefix = text.partition("/")
    family, bits, unusable = (
        (socket.AF_INET6, 128, _UNUSABLE_6) if ":" in ip else (socket.AF_INET, 32, _UNUSABLE_4)
    )
    try:
        number = int.from_bytes(socket.inet_pton(family, ip), "big")
    except (OSError, ValueError):
        return None
    if not (prefix.isascii() and prefix.isdecimal() and len(prefix) < 4 and int(prefix) <= bits):
        return None
    for first, length, reason in unusable:
        shift = bits - min(length, int(prefix))
        if number >> shift == first >> shift:
            return f"subnet '{text}' cannot be used for a network: it {reason}"
    return None


def interval_problem(nanoseconds: int) -> str | None:
    if not 0 < nanoseconds < LEAST_INTERVAL_NS:
        return None
    return "health checks less than 100 ms apart overload the host"


def restart_policy(text: str) -> tuple[str, int]:
    """Return Docker's name of a restart policy and the number behind it; ``none`` and ``any`` are Compose's words."""
    name, _, maximum = text.partition(":")
    return {"none": "no", "any": "always"}.get(name, name), int(maximum or 0)


def addresses_meet(one: str, other: str) -> bool:
    """Tell whether a port cannot be published at two addresses of the host at once.

    An empty one is all of both families.
    """
    if "" in (one, other):
        return True
    wildcards = ("0.0.0.0", "::")
    return one == other or ((":" in one) == (":" in other) and (one in wildcards or other in wildcards))


# ------------------------------------------------------------------ mounts

# Where in a container nothing may be mounted, as far as the text says it. Runtimes compare what they have opened, and
# refuse what a link of an image leads to as well; the list is runc's.

_IN_PROC = frozenset(
    "cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo sys/kernel/ns_last_pid "
    "sys/crypto/fips_enabled".split()
)
_PROC = "/proc"

MOUNT_HINT = "use another directory in the container"


def mount_problem(target: str, source: str | None = None) -> str | None:
    """Return why nothing can be mounted at ``target``; ``source`` is the directory of the host that is bound."""
    if not target.startswith("/"):
        return "the path must be absolute"
    path = _clean(target)
    if path == "/":
        return "mounting over the root directory is not allowed"
    if path == _PROC:
        is_procfs = source is not None and _clean(source) == _PROC
        return None if is_procfs else "only the host's /proc may be mounted at /proc"
    if path.startswith(f"{_PROC}/") and path.removeprefix(f"{_PROC}/") not in _IN_PROC:
        return "mounts inside /proc are not allowed"
    return None


def mount_problems(service: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield the place, the target and the reason of each mount of a canonical service that cannot be."""
    for section in ("volumes", "configs", "secrets"):
        for index, entry in enumerate(service.get(section) or ()):
            target = entry.get("target") if isinstance(entry, dict) else None
            if not isinstance(target, str) or (section != "volumes" and not target.startswith("/")):
                continue  # a name below the directory of configs or secrets
            source = entry.get("source") if entry.get("type") == "bind" else None
            reason = mount_problem(target, source if isinstance(source, str) else None)
            if reason:
                yield (section, index), target, reason
    entries = service.get("tmpfs") or ()
    for index, entry in enumerate([entries] if isinstance(entries, str) else entries):
        target = str(entry).partition(":")[0]
        reason = mount_problem(target)
        if reason:
            yield ("tmpfs", index), target, reason


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))
