"""``composer volume``: the backend's volumes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.group(name="volume", help="Manage volumes.")
def command() -> None:
    """Hold the subcommands."""


@command.command(name="ls", help="List volumes.")
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@shared.style
@click.pass_obj
def list_volumes(context: Context, /, quiet: bool, style: str) -> None:
    from composer.cli import table
    from composer.engine import labels

    rows = sorted((v.driver, v.name, v.labels.get(labels.PROJECT, "")) for v in context.backend().volumes())
    if quiet:
        for _, name, _ in rows:
            context.write(name)
    elif style == "json":
        for row in rows:
            context.write(json.dumps(dict(zip(("Driver", "Name", "Project"), row, strict=True))))
    else:
        context.write(table.render(("DRIVER", "VOLUME NAME", "PROJECT"), rows))


@command.command(name="inspect", help="Show volumes as JSON.")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def inspect_volumes(context: Context, /, names: tuple[str, ...]) -> None:
    from composer.errors import NotFound

    shown = []
    for name in names:
        found = context.backend().find_volume(name)
        if found is None:
            raise NotFound(f"no volume '{name}'")
        shown.append({"Name": found.name, "Driver": found.driver, "Labels": dict(found.labels)})
    context.write(json.dumps(shown, indent=4, ensure_ascii=False))


@command.command(name="rm", help="Remove volumes: their data is lost.")
@click.option("-f", "--force", is_flag=True, help="Do not mind volumes that are not there.")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def remove_volumes(context: Context, /, names: tuple[str, ...], force: bool) -> None:
    from composer.errors import BackendError, NotFound

    backend = context.backend()
    failures: list[Exception] = []
    for name in names:
        try:
            if backend.find_volume(name) is None:
                if force:
                    continue
                raise NotFound(f"no volume '{name}'")
            backend.remove_volume(name)
        except BackendError as error:
            failures.append(error)
        else:
            context.write(name)
    if failures:
        raise ExceptionGroup("some volumes were not removed", failures)
