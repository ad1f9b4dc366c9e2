"""Removing what nothing reaches: from references and containers to images, from images to layers and blobs.

Runs under the exclusive lock, so whatever is half made has no maker any more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import references
from composer.runtime.base import files, records, trees
from composer.runtime.images import host, leases
from composer.runtime.images.content import Content, hex_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.images.content import Named


class Removed(NamedTuple):
    """What a removal took away: names, as people write them, and digests of images and layers."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    is_swept: bool = True
    """Whether the files are gone, too; else they go with the next `sweep`."""


def remove(
    content: Content, id: str, changes: Mapping[str, Named | None], *, keeps: bool, sweeps: bool = True
) -> Removed:
    """Take names away from an image, and remove it with the last of them unless the caller ``keeps`` it.

    ``changes`` are the names and what stays of each. With ``sweeps``, under the exclusive lock, its files go as well.
    """
    before = {name: entry for name, entry in content.names().items() if entry.id == id}
    content.change_names(changes)
    after = {name: entry for name, entry in content.names().items() if entry.id == id}
    untagged = [references.parse(name).familiar() for name in sorted(before) if name not in after]
    gone = sorted(_digests(before) - _digests(after) - set(untagged))
    lost = [] if keeps else [id]
    # what was kept for other platforms goes with the last name that keeps it
    lost += sorted({other for entry in before.values() for other in entry.others})
    lost = _without_users(content, lost, own=id)
    chains = [
        layer["chain_id"]
        for record in map(content.record, lost)
        for layer in reversed(record["layers"] if record else ())
    ]
    indexes = sorted({entry.index_digest for entry in before.values()} - _indexes(content) - {""})
    for one in lost:
        _remove_record(content, one)
    if sweeps:
        sweep(content)
        layers = [chain for chain in dict.fromkeys(chains) if not os.path.lexists(content.layer(chain))]
    else:
        kept = _reachable(content)[0].union(map(os.path.basename, _used_by_containers(content)[0]))
        layers = [chain for chain in dict.fromkeys(chains) if hex_of(chain) not in kept]
    return Removed((*untagged, *gone), (*indexes, *lost, *layers), is_swept=sweeps)


def _remove_record(content: Content, id: str) -> None:
    """Remove what makes an image one; put it back where somebody has named it in the same moment."""
    record = content.record(id)
    files.remove_file(content.image(id))
    if record is not None and any(id in entry.ids for entry in content.names().values()):
        content.write_record(id, record)


def _without_users(content: Content, ids: list[str], *, own: str) -> list[str]:
    """Return those of these images that no name keeps, nor a container; whoever asks knows the users of ``own``."""
    named = {id for entry in content.names().values() for id in entry.ids}
    used = _used_by_containers(content)[1] - {own}
    return [id for id in ids if id not in named | used and content.record(id) is not None]


def _indexes(content: Content) -> set[str]:
    return {entry.index_digest for entry in content.names().values()}


def _digests(names: Mapping[str, Named]) -> set[str]:
    """Return what registries call an image, by its names."""
    parsed = ((references.parse(name), entry.digest) for name, entry in names.items())
    return {name._replace(tag="", digest=digest).familiar() for name, digest in parsed if digest}


def prune(content: Content, *, unused: bool, wanted: Callable[[str], bool]) -> tuple[list[str], int]:
    """Remove wanted images that have no name (or that no container uses) and everything unreachable."""
    names = content.names().values()
    used_images = _used_by_containers(content)[1]
    kept = used_images.union(*(entry.others for entry in names if entry.id in used_images))
    if not unused:
        kept = kept.union(*(entry.ids for entry in names))
    gone = []
    for id, _ in list(content.records()):
        if id in kept or not wanted(id):
            continue
        files.remove_file(content.image(id))
        gone.append(id)
    dropped = {name: None for name, id in content.references().items() if id in gone}
    if dropped:
        content.change_names(dropped)
    return gone, sweep(content)


