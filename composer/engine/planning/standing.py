"""What an ``up`` says of containers that are as they should be: that they run, and are as healthy as others need.

A start waits for what its dependencies say; so does an ``up`` that starts nothing, as Docker Compose's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.observed import ACTIVE, Health
from composer.graph import HEALTHY

if TYPE_CHECKING:
    from composer.engine.observed import ObservedContainer
    from composer.engine.plan import PlanBuilder
    from composer.engine.planning.decisions import Decisions
    from composer.graph import Dependency


def tell(decisions: Decisions, builder: PlanBuilder) -> None:
    """Have it said of containers that stay that they run, and that they are healthy, in the order of dependencies."""
    awaited = {d.service for d in _healthy(decisions)} - _lacking(decisions)
    unchanged = [
        (service, stay)
        for service in decisions.order
        for stay in decisions.stays[service]
        if stay.is_unchanged and stay.container.state in ACTIVE
    ]
    for _, stay in unchanged:
        builder.tell(stay.known.resource, "running")
    for service, stay in unchanged:
        if service in awaited and stay.container.health is Health.HEALTHY:
            builder.tell(stay.known.resource, "waiting", "healthy")


def unmet(decisions: Decisions) -> list[Dependency]:
    """Return the dependencies of unchanged services that run and are not healthy: an ``up`` waits for them."""
    lacking = _lacking(decisions)
    return [dependency for dependency in _healthy(decisions) if dependency.service in lacking]


def _healthy(decisions: Decisions) -> list[Dependency]:
    found = (d for service in decisions.order for d in decisions.gates.get(service, ()))
    return [dependency for dependency in found if dependency.condition == HEALTHY]


def _lacking(decisions: Decisions) -> set[str]:
    """Return the services that have a container that stays, and that is not healthy."""
    return {
        service
        for service, stays in decisions.stays.items()
        if any(stay.is_unchanged and not _is_healthy(stay.container) for stay in stays)
    }


def _is_healthy(container: ObservedContainer) -> bool:
    return container.state in ACTIVE and container.health in (Health.HEALTHY, Health.NONE)
