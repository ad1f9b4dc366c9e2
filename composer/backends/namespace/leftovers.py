"""What is on this machine under our names and belongs to nothing that we know: links, cgroups, mounts, bridges.

There should be none. What is in use (a cgroup with processes, a bridge with ports) is somebody's: another
``COMPOSER_ROOT`` has its own state, which cannot be seen from here, and is never called a leftover.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.backends.namespace import state
from composer.backends.namespace.networks import Networks
from composer.backends.namespace.runtime import cgroups, endpoints, firewall

if TYPE_CHECKING:
    from composer.backends.namespace.state import Paths

_PREFIX = "cmp"
_SETTLING_S = 0.2
"""How long things that are being made or removed right now have to find their place."""


class Leftover(NamedTuple):
    """``text`` says what it is, ``hint`` how to remove it."""

    text: str
    hint: str


def find(paths: Paths, *, settling_s: float = _SETTLING_S) -> list[Leftover]:
    """Return what is there now and was there a moment ago: a command at work is in between for an instant."""
    first = _all(paths)
    if not first:
        return []
    time.sleep(settling_s)
    return [one for one in _all(paths) if one in first]


def _all(paths: Paths) -> list[Leftover]:
    networks = list(Networks(paths).all())
    containers = state.list_directory(paths.containers())
    bridges = {str(record.get("bridge")) for record in networks}
    links = {endpoints.link_name(id, str(record["id"])) for id in containers for record in networks}
    return [
        *_links(bridges | links),
        *_rules(bridges),
        *_cgroups(set(containers)),
        *_mounts(paths, set(containers)),
    ]


def _links(known: set[str]) -> list[Leftover]:
    found = []
    for name in sorted(os.listdir("/sys/class/net")):
        base = f"/sys/class/net/{name}"
        if not name.startswith(_PREFIX) or name in known:
            continue
        # a port of a bridge goes with it, or is its state's
        if os.path.exists(f"{base}/master") or _entries(f"{base}/brif"):
            continue
        found.append(Leftover(f"link '{name}' belongs to no network of ours", f"ip link delete {name}"))
    return found


def _rules(known: set[str]) -> list[Leftover]:
    session = firewall.Firewall()
    try:
        names = session.networks()
    finally:
        session.close()
    return [
        Leftover(
            f"the firewall knows bridge '{name}', which does not exist",
            "it goes with the last network: composer down; or, when nothing of composer runs: "
            "nft delete table inet composer",
        )
        for name in names
        if name not in known and not os.path.exists(f"/sys/class/net/{name}")
    ]


def _cgroups(known: set[str]) -> list[Leftover]:
    found = []
    for base in cgroups.detect().parents():
        for id in _entries(f"{base}/{cgroups.PARENT}"):
            directory = f"{base}/{cgroups.PARENT}/{id}"
            if not os.path.isdir(directory) or id in known or _populated(directory):
                continue
            found.append(
                Leftover(f"cgroup '{directory}' is empty and belongs to no container", f"rmdir {directory}")
            )
    return found


def _populated(directory: str) -> bool:
    """Tell whether a process is in a cgroup or below it."""
    for path, _, _ in os.walk(directory):
        try:
            with open(f"{path}/cgroup.procs", encoding="ascii") as file:
                if file.read(1):
                    return True
        except OSError:
            continue  # it went meanwhile, or is a threaded one
    return False


def _mounts(paths: Paths, known: set[str]) -> list[Leftover]:
    above = f"{paths.containers()}/"
    found = []
    for target, _ in state.mount_points():
        if target.startswith(above) and target.removeprefix(above).split("/")[0] not in known:
            found.append(Leftover(f"mount '{target}' belongs to no container", f"umount --lazy {target}"))
    return found


def _entries(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
