"""How far a container is isolated: its namespaces, its capabilities, and what ``privileged`` opens.

A namespace is its own, the host's, or that of another container. What cannot be is said here.
Docker's rules: a container in another's network has that one's ports, names, addresses and files of /etc, and can
be asked for none of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.engine.wanted import Limitation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.wanted import ContainerSpec

    Config = dict[str, Any]
    Probe = Callable[[Any], list[Limitation]]

_OF_THE_OWNER = ("ports", "dns", "dns_opt", "dns_search", "extra_hosts", "mac_address")
"""What a service cannot have when its network is another's."""

_JOINING = ("container:", "service:")


def wanted(spec: ContainerSpec) -> dict[str, str]:
    """Return, by kind, what a container does not have of its own."""
    modes = {kind: str(spec.attributes.get(kind) or "") for kind in ("pid", "ipc", "uts", "cgroup")}
    modes["network"] = spec.network_mode or ""
    return {kind: mode for kind, mode in modes.items() if mode}


def probe(name: str, *values: str, joins: bool = False) -> Probe:
    """Return the check of an attribute that may have these values or, with ``joins``, name a container."""

    def check(value: Any) -> list[Limitation]:
        text = str(value or "")
        if text in ("", *values) or (joins and text.startswith(_JOINING)):
            return []
        known = [*values, *(["service:NAME", "container:NAME"] if joins else [])]
        return [
            Limitation(
                (name,), f"'{text}' is not supported by the built-in runtime", hint=f"use {', '.join(known)}"
            )
        ]

    return check


def limitations(attributes: Mapping[str, Any]) -> list[Limitation]:
    """Return what contradicts itself in how a service shares namespaces."""
    found = []
    mode = str(attributes.get("network_mode") or "")
    if mode not in ("", "none", "host", "bridge") and not mode.startswith(_JOINING):
        reason = f"unsupported network_mode '{mode}'"
        found.append(Limitation(("network_mode",), reason, hint="remove it, or list the network in networks"))
    if mode.startswith(_JOINING):
        owner = mode.partition(":")[2]
        found += [
            Limitation(
                (name,),
                f"conflicts with network_mode: the network belongs to '{owner}'",
                hint=f"move {name} to '{owner}'",
            )
            for name in _OF_THE_OWNER
            if attributes.get(name)
        ]
    if attributes.get("uts") == "host":
        found += [
            Limitation((name,), "conflicts with uts: host", hint="remove one of them")
            for name in ("hostname", "domainname")
            if attributes.get(name)
        ]
    return found


def grant(config: Config, spec: ContainerSpec) -> None:
    """Put capabilities, and what ``privileged`` opens, into a configuration that has everything else.

    Raises BackendError for a capability that the kernel does not have.
    """
    from composer.runtime.base import capabilities, records

    extras, linux = records.extras(config), config["linux"]
    attributes = spec.attributes
    privileged = bool(attributes.get("privileged"))
    try:
        granted = capabilities.resolve(
            attributes.get("cap_add") or (), attributes.get("cap_drop") or (), privileged=privileged
        )
    except ValueError as error:
        raise errors.BackendError(
            f"cannot use the capabilities of service '{spec.service}': {error}"
        ) from error
    names = sorted(granted)
    config["process"]["capabilities"] = {"bounding": names, "permitted": names, "effective": names}
    if privileged:
        from composer.runtime.host import devices

        linux["maskedPaths"], linux["readonlyPaths"], linux["seccomp"] = [], [], None
        linux["resources"]["devices"] = [{"allow": True, "type": "a", "access": "rwm"}]
        named = {device["path"] for device in linux["devices"]}
        linux["devices"] += [device for device in devices.host_nodes() if device["path"] not in named]
        for mount in config["mounts"]:
            if mount["destination"] in ("/sys", "/sys/fs/cgroup"):
                mount["options"] = [option for option in mount["options"] if option != "ro"]
        extras["privileged"] = True
