"""rtnetlink in as few messages as the runtime needs: bridges, veth pairs, addresses and routes.

Knows the kernel's wire format (rtnetlink(7), linux/if_link.h) and nothing of Compose, of containers or of
names. A socket belongs to the network namespace in which it was opened and stays there. What the kernel
refuses is an OSError with its errno and, where the kernel gave one, its own words (extended acknowledgement).
"""

from __future__ import annotations

import errno
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

_NLMSG = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_IFINFO = struct.Struct("=BxHiII")  # family, device type, index, flags, change
_IFADDR = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst bits, src bits, tos, table, protocol, scope, type, flags
_RTATTR = struct.Struct("=HH")

_ROUTE = 0
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_DUMP_INTERRUPTED, _CAPPED, _ACK_TLVS = 0x10, 0x100, 0x200
_ERROR, _DONE = 2, 3
_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26

_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO = 1, 3, 4, 10, 12
_IFLA_LINKINFO, _IFLA_NET_NS_PID, _IFLA_IFALIAS, _IFLA_NET_NS_FD = 18, 19, 20, 28
_IFLA_GROUP = 27
_OWN_GROUPS = 1 << 30
"""Groups from here on, by chance, are ours for a moment; those of administrators are small numbers."""
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_BRPORT_HAIRPIN, _BRPORT_ISOLATED = 4, 33
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_EXTACK_TEXT = 1
_IFF_UP = 1
_IFA_F_NODAD, _IFA_F_PERMANENT = 0x02, 0x80
_TABLE_MAIN, _TABLE_LOCAL = 254, 255
_PROTOCOL_BOOT, _SCOPE_LINK, _TYPE_UNICAST, _RTNH_ONLINK = 3, 253, 1, 4

_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_RECEIVE_BYTES = 1 << 16
_DUMP_ATTEMPTS = 5


class Link:
    """A network interface.

    ``master`` is the bridge's index or 0, ``kind`` is ``bridge``, ``veth``, … or empty; ``alias`` is
    what whoever made it wrote beside it.
    """

    __slots__ = ("alias", "index", "kind", "mac", "master", "mtu", "name", "up")

    def __init__(
        self, index: int, name: str, kind: str, mac: str, mtu: int, master: int, up: bool, alias: str = ""
    ) -> None:
        self.index = index
        self.name = name
        self.kind = kind
        self.mac = mac
        self.mtu = mtu
        self.master = master
        self.up = up
        self.alias = alias


class Address:
    """An address of an interface: ``ip`` as text, ``prefix`` in bits."""

    __slots__ = ("index", "ip", "prefix")

    def __init__(self, index: int, ip: str, prefix: int) -> None:
        self.index = index
        self.ip = ip
        self.prefix = prefix


class Route:
    """A route. ``dst`` is ``address/prefix``, or None for a default route.

    ``oif`` is 0 where there is none.
    """

    __slots__ = ("dst", "family", "metric", "oif", "table", "via")

    def __init__(
        self, family: int, dst: str | None, via: str | None, oif: int, metric: int, table: int
    ) -> None:
        self.family = family
        self.dst = dst
        self.via = via
        self.oif = oif
        self.metric = metric
        self.table = table


