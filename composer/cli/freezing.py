"""What pause and unpause have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.backend import ContainerState

if TYPE_CHECKING:
    from composer.cli.context import Context


def freeze(context: Context, services: tuple[str, ...], *, frozen: bool) -> None:
    """Pause what runs, or let what is paused go on."""
    from composer.engine.draft import ref
    from composer.engine.events import DONE, WORKING, Progress
    from composer.engine.lifecycle import selected

    verb = "pause" if frozen else "unpause"
    project = context.project_name()
    with context.changing(project, verb) as engine:
        concerned = ContainerState.RUNNING if frozen else ContainerState.PAUSED
        for container in selected(engine.backend.observe(project), services):
            if container.state is not concerned:
                continue
            resource = ref(container).resource
            if context.settings.dry_run:
                context.write(f"{verb} {resource}")
                continue
            engine.events.progress(Progress(WORKING, resource, "pausing" if frozen else "unpausing"))
            act = engine.backend.pause_container if frozen else engine.backend.unpause_container
            act(container.id)
            engine.events.progress(Progress(DONE, resource, "paused" if frozen else "unpaused"))
