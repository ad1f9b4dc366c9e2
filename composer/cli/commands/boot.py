"""``composer boot``: containers of the built-in runtime that run again after a reboot of the machine."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context

_root = click.option(
    "--root", default="", metavar="DIR", help="The root of another file system, of an image for one."
)


@click.group(name="boot", help="Bring containers back after a reboot.")
def command() -> None:
    """Hold the subcommands."""


@command.command(name="enable", help="Let this machine start at boot what is to run.")
@_root
@click.pass_obj
def enable(context: Context, /, root: str) -> None:
    from composer.backends.namespace import requirements
    from composer.cli import bootscripts

    requirements.check()
    variables = {}
    if context.environment.get("COMPOSER_ROOT"):
        variables["COMPOSER_ROOT"] = os.path.abspath(context.environment["COMPOSER_ROOT"])
    if context.settings.dry_run:
        init = bootscripts.of(root)
        context.write(f"would be enabled by {init.name}: {root}/{init.file}")
        return
    init = bootscripts.enable(root.rstrip("/"), variables)
    context.write(f"enabled by {init.name}: {root.rstrip('/')}/{init.file}")


@command.command(name="disable", help="Start nothing at boot any more.")
@_root
@click.pass_obj
def disable(context: Context, /, root: str) -> None:
    from composer.cli import bootscripts

    if context.settings.dry_run:
        context.write("would be disabled")
        return
    init = bootscripts.disable(root.rstrip("/"))
    context.write("was not enabled" if init is None else f"disabled: {init.name} starts nothing any more")


@command.command(name="status", help="Show whether it is enabled, and what would come back.")
@_root
@click.option("--format", "form", type=click.Choice(("table", "json")), default="table", help="Format.")
@click.pass_obj
def show(context: Context, /, root: str, form: str) -> None:
    from composer.backends.namespace import requirements
    from composer.cli import bootscripts

    requirements.check()  # before what exists on Linux only is imported
    from composer.backends.namespace import booting, state

    init = bootscripts.enabled(root.rstrip("/"))
    found = sorted(booting.returning(state.paths_of(context.environment)), key=lambda one: one.name)
    if form == "json":
        containers = [
            {"Name": one.name, "Project": one.project, "Policy": one.policy, "Running": one.runs}
            for one in found
        ]
        record = {"Enabled": init is not None, "Init": init.name if init else None, "Containers": containers}
        context.write(json.dumps(record, ensure_ascii=False))
        return
    context.write(f"enabled by {init.name}" if init else "not enabled")
    for one in found:
        context.write(f"  {one.name}  {one.policy}  {'runs' if one.runs else 'comes back at the next boot'}")


@command.command(name="start", help="Start what is to run: what is done at boot.")
@click.pass_obj
def start(context: Context, /) -> int:
    from composer.backends.namespace import requirements
    from composer.cli import booting

    requirements.check()
    return booting.start(context)
