"""Plans for the verbs that need no compose file: down, stop, start, restart, kill, rm.

What they must know is in the containers' labels, order included. Pure, as `reconcile` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine import labels
from composer.engine.observed import ACTIVE, ContainerState
from composer.engine.operations.containers import KillContainer, StartContainer
from composer.engine.operations.images import RemoveImage
from composer.engine.operations.resources import RemoveNetwork, RemoveVolume
from composer.engine.operations.row import ContainerRef
from composer.engine.operations.waiting import READY, WaitService
from composer.engine.planning.external import Externals
from composer.engine.planning.removals import Removals, start_hooks
from composer.errors import UnknownService, no_such_service
from composer.graph import after_needs, sharing_namespaces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from composer.engine.observed import Observed, ObservedContainer
    from composer.engine.plan import Plan
    from composer.engine.planning.external import External

_STARTED = "service_started"


class Need(NamedTuple):
    """One entry of the depends_on label."""

    service: str
    condition: str
    restart: bool
    shares: bool = False
    """The service is in namespaces of this one."""


class Fleet:
    """The containers of a project by service, with the dependencies that their labels tell.

    ``services`` restricts it. ``external`` are services without containers: who depends on one depends on what that
    needs. Raises UnknownService for a name that is of neither.
    """

    def __init__(
        self,
        observed: Observed,
        services: Sequence[str] = (),
        *,
        oneoff: bool = False,
        external: Mapping[str, External] | None = None,
    ) -> None:
        self.external = Externals(external or {}, services)
        self.containers: dict[str, list[ObservedContainer]] = {}
        for container in sorted(observed.containers, key=_by_number):
            if oneoff or not labels.is_oneoff(container):
                self.containers.setdefault(labels.service_of(container), []).append(container)
        owners = {container.id: labels.service_of(container) for container in observed.containers}
        self.needs: dict[str, tuple[Need, ...]] = {}
        self.uses: dict[str, set[str]] = {}
        """The external services that one depends on."""
        for service, containers in self.containers.items():
            needs = _needs(containers[-1], owners)
            self.uses[service], beyond = self.external.through(need.service for need in needs)
            needs += [Need(name, _STARTED, False) for name in beyond]
            self.needs[service] = tuple(
                need for need in needs if need.service in self.containers and need.service != service
            )
        known = {**self.containers, **self.external.services}
        for name in services:
            if name not in known:
                raise no_such_service(name, known)
        named = tuple(name for name in services if name in self.containers)
        self.selected = named if services else tuple(sorted(self.containers))

    def order(self) -> list[str]:
        """Return the selected services, each after what it depends on; a cycle in labels is cut somewhere."""
        ordered = after_needs(
            sorted(self.containers), lambda name: [need.service for need in self.needs[name]]
        )
        selected = frozenset(self.selected)
        return [name for name in ordered if name in selected]

    def with_needs(self, services: Iterable[str]) -> set[str]:
        """Return services with all that they depend on."""
        found: set[str] = set()
        pending = list(services)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += [need.service for need in self.needs[name]]
        return found

    def sharers(self, services: Iterable[str]) -> list[str]:
        """Return who is in namespaces of services, and in theirs, each after the one that it shares with."""
        known, found = set(services), list[str]()
        pending = list(self.needs)
        while True:
            new = [
                name
                for name in pending
                if name not in found and any(n.shares and n.service in known for n in self.needs[name])
            ]
            if not new:
                return found
            found += new
            known |= set(new)

    def dependents(self) -> dict[str, list[str]]:
        """Return the selected services that depend on each service, in their order."""
        found: dict[str, list[str]] = {name: [] for name in self.containers}
        for name in self.order():
            for needed in {need.service: None for need in self.needs[name]}:
                found[needed].append(name)
        return found


def _needs(container: ObservedContainer, services: Mapping[str, str]) -> list[Need]:
    """Return what a container needs, by its labels. Who is in another's namespaces is restarted with it."""
    found = {entry[0]: Need(*entry) for entry in labels.read_depends_on(container.labels)}
    owner_of_network = services.get(container.network_of, "")
    for owner in (*sharing_namespaces(labels.fields_of(container)), *filter(None, (owner_of_network,))):
        need = found.get(owner, Need(owner, _STARTED, True))
        found[owner] = need._replace(restart=True, shares=True)
    return list(found.values())


def _by_number(container: ObservedContainer) -> tuple[str, int, str]:
    return labels.service_of(container), labels.number_of(container), container.name


