"""``composer push``: send the images that are built here to their registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="push", help="Push service images.")
@click.option("--ignore-push-failures", is_flag=True, help="Do not fail if some images cannot be pushed.")
@click.option("--include-deps", is_flag=True, help="Also push the images of dependencies.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the progress of pushes.")
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    ignore_push_failures: bool,
    include_deps: bool,
    quiet: bool,
) -> None:
    from composer.cli.image_selection import images_of
    from composer.engine.planning.images import plan_push

    with images_of(context, "push", services, dependencies=include_deps, quiet=quiet) as (chosen, engine):
        engine.apply(chosen.name, plan_push(chosen, optional=ignore_push_failures))
