"""``composer images``: the images that the project's containers were created from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.cli.record import Record
    from composer.engine.observed import ObservedContainer, ObservedImage

_HEADERS = {
    "ContainerName": "CONTAINER",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Platform": "PLATFORM",
    "ID": "IMAGE ID",
    "Size": "SIZE",
    "Created": "CREATED",
}


@click.command(name="images", help="List the images of the project's containers.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@shared.style
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], quiet: bool, style: str) -> None:
    from composer.cli import listing
    from composer.cli.target import present
    from composer.engine.planning.lifecycle import selected

    project = context.project_name()
    backend = context.backend(project)
    observed = backend.observe(project)
    chosen = present(context, observed, services)
    containers = selected(observed, chosen) if chosen is not None else []
    known = {id: backend.find_image(id) for id in {c.image_id for c in containers}}
    found = [(c, known[c.image_id]) for c in containers]
    if quiet:
        for id in dict.fromkeys(c.image_id.removeprefix("sha256:") for c, _ in found):
            context.write(id)
        return
    rows = [_row(*pair, short=style != "json") for pair in found]
    listing.show(context, style, rows, _HEADERS, array=True)


def _row(container: ObservedContainer, image: ObservedImage | None, *, short: bool) -> Record:
    """Return the fields of one line: texts for people, or whole ids and numbers for programs."""
    from composer.cli import table, times
    from composer.cli.record import Record

    repository, tag = table.split_reference(container.image)
    size = image.size_bytes if image else 0
    return Record(
        {
            "ID": container.image_id.removeprefix("sha256:")[:12] if short else container.image_id,
            "ContainerName": container.name,
            "Repository": repository,
            "Tag": tag,
            "Platform": image.platform if image else "",
            "Size": (table.size(size) if image else "<unknown>") if short else size,
            "Created": times.age(image.created if image else "") if short else image.created if image else "",
        }
    )
