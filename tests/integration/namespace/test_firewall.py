"""The firewall with real packets.

A "host" namespace, containers behind its bridges, another machine on its wire.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Iterator

import pytest

from composer.errors import Conflict
from composer.runtime.network import nftables
from composer.runtime.network.firewall import Bridge, Firewall, Publication, container_dns, obstacles
from composer.runtime.network.netlink import Netlink

from .netns import Namespace, namespaces

pytestmark = pytest.mark.root
if os.geteuid() != 0:
    pytest.skip("needs root", allow_module_level=True)

FRONT = Bridge("cmpaaaaaaaaaa", "172.30.1.0/24", "172.30.1.1", "fd00:1::/64", "fd00:1::1")
BACK = Bridge("cmpbbbbbbbbbb", "172.30.2.0/24", "172.30.2.1", "fd00:2::/64", "fd00:2::1")
INSIDE = Bridge("cmpcccccccccc", "172.30.3.0/24", "172.30.3.1", internal=True)
HOST, HOST6, MACHINE, MACHINE6 = "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"
SILENCE_S = 0.3
PATIENCE_S = 20.0

nftables.load()


def _serve(space: Namespace, name: str, ports: tuple[int, ...]) -> int:
    """Answer every connection and datagram with ``name`` and the peer's address; return the server's pid."""
    ready, child = os.pipe()
    pid = os.fork()
    if pid:
        os.close(child)
        assert os.read(ready, 1) == b"x"
        os.close(ready)
        return pid
    try:
        space.enter()
        sockets = []
        for port in ports:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                one = socket.socket(socket.AF_INET6, kind)
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("::", port))
                if kind == socket.SOCK_STREAM:
                    one.listen(20)
                sockets.append(one)
        os.write(child, b"x")
        while True:
            for one in select.select(sockets, [], [])[0]:
                if one.type == socket.SOCK_STREAM:
                    connection, peer = one.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.sendall(f"{name} {peer[0].removeprefix('::ffff:')}".encode())
                else:
                    _, peer = one.recvfrom(100)
                    one.sendto(f"{name} {peer[0].removeprefix('::ffff:')}".encode(), peer)
    finally:
        os._exit(1)


def _ask(protocol: str, ip: str, port: int, timeout_s: float = SILENCE_S) -> str:
    """Return the server's answer, or ``silence``, or ``refused``."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, kind) as one:
        one.settimeout(timeout_s)
        try:
            one.connect((ip, port))
            if protocol == "udp":
                one.send(b"?")
            return one.recv(100).decode()
        except TimeoutError:
            return "silence"
        except ConnectionRefusedError:
            return "refused"
        except OSError as error:
            return os.strerror(error.errno or 0)


