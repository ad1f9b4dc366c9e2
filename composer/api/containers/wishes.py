"""From Docker's ``HostConfig`` and ``Config`` to a service's attributes: one row per field.

What the attributes do is the backend's table (`composer.backends.namespace.translate`), so a container of
``docker run`` and one of a Compose project are made by the same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.api.http import reading
from composer.api.http.problems import Problem
from composer.runtime.images import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.api.models import containers as models

    Attributes = dict[str, Any]


def attributes_of(asked: models.Create, exposed: list[str]) -> Attributes:
    """Return the attributes of a service that would be such a container. ``exposed`` are the ports of image and body.

    Raises Problem.
    """
    host = asked.HostConfig
    found = {name: value for name, value in _of_config(asked) if value is not None}
    found |= {name: value for name, value in _of_host(host) if value is not None}
    found |= resources_of(host)
    ports = list(_ports(host, exposed))
    if ports:
        found["ports"] = ports
    if asked.ExposedPorts:
        found["expose"] = list(asked.ExposedPorts)
        for key in asked.ExposedPorts:
            if not configuration.ports_of(key):
                raise _no_port(key, "ExposedPorts")
    return found


def _of_config(asked: models.Config) -> Iterator[tuple[str, Any]]:
    yield "hostname", asked.Hostname or None
    yield "domainname", asked.Domainname or None
    yield "user", asked.User or None
    yield "tty", asked.Tty or None
    yield "stdin_open", asked.OpenStdin or None
    yield "environment", asked.Env or None
    yield "working_dir", asked.WorkingDir or None
    yield "mac_address", asked.MacAddress or None
    yield "stop_signal", asked.StopSignal or None
    if asked.StopTimeout is not None:
        yield "stop_grace_period", "876000h" if asked.StopTimeout < 0 else f"{asked.StopTimeout}s"
    yield from _command(asked)
    if asked.Healthcheck is not None:
        yield "healthcheck", _healthcheck(asked.Healthcheck)


def _command(asked: models.Config) -> Iterator[tuple[str, Any]]:
    """An entrypoint of one empty word is none, and hides the image's."""
    entrypoint, command = _words(asked.Entrypoint), _words(asked.Cmd)
    if entrypoint:
        yield "entrypoint", [] if entrypoint == [""] else entrypoint
    if command:
        yield "command", command


