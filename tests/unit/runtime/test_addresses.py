"""Subnets, pools as Docker chooses them, and leases that two processes can never share."""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import Conflict
from composer.runtime.network import addresses
from composer.runtime.network.addresses import Leases, Pool, parse_subnet
from composer.runtime.network.subnets import Source, Used, choose_pools


def _pool(subnet: str = "10.0.0.0/29", range: str | None = None, **reserved: str) -> Pool:
    whole = parse_subnet(subnet)
    gateway = addresses.ip_text(whole.first + 1, whole.family)
    return Pool(whole, gateway, parse_subnet(range or subnet), {ip: name for name, ip in reserved.items()})


@given(
    st.one_of(
        st.builds(
            lambda n, p: f"{ipaddress.IPv4Address(n)}/{p}", st.integers(0, 2**32 - 1), st.integers(0, 32)
        ),
        st.builds(
            lambda n, p: f"{ipaddress.IPv6Address(n)}/{p}", st.integers(0, 2**128 - 1), st.integers(0, 128)
        ),
    )
)
def test_a_subnet_is_what_the_standard_library_makes_of_it(text):
    ours, theirs = parse_subnet(text), ipaddress.ip_network(text, strict=False)
    assert (ours.first, ours.last, ours.family) == (int(theirs[0]), int(theirs[-1]), theirs.version)
    assert ipaddress.ip_network(str(ours)) == theirs


@given(
    *[st.builds(lambda n, p: f"{ipaddress.IPv4Address(n << 28)}/{p}", st.integers(0, 15), st.integers(0, 6))]
    * 2
)
def test_overlap_is_what_the_standard_library_makes_of_it(a, b):
    theirs = ipaddress.ip_network(a, strict=False), ipaddress.ip_network(b, strict=False)
    assert addresses.overlaps(parse_subnet(a), parse_subnet(b)) == theirs[0].overlaps(theirs[1])
    assert not addresses.overlaps(parse_subnet(a), parse_subnet("::/0"))


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x", "10.0.0.0/²", "/8"]
)
def test_what_is_no_subnet_is_refused(text):
    with pytest.raises(ValueError, match=r"invalid (subnet|IP address)"):
        parse_subnet(text)


# ------------------------------------------------------------------ pools


def _used(*subnets: str) -> list[Used]:
    return [Used(subnet, f"network '{number}'") for number, subnet in enumerate(subnets)]


def _chosen(used: Sequence[str], **options: Any) -> list[tuple[str, str]]:
    return [(str(pool.subnet), pool.gateway) for pool in choose_pools({}, used=_used(*used), **options)]


def test_default_pools_are_docker_s_in_docker_s_order():
    used: list[str] = []
    for _ in range(33):
        ((subnet, gateway),) = _chosen(used)
        assert gateway == str(ipaddress.ip_network(subnet)[1])
        used.append(subnet)
    assert used[:3] == ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"]
    assert used[14:17] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert used[31:] == ["172.16.0.0/24", "172.16.1.0/24"]


@pytest.mark.parametrize(
    "routed",
    [[], ["10.0.0.0/8"], ["172.16.0.0/12", "192.168.0.0/16"], ["0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8"]],
)
def test_a_thousand_networks_fit_beside_what_the_host_routes(routed: list[str]) -> None:
    used = list(routed)
    for _ in range(1000):
        ((subnet, _),) = _chosen(used)
        used.append(subnet)
    found = sorted(ipaddress.ip_network(subnet) for subnet in used[len(routed) :])
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(found))
    wide = [ipaddress.ip_network(subnet) for subnet in routed if not subnet.endswith("/1")]
    assert not any(one.overlaps(other) for one in found for other in wide)


def test_without_a_free_subnet_the_error_says_who_has_the_addresses() -> None:
    used = [
        Used("172.16.0.0/12", "route 172.16.0.0/12 through tun0"),
        Used("192.168.0.0/16", "interface eth0"),
        Used("10.0.0.0/8", "network 'big'"),
        *(Used(f"100.{second}.0.0/16", f"network 'n{second}'") for second in range(64, 128)),
    ]
    with pytest.raises(Conflict) as caught:
        choose_pools({}, used=used)
    assert str(caught.value) == (
        "no free IPv4 subnet in the default address pools: in use by network 'big', route 172.16.0.0/12 through "
        "tun0, interface eth0, network 'n100', network 'n101' and 62 more"
    )
    assert "address_pools" in str(caught.value.hint)


