"""The DNS codec and Docker's rules for names, with dnslib as the reader and writer of packets."""

from __future__ import annotations

import ipaddress

import dnslib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from composer.runtime.network import dns

WEB4, WEB6, DB4, OTHER4 = "172.30.1.2", "fd00:1::2", "172.30.1.3", "172.30.2.2"


def _zone(shuffle=lambda addresses: None) -> dns.Zone:
    zone = dns.Zone(shuffle)
    zone.set_endpoint("shop_front", "c1", ["shop-web-1", "web", "Web.Example"], [WEB4, WEB6])
    zone.set_endpoint("shop_front", "c2", ["shop-db-1", "db"], [DB4])
    zone.set_endpoint("shop_back", "c3", ["shop-web-9", "web"], [OTHER4])
    return zone


def _ask(name: str, qtype: str = "A", *, udp_size: int | None = None) -> bytes:
    record = dnslib.DNSRecord.question(name, qtype)
    if udp_size is not None:
        record.add_ar(dnslib.EDNS0(udp_len=udp_size))
    return record.pack()


def _answers(zone: dns.Zone, name: str, qtype: str = "A") -> list[str] | None:
    """Return the answers as text; None when the question is for an upstream."""
    question = _ask(name, qtype)
    packet = zone.answer(question)
    if packet is None:
        return None
    reply = dnslib.DNSRecord.parse(packet)
    asked = dnslib.DNSRecord.parse(question)
    assert reply.header.id == asked.header.id and reply.header.qr and reply.header.ra and not reply.header.tc
    assert reply.q == asked.q and reply.header.rcode == dns.NOERROR
    assert all(str(one.rname) == str(asked.q.qname) and one.ttl == dns.TTL_S for one in reply.rr)
    return [str(one.rdata) for one in reply.rr]


@pytest.mark.parametrize(
    ("name", "qtype", "want"),
    [
        ("web", "A", [WEB4]),
        ("WEB", "A", [WEB4]),
        ("web.", "AAAA", [WEB6]),
        ("web", "ANY", [WEB4, WEB6]),
        ("web.shop_back", "A", [OTHER4]),
        ("web.SHOP_FRONT", "A", [WEB4]),
        ("web.example", "A", [WEB4]),
        ("web.example.shop_front", "A", [WEB4]),
        ("shop-web-9", "A", [OTHER4]),
        ("db", "AAAA", []),
        ("web", "MX", []),
        ("web", "SRV", []),
        ("web", "HTTPS", []),
        ("db.shop_back", "A", None),
        ("nobody", "A", None),
        ("example.com", "AAAA", None),
        ("we", "A", None),
        (".", "NS", None),
    ],
)
def test_names(name, qtype, want):
    """None is for an upstream; an empty list is a name of ours without such a record.

    Which never goes there.
    """
    assert _answers(_zone(), name, qtype) == want


@pytest.mark.parametrize(
    ("ip", "want"),
    [
        (WEB4, ["shop-web-1.shop_front."]),
        (WEB6, ["shop-web-1.shop_front."]),
        (OTHER4, ["shop-web-9.shop_back."]),
        ("8.8.8.8", None),
        ("2001:db8::1", None),
    ],
)
def test_an_address_leads_back_to_its_first_name(ip, want):
    assert _answers(_zone(), ipaddress.ip_address(ip).reverse_pointer, "PTR") == want


@pytest.mark.parametrize(
    "name",
    [
        "1.2.3.in-addr.arpa",
        "256.30.1.2.in-addr.arpa",
        "x.30.1.2.in-addr.arpa",
        "1.ip6.arpa",
        "in-addr.arpa",
        f"gg.{'0.' * 31}ip6.arpa",
        f"g.{'0.' * 31}ip6.arpa",
    ],
)
def test_a_reverse_name_that_is_none_is_not_ours(name):
    assert _zone().reverse(name) is None
    assert _answers(_zone(), "web.in-addr.arpa", "PTR") is None


def test_replicas_share_a_name_in_turn():
    zone = dns.Zone()
    for number in range(3):
        zone.set_endpoint("net", f"c{number}", ["web"], [f"10.0.0.{number}"])
    first = [(_answers(zone, "web") or [])[0] for _ in range(6)]
    assert sorted(first) == sorted(["10.0.0.0", "10.0.0.1", "10.0.0.2"] * 2)
    assert sorted(_answers(zone, "web") or []) == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]


def test_shuffle_is_the_caller_s_to_choose():
    zone = _zone(lambda addresses: addresses.reverse())
    assert _answers(zone, "web", "ANY") == [WEB6, WEB4]


def test_an_endpoint_is_replaced_and_removed():
    zone = _zone()
    zone.set_endpoint("shop_front", "c1", ["shop-web-1", "api"], ["172.30.1.9"])
    assert _answers(zone, "api") == ["172.30.1.9"]
    assert _answers(zone, "web") == [OTHER4]
    zone.remove_endpoint("shop_back", "c3")
    zone.remove_endpoint("shop_back", "c3")
    zone.remove_endpoint("nowhere", "c3")
    assert _answers(zone, "web") is None
    with pytest.raises(ValueError, match=r"invalid IP address '172\.30\.1\.9/24'"):
        zone.set_endpoint("shop_front", "c1", ["x"], ["172.30.1.9/24"])


def _crowd(count: int) -> dns.Zone:
    zone = dns.Zone()
    for number in range(count):
        zone.set_endpoint("net", f"c{number}", ["web"], [f"10.0.{number // 200}.{number % 200}"])
    return zone


