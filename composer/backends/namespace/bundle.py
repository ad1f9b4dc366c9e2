"""A container's directory: made whole under another name, then renamed, so that half of one is never seen.

Holds everything that the supervisor needs to start the container, without the image store, the compose file or
this package.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.backends.namespace import namespaces, state, translate
from composer.backends.namespace.joining import endpoint_record
from composer.backends.namespace.runtime import files
from composer.engine.backend import ContainerSpec, FileSpec, MountSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.backends.namespace.images import Image
    from composer.backends.namespace.networks import Networks
    from composer.backends.namespace.volumes import Volumes

# What the event journal says of a container beside its name and image; the whole list is in meta.json.
EVENT_LABELS = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.container-number",
)


def create(
    paths: state.Paths, spec: ContainerSpec, image: Image, networks: Networks, volumes: Volumes
) -> str:
    """Write a container's directory and return its id. Raises Conflict when the name is taken."""
    state.check_name(spec.name, "container")
    holder = state.name_holder(paths, spec.name)
    if holder is not None and os.path.isdir(paths.container(holder)):
        found = files.read_json(f"{paths.container(holder)}/meta.json") or {}
        if found.get("labels") == dict(spec.labels):
            return holder  # an earlier try made it: every step is safe to repeat
        _refuse_name(paths, spec.name, holder)
    id = os.urandom(32).hex()
    final = paths.container(id)
    state.make_directory(paths.containers())
    made: list[str] = []
    try:
        with state.making(final) as temporary:
            for name in ("rootfs", "upper", "work", "files"):
                os.mkdir(f"{temporary}/{name}", 0o700)
            for name in ("rootfs", "upper"):
                os.chmod(f"{temporary}/{name}", 0o755)  # whatever the user's umask
            entries = [*spec.mounts, *_mounts_from(paths, spec)]
            mounts, shown = _mounts(entries, spec, image, volumes, made)
            mounts += [_file_mount(entry, index, temporary, final) for index, entry in enumerate(spec.files)]
            mounts += [_programs(path, temporary, final) for path in image.programs]
            config = _config(paths, spec, image, id, mounts, networks)
            files.write_json(f"{temporary}/config.json", config)
            files.write_json(f"{temporary}/meta.json", _meta(spec, image, id, config, shown))
            files.write_json(f"{temporary}/state.json", {"status": "created"})
    except BaseException:
        for volume in made:
            volumes.remove(volume)
        raise
    holder = state.take_name(paths, spec.name, id)
    if holder is not None:
        remove(paths, id)
        _refuse_name(paths, spec.name, holder)
    return id


def _refuse_name(paths: state.Paths, name: str, holder: str) -> None:
    raise errors.Conflict(
        f"the name '{name}' is in use by container {holder[:12]}",
        hint="remove or rename that container, or use another container_name",
    )


def remove(paths: state.Paths, id: str) -> None:
    """Remove a container's directory and name. Repeating it, or finishing what a kill interrupted, is safe."""
    final = paths.container(id)
    meta = files.read_json(f"{final}/meta.json")
    if meta is not None:
        state.free_name(paths, meta["name"], id)
    state.put_away(final)


# ------------------------------------------------------------------ config.json and meta.json


