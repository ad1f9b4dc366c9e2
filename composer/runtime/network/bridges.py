"""A network's bridge, made or completed: whatever of it is missing, for the first time or after somebody took it.

Under the host lock. A bridge that is up is complete: that comes last.
"""

from __future__ import annotations

import os

from composer.runtime.network import addresses, firewall, firewall_rules, netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_MAX_ALIAS_BYTES = 255


def raise_up(record: Mapping[str, Any], directory: str, links: Sequence[str] = ()) -> None:
    """Make everything of a network that is not there. ``directory`` is its record's, ``links`` of who is in it."""
    bridge = record["bridge"]
    with netlink.Netlink() as connection:
        index = connection.link_index(bridge)
        if index is None:
            index = connection.create_bridge(bridge, mtu=record.get("mtu"), up=False)
            if len(os.fsencode(directory)) <= _MAX_ALIAS_BYTES:
                connection.set_alias(
                    index, directory
                )  # who else looks for leftovers sees by it that this is none
            _announce(bridge)
        for pool in record["pools"]:
            prefix = addresses.parse_subnet(pool["subnet"]).prefix
            try:
                connection.add_address(index, pool["gateway"], prefix)
            except FileExistsError:
                continue  # it has it, from a command that was killed
        for name in links:
            _join(connection, name, index, isolated=bool(record.get("isolated")))
        wall = firewall.Firewall()
        if wall.exists():
            from composer.runtime.network import integrity

            if integrity.Kernel().rules() != firewall_rules.rules_of_chains():
                wall.restore()
        wall.add_network(firewall.bridge_of(record))
        connection.set_up(index)
        _lead(connection, record, index)


def _join(connection: netlink.Netlink, name: str, bridge: int, *, isolated: bool) -> None:
    """Put the host's end of a container's interface back into its bridge."""
    index = connection.link_index(name)
    if index is None:
        return
    connection.set_master(index, bridge)
    connection.set_hairpin(index, True)
    if isolated:
        connection.set_isolated(index, True)
    connection.set_up(index)


def _lead(connection: netlink.Netlink, record: Mapping[str, Any], index: int) -> None:
    """Add the routes to the network's subnets that somebody took away: the kernel makes them with the address only."""
    there = {(route.oif, route.dst) for route in connection.routes()}
    for pool in record["pools"]:
        if (index, pool["subnet"]) not in there:
            try:
                connection.add_route(pool["subnet"], oif=index)
            except FileExistsError:
                continue  # by another way: what that is for is not ours to say


def _announce(bridge: str) -> None:
    """Let a new bridge announce its address: containers may have the address of its predecessor cached."""
    for path in (f"ipv4/conf/{bridge}/arp_notify", f"ipv6/conf/{bridge}/ndisc_notify"):
        try:
            with open(f"/proc/sys/net/{path}", "w", encoding="utf-8") as file:
                file.write("1")
        except FileNotFoundError:
            continue  # a kernel without that family
