"""``composer shim`` and ``composer plugin``: composer under docker's names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context

_force = click.option("-f", "--force", is_flag=True, help="Replace a program of the same name.")
_directory = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False))


@click.group(name="shim", help="Manage launchers named docker and docker-compose that run composer.")
def command() -> None:
    """Group the subcommands."""


@command.command(name="install", help="Write the launchers docker and docker-compose to a directory.")
@_force
@_directory
@click.pass_obj
def install(context: Context, /, directory: str, force: bool) -> None:
    from composer.cli.single import launchers

    place = os.path.join(context.working_dir, directory)
    for launcher in launchers.shims():
        path = os.path.join(place, launcher.name)
        if not context.settings.dry_run:
            path = launchers.write(place, launcher, force=force)
        context.write(path)
    if place not in context.environment.get("PATH", "").split(os.pathsep):
        context.stderr.write(f"Put {place} first in PATH to use them: export PATH={place}:$PATH\n")


@command.command(name="remove", help="Remove the launchers from a directory.")
@_directory
@click.pass_obj
def remove(context: Context, /, directory: str) -> None:
    from composer.cli.single import launchers

    for launcher in launchers.shims():
        path = os.path.join(context.working_dir, directory, launcher.name)
        is_there = launchers.is_ours(path) if context.settings.dry_run else launchers.remove(path)
        if is_there:
            context.write(path)


@click.group(name="plugin", help="Manage composer as docker's compose plugin.")
def plugin() -> None:
    """Group the subcommands."""


def _plugins(context: Context) -> str:
    home = context.environment.get("HOME", "")
    return os.path.join(context.environment.get("DOCKER_CONFIG") or f"{home}/.docker", "cli-plugins")


@plugin.command(name="install", help="Make docker compose run composer, for this user.")
@_force
@click.pass_obj
def install_plugin(context: Context, /, force: bool) -> None:
    from composer.cli.commands.version import LIKE
    from composer.cli.single import launchers

    launcher, place = launchers.plugin(LIKE), _plugins(context)
    path = os.path.join(place, launcher.name)
    if not context.settings.dry_run:
        path = launchers.write(place, launcher, force=force)
    context.write(path)


@plugin.command(name="remove", help="Remove the plugin: docker compose is what it was before.")
@click.pass_obj
def remove_plugin(context: Context, /) -> None:
    from composer.cli.single import launchers

    path = os.path.join(_plugins(context), "docker-compose")
    is_there = launchers.is_ours(path) if context.settings.dry_run else launchers.remove(path)
    if is_there:
        context.write(path)
