"""Volumes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api import filters as filtering
from composer.api import times
from composer.api.containers.places import is_volume_name
from composer.api.http.problems import Problem
from composer.api.models.base import body_of
from composer.api.models.volumes import Create
from composer.api.world import owner_of
from composer.runtime.base import records
from composer.runtime.objects import specs

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.base.record_types import VolumeRecord

Answer = tuple[int, Any]


def picture(world: World, record: VolumeRecord) -> dict[str, Any]:
    """Return a volume as Docker shows it."""
    seconds = int(record.get("created_ns") or 0) // 1_000_000_000
    return {
        "CreatedAt": times.written(seconds * 1_000_000_000),
        "Driver": "local",
        "Labels": dict(record["labels"]) or None,
        "Mountpoint": f"{world.paths.volumes()}/{record['name']}/_data",
        "Name": record["name"],
        "Options": dict(record["options"]) or None,
        "Scope": "local",
    }


def list_volumes(call: Call) -> Answer:
    world = call.world
    filters = filtering.read(call, ("dangling", "driver", "label", "label!", "name"))
    dangling = filters.flag("dangling")
    used = _used(world) if dangling is not None else set()
    found = [
        picture(world, record)
        for record in world.core.volumes.all()
        if filters.fits_labels(record["labels"])
        and filters.fits_exactly("driver", "local")
        and filters.fits_name("name", [record["name"]])
        and (dangling is None or dangling is (record["name"] not in used))
    ]
    return 200, {"Volumes": sorted(found, key=lambda volume: str(volume["Name"])), "Warnings": None}


def _used(world: World) -> set[str]:
    return {mount.get("name", "") for meta in world.core.metas() for mount in meta["mounts"]}


def create(call: Call) -> Answer:
    world, asked = call.world, body_of(call, Create)
    name = asked.Name or os.urandom(32).hex()
    driver = asked.Driver or "local"
    if driver != "local":
        raise Problem(
            404, f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found'
        )
    if asked.ClusterVolumeSpec is not None:
        raise Problem(503, "cluster volumes need Swarm, which is not supported")
    if not is_volume_name(name):
        raise Problem(
            400,
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
        )
    labels, options = asked.Labels or {}, asked.DriverOpts or {}
    if asked.Name and not labels.get(records.ANONYMOUS):
        spec = specs.Volume(name, labels, owner=owner_of(labels), options=options)
    else:
        spec = specs.Volume(name, {**labels, records.ANONYMOUS: ""}, owner=owner_of(labels), options=options)
    if world.core.volumes.find(name) is None:
        try:
            world.engine.volumes.create(spec)
        except errors.Unsupported as error:
            raise Problem(400, f"create {name}: {error}") from None
        except errors.BackendError as error:
            raise Problem(400, f"create {name}: {error}") from None
    return 201, picture(world, world.volume(name))


def inspect(call: Call) -> Answer:
    return 200, picture(call.world, call.world.volume(call.parameters["name"]))


def remove(call: Call) -> Answer:
    world, name = call.world, call.parameters["name"]
    if world.volume_if_any(name) is None and call.query.flag("force"):
        return 204, None
    world.volume(name)
    try:
        world.engine.volumes.remove(name)
    except errors.Conflict:
        users = sorted(
            meta["id"]
            for meta in world.core.metas()
            if any(mount.get("name") == name for mount in meta["mounts"])
        )
        raise Problem(409, f"remove {name}: volume is in use - [{', '.join(users)}]") from None
    return 204, None


def prune(call: Call) -> Answer:
    filters = filtering.read(call, ("all", "label", "label!"))
    # since 1.42 only anonymous volumes, unless all are asked for
    everything = bool(filters.flag("all")) or call.version < (1, 42)
    gone, freed = call.world.engine.volumes.prune(filters.fits_labels, everything=everything)
    call.world.core.emit_of(records.NOBODY, {"reclaimed": str(freed)}, "volume", "prune", "", "")
    return 200, {"VolumesDeleted": list(gone), "SpaceReclaimed": freed}
