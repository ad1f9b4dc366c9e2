"""``composer export``: the files of a service's container as a tar archive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    from composer.cli.single.effects import told
    from composer.cli.target import container_of
    from composer.errors import ProjectError

    if output is None and context.stdout.isatty():
        raise ProjectError(
            "refusing to write a tar archive to a terminal", hint="use -o FILE, or redirect the output"
        )
    project = context.project_name()
    backend = context.backend(project)
    container = container_of(backend.observe(project), service, index)
    if context.settings.dry_run:
        context.write(f"export {container.name}{f' to {output}' if output else ''}")
        return
    pieces = backend.export_container(container.id)
    try:
        if output is None:
            for piece in pieces:
                context.stdout.buffer.write(piece)
            context.stdout.buffer.flush()
            return
        with told(context, container, "exporting", "exported"):
            _write(os.path.join(context.working_dir, output), pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _write(path: str, pieces: Iterator[bytes]) -> None:
    from composer.archives import whole_file
    from composer.errors import CopyFailed

    try:
        with whole_file(path) as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise CopyFailed(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from error
