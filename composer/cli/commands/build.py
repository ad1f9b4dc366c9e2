"""``composer build``: build the images of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared
from composer.errors import ProjectError

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="build", help="Build the images of services.")
@click.option(
    "--build-arg", "arguments", multiple=True, metavar="KEY=VALUE", help="Set an argument of the build."
)
@click.option("--no-cache", is_flag=True, help="Use nothing of earlier builds.")
@click.option("--pull", is_flag=True, help="Ask the registry for newer base images.")
@click.option("--push", is_flag=True, help="Push the images afterwards.")
@click.option("--with-dependencies", is_flag=True, help="Build the images of dependencies too.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    arguments: tuple[str, ...],
    no_cache: bool,
    pull: bool,
    push: bool,
    with_dependencies: bool,
    quiet: bool,
) -> None:
    from composer.cli.imagework import images_of
    from composer.engine.images import plan_build, plan_push

    values = {}
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not separator and key not in context.environment:
            raise ProjectError(
                f"--build-arg '{key}' has no value",
                hint=f"write {key}=VALUE, or set {key} in the environment",
            )
        values[key] = value if separator else context.environment[key]
    with images_of(context, "build", services, dependencies=with_dependencies, quiet=quiet) as (
        chosen,
        engine,
    ):
        engine.apply(chosen.name, plan_build(chosen, no_cache=no_cache, pull=pull, arguments=values))
        if push:
            engine.apply(chosen.name, plan_push(chosen))
