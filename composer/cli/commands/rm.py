"""``composer rm``: remove stopped containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="rm", help="Remove stopped service containers.")
@click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")
@click.option("-s", "--stop", is_flag=True, help="Stop running containers first.")
@click.option(
    "-v",
    "--volumes",
    is_flag=True,
    help="Also remove anonymous volumes of the containers. Their data is lost.",
)
@shared.without_effect("-a --all")
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], force: bool, stop: bool, volumes: bool) -> None:
    from composer.cli.target import present
    from composer.engine.operations.containers import RemoveContainer
    from composer.engine.planning.lifecycle import plan_remove

    project = context.project_name()
    with context.changing(project, "rm") as engine:
        observed = engine.backend.observe(project)
        found = present(context, observed, services)
        plan = plan_remove(observed, found or (), stop=stop, volumes=volumes)
        names = [s.operation.container.name for s in plan.steps if isinstance(s.operation, RemoveContainer)]
        if found is None or not names:
            context.display().warn("No stopped containers")
            return
        if not context.settings.dry_run:
            context.write(f"Going to remove {', '.join(names)}")
        if not force and not context.settings.dry_run and not context.confirm(f"Remove {', '.join(names)}?"):
            return
        engine.apply(project, plan)
