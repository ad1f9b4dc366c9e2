"""``composer images``: the images that the project's containers were created from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.backend import ObservedContainer, ObservedImage


@click.command(name="images", help="List the images of containers.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids only.")
@shared.style
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], quiet: bool, style: str) -> None:
    from composer.cli import table
    from composer.engine.lifecycle import selected

    project = context.project_name()
    backend = context.backend(project)
    known = {image.id: image for image in backend.images()}
    found = [(c, known.get(c.image_id)) for c in selected(backend.observe(project), services)]
    if quiet:
        for id in dict.fromkeys(c.image_id.removeprefix("sha256:") for c, _ in found):
            context.write(id)
    elif style == "json":
        context.write(json.dumps([_json(*pair) for pair in found], ensure_ascii=False))
    else:
        headers = ("CONTAINER", "REPOSITORY", "TAG", "IMAGE ID", "SIZE")
        context.write(table.render(headers, [_row(*pair) for pair in found]))


def _row(container: ObservedContainer, image: ObservedImage | None) -> tuple[str, ...]:
    from composer.cli import table

    repository, tag = table.split_reference(container.image)
    size = table.size(image.size_bytes) if image else "<unknown>"
    return container.name, repository, tag, container.image_id.removeprefix("sha256:")[:12], size


def _json(container: ObservedContainer, image: ObservedImage | None) -> dict[str, object]:
    from composer.cli import table

    repository, tag = table.split_reference(container.image)
    return {
        "ID": container.image_id,
        "ContainerName": container.name,
        "Repository": repository,
        "Tag": tag,
        "Size": image.size_bytes if image else 0,
        "Created": image.created if image else "",
    }
