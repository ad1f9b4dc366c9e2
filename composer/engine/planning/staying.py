"""The part of `reconcile` about containers that stay: their name, their networks, whether they start; and what is said.

A start waits for what its dependencies say; so does an ``up`` that leaves the dependents as they are, as Docker
Compose's does: a migration that runs again and fails is a failure of the ``up`` (`unmet`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.observed import ACTIVE, ContainerState, Health
from composer.engine.operations.row import ContainerRef
from composer.engine.planning.decisions import REPLACE, UNFINISHED, Connection, Fate, Stay
from composer.engine.resolving import resolve
from composer.engine.resolving.extension import extension
from composer.graph import COMPLETED, HEALTHY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer, ObservedNetwork
    from composer.engine.options import Options
    from composer.engine.plan import PlanBuilder
    from composer.engine.planning.decisions import Change, Decision, Decisions, Tree
    from composer.graph import Dependency
    from composer.schema.model import Project


class Staying:
    """Decides on containers that stay, when it is known what is replaced.

    ``replaced`` are the real names of networks that are, ``stopped`` says why a container (by id) is stopped
    meanwhile, ``warn`` takes sentences for the user.
    """

    def __init__(
        self,
        project: Project,
        world: World,
        options: Options,
        *,
        firsts: Mapping[str, int],
        replaced: Collection[str],
        stopped: Mapping[str, str],
        warn: Callable[[str], None],
    ) -> None:
        self._project, self._options, self._firsts = project, options, firsts
        self._replaced, self._stopped, self._warn = replaced, stopped, warn
        self._holders = {c.name: c.id for c in world.observed.containers}

    def stay(self, service: str, container: ObservedContainer) -> Stay:
        """Return what is done with a container that stays."""
        tree: Tree = self._project.tree["services"][service]
        known = self._known(service, tree, container)
        rename = ""
        if container.name != known.name:
            is_ours = labels.is_replacement(container) or labels.is_retired(container)
            rename = UNFINISHED if is_ours else "it was renamed manually"
        connections = (
            () if tree.get("network_mode") else tuple(self._connections(service, tree, container, known))
        )
        start = self._start(service, container)
        return Stay(container, known, rename, connections, start if self._options.start else "")

    def _known(self, service: str, tree: Tree, container: ObservedContainer) -> ContainerRef:
        """Return a container by the name that it should have: one of ours was given that name."""
        found = ContainerRef.of(container)
        if labels.FIELDS not in container.labels or found.number == 0:
            return found
        name = resolve.container_name(self._project, service, tree, found.number)
        return found._replace(name=name) if self._holders.get(name, container.id) == container.id else found

    def _connections(
        self, service: str, tree: Tree, container: ObservedContainer, known: ContainerRef
    ) -> Iterator[Connection]:
        """Yield the networks that were replaced, or that it lost, or lost its names in."""
        joined = {endpoint.network: endpoint for endpoint in container.endpoints}
        for endpoint in resolve.endpoints(self._project, self._firsts, service, tree, known.name):
            if endpoint.network not in joined:
                yield Connection(endpoint, "it is not connected")
            elif endpoint.network in self._replaced:
                yield Connection(endpoint, "the network was recreated")
            elif _lost_name(service, joined[endpoint.network].aliases):
                yield Connection(endpoint, f"it lost its network alias '{service}'", again=True)

    def _start(self, service: str, container: ObservedContainer) -> str:
        """Return why a container must be started, or nothing."""
        if container.id in self._stopped:
            return f"stopped: {self._stopped[container.id]}"
        if container.state in (ContainerState.RUNNING, ContainerState.RESTARTING):
            return ""
        if container.state is ContainerState.PAUSED:
            self._warn(f"container '{container.name}' is paused and was left paused")
            return ""
        if is_done(self._project, self._options, service, container):
            return ""
        if container.state is ContainerState.EXITED:
            code = "an unknown exit code" if container.exit_code is None else f"code {container.exit_code}"
            return f"it exited with {code}"
        return f"it is {container.state.value}"


def is_done(project: Project, options: Options, service: str, container: ObservedContainer) -> bool:
    """Tell a job that succeeded, that is to run again only when it changes, and that nobody asked for by name."""
    return (
        container.state is ContainerState.EXITED
        and container.exit_code == 0
        and service not in options.services
        and extension(project, service).rerun == "on-change"
    )


def stopped_meanwhile(
    world: World, changes: tuple[Change, ...], held: Mapping[str, tuple[Fate, ...]]
) -> dict[str, str]:
    """Return the running containers that are stopped and not removed, by id, and why: the first reason counts."""
    found: dict[str, str] = {}
    for change in changes:
        if change.use.kind == "network" and change.action == REPLACE:
            for container in attached(world, world.networks[change.use.name]):
                if container.state in ACTIVE:
                    found.setdefault(container.id, change.cause)
    for fates in held.values():
        for container, cause in fates:
            if container.state in ACTIVE:
                found.setdefault(container.id, cause)
    return found


def attached(world: World, network: ObservedNetwork) -> list[ObservedContainer]:
    """Return the project's containers in a network, by name."""
    containers = world.observed.containers
    found = [c for c in containers if any(e.network_id == network.id for e in c.endpoints)]
    return sorted(found, key=lambda c: c.name)


def held_by(
    service: str,
    decision: Decision,
    dependents: Collection[str],
    sharers: Collection[str],
    existing: Mapping[str, list[ObservedContainer]],
    *,
    is_started: bool,
) -> tuple[Fate, ...]:
    """Return who is stopped before a service's containers are replaced or started, to be started after them.

    When they are replaced that is who asked for it (``restart: true``). ``sharers`` are those in its namespaces: where
    it ``is_started``, it gets new ones.
    """
    if decision.replace:
        cause = f"service '{service}' is recreated"
    elif sharers and is_started:
        dependents, cause = (
            sharers,
            f"it shares namespaces or volumes with service '{service}', which is started",
        )
    else:
        return ()
    return tuple(Fate(container, cause) for dependent in dependents for container in existing[dependent])


def _lost_name(service: str, aliases: tuple[str, ...]) -> bool:
    """Return True if a container's endpoint lacks the service name as an alias, as after ``docker network connect``.

    If the backend reports no aliases at all, the name is assumed to be there.
    """
    return bool(aliases) and service not in aliases


# ------------------------------------------------------------------ what is said of them, and waited for


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
