"""From a container as Compose wants it to what the Engine API creates: one row per attribute.

`ATTRIBUTES` is the table: a Compose attribute, the function that puts it into the request, and where needed one
that says what an engine of this API cannot do of it; or the reason why no engine can express it. With what is inside of
attributes (`attributes.py`) it is this backend's column of `composer.attributes`.
The choices (bind string or mount, which network comes first) are Docker Compose's, so that either tool's
containers look alike to the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer import sysctls, values
from composer.attributes import ENGINE_NAMES, Row, nothing, refused_row, unheeded
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
        row = ATTRIBUTES.get(name)
        probe = OF_THE_ENGINE.get(name) if row is None else row.probe
        if row is not None and row.refusal is not None:
            if value not in (None, "", [], {}, False):
                reason, hint = row.refusal
                found.append(Limitation((name,), reason, hint=hint))
        elif probe is not None:
            found += probe(value, api) if value is not None else []
        elif row is None and name not in ENGINE_NAMES:
            found.append(Limitation((name,), "not supported by Docker Engine"))
    # it would refuse them too, when networks and containers are there already
    found += [
        Limitation(("sysctls", key), reason, hint=hint)
        for key, reason, hint in sysctls.find_faults(attributes)
    ]
    for index, port in enumerate(attributes.get("ports") or ()):
        problem = values.target_problem(port.get("target"))
        if problem is not None:
            found.append(
                Limitation(
                    ("ports", index), problem, hint="set target to the container port, such as target: 80"
                )
            )
    for path, target, reason in values.mount_problems(attributes):
        found.append(Limitation(path, f"cannot mount at {target}: {reason}", hint=values.MOUNT_HINT))
    return found


def body_of(attributes: Mapping[str, Any], service: str) -> Body:
    """Return the request for a service's attributes, without image, names, networks and mounts."""
    body: Body = {"AttachStdout": True, "AttachStderr": True, "HostConfig": {}}
    for name, value in attributes.items():
        row = ATTRIBUTES.get(name)
        if row is not None and value is not None:
            try:
                row.apply(body, value)
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
    for key, field in HEALTH_TIMES.items():
        if value.get(key):
            check[field] = parse_duration_ns(str(value[key]))
    if value.get("retries"):
        check["Retries"] = int(value["retries"])
    body["Healthcheck"] = check


