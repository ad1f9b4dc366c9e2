"""Who keeps a backend's snapshots, and finding one by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from composer.engine.observed import Capability
from composer.errors import NotFound

if TYPE_CHECKING:
    from composer.engine.backend import Backend
    from composer.engine.backend.snapshots import Snapshots
    from composer.engine.observed import ObservedSnapshot


def keeper_of(backend: Backend) -> Snapshots:
    """Return what takes snapshots of a backend's data: the backend itself, or copies in volumes of it."""
    if Capability.SNAPSHOTS in backend.capabilities:
        return cast("Snapshots", backend)
    from composer.engine.snapshots.copies import Copies

    return Copies(backend)


def of_project(keeper: Snapshots, project: str) -> list[ObservedSnapshot]:
    """Return a project's snapshots, oldest first."""
    return [one for one in keeper.snapshots() if one.project == project]


def named(keeper: Snapshots, project: str, name: str) -> list[ObservedSnapshot]:
    """Return a project's snapshots of a name or an id, newest first.

    More than one has a name where a kill came after a new one was saved, and before the one that it replaces went.
    """
    return [one for one in reversed(of_project(keeper, project)) if name in (one.name, one.id)]


def find(keeper: Snapshots, project: str, name: str) -> ObservedSnapshot | None:
    """Return the newest that has a name."""
    return next(iter(named(keeper, project, name)), None)


def remove(keeper: Snapshots, project: str, name: str) -> list[str]:
    """Remove all that have a name, oldest first; return the volumes that still lie over their files.

    Else one that was to be replaced would be found by the name next. Raises NotFound.
    """
    get(keeper, project, name)
    users = [keeper.remove_snapshot(one.id) for one in reversed(named(keeper, project, name))]
    return sorted({volume for some in users for volume in some})


def remove_all(backend: Backend, project: str) -> None:
    """Remove every snapshot of a project."""
    keeper = keeper_of(backend)
    for one in of_project(keeper, project):
        keeper.remove_snapshot(one.id)


def get(keeper: Snapshots, project: str, name: str) -> ObservedSnapshot:
    """Return a project's snapshot by its name. Raises NotFound."""
    found = find(keeper, project, name)
    if found is None:
        raise NotFound(
            f"no snapshot '{name}' of project '{project}'", hint="list them with composer snapshot ls"
        )
    return found
