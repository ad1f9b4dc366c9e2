"""Docker-compatible name resolution without a socket: packets in, packets or a verdict out.

`Zone` holds the names that can be seen from some networks; `Zone.answer` returns a reply, or None where the
question has to go to an upstream server. Never raises on what came from a network. Spec: RFC 1035, 2308,
6891; the rules are Docker's: TTL 600, a known name without such a record is an empty NOERROR and never
forwarded.
"""

from __future__ import annotations

import socket
import struct

from composer.runtime.network.resolv_conf import ResolvConf as ResolvConf
from composer.runtime.network.resolv_conf import container_resolv_conf as container_resolv_conf
from composer.runtime.network.resolv_conf import host_resolv_conf as host_resolv_conf
from composer.runtime.network.resolv_conf import parse_resolv_conf as parse_resolv_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

A, PTR, MX, TXT, AAAA, SRV, OPT, ANY = 1, 12, 15, 16, 28, 33, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
TTL_S = 600

_HEADER = struct.Struct("!HHHHHH")  # id, flags, questions, answers, authorities, additionals
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, data length; a name precedes it
_IN, _ANY_CLASS = 1, 255
_QR, _OPCODE, _TC, _RD, _RA, _CD = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080, 0x0010
_POINTER_TO_QUESTION = b"\xc0\x0c"
_PLAIN_SIZE, _LARGEST_SIZE = 512, 4096
_OUR_OPT = b"\0" + _RECORD.pack(OPT, _LARGEST_SIZE, 0, 0)
_MAX_NAME, _MAX_LABEL = 255, 63


class Query:
    """A parsed question.

    ``name`` is lower case, without the final dot; ``size`` is what a UDP answer may have, in bytes.
    ``question`` is as it came, since some resolvers check the case of what comes back.
    """

    __slots__ = ("edns", "flags", "id", "name", "qclass", "qtype", "question", "size")

    def __init__(
        self, id: int, flags: int, name: str, qtype: int, qclass: int, question: bytes, size: int, edns: bool
    ) -> None:
        self.id = id
        self.flags = flags
        self.name = name
        self.qtype = qtype
        self.qclass = qclass
        self.question = question
        self.size = size
        self.edns = edns


def parse_query(packet: bytes) -> Query | None:
    """Return the question of a packet; None when it is not a query, or not one that can be understood."""
    if len(packet) < _HEADER.size:
        return None
    id, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if flags & (_QR | _OPCODE) or questions != 1:
        return None
    found = _read_name(packet, _HEADER.size)
    if found is None or found[1] + 4 > len(packet):
        return None
    name, end = found
    qtype, qclass = struct.unpack_from("!HH", packet, end)
    question = packet[_HEADER.size : end + 4]
    size = _edns_size(packet, end + 4, answers + authorities + additionals)
    return Query(id, flags, name, qtype, qclass, question, size or _PLAIN_SIZE, size is not None)


def refuse(packet: bytes, code: int) -> bytes | None:
    """Return a reply to a query with that response code and no answer; None when the packet is no query."""
    query = parse_query(packet)
    if query is not None:
        return _reply(query, code, [])
    if len(packet) < _HEADER.size:
        return None
    id, flags = struct.unpack_from("!HH", packet)
    if flags & _QR:
        return None  # never answer an answer: two servers would go on for ever
    return _HEADER.pack(id, _QR | (flags & (_OPCODE | _RD)) | _RA | code, 0, 0, 0, 0)


def truncate(packet: bytes, size: int) -> bytes:
    """Return an answer that fits into ``size`` bytes: itself, or its header and question with TC set."""
    if len(packet) <= size or len(packet) < _HEADER.size:
        return packet
    id, flags, questions, *_ = _HEADER.unpack_from(packet)
    found = _read_name(packet, _HEADER.size) if questions == 1 else None
    question = b"" if found is None else packet[_HEADER.size : found[1] + 4]
    if len(question) + _HEADER.size > size:
        question = b""
    return _HEADER.pack(id, flags | _TC, 1 if question else 0, 0, 0, 0) + question


