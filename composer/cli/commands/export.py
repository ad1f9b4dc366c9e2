"""``composer export``: the files of a service's container as a tar archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(
    name="export",
    help="Export the filesystem of a service container as a tar archive. "
    "Mounted volumes and directories are not included.",
)
@click.option(
    "-o", "--output", type=click.Path(), help="Write the archive to this file instead of standard output."
)
@shared.index
@click.argument("service")
@click.pass_obj
def command(context: Context, /, service: str, output: str | None, index: int | None) -> None:
    from composer.cli.single import standard
    from composer.cli.single.effects import told
    from composer.cli.target import container_of

    if output is None:
        standard.refuse_terminal(context, "use -o FILE, or redirect the output")
    project = context.project_name()
    backend = context.backend(project)
    container = container_of(backend.observe(project), service, index)
    if context.settings.dry_run:
        context.write(f"export {container.name}{f' to {output}' if output else ''}")
        return
    pieces = backend.export_container(container.id)
    if output is None:
        standard.write_pieces(context, None, pieces)
        return
    with told(context, container, "exporting", "exported"):
        standard.write_pieces(context, output, pieces)
