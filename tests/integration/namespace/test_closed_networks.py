"""What does not come in: through ports of internal networks, and by router advertisements of a neighbour."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import textwrap

import pytest

from tests.integration.namespace.conftest import Stack, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.root

SERVER = "[/usr/bin/python3, -Sm, http.server, --bind, '::', '80']"


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def project(port: int, *, internal: bool) -> str:
    return (
        f"services:\n  a:\n    image: host\n    command: {SERVER}\n    stop_grace_period: 0s\n"
        f"    ports: ['{port}:80', '{port}:80/udp']\n    networks: [n]\n"
        f"    healthcheck: {{test: [CMD, /usr/bin/python3, -Sc, "
        "'import socket; socket.create_connection((\"::1\", 80))'], interval: 1s}\n"
        f"networks: {{n: {{enable_ipv6: true, internal: {str(internal).lower()}}}}}\n"
    )


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="needs /usr/bin/python3")
def test_an_internal_network_is_not_reached_through_a_published_port_in_any_family(stack: Stack) -> None:
    """Neither led by the kernel nor relayed, and nothing listens; what is no longer internal is published."""
    port = free_port()
    stack.up(project(port, internal=True), "--wait")
    listeners = pathlib.Path("/proc/net/tcp6").read_text() + pathlib.Path("/proc/net/tcp").read_text()
    assert [answers(address, port) for address in ("::1", "127.0.0.1")] == [False, False]
    assert f":{port:04X} 0" not in listeners
    assert json.loads(stack.out("ps", "--format", "json").splitlines()[0])["Publishers"] in (None, [])
    assert " Running" in stack.run("up", "-d").stderr
    stack.up(project(port, internal=False), "--wait")
    assert [answers(address, port) for address in ("::1", "127.0.0.1")] == [True, True]


ADVERTISE = textwrap.dedent(
    """
    import socket, struct
    one = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    prefix = socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
    option = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, prefix)
    packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option
    for index, name in socket.if_nameindex():
        if name != "lo":
            one.sendto(packet, ("ff02::1", 0, 0, index))
    """
)


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="needs /usr/bin/python3")
def test_a_neighbour_does_not_become_the_way_out_by_advertising_itself(stack: Stack) -> None:
    """CVE-2020-13401, on the container's side and on the bridge's."""
    (stack.directory / "advertise.py").write_text(ADVERTISE)
    stack.up(
        "services:\n"
        "  victim: {image: host, command: sleep 1000, stop_grace_period: 0s}\n"
        "  attacker:\n    image: host\n    command: sleep 1000\n    stop_grace_period: 0s\n"
        "    volumes: ['./advertise.py:/advertise.py:ro']\n"
        "networks: {default: {enable_ipv6: true}}\n"
    )
    state = "awk '$4 == 20 && $6 == \"eth0\" {print $5}' /proc/net/if_inet6"
    for service in ("attacker", "victim"):
        wait_for(lambda name=service: stack.shell(name, state) == "80", what="a usable link-local address")  # type: ignore[misc]
    for name in ("accept_ra", "autoconf"):
        assert stack.shell("victim", f"cat /proc/sys/net/ipv6/conf/eth0/{name}") == "0"
    before = stack.shell("victim", "cat /proc/net/ipv6_route /proc/net/if_inet6"), _host_routes()
    counted = "awk '/Icmp6InRouterAdvertisements/ {print $2}' /proc/net/snmp6"
    heard = int(stack.shell("victim", counted))

    def is_heard() -> bool:
        stack.inside("attacker", "/usr/bin/python3", "-S", "/advertise.py")
        return int(stack.shell("victim", counted)) > heard

    wait_for(is_heard, what="an advertisement that arrives")
    after = stack.shell("victim", "cat /proc/net/ipv6_route /proc/net/if_inet6"), _host_routes()
    assert "20010db80bad" not in "".join(after)
    assert [_defaults(text) for text in before] == [_defaults(text) for text in after]


def _host_routes() -> str:
    return pathlib.Path("/proc/net/ipv6_route").read_text()


def _defaults(routes: str) -> list[str]:
    """Return the default routes: the network ::/0, without counters."""
    return sorted(
        " ".join(line.split()[:5] + line.split()[9:])
        for line in routes.splitlines()
        if line.startswith("0" * 32 + " 00")
    )