class World:
    """The namespaces and what they are called; ``ask`` sends from one of them."""

    def __init__(self, spaces: list[Namespace]) -> None:
        self.host, self.machine, self.web, self.db, self.other, self.hidden, self.hidden2 = spaces

    def build(self) -> None:
        for space in (self.host, self.machine, self.web, self.db, self.other, self.hidden, self.hidden2):
            # IPv6 would wait seconds for its link-local addresses to be checked for duplicates.
            space.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
        self.host.call(self._wire)
        self.machine.run("ip", "addr", "add", f"{MACHINE}/24", "dev", "eth0")
        self.machine.run("ip", "-6", "addr", "add", f"{MACHINE6}/64", "dev", "eth0", "nodad")
        self.machine.run("ip", "link", "set", "eth0", "up")
        # The other machine may try to reach containers directly: it knows the way.
        for bridge in (FRONT, BACK, INSIDE):
            self.machine.run("ip", "route", "add", bridge.subnet4 or "", "via", HOST)
        self.machine.run("ip", "-6", "route", "add", "fd00::/16", "via", HOST6)
        for space, bridge, number in self.containers():
            space.call(_address, bridge, number)

    def containers(self) -> list[tuple[Namespace, Bridge, int]]:
        return [
            (self.web, FRONT, 2),
            (self.db, FRONT, 3),
            (self.other, BACK, 2),
            (self.hidden, INSIDE, 2),
            (self.hidden2, INSIDE, 3),
        ]

    def _wire(self) -> None:
        with Netlink() as netlink:
            wire = {"master_index": 0, "peer_name": "eth0", "peer_netns_fd": self.machine.fd}
            eth0 = netlink.create_veth("eth0", **wire)  # type: ignore[arg-type]
            netlink.add_address(eth0, HOST, 24)
            netlink.add_address(eth0, HOST6, 64)
            indices = {}
            for bridge in (FRONT, BACK, INSIDE):
                index = indices[bridge.name] = netlink.create_bridge(bridge.name)
                netlink.add_address(index, bridge.gateway4 or "", 24)
                if bridge.gateway6:
                    netlink.add_address(index, bridge.gateway6, 64)
            for count, (space, bridge, _) in enumerate(self.containers()):
                netlink.create_veth(
                    f"cmpv{count}",
                    master_index=indices[bridge.name],
                    peer_name="eth0",
                    peer_netns_pid=space.pid,
                    hairpin=True,
                )

    def firewall(self, function: str, *arguments: object) -> object:
        return self.host.call(lambda: getattr(Firewall(), function)(*arguments))

    def ask(self, source: Namespace, protocol: str, ip: str, port: int) -> str:
        answer: str = source.call(_ask, protocol, ip, port)
        return answer

    def answer(self, source: Namespace, protocol: str, ip: str, port: int) -> str:
        """Ask where there is to be an answer, which a busy machine may give late."""
        answer: str = source.call(_ask, protocol, ip, port, PATIENCE_S)
        return answer


def _address(bridge: Bridge, number: int) -> None:
    with Netlink() as netlink:
        index = netlink.link_index("eth0")
        assert index
        netlink.add_address(index, f"{(bridge.gateway4 or '')[:-1]}{number}", 24)
        if bridge.gateway6:
            netlink.add_address(index, f"{bridge.gateway6[:-1]}{number}", 64)
        netlink.set_up(index)
        # An internal network has no default route; the test gives it one, as a container with NET_RAW could.
        netlink.add_route(None, via=bridge.gateway4)
        if bridge.gateway6:
            netlink.add_route(None, via=bridge.gateway6)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    servers: list[int] = []
    with namespaces(7) as spaces:
        made = World(spaces)
        made.build()
        for bridge in (FRONT, BACK, INSIDE):
            made.firewall("add_network", bridge)
        names = ("host", "machine", "web", "db", "other", "hidden", "hidden2")
        try:
            for space, name in zip(spaces, names, strict=True):
                servers.append(_serve(space, name, (80, 5432)))
            yield made
        finally:
            for pid in servers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@pytest.fixture
def published(world: World) -> Iterator[World]:
    ports = [
        *(Publication(p, "", 8080, "172.30.1.2", 80, FRONT.name) for p in ("tcp", "udp")),
        *(Publication(p, "", 8080, "fd00:1::2", 80, FRONT.name) for p in ("tcp", "udp")),
        *(Publication(p, "127.0.0.1", 8081, "172.30.1.2", 80, FRONT.name) for p in ("tcp", "udp")),
        Publication("tcp", HOST, 8082, "172.30.1.2", 80, FRONT.name),
        Publication("sctp", "0.0.0.0", 8080, "172.30.1.2", 80, FRONT.name),
    ]
    world.firewall("publish", ports)
    yield world
    world.firewall("unpublish", ports)
    assert world.firewall("publications") == []


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_published_port_is_reached_from_another_machine_with_its_real_address(published, protocol):
    assert published.answer(published.machine, protocol, HOST, 8080) == f"web {MACHINE}"
    assert published.answer(published.machine, protocol, HOST6, 8080) == f"web {MACHINE6}"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_published_port_is_reached_from_the_host_by_every_name_of_it(published, protocol):
    for address in ("127.0.0.1", "127.1.2.3", HOST, HOST6, FRONT.gateway4, BACK.gateway4):
        assert published.answer(published.host, protocol, address, 8080).startswith("web "), address


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_container_reaches_published_ports_its_own_too(published, protocol):
    for source in (published.web, published.db, published.other):
        for address in (HOST, HOST6, FRONT.gateway4, BACK.gateway4):
            assert published.answer(source, protocol, address, 8080).startswith("web "), (source, address)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_of_127_0_0_1_is_only_for_the_host(published, protocol):
    assert published.answer(published.host, protocol, "127.0.0.1", 8081).startswith("web ")
    assert published.answer(published.host, protocol, HOST, 8081) == "refused"
    assert published.answer(published.machine, protocol, HOST, 8081) == "refused"


