"""``composer restart``: stop and start containers as they are. Applies no change of configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(
    name="restart",
    help="Restart service containers. Changes to the compose file are not applied: use up for that.",
)
@click.option("--no-deps", is_flag=True, help="Do not restart dependent services.")
@shared.timeout
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], no_deps: bool, timeout_s: float | None) -> None:
    from composer.cli.target import chosen
    from composer.engine import actions

    project = context.project_name()
    with context.changing(project, "restart") as engine:
        named = chosen(context, engine.backend, project, services)
        if named is not None:  # what was not created yet is no mistake
            actions.restart(engine, project, named, timeout_s, dependents=not no_deps)
