"""A fault as rules of nftables, to be run in the container's network namespace. One table for each fault."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.faults.wishes import Wish

_EARLY = -310
"""Before connection tracking (-200), and before what Docker Engine rewrites for its name server."""
_PARTS = 10_000
_QUESTION_BITS = 160
"""Where the name begins in a query: behind UDP's header and DNS's (RFC 1035, 4.1)."""
_CHUNK_BYTES = 16


def table_of(id: str) -> str:
    return f"inet composer_fault_{id}"


def added(wish: Wish, *, relay_port: int = 0) -> str:
    """Return the commands that make a fault; empty for one that has no rules."""
    maker = _MAKERS.get(wish.kind)
    return maker(wish, relay_port) if maker is not None else ""


def removed(wish: Wish) -> str:
    return f"delete table {table_of(wish.id)}\n" if wish.kind in _MAKERS else ""


def _filter(wish: Wish, inbound: list[str], outbound: list[str]) -> str:
    table = table_of(wish.id)
    lines = [f"add table {table}"]
    for hook, rules in (("input", inbound), ("output", outbound)):
        if rules:
            lines.append(
                f"add chain {table} {hook} {{ type filter hook {hook} priority {_EARLY}; policy accept; }}"
            )
            lines += [f"add rule {table} {hook} {rule}" for rule in rules]
    return "\n".join(lines) + "\n"


def _partition(wish: Wish, _: int) -> str:
    inbound, outbound = [], []
    for address in wish.values["addresses"]:
        family = "ip6" if ":" in address else "ip"
        inbound.append(f"{family} saddr {address} drop")
        outbound.append(f"{family} daddr {address} drop")
    return _filter(wish, inbound, outbound)


def _loss(wish: Wish, _: int) -> str:
    share = max(1, round(float(wish.values["percent"]) / 100 * _PARTS))
    which = f"numgen random mod {_PARTS} < {share} " if share < _PARTS else ""
    rule = f'meta iifname != "lo" {which}drop'
    return _filter(wish, [rule], [rule.replace("iifname", "oifname")])


def _refuse(wish: Wish, _: int) -> str:
    port, protocol = int(wish.values["port"]), wish.values["protocol"]
    how = "reject with tcp reset" if protocol == "tcp" else "reject with icmpx type port-unreachable"
    return _filter(wish, [f"{protocol} dport {port} {how}"], [])


def _dns_fail(wish: Wish, _: int) -> str:
    """Match the query's name byte by byte, at its begin: names below it do not match, for its end is matched too."""
    labels = str(wish.values["name"]).lower().split(".")
    wire = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    parts = [
        f"@th,{_QUESTION_BITS + 8 * at},{8 * len(wire[at : at + _CHUNK_BYTES])} 0x{wire[at : at + _CHUNK_BYTES].hex()}"
        for at in range(0, len(wire), _CHUNK_BYTES)
    ]
    return _filter(wish, [], [f"udp dport 53 {' '.join(parts)} reject with icmpx type port-unreachable"])


def _relayed(wish: Wish, relay_port: int) -> str:
    """Lead connections from outside to the relay; its own come from inside, and go where they want."""
    table = table_of(wish.id)
    ports = wish.values.get("ports") or ()
    which = f"tcp dport {{ {', '.join(map(str, ports))} }}" if ports else f"tcp dport != {relay_port}"
    chain = f"add chain {table} prerouting {{ type nat hook prerouting priority -110; policy accept; }}"
    return f"add table {table}\n{chain}\nadd rule {table} prerouting {which} redirect to :{relay_port}\n"


_MAKERS = {
    "partition": _partition,
    "loss": _loss,
    "refuse": _refuse,
    "dns_fail": _dns_fail,
    "delay": _relayed,
    "slow_close": _relayed,
    "reset_peer": _relayed,
}


def new_id() -> str:
    return f"{random.SystemRandom().getrandbits(48):012x}"
