"""From Docker's bodies to a service's attributes, and to mounts and networks."""

from __future__ import annotations

from typing import Any

import pytest

from composer.api.containers import places, wishes
from composer.api.http.problems import Problem
from composer.api.models import containers as models
from composer.api.models.base import read
from composer.engine.wanted import MountSpec


def attributes(body: dict[str, Any], exposed: list[str] | None = None) -> dict[str, Any]:
    return wishes.attributes_of(read(models.Create, {"Image": "x", **body}), exposed or [])


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"Hostname": "h", "User": "1:2", "Tty": True}, {"hostname": "h", "user": "1:2", "tty": True}),
        ({"Env": ["A=1", "B"]}, {"environment": ["A=1", "B"]}),
        ({"Cmd": ["a", "b"]}, {"command": ["a", "b"]}),
        ({"Cmd": "a b"}, {"command": ["a b"]}),
        ({"Cmd": []}, {}),
        ({"Entrypoint": [""]}, {"entrypoint": []}),
        ({"Entrypoint": ["x"], "Cmd": ["y"]}, {"entrypoint": ["x"], "command": ["y"]}),
        ({"StopSignal": "SIGINT", "StopTimeout": 3}, {"stop_signal": "SIGINT", "stop_grace_period": "3s"}),
        ({"Healthcheck": {"Test": ["NONE"]}}, {"healthcheck": {"disable": True}}),
        (
            {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 1_000_000_000, "Retries": 4}},
            {"healthcheck": {"test": ["CMD", "x"], "interval": "1000000000ns", "retries": 4}},
        ),
        ({"HostConfig": {"Memory": 67108864}}, {"mem_limit": "67108864"}),
        (
            {"HostConfig": {"Memory": 67108864, "MemorySwap": -1}},
            {"mem_limit": "67108864", "memswap_limit": "-1"},
        ),
        ({"HostConfig": {"NanoCpus": 1_500_000_000}}, {"cpus": 1.5}),
        ({"HostConfig": {"PidsLimit": -1}}, {}),
        ({"HostConfig": {"PidsLimit": 7}}, {"pids_limit": 7}),
        (
            {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}},
            {"restart": "on-failure:3"},
        ),
        ({"HostConfig": {"RestartPolicy": {"Name": ""}}}, {}),
        (
            {"HostConfig": {"ExtraHosts": ["a:10.0.0.1", "b:fe80::1"]}},
            {"extra_hosts": ["a=10.0.0.1", "b=fe80::1"]},
        ),
        ({"HostConfig": {"Init": False}}, {"init": False}),
        (
            {"HostConfig": {"Ulimits": [{"Name": "NOFILE", "Soft": 1, "Hard": 2}]}},
            {"ulimits": {"nofile": {"soft": 1, "hard": 2}}},
        ),
        (
            {"HostConfig": {"Devices": [{"PathOnHost": "/dev/null"}]}},
            {"devices": [{"source": "/dev/null", "target": "/dev/null", "permissions": "rwm"}]},
        ),
        (
            {"HostConfig": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}},
            {"gpus": [{"driver": "", "count": "all", "capabilities": ["gpu"], "options": {}}]},
        ),
        ({"HostConfig": {"BlkioWeight": 300}}, {"blkio_config": {"weight": 300}}),
        ({"hostconfig": {"memory": 67108864}}, {"mem_limit": "67108864"}),
        ({"HostConfig": None, "Labels": None, "Nothing": {"a": 1}}, {}),
    ],
)
def test_a_body_is_attributes(body: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert attributes(body) == wanted


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"Env": "A=1"}, "invalid JSON: Env: input should be a valid list"),
        (
            {"HostConfig": {"Memory": "64m"}},
            "invalid JSON: HostConfig.Memory: input should be a valid integer",
        ),
        ({"HostConfig": {"Memory": 1.5}}, "HostConfig.Memory"),
        ({"HostConfig": {"Memory": True}}, "HostConfig.Memory"),
        ({"HostConfig": {"Memory": 1}}, "Minimum memory limit allowed is 6MB"),
        ({"HostConfig": {"MemorySwap": 5}}, "always set the Memory limit"),
        ({"HostConfig": {"RestartPolicy": {"Name": "x"}}}, "unknown policy 'x'"),
        ({"HostConfig": {"ExtraHosts": ["x"]}}, "bad format for add-host"),
        ({"HostConfig": {"NanoCpus": 1, "CpuQuota": 1}}, "Nano CPUs and CPU Quota cannot both be set"),
        ({"HostConfig": {"PortBindings": {"99999/tcp": [{}]}}}, "invalid port specification"),
        ({"HostConfig": {"PortBindings": {"80/x": [{}]}}}, "invalid port specification"),
        ({"HostConfig": {"PortBindings": {"9" * 5000: [{}]}}}, "in HostConfig.PortBindings: '9999"),
        ({"HostConfig": {"PortBindings": {"80": [{"HostPort": "9" * 5000}]}}}, "in HostPort: '9999"),
        (
            {"HostConfig": {"PortBindings": {"80": [{"HostPort": "80-" + "9" * 5000}]}}},
            "in HostPort: '80-999",
        ),
        ({"HostConfig": {"PortBindings": {"80": [{"HostPort": "٣"}]}}}, "in HostPort: '٣'"),
        ({"ExposedPorts": {"9" * 5000: {}}}, "in ExposedPorts: '9999"),
        ({"Healthcheck": {"Interval": 5}}, "Interval in Healthcheck cannot be less than 1ms"),
    ],
)
def test_a_bad_body_is_refused_with_its_field(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(Problem) as caught:
        attributes(body)
    assert caught.value.status == 400 and reason in caught.value.message


def test_ports_are_published() -> None:
    host = {
        "PortBindings": {
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
            "53/udp": [{"HostPort": "0"}],
        },
        "PublishAllPorts": True,
    }
    assert attributes({"HostConfig": host}, ["80/tcp", "443", "53/tcp"])["ports"] == [
        {"target": 80, "protocol": "tcp", "published": "8080", "host_ip": "127.0.0.1"},
        {"target": 53, "protocol": "udp", "published": "", "host_ip": ""},
        {"target": 443, "protocol": "tcp", "published": "", "host_ip": ""},
        {"target": 53, "protocol": "tcp", "published": "", "host_ip": ""},
    ]


def mounts(**host: Any) -> tuple[MountSpec, ...]:
    volumes = host.pop("Volumes", None)
    return places.mounts_of(read(models.Create, {"Image": "x", "HostConfig": host, "Volumes": volumes}))


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"Binds": ["/a:/b"]}, MountSpec("bind", "/a", "/b")),
        ({"Binds": ["/a/../c:/b:ro,rslave"]}, MountSpec("bind", "/c", "/b", True, {"propagation": "rslave"})),
        ({"Binds": ["v:/b:nocopy"]}, MountSpec("volume", "v", "/b", False, {"nocopy": True})),
        (
            {"Tmpfs": {"/t": "size=1m,mode=700"}},
            MountSpec("tmpfs", None, "/t", options={"options": ["size=1m", "mode=700"]}),
        ),
        ({"Mounts": [{"Type": "volume", "Target": "/v"}]}, MountSpec("volume", None, "/v")),
        (
            {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 5, "Mode": 448}}]},
            MountSpec("tmpfs", None, "/t", options={"size": 5, "mode": 448, "options": []}),
        ),
        (
            {
                "Mounts": [
                    {"Type": "bind", "Source": "/tmp", "Target": "/t", "BindOptions": {"NonRecursive": True}}
                ]
            },
            MountSpec("bind", "/tmp", "/t", False, {"create_host_path": False, "recursive": "disabled"}),
        ),
        (
            {"Mounts": [{"Type": "image", "Source": "i", "Target": "/i", "ImageOptions": {"Subpath": "s"}}]},
            MountSpec("image", "i", "/i", True, {"subpath": "s"}),
        ),
        ({"Volumes": {"/v": {}}}, MountSpec("volume", None, "/v")),
    ],
)
def test_a_mount(host: dict[str, Any], wanted: MountSpec) -> None:
    assert mounts(**host) == (wanted,)


