"""The machine and the engine: ping, version, info, log-in, disk use."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from composer.api import times
from composer.api.http.answering import NEWEST, OLDEST, text_of
from composer.api.http.problems import Problem
from composer.runtime.container import cgroups
from composer.runtime.images.configuration import architecture

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World

_HUB = "https://index.docker.io/v1/"
_STATES = {"running": "ContainersRunning", "paused": "ContainersPaused"}


def ping(call: Call) -> None:
    call.send_whole(
        200,
        b"OK",
        "text/plain; charset=utf-8",
        [
            ("Cache-Control", "no-cache, no-store, must-revalidate"),
            ("Pragma", "no-cache"),
            ("Swarm", "inactive"),
        ],
    )


def version(call: Call) -> tuple[int, Any]:
    kernel = os.uname().release
    common = {
        "ApiVersion": text_of(NEWEST),
        "MinAPIVersion": text_of(OLDEST),
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": kernel,
        "BuildTime": "",
    }
    details = {key: text for key, text in common.items() if key != "GoVersion"}
    return 200, {
        "Platform": {"Name": "composer"},
        "Components": [
            {
                "Name": "Engine",
                "Version": call.world.version,
                "Details": {**details, "Experimental": "false", "GoVersion": ""},
            }
        ],
        "Version": call.world.version,
        **common,
    }


def info(call: Call) -> tuple[int, Any]:
    world = call.world
    counts = _count_containers(world)
    found = cgroups.detect()
    system, system_version = _operating_system()
    version_number = "1" if found.v1 else "2"
    return 200, {
        "ID": _identity(world),
        **counts,
        "Images": len(world.engine.images.all()),
        "Driver": "overlay2",
        "DriverStatus": [["Supports d_type", "true"], ["userxattr", "false"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "syslog"],
        },
        **_abilities(found),
        "IPv4Forwarding": _is_on("/proc/sys/net/ipv4/ip_forward"),
        "Debug": False,
        "NFd": len(os.listdir("/proc/self/fd")),
        "NGoroutines": len(os.listdir("/proc/self/task")),
        "SystemTime": times.written(time.time_ns()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": version_number,
        "NEventsListener": 0,
        "KernelVersion": os.uname().release,
        "OperatingSystem": system,
        "OSVersion": system_version,
        "OSType": "linux",
        "Architecture": os.uname().machine,
        "IndexServerAddress": _HUB,
        "RegistryConfig": {
            "IndexConfigs": {
                "docker.io": {"Mirrors": [], "Name": "docker.io", "Official": True, "Secure": True}
            },
            "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
            "Mirrors": None,
        },
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "GenericResources": None,
        "DockerRootDir": world.paths.root,
        "HttpProxy": world.environment.get("HTTP_PROXY", ""),
        "HttpsProxy": world.environment.get("HTTPS_PROXY", ""),
        "NoProxy": world.environment.get("NO_PROXY", ""),
        "Name": os.uname().nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": world.version,
        "Runtimes": {"runc": {"path": "composer"}},
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "composer",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
        "Warnings": None,
    }


def _count_containers(world: World) -> dict[str, int]:
    found = {"Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0}
    watched: dict[str, bool] = {}
    for meta in world.core.metas():
        found["Containers"] += 1
        found[_STATES.get(world.core.look(meta, watched).status, "ContainersStopped")] += 1
    return found


def _abilities(found: cgroups.Hierarchies) -> dict[str, bool]:
    """Return what this machine's kernel can limit."""

    def has(controller: str) -> bool:
        return controller in found.v1 or controller in found.v2_controllers

    return {
        "MemoryLimit": has("memory"),
        "SwapLimit": has("memory"),
        "CpuCfsPeriod": has("cpu"),
        "CpuCfsQuota": has("cpu"),
        "CPUShares": has("cpu"),
        "CPUSet": has("cpuset"),
        "PidsLimit": has("pids"),
        **({"KernelMemoryTCP": True} if "memory" in found.v1 else {}),
        "OomKillDisable": "memory" in found.v1,
    }


def _identity(world: World) -> str:
    """Return an id of this state directory, the same every time."""
    import uuid

    state = os.stat(world.paths.root) if os.path.isdir(world.paths.root) else None
    machine = "" if state is None else f"{state.st_dev}.{state.st_ino}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"composer:{world.paths.root}:{machine}"))


def _operating_system() -> tuple[str, str]:
    found: dict[str, str] = {}
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                pairs = (line.strip().partition("=")[::2] for line in file)
                found = {key: value.strip("\"'") for key, value in pairs}
            break
        except OSError:
            continue  # the other place has it, or there is none
    return found.get("PRETTY_NAME", "Linux"), found.get("VERSION_ID", "")


def _is_on(path: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def authenticate(call: Call) -> tuple[int, Any]:
    """Try credentials at a registry. They are the client's: nothing is kept here."""
    from composer import errors
    from composer.api.images import registries

    asked = call.document()
    name, password = str(asked.get("username") or ""), str(asked.get("password") or "")
    try:
        registries.try_log_in(
            call.world, str(asked.get("serveraddress") or _HUB), name, password, asked.get("identitytoken")
        )
    except (errors.LoginFailed, errors.ImageError) as error:
        raise Problem(401, str(error)) from None
    return 200, {"IdentityToken": "", "Status": "Login Succeeded"}


def disk_use(call: Call) -> tuple[int, Any]:
    from composer.api.others import usage

    return 200, usage.disk_use(call.world, call.query.texts("type"), call.version)
