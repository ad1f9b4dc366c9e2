"""A container's directory: made whole under another name, then renamed, so that half of one is never seen.

Holds everything that the supervisor needs to start the container, without the image store, the compose file or
this package.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.runtime.base import making, records, state
from composer.runtime.images import configuration
from composer.runtime.objects import log_options, mounting, namespaces, naming, specs
from composer.runtime.objects.networks import DEFAULT_NETWORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.runtime.base.record_types import EndpointRequest, Extras, Meta, MountRecord, PortRequest
    from composer.runtime.images import Image
    from composer.runtime.objects.mounting import Images
    from composer.runtime.objects.networks import Networks
    from composer.runtime.objects.volumes import Volumes

_DEFAULT_ENDPOINTS = (specs.Endpoint(DEFAULT_NETWORK),)


class Tree(NamedTuple):
    """Layers (directories, topmost first) to be seen at ``target``, or what is at ``source`` in them.

    What a container writes to one that is not ``read_only`` goes with the container.
    """

    layers: tuple[str, ...]
    target: str
    source: str = ""
    read_only: bool = True


def create(
    paths: state.Paths,
    spec: specs.Container,
    image: Image,
    networks: Networks,
    volumes: Volumes,
    images: Images,
    *,
    trees: Sequence[Tree] = (),
) -> str:
    """Write a container's directory and return its id. Raises Conflict when the name is taken."""
    naming.check_name(spec.name, "container")
    holder = naming.name_holder(paths, spec.name)
    if holder is not None and os.path.isdir(paths.container(holder)):
        found = records.meta(paths.container(holder))
        if spec.repeatable and found is not None and found["labels"] == dict(spec.labels):
            return holder  # an earlier try made it: every step is safe to repeat
        _refuse_name(paths, spec.name, holder)
    id = os.urandom(32).hex()
    final = paths.container(id)
    state.make_directory(paths.containers())
    made: list[str] = []
    try:
        with making.making(final) as temporary:
            for name in ("rootfs", "upper", "work", "files"):
                os.mkdir(f"{temporary}/{name}", 0o700)
            for name in ("rootfs", "upper"):
                os.chmod(f"{temporary}/{name}", 0o755)  # whatever the user's umask
            wanted = mounting.Wanted(spec, image, volumes, images, temporary, final, made)
            mounts, shown = wanted.mounts([*spec.mounts, *mounting.mounts_from(paths, spec)])
            mounts += [
                mounting.file_mount(entry, index, temporary, final) for index, entry in enumerate(spec.files)
            ]
            mounts += [mounting.programs(path, image.layers, temporary, final) for path in image.programs]
            mounts += [_tree_mount(tree, index, temporary, final) for index, tree in enumerate(trees)]
            config = _config(paths, spec, image, id, mounts, networks)
            meta = _meta(spec, image, id, config, shown)
            _refuse_null_bytes(spec.name, config, meta)
            records.write_config(temporary, config)
            records.write_meta(temporary, meta)
            records.write_state(temporary, {"status": "created"})
            if spec.request is not None:
                records.write_request(temporary, spec.request)
    except BaseException:
        for volume in made:
            volumes.remove(volume)
        raise
    holder = naming.take_name(paths, spec.name, id)
    if holder is not None:
        naming.remove_container(paths, id)
        _refuse_name(paths, spec.name, holder)
    return id


def _refuse_null_bytes(name: str, *parts: object) -> None:
    """Raise BackendError where a text has a null byte: it ends every text that the kernel is given."""
    for part in parts:
        # the text that is written tells it at once; a value may look like it, and then is looked at
        place = _null_byte(part) if "\\u0000" in json.dumps(part) else None
        if place is not None:
            raise errors.BackendError(
                f"cannot create container '{name}': {place} has a null byte",
                hint="remove the \\0 from its value",
            )


def _null_byte(value: object, place: str = "") -> str | None:
    """Return where in a document of JSON the first text with a null byte is: a variable's name, or a dotted path."""
    if isinstance(value, str) and "\0" in value:
        variable = value.partition("=")[0].replace("\0", "\\0")
        return f"environment variable '{variable}'" if place == "process.env" else f"'{place}'"
    if isinstance(value, list):
        return next((found for one in value if (found := _null_byte(one, place)) is not None), None)
    if isinstance(value, dict):
        for key, one in value.items():
            inner = f"{place}.{key}".strip(".").replace("\0", "\\0")
            found = f"'{inner}'" if "\0" in key else _null_byte(one, inner)
            if found is not None:
                return found
    return None


def _tree_mount(tree: Tree, index: int, directory: str, final: str) -> dict[str, Any]:
    place = f"trees/{index}"
    for name in ("place", "empty", *(() if tree.read_only else ("upper", "work"))):
        os.makedirs(f"{directory}/{place}/{name}", 0o755)
    mount: dict[str, Any] = {
        "destination": tree.target,
        "type": "bind",
        "source": f"{final}/{place}/place",
        "options": ["rbind", "rprivate", *(["ro"] if tree.read_only else [])],
        "layers": [*tree.layers, f"{final}/{place}/empty"],
    }
    if not tree.read_only:
        mount.update(upper=f"{final}/{place}/upper", work=f"{final}/{place}/work")
    if tree.source.strip("/"):
        mount["subpath"] = tree.source.strip("/")
    return mount


