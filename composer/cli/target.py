"""Which container of a service a command means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.observed import ContainerState
from composer.errors import ComposerError, NoComposeFile, ProjectError, no_such_service

if TYPE_CHECKING:
    from collections.abc import Collection

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import Observed, ObservedContainer
    from composer.schema.model import Project


def present(
    context: Context,
    observed: Observed,
    services: tuple[str, ...],
    *,
    oneoff: bool = False,
    also: Collection[str] = (),
) -> tuple[str, ...] | None:
    """Return those of the services that have containers; None where some were named and none of them has any.

    With ``oneoff`` those that run made count as well. ``also`` are services that need no container.

    One that the compose file has and that was not created yet is no mistake. Raises UnknownService for others.
    """
    there = {labels.service_of(c) for c in observed.containers if oneoff or not labels.is_oneoff(c)}
    there |= set(also)
    absent = [name for name in services if name not in there]
    if absent:
        from composer.cli.options import check_services

        try:
            project = context.project()
        except NoComposeFile:
            raise no_such_service(absent[0], there) from None
        check_services(project.tree.get("services") or {}, project.disabled, absent)
    found = tuple(name for name in services if name in there)
    return None if services and not found else found


def absolute(context: Context, file: str) -> str:
    """Return a compose file of the command line as it can be named from anywhere, and as labels have it."""
    from composer.references import without_login
    from composer.schema import files

    if file == "-" or files.is_remote(file):
        return without_login(file)
    return os.path.join(context.working_dir, file)


def model(context: Context) -> Project | None:
    """Return the project of the compose files; None where nothing is known but its name."""
    try:
        return context.project()
    except ComposerError as error:
        context.display().warn(
            f"only the project name '{context.project_name()}' is used, as the compose file cannot be loaded: {error}"
        )
        return None


def chosen(
    context: Context, backend: Backend, project: str, services: tuple[str, ...], *, oneoff: bool = False
) -> tuple[str, ...] | None:
    """Return what `present` does; where none are named, which means all, nobody is asked."""
    return present(context, backend.observe(project), services, oneoff=oneoff) if services else ()


def created(
    context: Context, backend: Backend, project: str, services: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return services, without those that no profile enables, which need no container; None where only these are named.

    Raises ProjectError for another one without a container, in Docker Compose's words; UnknownService.
    """
    found = chosen(context, backend, project, services)
    absent = [name for name in services if name not in (found or ())]
    disabled = context.project().disabled if absent else {}
    for name in absent:
        if name not in disabled:
            raise ProjectError(
                f'service "{name}" has no container to start', hint=f"create it with composer up -d {name}"
            )
    return found


def container_of(
    observed: Observed, service: str, index: int | None, *, running: bool = False
) -> ObservedContainer:
    """Return the replica ``index`` of a service, the first one by default; with ``running`` the first that runs.

    A container that run made is meant where the service has no other (that runs). Raises ProjectError, in Docker
    Compose's words.
    """
    candidates = [c for c in observed.containers if labels.service_of(c) == service]
    found = sorted(candidates, key=lambda c: (labels.is_oneoff(c), labels.number_of(c)))
    if not found:
        raise ProjectError(_not_running(service, index), hint=nearest(observed, service))
    if index is not None:
        found = [_replica(found, service, index)]
    if not running:
        return found[0]
    for container in found:
        if container.state is ContainerState.RUNNING:
            return container
        if container.state is ContainerState.PAUSED:
            hint = f"resume it with composer unpause {service}"
            raise ProjectError(f"container '{container.name}' is paused", hint=hint)
    raise ProjectError(_not_running(service, index), hint=f"start it with composer up -d {service}")


def nearest(observed: Observed, service: str) -> str:
    """Return the hint for a service without a container: the name that was perhaps meant, or what there is."""
    names = sorted({labels.service_of(c) for c in observed.containers})
    return no_such_service(service, names).hint or "start the project with composer up"


def _not_running(service: str, index: int | None) -> str:
    return f'service "{service}" is not running' + ("" if index is None else f" container #{index}")


def _replica(found: list[ObservedContainer], service: str, index: int) -> ObservedContainer:
    numbered = {labels.number_of(c): c for c in found if not labels.is_oneoff(c)}
    if index not in numbered:
        there = ", ".join(map(str, numbered))
        raise ProjectError(
            _not_running(service, index),
            hint=f"available indexes: {there}" if there else f"start it with composer up -d {service}",
        )
    return numbered[index]
