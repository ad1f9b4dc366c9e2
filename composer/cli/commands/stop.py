"""``composer stop``: stop containers and keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="stop", help="Stop services.")
@shared.timeout
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], timeout_s: float | None) -> None:
    from composer.cli.target import chosen
    from composer.engine import actions

    project = context.project_name()
    with context.changing(project, "stop") as engine:
        named = chosen(context, engine.backend, project, services)
        if named is not None:  # what was not created yet is no mistake
            actions.stop(engine, project, named, timeout_s)