class Connection:
    """A netlink socket in the network namespace of the calling thread. For one thread at a time."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        try:
            self._socket.bind((0, 0))
            # Without CAP_ACK an error carries the whole request again; EXT_ACK adds the kernel's reason.
            self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the socket; closing twice is allowed."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def dump(self, kind: int, payload: bytes) -> Iterator[bytes]:
        """Send a dump request and yield the payload of each answer.

        Raises InterruptedError if they are inconsistent.
        """
        sequence = self._send(kind, _DUMP, payload)
        interrupted = False
        while True:
            for answer, flags, body in self._receive(sequence):
                interrupted = interrupted or bool(flags & _DUMP_INTERRUPTED)
                if answer in (_DONE, _ERROR):
                    _check(body, flags, f"cannot list (netlink message {kind})", done=answer == _DONE)
                    if interrupted:
                        raise InterruptedError("the list changed while it was read from the kernel")
                    return
                yield body

    def complete(self, kind: int, payload: bytes, parse: Callable[[bytes], Any]) -> list[Any]:
        """Return the parsed answers to a dump request that no change interrupted."""
        # A dump that a change interrupted may lack entries (NLM_F_DUMP_INTR): read it again.
        for attempt in range(_DUMP_ATTEMPTS):
            try:
                return [parse(body) for body in self.dump(kind, payload)]
            except InterruptedError:
                if attempt == _DUMP_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def call(self, kind: int, flags: int, body: bytes, what: str) -> None:
        """Send a request and wait for its acknowledgement. ``what`` begins the error's message."""
        sequence = self._send(kind, flags | _ACK, body)
        while True:
            for answer, answer_flags, payload in self._receive(sequence):
                if answer == _ERROR:
                    _check(payload, answer_flags, what)
                    return

    def _send(self, kind: int, flags: int, body: bytes) -> int:
        self._sequence += 1
        head = _NLMSG.pack(_NLMSG.size + len(body), kind, flags | _REQUEST, self._sequence, 0)
        self._socket.sendto(head + body, (0, 0))
        return self._sequence

    def _receive(self, sequence: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield (type, flags, payload) of one datagram's messages that answer ``sequence``, not older ones."""
        while True:
            data = self._socket.recv(_RECEIVE_BYTES)
            found = False
            offset = 0
            while offset + _NLMSG.size <= len(data):
                length, kind, flags, answered, _ = _NLMSG.unpack_from(data, offset)
                if length < _NLMSG.size:
                    raise OSError(71, "truncated netlink response from the kernel")  # EPROTO
                if answered == sequence:
                    found = True
                    yield kind, flags, data[offset + _NLMSG.size : offset + length]
                offset += (length + 3) & ~3
            if found:
                return


class Netlink(Connection):
    """A NETLINK_ROUTE socket."""

    def __init__(self) -> None:
        super().__init__(_ROUTE)

    # -------------------------------------------------------------- interfaces

    def create_bridge(
        self, name: str, *, mac: str | None = None, mtu: int | None = None, up: bool = True
    ) -> int:
        """Create a bridge and return its index. Raises FileExistsError when the name is taken."""
        body = _IFINFO.pack(0, 0, 0, _IFF_UP if up else 0, _IFF_UP) + _name(name)
        body += _identity(mac, mtu) + nested(_IFLA_LINKINFO, _text(_INFO_KIND, "bridge"))
        self.call(_NEWLINK, _CREATE | _EXCL, body, f"cannot create bridge '{name}'")
        return self._required_index(name)

    def create_veth(
        self,
        host_name: str,
        *,
        master_index: int,
        peer_name: str,
        peer_netns_pid: int | None = None,
        peer_netns_fd: int | None = None,
        peer_mac: str | None = None,
        mtu: int | None = None,
        hairpin: bool = False,
    ) -> int:
        """Create a veth pair with the host end up and in the bridge; return the host end's index.

        The peer appears in the target namespace at once, down: address it and set it up in there. One
        message, and a second for ``hairpin`` (frames may leave by the bridge port that they came from).
        """
        if (peer_netns_pid is None) == (peer_netns_fd is None):
            raise ValueError("a veth peer needs a pid or a descriptor of its network namespace")
        peer = _IFINFO.pack(0, 0, 0, 0, 0) + _name(peer_name) + _identity(peer_mac, mtu)
        if peer_netns_pid is not None:
            peer += _number(_IFLA_NET_NS_PID, peer_netns_pid)
        elif peer_netns_fd is not None:
            peer += _number(_IFLA_NET_NS_FD, peer_netns_fd)
        body = _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP) + _name(host_name) + _identity(None, mtu)
        body += _number(_IFLA_MASTER, master_index) if master_index else b""
        data = nested(_INFO_DATA, attribute(_VETH_PEER, peer))
        body += nested(_IFLA_LINKINFO, _text(_INFO_KIND, "veth") + data)
        self.call(_NEWLINK, _CREATE | _EXCL, body, f"cannot create interface '{host_name}'")
        index = self._required_index(host_name)
        if hairpin:
            self.set_hairpin(index, True)
        return index

    def set_up(self, index: int) -> None:
        """Set an interface up."""
        self._change(index, b"", flags=_IFF_UP, change=_IFF_UP)

    def set_down(self, index: int) -> None:
        """Set an interface down."""
        self._change(index, b"", change=_IFF_UP)

    def rename(self, index: int, name: str) -> None:
        """Rename an interface; it must be down on kernels before 6.2."""
        self._change(index, _name(name))

    def set_master(self, index: int, master_index: int) -> None:
        """Put an interface into a bridge; 0 takes it out."""
        self._change(index, _number(_IFLA_MASTER, master_index))

    def set_alias(self, index: int, alias: str) -> None:
        """Write beside an interface what it is for, in at most 255 bytes."""
        self._change(index, _text(_IFLA_IFALIAS, alias))

    def set_mac(self, index: int, mac: str) -> None:
        """Give an interface a hardware address."""
        self._change(index, attribute(_IFLA_ADDRESS, _mac_bytes(mac)))

    def set_hairpin(self, index: int, on: bool) -> None:
        """Let a bridge port send frames back to where they came from."""
        body = _IFINFO.pack(socket.AF_BRIDGE, 0, index, 0, 0)
        body += nested(_IFLA_PROTINFO, attribute(_BRPORT_HAIRPIN, b"\x01" if on else b"\x00"))
        self.call(_SETLINK, 0, body, f"cannot set hairpin mode of interface {index}")

    def set_isolated(self, index: int, on: bool) -> None:
        """Keep a bridge port from those that are isolated too; the bridge itself can be reached."""
        body = _IFINFO.pack(socket.AF_BRIDGE, 0, index, 0, 0)
        body += nested(_IFLA_PROTINFO, attribute(_BRPORT_ISOLATED, b"\x01" if on else b"\x00"))
        self.call(_SETLINK, 0, body, f"cannot isolate interface {index}")

    def delete_link(self, index: int) -> None:
        """Delete an interface. Raises OSError(ENODEV) when it is gone."""
        self.call(_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0), f"cannot delete interface {index}")

    def delete_links(self, indices: Sequence[int]) -> None:
        """Delete interfaces together, in the time of one: the kernel waits once for all processors to have seen it.

        They get a group that nobody else has; one that is gone meanwhile is no error.
        """
        group = _OWN_GROUPS | int.from_bytes(os.urandom(4), "big") >> 2
        marked = []
        for index in indices if len(indices) > 1 else ():
            try:
                self._change(index, _number(_IFLA_GROUP, group))
                marked.append(index)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
        try:
            if marked:
                body = _IFINFO.pack(0, 0, 0, 0, 0) + _number(_IFLA_GROUP, group)
                self.call(_DELLINK, 0, body, f"cannot delete interfaces {', '.join(map(str, marked))}")
            elif len(indices) == 1:
                self.delete_link(indices[0])
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise

    def link_index(self, name: str) -> int | None:
        """Return the index of an interface, or None when there is none of that name."""
        try:
            return self._required_index(name)
        except OSError as error:
            if error.errno == 19:  # ENODEV
                return None
            raise

    def links(self) -> list[Link]:
        """Return every interface of the namespace."""
        return self.complete(_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0), _parse_link)

    # -------------------------------------------------------------- addresses and routes

    def add_address(self, index: int, ip: str, prefix: int) -> None:
        """Give an interface an IPv4 or IPv6 address. IPv6 ones skip duplicate address detection."""
        family, packed = _pack_ip(ip)
        # Detection would keep an IPv6 address unusable for about a second; our leases are unique already.
        flags = _IFA_F_PERMANENT | (_IFA_F_NODAD if family == socket.AF_INET6 else 0)
        body = _IFADDR.pack(family, prefix, flags, 0, index)
        body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
        if family == socket.AF_INET and prefix < 31:
            last = int.from_bytes(packed, "big") | ((1 << (32 - prefix)) - 1)
            body += attribute(_IFA_BROADCAST, last.to_bytes(4, "big"))
        self.call(_NEWADDR, _CREATE | _EXCL, body, f"cannot add address '{ip}/{prefix}'")

    def addresses(self) -> list[Address]:
        """Return every address of the namespace, IPv4 and IPv6."""
        return self.complete(_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0), _parse_address)

    def add_route(self, dst: str | None, *, via: str | None = None, oif: int = 0, metric: int = 0) -> None:
        """Add a route to ``address/prefix``.

        ``dst`` None is the default route of ``via``'s family (IPv4 without).
        """
        body = _route(dst, via, oif, metric)
        self.call(_NEWROUTE, _CREATE | _EXCL, body, f"cannot add route to '{dst or 'default'}'")

    def delete_route(self, dst: str | None, *, via: str | None = None, oif: int = 0) -> None:
        """Delete a route that `add_route` made with the same arguments. Raises ProcessLookupError without one."""
        self.call(_DELROUTE, 0, _route(dst, via, oif, 0), f"cannot delete route to '{dst or 'default'}'")

    def routes(self) -> list[Route]:
        """Return the unicast routes of all tables but ``local``, IPv4 and IPv6."""
        body = _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)
        found: list[Route | None] = self.complete(_GETROUTE, body, _parse_route)
        return [route for route in found if route is not None]

    def _required_index(self, name: str) -> int:
        sequence = self._send(_GETLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + _name(name))
        for answer, flags, body in self._receive(sequence):
            if answer == _NEWLINK:
                index: int = _IFINFO.unpack_from(body)[2]
                return index
            _check(body, flags, f"cannot find interface '{name}'")
        raise OSError(19, f"cannot find interface '{name}': no response")

    def _change(self, index: int, attributes: bytes, *, flags: int = 0, change: int = 0) -> None:
        body = _IFINFO.pack(0, 0, index, flags, change) + attributes
        self.call(_NEWLINK, 0, body, f"cannot change interface {index}")