def test_pools_of_the_users_own_take_the_place_of_the_default_ones() -> None:
    sources = [Source.of("10.200.0.0/23", 24), Source.of("fd12::/56", 64)]
    used = ["10.200.0.7/32"]
    assert _chosen(used, sources=sources) == [("10.200.1.0/24", "10.200.1.1")]
    assert _chosen(used, sources=sources, ipv4=False, ipv6=True) == [("fd12::/64", "fd12::1")]
    with pytest.raises(Conflict, match=r"no free IPv4 subnet in 10\.200\.0\.0/23: in use by network '0'"):
        _chosen(["10.200.0.0/16"], sources=sources)


@pytest.mark.parametrize(
    ("base", "size", "words"),
    [
        ("10.0.0.0/16", 8, "must be from 16 to 30"),
        ("10.0.0.0/16", 31, "16 to 30"),
        ("ten", 24, "invalid IP address"),
    ],
)
def test_a_pool_that_is_none(base: str, size: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Source.of(base, size)


def test_what_the_host_uses_is_skipped():
    assert _chosen(["172.17.0.1/16", "172.18.5.5/32"]) == [("172.19.0.0/16", "172.19.0.1")]
    assert _chosen(["172.16.0.0/12"]) == [("192.168.0.0/20", "192.168.0.1")]


def test_a_vpn_s_halves_of_the_internet_do_not_take_every_pool():
    assert _chosen(["0.0.0.0/1", "128.0.0.0/1"]) == [("172.17.0.0/16", "172.17.0.1")]


def test_ipv6_is_a_unique_local_prefix_of_the_network_s_name():
    ((_, _), (first, gateway)) = _chosen([], ipv6=True, seed="shop_front")
    assert first.startswith("fd") and first.endswith("/64") and gateway == first.removesuffix("/64") + "1"
    assert _chosen([], ipv4=False, ipv6=True, seed="shop_front") == [(first, gateway)]
    assert _chosen([first], ipv4=False, ipv6=True, seed="shop_front")[0][0] != first
    assert _chosen([], ipv4=False, ipv6=True, seed="other")[0][0] != first


def test_ipam_is_honoured():
    config = {
        "subnet": "10.5.0.0/16",
        "ip_range": "10.5.7.0/24",
        "gateway": "10.5.0.254",
        "aux_addresses": {"router": "10.5.7.1"},
    }
    (pool,) = choose_pools({"config": [config]}, used=_used("10.5.0.0/16"))
    assert (str(pool.subnet), pool.gateway, str(pool.range)) == ("10.5.0.0/16", "10.5.0.254", "10.5.7.0/24")
    assert pool.reserved == {"10.5.7.1": "router"}
    both = {"config": [{"subnet": "2001:db8::/64"}, {"subnet": "10.5.0.0/16"}]}
    assert [str(pool.subnet) for pool in choose_pools(both, used=[], ipv6=True)] == [
        "10.5.0.0/16",
        "2001:db8::/64",
    ]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ([{"gateway": "10.0.0.1"}], "subnet is required"),
        ([{"subnet": "10.0.0.0/31"}], "too small"),
        ([{"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"}], "gateway '10.0.1.1' is not in subnet"),
        ([{"subnet": "10.0.0.0/24", "gateway": "10.0.0.0"}], "gateway '10.0.0.0' is not in subnet"),
        ([{"subnet": "10.0.0.0/24", "gateway": "fd00::1"}], "gateway 'fd00::1' is not in subnet"),
        ([{"subnet": "10.0.0.0/24", "ip_range": "10.0.0.0/16"}], "ip_range '10.0.0.0/16' is not inside"),
        ([{"subnet": "10.0.0.0/24", "aux_addresses": {"x": "10.0.0.255"}}], "aux address 'x'"),
        ([{"subnet": "10.0.0.0/24"}, {"subnet": "10.0.1.0/24"}], "two IPv4 subnets"),
        ([{"subnet": "nonsense"}], "invalid IP address 'nonsense'"),
    ],
)
def test_an_ipam_that_contradicts_itself_is_refused(config, reason):
    with pytest.raises(Conflict, match=reason):
        choose_pools({"config": config}, used=[])


