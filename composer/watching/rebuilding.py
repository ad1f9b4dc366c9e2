"""``rebuild``: build the images of services, replace their containers, and remove the images that nobody has any more.

Nothing but these services is touched: what they depend on goes on. A build that fails changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.resolving import resolve
from composer.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.engine import Engine
    from composer.engine.options import Options
    from composer.schema.model import Project


def build(engine: Engine, project: Project, services: Sequence[str]) -> None:
    """Build the images of services, identical builds once. Raises what went wrong."""
    from composer.engine.planning.images import plan_build
    from composer.engine.resolving.bases import Bases

    chosen = project.select(services, dependencies=False)
    engine.apply(project.name, plan_build(chosen, Bases(chosen).of))


def image_ids(engine: Engine, project: Project, services: Sequence[str]) -> dict[str, str]:
    """Return the images that services have now, by reference."""
    found = {}
    for service in services:
        reference = resolve.image_of(project, service, project.tree["services"][service])
        image = engine.backend.find_image(reference)
        if image is not None:
            found[reference] = image.id
    return found


def replace(engine: Engine, project: Project, services: Sequence[str], options: Options) -> None:
    """Recreate and start the containers of services, as many as there are. Raises what went wrong."""
    from composer.engine import actions

    counts: dict[str, int] = {}
    for container in engine.backend.observe(project.name).containers:
        if not labels.is_oneoff(container):
            service = labels.service_of(container)
            counts[service] = counts.get(service, 0) + 1
    chosen = options._replace(
        services=tuple(services),
        recreate="force",
        recreate_dependencies="never",
        dependencies=False,
        scale={**{name: counts[name] for name in services if name in counts}, **options.scale},
        remove_orphans=False,
        ignore_orphans=True,
        build=False,
        pull="never",
        wait=False,
        start=True,
    )
    actions.up(engine, project, chosen)


def prune(engine: Engine, before: Mapping[str, str]) -> None:
    """Remove images that were replaced, where nobody else has them. ``before``: ids by reference."""
    for reference, id in before.items():
        now = engine.backend.find_image(reference)
        old = engine.backend.find_image(id)
        if now is None or old is None or now.id == id or old.references:
            continue
        try:
            engine.backend.remove_image(id)
        except BackendError:
            continue  # a container of another project has it: it goes when somebody prunes after that