def event_of(spec: specs.Container, image: Image) -> dict[str, str]:
    """Return what each event of a container says of it: its labels, the image's among them, and its image."""
    return {**(image.config.get("Labels") or {}), **spec.event, "image": spec.image}


def _refuse_name(paths: state.Paths, name: str, holder: str) -> None:
    raise errors.Conflict(
        f'container name "{name}" is already in use by container {holder[:12]}',
        hint="remove or rename that container, or use another container_name",
    )


# ------------------------------------------------------------------ config.json and meta.json


def _config(
    paths: state.Paths,
    spec: specs.Container,
    image: Image,
    id: str,
    mounts: list[dict[str, Any]],
    networks: Networks,
) -> dict[str, Any]:
    hostname, directory, etc = id[:12], paths.container(id), paths.container(id)
    owners = namespaces.find_owners(paths, spec)
    mode = spec.namespaces.get("network", "")
    if "host" in (mode, spec.namespaces.get("uts")):
        hostname = os.uname().nodename
    elif "network" in owners:
        hostname = owners["network"].config["hostname"]
        etc = namespaces.network_files(paths, owners["network"])
    config = spec.configure(image.config)
    config["hostname"] = config.get("hostname") or hostname
    if spec.tells_hostname:
        _tell_hostname(config)
    namespaces.apply(config, spec, owners)
    taken = {mount["destination"] for mount in mounts}
    if not spec.tells_hostname:
        taken.add("/etc/hostname")
    etc_mounts = mounting.etc_mounts(etc, taken, read_only=config["root"]["readonly"])
    mounting.arrange(config, [*mounts, *etc_mounts])
    extras = records.extras(config)
    made: Extras = {
        "id": id,
        "project": spec.owner,
        "name": spec.name,
        "names": list(dict.fromkeys([spec.name, id[:12], *spec.names])),
        "auto_remove": spec.auto_remove,
        "overlay": {
            "lower": list(image.layers),
            "upper": f"{directory}/upper",
            "work": f"{directory}/work",
        },
        "event": event_of(spec, image),
    }
    extras.update(made)
    try:
        log_options.finish(extras, image=spec.image, image_id=image.id)
    except ValueError as error:
        raise errors.BackendError(f"cannot use logging of {spec.subject}: {error}") from error
    endpoints = spec.endpoints or (_DEFAULT_ENDPOINTS if mode == "bridge" else ())
    network = extras["network"]
    network["mode"] = mode or "bridge"
    network["endpoints"] = [networks.request(endpoint) for endpoint in endpoints]
    # Docker's default network has no names: look-ups go to the servers of the host.
    network["names"] = mode != "bridge"
    if spec.mac and endpoints:
        first = network["endpoints"][0]
        first["mac"] = first["mac"] or spec.mac
    network["takes_over"] = spec.takes_over
    network["replaces"] = spec.replaces
    network["ports"] = _bound(network["ports"], network["endpoints"], networks)
    if mode not in ("", "none", "host", "bridge") and "network" not in owners:
        raise errors.Unsupported(
            "network_mode",
            f"cannot use network_mode '{mode}' of {spec.subject} on the built-in runtime",
            hint="connect the services through a network instead",
        )
    if mode == "host":
        network["ports"] = []
    return config


def _bound(
    ports: list[PortRequest], endpoints: Sequence[EndpointRequest], networks: Networks
) -> list[PortRequest]:
    """Publish what names no address at those that the network says which is the way out (``host_binding_ipv4``)."""
    pairs = [(endpoint, networks.find(endpoint["network_id"])) for endpoint in endpoints]
    outward = [(e, record) for e, record in pairs if record is not None and not record["internal"]]
    if not outward:
        return ports
    record = min(outward, key=lambda pair: (-int(pair[0]["gw_priority"]), str(pair[0]["network"])))[1]
    bindings = record.get("host_bindings") or [""]
    return [
        {**port, "host_ip": port["host_ip"] or binding}
        for port in ports
        for binding in (bindings if not port["host_ip"] else bindings[:1])
    ]


def _tell_hostname(config: dict[str, Any]) -> None:
    environment = config["process"]["env"]
    if not any(entry.startswith("HOSTNAME=") for entry in environment):
        config["process"]["env"] = [*environment, f"HOSTNAME={config['hostname']}"]


def _meta(
    spec: specs.Container,
    image: Image,
    id: str,
    config: Mapping[str, Any],
    shown: Sequence[MountRecord],
) -> Meta:
    extras = records.extras(config)
    return {
        "id": id,
        "name": spec.name,
        "project": spec.owner,
        "event": event_of(spec, image),
        "labels": {**(image.config.get("Labels") or {}), **spec.labels},
        "image": spec.image,
        "image_id": image.id,
        "created_ns": time.time_ns(),
        "command": config["process"]["args"],
        "mounts": list(shown),
        "networks": [
            [endpoint["network"], endpoint["network_id"]] for endpoint in extras["network"]["endpoints"]
        ],
        "aliases": {endpoint.network: list(endpoint.aliases) for endpoint in spec.endpoints},
        "exposed": list(dict.fromkeys([*configuration.exposed(image.config), *spec.exposed])),
        "health": bool(extras["health"]),
        "auto_remove": spec.auto_remove,
    }