# ------------------------------------------------------------------ leases


def test_each_gets_the_lowest_that_is_free(tmp_path):
    leases, pool = Leases(str(tmp_path)), _pool()
    assert [leases.allocate(pool, name) for name in "abc"] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    leases.release("10.0.0.3", "b")  # it has gone: nobody is called b
    assert [leases.allocate(pool, name) for name in "def"] == ["10.0.0.3", "10.0.0.5", "10.0.0.6"]
    with pytest.raises(Conflict, match=r"no available addresses in subnet '10\.0\.0\.0/29'"):
        leases.allocate(pool, "g")
    assert leases.held() == {f"10.0.0.{n}": owner for n, owner in zip((2, 3, 4, 5, 6), "adcef", strict=True)}


def test_who_gave_an_address_back_gets_it_again_and_so_does_its_successor(tmp_path):
    there = set("abcd")
    leases, pool = Leases(str(tmp_path), there.__contains__), _pool()
    assert [leases.allocate(pool, name) for name in "abc"] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    leases.release("10.0.0.2", "a")
    leases.release("10.0.0.3", "b")
    assert leases.allocate(pool, "d") == "10.0.0.5", "not one that another is going to want again"
    assert leases.allocate(pool, "b") == "10.0.0.3"
    assert leases.allocate(pool, "A", former="a") == "10.0.0.2"
    assert leases.allocate(pool, "a") == "10.0.0.6", "it comes too late"
    leases.release("10.0.0.6", "a")
    there.remove("a")
    assert leases.allocate(pool, "e") == "10.0.0.6"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".was.")]


def test_a_remembered_address_is_given_away_when_there_is_no_other(tmp_path):
    leases, pool = Leases(str(tmp_path), lambda id: True), _pool()
    for name in "abcde":
        leases.allocate(pool, name)
    leases.release("10.0.0.4", "c")
    assert leases.allocate(pool, "f") == "10.0.0.4"
    with pytest.raises(Conflict, match="no available addresses"):
        leases.allocate(pool, "c")


def test_the_successor_of_one_that_runs_gets_another(tmp_path):
    leases, pool = Leases(str(tmp_path), lambda id: True), _pool()
    assert leases.allocate(pool, "old") == "10.0.0.2"
    assert leases.allocate(pool, "new", former="old") == "10.0.0.3"


def test_range_gateway_and_reserved_addresses_are_respected(tmp_path):
    pool = _pool("10.0.0.0/24", "10.0.0.0/30", router="10.0.0.2")
    assert Leases(str(tmp_path)).allocate(pool, "a") == "10.0.0.3"
    with pytest.raises(Conflict, match="no available addresses"):
        Leases(str(tmp_path)).allocate(pool, "b")
    assert Leases(str(tmp_path)).allocate(pool, "b", static="10.0.0.77") == "10.0.0.77"


@pytest.mark.parametrize(
    ("static", "reason"),
    [
        ("10.0.0.3", "'10.0.0.3' is already in use by 'somebody'"),
        ("10.0.0.1", "'10.0.0.1' is the network's gateway"),
        ("10.0.0.5", "'10.0.0.5' is reserved for 'router'"),
        ("10.0.0.0", "not in subnet"),
        ("10.0.0.7", "not in subnet"),
        ("10.9.0.1", "not in subnet"),
        ("fd00::1", "not in subnet"),
        ("ten", "invalid IP address 'ten'"),
    ],
)
def test_a_static_address_that_cannot_be_had_is_refused_by_name(tmp_path, static, reason):
    leases, pool = Leases(str(tmp_path)), _pool(router="10.0.0.5")
    leases.allocate(pool, "somebody", static="10.0.0.3")
    with pytest.raises(Conflict, match=reason):
        leases.allocate(pool, "me", static=static)
    assert leases.held() == {"10.0.0.3": "somebody"}