# ------------------------------------------------------------------ encoding


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded."""
    return _RTATTR.pack(4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, value: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, value)


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode(errors="surrogateescape") + b"\0")


def _route(dst: str | None, via: str | None, oif: int, metric: int) -> bytes:
    family: int = socket.AF_INET
    bits, body = 0, b""
    if via is not None:
        family, gateway = _pack_ip(via)
        body += attribute(_RTA_GATEWAY, gateway)
    if dst is not None:
        ip, _, prefix = dst.partition("/")
        family, packed = _pack_ip(ip)
        bits = int(prefix) if prefix else len(packed) * 8
        body = attribute(_RTA_DST, packed) + body
    body += _number(_RTA_OIF, oif) if oif else b""
    body += _number(_RTA_PRIORITY, metric) if metric else b""
    scope = _SCOPE_LINK if via is None and family == socket.AF_INET else 0
    head = _RTMSG.pack(family, bits, 0, 0, _TABLE_MAIN, _PROTOCOL_BOOT, scope, _TYPE_UNICAST, 0)
    return head + body


def _name(name: str) -> bytes:
    if not 0 < len(name.encode()) < 16:
        raise ValueError(f"invalid interface name '{name}': must be 1 to 15 bytes")
    return _text(_IFLA_IFNAME, name)


def _identity(mac: str | None, mtu: int | None) -> bytes:
    attributes = b"" if mac is None else attribute(_IFLA_ADDRESS, _mac_bytes(mac))
    return attributes if mtu is None else attributes + _number(_IFLA_MTU, mtu)


def _mac_bytes(mac: str) -> bytes:
    raw = bytes.fromhex(mac.replace(":", "").replace("-", ""))
    if len(raw) != 6:
        raise ValueError(f"invalid hardware address '{mac}': must be six bytes")
    return raw


def _pack_ip(ip: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        return family, socket.inet_pton(family, ip)
    except OSError:
        raise ValueError(f"invalid IP address '{ip}'") from None


# ------------------------------------------------------------------ decoding


def parse_attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes from ``offset`` on by type, without its flags; of several the last."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(body):
        length, kind = _RTATTR.unpack_from(body, offset)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _u32(attributes: dict[int, bytes], kind: int, default: int = 0) -> int:
    value = attributes.get(kind)
    return struct.unpack_from("=I", value)[0] if value and len(value) >= 4 else default


def _string(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode(errors="surrogateescape")


def _ip(value: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    attributes = parse_attributes(body, _IFINFO.size)
    info = parse_attributes(attributes.get(_IFLA_LINKINFO, b""), 0)
    return Link(
        index,
        _string(attributes.get(_IFLA_IFNAME, b"")),
        _string(info.get(_INFO_KIND, b"")),
        attributes.get(_IFLA_ADDRESS, b"").hex(":"),
        _u32(attributes, _IFLA_MTU),
        _u32(attributes, _IFLA_MASTER),
        bool(flags & _IFF_UP),
        _string(attributes.get(_IFLA_IFALIAS, b"")),
    )


def _parse_address(body: bytes) -> Address:
    _, prefix, _, _, index = _IFADDR.unpack_from(body)
    attributes = parse_attributes(body, _IFADDR.size)
    # On a point-to-point link IFA_ADDRESS is the other end; ours is IFA_LOCAL, which IPv6 may leave out.
    return Address(index, _ip(attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]), prefix)


def _parse_route(body: bytes) -> Route | None:
    family, bits, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(body)
    attributes = parse_attributes(body, _RTMSG.size)
    table = _u32(attributes, _RTA_TABLE, table)
    if table == _TABLE_LOCAL or kind != _TYPE_UNICAST or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    dst = attributes.get(_RTA_DST)
    via = attributes.get(_RTA_GATEWAY)
    return Route(
        family,
        f"{_ip(dst)}/{bits}" if dst else None,
        _ip(via) if via else None,
        _u32(attributes, _RTA_OIF),
        _u32(attributes, _RTA_PRIORITY),
        table,
    )


def _check(body: bytes, flags: int, what: str, *, done: bool = False) -> None:
    """Raise what an NLMSG_ERROR (or the code in NLMSG_DONE) says; 0 is success."""
    code = struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if code >= 0:
        return
    reason = os.strerror(-code)
    if flags & _ACK_TLVS and not done:
        # The failed request's header precedes the attributes, and its body too unless CAP_ACK cut it.
        length = _NLMSG.unpack_from(body, 4)[0]
        offset = 4 + (_NLMSG.size if flags & _CAPPED else (length + 3) & ~3)
        text = _string(parse_attributes(body, offset).get(_EXTACK_TEXT, b""))
        reason = f"{reason} ({text})" if text else reason
    raise OSError(-code, f"{what}: {reason}")
