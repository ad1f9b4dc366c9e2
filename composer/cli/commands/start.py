"""``composer start``: start containers that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="start", help="Start services.")
@shared.waiting
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    wait: bool,
    wait_timeout_s: float | None,
    wait_restarts: int,
) -> None:
    from composer.cli.target import created
    from composer.engine import actions

    project = context.project_name()
    with context.changing(project, "start") as engine:
        named = created(context, engine.backend, project, services)
        if named is not None:
            actions.start(
                engine, project, named, wait=wait, wait_timeout_s=wait_timeout_s, wait_restarts=wait_restarts
            )
