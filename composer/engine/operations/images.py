"""Operations on images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer import references
from composer.engine.operations.row import (
    BRINGS,
    BUILDS,
    CHANGES,
    IN_USE,
    REMOVES,
    Resource,
    Row,
    about,
    field,
    optionally,
)

if TYPE_CHECKING:
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedImage
    from composer.engine.operations.row import Report
    from composer.engine.wanted import BuildSpec


PULL = "pull"
"""The cause of a pull that was asked for by its verb."""


class PullImage(NamedTuple):
    """``optional``: a local image will do when the registry cannot be reached."""

    reference: str
    cause: str
    optional: bool = False


def _pull(backend: Backend, operation: PullImage, report: Report) -> ObservedImage | None:
    pulled: list[ObservedImage] = []
    optionally(
        operation.optional,
        lambda: pulled.append(backend.pull_image(operation.reference, progress=report)),
        # nobody asked for the pull itself where the image is built next, or the one that is here will do
        failed="error" if operation.cause == PULL else "warning",
    )
    return pulled[0] if pulled else None


class BuildImage(NamedTuple):
    """``unless_there``: the step comes after a pull that may have brought the image."""

    spec: BuildSpec
    cause: str
    unless_there: bool = False


def _build(backend: Backend, operation: BuildImage, report: Report) -> ObservedImage | None:
    if operation.unless_there:
        found = backend.find_image(operation.spec.reference)
        if found is not None:
            return found
    return backend.build_image(operation.spec, progress=report)


def build_phases(spec: BuildSpec) -> tuple[str, str]:
    """Return the words of progress while a build lasts, and at its end."""
    return ("checking", "checked") if spec.only_checks else ("building", "built")


class PushImage(NamedTuple):
    """``optional``: others go on when this one cannot be pushed."""

    reference: str
    cause: str
    optional: bool = False


def _push(backend: Backend, operation: PushImage, report: Report) -> None:
    optionally(operation.optional, lambda: backend.push_image(operation.reference, progress=report))


class RemoveImage(NamedTuple):
    """``optional``: it stays, with a warning, where something else uses it."""

    reference: str
    cause: str
    optional: bool = True


def _remove_image(backend: Backend, operation: RemoveImage, _: Report) -> None:
    optionally(operation.optional, lambda: backend.remove_image(operation.reference), IN_USE)


class TagImage(NamedTuple):
    """Give ``reference`` back to the image that had it."""

    reference: str
    image_id: str
    cause: str


def _tag_image(backend: Backend, operation: TagImage, _: Report) -> None:
    backend.tag_image(operation.image_id, operation.reference)


def _tagged_resource(removal: RemoveImage) -> Resource:
    """Return an image by name and tag, as Docker Compose names what it removes."""
    name, tag, digest = references.split(removal.reference)
    known = tag is not None or digest is not None or references.id_prefix(removal.reference) is not None
    return Resource("image", removal.reference if known else f"{name}:latest")


def _tagged(tag: TagImage) -> str:
    return f"{tag.image_id.removeprefix('sha256:')[:12]} as {tag.reference}"


_IMAGE, _REFERENCE = about("image", "reference"), field("reference")

ROWS: dict[type, Row] = {
    PullImage: Row("pull image", "pulling", "pulled", BRINGS, _IMAGE, _REFERENCE, _pull),
    BuildImage: Row(
        "build image",
        "building",
        "built",
        BUILDS,
        about("image", "spec.reference"),
        field("spec.reference"),
        _build,
        progress=lambda operation: build_phases(operation.spec),
        is_abandoned=True,
    ),
    PushImage: Row("push image", "pushing", "pushed", BRINGS, about("", "reference"), _REFERENCE, _push),
    RemoveImage: Row(
        "remove image", "removing", "removed", REMOVES, _tagged_resource, _REFERENCE, _remove_image
    ),
    TagImage: Row("tag image", "tagging", "tagged", CHANGES, _IMAGE, _tagged, _tag_image),
}
