"""What a container may use: processors, memory, processes, disks, devices. One row per attribute.

Values go into OCI's `linux.resources`; `runtime.cgroups` writes them to whichever controllers this machine has, and
says so where it has none. Facts: OCI runtime-spec, config-linux; the kernel's cgroup-v1 and cgroup-v2 documents.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from composer.attributes import Row, nothing, unheeded
from composer.engine.wanted import Limitation
from composer.patterns import pattern
from composer.runtime.base import records
from composer.units import parse_duration_ns, parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.backends.namespace.isolation import Probe

    Config = dict[str, Any]

_MIN_MEMORY_BYTES = 6 << 20
_DEVICE_RULE = pattern(r"([abc]) (\*|\d+):(\*|\d+) ([rwm]{1,3})")
_THROTTLES = {
    "device_read_bps": "throttleReadBpsDevice",
    "device_write_bps": "throttleWriteBpsDevice",
    "device_read_iops": "throttleReadIOPSDevice",
    "device_write_iops": "throttleWriteIOPSDevice",
}


def _resource(group: str, key: str, convert: Callable[[Any], Any]) -> Callable[[Config, Any], None]:
    def apply(config: Config, value: Any) -> None:
        config["linux"]["resources"].setdefault(group, {})[key] = convert(value)

    return apply


def _size(value: Any) -> int:
    return parse_size_bytes(str(value))


def _cpus(config: Config, value: Any) -> None:
    count = float(value)
    available = os.cpu_count() or 1
    if count > available:
        raise ValueError(f"must be at most {available}, the number of CPUs of this machine")
    if count:
        config["linux"]["resources"].setdefault("cpu", {}).update(
            quota=round(count * 100_000), period=100_000
        )


def _mem_limit(config: Config, value: Any) -> None:
    limit = _size(value)
    if 0 < limit < _MIN_MEMORY_BYTES:
        raise ValueError("must be at least 6m")
    if limit:
        memory = config["linux"]["resources"].setdefault("memory", {})
        memory["limit"] = limit
        memory.setdefault("swap", 2 * limit)


def _memswap_limit(config: Config, value: Any) -> None:
    limit = _size(value)
    if limit:
        config["linux"]["resources"].setdefault("memory", {})["swap"] = limit


def _devices(config: Config, value: Any) -> None:
    from composer.runtime.host import devices

    devices.apply(config, value)


def _device_limits(value: Any) -> list[Limitation]:
    from composer.backends.namespace import devicelimits

    return devicelimits.limits(value)


def _gpus(config: Config, value: Any) -> None:
    """Put ``gpus``, or the devices that ``deploy`` reserves, into a container's configuration."""
    if value:
        from composer.runtime.host import devices

        devices.request(config, value)


def _request_limits(path: tuple[str | int, ...], value: Any) -> list[Limitation]:
    if not value:
        return []
    from composer.backends.namespace import devicelimits

    return devicelimits.request_limits(path, value)


def _deploy(config: Config, value: Any) -> None:
    limits = ((value.get("resources") or {}).get("limits")) or {}
    for key, apply in (("cpus", _cpus), ("memory", _mem_limit)):
        if limits.get(key):
            apply(config, limits[key])
    if limits.get("pids"):
        config["linux"]["resources"].setdefault("pids", {})["limit"] = int(limits["pids"])
    reserved = (value.get("resources") or {}).get("reservations") or {}
    _gpus(config, reserved.get("devices") or ())
    reservation = reserved.get("memory")
    if reservation:
        config["linux"]["resources"].setdefault("memory", {})["reservation"] = _size(reservation)
    policy = value.get("restart_policy") or {}
    if policy:
        names = {"none": "no", "on-failure": "on-failure", "any": "always"}
        condition = names.get(policy.get("condition") or "any", "always")
        maximum = int(policy.get("max_attempts") or 0)
        records.extras(config)["restart"] = {"policy": condition, "maximum": maximum}


def _deploy_limits(value: Any) -> list[Limitation]:
    reserved = ((value.get("resources") or {}).get("reservations") or {}).get("devices")
    found = _request_limits(("deploy", "resources", "reservations", "devices"), reserved)
    if (value.get("mode") or "replicated") not in ("replicated",):
        found.append(
            Limitation(("deploy", "mode"), f"mode '{value['mode']}' is not supported by the built-in runtime")
        )
    return found + [Limitation(path, why, fatal=False) for path, why in unheeded(value)]


