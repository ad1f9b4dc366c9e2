"""Taking a snapshot: which volumes and layers are in it, and who is kept still meanwhile.

Whoever runs and has one of these volumes is frozen, all at the same moment, or stopped: a database that recovers from
a crash finds in its files what a power cut would have left, and after a stop what an orderly end did.

Where data comes back by an overlay the default is a stop: PostgreSQL's recovery opens each of its files for writing,
and the overlay then copies each as a whole, which takes a hundred times as long as the start after an orderly end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine import actions, labels
from composer.engine.observed import ACTIVE, ContainerState, SnapshotPart
from composer.engine.planning.lifecycle import selected
from composer.engine.snapshots import keeping
from composer.engine.wanted import SnapshotSpec
from composer.errors import Conflict, NotFound
from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from composer.engine.backend import Backend
    from composer.engine.backend.snapshots import Snapshots
    from composer.engine.engine import Engine
    from composer.engine.observed import ObservedContainer, ObservedSnapshot

FROZEN, STOPPED, IDLE = "frozen", "stopped", "idle"
VOLUME, LAYER = "volume", "layer"
_NAME = pattern(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")


class Saved(NamedTuple):
    """A snapshot that was taken; ``left_out`` says which data is not in it, and why."""

    snapshot: ObservedSnapshot
    left_out: tuple[str, ...]


class _Contents(NamedTuple):
    parts: tuple[SnapshotPart, ...]
    left_out: tuple[str, ...]
    users: tuple[ObservedContainer, ...]

    @property
    def running(self) -> list[ObservedContainer]:
        return [one for one in self.users if one.state in ACTIVE]


def save(
    engine: Engine,
    project: str,
    name: str,
    services: Sequence[str] = (),
    *,
    stop: bool | None = None,
    layers: bool = False,
    replace: bool = False,
) -> Saved:
    """Take a snapshot of the data of services (none: all).

    Running containers are frozen for as long as the copy takes, or with ``stop`` stopped and started again; None is
    the better of both here: a stop where data will come back by an overlay, else freezing.
    ``layers``: with the files that the containers have written outside volumes. ``replace``: in the place of one that
    has this name. Raises Conflict, NotFound.
    """
    check_name(name)
    backend, keeper = engine.backend, keeping.keeper_of(engine.backend)
    keeper.finish_snapshots()
    if not replace and keeping.find(keeper, project, name) is not None:
        raise Conflict(
            f"project '{project}' has a snapshot '{name}' already",
            hint="choose another name, or replace it with --replace",
        )
    contents = _contents(backend, project, services, layers=layers)
    if stop is None:
        stop = bool(contents.running) and keeper.restores_by() == "overlay"
    if stop and contents.running:
        snapshot = _while_stopped(engine, project, name, contents)
    else:
        freeze = [one.id for one in contents.running if one.state is not ContainerState.PAUSED]
        _refuse_restarting(contents.running)
        quiet = FROZEN if contents.running else IDLE
        snapshot = _kept(keeper, SnapshotSpec(name, project, quiet, contents.parts, freeze))
    return Saved(snapshot, contents.left_out)


def check_name(name: str) -> None:
    """Raise Conflict for a name that no snapshot can have."""
    if not _NAME.fullmatch(name):
        raise Conflict(
            f"invalid snapshot name '{name}'",
            hint="begin it with a letter or digit, then use letters, digits, '_', '.' and '-'",
        )


def _while_stopped(engine: Engine, project: str, name: str, contents: _Contents) -> ObservedSnapshot:
    others = [one.name for one in contents.running if labels.project_of(one) != project]
    if others:
        raise Conflict(
            f"volumes are used by containers of other projects: {', '.join(sorted(others))}",
            hint="stop them first, or take the snapshot without --stop",
        )
    services = sorted({labels.service_of(one) for one in contents.running})
    actions.stop(engine, project, services)
    try:
        spec = SnapshotSpec(name, project, STOPPED, contents.parts)
        return _kept(keeping.keeper_of(engine.backend), spec)
    finally:
        actions.start(engine, project, services, wait=True)


def _kept(keeper: Snapshots, spec: SnapshotSpec) -> ObservedSnapshot:
    """Save a snapshot, and remove all others of its name.

    That is done before anything is waited for: a service that does not become healthy again, or a kill in that time,
    would leave two of one name.
    """
    snapshot = keeper.save_snapshot(spec)
    for one in keeping.of_project(keeper, spec.project):
        if one.name == spec.name and one.id != snapshot.id:
            keeper.remove_snapshot(one.id)
    return snapshot


def _refuse_restarting(running: Iterable[ObservedContainer]) -> None:
    unsteady = sorted(one.name for one in running if one.state is ContainerState.RESTARTING)
    if unsteady:
        raise Conflict(
            f"cannot freeze containers that are restarting: {', '.join(unsteady)}",
            hint="stop them first, or stop all with --stop",
        )


# ------------------------------------------------------------------ what is in it


def _contents(backend: Backend, project: str, services: Sequence[str], *, layers: bool) -> _Contents:
    chosen = selected(backend.observe(project), services)
    if not chosen:
        raise NotFound(
            f"project '{project}' has no containers", hint="create them with composer up or composer create"
        )
    uses: dict[str, list[list[object]]] = {}
    left_out = []
    for container in chosen:
        for mount in container.mounts:
            if mount.name:
                uses.setdefault(mount.name, []).append(_use(container, mount.target))
            elif mount.type == "bind":
                left_out.append(
                    f"{mount.source}: a directory of the host (service {labels.service_of(container)})"
                )
    parts = []
    for name in sorted(uses):
        volume = backend.find_volume(name)
        if volume is None:
            continue
        if volume.options or volume.driver != "local":
            left_out.append(f"volume {name}: its data is elsewhere (driver or driver_opts)")
            continue
        parts.append(SnapshotPart(VOLUME, name, {"uses": uses[name]}))
    if layers:
        parts += [
            SnapshotPart(LAYER, one.id, {"service": labels.service_of(one), "number": labels.number_of(one)})
            for one in chosen
        ]
    if not parts:
        which = f"services {', '.join(services)}" if services else f"project '{project}'"
        raise NotFound(
            f"{which}: no volume to take a snapshot of", hint="add --layers for the containers' files"
        )
    wanted = {part.source for part in parts}
    users = [
        one
        for one in backend.containers()
        if one.id in wanted or any(mount.name in wanted for mount in one.mounts)
    ]
    return _Contents(tuple(parts), tuple(dict.fromkeys(left_out)), tuple(users))


def _use(container: ObservedContainer, target: str) -> list[object]:
    return [labels.service_of(container), labels.number_of(container), target]
