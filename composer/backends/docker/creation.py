"""The whole request that creates a container, a network or a volume; files that go in as an archive.

Mounts follow Docker Compose: what a bind string can say is one (such a mount creates a missing host path), the
rest is in the mount form. Networks: an engine of API 1.44 or newer takes all endpoints with the creation, an older
one only the first, and the others are connected before the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.backends.docker.translate import body_of
from composer.errors import BackendError, Unsupported
from composer.units import parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from composer.engine.wanted import (
        ContainerSpec,
        EndpointSpec,
        FileSpec,
        MountSpec,
        NetworkSpec,
        VolumeSpec,
    )

    Body = dict[str, Any]
    Api = tuple[int, int]

ALL_ENDPOINTS = (1, 44)
_PROJECT = "com.docker.compose.project"
NETWORK, VOLUME = "com.docker.compose.network", "com.docker.compose.volume"
_INTERFACE_OPTION = "com.docker.network.endpoint.ifname"


class Creation(NamedTuple):
    """``later``: endpoints to connect after the creation. ``archive``: files to copy in, or nothing."""

    body: Body
    platform: str | None
    later: tuple[EndpointSpec, ...]
    archive: bytes


def is_the_same(kind: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell whether a network or volume is the one that is wanted: by project and key (the label ``kind``).

    What belongs to no project has to have all labels that it would get.
    """
    if _PROJECT in wanted and kind in wanted:
        return all(found.get(key) == wanted[key] for key in (_PROJECT, kind))
    return dict(found) == dict(wanted)


def container(spec: ContainerSpec, api: Api) -> Creation:
    """Return what creates a container. Raises BackendError for a value that cannot be used."""
    body = body_of(spec.attributes, spec.service)
    body["Image"] = spec.image  # by name, as Docker Compose does: this is what ps shows
    body["Labels"] = dict(spec.labels)
    if spec.oneoff and body.get("OpenStdin"):
        body["StdinOnce"] = True  # of a run: its input ends with ours
    host = body["HostConfig"]
    if spec.auto_remove:
        host["AutoRemove"] = True
    for mount in spec.mounts:
        _add_mount(host, mount)
    for file in spec.files:
        if file.source is not None:
            host.setdefault("Mounts", []).append(
                {"Type": "bind", "Source": file.source, "Target": file.target, "ReadOnly": True}
            )
    first, later = _networks(body, spec, api)
    host["NetworkMode"] = first
    _check_paths(host)
    return Creation(body, spec.attributes.get("platform"), later, _archive(spec))


def _check_paths(host: Body) -> None:
    """Raise BackendError for a path that JSON cannot carry: the engine would take another one, in silence."""
    for text in (*host.get("Binds", ()), *(str(mount.get("Source", "")) for mount in host.get("Mounts", ()))):
        if any("\udc80" <= character <= "\udcff" for character in text):
            shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise BackendError(
                f"Docker Engine requires UTF-8, and '{shown}' is not UTF-8",
                hint="rename the file, or use the built-in runtime (--backend namespace)",
            )


# ------------------------------------------------------------------ mounts


def _add_mount(host: Body, mount: MountSpec) -> None:
    options = mount.options
    if mount.type == "tmpfs":
        host.setdefault("Tmpfs", {})[mount.target] = _tmpfs_options(mount)
    elif _fits_bind_string(mount):
        host.setdefault("Binds", []).append(_bind_string(mount))
    else:
        entry: Body = {"Type": mount.type, "Target": mount.target, "ReadOnly": mount.read_only}
        if mount.source:
            entry["Source"] = mount.source
        details = _MOUNT_OPTIONS.get(mount.type, lambda _: ("", {}))(options)
        if details[1]:
            entry[details[0]] = details[1]
        host.setdefault("Mounts", []).append(entry)


def _fits_bind_string(mount: MountSpec) -> bool:
    if not mount.source or ":" in mount.source or ":" in mount.target:
        return False
    if mount.type == "bind":
        return mount.options.get("create_host_path") is not False and not mount.options.get("recursive")
    return mount.type == "volume" and not (mount.options.get("subpath") or mount.options.get("labels"))


def _bind_string(mount: MountSpec) -> str:
    modes = ["ro" if mount.read_only else "rw"]
    if mount.type == "bind":
        modes += [str(mount.options[key]) for key in ("selinux", "propagation") if mount.options.get(key)]
    elif mount.options.get("nocopy"):
        modes.append("nocopy")
    return f"{mount.source}:{mount.target}:{','.join(modes)}"


def _tmpfs_options(mount: MountSpec) -> str:
    found = ["ro"] if mount.read_only else []
    if mount.options.get("size"):
        size = str(mount.options["size"])
        # the kernel reads digits with one letter, or a percentage, itself
        is_kernels = size.rstrip("kmgKMG%").isdigit()
        found.append(f"size={size if is_kernels else parse_size_bytes(size)}")
    if mount.options.get("mode") is not None:
        mode = mount.options["mode"]
        found.append(f"mode={mode if isinstance(mode, str) else format(mode, 'o')}")
    return ",".join([*found, *(mount.options.get("options") or ())])


def _bind_options(options: Mapping[str, Any]) -> tuple[str, Body]:
    found: Body = {}
    if options.get("propagation"):
        found["Propagation"] = options["propagation"]
    if options.get("create_host_path") is not False:
        found["CreateMountpoint"] = True
    recursive = options.get("recursive")
    if recursive == "disabled":
        found["NonRecursive"] = True
    elif recursive == "writable":
        found["ReadOnlyNonRecursive"] = True
    elif recursive == "readonly":
        found["ReadOnlyForceRecursive"] = True
    return "BindOptions", found


