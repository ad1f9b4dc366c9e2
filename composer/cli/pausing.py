"""What pause and unpause have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli.single.effects import told
from composer.cli.target import present
from composer.engine.observed import ContainerState
from composer.errors import Conflict

if TYPE_CHECKING:
    from composer.cli.context import Context

_THERE = (ContainerState.RUNNING, ContainerState.PAUSED)


def freeze(context: Context, services: tuple[str, ...], *, frozen: bool) -> None:
    """Pause what runs, or let what is paused go on. Raises Conflict at the end for what is as it was asked to be.

    As with Docker Compose what does not run does not matter.
    """
    from composer.engine.planning.lifecycle import selected

    verb, done = ("pause", "paused") if frozen else ("unpause", "unpaused")
    project = context.project_name()
    refused = []
    with context.changing(project, verb) as engine:
        observed = engine.backend.observe(project)
        chosen = present(context, observed, services)
        for container in selected(observed, chosen) if chosen is not None else ():
            if container.state not in _THERE:
                continue
            if (container.state is ContainerState.PAUSED) == frozen:
                refused.append(container.name)
                continue
            if context.settings.dry_run:
                context.write(f"{verb} Container {container.name}")
                continue
            with told(context, container, "", done):
                act = engine.backend.pause_container if frozen else engine.backend.unpause_container
                act(container.id)
    if refused:
        names = ", ".join(refused)
        state = "already paused" if frozen else "not paused"
        raise Conflict(
            f"container {names} is {state}" if len(refused) == 1 else f"containers {names} are {state}"
        )