def _config(
    paths: state.Paths,
    spec: ContainerSpec,
    image: Image,
    id: str,
    mounts: list[dict[str, Any]],
    networks: Networks,
) -> dict[str, Any]:
    hostname, directory, etc = id[:12], paths.container(id), paths.container(id)
    owners = namespaces.find_owners(paths, spec)
    if "host" in (spec.network_mode, spec.attributes.get("uts")):
        hostname = os.uname().nodename
    elif "network" in owners:
        hostname = owners["network"].config["hostname"]
        etc = namespaces.network_files(paths, owners["network"])
    mounts = [*mounts, *_etc_mounts(etc, {mount["destination"] for mount in mounts})]
    config = translate.oci_config(spec, image.config, hostname=hostname, mounts=mounts, owners=owners)
    own = config["composer"]
    own.update(
        id=id,
        project=spec.project,
        service=spec.service,
        name=spec.name,
        names=[spec.name, id[:12]],
        overlay={"lower": list(image.layers), "upper": f"{directory}/upper", "work": f"{directory}/work"},
        event={
            **{key: spec.labels[key] for key in EVENT_LABELS if key in spec.labels},
            "image": spec.image,
        },
    )
    own["network"].update(
        mode=spec.network_mode or "bridge",
        endpoints=[endpoint_record(endpoint, networks) for endpoint in spec.endpoints],
    )
    if spec.attributes.get("mac_address") and spec.endpoints:
        first = own["network"]["endpoints"][0]
        first["mac"] = first["mac"] or spec.attributes["mac_address"]
    own["network"]["takes_over"] = spec.takes_over
    if spec.network_mode not in (None, "none", "host", "bridge") and "network" not in owners:
        raise errors.Unsupported(
            "network_mode",
            f"cannot use network_mode '{spec.network_mode}' of service '{spec.service}' on the built-in runtime",
            hint="join the services through a network instead",
        )
    if spec.network_mode == "host" and own["network"]["ports"]:
        own["network"]["ports"] = []
    return config


def _meta(
    spec: ContainerSpec, image: Image, id: str, config: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "id": id,
        "name": spec.name,
        "project": spec.project,
        "labels": {**(image.config.get("Labels") or {}), **spec.labels},
        "image": spec.image,
        "image_id": image.id,
        "created_ns": time.time_ns(),
        "command": config["process"]["args"],
        "mounts": list(shown),
        "networks": [
            [endpoint["network"], endpoint["network_id"]]
            for endpoint in config["composer"]["network"]["endpoints"]
        ],
        "aliases": {endpoint.network: list(endpoint.aliases) for endpoint in spec.endpoints},
        "exposed": sorted(image.config.get("ExposedPorts") or ()),
        "health": bool(config["composer"]["health"]),
    }


# ------------------------------------------------------------------ mounts


def _mounts_from(paths: state.Paths, spec: ContainerSpec) -> list[MountSpec]:
    """Return the volumes and binds of other containers (``volumes_from``), without those that are replaced here."""
    taken = {entry.target.rstrip("/") for entry in spec.mounts}
    found: list[MountSpec] = []
    for text in spec.attributes.get("volumes_from") or ():
        name, _, access = str(text).partition(":")
        meta = files.read_json(f"{paths.container(state.find_container(paths, name))}/meta.json")
        for mount in (meta or {}).get("mounts", ()):
            if mount["type"] == "tmpfs" or mount["target"].rstrip("/") in taken:
                continue
            taken.add(mount["target"].rstrip("/"))
            source = mount["name"] if mount["type"] == "volume" else mount["source"]
            read_only = access == "ro" or (bool(mount.get("read_only")) and access != "rw")
            found.append(MountSpec(mount["type"], source, mount["target"], read_only))
    return found


