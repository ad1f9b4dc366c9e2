"""Data that is lost from sight: a volume would be made that starts empty, while what it is to hold is in another one.

A volume that was renamed, a key that was renamed, a project whose name changed in its directory. Nothing is removed,
and nobody sees that the database is not the one of yesterday; so a plan says it, and `up` asks.

`neighbours` reads what exists; `lost` is pure.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from composer.engine import labels
from composer.engine.resolving import resolve
from composer.schema.model import GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.engine.backend import Observer
    from composer.engine.observed import Observed, ObservedVolume
    from composer.schema.model import Project

_WITHOUT = "or start without the data with composer up --yes"


class Neighbour(NamedTuple):
    """A volume of another project of the same directory; ``in_use``: that project has containers."""

    volume: ObservedVolume
    in_use: bool


class Loss(NamedTuple):
    """A volume that starts empty, and where the data is. ``text`` completes "volume 'x' …"."""

    name: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"volume '{self.name}' {self.text}"


def neighbours(observer: Observer, project: Project) -> tuple[Neighbour, ...]:
    """Return the volumes of other projects that were made in this directory, by a name that nobody gave.

    Volumes of older versions and of other tools do not say where they were made: the containers of their project do.
    """
    if project.name_origin == GIVEN:
        return ()  # two names that were given in one directory are two stacks
    containers = observer.projects()
    here = {
        labels.project_of(c)
        for c in containers
        if is_same_directory(c.labels.get(labels.WORKING_DIR, ""), project.name_directory)
    }
    active = {labels.project_of(c) for c in containers}
    found = []
    for volume in observer.volumes():
        owner = volume.labels.get(labels.PROJECT)
        if not owner or owner == project.name or labels.VOLUME not in volume.labels:
            continue
        directory = volume.labels.get(labels.DIRECTORY)
        if owner in here if directory is None else is_same_directory(directory, project.name_directory):
            found.append(Neighbour(volume, owner in active))
    return tuple(found)


def is_same_directory(one: str, other: str) -> bool:
    """Tell whether two paths lead to one directory, by whatever links."""
    if one == other or not one:
        return bool(one)
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def lost(
    project: Project, observed: Observed, beside: Sequence[Neighbour], key: str, name: str
) -> Loss | None:
    """Return what is lost from sight when volume ``name`` is made for ``key``; None when nothing is.

    ``observed`` is what exists of the project, ``beside`` are its `neighbours`.
    """
    wanted = {resolve.real_name(project, "volumes", one) for one in project.whole.get("volumes") or ()}
    own = [
        volume
        for volume in (*_of_key(observed, key), *_mounted_instead(project, observed, name))
        if volume.name not in wanted
    ]
    if own:
        found = max(own, key=_age)
        text = f"will be created empty; the data is in volume '{found.name}', which is no longer used"
        return Loss(
            name, text, f"keep the data by setting 'name: {found.name}' for volume '{key}', {_WITHOUT}"
        )
    others = [one for one in beside if one.volume.labels[labels.VOLUME] == key]
    if not others:
        return None
    found, in_use = max(others, key=lambda one: _age(one.volume))
    owner = found.labels[labels.PROJECT]
    whose = f"project '{owner}' in this directory"
    use = f"which belongs to {whose}" if in_use else f"which is no longer used (created by {whose})"
    text = f"will be created empty; the data is in volume '{found.name}', {use}"
    return Loss(name, text, f"select that project (-p {owner}), {_WITHOUT}")


def _age(volume: ObservedVolume) -> tuple[int, str]:
    return volume.created_ns, volume.name


def _of_key(observed: Observed, key: str) -> Iterator[ObservedVolume]:
    """Yield the project's volumes that were made for this key, under whatever name."""
    return (volume for volume in observed.volumes if volume.labels.get(labels.VOLUME) == key)


def _mounted_instead(project: Project, observed: Observed, name: str) -> Iterator[ObservedVolume]:
    """Yield the project's volumes that are mounted now where ``name`` is to be."""
    volumes = {v.name: v for v in observed.volumes if labels.VOLUME in v.labels}
    for service, tree in (project.tree.get("services") or {}).items():
        targets = {
            mount["target"].rstrip("/") or "/"
            for mount in tree.get("volumes") or ()
            if mount["type"] == "volume"
            and mount.get("source")
            and resolve.real_name(project, "volumes", mount["source"]) == name
        }
        for container in observed.containers if targets else ():
            if labels.service_of(container) == service and not labels.is_oneoff(container):
                yield from (
                    volumes[m.name] for m in container.mounts if m.target in targets and m.name in volumes
                )