def sweep(content: Content) -> int:
    """Remove layers, blobs and leftovers that no image and no container needs; return their bytes on the disk."""
    layers, blobs, distributed = _reachable(content)
    used = _used_by_containers(content)[0]
    current = hex_of(host.digest())
    freed = 0
    for name in _names(f"{content.root}/layers"):
        path = f"{content.root}/layers/{name}"
        if name.endswith(".tmp") or (
            name.removesuffix(".json") not in layers and path.removesuffix(".json") not in used
        ):
            freed += _remove(path)
    for name in _names(f"{content.root}/host"):
        # That of today may be wanted in this moment; those of older package databases are not made any more.
        if name != current and not name.startswith(".") and f"{content.root}/host/{name}" not in used:
            freed += _remove(f"{content.root}/host/{name}")
    for name in _names(f"{content.root}/blobs"):
        if name.endswith(".tmp"):
            freed += _remove(f"{content.root}/blobs/{name}")
    for name in _names(f"{content.root}/blobs/sha256"):
        if name not in blobs:
            freed += _remove(f"{content.root}/blobs/sha256/{name}")
    for name in _names(f"{content.root}/distributed"):
        if name not in distributed:
            files.remove_file(f"{content.root}/distributed/{name}")
    for name in _names(content.root):
        if name.endswith(".tmp"):
            files.remove_file(f"{content.root}/{name}")
    for part in ("locks", "images"):
        for name in _names(f"{content.root}/{part}"):
            if part == "locks" or name.endswith(".tmp"):
                files.remove_file(f"{content.root}/{part}/{name}")
    return freed


def _reachable(content: Content) -> tuple[set[str], set[str], set[str]]:
    """Return the layers and blobs of all images, as hexadecimal digits, and the files of `distributed` on them."""
    layers: set[str] = set()
    distributed: set[str] = set()
    blobs = {hex_of(index) for index in _indexes(content)}
    for id, record in content.records():
        blobs.update((hex_of(id), hex_of(record["manifest"])))
        for layer in record["layers"]:
            layers.update(_names_of_layer(content.layer(layer["chain_id"])))
            blobs.add(hex_of(layer["blob"]))
            distributed.add(f"{hex_of(layer['diff_id'])}.json")
    for snapshot in _names(f"{os.path.dirname(content.root)}/build/snapshots"):
        layers.update(_names_of_layer(f"{os.path.dirname(content.root)}/build/snapshots/{snapshot}"))
    return layers, blobs, distributed


def _names_of_layer(path: str) -> set[str]:
    """Return a directory's name, and that of the layer with the same files that it is a link to, if it is one."""
    if os.path.islink(path):
        return {os.path.basename(path), os.path.basename(os.readlink(path))}
    return {os.path.basename(path)}


def _used_by_containers(content: Content) -> tuple[set[str], set[str]]:
    """Return the layer directories and the ids of images that containers have, half made ones included, and builds."""
    containers = f"{os.path.dirname(content.root)}/containers"
    layers = leases.layers(content.root)
    images: set[str] = set()
    for name in _names(containers):
        config = files.read_json(f"{containers}/{name}/config.json") or {}
        for path in _lower(config):
            layers.update((path, os.path.realpath(path)))
        meta = records.meta(f"{containers}/{name}")
        if meta is not None and meta["image_id"]:
            images.add(meta["image_id"])
    return layers, images


def _lower(config: Mapping[str, Any]) -> list[str]:
    """Return the layers that a configuration names, also where it is damaged: what it may use, is used."""
    own = config.get("composer")
    overlay = own.get("overlay") if isinstance(own, dict) else None
    mounts = config.get("mounts")
    lists = [overlay.get("lower")] if isinstance(overlay, dict) else []
    lists += (
        [one.get("layers") for one in mounts if isinstance(one, dict)] if isinstance(mounts, list) else []
    )
    return [path for paths in lists if isinstance(paths, list) for path in paths if isinstance(path, str)]


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _remove(path: str) -> int:
    """Remove a file or tree and return what it took on the disk."""
    size = _disk_bytes(path)
    trees.remove_tree(path)
    return size


def _disk_bytes(path: str) -> int:
    found = os.lstat(path)
    total = found.st_blocks * 512
    if os.path.isdir(path) and not os.path.islink(path):
        with os.scandir(path) as entries:
            total += sum(_disk_bytes(entry.path) for entry in entries)
    return total
