"""What is on this machine under our names and belongs to nothing that we know: links, cgroups, mounts, bridges.

There should be none. What is in use (a cgroup with processes, a bridge with ports) is somebody's: another
``COMPOSER_ROOT`` has its own state, and is never called a leftover. Where nothing runs in a network of it, its
bridge says where that state is.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.base import state
from composer.runtime.container import cgroups
from composer.runtime.network import endpoints, firewall
from composer.runtime.objects.networks import Networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.base.state import Paths
    from composer.runtime.network import netlink

_PREFIX = "cmp"
_SETTLING_S = 0.2
"""How long things that are being made or removed right now have to find their place."""


class Leftover(NamedTuple):
    """``text`` says what it is, ``hint`` how to remove it by hand: ``remove`` does it, of a thing of this ``kind``."""

    text: str
    hint: str
    kind: str
    name: str

    def remove(self) -> None:
        """Take it away. Raises OSError while somebody uses it; what has gone meanwhile is fine."""
        try:
            _REMOVE[self.kind](self.name)
        except FileNotFoundError:
            pass  # its owner was only slow


def find(paths: Paths, *, settling_s: float = _SETTLING_S) -> list[Leftover]:
    """Scan twice and return what both scans found.

    The second scan excludes resources that a running command was creating or removing during the first.
    """
    first = _all(paths)
    if not first:
        return []
    time.sleep(settling_s)
    return [one for one in _all(paths) if one in first]


def clear(
    paths: Paths, *, settling_s: float = _SETTLING_S
) -> tuple[list[Leftover], list[tuple[Leftover, OSError]]]:
    """Remove what is left; return what went, and what did not with the reason.

    Nothing is lost by it: all of this is made anew by the start of whatever it belonged to.
    """
    gone: list[Leftover] = []
    kept: list[tuple[Leftover, OSError]] = []
    for _ in range(2):  # once a bridge has gone, the firewall's elements for it are left
        kept.clear()
        for one in find(paths, settling_s=settling_s):
            try:
                one.remove()
                gone.append(one)
            except OSError as error:
                kept.append((one, error))
    cgroups.remove_parents()
    return gone, kept


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
    links = _links_here()
    bridges = {link.master for link in links}
    for link in sorted(links, key=lambda link: link.name):
        is_ours = link.name.startswith(_PREFIX) and link.kind in ("bridge", "veth")
        if not is_ours or link.name in known:
            continue
        # A port of a bridge goes with it, or is its state's. A bridge without one may wait for a restart.
        if link.master or link.index in bridges or (link.alias and os.path.isdir(link.alias)):
            continue
        text = f"network interface '{link.name}' does not belong to any network"
        found.append(Leftover(text, f"ip link delete {link.name}", "link", link.name))
    return found


def _links_here() -> list[netlink.Link]:
    """Return the links of our network namespace, which /sys shows only to who mounted it in there."""
    from composer.runtime.network import netlink

    with netlink.Netlink() as session:
        return session.links()


def _rules(known: set[str]) -> list[Leftover]:
    session = firewall.Firewall()
    try:
        names = session.networks()
    finally:
        session.close()
    links = {link.name for link in _links_here()}
    return [
        Leftover(
            f"firewall rules exist for bridge '{name}', which does not exist",
            "they are removed with the last network (composer down); if no project is running: "
            "nft delete table inet composer",
            "rules",
            name,
        )
        for name in names
        if name not in known and name not in links
    ]


def _cgroups(known: set[str]) -> list[Leftover]:
    found = []
    for base in cgroups.detect().parents():
        for id in _entries(f"{base}/{cgroups.PARENT}"):
            directory = f"{base}/{cgroups.PARENT}/{id}"
            if not os.path.isdir(directory) or id in known or _populated(directory):
                continue
            text = f"cgroup '{directory}' is empty and does not belong to any container"
            found.append(Leftover(text, f"rmdir {directory}", "cgroup", directory))
    return found


def _populated(directory: str) -> bool:
    """Tell whether a process is in a cgroup or below it."""
    for path, _, _ in os.walk(directory):
        try:
            with open(f"{path}/cgroup.procs", encoding="utf-8") as file:
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
            text = f"mount '{target}' does not belong to any container"
            found.append(Leftover(text, f"umount --lazy {target}", "mount", target))
    return found


def _entries(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


# ------------------------------------------------------------------ taking it away


def _remove_link(name: str) -> None:
    from composer.runtime.objects import links

    links.delete([name])


def _remove_rules(name: str) -> None:
    session = firewall.Firewall()
    try:
        session.remove_network(name)
    finally:
        session.close()


def _remove_cgroup(directory: str) -> None:
    for path, _, _ in os.walk(directory, topdown=False):
        os.rmdir(path)


def _remove_mount(target: str) -> None:
    from composer.runtime.base import syscalls

    syscalls.umount(target, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


_REMOVE: dict[str, Callable[[str], None]] = {
    "link": _remove_link,
    "rules": _remove_rules,
    "cgroup": _remove_cgroup,
    "mount": _remove_mount,
}