def test_nobody_outside_reaches_127_0_0_1_through_route_localnet(published):
    """CVE-2020-8558: the neighbour, and a container, address 127.0.0.1 to our hardware address."""
    for space, gateway in ((published.machine, HOST), (published.db, FRONT.gateway4)):
        space.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
        space.run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
        space.run("ip", "route", "add", "127.0.0.1/32", "via", gateway, "dev", "eth0")
        try:
            for port in (80, 8080, 8081):
                assert published.ask(space, "tcp", "127.0.0.1", port) == "silence", (gateway, port)
        finally:
            space.run("ip", "route", "del", "127.0.0.1/32")
            space.run("ip", "addr", "add", "127.0.0.1/8", "dev", "lo")


def test_a_port_of_one_address_is_not_on_the_others(published):
    assert published.answer(published.machine, "tcp", HOST, 8082) == f"web {MACHINE}"
    assert published.answer(published.host, "tcp", "127.0.0.1", 8082) == "refused"


def test_what_is_not_published_is_not_reached_directly_from_outside(world):
    for address in ("172.30.1.2", "fd00:1::2", "172.30.3.2"):
        assert world.ask(world.machine, "tcp", address, 80) == "silence"
        assert world.ask(world.machine, "udp", address, 5432) == "silence"


def test_the_published_container_is_not_reached_directly_either(published):
    assert published.ask(published.machine, "tcp", "172.30.1.2", 80) == "silence"


def test_containers_of_one_network_reach_each_other_and_those_of_two_do_not(world):
    assert world.answer(world.db, "tcp", "172.30.1.2", 80) == "web 172.30.1.3"
    assert world.answer(world.db, "udp", "fd00:1::2", 5432) == "web fd00:1::3"
    assert world.answer(world.hidden, "tcp", "172.30.3.3", 80) == "hidden2 172.30.3.2"
    for address in ("172.30.2.2", "fd00:2::2", "172.30.3.2"):
        assert world.ask(world.web, "tcp", address, 80) == "silence"
        assert world.ask(world.web, "udp", address, 80) == "silence"


def test_going_out_is_masqueraded_and_the_host_is_reached(world):
    assert world.answer(world.web, "tcp", MACHINE, 80) == f"machine {HOST}"
    assert world.answer(world.web, "udp", MACHINE6, 80) == f"machine {HOST6}"
    assert world.answer(world.web, "tcp", FRONT.gateway4, 80) == "host 172.30.1.2"
    assert world.answer(world.host, "tcp", "172.30.1.2", 80) == "web 172.30.1.1"


def test_an_internal_network_has_no_way_out_or_in(published):
    hidden = published.hidden
    for address, port in (
        (MACHINE, 80),
        (HOST, 80),
        (HOST, 8080),
        (INSIDE.gateway4, 8080),
        ("172.30.1.2", 80),
    ):
        for protocol in ("tcp", "udp"):
            assert published.ask(hidden, protocol, address, port) == "silence", (address, port)
    # The host itself may talk to it, as it may with Docker.
    assert published.answer(published.host, "tcp", "172.30.3.2", 80) == "hidden 172.30.3.1"
    assert published.answer(hidden, "tcp", INSIDE.gateway4, 80) == "host 172.30.3.2"


def test_a_port_of_a_container_on_an_internal_network_leads_nowhere(world):
    port = Publication("tcp", "", 9200, "172.30.3.2", 80, INSIDE.name)
    world.firewall("publish", [port])
    try:
        for source in (world.machine, world.web):
            assert world.ask(source, "tcp", HOST, 9200) == "silence"
    finally:
        world.firewall("unpublish", [port])