HEALTH_TIMES = {
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
    name, maximum = values.restart_policy(str(value))
    body["HostConfig"]["RestartPolicy"] = {"Name": name, "MaximumRetryCount": maximum}


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
    body["HostConfig"]["ExtraHosts"] = [f"{name}:{address}" for name, address in values.host_pairs(value)]


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
        return [Limitation((), f"requires {engine} or newer")]

    return probe


def _at(name: str, probe: Probe) -> Probe:
    def found(value: Any, api: Api) -> list[Limitation]:
        return [one._replace(path=(name, *one.path)) for one in probe(value, api)]

    return found


def _health_limits(value: Any, api: Api) -> list[Limitation]:
    if value.get("start_interval") and api < (1, 44):
        reason = "requires Docker Engine 25 or newer"
        return [Limitation(("healthcheck", "start_interval"), reason, fatal=False)]
    return []


def _deploy_limits(value: Any, api: Api) -> list[Limitation]:
    mode = value.get("mode") or "replicated"
    found = []
    if mode not in ("replicated", "global"):
        found.append(Limitation(("deploy", "mode"), f"mode '{mode}' is not supported by Docker Engine"))
    return found + [Limitation(path, why, fatal=False) for path, why in unheeded(value)]


def _grants(kind: str) -> Probe:
    def probe(value: Any, api: Api) -> list[Limitation]:
        return [
            Limitation(
                (kind, index, key),
                "not supported for file sources, it will be ignored",
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
            found.append(Limitation(("volumes", index), "requires Docker Engine 28 or newer"))
        if (mount.get("volume") or {}).get("subpath") and api < (1, 45):
            found.append(
                Limitation(("volumes", index, "volume", "subpath"), "requires Docker Engine 26 or newer")
            )
    return found


def _network_limits(value: Any, api: Api) -> list[Limitation]:
    needs = {"gw_priority": ((1, 48), "28"), "interface_name": ((1, 49), "28.1")}
    return [
        Limitation(("networks", name, key), f"requires Docker Engine {engine} or newer", fatal=False)
        for name, joined in (value.items() if isinstance(value, dict) else ())
        for key, (version, engine) in needs.items()
        if (joined or {}).get(key) and api < version
    ]


OF_THE_ENGINE: dict[str, Probe] = {
    "configs": _grants("configs"),
    "networks": _network_limits,
    "secrets": _grants("secrets"),
    "volumes": _volume_limits,
}
"""What arrives as endpoints, mounts and files, and what an engine of this API cannot do of that."""

ATTRIBUTES: dict[str, Row[Probe]] = {
    "annotations": Row(
        _host("Annotations", _pairs),
        _at("annotations", _needs((1, 43), "Docker Engine 24")),
        "yes, if its API is new enough",
    ),
    "blkio_config": Row(_blkio),
    "build": Row(),  # see builds
    "cap_add": Row(_host("CapAdd", _capabilities)),
    "cap_drop": Row(_host("CapDrop", _capabilities)),
    "cgroup": Row(_host("CgroupnsMode")),
    "cgroup_parent": Row(_host("CgroupParent")),
    "command": Row(_config("Cmd", _words)),
    "cpu_count": Row(_host("CpuCount", int)),
    "cpu_percent": Row(_host("CpuPercent", lambda value: round(float(value) * 100))),
    "cpu_period": Row(_host("CpuPeriod", _microseconds)),
    "cpu_quota": Row(_host("CpuQuota", _microseconds)),
    "cpu_rt_period": Row(_host("CpuRealtimePeriod", _microseconds)),
    "cpu_rt_runtime": Row(_host("CpuRealtimeRuntime", _microseconds)),
    "cpu_shares": Row(_host("CpuShares", lambda value: int(float(value)))),
    "cpus": Row(_host("NanoCpus", _nano_cpus)),
    "cpuset": Row(_host("CpusetCpus")),
    "deploy": Row(
        nothing,
        _deploy_limits,
        "yes, in mode replicated or global; attributes that only Swarm supports cause a warning",
    ),  # last of all, see body_of
    "device_cgroup_rules": Row(_host("DeviceCgroupRules", _words)),
    "devices": Row(_devices),
    "dns": Row(_host("Dns", _words)),
    "dns_opt": Row(_host("DnsOptions", _words)),
    "dns_search": Row(_host("DnsSearch", _words)),
    "domainname": Row(_config("Domainname")),
    "entrypoint": Row(_config("Entrypoint", _words)),
    "environment": Row(_environment),
    "expose": Row(_expose),
    "extra_hosts": Row(_extra_hosts),
    "gpus": Row(_gpus),
    "group_add": Row(_host("GroupAdd", _words)),
    "healthcheck": Row(_healthcheck, _health_limits, "yes, if its API is new enough"),
    "hostname": Row(_config("Hostname")),
    "init": Row(_host("Init", bool)),
    "ipc": Row(_host("IpcMode")),
    "isolation": Row(_host("Isolation")),
    "logging": Row(_logging),
    "mac_address": Row(),  # of the first endpoint, see creation
    "mem_limit": Row(_host("Memory", _size)),
    "mem_reservation": Row(_host("MemoryReservation", _size)),
    "mem_swappiness": Row(_host("MemorySwappiness", int)),
    "memswap_limit": Row(_host("MemorySwap", _size)),
    "oom_kill_disable": Row(_host("OomKillDisable", bool)),
    "oom_score_adj": Row(_host("OomScoreAdj", int)),
    "pid": Row(_host("PidMode")),
    "pids_limit": Row(_host("PidsLimit", int)),
    "platform": Row(),  # a parameter of the request, see creation
    "ports": Row(_ports),
    "privileged": Row(_host("Privileged", bool)),
    "read_only": Row(_host("ReadonlyRootfs", bool)),
    "restart": Row(_restart),
    "runtime": Row(_host("Runtime")),
    "security_opt": Row(_security_opt),
    "shm_size": Row(_host("ShmSize", _size)),
    "stdin_open": Row(_config("OpenStdin", bool)),
    "stop_grace_period": Row(_config("StopTimeout", _seconds)),
    "stop_signal": Row(_config("StopSignal")),
    "storage_opt": Row(_host("StorageOpt", _pairs)),
    "sysctls": Row(_host("Sysctls", _pairs)),
    "tty": Row(_config("Tty", bool)),
    "ulimits": Row(_ulimits),
    "user": Row(_config("User", str)),
    "userns_mode": Row(_host("UsernsMode")),
    "uts": Row(_host("UTSMode")),
    "volumes_from": Row(_host("VolumesFrom", _words)),
    "working_dir": Row(_config("WorkingDir")),
    # what the engine cannot express
    "credential_spec": refused_row("only supported by Windows containers", "remove it"),
    "umask": refused_row(
        "the Engine API does not support umask", "set it in the command: sh -c 'umask 027; exec …'"
    ),
    "use_api_socket": refused_row(
        "composer does not mount the Docker socket implicitly",
        "mount it explicitly: volumes: [/var/run/docker.sock:/var/run/docker.sock]",
    ),
}
