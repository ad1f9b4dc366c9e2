"""Which namespaces a container gets: its own, the host's, or those of another container.

Docker's rules: a container in another's network has that one's ports, names, addresses and files of /etc, and can
be asked for none of its own; who shares ipc also shares /dev/shm, and the owner has to have said that it may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.runtime.base import records, state
from composer.runtime.objects import naming, specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    Config = dict[str, Any]

_SHAREABLE = ("shareable", "host")


class Owner(NamedTuple):
    """A container whose namespaces are joined. ``config`` is its configuration, ``directory`` where that lies."""

    id: str
    directory: str
    config: Mapping[str, Any]


def find_owners(paths: state.Paths, spec: specs.Container) -> dict[str, Owner]:
    """Return the containers whose namespaces this one joins, by kind. Raises NotFound, or Conflict for an ipc."""
    found = {}
    for kind in ("network", "pid", "ipc"):
        mode = spec.namespaces.get(kind, "")
        if not mode.startswith("container:"):
            continue
        name = mode.partition(":")[2]
        try:
            found[kind] = _owner(paths, naming.find_container(paths, name))
        except errors.NotFound as error:
            raise errors.NotFound(
                f"cannot join the {kind} namespace of container '{name}' in {spec.subject}: {error}",
                hint="start that container first",
            ) from error
    if "ipc" in found and records.extras(found["ipc"].config).get("ipc") not in _SHAREABLE:
        name = records.extras(found["ipc"].config)["name"]
        raise errors.Conflict(
            f"cannot join the ipc namespace of container '{name}' in {spec.subject}: it is private",
            hint=f"set ipc: shareable for '{name}'",
        )
    return found


def _owner(paths: state.Paths, id: str) -> Owner:
    config = records.config(paths.container(id))
    if config is None:
        raise errors.NotFound(f"no such container: {id[:12]}")
    return Owner(id, paths.container(id), config)


def network_files(paths: state.Paths, owner: Owner) -> str:
    """Return the directory with the files of /etc that belong to a network: its first owner's."""
    for entry in owner.config["linux"]["namespaces"]:
        if entry["type"] == "network" and entry.get("container"):
            return network_files(paths, _owner(paths, entry["container"]))
    return owner.directory


def apply(config: Config, spec: specs.Container, owners: Mapping[str, Owner]) -> None:
    """Put the namespaces into an OCI configuration, and what goes with them."""
    wanted = spec.namespaces
    kept = []
    for entry in config["linux"]["namespaces"]:
        if entry["type"] in owners:
            kept.append({**entry, "container": owners[entry["type"]].id})
        elif wanted.get(entry["type"]) != "host":
            kept.append(entry)
    config["linux"]["namespaces"] = kept
    _share_memory(config, wanted.get("ipc") or "private")
    if wanted.get("network") != "host" and "network" not in owners:
        # Docker's defaults for a network namespace of one's own.
        config["linux"]["sysctl"].setdefault("net.ipv4.ip_unprivileged_port_start", "0")
        config["linux"]["sysctl"].setdefault("net.ipv4.ping_group_range", "0 2147483647")


def _share_memory(config: Config, mode: str) -> None:
    """Say where /dev/shm comes from: the host, another container (which the start looks up), or nowhere."""
    records.extras(config)["ipc"] = "shareable" if mode.startswith("container:") else mode
    if mode in ("private", "shareable"):
        return
    config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != "/dev/shm"]
    if mode == "host":
        mount = {"destination": "/dev/shm", "type": "bind", "source": "/dev/shm"}
        config["mounts"].append({**mount, "options": ["rbind", "rprivate"]})
