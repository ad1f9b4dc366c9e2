"""What the commands share that get, make or send the images of services."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.cli import options as shared
from composer.cli.interrupt import interruptible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context
    from composer.engine.engine import Engine
    from composer.schema.model import Project


@contextmanager
def images_of(
    context: Context, verb: str, services: tuple[str, ...], *, dependencies: bool, quiet: bool
) -> Iterator[tuple[Project, Engine]]:
    """Yield the chosen services as a project, and the engine; Ctrl-C asks it to stop."""
    if quiet:
        context.settings = context.settings._replace(progress="quiet")
    project = context.project(services=services)
    shared.check_services(project.tree.get("services") or {}, project.disabled, services)
    chosen = project.select(services, dependencies=dependencies)
    with interruptible() as cancel:
        yield chosen, context.engine(project.name, title=verb, cancel=cancel)
