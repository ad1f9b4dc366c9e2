"""What the built-in runtime would not honour is said before anything is created: where, and what to do."""

from __future__ import annotations

import os
from typing import Any

import pytest

from composer import values
from composer.backends.namespace import networkoptions
from composer.backends.namespace.translate import limitations
from composer.runtime.tasks import health


@pytest.mark.parametrize(
    ("attributes", "path", "fatal"),
    [
        ({"network_mode": "service:db", "ports": [{"target": 80}]}, ("ports",), True),
        ({"network_mode": "container:db", "dns": ["1.1.1.1"]}, ("dns",), True),
        ({"network_mode": "some-network"}, ("network_mode",), True),
        ({"cgroup_parent": "/a/../../b"}, ("cgroup_parent",), True),
        ({"gpus": "all"}, ("gpus",), True),
        ({"devices": [{"source": "nobody.example/thing=one"}]}, ("devices", 0), True),
        ({"uts": "host", "hostname": "box"}, ("hostname",), True),
        ({"pid": "private"}, ("pid",), True),
        ({"ipc": "odd"}, ("ipc",), True),
        ({"userns_mode": "keep-id"}, ("userns_mode",), True),
        ({"platform": "linux/s390x"}, ("platform",), True),
        ({"platform": "windows/amd64"}, ("platform",), True),
        ({"platform": "linux/what/is/this"}, ("platform",), True),
        ({"runtime": "nvidia"}, ("runtime",), True),
        ({"isolation": "hyperv"}, ("isolation",), True),
        ({"cpu_count": 2}, ("cpu_count",), False),
        ({"logging": {"driver": "syslog"}}, ("logging", "driver"), True),
        ({"logging": {"options": {"labels": "a"}}}, ("logging", "options", "labels"), False),
        ({"brand_new": 1}, ("brand_new",), True),
        ({"container_name": "n" * 300}, ("container_name",), True),
        ({"volumes": [{"type": "volume", "target": "d:/d"}]}, ("volumes", 0), True),
        ({"tmpfs": ["run"]}, ("tmpfs", 0), True),
        ({"mac_address": "zz:zz"}, ("mac_address",), True),
        ({"mac_address": "01:00:00:00:00:01"}, ("mac_address",), True),
        ({"networks": {"n": {"mac_address": "0"}}}, ("networks", "n", "mac_address"), True),
        ({"ports": [{"target": 80}, {"target": 81, "protocol": "foo"}]}, ("ports", 1, "protocol"), True),
        ({"healthcheck": {"test": ["CMD", "x"], "interval": "1ns"}}, ("healthcheck", "interval"), False),
        ({"tmpfs": ["/a:size=64m,mode=1777,noexec,uid=1", "/run:mode=75%"]}, ("tmpfs", 1), True),
        ({"tmpfs": ["/run:size=much"]}, ("tmpfs", 0), True),
        ({"tmpfs": ["/run:colour=red"]}, ("tmpfs", 0), True),
        ({"ports": [{"target": 80}, {"published": "81"}]}, ("ports", 1), True),
        ({"healthcheck": {"start_interval": "99ms"}}, ("healthcheck", "start_interval"), False),
        ({"volumes": [{"type": "volume", "source": "v", "target": "/proc"}]}, ("volumes", 0), True),
        ({"volumes": [{"type": "bind", "source": "/x", "target": "/proc"}]}, ("volumes", 0), True),
        ({"volumes": [{"type": "bind", "source": "/x", "target": "//./"}]}, ("volumes", 0), True),
        ({"tmpfs": ["/proc/sys:size=1m"]}, ("tmpfs", 0), True),
        ({"secrets": [{"source": "s", "target": "/proc/kcore"}]}, ("secrets", 0), True),
    ],
)
def test_a_limitation_has_its_place_and_a_reason(
    attributes: dict[str, Any], path: tuple[str, ...], fatal: bool
) -> None:
    (found,) = limitations(attributes)
    assert (found.path, found.fatal) == (path, fatal)
    assert found.reason
    assert found.reason[-1] != "."


@pytest.mark.parametrize(
    "attributes",
    [
        {"network_mode": "bridge", "cgroup_parent": "/machine/mine"},
        {"network_mode": "host", "ports": [{"target": 80}]},
        {"network_mode": "service:db", "pid": "service:db", "ipc": "container:db"},
        {"pid": "host", "ipc": "shareable", "uts": "host", "cgroup": "private", "userns_mode": "host"},
        {"logging": {"driver": "local", "options": {"max-size": "1m", "max-file": "3"}}},
        {"security_opt": ["seccomp=unconfined", "no-new-privileges", "systempaths=unconfined"]},
        {"runtime": "runc", "isolation": "default"},
        *({"platform": form.format(os.uname().machine)} for form in ("{}", "linux/{}", "Linux/{}", "linux")),
        {"volumes": [{"type": "bind", "source": "/proc/", "target": "/proc"}], "tmpfs": ["/procs"]},
        {"volumes": [{"type": "bind", "source": "/x", "target": "/proc/meminfo"}]},
    ],
)
def test_what_it_can_do_is_not_complained_about(attributes: dict[str, Any]) -> None:
    assert limitations(attributes) == []


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"driver": "overlay"}, ("driver",)),
        ({"ipam": {"driver": "dhcp"}}, ("ipam", "driver")),
        (
            {"ipam": {"config": [{"subnet": "10.9.0.0/16"}, {"subnet": "127.0.0.0/8"}]}},
            ("ipam", "config", 1, "subnet"),
        ),
        ({"ipam": {"config": [{"subnet": "::1/64"}]}}, ("ipam", "config", 0, "subnet")),
        ({"ipam": {"config": [{"subnet": "224.1.0.0/16"}]}}, ("ipam", "config", 0, "subnet")),
        ({"ipam": {"config": [{"subnet": "0.0.0.0/0"}]}}, ("ipam", "config", 0, "subnet")),
        ({"ipam": {"config": [{"subnet": "10.0.0.0/99"}]}}, ("ipam", "config", 0, "subnet")),
    ],
)
def test_so_has_one_of_a_network(attributes: dict[str, Any], path: tuple[str, ...]) -> None:
    (found,) = networkoptions.limitations(attributes)
    assert (found.path, found.fatal) == (path, True)
    assert found.reason


@pytest.mark.parametrize(
    "subnet", ["10.0.0.0/8", "172.30.0.0/16", "192.168.1.0/24", "100.64.0.0/10", "fd00:1::/64"]
)
def test_usual_subnets_are_none(subnet: str) -> None:
    assert (
        networkoptions.limitations({"ipam": {"config": [{"subnet": subnet}, {"gateway": "10.0.0.1"}]}}) == []
    )


@pytest.mark.parametrize("mac", ["02:42:ac:11:00:02", "02-42-AC-11-00-02", "0242.ac11.0002"])
def test_usual_hardware_addresses_are_none(mac: str) -> None:
    assert limitations({"mac_address": mac}) == []


def test_a_health_check_is_made_ten_times_a_second_and_no_more_often() -> None:
    """Whether its interval came from the files or from the image."""
    check = health.Check({"test": ["CMD", "true"], "interval": 1, "start_interval": 1, "start_period": 1}, 0)
    check.add(1, 2, 0, "")
    assert check.delay_s(3) == 0.1
    assert health.LEAST_INTERVAL_NS == values.LEAST_INTERVAL_NS
