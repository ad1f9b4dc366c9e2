"""The rtnetlink client against the kernel, with pyroute2 as the independent reader."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from composer.runtime.network.netlink import Netlink

from .netns import Namespace, namespaces

pytestmark = pytest.mark.root
if os.geteuid() != 0:
    pytest.skip("needs root", allow_module_level=True)


def _oracle() -> dict[str, dict[str, object]]:
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        found: dict[str, dict[str, object]] = {}
        for link in ip.get_links():
            info = link.get_attr("IFLA_LINKINFO")
            found[link.get_attr("IFLA_IFNAME")] = {
                "index": link["index"],
                "mac": link.get_attr("IFLA_ADDRESS"),
                "mtu": link.get_attr("IFLA_MTU"),
                "master": link.get_attr("IFLA_MASTER") or 0,
                "up": bool(link["flags"] & 1),
                "kind": info.get_attr("IFLA_INFO_KIND") if info else "",
                "alias": link.get_attr("IFLA_IFALIAS") or "",
            }
        return found


def test_bridge_and_veth_are_what_an_independent_reader_sees():
    """One message makes the pair, enslaves the host end, sets it up and puts the peer where it belongs."""

    def make(pid: int) -> tuple[int, int, list[dict[str, object]]]:
        with Netlink() as netlink:
            bridge = netlink.create_bridge("cmp0123456789", mac="02:42:aa:bb:cc:dd", mtu=1400)
            host = netlink.create_veth(
                "cmpv1", master_index=bridge, peer_name="eth0", peer_netns_pid=pid,
                peer_mac="02:42:ac:11:00:02", mtu=1400, hairpin=True,
            )  # fmt: skip
            netlink.set_alias(bridge, "/where/its network/is")
            ours = [{name: getattr(link, name) for name in link.__slots__} for link in netlink.links()]
            return bridge, host, ours

    with namespaces(2) as (host_ns, container):
        bridge, _host, ours = host_ns.call(make, container.pid)
        oracle = host_ns.call(_oracle)
        assert {link["name"]: {k: v for k, v in link.items() if k != "name"} for link in ours} == oracle
        assert oracle["cmp0123456789"] == {
            "index": bridge, "mac": "02:42:aa:bb:cc:dd", "mtu": 1400, "master": 0, "up": True, "kind":
            "bridge", "alias": "/where/its network/is",
        }  # fmt: skip
        assert oracle["cmpv1"]["master"] == bridge and oracle["cmpv1"]["up"]
        peer = container.call(_oracle)["eth0"]
        assert peer["mac"] == "02:42:ac:11:00:02" and peer["mtu"] == 1400 and not peer["up"]
        assert "hairpin on" in host_ns.run("bridge", "-d", "link", "show", "dev", "cmpv1")


def test_addresses_and_routes_in_both_families():
    def inside() -> tuple[list[tuple[str, int]], list[tuple[str | None, str | None, int]]]:
        with Netlink() as netlink:
            index = netlink.create_bridge("br")
            netlink.add_address(index, "10.9.0.1", 24)
            netlink.add_address(index, "fd00:9::1", 64)
            netlink.add_route(None, via="10.9.0.254", oif=index, metric=7)
            netlink.add_route(None, via="fd00:9::fe")
            netlink.add_route("192.0.2.0/24", oif=index)
            netlink.add_route("2001:db8::/32", via="fd00:9::fe")
            return (
                [(one.ip, one.prefix) for one in netlink.addresses() if one.index == index],
                [(one.dst, one.via, one.metric) for one in netlink.routes() if one.oif == index],
            )

    with namespaces(1) as (space,):
        addresses, routes = space.call(inside)
        assert ("10.9.0.1", 24) in addresses and ("fd00:9::1", 64) in addresses
        assert (None, "10.9.0.254", 7) in routes
        assert ("10.9.0.0/24", None, 0) in routes and ("192.0.2.0/24", None, 0) in routes
        assert (None, "fd00:9::fe", 1024) in routes and ("2001:db8::/32", "fd00:9::fe", 1024) in routes
        assert "default via 10.9.0.254 dev br metric 7" in space.run("ip", "route")
        assert "tentative" not in space.run("ip", "-6", "addr", "show", "dev", "br", "scope", "global")


def test_changes_of_a_link():
    def inside() -> list[object]:
        with Netlink() as netlink:
            bridge = netlink.create_bridge("br", up=False)
            seen: list[object] = [netlink.links()[-1].up]
            netlink.set_up(bridge)
            seen.append(netlink.links()[-1].up)
            netlink.set_down(bridge)
            netlink.rename(bridge, "br2")
            netlink.set_mac(bridge, "02:00:00:00:00:07")
            seen += [netlink.link_index("br"), netlink.link_index("br2") == bridge, netlink.links()[-1].mac]
            netlink.delete_link(bridge)
            seen.append(netlink.link_index("br2"))
            return seen

    with namespaces(1) as (space,):
        assert space.call(inside) == [False, True, None, True, "02:00:00:00:00:07", None]


def test_set_master_takes_out_and_puts_in():
    def inside(pid: int) -> list[int]:
        with Netlink() as netlink:
            bridge = netlink.create_bridge("br")
            port = netlink.create_veth("p", master_index=0, peer_name="q", peer_netns_pid=pid)
            seen = []
            for master in (bridge, 0):
                netlink.set_master(port, master)
                seen.append(next(link.master for link in netlink.links() if link.index == port))
            return [bridge, *seen]

    with namespaces(2) as (space, other):
        bridge, first, second = space.call(inside, other.pid)
        assert (first, second) == (bridge, 0)


def _raised(space: Namespace, function: object, *arguments: object) -> OSError:
    with pytest.raises(OSError) as caught:
        space.call(function, *arguments)  # type: ignore[arg-type]
    return caught.value


def test_the_kernels_refusals_are_oserrors_with_its_words():
    def twice() -> None:
        with Netlink() as netlink:
            netlink.create_bridge("br")
            netlink.create_bridge("br")

    def gone() -> None:
        with Netlink() as netlink:
            netlink.delete_link(4711)

    def gateway() -> None:
        with Netlink() as netlink:
            netlink.add_route(None, via="192.0.2.1")

    with namespaces(1) as (space,):
        taken = _raised(space, twice)
        assert isinstance(taken, FileExistsError) and "'br'" in str(taken)
        assert _raised(space, gone).errno == errno.ENODEV
        unreachable = _raised(space, gateway)
        assert unreachable.errno == errno.ENETUNREACH
        assert "Nexthop has invalid gateway" in str(unreachable)


def test_a_wrong_name_or_address_is_refused_before_the_kernel_sees_it():
    with Netlink() as netlink:
        with pytest.raises(ValueError, match="1 to 15 bytes"):
            netlink.link_index("a" * 16)
        with pytest.raises(ValueError, match="invalid IP address"):
            netlink.add_address(1, "10.0.0.256", 24)
        with pytest.raises(ValueError, match="network namespace"):
            netlink.create_veth("a", master_index=0, peer_name="b")


def test_dumps_longer_than_one_datagram_are_complete():
    def inside() -> int:
        with Netlink() as netlink:
            index = netlink.create_bridge("br")
            for number in range(600):
                netlink.add_address(index, f"10.1.{number // 200}.{number % 200 + 1}", 32)
            return sum(one.index == index and one.prefix == 32 for one in netlink.addresses())

    with namespaces(1) as (space,):
        assert space.call(inside) == 600


def test_a_pair_takes_one_message():
    """A guard against a second message or a dump sneaking in; how long it takes is in the benchmarks."""

    def inside(pid: int) -> list[int]:
        with Netlink() as netlink:
            bridge = netlink.create_bridge("br")
            asked = []
            request = netlink.call

            def count(kind: int, *arguments: Any) -> None:
                asked.append(kind)
                request(kind, *arguments)

            netlink.call = count  # type: ignore[assignment, method-assign]
            netlink.create_veth("v0", master_index=bridge, peer_name="e0", peer_netns_pid=pid)
            return asked

    with namespaces(2) as (space, container):
        assert len(space.call(inside, container.pid)) == 1


def test_links_that_do_not_go_by_themselves_are_deleted():
    from composer.runtime.objects import links

    def inside(pid: int) -> list[str]:
        with Netlink() as netlink:
            bridge = netlink.create_bridge("cmpbr")
            for name in ("cmpa", "cmpb"):
                netlink.create_veth(name, master_index=bridge, peer_name=name, peer_netns_pid=pid)
        links.delete(["cmpa", "cmpb", "cmpgone"])
        with Netlink() as netlink:
            return [link.name for link in netlink.links()]

    with namespaces(2) as (host_ns, container):
        assert host_ns.call(inside, container.pid) == ["lo", "cmpbr"]
        assert list(container.call(_oracle)) == ["lo"]
