"""What ``composer boot start`` does: project by project, in the order of what depends on what.

One that cannot be started is said, and keeps none of the others from their start.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from composer.errors import ComposerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.backends.namespace.backend import NamespaceBackend
    from composer.cli.context import Context
    from composer.runtime.objects.booting import Returning

_PATIENCE_S = 120.0
"""How long to wait for a dependency to become healthy. After that its dependents are started anyway."""


def start(context: Context) -> int:
    """Start the containers that are to run and are stopped. Return the exit code."""
    from composer.backends.namespace import backend as namespace
    from composer.runtime.base import state
    from composer.runtime.objects import booting

    paths = state.paths_of(context.environment)
    projects: dict[str, list[Returning]] = {}
    for one in booting.returning(paths):
        if not one.runs:
            projects.setdefault(one.project, []).append(one)
    failed = False
    for project in sorted(projects):
        backend = namespace.NamespaceBackend(paths, context.environment)
        try:
            with context.lock(project, "boot start"):
                # What was read before the lock may have been changed by who had it.
                found = [one for one in booting.returning(paths) if one.project == project and not one.runs]
                if not context.settings.dry_run:
                    booting.settle(paths, found)
                    backend.recover(project)
                failed |= not _start_all(context, backend, in_order(found))
        except ComposerError as error:
            context.display().warn(f"project '{project}': {error}")
            failed = True
        finally:
            backend.close()
    return 1 if failed else 0


def in_order(containers: Sequence[Returning]) -> list[Returning]:
    """Return them so that each comes behind what it depends on, and by name where that says nothing."""
    from composer.engine import labels

    left = sorted(containers, key=lambda one: one.name)
    done: list[Returning] = []
    while left:
        services = {one.labels.get(labels.SERVICE) for one in left}
        ids = {one.id for one in left}
        ready = [
            one
            for one in left
            if not ids.intersection(one.owners)
            and services.isdisjoint(name for name, _, _ in labels.read_depends_on(one.labels))
        ]
        ready = ready or left[:1]  # records that need each other: they were not made by one project
        done += ready
        left = [one for one in left if one not in ready]
    return done


def _start_all(context: Context, backend: NamespaceBackend, containers: Sequence[Returning]) -> bool:
    succeeded = True
    for one in containers:
        if context.settings.dry_run:
            context.write(f"would start {one.name}")
            continue
        for trouble in _await_dependencies(backend, one):
            context.display().warn(f"{one.name}: {trouble}; starting it anyway")
        try:
            backend.start_container(one.id)
        except ComposerError as error:
            context.display().warn(f"cannot start {one.name}: {error}")
            succeeded = False
        else:
            context.write(f"started {one.name}")
    return succeeded


def _await_dependencies(backend: NamespaceBackend, one: Returning) -> Iterator[str]:
    """Wait until what a container depends on is healthy, where it asked for that; yield what is not."""
    from composer.engine import labels

    for service, condition, _ in labels.read_depends_on(one.labels):
        if condition == "service_healthy":
            trouble = _await_healthy(backend, one.project, service)
            if trouble:
                yield trouble


def _await_healthy(backend: NamespaceBackend, project: str, service: str) -> str:
    from composer.engine import labels
    from composer.engine.observed import ContainerState, Health

    events = backend.events(project)
    deadline_s = time.monotonic() + _PATIENCE_S
    try:
        while True:
            found = [
                container
                for container in backend.observe(project).containers
                if labels.service_of(container) == service and not labels.is_oneoff(container)
            ]
            if not any(c.state in (ContainerState.RUNNING, ContainerState.RESTARTING) for c in found):
                return f"its dependency '{service}' is not running"
            if all(container.health in (Health.HEALTHY, Health.NONE) for container in found):
                return ""
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return f"its dependency '{service}' is not healthy after {_PATIENCE_S:g} s"
            events.next(left_s)
    finally:
        events.close()
