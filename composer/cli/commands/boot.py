"""``composer boot``: containers of the built-in runtime that run again after a reboot of the machine."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.cli.booting.scripts import Init
    from composer.cli.context import Context
    from composer.runtime.objects.booting import Returning

_root = click.option(
    "--root",
    default="",
    metavar="DIR",
    help="Use the init system below DIR, such as a mounted disk image.",
)


@click.group(name="boot", help="Manage the start of containers at boot.")
def command() -> None:
    """Group the subcommands."""


@command.command(
    name="enable",
    help="Start containers with a restart policy at boot: always, unless-stopped, and on-failure if they ran.",
)
@_root
@click.pass_obj
def enable(context: Context, /, root: str) -> None:
    from composer.cli.booting import scripts
    from composer.runtime.base import requirements

    requirements.check()
    variables = {}
    if context.environment.get("COMPOSER_ROOT"):
        variables["COMPOSER_ROOT"] = os.path.abspath(context.environment["COMPOSER_ROOT"])
    if context.settings.dry_run:
        init = scripts.of(root)
        context.write(f"would be enabled by {init.name}: {root}/{init.file}")
        return
    init = scripts.enable(root.rstrip("/"), variables)
    context.write(f"enabled by {init.name}: {root.rstrip('/')}/{init.file}")


@command.command(name="disable", help="Do not start containers at boot.")
@_root
@click.pass_obj
def disable(context: Context, /, root: str) -> None:
    from composer.cli.booting import scripts

    if context.settings.dry_run:
        context.write("would be disabled")
        return
    init = scripts.disable(root.rstrip("/"))
    context.write("was not enabled" if init is None else f"disabled in {init.name}")


@command.command(name="status", help="Show whether the start at boot is enabled, and for which containers.")
@_root
@click.option(
    "--format", "form", type=click.Choice(("table", "json")), default="table", help="Set the output format."
)
@click.pass_obj
def show(context: Context, /, root: str, form: str) -> None:
    from composer.cli.booting import scripts
    from composer.runtime.base import requirements

    requirements.check()  # before what exists on Linux only is imported
    from composer.runtime.base import state
    from composer.runtime.objects import booting

    init = scripts.enabled(root.rstrip("/"))
    found = sorted(booting.returning(state.paths_of(context.environment)), key=lambda one: one.name)
    if form == "json":
        context.write(json.dumps(document(init, found), ensure_ascii=False))
        return
    context.write(f"enabled by {init.name}" if init else "not enabled")
    stopped = "starts at the next boot" if init else "does not start at boot"
    for one in found:
        context.write(f"  {one.name}  {one.policy}  {'running' if one.runs else stopped}")


def document(init: Init | None, found: Sequence[Returning]) -> dict[str, object]:
    """Return the status as `composer.documents.machine` has it."""
    containers = [
        {"Name": one.name, "Project": one.project, "Policy": one.policy, "Running": one.runs} for one in found
    ]
    return {"Enabled": init is not None, "Init": init.name if init else None, "Containers": containers}


@command.command(
    name="start",
    help="Start the containers that start at boot now. The init system runs this command.",
)
@click.pass_obj
def start(context: Context, /) -> int:
    from composer.cli.booting import starting
    from composer.runtime.base import requirements

    requirements.check()
    return starting.start(context)
