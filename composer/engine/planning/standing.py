"""What an ``up`` says of containers that are as they should be, and what it waits for although nobody starts.

A start waits for what its dependencies say; so does an ``up`` that leaves the dependents as they are, as Docker
Compose's does: a migration that runs again and fails is a failure of the ``up``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.observed import ACTIVE, ContainerState, Health
from composer.graph import COMPLETED, HEALTHY

if TYPE_CHECKING:
    from composer.engine.plan import PlanBuilder
    from composer.engine.planning.decisions import Decisions
    from composer.graph import Dependency


def tell(decisions: Decisions, builder: PlanBuilder) -> None:
    """Have it said of containers that stay that they run, and that they are healthy, in the order of dependencies."""
    unmet_services = {dependency.service for dependency in unmet(decisions)}
    awaited = {d.service for d in _awaited(decisions) if d.condition == HEALTHY} - unmet_services
    unchanged = [
        (service, stay)
        for service in decisions.order
        for stay in decisions.stays[service]
        if stay.is_unchanged and stay.container.state in (ContainerState.RUNNING, ContainerState.RESTARTING)
    ]
    for _, stay in unchanged:
        builder.tell(stay.known.resource, "running")
    for service, stay in unchanged:
        if service in awaited and stay.container.health is Health.HEALTHY:
            builder.tell(stay.known.resource, "waiting", "healthy")


def unmet(decisions: Decisions) -> list[Dependency]:
    """Return what services with containers depend on and what does not hold now, or not for sure: it is waited for."""
    return [dependency for dependency in _awaited(decisions) if not _holds(decisions, dependency)]


def _awaited(decisions: Decisions) -> list[Dependency]:
    return [
        dependency
        for service in decisions.order
        if not decisions.services[service].is_empty
        for dependency in decisions.gates.get(service, ())
        if dependency.condition in (HEALTHY, COMPLETED)
    ]


def _holds(decisions: Decisions, dependency: Dependency) -> bool:
    """Tell whether all containers of a dependency stay as they are, and are what is wanted of them."""
    decision = decisions.services[dependency.service]
    if decision.create or decision.replace:
        return False
    for stay in decisions.stays[dependency.service]:
        container = stay.container
        if not stay.is_unchanged:
            return False
        if dependency.condition == COMPLETED and container.state in ACTIVE:
            return False
        if dependency.condition == HEALTHY and (
            container.state is not ContainerState.RUNNING
            or container.health not in (Health.HEALTHY, Health.NONE)
        ):
            return False
    return True