class Zone:
    """The names that can be seen from some networks.

    Networks are searched in the order in which they first got an endpoint, and the first that knows a name
    answers. ``shuffle`` changes a list of addresses in place; the default turns it by one with every answer.
    """

    def __init__(self, shuffle: Callable[[list[bytes]], None] | None = None) -> None:
        self._shuffle = shuffle or self._turn
        self._turns = 0
        self._networks: dict[str, _Network] = {}

    def set_endpoint(self, network: str, key: str, names: Iterable[str], addresses: Iterable[str]) -> None:
        """Let ``names`` on ``network`` lead to ``addresses``; an earlier entry of ``key`` (the container's id) goes.

        The first name is the one that PTR answers give, as ``name.network``. Raises ValueError for what is no
        address.
        """
        folded = tuple(name.lower().rstrip(".") for name in names)
        packed = tuple(_pack(address) for address in addresses)
        self._networks.setdefault(network.lower(), _Network(network)).set(key, folded, packed)

    def remove_endpoint(self, network: str, key: str) -> None:
        """Forget an endpoint. Idempotent."""
        found = self._networks.get(network.lower())
        if found is not None:
            found.remove(key)

    def answer(self, packet: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the reply to a query for a name of ours, or an error for what cannot be understood.

        None means: ask an upstream, or that this is no query at all.
        """
        query = parse_query(packet)
        if query is None:
            return refuse(packet, NOTIMP if _opcode(packet) else FORMERR)
        if query.qclass not in (_IN, _ANY_CLASS):
            return None
        limit = 0xFFFF if tcp else query.size
        if query.qtype == PTR:
            host = self.reverse(query.name)
            record = _record(PTR, _write_name(host)) if host else b""
            return _reply(query, NOERROR, [record], limit) if record else None
        addresses = self.lookup(query.name)
        if addresses is None:
            return None
        lengths = {A: (4,), AAAA: (16,), ANY: (4, 16)}.get(query.qtype, ())
        wanted = [one for one in addresses if len(one) in lengths]
        self._shuffle(wanted)
        records = [_record(A if len(one) == 4 else AAAA, one) for one in wanted]
        return _reply(query, NOERROR, records, limit)

    def lookup(self, name: str) -> list[bytes] | None:
        """Return the packed addresses of ``name`` or ``name.network``; None when it is not ours."""
        for network in self._networks.values():
            found = network.addresses(name)
            if found is not None:
                return found
        # Names and networks may have dots themselves: try the longest name first.
        dot = name.rfind(".")
        while dot > 0:
            there = self._networks.get(name[dot + 1 :])
            found = there.addresses(name[:dot]) if there is not None else None
            if found is not None:
                return found
            dot = name.rfind(".", 0, dot)
        return None

    def reverse(self, name: str) -> str | None:
        """Return ``name.network`` for a name under in-addr.arpa or ip6.arpa.

        None when the address is not ours.
        """
        address = _reverse_address(name)
        if address is None:
            return None
        for network in self._networks.values():
            host = network.name_of(address)
            if host is not None:
                return f"{host}.{network.name}"
        return None

    def _turn(self, addresses: list[bytes]) -> None:
        if len(addresses) > 1:
            self._turns += 1
            start = self._turns % len(addresses)
            addresses[:] = addresses[start:] + addresses[:start]


class _Network:
    """One network's endpoints, and an index of them that is made when it is first needed after a change."""

    __slots__ = ("_by_address", "_by_name", "_endpoints", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._endpoints: dict[str, tuple[tuple[str, ...], tuple[bytes, ...]]] = {}
        self._by_name: dict[str, list[bytes]] | None = None
        self._by_address: dict[bytes, str] = {}

    def set(self, key: str, names: tuple[str, ...], addresses: tuple[bytes, ...]) -> None:
        self._endpoints[key] = (names, addresses)
        self._by_name = None

    def remove(self, key: str) -> None:
        self._endpoints.pop(key, None)
        self._by_name = None

    def addresses(self, name: str) -> list[bytes] | None:
        found = self._index().get(name)
        return None if found is None else list(found)

    def name_of(self, address: bytes) -> str | None:
        self._index()
        return self._by_address.get(address)

    def _index(self) -> dict[str, list[bytes]]:
        if self._by_name is None:
            by_name: dict[str, list[bytes]] = {}
            self._by_address = {}
            for names, addresses in self._endpoints.values():
                for name in dict.fromkeys(names):
                    by_name.setdefault(name, []).extend(addresses)
                if names:
                    self._by_address.update(dict.fromkeys(addresses, names[0]))
            self._by_name = by_name
        return self._by_name


# ------------------------------------------------------------------ TCP


def frame(packet: bytes) -> bytes:
    """Return a packet as DNS over TCP carries it."""
    return struct.pack("!H", len(packet)) + packet


def unframe(buffer: bytearray) -> list[bytes]:
    """Take the complete packets of a TCP stream out of ``buffer``."""
    packets, offset = [], 0
    while offset + 2 <= len(buffer):
        end = offset + 2 + int.from_bytes(buffer[offset : offset + 2], "big")
        if end > len(buffer):
            break
        packets.append(bytes(buffer[offset + 2 : end]))
        offset = end
    del buffer[:offset]
    return packets


# ------------------------------------------------------------------ the wire


def _opcode(packet: bytes) -> int:
    return (packet[2] & 0x78) if len(packet) >= _HEADER.size else 0


def _read_name(packet: bytes, offset: int) -> tuple[str, int] | None:
    """Return an uncompressed name and where it ends; None when it is malformed.

    A question is the first name of its packet: there is nothing that a pointer could point to.
    """
    labels: list[str] = []
    start = offset
    while offset < len(packet):
        length = packet[offset]
        offset += 1
        if length == 0:
            return ".".join(labels), offset
        if length > _MAX_LABEL or offset + length > len(packet) or offset + length - start >= _MAX_NAME:
            return None
        label = packet[offset : offset + length].lower().decode("latin-1")
        # A dot inside a label must not make another name of it (RFC 4343).
        labels.append(label.replace("\\", "\\\\").replace(".", "\\."))
        offset += length
    return None


def _write_name(name: str) -> bytes:
    encoded = b""
    for label in name.encode("ascii", "replace").split(b"."):
        if label:
            encoded += bytes([min(len(label), _MAX_LABEL)]) + label[:_MAX_LABEL]
    return encoded + b"\0"


def _edns_size(packet: bytes, offset: int, records: int) -> int | None:
    """Return the size of an OPT record among the records behind the question, within reason.

    None without one.
    """
    for _ in range(min(records, 16)):
        if offset < len(packet) and packet[offset] & 0xC0 == 0xC0:
            offset += 2
        else:
            found = _read_name(packet, offset)
            if found is None:
                return None
            offset = found[1]
        if offset + _RECORD.size > len(packet):
            return None
        kind, size, _, length = _RECORD.unpack_from(packet, offset)
        if kind == OPT:
            return max(_PLAIN_SIZE, min(int(size), _LARGEST_SIZE))
        offset += _RECORD.size + length
    return None


def _record(kind: int, data: bytes) -> bytes:
    return _POINTER_TO_QUESTION + _RECORD.pack(kind, _IN, TTL_S, len(data)) + data


def _reply(query: Query, code: int, records: list[bytes], limit: int = 0xFFFF) -> bytes:
    """Return a reply of at most ``limit`` bytes; with TC set when answers had to be left out."""
    flags = _QR | (query.flags & (_RD | _CD)) | _RA | code
    opt = _OUR_OPT if query.edns else b""
    room = limit - _HEADER.size - len(query.question) - len(opt)
    kept: list[bytes] = []
    for record in records:
        room -= len(record)
        if room < 0:
            flags |= _TC
            break
        kept.append(record)
    head = _HEADER.pack(query.id, flags, 1, len(kept), 0, 1 if opt else 0)
    return head + query.question + b"".join(kept) + opt


def _pack(address: str) -> bytes:
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        raise ValueError(f"invalid IP address '{address}'") from None


def _reverse_address(name: str) -> bytes | None:
    for suffix, count in ((".in-addr.arpa", 4), (".ip6.arpa", 32)):
        parts = name.removesuffix(suffix).split(".")
        if not name.endswith(suffix) or len(parts) != count:
            continue
        parts.reverse()
        try:
            if count == 4:
                return bytes(
                    int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 4
                )
            return bytes.fromhex("".join(parts)) if all(len(part) == 1 for part in parts) else None
        except ValueError:
            return None
    return None
