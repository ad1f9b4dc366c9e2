"""What pause and unpause have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli.single_effects import told
from composer.engine.observed import ContainerState

if TYPE_CHECKING:
    from composer.cli.context import Context


def freeze(context: Context, services: tuple[str, ...], *, frozen: bool) -> None:
    """Pause what runs, or let what is paused go on."""
    from composer.engine.planning.lifecycle import selected

    verb, doing, done = ("pause", "pausing", "paused") if frozen else ("unpause", "unpausing", "unpaused")
    project = context.project_name()
    with context.changing(project, verb) as engine:
        concerned = ContainerState.RUNNING if frozen else ContainerState.PAUSED
        for container in selected(engine.backend.observe(project), services):
            if container.state is not concerned:
                continue
            if context.settings.dry_run:
                context.write(f"{verb} Container {container.name}")
                continue
            with told(context, container, doing, done):
                act = engine.backend.pause_container if frozen else engine.backend.unpause_container
                act(container.id)
