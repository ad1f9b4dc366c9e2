"""Reading the host's resolv.conf and writing a container's."""

from __future__ import annotations

from composer.runtime.network import dns

HOST = """
# comment
nameserver 192.0.2.53 ; the first
nameserver 2001:db8::53
domain old.example
search corp.example lab.example
options edns0 timeout:1
options attempts:2
nonsense
nameserver
"""


def test_reading():
    host = dns.parse_resolv_conf(HOST)
    assert host.nameservers == ("192.0.2.53", "2001:db8::53")
    assert host.search == ("corp.example", "lab.example")
    assert host.options == ("edns0", "timeout:1", "attempts:2")


def test_systemd_s_stub_means_systemd_s_servers():
    stub = {"/etc/resolv.conf": "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n"}
    assert dns.host_resolv_conf(stub).nameservers == ("127.0.0.53",)
    real = {**stub, "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.1\nsearch lan\n"}
    assert dns.host_resolv_conf(real).nameservers == ("192.0.2.1",)
    other = {**real, "/etc/resolv.conf": "nameserver 127.0.0.1\n"}
    assert dns.host_resolv_conf(other).nameservers == ("127.0.0.1",)
    assert dns.host_resolv_conf({}).nameservers == ()


def test_a_container_asks_us_and_we_ask_the_host_s_servers():
    text, upstreams = dns.container_resolv_conf(dns.parse_resolv_conf(HOST))
    assert text == (
        "nameserver 127.0.0.11\nsearch corp.example lab.example\noptions edns0 timeout:1 attempts:2 ndots:0\n"
    )
    assert upstreams == ["192.0.2.53", "2001:db8::53"]


def test_what_the_service_says_replaces_what_the_host_says():
    text, upstreams = dns.container_resolv_conf(
        dns.parse_resolv_conf(HOST), dns=["9.9.9.9"], search=["."], options=["ndots:2", "use-vc"]
    )
    assert text == "nameserver 127.0.0.11\noptions ndots:2 use-vc\n"
    assert upstreams == ["9.9.9.9"]


def test_what_is_written_is_read_back():
    text, _ = dns.container_resolv_conf(dns.ResolvConf(["1.1.1.1"], ["a"], ["rotate"]))
    again = dns.parse_resolv_conf(text)
    assert (again.nameservers, again.search, again.options) == (
        ("127.0.0.11",),
        ("a",),
        ("rotate", "ndots:0"),
    )