def test_the_host_keeps_its_own_listeners_on_other_ports(published):
    assert published.answer(published.machine, "tcp", HOST, 80) == f"host {MACHINE}"


def test_publish_and_unpublish_are_idempotent_and_atomic(world):
    one = Publication("tcp", "", 9000, "172.30.1.2", 80, FRONT.name)
    two = Publication("tcp", "", 9001, "172.30.1.3", 80, FRONT.name)
    clash = Publication("tcp", "0.0.0.0", 9000, "172.30.1.3", 80, FRONT.name)
    world.firewall("publish", [one])
    world.firewall("publish", [one])
    with pytest.raises(Conflict, match=r"'\*:9000/tcp' is already published to 172\.30\.1\.2"):
        world.firewall("publish", [two, clash])
    assert [str(p) for p in world.firewall("publications")] == [str(one)]
    world.firewall("unpublish", [clash])
    assert [(str(p), p.bridge) for p in world.firewall("publications")] == [(str(one), FRONT.name)]
    world.firewall("unpublish", [one, two])
    world.firewall("unpublish", [one])
    assert world.firewall("publications") == []


def _flow(pipes: tuple[int, int], ip: str) -> None:
    """Send from one UDP socket whenever asked to, and tell what was answered."""
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(SILENCE_S)
        while os.read(pipes[0], 1):
            try:
                one.sendto(b"?", (ip, 9100))
                answer = one.recv(100)
            except OSError:
                answer = b"silence"
            os.write(pipes[1], answer)


@pytest.mark.parametrize(
    ("ip", "first", "second"), [(HOST, "172.30.1.2", "172.30.1.3"), (HOST6, "fd00:1::2", "fd00:1::3")]
)
def test_a_udp_client_that_keeps_its_port_is_led_to_where_the_port_leads_now(world, ip, first, second):
    """Conntrack would go on with the first packet's translation: none, and then to the container that has gone."""
    asked, ask = os.pipe()
    answered, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ask)
            world.machine.enter()
            _flow((asked, answer), ip)
        finally:
            os._exit(0)
    os.close(asked)

    def reply() -> str:
        os.write(ask, b"x")
        return os.read(answered, 100).decode().split()[0]

    one, two = (Publication("udp", "", 9100, address, 80) for address in (first, second))
    try:
        assert reply() == "silence"
        world.firewall("publish", [one])
        assert reply() == "web"
        world.firewall("unpublish", [one])
        world.firewall("publish", [two])
        assert reply() == "db"
        world.firewall("unpublish", [two])
        assert reply() == "silence"
    finally:
        os.close(ask)
        os.waitpid(pid, 0)
        for pipe in (answered, answer):
            os.close(pipe)


def test_networks_come_and_go_and_the_table_with_the_last():
    """Run where nothing is: also without the library, through the nft command."""

    def life() -> list[object]:
        firewall = Firewall()
        seen: list[object] = [firewall.exists(), firewall.networks()]
        firewall.remove_network(FRONT.name)
        with Netlink() as netlink:
            for bridge in (FRONT, BACK, INSIDE):
                netlink.create_bridge(bridge.name)
                firewall.add_network(bridge)
                firewall.add_network(bridge)
        seen.append(firewall.networks())
        firewall.publish([Publication("tcp", "", 1, "172.30.1.9", 2)])
        firewall.publish([Publication("udp", "", 1, "fd00:2::9", 2)])
        firewall.remove_network(FRONT.name)
        firewall.remove_network(FRONT.name)
        seen.append([str(one) for one in firewall.publications()])
        firewall.remove_network(INSIDE.name)
        seen.append(nftables.run("list set inet composer same").count("cmp"))
        firewall.remove_network(BACK.name)
        seen.append(nftables.run("list tables"))
        return seen

    def without_library() -> list[object]:
        nftables._library = False
        return life()

    for way in (life, without_library):
        with namespaces(1) as (space,):
            assert space.call(way) == [
                False,
                [],
                [FRONT.name, BACK.name, INSIDE.name],
                ["*:1/udp → [fd00:2::9]:2"],
                2,
                "",
            ]


