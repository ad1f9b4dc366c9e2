"""What the kernel has of networks and published ports, compared with what the records say.

Others change the kernel's state too: ``nft flush ruleset``, a firewall that is loaded anew, ``ip_forward`` set to 0, a
bridge or a route that is deleted. This only reads, straight from the kernel over netlink (a millisecond or two: every
`up` looks), and says what is missing in words; `mending` puts it back. Spec: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from composer.runtime.network import addresses, firewall, firewall_rules, netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from composer.runtime.network.endpoints import Attachment

_NETFILTER = 12
_TABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_RULE, _GET_ELEMENTS = _TABLES | 7, _TABLES | 13
_INET = 1
_RULE_TABLE, _RULE_CHAIN = 1, 2
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT_KEY, _ELEMENT_DATA, _DATA_VALUE = 1, 2, 1
_LIST_ELEMENT = 1
_IFNAME_BYTES = 16


class Kernel:
    """The kernel's state in this network namespace, each part read when it is first asked for."""

    def __init__(self) -> None:
        self._links: dict[str, netlink.Link] | None = None
        self._addresses: set[tuple[int, str]] = set()
        self._routes: set[tuple[int, str]] = set()
        self._rules: dict[str, int] | None = None
        self._elements: dict[str, dict[bytes, bytes]] = {}

    def link(self, name: str) -> netlink.Link | None:
        if self._links is None:
            with netlink.Netlink() as connection:
                self._links = {link.name: link for link in connection.links()}
                self._addresses = {(one.index, f"{one.ip}/{one.prefix}") for one in connection.addresses()}
                self._routes = {(one.oif, one.dst) for one in connection.routes() if one.dst and not one.via}
        return self._links.get(name)

    def has_address(self, index: int, address: str) -> bool:
        return (index, address) in self._addresses

    def has_route(self, index: int, subnet: str) -> bool:
        return (index, subnet) in self._routes

    def rules(self) -> dict[str, int]:
        """Return how many rules each chain of our table has; empty where there is no table."""
        if self._rules is None:
            self._rules = {}
            body = _head() + netlink.attribute(_RULE_TABLE, _table())
            for rule in _dump(_GET_RULE, body):
                # older kernels do not look at the filter
                if rule.get(_RULE_TABLE, b"").rstrip(b"\0") + b"\0" == _table():
                    chain = rule[_RULE_CHAIN].rstrip(b"\0").decode()
                    self._rules[chain] = self._rules.get(chain, 0) + 1
        return self._rules

    def elements(self, name: str) -> dict[bytes, bytes]:
        """Return the elements of a set of our table, and what a map leads each to."""
        if name not in self._elements:
            body = _head() + netlink.attribute(_LIST_TABLE, _table())
            body += netlink.attribute(_LIST_SET, name.encode() + b"\0")
            found: dict[bytes, bytes] = {}
            for answer in _dump(_GET_ELEMENTS, body):
                for element in _list(answer.get(_LIST_ELEMENTS, b"")):
                    found[_value(element.get(_ELEMENT_KEY, b""))] = _value(element.get(_ELEMENT_DATA, b""))
            self._elements[name] = found
        return self._elements[name]


# ------------------------------------------------------------------ what is missing


def faults_of_network(record: Mapping[str, Any], kernel: Kernel) -> list[str]:
    """Return what the kernel lacks of a network that containers are in."""
    bridge = str(record["bridge"])
    link = kernel.link(bridge)
    if link is None:
        return [f"its bridge {bridge} is missing"]
    found = [] if link.up else [f"its bridge {bridge} is down"]
    for pool in record["pools"]:
        subnet = addresses.parse_subnet(pool["subnet"])
        if not kernel.has_address(link.index, f"{pool['gateway']}/{subnet.prefix}"):
            found.append(f"the address {pool['gateway']} of its bridge is missing")
        elif link.up and not kernel.has_route(link.index, str(pool["subnet"])):
            found.append(f"the route to {pool['subnet']} is missing")
    return [*found, *_faults_of_firewall(record, kernel), *_faults_of_forwarding(record)]


