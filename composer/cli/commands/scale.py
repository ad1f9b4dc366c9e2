"""``composer scale``: change how many containers services have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="scale", help="Set the number of containers of services.")
@click.option("--no-deps", is_flag=True, help="Do not create or start the dependencies of the services.")
@click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes.")
@click.argument("scales", nargs=-1, required=True, metavar="SERVICE=N...")
@click.pass_obj
def command(context: Context, /, scales: tuple[str, ...], no_deps: bool, yes: bool) -> None:
    from composer.cli.creation import engine_options
    from composer.cli.remote.consent import agree
    from composer.engine.actions import up

    project = context.project(makes=True, starts=True)
    agree(context, project, yes=yes)
    services = tuple(shared.scale(scales))
    options = engine_options(context, project, services, {"scales": scales, "no_deps": no_deps})
    with context.changing(project.name, "scale") as engine:
        up(engine, project, options)
