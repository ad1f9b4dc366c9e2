"""Which namespaces a container gets: its own, the host's, or those of another container.

Docker's rules: a container in another's network has that one's ports, names, addresses and files of /etc, and can
be asked for none of its own; who shares ipc also shares /dev/shm, and the owner has to have said that it may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.engine.wanted import ContainerSpec, Limitation
from composer.runtime.base import records, state
from composer.runtime.objects import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Config = dict[str, Any]
    Probe = Callable[[Any], list[Limitation]]

_OF_THE_OWNER = ("ports", "dns", "dns_opt", "dns_search", "extra_hosts", "mac_address")
"""What a service cannot have when its network is another's."""

_JOINING = ("container:", "service:")
_SHAREABLE = ("shareable", "host")


class Owner(NamedTuple):
    """A container whose namespaces are joined. ``config`` is its configuration, ``directory`` where that lies."""

    id: str
    directory: str
    config: Mapping[str, Any]


# ------------------------------------------------------------------ what cannot be


def probe(name: str, *values: str, joins: bool = False) -> Probe:
    """Return the check of an attribute that may have these values or, with ``joins``, name a container."""

    def check(value: Any) -> list[Limitation]:
        text = str(value or "")
        if text in ("", *values) or (joins and text.startswith(_JOINING)):
            return []
        known = [*values, *(["service:NAME", "container:NAME"] if joins else [])]
        return [
            Limitation((name,), f"the built-in runtime cannot do '{text}'", hint=f"use {', '.join(known)}")
        ]

    return check


def limitations(attributes: Mapping[str, Any]) -> list[Limitation]:
    """Return what contradicts itself in how a service shares namespaces."""
    found = []
    mode = str(attributes.get("network_mode") or "")
    if mode not in ("", "none", "host", "bridge") and not mode.startswith(_JOINING):
        reason = f"the built-in runtime has no network '{mode}' to be put into"
        found.append(
            Limitation(("network_mode",), reason, hint="leave it out, or list the network in networks")
        )
    if mode.startswith(_JOINING):
        owner = mode.partition(":")[2]
        found += [
            Limitation((name,), f"the network is that of '{owner}'", hint=f"move {name} to '{owner}'")
            for name in _OF_THE_OWNER
            if attributes.get(name)
        ]
    if attributes.get("uts") == "host":
        found += [
            Limitation((name,), "uts: host gives the container the host's names", hint="remove one of them")
            for name in ("hostname", "domainname")
            if attributes.get(name)
        ]
    return found


# ------------------------------------------------------------------ what is


def find_owners(paths: state.Paths, spec: ContainerSpec) -> dict[str, Owner]:
    """Return the containers whose namespaces this one joins, by kind. Raises NotFound, or Conflict for an ipc."""
    wanted = {
        "network": spec.network_mode,
        "pid": spec.attributes.get("pid"),
        "ipc": spec.attributes.get("ipc"),
    }
    found = {}
    for kind, mode in wanted.items():
        if not str(mode or "").startswith("container:"):
            continue
        name = str(mode).partition(":")[2]
        try:
            found[kind] = _owner(paths, naming.find_container(paths, name))
        except errors.NotFound as error:
            raise errors.NotFound(
                f"cannot join the {kind} namespace of container '{name}' in service '{spec.service}': {error}",
                hint="start that container first",
            ) from error
    if "ipc" in found and found["ipc"].config["composer"].get("ipc") not in _SHAREABLE:
        name = found["ipc"].config["composer"]["name"]
        raise errors.Conflict(
            f"cannot join the ipc namespace of container '{name}' in service '{spec.service}': it is private",
            hint=f"set ipc: shareable for '{name}'",
        )
    return found


def _owner(paths: state.Paths, id: str) -> Owner:
    config = records.config(paths.container(id))
    if config is None:
        raise errors.NotFound(f"no container '{id[:12]}'")
    return Owner(id, paths.container(id), config)


def network_files(paths: state.Paths, owner: Owner) -> str:
    """Return the directory with the files of /etc that belong to a network: its first owner's."""
    for entry in owner.config["linux"]["namespaces"]:
        if entry["type"] == "network" and entry.get("container"):
            return network_files(paths, _owner(paths, entry["container"]))
    return owner.directory


def apply(config: Config, spec: ContainerSpec, owners: Mapping[str, Owner]) -> None:
    """Put the namespaces into an OCI configuration, and what goes with them."""
    wanted = {kind: spec.attributes.get(kind) for kind in ("pid", "ipc", "uts", "cgroup")}
    wanted["network"] = spec.network_mode
    kept = []
    for entry in config["linux"]["namespaces"]:
        if entry["type"] in owners:
            kept.append({**entry, "container": owners[entry["type"]].id})
        elif wanted.get(entry["type"]) != "host":
            kept.append(entry)
    config["linux"]["namespaces"] = kept
    _share_memory(config, str(wanted["ipc"] or "private"))
    if spec.network_mode != "host" and "network" not in owners:
        # Docker's defaults for a network namespace of one's own.
        config["linux"]["sysctl"].setdefault("net.ipv4.ip_unprivileged_port_start", "0")
        config["linux"]["sysctl"].setdefault("net.ipv4.ping_group_range", "0 2147483647")


def _share_memory(config: Config, mode: str) -> None:
    """Say where /dev/shm comes from: the host, another container (which the start looks up), or nowhere."""
    config["composer"]["ipc"] = "shareable" if mode.startswith("container:") else mode
    if mode in ("private", "shareable"):
        return
    config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != "/dev/shm"]
    if mode == "host":
        mount = {"destination": "/dev/shm", "type": "bind", "source": "/dev/shm"}
        config["mounts"].append({**mount, "options": ["rbind", "rprivate"]})
