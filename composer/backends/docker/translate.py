"""From a container as Compose wants it to what the Engine API creates: one row per attribute.

`ATTRIBUTES` is the table: a Compose attribute, the function that puts it into the request, and where needed one
that says what an engine of this API cannot do of it. `REFUSED` has those that the engine cannot express, with the
reason; `ELSEWHERE` those that arrive as names, mounts, endpoints and files. A test compares all with the schema.
The choices (bind string or mount, which network comes first) are Docker Compose's, so that either tool's
containers look alike to the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer import clusters, mounttargets, sysctls, values
from composer.engine.wanted import Limitation
from composer.errors import BackendError
from composer.units import parse_duration_ns, parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Body = dict[str, Any]
    Apply = Callable[[Body, Any], None]
    Api = tuple[int, int]
    Probe = Callable[[Any, Api], list[Limitation]]


def limitations(attributes: Mapping[str, Any], api: Api) -> list[Limitation]:
    """Return what an engine of this API would not honour of a service's attributes."""
    found: list[Limitation] = []
    for name, value in attributes.items():
        if name in REFUSED:
            if value not in (None, "", [], {}, False):
                reason, hint = REFUSED[name]
                found.append(Limitation((name,), reason, hint=hint))
        elif name in PROBES:
            found += PROBES[name](value, api) if value is not None else []
        elif name not in ATTRIBUTES and name not in ELSEWHERE:
            found.append(Limitation((name,), "the Docker Engine does not know it"))
    # it would refuse them too, when networks and containers are there already
    found += [
        Limitation(("sysctls", key), reason, hint=hint)
        for key, reason, hint in sysctls.find_faults(attributes)
    ]
    for index, port in enumerate(attributes.get("ports") or ()):
        problem = values.target_problem(port.get("target"))
        if problem is not None:
            found.append(Limitation(("ports", index), problem, hint="target: 80 is the container's port"))
    for path, target, reason in mounttargets.problems(attributes):
        found.append(Limitation(path, f"cannot mount at {target}: {reason}", hint=mounttargets.HINT))
    return found


def body_of(attributes: Mapping[str, Any], service: str) -> Body:
    """Return the request for a service's attributes, without image, names, networks and mounts."""
    body: Body = {"AttachStdout": True, "AttachStderr": True, "HostConfig": {}}
    for name, value in attributes.items():
        apply = ATTRIBUTES.get(name)
        if apply is not None and value is not None:
            try:
                apply(body, value)
            except (ValueError, OSError) as error:
                raise BackendError(f"cannot use {name} of service '{service}': {error}") from error
    # what deploy says of resources counts more, in whatever order the two are written
    if attributes.get("deploy"):
        _deploy(body, attributes["deploy"])
    return body


# ------------------------------------------------------------------ kinds of rows


def _config(field: str, convert: Callable[[Any], Any] = lambda value: value) -> Apply:
    def apply(body: Body, value: Any) -> None:
        body[field] = convert(value)

    return apply


def _host(field: str, convert: Callable[[Any], Any] = lambda value: value) -> Apply:
    def apply(body: Body, value: Any) -> None:
        body["HostConfig"][field] = convert(value)

    return apply


def _nothing(body: Body, value: Any) -> None:
    """Read elsewhere: its name in the table is enough."""


def _size(value: Any) -> int:
    return parse_size_bytes(str(value))


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(word) for word in value]


def _capabilities(value: Any) -> list[str]:
    """Upper case, with their prefix, sorted, and ALL for all: as Docker's own command sends them."""
    names = {str(name).upper() for name in value}
    if "ALL" in names:
        return ["ALL"]
    return sorted(name if name.startswith("CAP_") else f"CAP_{name}" for name in names)


def _pairs(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: "" if text is None else str(text) for key, text in value.items()}
    return {key: text for key, _, text in (str(entry).partition("=") for entry in value)}


