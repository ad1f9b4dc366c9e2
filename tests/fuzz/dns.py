"""Coverage-guided fuzzing of the name server: packets of a container, over UDP and TCP (``make fuzz-dns``).

The first byte says which way the rest comes: a datagram, a stream of framed packets in pieces, or an answer of the
server outside that is passed on. Whatever it is, the name server answers with a packet that another implementation
can read, with the query's number and within its size, or not at all.

    python -m tests.fuzz.dns SECONDS [DIRECTORY]
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import harness

_LARGEST_UDP = 4096


def _zone() -> object:
    from composer.runtime.network import dns

    zone = dns.Zone(shuffle=lambda addresses: None)
    zone.set_endpoint("front", "a", ("web", "web-1", "x" * 63), ("10.0.0.2", "fd00::2"))
    zone.set_endpoint("front", "b", ("web", "db"), ("10.0.0.3",))
    zone.set_endpoint(
        "back", "c", tuple(f"many{i}" for i in range(50)), tuple(f"10.1.0.{i}" for i in range(2, 60))
    )
    return zone


def run_one(data: bytes, work: Path) -> None:
    from composer.runtime.network import dns

    zone = _zone()
    assert isinstance(zone, dns.Zone)
    way, packet = data[:1], data[1:]
    if way == b"s":
        buffer = bytearray()
        for start in range(0, len(packet), 7):
            buffer += packet[start : start + 7]
            for one in dns.unframe(buffer):
                _check(one, zone.answer(one, tcp=True), 0xFFFF)
    elif way == b"o":
        cut = dns.truncate(packet, 512)
        assert len(cut) <= max(512, 12)
        dns.refuse(packet, 2)
    else:
        _check(packet, zone.answer(packet), _LARGEST_UDP)
        refused = dns.refuse(packet, 2)
        assert refused is None or refused[:2] == packet[:2]


def _check(query: bytes, answer: bytes | None, limit: int) -> None:
    """Read an answer with another implementation; compare what ties it to the query."""
    import dnslib

    if answer is None:
        return
    assert len(answer) <= limit, "an answer that is too large"
    assert answer[:2] == query[:2], "an answer to another query"
    assert answer[2] & 0x80, "an answer that is a query"
    dnslib.DNSRecord.parse(answer)


def seeds() -> Iterator[bytes]:
    import dnslib

    for name in (
        "web",
        "web-1.front",
        "db",
        "nowhere.example.com",
        "2.0.0.10.in-addr.arpa",
        "x" * 63,
        "many7",
        "",
    ):
        for kind in ("A", "AAAA", "PTR", "ANY", "SRV", "MX"):
            query = dnslib.DNSRecord.question(name or ".", kind)
            plain = query.pack()
            query.add_ar(dnslib.EDNS0(udp_len=1232))
            yield b"u" + plain
            yield b"u" + query.pack()
            yield b"s" + b"".join(struct.pack("!H", len(one)) + one for one in (plain, query.pack()))
            yield b"o" + plain


def words() -> list[str]:
    return ["web", "front", "\x03web", "\xc0\x0c", "in-addr", "arpa", "ip6", "many7", "\x00\x01\x00\x01"]


def _load() -> None:
    from composer.runtime.network import dns  # noqa: F401


if __name__ == "__main__":
    harness.main(harness.Fuzzer("dns", run_one, seeds, words, _load, max_input=2048))
