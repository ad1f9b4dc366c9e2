"""What a fault is: a record that goes to the agent as JSON."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS_NETEM = ("duplicate", "corrupt")


class Wish(NamedTuple):
    """One fault of one container, which is known by a process in it.

    ``values`` are the kind's: ``addresses`` (partition), ``percent`` (loss), ``port`` and ``protocol`` (refuse),
    ``name`` (dns_fail), ``bytes_per_s`` (bandwidth), ``path`` (disk_full); ``ports``, ``ms`` and ``jitter_ms`` (delay,
    slow_close, reset_peer).
    """

    id: str
    kind: str
    project: str
    service: str
    container: str
    pid: int
    values: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.service}: {self.effect}"

    @property
    def effect(self) -> str:
        """What the service meets, in words."""
        return _WORDS[self.kind](self.values)


def _ms(values: dict[str, Any]) -> str:
    jitter = f" ± {values['jitter_ms']:g}" if values.get("jitter_ms") else ""
    return f"{values['ms']:g}{jitter} ms"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "partition": lambda values: f"no packets from and to {', '.join(values['names'])}",
    "loss": lambda values: f"{values['percent']:g} % of packets lost",
    "refuse": lambda values: f"port {values['port']}/{values['protocol']} refuses connections",
    "dns_fail": lambda values: f"name {values['name']} is not resolved",
    "bandwidth": lambda values: f"sends at most {values['bytes_per_s']} bytes per second",
    "delay": lambda values: f"answers late by {_ms(values)}",
    "slow_close": lambda values: f"connections are closed late by {_ms(values)}",
    "reset_peer": lambda values: f"connections are reset after {_ms(values)}",
    "disk_full": lambda values: f"no space left at {values['path']}",
    "oom": lambda values: "out of memory",
}


def check(kind: str, values: dict[str, Any]) -> None:
    """Raise ProjectError for values that mean nothing."""
    if kind in NEEDS_NETEM:
        raise errors.Unsupported(
            kind,
            f"fault '{kind}' needs the kernel module sch_netem, which is not used here",
            hint="use loss, delay or reset_peer",
        )
    if "percent" in values and not 0 < float(values["percent"]) <= 100:
        raise _wrong("percent", values["percent"], "more than 0, at most 100")
    if "ms" in values and not 0 <= float(values["ms"]) <= 3_600_000:
        raise _wrong("ms", values["ms"], "from 0 to 3600000")
    if "port" in values and not 0 < int(values["port"]) < 65536:
        raise _wrong("port", values["port"], "from 1 to 65535")
    if "bytes_per_s" in values and not 1024 <= int(values["bytes_per_s"]) < 1 << 40:
        raise _wrong("rate", values["bytes_per_s"], "at least 1024 bytes per second")
    if kind == "partition" and not values["addresses"]:
        raise errors.ProjectError(
            "cannot partition services: the other side has no address", hint="start it with stack.up()"
        )
    for address in values.get("addresses", ()):
        ipaddress.ip_address(address)
    if kind == "dns_fail" and not _is_name(values["name"]):
        raise _wrong("name", values["name"], "a host name of letters, digits, '-', '_' and '.'")


def _is_name(name: str) -> bool:
    parts = name.split(".")
    return len(name) < 100 and all(
        0 < len(part) < 64 and part.replace("-", "").replace("_", "").isalnum() and part.isascii()
        for part in parts
    )


def _wrong(what: str, value: object, range_: str) -> errors.ProjectError:
    return errors.ProjectError(f"invalid {what} of a fault: {value}", hint=f"use {range_}")
