"""Which container of a service a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.backend import ContainerState
from composer.errors import ProjectError, UnknownService

if TYPE_CHECKING:
    from composer.engine.backend import Observed, ObservedContainer


def container_of(
    observed: Observed, service: str, index: int | None, *, running: bool = False
) -> ObservedContainer:
    """Return the replica ``index`` of a service, the first one by default; with ``running`` the first that runs.

    Raises UnknownService or ProjectError.
    """
    known = [c for c in observed.containers if not labels.is_oneoff(c)]
    found = sorted((c for c in known if labels.service_of(c) == service), key=labels.number_of)
    if not found:
        names = sorted({labels.service_of(c) for c in known})
        hint = f"there are: {', '.join(names)}" if names else "composer up starts the project"
        raise UnknownService(f"no container of service '{service}'", hint=hint)
    if index is not None:
        found = [c for c in found if labels.number_of(c) == index]
        if not found:
            raise ProjectError(f"service '{service}' has no container with index {index}")
    if not running:
        return found[0]
    for container in found:
        if container.state is ContainerState.RUNNING:
            return container
    raise ProjectError(f"service '{service}' is not running", hint=f"composer up -d {service} starts it")