def test_an_owner_keeps_its_address_and_another_static_one_replaces_it(tmp_path):
    leases, pool = Leases(str(tmp_path)), _pool()
    assert leases.allocate(pool, "a") == leases.allocate(pool, "a") == "10.0.0.2"
    leases.allocate(pool, "b")
    with pytest.raises(Conflict):
        leases.allocate(pool, "a", static="10.0.0.3")
    assert leases.allocate(pool, "a") == "10.0.0.2"
    assert leases.allocate(pool, "a", static="10.0.0.6") == "10.0.0.6"
    assert leases.allocate(pool, "a") == "10.0.0.6"
    assert leases.held() == {"10.0.0.6": "a", "10.0.0.3": "b"}


def test_both_families_are_held_beside_each_other(tmp_path):
    leases = Leases(str(tmp_path))
    six = _pool("fd00:1::/64")
    assert leases.allocate(_pool(), "a") == "10.0.0.2"
    assert [leases.allocate(six, name) for name in "ab"] == ["fd00:1::2", "fd00:1::3"]
    leases.release("fd00:1::2", "a")
    assert leases.allocate(_pool(), "a") == "10.0.0.2"


def test_release_is_idempotent_and_only_for_the_holder(tmp_path):
    leases, pool = Leases(str(tmp_path)), _pool()
    ip = leases.allocate(pool, "a")
    leases.release(ip, "b")
    assert leases.owner(ip) == "a"
    leases.release(ip, "a")
    leases.release(ip, "a")
    assert leases.owner(ip) is None
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".was.")] == []


def test_a_crash_before_the_lease_was_made_leaves_nothing_held(tmp_path):
    """The owner's name is written first; without the address being the same file it says nothing."""
    leases, pool = Leases(str(tmp_path)), _pool()
    (tmp_path / ".a.4").write_text("a\n10.0.0.2\n")
    assert leases.held() == {}
    assert leases.allocate(pool, "b") == "10.0.0.2"
    assert leases.allocate(pool, "a") == "10.0.0.3"
    assert leases.held() == {"10.0.0.2": "b", "10.0.0.3": "a"}


def test_processes_that_ask_at_once_never_get_the_same(tmp_path):
    pool = _pool("10.0.0.0/24")
    start_read, start_write = os.pipe()
    pids = []
    for worker in range(6):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(start_write)
                os.read(start_read, 1)
                leases = Leases(str(tmp_path))
                for number in range(30):
                    leases.allocate(pool, f"w{worker}-{number}")
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    os.close(start_read)
    os.close(start_write)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 6
    held = Leases(str(tmp_path)).held()
    assert len(held) == 180 and len(set(held.values())) == 180


@pytest.mark.parametrize("owner", ["", "../x", "a\nb", "x" * 129])
def test_an_owner_that_is_no_file_name_is_refused(tmp_path, owner):
    with pytest.raises(ValueError, match="invalid address owner"):
        Leases(str(tmp_path)).allocate(_pool(), owner)


# ------------------------------------------------------------------ hardware addresses


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (None, "02:42:ac:11:00:02"),
        ("", "02:42:ac:11:00:02"),
        ("02:42:AC:11:00:99", "02:42:ac:11:00:99"),
        ("02-42-ac-11-00-99", "02:42:ac:11:00:99"),
        ("0242.ac11.0099", "02:42:ac:11:00:99"),
    ],
)
def test_a_hardware_address_is_docker_s_or_the_given_one(given, want):
    assert addresses.mac_address("172.17.0.2", given) == want


@pytest.mark.parametrize("given", ["02:42", "01:00:5e:00:00:01", "00:00:00:00:00:00", "zz:42:ac:11:00:02"])
def test_a_hardware_address_that_no_interface_has_is_refused(given):
    with pytest.raises(ValueError, match="invalid hardware address"):
        addresses.mac_address("172.17.0.2", given)


@given(st.sets(st.integers(0, 12)), st.integers(0, 6), st.integers(6, 12))
def test_first_free_is_the_lowest_and_found_exactly_when_there_is_one(taken, first, last):
    free = [number for number in range(first, last + 1) if number not in taken]
    assert addresses.first_free(taken, first, last) == (free[0] if free else None)
