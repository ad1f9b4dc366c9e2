"""What images, containers, volumes and the build cache take on the disk."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from composer.api import times
from composer.api.containers import listing as containers
from composer.api.http.problems import Problem
from composer.api.images import listing, shapes
from composer.api.others import volumes

if TYPE_CHECKING:
    from composer.api.world import World
    from composer.runtime.build.cache.pruning import Entry

    Version = tuple[int, int]

_PARTS = ("image", "container", "volume", "build-cache")


def disk_use(world: World, types: list[str], version: Version) -> dict[str, Any]:
    """Return the document of ``GET /system/df``: of the types that are asked for, or of all."""
    unknown = next((one for one in types if one not in _PARTS), None)
    if unknown is not None:
        raise Problem(400, f"unknown object type: {unknown}")
    wanted = set(types) if types and version >= (1, 42) else set(_PARTS)
    made: dict[str, Any] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None}
    if "image" in wanted:
        made["LayersSize"], made["Images"] = _images(world, version)
    if "container" in wanted:
        made["Containers"] = containers.every_line(world)
    if "volume" in wanted:
        made["Volumes"] = _volumes(world)
    made["BuildCache"] = _builds(world, version) if "build-cache" in wanted else None
    if version < (1, 42) and made["BuildCache"]:
        made["BuilderSize"] = sum(one["Size"] for one in made["BuildCache"] if not one["Shared"])
    elif version < (1, 42):
        made["BuilderSize"] = 0
    return made


def _images(world: World, version: Version) -> tuple[int, list[dict[str, Any]]]:
    from composer.runtime.base import files

    stored = world.core.store.images()
    users, shared = listing.users_of(world), listing.shared_bytes(stored)
    layers = {layer for image in stored for layer in image.all_layers}
    total = sum(int((files.read_json(f"{layer}.json") or {}).get("size_bytes") or 0) for layer in layers)
    return total, [
        shapes.use(
            image, version, containers=len(users.get(image.id, ())), shared_bytes=shared.get(image.id, 0)
        )
        for image in sorted(stored, key=lambda image: shapes.seconds_of(image.created), reverse=True)
    ]


def _volumes(world: World) -> list[dict[str, Any]]:
    from composer.runtime.objects import housekeeping

    links = Counter(
        mount.get("name")
        for meta in world.core.metas()
        for mount in meta["mounts"]
        if mount["type"] == "volume"
    )
    return [
        {
            **volumes.picture(world, record),
            "UsageData": {
                "RefCount": links[record["name"]],
                "Size": housekeeping.tree_size(world.core.volumes.data(record["name"])),
            },
        }
        for record in world.core.volumes.all()
    ]


def _builds(world: World, version: Version) -> list[dict[str, Any]]:
    from composer.runtime.build.cache import pruning

    return [build_record(entry, version) for entry in pruning.entries_of(world.paths.root)]


def build_record(entry: Entry, version: Version) -> dict[str, Any]:
    """Return a record of the build cache."""
    made: dict[str, Any] = {
        "ID": entry.id,
        "Type": entry.kind,
        "Description": entry.what,
        "InUse": entry.in_use,
        "Shared": entry.shared,
        "Size": entry.size_bytes,
        "CreatedAt": times.written(entry.created_ns),
        "LastUsedAt": times.written(entry.used_ns),
        "UsageCount": 1,
    }
    if version < (1, 42):
        made["Parent"] = ""
    return made
