"""What an engine keeps on the disk, and removing what nothing uses (Engine API: data usage, "Delete unused …")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from composer.backends.docker import reading
from composer.engine.inspected import CacheUse, ContainerUse, DiskUse, ImageUse, VolumeUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.backends.docker.client import Client
    from composer.backends.docker.sdk import Sdk
    from composer.engine.wanted import LabelFilter

_ALL_VOLUMES = (1, 42)
"""From this API on the engine prunes anonymous volumes only, unless it is told otherwise."""


def filters_of(labels: Sequence[LabelFilter]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label in labels:
        text = label.key if label.value is None else f"{label.key}={label.value}"
        found.setdefault("label!" if label.excludes else "label", []).append(text)
    return found


def prune_networks(sdk: Sdk, labels: Sequence[LabelFilter]) -> list[str]:
    with sdk.call(patient=True) as api:
        found = api.prune_networks(filters_of(labels))  # type: ignore[no-untyped-call]
    return list(found.get("NetworksDeleted") or ())


def prune_volumes(
    sdk: Sdk, api: tuple[int, int], labels: Sequence[LabelFilter], *, everything: bool
) -> tuple[list[str], int]:
    filters = filters_of(labels)
    if api >= _ALL_VOLUMES and everything:
        filters["all"] = ["true"]
    elif api < _ALL_VOLUMES and not everything:
        filters.setdefault("label", []).append("com.docker.volume.anonymous")
    with sdk.call(patient=True) as client:
        found = client.prune_volumes(filters)
    return list(found.get("VolumesDeleted") or ()), int(found.get("SpaceReclaimed") or 0)


def prune_images(sdk: Sdk, *, unused: bool) -> tuple[list[str], int]:
    filters = {"dangling": ["false" if unused else "true"]}
    with sdk.call(patient=True) as api:
        found = api.prune_images(filters)  # type: ignore[no-untyped-call]
    deleted = [entry["Deleted"] for entry in found.get("ImagesDeleted") or () if entry.get("Deleted")]
    return deleted, int(found.get("SpaceReclaimed") or 0)


def prune_builds(
    sdk: Sdk, *, everything: bool, most_bytes: int | None, unused_for_s: float
) -> tuple[list[str], int]:
    filters = {"until": [f"{int(unused_for_s)}s"]} if unused_for_s else None
    with sdk.call(patient=True) as api:
        found = api.prune_builds(  # the SDK has a type for each filter
            filters=cast("Any", filters), keep_storage=most_bytes, all=everything or None
        )
    return list(found.get("CachesDeleted") or ()), int(found.get("SpaceReclaimed") or 0)


def disk_use(client: Client) -> DiskUse:
    found = client.get("/system/df", timeout_s=None)
    return DiskUse(
        tuple(_image(entry) for entry in found.get("Images") or ()),
        tuple(_container(entry) for entry in found.get("Containers") or ()),
        tuple(_volume(entry) for entry in found.get("Volumes") or ()),
        tuple(_cache(entry) for entry in found.get("BuildCache") or ()),
        int(found.get("LayersSize") or 0),
    )


def _image(entry: dict[str, Any]) -> ImageUse:
    image = reading.image(entry)
    return ImageUse(
        image.id,
        image.references,
        image.created,
        image.size_bytes,
        max(0, int(entry.get("SharedSize") or 0)),
        max(0, int(entry.get("Containers") or 0)),
    )


def _container(entry: dict[str, Any]) -> ContainerUse:
    container = reading.from_list(entry)
    volumes = sum(mount.type == "volume" for mount in container.mounts)
    return ContainerUse(container, int(entry.get("SizeRw") or 0), volumes)


def _volume(entry: dict[str, Any]) -> VolumeUse:
    usage = entry.get("UsageData") or {}
    size = int(usage.get("Size", -1))
    return VolumeUse(str(entry["Name"]), None if size < 0 else size, max(0, int(usage.get("RefCount") or 0)))


def _cache(entry: dict[str, Any]) -> CacheUse:
    return CacheUse(
        str(entry.get("ID") or ""),
        str(entry.get("Type") or ""),
        int(entry.get("Size") or 0),
        reading.time_ns(entry.get("CreatedAt")),
        reading.time_ns(entry.get("LastUsedAt")),
        int(entry.get("UsageCount") or 0),
        bool(entry.get("InUse")),
        bool(entry.get("Shared")),
    )
