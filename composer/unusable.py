"""Values that Compose's loader lets pass and that no engine can use: where they are, why not, and what to write.

`composer lint` reports them; `plan`, `up` and `run` refuse them before any effect. Paths are below a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer import references
from composer.errors import ComposerError
from composer.patterns import pattern
from composer.values import HOST_HINT, addresses_meet, host_pairs, host_problem, is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CAPABILITIES = frozenset(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE ALL".split()
)
LIMITS = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
_SIGNALS = frozenset(
    "HUP INT QUIT ILL TRAP ABRT IOT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CLD CONT STOP TSTP TTIN "
    "TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS RTMIN RTMAX".split()
)
_SIGNAL = pattern(r"(?:SIG)?([A-Z0-9]+?)(?:(?<=RTMIN)\+[0-9]{1,2}|(?<=RTMAX)-[0-9]{1,2})?")
_RESTART = pattern(r"no|none|any|always|unless-stopped|on-failure(?::[0-9]{1,9})?")

Path = tuple[str | int, ...]


class Mistake(NamedTuple):
    """``reason`` is the end of a sentence, ``hint`` says what to write instead."""

    path: Path
    reason: str
    hint: str


def mistakes(service: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what of a canonical service cannot be used, in a fixed order."""
    for look in (_restart, _image, _signal, _capabilities, _limits, _dns, _hosts, _tmpfs, _health):
        yield from look(service)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def _restart(service: Mapping[str, Any]) -> Iterator[Mistake]:
    text = service.get("restart")
    if (service.get("deploy") or {}).get("restart_policy"):
        return  # that counts
    if text and not _RESTART.fullmatch(str(text)):
        reason = f"invalid restart policy '{text}'"
        yield Mistake(("restart",), reason, "use no, always, unless-stopped, on-failure or on-failure:3")


def _image(service: Mapping[str, Any]) -> Iterator[Mistake]:
    text = str(service.get("image") or "")
    if not text or service.get("provider") or references.id_prefix(text) is not None:
        return
    try:
        references.parse(text)
    except ComposerError as error:
        yield Mistake(
            ("image",), str(error), error.hint or "use a reference such as redis:7 or ghcr.io/owner/name:tag"
        )


def _signal(service: Mapping[str, Any]) -> Iterator[Mistake]:
    text = str(service.get("stop_signal") or "")
    if not text:
        return
    found = _SIGNAL.fullmatch(text.upper())
    is_number = text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 65
    if not is_number and (found is None or found[1] not in _SIGNALS):
        yield Mistake(
            ("stop_signal",), f"invalid signal '{text[:40]}'", "use a name, such as SIGTERM, or a number"
        )


def _capabilities(service: Mapping[str, Any]) -> Iterator[Mistake]:
    for key in ("cap_add", "cap_drop"):
        for index, text in enumerate(_listed(service.get(key))):
            if str(text).upper().removeprefix("CAP_") not in CAPABILITIES:
                reason = f"invalid capability '{str(text)[:40]}'"
                yield Mistake((key, index), reason, "use a name of capabilities(7), such as NET_ADMIN")


def _limits(service: Mapping[str, Any]) -> Iterator[Mistake]:
    for name in service.get("ulimits") or ():
        if str(name).lower() not in LIMITS:
            reason = f"unknown ulimit '{str(name)[:40]}'"
            yield Mistake(("ulimits", name), reason, f"must be one of {', '.join(sorted(LIMITS))}")


def _dns(service: Mapping[str, Any]) -> Iterator[Mistake]:
    for index, text in enumerate(_listed(service.get("dns"))):
        if not is_address(str(text)):
            reason = f"invalid IP address '{str(text)[:60]}'"
            yield Mistake(("dns", index), reason, "use the IP address of a name server, such as 9.9.9.9")


def _hosts(service: Mapping[str, Any]) -> Iterator[Mistake]:
    for index, (name, address) in enumerate(host_pairs(service.get("extra_hosts") or ())):
        problem = host_problem(name, address)
        if problem is not None:
            yield Mistake(("extra_hosts", index), problem, HOST_HINT)


def _tmpfs(service: Mapping[str, Any]) -> Iterator[Mistake]:
    for index, text in enumerate(_listed(service.get("tmpfs"))):
        if not str(text).startswith("/"):
            reason = f"'{str(text)[:60]}' must be an absolute path"
            yield Mistake(("tmpfs", index), reason, "start it with /, such as /run:size=64m")


def _health(service: Mapping[str, Any]) -> Iterator[Mistake]:
    check = service.get("healthcheck") or {}
    if check.get("start_interval") and not check.get("start_period") and not check.get("disable"):
        yield Mistake(
            ("healthcheck", "start_interval"),
            "healthcheck.start_interval requires healthcheck.start_period to be set",
            "set start_period too: start_interval applies only during it",
        )


# ------------------------------------------------------------------ between services


class _Port(NamedTuple):
    service: str
    position: int
    address: str
    protocol: str
    number: int


def conflicts(
    services: Mapping[str, Any], runs: Callable[[str], bool], *, ipc: str = "private"
) -> Iterator[tuple[str, Mistake]]:
    """Yield (service, mistake) where services that are to run do not fit together, in a fixed order.

    ``ipc`` is the mode of services that say none; an engine's own configuration may make it another.
    """
    yield from _same_ports(services, runs)
    yield from _private_ipc(services, runs, ipc)


def _private_ipc(
    services: Mapping[str, Any], runs: Callable[[str], bool], default: str
) -> Iterator[tuple[str, Mistake]]:
    """Yield who joins the IPC namespace of a service that keeps it for itself."""
    for service in sorted(services):
        kind, _, owner = str(services[service].get("ipc") or "").partition(":")
        if not runs(service) or kind != "service" or owner not in services:
            continue
        mode = str(services[owner].get("ipc") or default)
        if mode in ("private", "none"):
            reason = f"the IPC namespace of service '{owner}' is private"
            yield service, Mistake(("ipc",), reason, f"set 'ipc: shareable' for service '{owner}'")


def _same_ports(services: Mapping[str, Any], runs: Callable[[str], bool]) -> Iterator[tuple[str, Mistake]]:
    """Yield who publishes a port of the host that another publishes too.

    What is waited for until it has ended is a job: its port is free again for who waits.
    """
    jobs = {
        name
        for tree in services.values()
        for name, need in (tree.get("depends_on") or {}).items()
        if (need or {}).get("condition") == "service_completed_successfully"
    }
    seen: list[_Port] = []
    for service in sorted(services):
        if not runs(service) or service in jobs:
            continue
        for port in _fixed(service, services[service]):
            for other in seen:
                if other.service != service and _is_same(port, other):
                    reason = f"host port {port.number} is also published by service '{other.service}'"
                    hint = "use another host port, or another address of the host"
                    yield service, Mistake(("ports", port.position), reason, hint)
                    break
            seen.append(port)


def _fixed(service: str, tree: Mapping[str, Any]) -> Iterator[_Port]:
    if tree.get("network_mode") and tree["network_mode"] not in ("bridge", "default"):
        return  # its ports are not published: it has the network of the host, of another, or none
    for index, port in enumerate(tree.get("ports") or ()):
        text = str(port.get("published") or "")
        if text.isascii() and text.isdecimal() and text != "0":
            address, protocol = str(port.get("host_ip") or ""), str(port.get("protocol") or "tcp")
            yield _Port(service, index, address, protocol, int(text))


def _is_same(one: _Port, other: _Port) -> bool:
    if (one.protocol, one.number) != (other.protocol, other.number):
        return False
    return addresses_meet(one.address, other.address)
