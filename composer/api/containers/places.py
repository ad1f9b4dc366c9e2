"""What a container is to have mounted, and which networks it joins, from Docker's words for both."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any

from composer import values
from composer.api.http.problems import Problem
from composer.engine.wanted import EndpointSpec, MountSpec
from composer.runtime.objects.networks import DEFAULT_NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.api.models import containers as models
    from composer.api.world import World

_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_OF_MACS = ("cached", "delegated", "consistent", "default")


# ------------------------------------------------------------------ mounts


def mounts_of(asked: models.Create) -> tuple[MountSpec, ...]:
    """Return the mounts of a container. Raises Problem."""
    host = asked.HostConfig
    found = [_bind(text) for text in host.Binds or ()]
    found += [_mount(mount) for mount in host.Mounts or ()]
    found += [
        MountSpec("tmpfs", None, target, options={"options": [word for word in options.split(",") if word]})
        for target, options in (host.Tmpfs or {}).items()
    ]
    targets: set[str] = set()
    for mount in found:
        problem = values.mount_problem(mount.target, mount.source if mount.type == "bind" else None)
        if problem:
            raise Problem(400, f"invalid mount config: cannot mount at {mount.target!r}: {problem}")
        target = posixpath.normpath(mount.target)
        if target in targets:
            raise Problem(400, f"Duplicate mount point: {target}")
        targets.add(target)
    anonymous = (target for target in asked.Volumes or () if posixpath.normpath(target) not in targets)
    for target in anonymous:
        problem = values.mount_problem(target)
        if problem:
            raise Problem(400, f"invalid volume specification: '{target}': {problem}")
        found.append(MountSpec("volume", None, target))
    return tuple(found)


def _bind(text: str) -> MountSpec:
    """Read ``SOURCE:TARGET[:OPTIONS]``; a source without a slash is a volume's name."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts[:2]):
        raise Problem(400, f"invalid volume specification: '{text}'")
    source, target = parts[0], parts[1]
    words = [word for word in (parts[2] if len(parts) == 3 else "").split(",") if word]
    options: dict[str, Any] = {}
    for word in words:
        if word in _PROPAGATIONS:
            options["propagation"] = word
        elif word in ("z", "Z"):
            options["selinux"] = word
        elif word == "nocopy":
            options["nocopy"] = True
        elif word not in ("ro", "rw", "readonly", *_OF_MACS):
            raise Problem(400, f"invalid mode: {parts[2]}")
    read_only = "ro" in words or "readonly" in words
    if source.startswith("/"):
        options.pop("nocopy", None)
        return MountSpec("bind", os.path.normpath(source), target, read_only, options)
    if not is_volume_name(source):
        raise Problem(
            400,
            f'"{source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path",
        )
    return MountSpec("volume", source, target, read_only, options)


def is_volume_name(text: str) -> bool:
    from composer.errors import BackendError
    from composer.runtime.objects import naming

    try:
        naming.check_name(text, "volume")
    except BackendError:
        return False
    return True


def _mount(mount: models.Mount) -> MountSpec:
    if not mount.Target:
        raise Problem(400, f'invalid mount config for type "{mount.Type}": field Target must not be empty')
    kinds = {"bind": _bind_mount, "volume": _volume_mount, "tmpfs": _tmpfs_mount, "image": _image_mount}
    if mount.Type not in kinds:
        raise Problem(400, f"mount type unknown: {mount.Type!r}")
    return kinds[mount.Type](mount)


def _bind_mount(mount: models.Mount) -> MountSpec:
    wanted = 'invalid mount config for type "bind"'
    if not mount.Source.startswith("/"):
        raise Problem(400, f"{wanted}: invalid mount path: '{mount.Source}' mount path must be absolute")
    asked = mount.BindOptions
    creates = asked is not None and asked.CreateMountpoint
    if not creates and not os.path.lexists(mount.Source):
        raise Problem(400, f"{wanted}: bind source path does not exist: {mount.Source}")
    options: dict[str, Any] = {"create_host_path": creates}
    if asked is not None:
        if asked.Propagation:
            if asked.Propagation not in _PROPAGATIONS:
                raise Problem(400, f"{wanted}: invalid propagation mode: {asked.Propagation}")
            options["propagation"] = asked.Propagation
        recursive = (
            "disabled"
            if asked.NonRecursive
            else "writable"
            if asked.ReadOnlyNonRecursive
            else "readonly"
            if asked.ReadOnlyForceRecursive
            else ""
        )
        if recursive:
            options["recursive"] = recursive
    return MountSpec("bind", os.path.normpath(mount.Source), mount.Target, mount.ReadOnly, options)


