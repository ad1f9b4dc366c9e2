"""``composer volumes``: the volumes of the project, or of some of its services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context

_HEADERS = {"Driver": "DRIVER", "Name": "VOLUME NAME"}
_UNKNOWN = dict.fromkeys(("Availability", "Group", "Links", "Size", "Status"), "N/A")


@click.command(name="volumes", help="List the volumes of the project.")
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@shared.style
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], quiet: bool, style: str) -> None:
    from composer.cli import listing
    from composer.cli.record import Record
    from composer.engine.lifecycle import selected

    project = context.project_name()
    observed = context.backend(project).observe(project)
    used = {mount.name for container in selected(observed, services) for mount in container.mounts}
    found = sorted(v for v in observed.volumes if not services or v.name in used)
    if quiet:
        for volume in found:
            context.write(volume.name)
        return
    rows = [
        Record(
            **_UNKNOWN,
            Driver=volume.driver,
            Label=shared.label_of(volume.labels),
            Labels=shared.pairs(volume.labels),
            Mountpoint=volume.mountpoint,
            Name=volume.name,
            Scope="local",
        )
        for volume in found
    ]
    listing.show(context, style, rows, _HEADERS)
