"""A container's ``HostConfig`` and ``Config`` from its OCI configuration: `wishes` backwards, with Docker's defaults.

What a client of this API said is shown again in its own words (`shown`), over what is made here.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from composer.runtime.base import capabilities, records, signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.runtime.base.record_types import Meta
    from composer.runtime.engine.core import Look
    from composer.runtime.images import Image

_LOG_TYPE = "json-file"
_OURS = ("TERM=xterm",)
_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def shown(derived: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was derived, with what the client said over it."""
    found = {**derived, **dict.fromkeys(_NULL)}
    found |= {key: value for key, value in said.items() if value or key not in _OMITTED}
    return found


_NULL = (
    "BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeightDevice Devices Dns "
    "DnsOptions DnsSearch PortBindings Ulimits"
).split()
"""What a client that says nothing of it sees as null, and one that says that there is none as empty."""
_OMITTED = ("Annotations", "Mounts", "StorageOpt", "Sysctls", "Tmpfs")
"""What is not shown where it is empty."""


# ------------------------------------------------------------------ HostConfig


def host_config(config: Mapping[str, Any], look: Look, said: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return ``HostConfig``; ``said`` is what a client of this API asked for, None for a container of a command's."""
    derived = {
        **dict(_identity(config, look)),
        **dict(_isolation(config, look)),
        **resources(config, shares=not (said or {}).get("CpuQuota")),
    }
    if said is None:
        return {**derived, **dict(_of_commands(config, look))}
    found = shown(derived, {key: value for key, value in said.items() if value is not None})
    if not (said.get("LogConfig") or {}).get("Type"):
        found["LogConfig"] = {
            **derived["LogConfig"],
            "Config": (said.get("LogConfig") or {}).get("Config") or {},
        }
    elif "Config" not in found["LogConfig"]:
        found["LogConfig"] = {**found["LogConfig"], "Config": {}}
    if found.get("DeviceRequests"):
        found["DeviceRequests"] = [{**_DEVICES, **asked} for asked in found["DeviceRequests"]]
    if derived["NetworkMode"] != "bridge":
        found["Links"] = None  # they are the endpoints'
    for name in _CHANGEABLE:
        found[name] = derived[name]  # `update` and the mode's own name may have changed them
    return found


_DEVICES: dict[str, Any] = {
    "Driver": "",
    "Count": 0,
    "DeviceIDs": None,
    "Capabilities": None,
    "Options": None,
}


_CHANGEABLE = (
    "NetworkMode RestartPolicy ShmSize IpcMode CgroupnsMode Runtime BlkioWeight CpuPeriod CpuQuota CpuShares "
    "CpusetCpus CpusetMems Memory MemoryReservation MemorySwap NanoCpus PidsLimit"
).split()


def network_mode(config: Mapping[str, Any], meta: Meta) -> str:
    mode = str(records.extras(config)["network"].get("mode") or "")
    if mode in ("host", "none"):
        return mode
    if mode.startswith("container:"):
        for entry in config["linux"]["namespaces"]:
            if entry["type"] == "network" and entry.get("container"):
                return f"container:{entry['container']}"
        return mode
    networks = meta["networks"]
    return str(networks[0][0]) if networks else "bridge"


def _identity(config: Mapping[str, Any], look: Look) -> Iterator[tuple[str, Any]]:
    extras = records.extras(config)
    policy = extras["restart"]
    yield "Binds", None
    yield "ContainerIDFile", ""
    yield "LogConfig", _logging(config)
    yield "NetworkMode", network_mode(config, look.meta)
    yield "PortBindings", _port_bindings(extras)
    yield "RestartPolicy", {"Name": policy["policy"], "MaximumRetryCount": policy["maximum"]}
    yield "AutoRemove", look.meta["auto_remove"]
    yield "VolumeDriver", ""
    yield "VolumesFrom", None
    yield "ConsoleSize", [0, 0]
    yield "CapAdd", None
    yield "CapDrop", None
    yield "CgroupnsMode", "private" if _has_own(config, "cgroup") else "host"
    dns = extras["network"].get("dns") or {}
    yield "Dns", list(dns.get("servers") or [])
    yield "DnsOptions", list(dns.get("options") or [])
    yield "DnsSearch", list(dns.get("search") or [])
    hosts = extras["network"].get("extra_hosts") or ()
    yield "ExtraHosts", [f"{name}:{address}" for name, address in hosts] or None
    yield "GroupAdd", list(config["process"]["user"].get("groups") or ()) or None


def _isolation(config: Mapping[str, Any], look: Look) -> Iterator[tuple[str, Any]]:
    extras, process = records.extras(config), config["process"]
    linux = config["linux"]
    yield "IpcMode", _mode_of(config, "ipc") or str(extras.get("ipc") or "private")
    yield "Cgroup", ""
    yield "Links", None
    yield "OomScoreAdj", int(process.get("oomScoreAdj") or 0)
    yield "PidMode", _mode_of(config, "pid")
    yield "Privileged", bool(extras.get("privileged"))
    yield "PublishAllPorts", False
    yield "ReadonlyRootfs", bool(config["root"].get("readonly"))
    yield "SecurityOpt", _security(config)
    yield "UTSMode", "" if _has_own(config, "uts") else "host"
    yield "UsernsMode", ""
    yield "ShmSize", _shm_size(config)
    yield "Runtime", "runc"
    yield "Isolation", ""
    yield "MaskedPaths", list(linux.get("maskedPaths") or ()) or None
    yield "ReadonlyPaths", list(linux.get("readonlyPaths") or ()) or None
    if extras.get("init"):
        yield "Init", True


def _logging(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the log driver, as far as what it does tells its name."""
    if records.is_silent(config):
        return {"Type": "none", "Config": {}}
    return {
        "Type": str((records.extras(config).get("forward") or {}).get("driver") or _LOG_TYPE),
        "Config": {},
    }


def _has_own(config: Mapping[str, Any], kind: str) -> bool:
    return any(entry["type"] == kind for entry in config["linux"]["namespaces"])


def _mode_of(config: Mapping[str, Any], kind: str) -> str:
    for entry in config["linux"]["namespaces"]:
        if entry["type"] == kind:
            return f"container:{entry['container']}" if entry.get("container") else ""
    return "host"


def _port_bindings(extras: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for port in extras["network"].get("ports") or ():
        text = str(port["host_port"] or "")
        if port["host_port_end"] > port["host_port"]:
            text = f"{port['host_port']}-{port['host_port_end']}"
        binding = {"HostIp": port["host_ip"], "HostPort": text}
        found.setdefault(f"{port['container_port']}/{port['protocol']}", []).append(binding)
    return found


def _shm_size(config: Mapping[str, Any]) -> int:
    for mount in config["mounts"]:
        if mount["destination"] == "/dev/shm":
            sizes = [option[5:] for option in mount.get("options", ()) if option.startswith("size=")]
            return int(sizes[-1]) if sizes and sizes[-1].isdecimal() else _SHM_BYTES
    return _SHM_BYTES  # it has another's, or none: Docker shows what it would have


_SHM_BYTES = 64 << 20


def _security(config: Mapping[str, Any]) -> list[str] | None:
    shares = records.extras(config).get("privileged") or "host" in (
        _mode_of(config, "pid"),
        _mode_of(config, "ipc"),
    )
    found = ["label=disable"] if shares else []
    found += ["no-new-privileges"] if config["process"].get("noNewPrivileges") else []
    if config["linux"].get("seccomp") is None and not records.extras(config).get("privileged"):
        found.append("seccomp=unconfined")
    return found or None


def resources(config: Mapping[str, Any], *, shares: bool = True) -> dict[str, Any]:
    """Return the limits, all of them, with Docker's zero for those that are not set.

    With ``shares`` a quota of the usual period is shown as a number of processors.
    """
    found = config["linux"].get("resources") or {}
    cpu, memory, disks = found.get("cpu") or {}, found.get("memory") or {}, found.get("blockIO") or {}
    quota, period = int(cpu.get("quota") or 0), int(cpu.get("period") or 0)
    is_share = shares and quota > 0 and period == 100_000
    limits = config["process"].get("rlimits") or ()
    return {
        "CpuShares": int(cpu.get("shares") or 0),
        "Memory": int(memory.get("limit") or 0),
        "NanoCpus": quota * 10_000 if is_share else 0,
        "CgroupParent": str(records.extras(config).get("cgroup_parent") or ""),
        "BlkioWeight": int(disks.get("weight") or 0),
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": 0 if is_share else period,
        "CpuQuota": 0 if is_share else quota,
        "CpuRealtimePeriod": int(cpu.get("realtimePeriod") or 0),
        "CpuRealtimeRuntime": int(cpu.get("realtimeRuntime") or 0),
        "CpusetCpus": str(cpu.get("cpus") or ""),
        "CpusetMems": str(cpu.get("mems") or ""),
        "Devices": _devices(config),
        "DeviceCgroupRules": None,
        "DeviceRequests": None,
        "MemoryReservation": int(memory.get("reservation") or 0),
        "MemorySwap": int(memory.get("swap") or 0),
        "MemorySwappiness": memory.get("swappiness"),
        "OomKillDisable": bool(memory.get("disableOOMKiller")),
        "PidsLimit": _pids_limit(found),
        "Ulimits": [
            {"Name": one["type"].removeprefix("RLIMIT_").lower(), "Hard": one["hard"], "Soft": one["soft"]}
            for one in limits
        ],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


def _pids_limit(found: Mapping[str, Any]) -> int | None:
    """Return the limit of processes: 0 for one that was lifted, None where there never was one."""
    limit = (found.get("pids") or {}).get("limit")
    return max(0, int(limit)) if limit else None


def _devices(config: Mapping[str, Any]) -> list[dict[str, str]]:
    if records.extras(config).get("privileged"):
        return []
    return [
        {"PathOnHost": one["path"], "PathInContainer": one["path"], "CgroupPermissions": "rwm"}
        for one in config["linux"].get("devices") or ()
    ]


def _of_commands(config: Mapping[str, Any], look: Look) -> Iterator[tuple[str, Any]]:
    """Yield what only a client's own words say otherwise: binds and capabilities."""
    binds = []
    for mount in look.meta["mounts"]:
        access = "ro" if mount.get("read_only") else "rw"
        if mount["type"] == "bind" and mount["source"]:
            binds.append(f"{mount['source']}:{mount['target']}:{access}")
        elif mount["type"] == "volume" and not mount.get("anonymous"):
            binds.append(f"{mount.get('name', '')}:{mount['target']}:{access}")
    yield "Binds", binds or None
    tmpfs = {mount["target"]: "" for mount in look.meta["mounts"] if mount["type"] == "tmpfs"}
    if tmpfs:
        yield "Tmpfs", tmpfs
    bounding = set(config["process"].get("capabilities", {}).get("bounding") or ())
    usual = set(capabilities.resolve((), (), privileged=False))
    if not records.extras(config).get("privileged"):
        yield "CapAdd", sorted(bounding - usual) or None
        yield "CapDrop", sorted(usual - bounding) or None


# ------------------------------------------------------------------ Config


def container_config(
    config: Mapping[str, Any], look: Look, image: Image | None, said: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return ``Config``. ``image`` is None where it is gone: then all words are the command's."""
    extras, process, meta = records.extras(config), config["process"], look.meta
    of_image: Mapping[str, Any] = image.config if image is not None else {}
    said = said or {}
    entrypoint, command = _words(process["args"], of_image, said)
    exposed: dict[str, Any] = {port if "/" in port else f"{port}/tcp": {} for port in meta["exposed"]}
    exposed |= {
        f"{port['container_port']}/{port['protocol']}": {} for port in extras["network"].get("ports") or ()
    }
    own = (f"HOSTNAME={config.get('hostname')}", *_OURS)
    found: dict[str, Any] = {
        "Hostname": config.get("hostname") or "",
        "Domainname": config.get("domainname") or "",
        "User": _user(process, of_image),
        "AttachStdin": bool(said.get("AttachStdin")),
        "AttachStdout": bool(said.get("AttachStdout", not said)),
        "AttachStderr": bool(said.get("AttachStderr", not said)),
        **({"ExposedPorts": dict(sorted(exposed.items()))} if exposed else {}),
        "Tty": bool(process.get("terminal")),
        "OpenStdin": bool(extras.get("stdin")),
        "StdinOnce": bool(said.get("StdinOnce")),
        "Env": _environment([text for text in process["env"] if text not in own], said.get("Env") or ()),
        "Cmd": command or ([] if said.get("Cmd") == [] else None),
        **_health(extras, of_image, said),
        "Image": meta["image"],
        "Volumes": said.get("Volumes") or dict(of_image.get("Volumes") or {}) or None,
        "WorkingDir": str(said.get("WorkingDir") or of_image.get("WorkingDir") or _directory(process)),
        "Entrypoint": entrypoint or None,
        "OnBuild": of_image.get("OnBuild"),
        "Labels": dict(meta["labels"]),
    }
    endpoints = extras["network"].get("endpoints") or ()
    if endpoints and endpoints[0]["mac"]:
        found["MacAddress"] = endpoints[0]["mac"]
    if said.get("StopSignal") or of_image.get("StopSignal"):
        found["StopSignal"] = said.get("StopSignal") or of_image.get("StopSignal")
    elif not said and extras["stop"]["signal"] != signals.number("SIGTERM"):
        found["StopSignal"] = signal.Signals(int(extras["stop"]["signal"])).name
    if said.get("StopTimeout") is not None:
        found["StopTimeout"] = said["StopTimeout"]
    elif not said and extras["stop"]["timeout_s"] != _USUAL_STOP_S:
        found["StopTimeout"] = int(extras["stop"]["timeout_s"])
    return found


def _environment(found: list[str], said: Sequence[str]) -> list[str]:
    """Return the variables, those that a client gave first."""
    first = [text for text in said if text in found or "=" not in text]
    return [*first, *(text for text in found if text not in first)]


_USUAL_STOP_S = 10.0


def _directory(process: Mapping[str, Any]) -> str:
    return "" if process.get("cwd") in (None, "/") else str(process["cwd"])


def _user(process: Mapping[str, Any], of_image: Mapping[str, Any]) -> str:
    name = str(process["user"].get("name") or "")
    return "" if name == "0" and not of_image.get("User") else name


def _words(
    arguments: list[str], of_image: Mapping[str, Any], said: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return which of a process's arguments are the entrypoint's, and which the command's."""
    entrypoint = said.get("Entrypoint")
    if isinstance(entrypoint, str):
        entrypoint = [entrypoint]
    if not entrypoint:
        entrypoint = of_image.get("Entrypoint") or []
    entrypoint = [] if entrypoint == [""] else list(entrypoint)
    if entrypoint and arguments[: len(entrypoint)] == entrypoint:
        return entrypoint, arguments[len(entrypoint) :]
    return [], arguments


def _health(
    extras: Mapping[str, Any], of_image: Mapping[str, Any], said: Mapping[str, Any]
) -> dict[str, Any]:
    if said.get("Healthcheck"):
        given = {key: value for key, value in said["Healthcheck"].items() if value}
        return {"Healthcheck": {**(of_image.get("Healthcheck") or {}), **given}}
    check = extras.get("health")
    if not check:
        return {"Healthcheck": {"Test": ["NONE"]}} if of_image.get("Healthcheck") else {}
    found: dict[str, Any] = {name: check[key] for key, name in _TIMES.items() if check.get(key)}
    if check.get("retries"):
        found["Retries"] = check["retries"]
    return {"Healthcheck": {"Test": list(check["test"]), **found}}
