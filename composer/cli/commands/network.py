"""``composer network``: the backend's networks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.group(name="network", help="Manage networks.")
def command() -> None:
    """Hold the subcommands."""


@command.command(name="ls", help="List networks.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids only.")
@shared.style
@click.pass_obj
def list_networks(context: Context, /, quiet: bool, style: str) -> None:
    from composer.cli import table
    from composer.engine import labels

    networks = sorted(context.backend().networks(), key=lambda network: network.name)
    rows = [(n.id[:12], n.name, n.driver, n.labels.get(labels.PROJECT, "")) for n in networks]
    if quiet:
        for row in rows:
            context.write(row[0])
    elif style == "json":
        for row in rows:
            context.write(json.dumps(dict(zip(("ID", "Name", "Driver", "Project"), row, strict=True))))
    else:
        context.write(table.render(("NETWORK ID", "NAME", "DRIVER", "PROJECT"), rows))


@command.command(name="inspect", help="Show networks as JSON.")
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def inspect_networks(context: Context, /, names: tuple[str, ...]) -> None:
    from composer.errors import NotFound

    shown = []
    for name in names:
        found = context.backend().find_network(name)
        if found is None:
            raise NotFound(f"no network '{name}'")
        shown.append(
            {"Id": found.id, "Name": found.name, "Driver": found.driver, "Labels": dict(found.labels)}
        )
    context.write(json.dumps(shown, indent=4, ensure_ascii=False))


@command.command(name="rm", help="Remove networks.")
@click.option("-f", "--force", is_flag=True, help="Do not mind networks that are not there.")
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def remove_networks(context: Context, /, names: tuple[str, ...], force: bool) -> None:
    from composer.errors import BackendError, NotFound

    backend = context.backend()
    failures: list[Exception] = []
    for name in names:
        try:
            found = backend.find_network(name)
            if found is None:
                if force:
                    continue
                raise NotFound(f"no network '{name}'")
            backend.remove_network(found.id)
        except BackendError as error:
            failures.append(error)
        else:
            context.write(name)
    if failures:
        raise ExceptionGroup("some networks were not removed", failures)
