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


def find(keeper: Snapshots, project: str, name: str) -> ObservedSnapshot | None:
    return next((one for one in of_project(keeper, project) if name in (one.name, one.id)), None)


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
