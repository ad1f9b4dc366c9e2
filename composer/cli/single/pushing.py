"""Pushing single images, without a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import references
from composer.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.cli.context import Context
    from composer.engine.observed import Advance


def all_tags(context: Context, name: str) -> list[str]:
    """Return the names of all images in a repository. Raises NotFound, or ImageError for a name with a tag."""
    from composer.errors import ImageError

    if references.split(name).tag is not None or references.split(name).digest is not None:
        raise ImageError("tag can't be used with --all-tags/-a", hint="use the name of the repository alone")
    wanted = references.parse(name)[:2]
    known = [one for image in context.backend().images() for one in image.references if "@" not in one]
    found = sorted(one for one in known if references.parse(one)[:2] == wanted)
    if not found:
        raise NotFound(f"an image does not exist locally with the tag: {name}")
    return found


def push(
    context: Context, names: Sequence[str], *, quiet: bool = False, compression: str | None = None
) -> None:
    """Push images one after another, and say what the registry calls them. ``quiet``: only the names."""
    from composer.engine.operations.row import Resource
    from composer.engine.progress import DONE, FAILED, WORKING, Progress

    if context.settings.dry_run:
        for name in names:
            context.write(f"push {name}")
        return
    if quiet:
        context.settings = context.settings._replace(progress="quiet")
    display = context.display("push")
    backend = context.backend()
    said = []
    for name in names:
        resource = Resource("image", name)

        def tell(advance: Advance, resource: Resource = resource) -> None:
            display.progress(Progress(WORKING, resource, "pushing", advance=advance))

        display.progress(Progress(WORKING, resource, "pushing"))
        try:
            digest = backend.push_image(name, progress=tell, compression=compression or "")
        except BaseException:
            display.progress(Progress(FAILED, resource, "error"))
            raise
        display.progress(Progress(DONE, resource, "pushed"))
        full = references.parse(name)
        said.append(str(full) if quiet else f"{full.tag}: digest: {digest}" if digest else "")
    display.close()
    for line in filter(None, said):
        context.write(line)