def _seconds(value: Any) -> int:
    return int(parse_duration_ns(str(value)) // 1_000_000_000)


def _microseconds(value: Any) -> int:
    return int(value) if str(value).lstrip("-").isdigit() else parse_duration_ns(str(value)) // 1000


# ------------------------------------------------------------------ rows of their own


def _environment(body: Body, value: Any) -> None:
    """A name without a value takes the image's variable away."""
    if isinstance(value, dict):
        body["Env"] = [key if text is None else f"{key}={text}" for key, text in value.items()]
    else:
        body["Env"] = list(value)


def _expose(body: Body, value: Any) -> None:
    for entry in value:
        numbers, _, protocol = str(entry).partition("/")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            body.setdefault("ExposedPorts", {})[f"{number}/{protocol or 'tcp'}"] = {}


def _ports(body: Body, value: Any) -> None:
    bindings = body["HostConfig"].setdefault("PortBindings", {})
    for port in value:
        key = f"{port['target']}/{port.get('protocol') or 'tcp'}"
        body.setdefault("ExposedPorts", {})[key] = {}
        binding = {"HostIp": port.get("host_ip") or "", "HostPort": str(port.get("published") or "")}
        bindings.setdefault(key, []).append(binding)


def _healthcheck(body: Body, value: Any) -> None:
    test = value.get("test")
    if value.get("disable"):
        body["Healthcheck"] = {"Test": ["NONE"]}
        return
    check: Body = {}
    if test:
        check["Test"] = ["CMD-SHELL", test] if isinstance(test, str) else list(test)
    for key, field in _HEALTH_TIMES.items():
        if value.get(key):
            check[field] = parse_duration_ns(str(value[key]))
    if value.get("retries"):
        check["Retries"] = int(value["retries"])
    body["Healthcheck"] = check


_HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def _logging(body: Body, value: Any) -> None:
    body["HostConfig"]["LogConfig"] = {
        "Type": value.get("driver") or "",
        "Config": _pairs(value.get("options") or {}),
    }


def _restart(body: Body, value: Any) -> None:
    name, _, maximum = str(value).partition(":")
    body["HostConfig"]["RestartPolicy"] = {"Name": name, "MaximumRetryCount": int(maximum or 0)}


def _ulimits(body: Body, value: Any) -> None:
    body["HostConfig"]["Ulimits"] = [
        {"Name": name, "Soft": int(limit.get("soft", 0)), "Hard": int(limit.get("hard", 0))}
        if isinstance(limit, dict)
        else {"Name": name, "Soft": int(limit), "Hard": int(limit)}
        for name, limit in value.items()
    ]


def _devices(body: Body, value: Any) -> None:
    for device in value:
        if isinstance(device, str):
            source, _, rest = device.partition(":")
            target, _, permissions = rest.partition(":")
            device = {"source": source, "target": target or source, "permissions": permissions}
        source = device["source"]
        if "=" in source and not source.startswith("/"):  # a device of the Container Device Interface
            _add_request(body, {"Driver": "cdi", "DeviceIDs": [source]})
            continue
        body["HostConfig"].setdefault("Devices", []).append(
            {
                "PathOnHost": source,
                "PathInContainer": device.get("target") or source,
                "CgroupPermissions": device.get("permissions") or "rwm",
            }
        )


def _add_request(body: Body, request: Body) -> None:
    body["HostConfig"].setdefault("DeviceRequests", []).append(request)


def _device_request(device: Mapping[str, Any], *more: str) -> Body:
    ids = list(device.get("device_ids") or ())
    count = device.get("count")
    if count in (None, "", "all"):
        count = 0 if ids else -1
    return {
        "Driver": device.get("driver") or "",
        "Count": int(count),
        "DeviceIDs": ids,
        "Capabilities": [[*(device.get("capabilities") or ()), *more]],
        "Options": _pairs(device.get("options") or {}),
    }


def _gpus(body: Body, value: Any) -> None:
    for device in [{"count": "all"}] if value == "all" else value:
        _add_request(body, _device_request(device, "gpu"))


def _blkio(body: Body, value: Any) -> None:
    host = body["HostConfig"]
    if value.get("weight"):
        host["BlkioWeight"] = int(value["weight"])
    if value.get("weight_device"):
        host["BlkioWeightDevice"] = [
            {"Path": d["path"], "Weight": int(d["weight"])} for d in value["weight_device"]
        ]
    for key, field in _BLKIO_RATES.items():
        if value.get(key):
            host[field] = [{"Path": d["path"], "Rate": _size(d["rate"])} for d in value[key]]


_BLKIO_RATES = {
    "device_read_bps": "BlkioDeviceReadBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_write_iops": "BlkioDeviceWriteIOps",
}


def _extra_hosts(body: Body, value: Any) -> None:
    found: list[str] = []
    if isinstance(value, dict):
        for name, addresses in value.items():
            found += [f"{name}:{one}" for one in _words(addresses)]
    else:
        for entry in value:
            name, _, address = str(entry).partition("=" if "=" in str(entry) else ":")
            found.append(f"{name}:{address}")
    body["HostConfig"]["ExtraHosts"] = found


def _security_opt(body: Body, value: Any) -> None:
    """A seccomp profile goes over as its text: the engine does not see our files."""
    found = []
    for option in value:
        name, separator, setting = str(option).partition("=" if "=" in str(option) else ":")
        if name == "systempaths" and setting == "unconfined":
            body["HostConfig"].update(MaskedPaths=[], ReadonlyPaths=[])
        elif name == "seccomp" and setting not in ("unconfined", "builtin"):
            with open(setting, encoding="utf-8") as file:
                found.append(f"seccomp={json.dumps(json.load(file), separators=(',', ':'))}")
        else:
            found.append(f"{name}={setting}" if separator else name)
    body["HostConfig"]["SecurityOpt"] = found


def _deploy(body: Body, value: Any) -> None:
    host = body["HostConfig"]
    resources = value.get("resources") or {}
    limits, reserved = resources.get("limits") or {}, resources.get("reservations") or {}
    if limits.get("cpus"):
        host["NanoCpus"] = _nano_cpus(limits["cpus"])
    if limits.get("memory"):
        host["Memory"] = _size(limits["memory"])
    if limits.get("pids"):
        host["PidsLimit"] = int(limits["pids"])
    if reserved.get("memory"):
        host["MemoryReservation"] = _size(reserved["memory"])
    for device in reserved.get("devices") or ():
        _add_request(body, _device_request(device))
    policy = value.get("restart_policy")
    if policy:
        condition = policy.get("condition") or "any"
        name = {"none": "no", "any": "always"}.get(condition, condition)
        host["RestartPolicy"] = {
            "Name": name,
            "MaximumRetryCount": int(policy.get("max_attempts") or 0) if name == "on-failure" else 0,
        }


def _nano_cpus(value: Any) -> int:
    return round(float(value) * 1_000_000_000)


# ------------------------------------------------------------------ what depends on the engine


def _needs(version: Api, engine: str) -> Probe:
    def probe(value: Any, api: Api) -> list[Limitation]:
        if not value or api >= version:
            return []
        return [Limitation((), f"this engine is too old for it: it needs {engine} or newer")]

    return probe


def _at(name: str, probe: Probe) -> Probe:
    def found(value: Any, api: Api) -> list[Limitation]:
        return [one._replace(path=(name, *one.path)) for one in probe(value, api)]

    return found


def _health_limits(value: Any, api: Api) -> list[Limitation]:
    if value.get("start_interval") and api < (1, 44):
        reason = "this engine is too old for it: it needs Docker Engine 25 or newer"
        return [Limitation(("healthcheck", "start_interval"), reason, fatal=False)]
    return []


def _deploy_limits(value: Any, api: Api) -> list[Limitation]:
    mode = value.get("mode") or "replicated"
    found = []
    if mode not in ("replicated", "global"):
        found.append(Limitation(("deploy", "mode"), f"the Docker Engine has no mode '{mode}'"))
    return found + [Limitation(path, why, fatal=False) for path, why in clusters.unheeded(value)]


def _grants(kind: str) -> Probe:
    def probe(value: Any, api: Api) -> list[Limitation]:
        return [
            Limitation(
                (kind, index, key),
                "the Docker Engine binds a file as it is; only content and environment can be given an owner",
                fatal=False,
            )
            for index, grant in enumerate(value or ())
            for key in ("uid", "gid")
            if isinstance(grant, dict) and grant.get(key)
        ]

    return probe


def _volume_limits(value: Any, api: Api) -> list[Limitation]:
    found = []
    for index, mount in enumerate(value or ()):
        if not isinstance(mount, dict):
            continue
        if mount.get("type") == "image" and api < (1, 48):
            found.append(Limitation(("volumes", index), "image volumes need Docker Engine 28 or newer"))
        if (mount.get("volume") or {}).get("subpath") and api < (1, 45):
            found.append(
                Limitation(("volumes", index, "volume", "subpath"), "it needs Docker Engine 26 or newer")
            )
    return found


def _network_limits(value: Any, api: Api) -> list[Limitation]:
    needs = {"gw_priority": ((1, 48), "28"), "interface_name": ((1, 49), "28.1")}
    return [
        Limitation(("networks", name, key), f"it needs Docker Engine {engine} or newer", fatal=False)
        for name, joined in (value.items() if isinstance(value, dict) else ())
        for key, (version, engine) in needs.items()
        if (joined or {}).get(key) and api < version
    ]


PROBES: dict[str, Probe] = {
    "annotations": _at("annotations", _needs((1, 43), "Docker Engine 24")),
    "configs": _grants("configs"),
    "deploy": _deploy_limits,
    "healthcheck": _health_limits,
    "networks": _network_limits,
    "secrets": _grants("secrets"),
    "volumes": _volume_limits,
}

ATTRIBUTES: dict[str, Apply] = {
    "annotations": _host("Annotations", _pairs),
    "blkio_config": _blkio,
    "cap_add": _host("CapAdd", _capabilities),
    "cap_drop": _host("CapDrop", _capabilities),
    "cgroup": _host("CgroupnsMode"),
    "cgroup_parent": _host("CgroupParent"),
    "command": _config("Cmd", _words),
    "cpu_count": _host("CpuCount", int),
    "cpu_percent": _host("CpuPercent", lambda value: round(float(value) * 100)),
    "cpu_period": _host("CpuPeriod", _microseconds),
    "cpu_quota": _host("CpuQuota", _microseconds),
    "cpu_rt_period": _host("CpuRealtimePeriod", _microseconds),
    "cpu_rt_runtime": _host("CpuRealtimeRuntime", _microseconds),
    "cpu_shares": _host("CpuShares", lambda value: int(float(value))),
    "cpus": _host("NanoCpus", _nano_cpus),
    "cpuset": _host("CpusetCpus"),
    "deploy": _nothing,  # last of all, see body_of
    "device_cgroup_rules": _host("DeviceCgroupRules", _words),
    "devices": _devices,
    "dns": _host("Dns", _words),
    "dns_opt": _host("DnsOptions", _words),
    "dns_search": _host("DnsSearch", _words),
    "domainname": _config("Domainname"),
    "entrypoint": _config("Entrypoint", _words),
    "environment": _environment,
    "expose": _expose,
    "extra_hosts": _extra_hosts,
    "gpus": _gpus,
    "group_add": _host("GroupAdd", _words),
    "healthcheck": _healthcheck,
    "hostname": _config("Hostname"),
    "init": _host("Init", bool),
    "ipc": _host("IpcMode"),
    "isolation": _host("Isolation"),
    "logging": _logging,
    "mac_address": _nothing,  # of the first endpoint, see creation
    "mem_limit": _host("Memory", _size),
    "mem_reservation": _host("MemoryReservation", _size),
    "mem_swappiness": _host("MemorySwappiness", int),
    "memswap_limit": _host("MemorySwap", _size),
    "oom_kill_disable": _host("OomKillDisable", bool),
    "oom_score_adj": _host("OomScoreAdj", int),
    "pid": _host("PidMode"),
    "pids_limit": _host("PidsLimit", int),
    "platform": _nothing,  # a parameter of the request, see creation
    "ports": _ports,
    "privileged": _host("Privileged", bool),
    "read_only": _host("ReadonlyRootfs", bool),
    "restart": _restart,
    "runtime": _host("Runtime"),
    "security_opt": _security_opt,
    "shm_size": _host("ShmSize", _size),
    "stdin_open": _config("OpenStdin", bool),
    "stop_grace_period": _config("StopTimeout", _seconds),
    "stop_signal": _config("StopSignal"),
    "storage_opt": _host("StorageOpt", _pairs),
    "sysctls": _host("Sysctls", _pairs),
    "tty": _config("Tty", bool),
    "ulimits": _ulimits,
    "user": _config("User", str),
    "userns_mode": _host("UsernsMode"),
    "uts": _host("UTSMode"),
    "volumes_from": _host("VolumesFrom", _words),
    "working_dir": _config("WorkingDir"),
}

# What reaches a backend as names, labels, mounts, endpoints and files, or concerns the engine alone.
ELSEWHERE = frozenset(
    "attach build configs container_name depends_on develop env_file extends external_links image label_file labels "
    "links network_mode networks post_start pre_start pre_stop profiles provider pull_policy pull_refresh_after "
    "scale secrets tmpfs volumes".split()
)

REFUSED: dict[str, tuple[str, str | None]] = {
    "credential_spec": ("only an engine on Windows knows credential specs", "remove it"),
    "models": ("models are run by Docker's own model runner, which composer does not drive", "remove it"),
    "umask": ("the Engine API cannot set a umask", "set it in the command: sh -c 'umask 027; exec …'"),
    "use_api_socket": (
        "composer does not hand the engine's socket to a container in silence",
        "mount it: volumes: [/var/run/docker.sock:/var/run/docker.sock]",
    ),
}
