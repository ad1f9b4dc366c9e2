"""Forget UDP flows whose translation is out of date.

The kernel translates a flow as its first packet was, for as long as packets come. So a client that keeps its
UDP port would go on being led to a container that is gone, or past a port that was published since: the
entries of both have to be deleted when a port changes. TCP needs none of this: a new connection is a new
flow. Spec: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
import struct

from composer.runtime.network import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_NETFILTER = 12
_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2
_ORIGINAL, _REPLY, _ID, _ZONE = 1, 2, 12, 18
_TUPLE_IP, _TUPLE_PROTOCOL, _PROTOCOL_NUMBER, _DESTINATION_PORT = 1, 2, 1, 3
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)  # CTA_IP_V4_*, CTA_IP_V6_*
_UDP = 17
_ENOENT = 2


def forget_udp(ports: Collection[int], container_ips: Collection[str]) -> int:
    """Delete the UDP flows to these ports of this host, or answered by these addresses; return how many they
    were.

    In the network namespace of the calling thread. Raises OSError where the kernel has no conntrack over
    netlink.
    """
    with netlink.Netlink() as routes:
        host = {_pack(address.ip) for address in routes.addresses()}
    wanted = {struct.pack("!H", port) for port in ports}
    addresses = {_pack(ip) for ip in container_ips}
    gone = 0
    with netlink.Connection(_NETFILTER) as connection:
        for family in sorted({socket.AF_INET if len(one) == 4 else socket.AF_INET6 for one in addresses}):
            head = struct.pack("!BBH", family, 0, 0)
            entries = connection.complete(_GET, head, lambda body: netlink.parse_attributes(body, 4))
            for entry in entries:
                if _concerns(entry, wanted, host, addresses):
                    gone += _delete(connection, head, entry)
    return gone


def _concerns(entry: dict[int, bytes], ports: set[bytes], host: set[bytes], containers: set[bytes]) -> bool:
    original = netlink.parse_attributes(entry.get(_ORIGINAL, b""), 0)
    protocol = netlink.parse_attributes(original.get(_TUPLE_PROTOCOL, b""), 0)
    if protocol.get(_PROTOCOL_NUMBER) != bytes([_UDP]):
        return False
    if protocol.get(_DESTINATION_PORT) in ports and _address(original, _DESTINATIONS) in host:
        return True
    reply = netlink.parse_attributes(entry.get(_REPLY, b""), 0)
    return _address(reply, _SOURCES) in containers


def _address(tuple_: dict[int, bytes], kinds: tuple[int, int]) -> bytes | None:
    ip = netlink.parse_attributes(tuple_.get(_TUPLE_IP, b""), 0)
    return ip.get(kinds[0]) or ip.get(kinds[1])


def _pack(ip: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def _delete(connection: netlink.Connection, head: bytes, entry: dict[int, bytes]) -> int:
    body = head + netlink.nested(_ORIGINAL, entry[_ORIGINAL])
    for kind in (_ID, _ZONE):
        if kind in entry:
            body += netlink.attribute(kind, entry[kind])
    try:
        connection.call(_DELETE, 0, body, "cannot remove a UDP flow from the connection table")
    except OSError as error:
        if error.errno != _ENOENT:  # it ended by itself
            raise
        return 0
    return 1
