"""What the built-in runtime would not honour is said before anything is created: where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from composer.backends.namespace.translate import limitations


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
        ({"runtime": "nvidia"}, ("runtime",), True),
        ({"isolation": "hyperv"}, ("isolation",), True),
        ({"cpu_count": 2}, ("cpu_count",), False),
        ({"logging": {"driver": "syslog"}}, ("logging", "driver"), True),
        ({"logging": {"options": {"labels": "a"}}}, ("logging", "options", "labels"), False),
        ({"brand_new": 1}, ("brand_new",), True),
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
        {"volumes": [{"type": "bind", "source": "/proc/", "target": "/proc"}], "tmpfs": ["/procs"]},
        {"volumes": [{"type": "bind", "source": "/x", "target": "/proc/meminfo"}]},
    ],
)
def test_what_it_can_do_is_not_complained_about(attributes: dict[str, Any]) -> None:
    assert limitations(attributes) == []
