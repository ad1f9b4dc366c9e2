"""What a container has unless something else is asked for: Docker's defaults, as an OCI configuration.

Docker's masks, devices and mounts: https://github.com/moby/moby/blob/master/oci/defaults.go
"""

from __future__ import annotations

import glob

from composer.runtime.base import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Config = dict[str, Any]

_ALLOWED_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200), (136, None))
MASKED = [
    f"/proc/{name}" for name in "acpi asound interrupts kcore keys latency_stats sched_debug scsi".split()
]
# One for each processor, as far as the machine has them: they tell what the neighbours do.
MASKED += [f"{path}/thermal_throttle" for path in sorted(glob.glob("/sys/devices/system/cpu/cpu[0-9]*"))]
MASKED += ["/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"]
_READONLY = [f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")]
_PTS = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
_KINDS = ("mount", "pid", "ipc", "uts", "network", "cgroup")


def configuration(image: Mapping[str, Any]) -> Config:
    """Return the configuration of a container that nothing is said of. ``image`` is its image's, with Docker's names.

    Raises ValueError for a stop signal that does not exist.
    """
    return {
        "ociVersion": "1.2.0",
        "hostname": "",
        "root": {"path": "rootfs", "readonly": False},
        "process": {
            "terminal": False,
            "user": {"name": image.get("User") or "0", "groups": []},
            "args": [],
            "env": list(image.get("Env") or ()),
            "cwd": image.get("WorkingDir") or "/",
            "capabilities": {},
            "rlimits": [],
            "noNewPrivileges": False,
            "oomScoreAdj": 0,
        },
        "mounts": _default_mounts(),
        "linux": {
            "namespaces": [{"type": kind} for kind in _KINDS],
            "resources": {"devices": default_devices()},
            "devices": [],
            "sysctl": {},
            "seccomp": "default",
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(_READONLY),
        },
        "composer": {
            "init": False,
            # not among the `namespaces`: a supervisor that an earlier version started fails with an unknown one
            "time_namespace": True,
            "restart": {"policy": "no", "maximum": 0},
            "stop": {"signal": signal_number(image.get("StopSignal") or "SIGTERM"), "timeout_s": 10.0},
            "network": {"ports": [], "extra_hosts": [], "dns": {}},
            "health": _image_health(image.get("Healthcheck")),
        },
    }


def _default_mounts() -> list[Config]:
    safe = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", safe),
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", _PTS),
        _mount("/sys", "sysfs", [*safe, "ro"]),
        _mount("/dev/mqueue", "mqueue", safe),
        _mount("/dev/shm", "tmpfs", [*safe, "mode=1777", "size=67108864"], "shm"),
        _mount("/sys/fs/cgroup", "cgroup", [*safe, "ro"]),
    ]


def _mount(destination: str, kind: str, options: list[str], source: str | None = None) -> Config:
    return {"destination": destination, "type": kind, "source": source or kind, "options": options}


def default_devices() -> list[Config]:
    """Return the rules for devices that every container may use."""
    rules: list[Config] = [{"allow": False, "type": "a", "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in "bc"]
    rules += [
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in _ALLOWED_DEVICES
    ]
    return rules


def _image_health(check: Mapping[str, Any] | None) -> Config | None:
    if not check or not check.get("Test") or check["Test"][0] in ("", "NONE"):
        return None
    names = {
        "Interval": "interval",
        "Timeout": "timeout",
        "StartPeriod": "start_period",
        "StartInterval": "start_interval",
    }
    health: Config = {"test": list(check["Test"]), "retries": check.get("Retries") or 0}
    health.update({own: check[name] for name, own in names.items() if check.get(name)})
    return health


def signal_number(name: str) -> int:
    """Return the number of a signal. Raises ValueError."""
    number = signals.number(name)
    if number is None:
        raise ValueError(f"invalid signal '{name}'")
    return number