def _volume_mount(mount: models.Mount) -> MountSpec:
    asked = mount.VolumeOptions
    options: dict[str, Any] = {}
    if asked is not None:
        options = {
            **({"nocopy": True} if asked.NoCopy else {}),
            **({"subpath": asked.Subpath} if asked.Subpath else {}),
        }
    if mount.Source and not is_volume_name(mount.Source):
        raise Problem(400, f'"{mount.Source}" includes invalid characters for a local volume name')
    return MountSpec("volume", mount.Source or None, mount.Target, mount.ReadOnly, options)


def _tmpfs_mount(mount: models.Mount) -> MountSpec:
    if mount.Source:
        raise Problem(400, 'invalid mount config for type "tmpfs": field Source must not be specified')
    asked = mount.TmpfsOptions
    options: dict[str, Any] = {}
    if asked is not None:
        options = {
            **({"size": asked.SizeBytes} if asked.SizeBytes else {}),
            **({"mode": asked.Mode} if asked.Mode else {}),
            "options": ["=".join(words) for words in asked.Options or ()],
        }
    return MountSpec("tmpfs", None, mount.Target, mount.ReadOnly, options)


def _image_mount(mount: models.Mount) -> MountSpec:
    subpath = mount.ImageOptions.Subpath if mount.ImageOptions is not None else ""
    return MountSpec("image", mount.Source, mount.Target, True, {"subpath": subpath} if subpath else {})


# ------------------------------------------------------------------ networks


def networks_of(
    world: World, asked: models.Create, id_alias: str = ""
) -> tuple[str | None, tuple[EndpointSpec, ...]]:
    """Return the network mode (None where the endpoints say it) and the endpoints. Raises Problem."""
    host = asked.HostConfig
    mode = "none" if asked.NetworkDisabled else host.NetworkMode
    mode = DEFAULT_NETWORK if mode in ("", "default") else mode
    given = dict(asked.NetworkingConfig.EndpointsConfig or {})
    if mode in ("host", "none") or mode.startswith("container:"):
        _check_alone(mode, given, asked)
        return mode, ()
    named: dict[str, models.Endpoint | None] = {}
    for name, endpoint in given.items():
        name = DEFAULT_NETWORK if name == "default" else name
        if name == DEFAULT_NETWORK and world.core.networks.find(name) is None:
            named[name] = endpoint
        else:
            named[world.network(name)["name"]] = endpoint
    first = mode if mode == DEFAULT_NETWORK else world.network(mode)["name"]
    if first == DEFAULT_NETWORK and not host.Links and set(named) <= {first} and not _says(named.get(first)):
        return DEFAULT_NETWORK, ()
    links = tuple(host.Links or ())
    rest = sorted(name for name in named if name != first)
    return None, tuple(
        endpoint_of(name, named.get(name), links=links if name == first else ()) for name in (first, *rest)
    )


def _says(endpoint: models.Endpoint | None) -> bool:
    """Tell whether an endpoint asks for more than being there."""
    return endpoint is not None and bool(
        endpoint.MacAddress
        or endpoint.Links
        or endpoint.IPAMConfig
        or endpoint.GwPriority
        or endpoint.DriverOpts
    )


def _check_alone(mode: str, given: dict[str, Any], asked: models.Create) -> None:
    host = asked.HostConfig
    others = [name for name in given if name != mode]
    if others:
        raise Problem(400, f"conflicting options: cannot attach both {mode} network and other networks")
    if mode.startswith("container:") and (host.PortBindings or host.PublishAllPorts):
        raise Problem(400, "conflicting options: port publishing and the container type network mode")
    if mode.startswith("container:") and asked.Hostname:
        raise Problem(400, "conflicting options: hostname and the network mode")
    if mode == "host" and host.Links:
        raise Problem(400, "conflicting options: host type networking can't be used with links")
    if mode.startswith("container:") and host.Links:
        raise Problem(400, "conflicting options: container type network can't be used with links")
    if mode.startswith("container:") and (host.Dns or host.ExtraHosts):
        which = "dns" if host.Dns else "custom host-to-IP mapping"
        raise Problem(400, f"conflicting options: {which} and the network mode")


def endpoint_of(network: str, asked: models.Endpoint | None, *, links: tuple[str, ...] = ()) -> EndpointSpec:
    """Return an endpoint as the backend is asked for it."""
    if asked is None:
        return EndpointSpec(network, (), {"links": list(links)} if links else {})
    addresses = asked.IPAMConfig
    attributes: dict[str, Any] = dict(_endpoint_attributes(asked, links))
    if addresses is not None:
        attributes |= {
            "ipv4_address": addresses.IPv4Address,
            "ipv6_address": addresses.IPv6Address,
            "link_local_ips": addresses.LinkLocalIPs or [],
        }
    return EndpointSpec(network, tuple(dict.fromkeys(asked.Aliases or ())), attributes)


def _endpoint_attributes(asked: models.Endpoint, links: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    yield "links", [*links, *(asked.Links or ())]
    yield "mac_address", asked.MacAddress or None
    yield "driver_opts", asked.DriverOpts or {}
    yield "gw_priority", asked.GwPriority
