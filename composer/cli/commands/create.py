"""``composer create``: create containers and do not start them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="create", help="Create containers without starting them.")
@shared.creation
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], **given: Any) -> None:
    from composer.cli.creation import engine_options, nothing_selected
    from composer.cli.remote.consent import agree
    from composer.engine.actions import up

    project = context.project(makes=True, services=services)
    if nothing_selected(project, services):
        context.display().warn("no service selected")
    agree(context, project, yes=given["yes"])
    options = engine_options(context, project, services, given)._replace(start=False)
    with context.changing(project.name, "create") as engine:
        up(engine, project, options, context.asker())
