"""What a container may do: its capabilities, and what ``privileged`` opens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import records
from composer.runtime.container import capabilities

if TYPE_CHECKING:
    from composer.engine.wanted import ContainerSpec

    Config = dict[str, Any]


def finish(config: Config, spec: ContainerSpec) -> None:
    """Put capabilities, and what ``privileged`` opens, into a configuration that has everything else.

    Raises BackendError for a capability that the kernel does not have.
    """
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
