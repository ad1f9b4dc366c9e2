"""Snapshots of a stack, and stacks made of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from composer import errors
from composer.engine import actions
from composer.engine.snapshots import keeping, restoring, saving
from composer.schema import load as loader
from composer.stacks import ports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.engine.observed import ObservedSnapshot
    from composer.schema.model import Project
    from composer.stacks.opened import Opened

_LAYER = "volumes and networks of its own"


class Snapshot(NamedTuple):
    """The data of a stack's services at one moment.

    ``quiet`` says how it was kept still: ``frozen``, ``stopped``, or ``idle`` where nothing ran; ``way`` how it was
    copied: ``reflink`` or ``copy``. ``left_out`` is the data that is not in it, with the reason.
    """

    name: str
    id: str
    project: str
    quiet: str
    way: str
    size_bytes: int
    created_ns: int
    left_out: tuple[str, ...] = ()


def _shown(found: ObservedSnapshot, left_out: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(
        found.name,
        found.id,
        found.project,
        found.quiet,
        found.way,
        found.size_bytes,
        found.created_ns,
        left_out,
    )


def take(
    stack: Opened,
    name: str | None,
    services: Iterable[str],
    *,
    stop: bool | None,
    layers: bool,
    replace: bool,
) -> Snapshot:
    name = name or f"s{os.urandom(4).hex()}"
    with stack.changing("snapshot") as engine:
        saved = saving.save(
            engine, stack.name, name, tuple(services), stop=stop, layers=layers, replace=replace
        )
    return _shown(saved.snapshot, saved.left_out)


def put_back(
    stack: Opened,
    snapshot: Snapshot | str,
    services: Iterable[str],
    *,
    wait: bool,
    timeout: float | None,
) -> str:
    """Return the way that the data took."""
    with stack.changing("restore") as engine:
        found = _find(stack, snapshot)
        restored = restoring.restore(engine, stack.name, found, tuple(services), wait=wait, timeout_s=timeout)
    return restored.way


def every(stack: Opened) -> list[Snapshot]:
    return [_shown(one) for one in keeping.of_project(keeping.keeper_of(stack.backend), stack.name)]


def remove(stack: Opened, snapshot: Snapshot | str) -> None:
    keeper = keeping.keeper_of(stack.backend)
    if isinstance(snapshot, str):
        keeping.remove(keeper, stack.name, snapshot)
    else:
        keeper.remove_snapshot(_find(stack, snapshot).id)


def remove_all(stack: Opened) -> None:
    keeping.remove_all(stack.backend, stack.name)


def _find(stack: Opened, snapshot: Snapshot | str) -> ObservedSnapshot:
    """Return a snapshot of the stack by its name, or that of any stack which is given itself. Raises NotFound."""
    keeper = keeping.keeper_of(stack.backend)
    if isinstance(snapshot, str):
        return keeping.get(keeper, stack.name, snapshot)
    found = next((one for one in keeper.snapshots() if one.id == snapshot.id), None)
    if found is None:
        raise errors.NotFound(f"snapshot '{snapshot.name}' of project '{snapshot.project}' has been removed")
    return found


# ------------------------------------------------------------------ forks


def forked(project: Project, name: str) -> Project:
    """Return a project with another name, whose ports, names, networks and volumes are its own."""
    options = project.loaded_with
    if options is None or name == project.name:
        raise errors.ProjectError(
            f"cannot fork project '{project.name}' as '{name}'",
            hint="choose another name, and a project of composer.load()",
        )
    text = "".join(_own(project, kind, name) for kind in ("volumes", "networks"))
    texts = {**options.texts, _LAYER: text} if text else options.texts
    return ports.apart(loader.load(options._replace(name=name, texts=texts)))


def _own(project: Project, kind: str, name: str) -> str:
    """Return, as YAML, names of the fork's own for what has a fixed one, or is external."""
    lines = []
    for key, tree in (project.whole.get(kind) or {}).items():
        if tree.get("external") or tree.get("name") != f"{project.name}_{key}":
            own = {**tree, "name": f"{name}_{key}", "external": False}
            lines.append(f"  {json.dumps(key)}: !override {json.dumps(own)}\n")
    return f"{kind}:\n{''.join(lines)}" if lines else ""


def fill(fork: Opened, source: Opened, snapshot: Snapshot | str | None, timeout: float | None) -> None:
    """Create a fork's containers, put the data of its source into their volumes, and start them.

    A snapshot that is taken for it goes with the fork's volumes.
    """
    taken = snapshot or take(source, None, source.chosen, stop=None, layers=False, replace=False)
    found = _find(source, taken)
    try:
        with fork.changing("up") as engine:
            fork.note_made()
            actions.up(engine, fork.project, fork.options(start=False))
            keeper = keeping.keeper_of(engine.backend)
            targets = restoring.targets_of(engine, fork.name, found)
            keeper.place_snapshot(found.id, fork.name, targets)
    finally:
        if snapshot is None:
            keeping.keeper_of(source.backend).remove_snapshot(found.id)
    fork.up(timeout=timeout)