class Teardown(NamedTuple):
    """What ``down`` removes. ``images`` is ``local``, ``all`` or nothing.

    It leaves the services in ``spare`` alone, and the volumes in ``kept_volumes``. ``external`` are services that
    providers made. ``found_images`` are images of services, whether or not they have a container.
    """

    services: tuple[str, ...] = ()
    volumes: bool = False
    images: str = ""
    timeout_s: float | None = None
    spare: frozenset[str] = frozenset()
    kept_volumes: frozenset[str] = frozenset()
    external: Mapping[str, External] = {}
    found_images: frozenset[str] = frozenset()


def plan_down(project: str, observed: Observed, options: Teardown) -> Plan:
    """Remove containers in the reverse order of dependencies, then networks, volumes and images."""
    fleet = Fleet(observed, options.services, oneoff=True, external=options.external)
    removals = Removals(options.timeout_s)
    gone: dict[str, list[int]] = {}
    dependents = fleet.dependents()
    for service in reversed(fleet.order()):
        if service in options.spare:
            continue
        needs = [step for dependent in dependents.get(service, ()) for step in gone.get(dependent, ())]
        needs += fleet.external.end(removals.builder, fleet.uses, gone, before=service)
        gone[service] = [
            # what failed to go must not keep the rest from going
            removals.remove(container, "down", after=needs, volumes=options.volumes)
            for container in reversed(fleet.containers[service])
        ]
    everything = [step for steps in gone.values() for step in steps]
    everything += fleet.external.end(removals.builder, fleet.uses, gone)
    if not options.services:
        for network in sorted(observed.networks, key=lambda n: n.name):
            operation = RemoveNetwork(network.name, network.id, "down", optional=True)
            removals.builder.add(operation, after=everything)
        for volume in sorted(observed.volumes, key=lambda v: v.name) if options.volumes else ():
            if volume.name in options.kept_volumes:
                continue
            removals.builder.add(RemoveVolume(volume.name, "down --volumes", optional=True), after=everything)
    for reference in _images(project, fleet, options):
        removals.builder.add(RemoveImage(reference, f"down --rmi {options.images}"), after=everything)
    if not list(removals.builder):
        removals.builder.warn(f'No resource found to remove for project "{project}"')
    return removals.builder.build()


def _images(project: str, fleet: Fleet, options: Teardown) -> list[str]:
    if not options.images:
        return []
    used = {
        container.image
        for service in fleet.selected
        for container in fleet.containers.get(service, ())
        if options.images == "all" or container.image in (f"{project}-{service}", f"{project}_{service}")
    }
    return sorted((used | options.found_images) - {""})


def plan_stop(
    observed: Observed,
    services: Sequence[str],
    timeout_s: float | None,
    external: Mapping[str, External] | None = None,
) -> Plan:
    """Stop containers, and what providers made, in the reverse order of dependencies."""
    fleet = Fleet(observed, services, external=external)
    removals = Removals(timeout_s)
    _stop_all(fleet, removals, fleet.order(), "stop")
    return removals.builder.build()


def _stop_all(fleet: Fleet, removals: Removals, order: Iterable[str], cause: str) -> None:
    stopped: dict[str, list[int]] = {}
    dependents = fleet.dependents()
    for service in reversed(list(order)):
        after = [step for dependent in dependents.get(service, ()) for step in stopped.get(dependent, ())]
        after += fleet.external.end(removals.builder, fleet.uses, stopped, before=service)
        stopped[service] = [
            step for c in fleet.containers[service] for step in removals.stop(c, cause, after=after)
        ]
        for container in fleet.containers[service] if cause == "stop" else ():
            removals.tell_stopped(container, more=False)
    fleet.external.end(removals.builder, fleet.uses, stopped)


def plan_start(
    observed: Observed,
    services: Sequence[str],
    *,
    wait_timeout_s: float | None = None,
    wait_restarts: int | None = None,
    wait: bool = False,
) -> Plan:
    """Start what does not run, and what it depends on, waiting as depends_on says."""
    fleet = Fleet(observed, services)
    if not fleet.selected:
        raise UnknownService("no container to start", hint="create the containers with composer up")
    removals = Removals()
    waited = fleet.order()
    fleet.selected = tuple(sorted(fleet.with_needs(fleet.selected)))
    fleet.selected = (*fleet.selected, *_stop_sharers(fleet, removals))
    started = _start_all(fleet, removals, fleet.order())
    if wait:
        for service in waited:
            refs = tuple(ContainerRef.of(c) for c in fleet.containers[service])
            operation = WaitService(
                service, refs, READY, "--wait", timeout_s=wait_timeout_s, restarts=wait_restarts
            )
            removals.builder.add(operation, started[service])
    return removals.builder.build()