def _microseconds(value: Any) -> int:
    return int(value) if str(value).lstrip("-").isdigit() else parse_duration_ns(str(value)) // 1000


def _swappiness(value: Any) -> int:
    if not -1 <= int(value) <= 100:
        raise ValueError(f"must be between 0 and 100, not {value}")
    return int(value)


def _blkio_config(config: Config, value: Any) -> None:
    found: Config = {}
    if value.get("weight"):
        if not 10 <= int(value["weight"]) <= 1000:
            raise ValueError(f"weight must be between 10 and 1000, not {value['weight']}")
        found["weight"] = int(value["weight"])
    found["weightDevice"] = [
        {**_numbers(entry.get("path", "")), "weight": int(entry.get("weight", 0))}
        for entry in value.get("weight_device") or ()
    ]
    for name, field in _THROTTLES.items():
        found[field] = [
            {**_numbers(entry.get("path", "")), "rate": _size(entry.get("rate", 0))}
            for entry in value.get(name) or ()
        ]
    config["linux"]["resources"]["blockIO"] = found


def _numbers(path: str) -> Config:
    try:
        state = os.stat(path)
    except OSError as error:
        raise ValueError(f"'{path}': {(error.strerror or '').lower()}") from error
    if not stat.S_ISBLK(state.st_mode):
        raise ValueError(f"{path} is not a block device")
    return {"major": os.major(state.st_rdev), "minor": os.minor(state.st_rdev)}


def _device_cgroup_rules(config: Config, value: Any) -> None:
    for text in value:
        match = _DEVICE_RULE.fullmatch(str(text).strip())
        if not match:
            raise ValueError(f"invalid rule '{text}': use one such as 'c 1:3 rwm'")
        rule: Config = {"allow": True, "type": match[1], "access": match[4]}
        rule.update({key: int(n) for key, n in (("major", match[2]), ("minor", match[3])) if n != "*"})
        config["linux"]["resources"]["devices"].append(rule)


def _of_windows(name: str) -> Callable[[Any], list[Limitation]]:
    def check(value: Any) -> list[Limitation]:
        return (
            [Limitation((name,), "only supported by Windows containers", fatal=False, hint="use cpus")]
            if value
            else []
        )

    return check


ROWS: dict[str, Row[Probe]] = {
    "blkio_config": Row(_blkio_config),
    "cpu_count": Row(nothing, _of_windows("cpu_count"), "warning: only supported by Windows containers"),
    "cpu_percent": Row(nothing, _of_windows("cpu_percent"), "warning: only supported by Windows containers"),
    "cpu_period": Row(_resource("cpu", "period", _microseconds)),
    "cpu_quota": Row(_resource("cpu", "quota", _microseconds)),
    "cpu_rt_period": Row(_resource("cpu", "realtimePeriod", _microseconds)),
    "cpu_rt_runtime": Row(_resource("cpu", "realtimeRuntime", _microseconds)),
    "cpu_shares": Row(_resource("cpu", "shares", lambda value: int(float(value)))),
    "cpus": Row(_cpus),
    "cpuset": Row(_resource("cpu", "cpus", str)),
    "deploy": Row(
        _deploy,
        _deploy_limits,
        "yes, in mode replicated; devices as in gpus; attributes that only Swarm supports cause a warning",
    ),
    "device_cgroup_rules": Row(_device_cgroup_rules),
    "devices": Row(
        _devices,
        _device_limits,
        "yes; by name if a CDI specification exists in /etc/cdi or /var/run/cdi",
    ),
    "gpus": Row(
        _gpus,
        lambda value: _request_limits(("gpus",), value),
        "devices with a CDI specification in /etc/cdi or /var/run/cdi",
    ),
    "mem_limit": Row(_mem_limit),
    "mem_reservation": Row(_resource("memory", "reservation", _size)),
    "mem_swappiness": Row(_resource("memory", "swappiness", _swappiness)),
    "memswap_limit": Row(_memswap_limit),
    "oom_kill_disable": Row(_resource("memory", "disableOOMKiller", bool)),
    "pids_limit": Row(_resource("pids", "limit", lambda value: int(value) or -1)),
}