def _faults_of_firewall(record: Mapping[str, Any], kernel: Kernel) -> list[str]:
    rules = kernel.rules()
    if not rules:
        return ["the firewall table is missing"]
    if rules != firewall_rules.rules_of_chains():
        return ["firewall rules are missing"]
    bridge = firewall.bridge_of(record)
    wanted = firewall_rules.network_elements(
        bridge.name, bridge.subnet4, bridge.subnet6, bridge.internal, masquerade=bridge.masquerade
    )
    lacking = [name for name, element in wanted if _encoded(element) not in kernel.elements(name)]
    return [f"its firewall rules are missing ({', '.join(lacking)})"] if lacking else []


def _faults_of_forwarding(record: Mapping[str, Any]) -> list[str]:
    """Say which switches are off that packets of this network need. Internal ones go nowhere."""
    families = {addresses.parse_subnet(pool["subnet"]).family for pool in record["pools"]}
    wanted = [(f"net/ipv4/conf/{record['bridge']}/route_localnet", 4)]
    if not record.get("internal"):
        wanted += [("net/ipv4/ip_forward", 4), ("net/ipv6/conf/all/forwarding", 6)]
    return [
        f"{name.replace('/', '.')} is 0"
        for name, family in wanted
        if family in families and _read(f"/proc/sys/{name}") == "0"
    ]


def faults_of_ports(publications: Sequence[firewall.Publication], kernel: Kernel) -> list[str]:
    """Return which published ports are not forwarded."""
    found = []
    for one in publications:
        name, key, value = firewall_rules.port_element(
            one.protocol, one.host_ip, one.host_port, one.container_ip, one.container_port
        )
        if kernel.elements(name).get(_encoded(key, protocol_at=-2)) != _encoded(value):
            found.append(f"the published port {one.host_port}/{one.protocol} is not forwarded")
    return found


def is_connected(attachment: Attachment, record: Mapping[str, Any], kernel: Kernel) -> bool:
    """Tell whether a container's interface is in its network's bridge."""
    link, bridge = kernel.link(attachment.link), kernel.link(str(record["bridge"]))
    return link is not None and bridge is not None and link.master == bridge.index and link.up


def faults_of_container(
    name: str, attachments: Sequence[Attachment], records: Mapping[str, Mapping[str, Any]], kernel: Kernel
) -> list[str]:
    """Return which networks the interfaces of a running container are not in any more."""
    return [
        f"container {name} is disconnected from it"
        for one in attachments
        if one.network_id in records and not is_connected(one, records[one.network_id], kernel)
    ]


# ------------------------------------------------------------------ reading


def _head() -> bytes:
    return struct.pack("!BBH", _INET, 0, 0)


def _table() -> bytes:
    return firewall_rules.TABLE.partition(" ")[2].encode() + b"\0"


def _dump(kind: int, body: bytes) -> list[dict[int, bytes]]:
    try:
        with netlink.Connection(_NETFILTER) as connection:
            return connection.complete(kind, body, lambda answer: netlink.parse_attributes(answer, 4))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return []  # no such table, or no such set in it


def _list(data: bytes) -> list[dict[int, bytes]]:
    """Return the attributes of each element: they all have the same number, so a mapping would keep the last."""
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        if kind & 0x3FFF == _LIST_ELEMENT:
            found.append(netlink.parse_attributes(data[4:length], 0))
        data = data[(length + 3) & ~3 :]
    return found


def _value(data: bytes) -> bytes:
    return netlink.parse_attributes(data, 0).get(_DATA_VALUE, b"")


def _encoded(element: str, *, protocol_at: int | None = None) -> bytes:
    """Return an element of a set as the kernel has it: its parts in network order, each a multiple of four bytes.

    Of a subnet the first address: that is the key of an interval. A part alone has just its own bytes. Numbers are
    ports, but for the one of a protocol.
    """
    texts = element.split(" . ")
    parts = [_part(text) for text in texts]
    if protocol_at is not None:
        parts[protocol_at] = bytes([int(texts[protocol_at])])
    if len(parts) == 1:
        return parts[0]
    return b"".join(part.ljust((len(part) + 3) & ~3, b"\0") for part in parts)


def _part(text: str) -> bytes:
    if text.startswith('"'):
        return text.strip('"').encode().ljust(_IFNAME_BYTES, b"\0")
    if text.isdecimal():
        return struct.pack("!H", int(text))
    ip = text.partition("/")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""  # a kernel without that family
    try:
        return os.read(fd, 16).decode().strip()
    finally:
        os.close(fd)