def _volume_options(options: Mapping[str, Any]) -> tuple[str, Body]:
    found: Body = {}
    if options.get("nocopy"):
        found["NoCopy"] = True
    if options.get("subpath"):
        found["Subpath"] = options["subpath"]
    if options.get("labels"):
        found["Labels"] = dict(options["labels"])
    return "VolumeOptions", found


def _image_options(options: Mapping[str, Any]) -> tuple[str, Body]:
    return "ImageOptions", {"Subpath": options["subpath"]} if options.get("subpath") else {}


_MOUNT_OPTIONS = {"bind": _bind_options, "volume": _volume_options, "image": _image_options}


# ------------------------------------------------------------------ networks


def _networks(body: Body, spec: ContainerSpec, api: Api) -> tuple[str, tuple[EndpointSpec, ...]]:
    """Fill in the endpoints; return the network mode and the endpoints that have to come later."""
    mac = spec.attributes.get("mac_address")
    if spec.network_mode or not spec.endpoints:
        if mac:
            body["MacAddress"] = mac
        return spec.network_mode or "none", ()
    now, later = (spec.endpoints, ()) if api >= ALL_ENDPOINTS else (spec.endpoints[:1], spec.endpoints[1:])
    settings = {endpoint.network: endpoint_settings(endpoint, api) for endpoint in now}
    first = settings[now[0].network]
    if mac and "MacAddress" not in first:
        first["MacAddress"] = mac
    if api < ALL_ENDPOINTS and first.get("MacAddress"):
        body["MacAddress"] = first.pop("MacAddress")
    body["NetworkingConfig"] = {"EndpointsConfig": settings}
    return now[0].network, later


def endpoint_settings(endpoint: EndpointSpec, api: Api) -> Body:
    """Return a container's place in a network in the engine's words."""
    wanted = endpoint.attributes
    found: Body = {"Aliases": list(endpoint.aliases)}
    addresses = {
        field: wanted[key]
        for key, field in (
            ("ipv4_address", "IPv4Address"),
            ("ipv6_address", "IPv6Address"),
            ("link_local_ips", "LinkLocalIPs"),
        )
        if wanted.get(key)
    }
    if addresses:
        found["IPAMConfig"] = addresses
    if wanted.get("links"):
        found["Links"] = list(wanted["links"])
    if wanted.get("mac_address"):
        found["MacAddress"] = wanted["mac_address"]
    options = {key: str(value) for key, value in (wanted.get("driver_opts") or {}).items()}
    if wanted.get("interface_name") and api >= (1, 49):
        options[_INTERFACE_OPTION] = wanted["interface_name"]
    if options:
        found["DriverOpts"] = options
    if wanted.get("gw_priority") and api >= (1, 48):
        found["GwPriority"] = int(wanted["gw_priority"])
    return found


def network(spec: NetworkSpec, api: Api) -> Body:
    """Return what creates a network."""
    wanted = spec.attributes
    body: Body = {
        "Name": spec.name,
        "Driver": wanted.get("driver") or "bridge",
        "Options": {key: str(value) for key, value in (wanted.get("driver_opts") or {}).items()},
        "Labels": dict(spec.labels),
        "Internal": bool(wanted.get("internal")),
        "Attachable": bool(wanted.get("attachable")),
        "CheckDuplicate": True,  # engines before 25 make two of one name without it
    }
    if wanted.get("enable_ipv6") is not None:
        body["EnableIPv6"] = bool(wanted["enable_ipv6"])
    if wanted.get("enable_ipv4") is not None and api >= (1, 47):
        body["EnableIPv4"] = bool(wanted["enable_ipv4"])
    ipam = wanted.get("ipam") or {}
    if ipam:
        body["IPAM"] = {
            "Driver": ipam.get("driver") or "default",
            "Config": [_pool(pool) for pool in ipam.get("config") or ()],
        }
        if ipam.get("options"):
            body["IPAM"]["Options"] = {key: str(value) for key, value in ipam["options"].items()}
    return body


def _pool(pool: Mapping[str, Any]) -> Body:
    names = {
        "subnet": "Subnet",
        "ip_range": "IPRange",
        "gateway": "Gateway",
        "aux_addresses": "AuxiliaryAddresses",
    }
    return {field: pool[key] for key, field in names.items() if pool.get(key)}


def volume(spec: VolumeSpec) -> Body:
    """Return what creates a volume."""
    options = spec.attributes.get("driver_opts") or {}
    return {
        "Name": spec.name,
        "Driver": spec.attributes.get("driver") or "local",
        "DriverOpts": {key: str(value) for key, value in options.items()},
        "Labels": dict(spec.labels),
    }


# ------------------------------------------------------------------ files


def _archive(spec: ContainerSpec) -> bytes:
    """Return a tar of the configs and secrets that are content and no file."""
    files = [file for file in spec.files if file.source is None]
    if not files:
        return b""
    if spec.attributes.get("read_only"):
        names = ", ".join(f"{file.kind} '{file.name}'" for file in files)
        raise Unsupported(
            f"services.{spec.service}.read_only",
            f"cannot copy {names} into service '{spec.service}': its root file system is read-only",
            hint="use file as the source, which is mounted instead",
        )
    return _tar(files)


def _tar(files: Iterable[FileSpec]) -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            content = file.content or b""
            entry = tarfile.TarInfo(file.target.lstrip("/"))
            entry.size = len(content)
            entry.mode = 0o444 if file.mode is None else file.mode
            entry.uid, entry.gid = int(file.uid or 0), int(file.gid or 0)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
