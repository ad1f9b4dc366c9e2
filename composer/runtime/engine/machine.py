"""Facts of this machine and of a state directory, under the names of Docker's API (``GET /info``)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from composer import dates
from composer.runtime.base import state
from composer.runtime.container import cgroups

if TYPE_CHECKING:
    from composer.runtime.engine.core import Core

_UNKNOWN = "unknown"


def info(core: Core) -> dict[str, Any]:
    """Return them; nothing is changed and no supervisor is asked."""
    watched: dict[str, bool] = {}
    states = [core.look(meta, watched).status for meta in core.metas()]
    running, paused = states.count("running") + states.count("restarting"), states.count("paused")
    machine, hierarchies = os.uname(), cgroups.detect()
    return {
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
        "Images": len(core.store.images()),
        "Driver": "overlay",
        "DockerRootDir": core.paths.root,
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "1" if "memory" in hierarchies.v1 else "2",
        "KernelVersion": machine.release,
        "OperatingSystem": _system(),
        "OSType": "linux",
        "Architecture": machine.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": machine.nodename,
        "SystemTime": dates.utc_ns(time.time_ns()),
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "Volumes": len(state.list_directory(core.paths.volumes())),
        "Networks": len(state.list_directory(core.paths.networks())),
    }


def _system() -> str:
    """Return what the distribution calls itself."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    key, _, value = line.strip().partition("=")
                    if key == "PRETTY_NAME":
                        return value.strip("\"'")
        except FileNotFoundError:
            continue
    return _UNKNOWN