def test_first_networks_made_at_once_make_one_table():
    """Without any lock: whoever comes second finds the table, and no rule is there twice."""

    def inside() -> list[object]:
        names = [f"cmp{number:010x}" for number in range(6)]
        with Netlink() as netlink:
            for name in names:
                netlink.create_bridge(name)
        read, write = os.pipe()
        pids = []
        for number, name in enumerate(names):
            pid = os.fork()
            if pid == 0:
                os.close(write)
                os.read(read, 1)
                try:
                    Firewall().add_network(Bridge(name, f"10.{number}.0.0/16"))
                    os._exit(0)
                finally:
                    os._exit(1)
            pids.append(pid)
        os.close(write)
        statuses = [os.waitpid(pid, 0)[1] for pid in pids]
        rules = nftables.run("list chain inet composer through").count("accept")
        return [statuses, Firewall().networks() == names, rules]

    with namespaces(1) as (space,):
        # Three rules and the policy.
        assert space.call(inside) == [[0] * 6, True, 4]


DOCKER_RULES = """
iptables -P FORWARD DROP
iptables -N DOCKER-USER
iptables -A DOCKER-USER -j RETURN
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
ip6tables -P FORWARD DROP
ip6tables -N DOCKER-USER
ip6tables -A FORWARD -j DOCKER-USER
"""


@pytest.mark.parametrize("flavour", ["nft", "legacy"])
def test_beside_docker_with_its_forward_policy(flavour):
    """Docker starts after us: everything stops until `ensure_docker_user`.

    Docker's own network stays closed to ours.
    """
    rules = DOCKER_RULES.replace("tables ", f"tables-{flavour} ")
    servers: list[int] = []
    with namespaces(8) as (*spaces, docker):
        world = World(spaces)
        world.build()
        for bridge in (FRONT, BACK, INSIDE):
            world.firewall("add_network", bridge)
        world.host.call(_named_bridges)
        try:
            for space, name in (
                (world.web, "web"),
                (world.db, "db"),
                (world.machine, "machine"),
                (docker, "docker"),
            ):
                servers.append(_serve(space, name, (80,)))
            world.host.call(_docker_network, docker.pid)
            docker.run("ip", "addr", "add", "172.31.0.2/24", "dev", "eth0")
            docker.run("ip", "link", "set", "eth0", "up")
            docker.run("ip", "route", "add", "default", "via", "172.31.0.1")
            world.host.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
            world.firewall("publish", [Publication("tcp", "", 8080, "172.30.1.2", 80)])
            world.firewall("publish", [Publication("tcp", "", 8080, "fd00:1::2", 80)])
            assert world.firewall("ensure_docker_user") is False
            assert world.answer(world.web, "tcp", "172.31.0.2", 80) == "docker 172.31.0.1"

            world.host.run("sh", "-ec", rules)
            before = world.host.run(f"iptables-{flavour}-save")
            assert world.ask(world.db, "tcp", "172.30.1.2", 80) == "silence"
            assert world.ask(world.machine, "tcp", HOST, 8080) == "silence"
            assert world.ask(world.machine, "tcp", HOST6, 8080) == "silence"

            assert world.firewall("ensure_docker_user") is True
            assert world.firewall("ensure_docker_user") is True
            assert world.host.run(f"iptables-{flavour}", "-S", "DOCKER-USER").count("COMPOSER") == 1
            assert world.answer(world.machine, "tcp", HOST6, 8080) == f"web {MACHINE6}"
            world.firewall("add_network", Bridge("br-mine", "172.30.9.0/24"))
            chain = world.host.run(f"iptables-{flavour}", "-S", "COMPOSER").splitlines()
            assert "-A COMPOSER -i br-mine -o br-mine -j ACCEPT" in chain
            assert chain.index("-A COMPOSER -i br-lan -o br-mine -j ACCEPT") < chain.index(
                "-A COMPOSER -i br-+ -o br-mine -j RETURN"
            )
            world.firewall("remove_network", "br-mine")
            assert world.answer(world.db, "tcp", "172.30.1.2", 80) == "web 172.30.1.3"
            assert world.answer(world.machine, "tcp", HOST, 8080) == f"web {MACHINE}"
            assert world.answer(world.web, "tcp", HOST, 8080).startswith("web ")
            assert world.answer(world.web, "tcp", MACHINE, 80) == f"machine {HOST}"
            assert world.ask(world.web, "tcp", "172.30.2.2", 80) == "silence"
            assert world.ask(world.web, "tcp", "172.31.0.2", 80) == "silence"
            assert world.answer(docker, "tcp", HOST, 8080).startswith("web ")
            for bridge in (FRONT, BACK, INSIDE):
                world.firewall("remove_network", bridge.name)
            assert _rules_of(world.host.run(f"iptables-{flavour}-save")) == _rules_of(before)
        finally:
            for pid in servers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _named_bridges() -> None:
    """One of ours that the user named, which no pattern finds.

    And an uplink that is named as Docker's are.
    """
    with Netlink() as netlink:
        for name in ("br-mine", "br-lan"):
            netlink.create_bridge(name)