def _words(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _healthcheck(check: models.HealthCheck) -> Attributes:
    if check.Test and check.Test[0] == "NONE":
        return {"disable": True}
    found: Attributes = {"test": check.Test} if check.Test else {}
    times = {
        "interval": check.Interval,
        "timeout": check.Timeout,
        "start_period": check.StartPeriod,
        "start_interval": check.StartInterval,
    }
    for name, time_ns in times.items():
        if time_ns < 0 or 0 < time_ns < 1_000_000:
            words = name.replace("_", " ").title().replace(" ", "")
            raise Problem(400, f"{words} in Healthcheck cannot be less than 1ms")
        if time_ns:
            found[name] = f"{time_ns}ns"
    if check.Retries < 0:
        raise Problem(400, "Retries in Healthcheck cannot be negative")
    return {**found, "retries": check.Retries} if check.Retries else found


def _of_host(host: models.Host) -> Iterator[tuple[str, Any]]:
    for name, field in _HOST.items():
        value = getattr(host, field)
        yield name, value if value not in ("", None, [], {}, 0, False) else None
    # an init that is false is not the same as none: the engine's default could be another
    yield "init", host.Init
    yield "restart", _restart(host.RestartPolicy)
    if host.LogConfig is not None and host.LogConfig.Type not in ("", "default"):
        yield "logging", {"driver": host.LogConfig.Type, "options": host.LogConfig.Config or {}}
    elif host.LogConfig is not None and host.LogConfig.Config:
        yield "logging", {"options": host.LogConfig.Config}
    yield "extra_hosts", list(map(_host_entry, host.ExtraHosts)) if host.ExtraHosts else None
    yield "shm_size", str(host.ShmSize) if host.ShmSize else None
    yield "security_opt", host.SecurityOpt or None
    yield "ipc", host.IpcMode or None
    yield "userns_mode", host.UsernsMode or None


_HOST = {
    "annotations": "Annotations",
    "cap_add": "CapAdd",
    "cap_drop": "CapDrop",
    "cgroup": "CgroupnsMode",
    "cgroup_parent": "CgroupParent",
    "dns": "Dns",
    "dns_opt": "DnsOptions",
    "dns_search": "DnsSearch",
    "group_add": "GroupAdd",
    "isolation": "Isolation",
    "oom_score_adj": "OomScoreAdj",
    "pid": "PidMode",
    "privileged": "Privileged",
    "read_only": "ReadonlyRootfs",
    "runtime": "Runtime",
    "storage_opt": "StorageOpt",
    "sysctls": "Sysctls",
    "uts": "UTSMode",
    "volumes_from": "VolumesFrom",
}
"""Attributes that have the value of a field as it is."""


def restart_text(policy: models.Restarting) -> str:
    """Return a policy in Compose's words, ``no`` included. Raises Problem."""
    return _restart(policy) or "no"


def _restart(policy: models.Restarting | None) -> str | None:
    if policy is None or policy.Name in ("", "no"):
        if policy is not None and policy.MaximumRetryCount:
            raise Problem(400, _COUNT)
        return None
    if policy.Name not in ("always", "on-failure", "unless-stopped"):
        raise Problem(400, f"invalid restart policy: unknown policy '{policy.Name}'; {_POLICIES}")
    if policy.MaximumRetryCount < 0:
        raise Problem(400, "invalid restart policy: maximum retry count cannot be negative")
    if policy.MaximumRetryCount and policy.Name != "on-failure":
        raise Problem(400, _COUNT)
    return f"{policy.Name}:{policy.MaximumRetryCount}" if policy.MaximumRetryCount else policy.Name


_COUNT = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
_POLICIES = "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"


def _host_entry(text: str) -> str:
    name, colon, address = text.partition(":")
    if not colon or not name or not address:
        raise Problem(400, f"bad format for add-host: {text!r}")
    return f"{name}={address}"


# ------------------------------------------------------------------ limits


def resources_of(asked: models.Resources) -> Attributes:
    """Return the attributes of limits, those that are set."""
    found: Attributes = {}
    for name, (field, convert) in _LIMITS.items():
        value = getattr(asked, field)
        if value not in (None, 0, "", [], {}):
            found[name] = convert(value)
    if asked.NanoCpus < 0:
        raise Problem(400, "NanoCPUs must not be negative")
    if asked.NanoCpus and (asked.CpuPeriod or asked.CpuQuota):
        which = "CPU Period" if asked.CpuPeriod else "CPU Quota"
        raise Problem(400, f"Conflicting options: Nano CPUs and {which} cannot both be set")
    if asked.MemorySwap > 0 and not asked.Memory:
        raise Problem(400, "You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < asked.Memory < _LEAST_MEMORY_BYTES:
        raise Problem(400, "Minimum memory limit allowed is 6MB")
    if 0 < asked.MemorySwap < asked.Memory:
        raise Problem(400, "Minimum memoryswap limit should be larger than memory limit, see usage")
    if asked.MemorySwappiness is not None and not -1 <= asked.MemorySwappiness <= 100:
        raise Problem(400, f"Invalid value: {asked.MemorySwappiness}, valid memory swappiness range is 0-100")
    if asked.MemorySwappiness is not None and asked.MemorySwappiness >= 0:
        found["mem_swappiness"] = asked.MemorySwappiness
    if asked.PidsLimit is not None and asked.PidsLimit > 0:
        found["pids_limit"] = asked.PidsLimit
    disks = _disks(asked)
    return {**found, "blkio_config": disks} if disks else found


_LEAST_MEMORY_BYTES = 6 << 20


def updates_of(asked: models.Update) -> Attributes:
    """Return the attributes of an update's limits, without those that Docker leaves as they are, too.

    A limit of processes that is 0 or less lifts the one that there is; a new container has none to be lifted.
    """
    found = {name: value for name, value in resources_of(asked).items() if name not in _LASTING}
    is_lifted = asked.PidsLimit is not None and asked.PidsLimit <= 0
    return {**found, "pids_limit": -1} if is_lifted else found


_LASTING = ("device_cgroup_rules", "devices", "gpus", "ulimits")
"""What a container has from its start on."""


def _ulimits(limits: list[models.Ulimit]) -> Attributes:
    for limit in limits:
        if limit.Soft > limit.Hard >= 0:
            raise Problem(
                400,
                f"ulimit soft limit must be less than or equal to hard limit: {limit.Soft} > {limit.Hard}",
            )
    return {limit.Name.lower(): {"soft": limit.Soft, "hard": limit.Hard} for limit in limits}


def _devices(devices: list[models.Device]) -> list[Attributes]:
    return [
        {
            "source": device.PathOnHost,
            "target": device.PathInContainer or device.PathOnHost,
            "permissions": device.CgroupPermissions or "rwm",
        }
        for device in devices
    ]


def _requests(requests: list[models.DeviceRequest]) -> list[Attributes]:
    """Devices by name are of the Container Device Interface; the rest is asked for by what it can do."""
    return [
        {
            "driver": request.Driver,
            **({"count": "all" if request.Count < 0 else request.Count} if not request.DeviceIDs else {}),
            **({"device_ids": request.DeviceIDs} if request.DeviceIDs else {}),
            "capabilities": [word for words in request.Capabilities or () for word in words],
            "options": request.Options or {},
        }
        for request in requests
    ]


_LIMITS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "cpus": ("NanoCpus", lambda value: value / 1e9),
    "cpu_period": ("CpuPeriod", str),
    "cpu_quota": ("CpuQuota", str),
    "cpu_rt_period": ("CpuRealtimePeriod", str),
    "cpu_rt_runtime": ("CpuRealtimeRuntime", str),
    "cpu_shares": ("CpuShares", int),
    "cpuset": ("CpusetCpus", str),
    "device_cgroup_rules": ("DeviceCgroupRules", list),
    "devices": ("Devices", _devices),
    "gpus": ("DeviceRequests", _requests),
    "mem_limit": ("Memory", str),
    "mem_reservation": ("MemoryReservation", str),
    "memswap_limit": ("MemorySwap", str),
    "oom_kill_disable": ("OomKillDisable", bool),
    "ulimits": ("Ulimits", _ulimits),
}


def _disks(asked: models.Resources) -> Attributes:
    found: Attributes = {"weight": asked.BlkioWeight} if asked.BlkioWeight else {}
    if asked.BlkioWeightDevice:
        found["weight_device"] = [{"path": one.Path, "weight": one.Weight} for one in asked.BlkioWeightDevice]
    throttles = {
        "device_read_bps": asked.BlkioDeviceReadBps,
        "device_write_bps": asked.BlkioDeviceWriteBps,
        "device_read_iops": asked.BlkioDeviceReadIOps,
        "device_write_iops": asked.BlkioDeviceWriteIOps,
    }
    for name, devices in throttles.items():
        if devices:
            found[name] = [{"path": one.Path, "rate": str(one.Rate)} for one in devices]
    return found


# ------------------------------------------------------------------ ports


def _ports(host: models.Host, exposed: list[str]) -> Iterator[Attributes]:
    bindings = host.PortBindings or {}
    for key, listed in bindings.items():
        number, protocol = port_of(key, "HostConfig.PortBindings")
        for one in listed or ():
            yield {
                "target": number,
                "protocol": protocol,
                "published": _published(one.HostPort),
                "host_ip": one.HostIp,
            }
    if host.PublishAllPorts:
        bound = {port_of(key, "HostConfig.PortBindings") for key, listed in bindings.items() if listed}
        for key in exposed:
            number, protocol = port_of(key, "ExposedPorts")
            if (number, protocol) not in bound:
                yield {"target": number, "protocol": protocol, "published": "", "host_ip": ""}


def port_of(key: str, field: str) -> tuple[int, str]:
    """Read ``80/tcp``, which is in a ``field``. Raises Problem."""
    number, _, protocol = key.partition("/")
    protocol = (protocol or "tcp").lower()
    port = _port(number)
    if not port or protocol not in ("tcp", "udp", "sctp"):
        raise _no_port(key, field)
    return port, protocol


def _no_port(text: str, field: str) -> Problem:
    return Problem(400, f"invalid port specification in {field}: {text[:40]!r}")


def _port(text: str) -> int | None:
    """Return the number of a port, 0 included; None where it is none."""
    try:
        return reading.digits(text, reading.MOST_PORT)
    except ValueError:
        return None


def _published(text: str) -> str:
    first, dash, last = text.partition("-")
    if text and (_port(first) is None or (dash and _port(last) is None)):
        raise _no_port(text, "HostPort")
    return "" if text == "0" else text
