"""What the state directory keeps on the disk, and removing what no container uses."""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import Conflict
from composer.runtime.base import files, records, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from composer.runtime.base.record_types import Meta, NetworkRecord, VolumeRecord
    from composer.runtime.images import Image
    from composer.runtime.objects.networks import Networks
    from composer.runtime.objects.volumes import Volumes

    Wanted = Callable[[Mapping[str, str]], bool]

_MAX_DEPTH = 400  # one descriptor for each level; no tree that people make is as deep


def tree_size(path: str) -> int:
    """Return the bytes of all files below a directory, each once, nothing beyond a mount point included."""
    seen: set[int] = set()
    total = 0
    for found in _files(path):
        if found.st_ino not in seen:
            total += found.st_size if not stat.S_ISCHR(found.st_mode) else 0
            if found.st_nlink > 1:
                seen.add(found.st_ino)
    return total


def _files(path: str) -> Iterator[os.stat_result]:
    """Yield what is no directory below a path; by descriptor, for the tree may belong to a container that runs."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        top = os.open(path, flags & ~os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        yield os.stat(path)  # a volume that is one file of the host, bound
        return
    device, stack = os.fstat(top).st_dev, [(top, iter(os.listdir(top)))]
    try:
        while stack:
            directory, names = stack[-1]
            name = next(names, None)
            if name is None:
                os.close(stack.pop()[0])
                continue
            try:
                found = os.lstat(name, dir_fd=directory)
                if found.st_dev == device and not stat.S_ISDIR(found.st_mode):
                    yield found
                elif found.st_dev == device and len(stack) < _MAX_DEPTH:
                    fd = os.open(name, flags, dir_fd=directory)
                    stack.append((fd, iter(os.listdir(fd))))
            except (FileNotFoundError, NotADirectoryError):
                continue  # it went, or became another thing, while we were on our way
    finally:
        for fd, _ in stack:
            os.close(fd)


# ------------------------------------------------------------------ pruning


def unused_networks(networks: Networks, metas: Sequence[Meta], wanted: Wanted) -> Iterator[NetworkRecord]:
    used = {network_id for meta in metas for _, network_id in meta["networks"]}
    for record in list(networks.all()):
        if record["id"] not in used and wanted(record["labels"]):
            yield record


def unused_volumes(
    volumes: Volumes, metas: Sequence[Meta], wanted: Wanted, *, everything: bool
) -> Iterator[VolumeRecord]:
    """Yield the volumes that no container has: anonymous ones, or all."""
    used = {mount.get("name") for meta in metas for mount in meta["mounts"]}
    for record in list(volumes.all()):
        is_prunable = everything or records.ANONYMOUS in record["labels"]
        if record["name"] not in used and is_prunable and wanted(record["labels"]):
            yield record


def remove_volume(paths: state.Paths, volumes: Volumes, record: VolumeRecord) -> int | None:
    """Remove a volume and return its bytes; None when somebody has just begun to use it."""
    if "over" in record:
        size = tree_size(volumes.own_data(record))
    else:
        size = tree_size(f"{paths.volumes()}/{record['name']}/_data")
    try:
        volumes.remove(record["name"])
    except Conflict:
        return None
    return size


# ------------------------------------------------------------------ the disk


class ImageUse(NamedTuple):
    """An image on the disk. ``shared_bytes`` are of layers that other images have too."""

    id: str
    references: tuple[str, ...]
    created: str
    size_bytes: int
    shared_bytes: int
    containers: int


class ContainerUse(NamedTuple):
    """A container on the disk: ``size_bytes`` are of its own layer; ``volumes`` counts those that it mounts."""

    id: str
    size_bytes: int
    volumes: int


class VolumeUse(NamedTuple):
    name: str
    size_bytes: int
    links: int


class DiskUse(NamedTuple):
    """What the state directory keeps. ``layers_bytes`` counts each layer of the images once."""

    images: tuple[ImageUse, ...]
    containers: tuple[ContainerUse, ...]
    volumes: tuple[VolumeUse, ...]
    layers_bytes: int


def disk_use(paths: state.Paths, images: Sequence[Image], metas: Sequence[Meta], volumes: Volumes) -> DiskUse:
    layers = Counter(layer for image in images for layer in image.all_layers)
    sizes = {layer: _layer_size(layer) for layer in layers}
    users = Counter(meta["image_id"] for meta in metas)
    mounted = {
        meta["id"]: [mount["name"] for mount in meta["mounts"] if mount["type"] == "volume"] for meta in metas
    }
    links = Counter(name for names in mounted.values() for name in names)
    return DiskUse(
        tuple(
            ImageUse(
                image.id,
                image.references,
                image.created,
                image.size_bytes + image.others_bytes,
                sum(sizes[layer] for layer in image.all_layers if layers[layer] > 1),
                users[image.id],
            )
            for image in images
        ),
        tuple(ContainerUse(id, own_size(paths.container(id)), len(names)) for id, names in mounted.items()),
        tuple(
            VolumeUse(record["name"], tree_size(volumes.own_data(record)), links[record["name"]])
            for record in volumes.all()
        ),
        sum(sizes.values()),
    )


def _layer_size(directory: str) -> int:
    size = (files.read_json(f"{directory}.json") or {}).get("size_bytes")
    return size if isinstance(size, int) else 0


def own_size(bundle: str) -> int:
    """Return the bytes of a container's writable layers: its own, and those over the host's programs."""
    programs = (f"{bundle}/programs/{name}/upper" for name in state.list_directory(f"{bundle}/programs"))
    return sum(tree_size(path) for path in (f"{bundle}/upper", *programs))
