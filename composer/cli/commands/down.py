"""``composer down``: remove what a project has. Reads labels; the compose file only where they leave a doubt."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared
from composer.cli import target
from composer.session import provided

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from composer.cli.context import Context
    from composer.engine.backend import Backend
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
        observed = engine.backend.observe(project)
        model = functools.cache(lambda: target.model(context))  # one warning where it cannot be loaded
        external = provided.externals(engine, observed, project, context.environment, model)
        chosen: tuple[str, ...] | None = ()
        if services:
            chosen = target.present(context, observed, services, oneoff=True, also=external)
        if chosen is None:  # what was not created yet is no mistake
            context.display().warn(nothing_to_remove(project))
            return
        options = teardown(context, observed, chosen, volumes, rmi, timeout_s, remove_orphans, model)
        images = found_images(engine.backend, rmi, chosen, model)
        options = options._replace(external=external, found_images=images)
        actions.down(engine, project, options)
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


def teardown(
    context: Context,
    observed: Observed,
    services: tuple[str, ...],
    volumes: bool,
    rmi: str | None,
    timeout_s: float | None,
    remove_orphans: bool,
    model: Callable[[], Project | None] | None = None,
) -> Teardown:
    """Return what a ``down`` with these options removes. ``model`` returns the project of the compose files."""
    from composer.engine.planning.lifecycle import Teardown

    remove, _ = shared.orphans(context, remove_orphans)
    model = model or functools.cache(lambda: target.model(context))
    spare = frozenset() if remove else foreign_services(context, observed, model)
    kept = _undeclared_volumes(observed, model) if volumes and not services else frozenset()
    return Teardown(services, volumes, rmi or "", timeout_s, spare, kept)


def found_images(
    backend: Backend, rmi: str | None, services: Collection[str], model: Callable[[], Project | None]
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
