"""Putting a snapshot back, or into another project that has the same services: where each part of it goes.

A part knows which services mounted it, and where. So it finds its volume in any project made of the same file, also
one without a name of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine import actions, labels
from composer.engine.observed import ACTIVE
from composer.engine.snapshots import keeping
from composer.engine.snapshots.saving import LAYER
from composer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.engine.engine import Engine
    from composer.engine.observed import ObservedContainer, ObservedSnapshot, SnapshotPart

_NOW = "SIGKILL"


class Restored(NamedTuple):
    """``way`` is how the data came back; ``services`` were stopped for it and run again."""

    way: str
    services: tuple[str, ...]


def restore(
    engine: Engine,
    project: str,
    snapshot: ObservedSnapshot,
    services: Sequence[str] = (),
    *,
    wait: bool = True,
    timeout_s: float | None = None,
) -> Restored:
    """Replace the data of services (none: all that the snapshot has) and start again what ran.

    With ``wait`` it returns when they are healthy. Raises Conflict, NotFound.
    """
    backend, keeper = engine.backend, keeping.keeper_of(engine.backend)
    keeper.finish_snapshots()
    targets = targets_of(engine, project, snapshot, services)
    names = {target for _, target in targets}
    users = [
        one for one in backend.containers() if one.id in names or any(m.name in names for m in one.mounts)
    ]
    running = [one for one in users if one.state in ACTIVE]
    others = sorted(one.name for one in running if labels.project_of(one) != project)
    if others:
        raise Conflict(
            f"volumes are used by containers of other projects: {', '.join(others)}", hint="stop them first"
        )
    started = sorted({labels.service_of(one) for one in running})
    try:
        for container in running:
            # what it would still write goes with the data; other data of its is left in order
            signal = _NOW if _is_all_replaced(container, names) else ""
            backend.stop_container(container.id, signal=signal)
        way = keeper.place_snapshot(snapshot.id, project, targets)
    finally:
        if started:
            actions.start(engine, project, started, wait=wait, wait_timeout_s=timeout_s)
    return Restored(way, tuple(started))


def _is_all_replaced(container: ObservedContainer, names: set[str]) -> bool:
    return all(mount.read_only or mount.type == "tmpfs" or mount.name in names for mount in container.mounts)


def targets_of(
    engine: Engine, project: str, snapshot: ObservedSnapshot, services: Sequence[str] = ()
) -> list[tuple[int, str]]:
    """Return where the parts of a snapshot go, as pairs of a part's index and a volume or container.

    Raises NotFound for a part that nothing in the project stands for.
    """
    places = list(_places(engine.backend.observe(project).containers))
    found: list[tuple[int, str]] = []
    missing = []
    for index, part in enumerate(snapshot.parts):
        if services and not set(_services_of(part)) & set(services):
            continue
        target = _target(part, places)
        if target is None:
            missing.append(part.source if part.kind != LAYER else str(part.about.get("service")))
        else:
            found.append((index, target))
    if missing or not found:
        which = ", ".join(missing) or ", ".join(services)
        raise NotFound(
            f"snapshot '{snapshot.name}': project '{project}' has no container for the data of {which}",
            hint="create the containers with composer create",
        )
    return found


def _places(containers: Sequence[ObservedContainer]) -> Iterator[tuple[tuple[object, ...], str]]:
    """Yield what a part may be found by, and the volume or container that is there."""
    for container in containers:
        if labels.is_oneoff(container):
            continue
        key = (labels.service_of(container), labels.number_of(container))
        yield key, container.id
        for mount in container.mounts:
            if mount.name:
                yield (*key, mount.target), mount.name


def _services_of(part: SnapshotPart) -> list[str]:
    if part.kind == LAYER:
        return [str(part.about.get("service"))]
    return [str(use[0]) for use in part.about.get("uses", ())]


def _target(part: SnapshotPart, places: Sequence[tuple[tuple[object, ...], str]]) -> str | None:
    known = dict(places)
    if part.kind == LAYER:
        return known.get((part.about.get("service"), part.about.get("number")))
    found = (known.get(tuple(use)) for use in part.about.get("uses", ()))
    return next((one for one in found if one is not None), None)
