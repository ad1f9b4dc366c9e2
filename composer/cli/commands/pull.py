"""``composer pull``: get the images of services, those that are here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="pull", help="Pull the images of services.")
@click.option(
    "--policy",
    type=click.Choice(("missing", "always")),
    help="Which images are pulled, in place of every service's pull_policy.",
)
@click.option("--include-deps", is_flag=True, help="Pull the images of dependencies too.")
@click.option("--ignore-pull-failures", is_flag=True, help="Pull what can be pulled.")
@click.option("--ignore-buildable", is_flag=True, help="Leave out images that can be built.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    policy: str | None,
    include_deps: bool,
    ignore_pull_failures: bool,
    ignore_buildable: bool,
    quiet: bool,
) -> None:
    from composer.cli.image_selection import images_of
    from composer.engine.planning.images import plan_pull

    with images_of(context, "pull", services, dependencies=include_deps, quiet=quiet) as (chosen, engine):
        plan = plan_pull(
            chosen,
            engine.backend.find_image,
            policy=policy,
            optional=ignore_pull_failures,
            buildable=not ignore_buildable,
        )
        engine.apply(chosen.name, plan)