@pytest.mark.parametrize(("size", "room"), [(None, 512), (400, 512), (1232, 1232), (65000, 4096)])
def test_an_answer_over_udp_is_cut_to_what_the_asker_takes(size, room):
    packet = _crowd(400).answer(_ask("web", udp_size=size))
    assert packet is not None and room - 32 < len(packet) <= room
    reply = dnslib.DNSRecord.parse(packet)
    assert reply.header.tc and len(reply.rr) > 20
    assert [one.rtype for one in reply.ar] == ([] if size is None else [dns.OPT])


def test_over_tcp_it_is_whole():
    packet = _crowd(400).answer(_ask("web"), tcp=True)
    reply = dnslib.DNSRecord.parse(packet)
    assert len(reply.rr) == 400 and not reply.header.tc


def test_the_case_of_the_question_comes_back():
    """Some resolvers choose it at random and check it."""
    packet = _zone().answer(_ask("wEb"))
    assert packet is not None and b"\x03wEb\x00" in packet


def test_what_cannot_be_understood_is_refused_and_answers_are_never_answered():
    good = bytearray(_ask("web"))
    zone = _zone()
    status, two, answer, bad = bytearray(good), bytearray(good), bytearray(good), bytearray(good)
    status[2] |= 2 << 3
    two[5] = 2
    answer[2] |= 0x80
    bad[12] = 0x40
    assert dnslib.DNSRecord.parse(zone.answer(bytes(status))).header.rcode == dns.NOTIMP
    assert dnslib.DNSRecord.parse(zone.answer(bytes(two))).header.rcode == dns.FORMERR
    assert dnslib.DNSRecord.parse(zone.answer(bytes(bad))).header.rcode == dns.FORMERR
    assert dnslib.DNSRecord.parse(zone.answer(bytes(good[:-1]))).header.rcode == dns.FORMERR
    assert zone.answer(bytes(answer)) is None
    assert zone.answer(b"\x00" * 11) is None


def test_another_class_is_not_ours():
    record = dnslib.DNSRecord(dnslib.DNSHeader(id=1), q=dnslib.DNSQuestion("web", dns.TXT, 3))
    assert _zone().answer(record.pack()) is None


def test_a_dot_inside_a_label_makes_no_other_name():
    packet = bytearray(_ask("webxshop_back"))
    packet[packet.index(b"x")] = ord(".")
    assert _zone().answer(bytes(packet)) is None


def test_refuse_keeps_the_question():
    reply = dnslib.DNSRecord.parse(dns.refuse(_ask("example.com", "MX"), dns.SERVFAIL))
    assert reply.header.rcode == dns.SERVFAIL and str(reply.q.qname) == "example.com." and not reply.rr
    assert dns.refuse(b"", dns.SERVFAIL) is None
    assert dns.refuse(reply.pack(), dns.SERVFAIL) is None


def test_truncate_leaves_the_question_and_tc():
    whole = _crowd(100).answer(_ask("web"), tcp=True)
    assert whole is not None and dns.truncate(whole, 4096) == whole
    short = dns.truncate(whole, 512)
    reply = dnslib.DNSRecord.parse(short)
    assert len(short) <= 512 and reply.header.tc and str(reply.q.qname) == "web." and not reply.rr


def test_frames_come_out_of_a_stream_in_any_pieces():
    packets = [b"one", b"", b"x" * 40000]
    stream = b"".join(map(dns.frame, packets))
    for step in (1, 7, 65536):
        buffer, seen = bytearray(), []
        for start in range(0, len(stream), step):
            buffer += stream[start : start + step]
            seen += dns.unframe(buffer)
        assert seen == packets and not buffer


_HOSTILE = st.one_of(
    st.binary(max_size=600),
    st.builds(
        lambda head, body: head + body,
        st.sampled_from(
            [b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01", b"\0\0\1\0\0\1\xff\xff\xff\xff\xff\xff"]
        ),
        st.binary(max_size=300),
    ),
    st.builds(
        lambda data, edits: bytes(edits.get(i, byte) for i, byte in enumerate(data)),
        st.sampled_from([_ask("web"), _ask("a.b.c.shop_front", "PTR", udp_size=1232)]),
        st.dictionaries(st.integers(0, 60), st.integers(0, 255), max_size=6),
    ),
)


@settings(deadline=None, max_examples=600)
@given(packet=_HOSTILE)
@example(packet=b"\0\0\1\0\0\1\0\0\0\0\0\0" + b"\xc0\x0c\0\1\0\1")
@example(packet=b"\0\0\1\0\0\1\0\0\0\0\0\0" + b"\x3f" + b"a" * 63 + b"\x3f" * 300)
def test_no_packet_crashes_it_and_every_reply_is_one(packet):
    zone = _zone()
    for reply in (zone.answer(packet), zone.answer(packet, tcp=True), dns.refuse(packet, dns.SERVFAIL)):
        if reply is not None:
            assert reply[:2] == packet[:2] and reply[2] & 0x80 and len(reply) <= 4096
    assert len(dns.truncate(packet, 64)) <= max(64, 12)
    dns.parse_query(packet)
    dns.unframe(bytearray(packet))


@settings(deadline=None)
@given(
    labels=st.lists(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63), min_size=1, max_size=4
    ),
    qtype=st.sampled_from(["A", "AAAA", "PTR", "SRV", "TXT"]),
    size=st.one_of(st.none(), st.integers(0, 65535)),
)
def test_a_query_is_read_as_it_was_written(labels, qtype, size):
    name = ".".join(labels)
    if len(name) > 250:
        return
    query = dns.parse_query(_ask(name, qtype, udp_size=size))
    assert query is not None
    assert (query.name, query.qtype, query.qclass) == (name, dnslib.QTYPE.reverse[qtype], 1)
    assert query.size == (512 if size is None else min(max(size, 512), 4096))