def _stop_sharers(fleet: Fleet, removals: Removals) -> list[str]:
    """Stop who runs in namespaces of services that are started, and so get new ones; return these services.

    And who shares with those in their turn.
    """
    # the first replica is the one that others share with
    started = {name for name in fleet.selected if fleet.containers[name][0].state not in ACTIVE}
    found: list[str] = []
    for name in fleet.sharers(started):
        owners = [n.service for n in fleet.needs[name] if n.shares and n.service in started]
        if name in started or not owners:
            continue  # it does not run, or who is between them does not
        for container in fleet.containers[name]:
            removals.stop(
                container, f"it shares namespaces or volumes with service '{owners[0]}', which is started"
            )
        if fleet.containers[name][0].id in removals.stopped:
            started.add(name)
        if any(c.id in removals.stopped for c in fleet.containers[name]):
            found.append(name)
    return [name for name in found if name not in fleet.selected]


def plan_restart(
    observed: Observed, services: Sequence[str], timeout_s: float | None, *, dependents: bool = True
) -> Plan:
    """Stop and start; with ``dependents`` also the services that asked for it (``restart: true``)."""
    fleet = Fleet(observed, services)
    chosen = set(fleet.selected)
    if services and dependents:
        chosen |= {
            name
            for name, needs in fleet.needs.items()
            if any(n.restart and n.service in fleet.selected for n in needs)
        }
        chosen |= set(fleet.sharers(chosen))
    fleet.selected = tuple(sorted(chosen))
    removals = Removals(timeout_s)
    _stop_all(fleet, removals, fleet.order(), "restart")
    _start_all(fleet, removals, fleet.order(), "restart")
    return removals.builder.build()


def _start_all(fleet: Fleet, removals: Removals, order: list[str], cause: str = "") -> dict[str, list[int]]:
    """Start what is not running, because of ``cause`` or of its state; return the steps of each service."""
    started: dict[str, list[int]] = {}
    for service in order:
        idle = [c for c in fleet.containers[service] if c.state not in ACTIVE or c.id in removals.stopped]
        started[service] = []
        if idle:
            needs = _gates(fleet, removals, service, started)
            for container in idle:
                stop = removals.stopped.get(container.id)
                why = cause or ("restart" if stop else f"it is {container.state.value}")
                operation = StartContainer(ContainerRef.of(container), why, start_hooks(container))
                started[service].append(removals.builder.add(operation, [*needs, *([stop] if stop else [])]))
    return started


def _gates(fleet: Fleet, removals: Removals, service: str, started: dict[str, list[int]]) -> list[int]:
    steps: list[int] = []
    for need in fleet.needs[service]:
        if need.service not in started:
            continue  # not among the services that were asked for, or cut from a cycle
        if need.condition == _STARTED:
            steps += started[need.service]
        else:
            refs = tuple(ContainerRef.of(c) for c in fleet.containers[need.service])
            operation = WaitService(need.service, refs, need.condition, f"needed by {service}", (service,))
            steps.append(removals.builder.add(operation, started[need.service]))
    return steps


def plan_kill(
    observed: Observed, services: Sequence[str], signal: str, *, spare: frozenset[str] = frozenset()
) -> Plan:
    """Send a signal to what runs, paused or not."""
    fleet = Fleet(observed, services, oneoff=True)
    removals = Removals()
    for service in sorted(set(fleet.selected) - spare):
        for container in fleet.containers[service]:
            if container.state in (ContainerState.RUNNING, ContainerState.PAUSED):
                removals.builder.add(KillContainer(ContainerRef.of(container), signal, "kill"))
    return removals.builder.build()


def plan_remove(
    observed: Observed, services: Sequence[str], *, stop: bool, volumes: bool, timeout_s: float | None = None
) -> Plan:
    """Remove what is stopped; with ``stop`` also what runs."""
    fleet = Fleet(observed, services)
    removals = Removals(timeout_s)
    for service in reversed(fleet.order()):
        for container in fleet.containers[service]:
            if stop:
                removals.tell_stopped(container)
            if stop or container.state not in ACTIVE:
                removals.remove(container, "rm", volumes=volumes)
    return removals.builder.build()


def selected(observed: Observed, services: Collection[str]) -> list[ObservedContainer]:
    """Return the containers of services (none: all), one-offs left out, in the order of names and numbers."""
    fleet = Fleet(observed, tuple(services))
    return [c for service in sorted(fleet.selected) for c in fleet.containers[service]]
