"""``composer volumes``: the project's volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="volumes", help="List the project's volumes, or only those that the given services use.")
@click.option("-q", "--quiet", is_flag=True, help="Print only names.")
@shared.style
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], quiet: bool, style: str) -> None:
    from composer.cli.commands.volume import show_volumes
    from composer.cli.target import present
    from composer.engine.planning.lifecycle import selected

    project = context.project_name()
    observed = context.backend(project).observe(project)
    volumes = list(observed.volumes)
    if services:
        chosen = present(context, observed, services)
        containers = selected(observed, chosen) if chosen is not None else []
        used = {mount.name for c in containers for mount in c.mounts if mount.name}
        volumes = [volume for volume in volumes if volume.name in used]
    headers = {"Driver": "DRIVER", "Name": "VOLUME NAME"}
    show_volumes(context, volumes, headers, quiet=quiet, style=style)
