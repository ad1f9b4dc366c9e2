"""Every attribute of the specification is honoured, arrives in another way, or is refused with a reason."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from composer.attributes import ENGINE_NAMES
from composer.backends.docker import translate
from composer.backends.docker.translate import ATTRIBUTES, OF_THE_ENGINE, body_of, limitations
from composer.errors import BackendError

SCHEMA = pathlib.Path(translate.__file__).parents[2] / "schema/compose-spec.json"
NEW, OLD = (1, 51), (1, 41)
MB = 1 << 20

TABLE: list[tuple[str, Any, dict[str, Any]]] = [
    ("annotations", {"a": "b"}, {"Annotations": {"a": "b"}}),
    (
        "blkio_config",
        {"weight": 300, "device_read_bps": [{"path": "/dev/sda", "rate": "1m"}]},
        {"BlkioWeight": 300, "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": MB}]},
    ),
    ("cap_add", ["net_admin", "CAP_CHOWN"], {"CapAdd": ["CAP_CHOWN", "CAP_NET_ADMIN"]}),
    ("cap_drop", ["ALL", "CHOWN"], {"CapDrop": ["ALL"]}),
    ("cgroup", "host", {"CgroupnsMode": "host"}),
    ("cgroup_parent", "m", {"CgroupParent": "m"}),
    ("command", ["a", "b"], {"=Cmd": ["a", "b"]}),
    ("cpu_count", 2, {"CpuCount": 2}),
    ("cpu_percent", 50, {"CpuPercent": 5000}),
    ("cpu_period", 1000, {"CpuPeriod": 1000}),
    ("cpu_quota", "1ms", {"CpuQuota": 1000}),
    ("cpu_rt_period", "400ms", {"CpuRealtimePeriod": 400000}),
    ("cpu_rt_runtime", 95000, {"CpuRealtimeRuntime": 95000}),
    ("cpu_shares", 73, {"CpuShares": 73}),
    ("cpus", 0.5, {"NanoCpus": 500_000_000}),
    ("cpuset", "0,1", {"CpusetCpus": "0,1"}),
    (
        "deploy",
        {
            "resources": {
                "limits": {"cpus": "0.25", "memory": "64m", "pids": 9},
                "reservations": {"memory": "32m", "devices": [{"capabilities": ["gpu"], "count": 1}]},
            },
            "restart_policy": {"condition": "on-failure", "max_attempts": 3},
        },
        {
            "NanoCpus": 250_000_000,
            "Memory": 64 * MB,
            "PidsLimit": 9,
            "MemoryReservation": 32 * MB,
            "DeviceRequests": [
                {"Driver": "", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
            ],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        },
    ),
    ("device_cgroup_rules", ["c 1:1 r"], {"DeviceCgroupRules": ["c 1:1 r"]}),
    (
        "devices",
        [{"source": "/dev/null", "target": "/dev/x", "permissions": "r"}, {"source": "v.com/gpu=all"}],
        {
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}],
            "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["v.com/gpu=all"]}],
        },
    ),
    ("dns", ["1.1.1.1"], {"Dns": ["1.1.1.1"]}),
    ("dns_opt", ["ndots:1"], {"DnsOptions": ["ndots:1"]}),
    ("dns_search", "a.b", {"DnsSearch": ["a.b"]}),
    ("domainname", "d", {"=Domainname": "d"}),
    ("entrypoint", [], {"=Entrypoint": []}),
    ("environment", {"A": "1", "GONE": None}, {"=Env": ["A=1", "GONE"]}),
    ("expose", ["80", "90-91/udp"], {"=ExposedPorts": {"80/tcp": {}, "90/udp": {}, "91/udp": {}}}),
    ("extra_hosts", {"a": ["1.2.3.4", "::1"]}, {"ExtraHosts": ["a:1.2.3.4", "a:::1"]}),
    (
        "gpus",
        [{"count": "all"}],
        {
            "DeviceRequests": [
                {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
            ]
        },
    ),
    ("group_add", [44, "video"], {"GroupAdd": ["44", "video"]}),
    (
        "healthcheck",
        {"test": ["CMD", "x"], "interval": "1s", "timeout": "2s", "start_period": "3s", "retries": 4},
        {
            "=Healthcheck": {
                "Test": ["CMD", "x"],
                "Interval": 10**9,
                "Timeout": 2 * 10**9,
                "StartPeriod": 3 * 10**9,
                "Retries": 4,
            }
        },
    ),
    ("hostname", "h", {"=Hostname": "h"}),
    ("init", True, {"Init": True}),
    ("ipc", "host", {"IpcMode": "host"}),
    ("isolation", "hyperv", {"Isolation": "hyperv"}),
    (
        "logging",
        {"driver": "local", "options": {"n": 3}},
        {"LogConfig": {"Type": "local", "Config": {"n": "3"}}},
    ),
    ("mem_limit", "64m", {"Memory": 64 * MB}),
    ("mem_reservation", "1m", {"MemoryReservation": MB}),
    ("mem_swappiness", 0, {"MemorySwappiness": 0}),
    ("memswap_limit", "-1", {"MemorySwap": -1}),
    ("oom_kill_disable", True, {"OomKillDisable": True}),
    ("oom_score_adj", -500, {"OomScoreAdj": -500}),
    ("pid", "host", {"PidMode": "host"}),
    ("pids_limit", 7, {"PidsLimit": 7}),
    (
        "ports",
        [{"target": 80, "published": "8000-8010", "host_ip": "127.0.0.1"}, {"target": 53, "protocol": "udp"}],
        {
            "=ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "PortBindings": {
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000-8010"}],
                "53/udp": [{"HostIp": "", "HostPort": ""}],
            },
        },
    ),
    ("privileged", True, {"Privileged": True}),
    ("read_only", True, {"ReadonlyRootfs": True}),
    ("restart", "on-failure:3", {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
    ("runtime", "runsc", {"Runtime": "runsc"}),
    (
        "security_opt",
        ["no-new-privileges:true", "seccomp:unconfined", "systempaths=unconfined"],
        {
            "SecurityOpt": ["no-new-privileges=true", "seccomp=unconfined"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],
        },
    ),
    ("shm_size", "1m", {"ShmSize": MB}),
    ("stdin_open", True, {"=OpenStdin": True}),
    ("stop_grace_period", "1m30s", {"=StopTimeout": 90}),
    ("stop_signal", "SIGINT", {"=StopSignal": "SIGINT"}),
    ("storage_opt", {"size": "1G"}, {"StorageOpt": {"size": "1G"}}),
    ("sysctls", {"net.x": 1}, {"Sysctls": {"net.x": "1"}}),
    ("tty", True, {"=Tty": True}),
    (
        "ulimits",
        {"nproc": 5, "nofile": {"soft": 1, "hard": 2}},
        {"Ulimits": [{"Name": "nproc", "Soft": 5, "Hard": 5}, {"Name": "nofile", "Soft": 1, "Hard": 2}]},
    ),
    ("user", "1000:1000", {"=User": "1000:1000"}),
    ("userns_mode", "host", {"UsernsMode": "host"}),
    ("uts", "host", {"UTSMode": "host"}),
    ("volumes_from", ["abc:ro"], {"VolumesFrom": ["abc:ro"]}),
    ("working_dir", "/w", {"=WorkingDir": "/w"}),
]
IN_CREATION = {"build", "mac_address", "platform"}
"""Rows that are parts of the request as a whole, or of another; tested there."""
REFUSED = {name for name, row in ATTRIBUTES.items() if row.refusal is not None}


def test_no_attribute_of_the_schema_is_forgotten() -> None:
    known = set(json.loads(SCHEMA.read_text())["$defs"]["service"]["properties"])
    assert known == ATTRIBUTES.keys() | ENGINE_NAMES
    assert not ATTRIBUTES.keys() & ENGINE_NAMES
    assert OF_THE_ENGINE.keys() <= ENGINE_NAMES


def test_every_row_of_the_table_is_tested() -> None:
    assert {name for name, _, _ in TABLE} | IN_CREATION | REFUSED == ATTRIBUTES.keys()


@pytest.mark.parametrize(("name", "value", "wanted"), TABLE, ids=[row[0] for row in TABLE])
def test_an_attribute_goes_into_its_fields(name: str, value: Any, wanted: dict[str, Any]) -> None:
    body = body_of({name: value}, "web")
    host = body.pop("HostConfig")
    del body["AttachStdout"], body["AttachStderr"]
    assert {f"={key}": found for key, found in body.items()} | host == wanted


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_expressed_is_refused_with_a_reason(name: str) -> None:
    found = limitations({name: {"something": True}}, NEW)
    assert [one.path for one in found] == [(name,)]
    assert found[0].fatal
    assert found[0].reason[-1] != "."


def test_an_attribute_that_nobody_knows_is_refused() -> None:
    assert limitations({"brand_new": 1}, NEW)[0].path == ("brand_new",)
    assert limitations({"image": "x", "restart": "always"}, NEW) == []


@pytest.mark.parametrize(
    ("name", "value", "path", "fatal"),
    [
        ("annotations", {"a": "b"}, ("annotations",), True),
        ("healthcheck", {"start_interval": "1s"}, ("healthcheck", "start_interval"), False),
        ("volumes", [{"type": "image", "target": "/x"}], ("volumes", 0), True),
        (
            "volumes",
            [{"type": "volume", "target": "/x", "volume": {"subpath": "y"}}],
            ("volumes", 0, "volume", "subpath"),
            True,
        ),
        ("networks", {"a": {"gw_priority": 1}}, ("networks", "a", "gw_priority"), False),
    ],
)
def test_an_old_engine_says_what_it_is_too_old_for(
    name: str, value: Any, path: tuple[str | int, ...], fatal: bool
) -> None:
    assert limitations({name: value}, NEW) == []
    (found,) = limitations({name: value}, OLD)
    assert (found.path, found.fatal) == (path, fatal)


def test_deploy_counts_more_than_the_older_words() -> None:
    for order in (("deploy", "mem_limit"), ("mem_limit", "deploy")):
        both = {"deploy": {"resources": {"limits": {"memory": "2m"}}}, "mem_limit": "1m"}
        assert body_of({key: both[key] for key in order}, "web")["HostConfig"]["Memory"] == 2 * MB


def test_a_seccomp_profile_goes_over_as_text(tmp_path: pathlib.Path) -> None:
    (tmp_path / "p.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    body = body_of({"security_opt": [f"seccomp:{tmp_path}/p.json"]}, "web")
    assert body["HostConfig"]["SecurityOpt"] == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']
    with pytest.raises(BackendError, match="cannot use security_opt of service 'web'"):
        body_of({"security_opt": ["seccomp:/nowhere.json"]}, "web")


def test_a_health_check_can_be_switched_off() -> None:
    assert body_of({"healthcheck": {"disable": True}}, "web")["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"volumes": [{"type": "bind", "source": "/x", "target": "/"}]}, ("volumes", 0)),
        ({"volumes": [{"type": "volume", "source": "v", "target": "//proc"}]}, ("volumes", 0)),
        ({"tmpfs": ["/run", "/proc/sys"]}, ("tmpfs", 1)),
        ({"volumes": [{"type": "volume", "target": "d:/d"}]}, ("volumes", 0)),
    ],
)
def test_a_mount_that_no_container_can_have_is_refused_before_anything_is_made(
    attributes: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    """The engine says so too, when the container is created or only when it is started: then the rest is there."""
    (found,) = limitations(attributes, NEW)
    assert found.fatal and found.path == path and "cannot mount at" in found.reason
    assert limitations({"volumes": [{"type": "bind", "source": "/proc", "target": "/proc"}]}, NEW) == []