def _mounts(
    entries: list[MountSpec], spec: ContainerSpec, image: Image, volumes: Volumes, made: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (OCI mounts, what `ps` and the planner are shown of them). New anonymous volumes go to ``made``."""
    covered = {entry.target.rstrip("/") for entry in entries}
    declared = image.config.get("Volumes") or ()
    entries = entries + [
        MountSpec("volume", None, target) for target in declared if target.rstrip("/") not in covered
    ]
    mounts: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for entry in entries:
        if entry.type == "tmpfs":
            mounts.append(_tmpfs(entry))
            shown.append({"type": "tmpfs", "target": entry.target})
        elif entry.type == "bind":
            mounts.append(_bind(entry, spec))
            shown.append(_shown(entry, source=entry.source or ""))
        elif entry.type == "volume":
            name = entry.source
            if name is None:
                name = volumes.create_anonymous({})
                made.append(name)
            mounts.append(_volume(entry, volumes.data(name)))
            shown.append(
                {**_shown(entry, source=volumes.data(name)), "name": name, "anonymous": entry.source is None}
            )
        else:
            raise errors.Unsupported(
                "volumes",
                f"cannot mount {entry.target} in service '{spec.service}': "
                f"the built-in runtime has no mounts of type '{entry.type}' yet",
            )
    return mounts, shown


def _shown(entry: MountSpec, *, source: str) -> dict[str, Any]:
    return {"type": entry.type, "target": entry.target, "source": source, "read_only": entry.read_only}


def _tmpfs(entry: MountSpec) -> dict[str, Any]:
    options = ["nosuid", "nodev", "noexec", *entry.options.get("options", ())]
    if entry.options.get("size"):
        options.append(f"size={entry.options['size']}")
    if entry.options.get("mode") is not None:
        options.append(f"mode={int(entry.options['mode']):o}")
    if entry.read_only:
        options.append("ro")
    return {"destination": entry.target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _bind(entry: MountSpec, spec: ContainerSpec) -> dict[str, Any]:
    source = str(entry.source)
    if not os.path.lexists(source):
        if not entry.options.get("create_host_path"):
            raise errors.NotFound(
                f"cannot mount {source} in service '{spec.service}': there is no such file or directory",
                hint="make it, or set bind.create_host_path",
            )
        os.makedirs(source, 0o755, exist_ok=True)
    options = ["rbind", entry.options.get("propagation") or "rprivate"]
    if entry.options.get("recursive") == "disabled":
        options[0] = "bind"
    if entry.read_only:
        options.append("ro")
    return {
        "destination": entry.target,
        "type": "bind",
        "source": os.path.realpath(source),
        "options": options,
    }


def _volume(entry: MountSpec, data: str) -> dict[str, Any]:
    options = ["rbind", "rprivate"]
    if not entry.options.get("nocopy"):
        options.append("copyup")
    if entry.read_only:
        options.append("ro")
    mount = {"destination": entry.target, "type": "bind", "source": data, "options": options}
    if entry.options.get("subpath"):
        # Looked up at each start: whoever else has the volume may change what is there (CVE-2017-1002101).
        mount["subpath"] = entry.options["subpath"]
    return mount


def _programs(path: str, directory: str, final: str) -> dict[str, Any]:
    """Show a directory of the host with a writable layer of the container's own over it."""
    name = path.strip("/")
    for kind in ("upper", "work"):
        os.makedirs(f"{directory}/programs/{name}/{kind}", 0o755)
    layer = f"{final}/programs/{name}"
    options = [f"lowerdir={path}", f"upperdir={layer}/upper", f"workdir={layer}/work"]
    return {"destination": path, "type": "overlay", "source": "overlay", "options": options}


def _file_mount(entry: FileSpec, index: int, directory: str, final: str) -> dict[str, Any]:
    """Bind a config or secret: the host's own file, or a copy of the content with the wanted owner and mode."""
    if entry.content is None:
        source = str(entry.source)
        if not os.path.exists(source):
            raise errors.NotFound(
                f"cannot find {source}, the file of {entry.kind} '{entry.name}'",
                hint="make the file, or correct its path",
            )
        return {
            "destination": entry.target,
            "type": "bind",
            "source": source,
            "options": ["rbind", "ro", "rprivate"],
        }
    name = f"files/{index}"
    files.write_bytes(f"{directory}/{name}", entry.content, mode=0o444 if entry.mode is None else entry.mode)
    if entry.uid or entry.gid:
        os.chown(f"{directory}/{name}", int(entry.uid or 0), int(entry.gid or 0))
    return {
        "destination": entry.target,
        "type": "bind",
        "source": f"{final}/{name}",
        "options": ["rbind", "ro", "rprivate"],
    }


def _etc_mounts(directory: str, taken: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{directory}/{name}",
            "options": ["rbind", "rprivate"],
        }
        for name in ("hosts", "hostname", "resolv.conf")
        if f"/etc/{name}" not in taken
    ]
