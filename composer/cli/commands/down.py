"""``composer down``: remove what a project has. Reads labels; the compose file only where they leave a doubt."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import click

from composer.cli import options as shared
from composer.cli import target
from composer.session import provided

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.engine import Engine
    from composer.engine.observed import Observed
    from composer.engine.planning.lifecycle import Teardown
    from composer.schema.model import Project


@click.command(name="down", help="Stop and remove containers and networks.")
@click.option(
    "-v",
    "--volumes",
    is_flag=True,
    help="Also remove the named volumes of the compose file and anonymous volumes. Their data is lost.",
)
@click.option(
    "--remove-orphans",
    is_flag=True,
    help="Remove containers of services that the compose file does not define.",
)
@click.option(
    "--rmi",
    type=click.Choice(("local", "all")),
    help="Also remove images of the services: all, or local for only those without a custom tag.",
)
@shared.timeout
@shared.services
@click.pass_obj
def command(
    context: Context,
    services: tuple[str, ...],
    volumes: bool,
    remove_orphans: bool,
    rmi: str | None,
    timeout_s: float | None,
) -> None:
    from composer.engine import actions

    project = context.project_name()
    with context.changing(project, "down") as engine:
        given = Given(services, volumes, rmi, timeout_s, remove_orphans)
        meant = meaning(context, engine, project, given)
        if meant.is_nothing:  # what was not created yet is no mistake
            context.display().warn(nothing_to_remove(project))
            return
        options = meant.teardown
        actions.down(engine, project, options, meant.observed)
    if options.spare:
        context.display().warn(
            f"kept containers of services that the compose file does not define: {', '.join(sorted(options.spare))} "
            "(remove them with --remove-orphans)"
        )
    if options.kept_volumes:
        context.display().warn(
            f"kept volumes that the compose file does not define: {', '.join(sorted(options.kept_volumes))} "
            "(remove them with composer volume rm)"
        )


def nothing_to_remove(project: str) -> str:
    """Return the warning of a ``down`` that finds nothing, in Docker Compose's words."""
    return f'No resource found to remove for project "{project}"'


class Given(NamedTuple):
    """What the options of a ``down`` say; ``images`` is ``local``, ``all`` or None."""

    services: tuple[str, ...] = ()
    volumes: bool = False
    images: str | None = None
    timeout_s: float | None = None
    remove_orphans: bool = False


class Meant(NamedTuple):
    """What a ``down`` removes of what was ``observed``. ``is_nothing``: no service that it names has anything."""

    observed: Observed
    teardown: Teardown
    is_nothing: bool


def meaning(context: Context, engine: Engine, project: str, given: Given) -> Meant:
    """Return what a ``down`` with these options means now. Raises ProjectError for an unknown service."""
    from composer.engine.planning.lifecycle import Teardown

    observed = engine.backend.observe(project)
    model = functools.cache(lambda: target.model(context))  # one warning where it cannot be loaded
    remove, _ = shared.orphans(context, given.remove_orphans)
    spare = frozenset() if remove else foreign_services(context, observed, model)
    kept = _undeclared_volumes(observed, model) if given.volumes and not given.services else frozenset()
    teardown = Teardown(given.services, given.volumes, given.images or "", given.timeout_s, spare, kept)
    teardown = looked_up(context, engine, project, observed, teardown, model)
    chosen: tuple[str, ...] | None = ()
    if given.services:
        chosen = target.present(context, observed, given.services, oneoff=True, also=teardown.external)
    return Meant(observed, teardown._replace(services=chosen or given.services), chosen is None)


def looked_up(
    context: Context,
    engine: Engine,
    project: str,
    observed: Observed,
    teardown: Teardown,
    model: Callable[[], Project | None] | None = None,
) -> Teardown:
    """Return a ``down`` with what no option and no saved plan says: who asks providers, and which images there are."""
    model = model or functools.cache(lambda: target.model(context))
    return teardown._replace(
        external=provided.externals(engine, observed, project, context.environment, model),
        found_images=_found_images(engine.backend, teardown.images, teardown.services, model),
    )


def _found_images(
    backend: Backend, rmi: str, services: Collection[str], model: Callable[[], Project | None]
) -> frozenset[str]:
    """Return the images that ``--rmi`` means, as far as they are there: whether or not a container has them."""
    project = model() if rmi else None
    if project is None:
        return frozenset()
    from composer.engine.resolving import resolve

    found = {
        resolve.image_of(project, name, tree)
        for name, tree in (project.tree.get("services") or {}).items()
        if (not services or name in services)
        and (rmi == "all" or ("build" in tree and not tree.get("image")))
    }
    return frozenset(image for image in found if backend.find_image(image) is not None)


def _undeclared_volumes(observed: Observed, model: Callable[[], Project | None]) -> frozenset[str]:
    """Return named volumes of the project that its compose files do not declare: one from before a change of name.

    Docker Compose keeps them too. Where only the project's name is known, every volume of the project goes.
    """
    from composer.engine import labels

    named = {volume.name for volume in observed.volumes if labels.VOLUME in volume.labels}
    project = model() if named else None
    if project is None:
        return frozenset()
    from composer.engine.resolving import resolve

    declared = project.whole.get("volumes") or {}
    return frozenset(named - {resolve.real_name(project, "volumes", key) for key in declared})


def foreign_services(
    context: Context, observed: Observed, model: Callable[[], Project | None] | None = None
) -> frozenset[str]:
    """Return services of the project that come from other compose files than the ones in use now.

    Where every container was made from one set of files, and no other is asked for, there are none: no need to
    load the model.
    """
    from composer.engine import labels

    origins = {container.labels.get(labels.CONFIG_FILES, "") for container in observed.containers}
    given = ",".join(target.absolute(context, file) for file in context.settings.files)
    if len(origins) <= 1 and (not given or origins <= {given}):
        return frozenset()
    project = model() if model is not None else target.model(context)
    if project is None:
        return frozenset()
    known = (project.tree.get("services") or {}).keys() | project.disabled.keys()
    return frozenset(labels.service_of(c) for c in observed.containers) - known