def _docker_network(pid: int) -> None:
    with Netlink() as netlink:
        index = netlink.create_bridge("docker0")
        netlink.add_address(index, "172.31.0.1", 24)
        netlink.create_veth("vethd", master_index=index, peer_name="eth0", peer_netns_pid=pid)


def _rules_of(saved: str) -> list[str]:
    return sorted(line for line in saved.splitlines() if line.startswith("-A"))


def test_another_firewall_that_drops_is_named():
    """We cannot let anything through a drop of theirs: the user has to hear of it."""
    rules = "table inet theirs { chain f { type filter hook forward priority 0; policy drop; }; }"
    with namespaces(1) as (space,):
        space.run("iptables-nft", "-P", "FORWARD", "DROP")
        assert space.call(obstacles) == []
        space.run("nft", rules)
        assert space.call(obstacles) == ["inet theirs f"]


def test_the_kept_socket_is_not_inherited_and_a_child_has_its_own():
    def inside() -> list[object]:
        inheritable, open_before = nftables._sockets(), len(os.listdir("/proc/self/fd"))
        firewall = Firewall()
        firewall.exists()
        seen: list[object] = [nftables._sockets() == inheritable]
        pid = os.fork()
        if pid == 0:
            try:
                firewall.exists()
                os._exit(0 if firewall._session._pid == os.getpid() else 1)
            finally:
                os._exit(2)
        seen += [os.waitpid(pid, 0)[1], firewall.exists(), len(os.listdir("/proc/self/fd")) - open_before]
        firewall.close()
        return [*seen, len(os.listdir("/proc/self/fd")) - open_before]

    with namespaces(1) as (space,):
        assert space.call(inside) == [True, 0, False, 1, 0]


def test_container_dns_leads_to_our_ports_and_leaves_port_53_to_the_container():
    def inside() -> list[str]:
        servers = []
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            ours = socket.socket(socket.AF_INET, kind)
            ours.bind(("127.0.0.11", 0))
            own = socket.socket(socket.AF_INET, kind)
            own.bind(("0.0.0.0", 53))
            if kind == socket.SOCK_STREAM:
                ours.listen()
            servers.append(ours)
        container_dns(9, 9)
        container_dns(servers[0].getsockname()[1], servers[1].getsockname()[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect(("127.0.0.11", 53))
            client.send(b"question")
            data, peer = servers[0].recvfrom(100)
            servers[0].sendto(b"answer to " + data, peer)
            seen = [client.recv(100).decode()]
        with socket.create_connection(("127.0.0.11", 53), timeout=2) as stream:
            connection, _ = servers[1].accept()
            connection.sendall(b"tcp")
            seen.append(stream.recv(100).decode())
        return seen

    with namespaces(1) as (space,):
        assert space.call(inside) == ["answer to question", "tcp"]
        assert space.run("nft", "list", "tables") == "table inet composer_dns\n"