def test_a_volume_of_the_image_is_covered_by_a_mount() -> None:
    assert mounts(Binds=["v:/data"], Volumes={"/data": {}, "/other": {}}) == (
        MountSpec("volume", "v", "/data"),
        MountSpec("volume", None, "/other"),
    )


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ({"Binds": ["/a"]}, "invalid volume specification"),
        ({"Binds": ["/a:b"]}, "invalid mount config"),
        ({"Binds": ["/a:/b:zz"]}, "invalid mode"),
        ({"Binds": ["b@d:/b"]}, "invalid characters for a local volume name"),
        ({"Binds": ["/a:/b", "/c:/b/"]}, "Duplicate mount point"),
        ({"Mounts": [{"Type": "bind", "Source": "x", "Target": "/b"}]}, "mount path must be absolute"),
        (
            {"Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/b"}]},
            "bind source path does not exist",
        ),
        ({"Mounts": [{"Type": "npipe", "Target": "/b"}]}, "mount type unknown"),
        ({"Mounts": [{"Type": "tmpfs"}]}, "field Target must not be empty"),
    ],
)
def test_a_bad_mount_is_refused(host: dict[str, Any], reason: str) -> None:
    with pytest.raises(Problem) as caught:
        mounts(**host)
    assert caught.value.status == 400 and reason in caught.value.message


def test_an_update_leaves_what_a_container_has_from_its_start_on() -> None:
    asked = read(
        models.Update,
        {
            "Memory": 1 << 26,
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
            "DeviceCgroupRules": ["c 1:3 r"],
        },
    )
    assert wishes.updates_of(asked) == {"mem_limit": str(1 << 26)}


@pytest.mark.parametrize(("limit", "wanted"), [(-1, -1), (0, -1), (-5, -1), (7, 7)])
def test_an_update_lifts_the_limit_of_processes(limit: int, wanted: int) -> None:
    assert wishes.updates_of(read(models.Update, {"PidsLimit": limit})) == {"pids_limit": wanted}
    assert wishes.updates_of(read(models.Update, {"PidsLimit": None})) == {}
