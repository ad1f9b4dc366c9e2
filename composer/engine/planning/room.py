"""What a plan takes from containers so that others can have it: their names, and their ports of the host.

Whoever has it now is removed, replaced or renamed by the same plan. What is taken in its turn needs no more than an
order of steps; where who gets it comes first, the stop or the removal is drawn before everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine import labels
from composer.engine.operations.containers import RenameContainer
from composer.engine.operations.row import ContainerRef
from composer.values import addresses_meet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.engine.observed import ObservedContainer, ObservedPort
    from composer.engine.planning.creations import Creations
    from composer.engine.planning.decisions import Decisions, Tree
    from composer.engine.planning.removals import Removals
    from composer.schema.model import Project


class _Ports(NamedTuple):
    address: str
    protocol: str
    first: int
    last: int

    def has(self, port: ObservedPort) -> bool:
        """Tell whether a container's port of the host may be one of these."""
        if port.protocol != self.protocol or not self.first <= port.host_port <= self.last:
            return False
        return addresses_meet(port.host_ip, self.address)


class Room:
    """``cleared``: the steps after which a name is free."""

    def __init__(
        self, project: Project, decisions: Decisions, creations: Creations, removals: Removals
    ) -> None:
        self._services: Tree = project.tree.get("services") or {}
        self._decisions, self._creations, self._removals = decisions, creations, removals
        self._order = {service: index for index, service in enumerate(decisions.order)}
        self._ports = {service: tuple(self._ports_of(service)) for service in decisions.order}
        self._names = {name: service for service in decisions.order for name in self._names_of(service)}
        self._freed: list[tuple[ObservedPort, int]] = []
        """Ports of the host, each with the stop of who has it."""
        self.cleared: dict[str, int] = {}

    # -------------------------------------------------------------- what is wanted

    def _ports_of(self, service: str) -> Iterator[_Ports]:
        """Yield the fixed ports of what is created, or started, of a service."""
        decision = self._decisions.services[service]
        starts = any(stay.start for stay in self._decisions.stays[service])
        if not (decision.create or decision.replace or starts):
            return
        for port in self._services[service].get("ports") or ():
            first, _, last = str(port.get("published") or "").partition("-")
            if first:
                address = str(port.get("host_ip") or "")
                yield _Ports(address, port.get("protocol") or "tcp", int(first), int(last or first))

    def _names_of(self, service: str) -> Iterator[str]:
        decision = self._decisions.services[service]
        numbers = [*decision.create, *(labels.number_of(fate.container) for fate in decision.replace)]
        for number in numbers:
            yield self._creations.reference(service, number).name

    def _comes_first(self, service: str, holder: str | None) -> bool:
        """Tell whether a service's steps are drawn before those of the one that has what it needs."""
        return holder is None or self._order[service] < self._order.get(holder, len(self._order))

    def _is_needed(self, container: ObservedContainer, holder: str) -> bool:
        """Tell whether a service whose steps come first needs a port, or the name, of a container."""
        by_name = self._names.get(container.name, holder)
        if by_name != holder and self._comes_first(by_name, holder):
            return True
        return self._has_port_for_earlier(container, holder)

    def _has_port_for_earlier(
        self, container: ObservedContainer, holder: str, *, exact: bool = False
    ) -> bool:
        """Tell whether a service whose steps come first needs a port of a container; ``exact``: it has no choice."""
        return any(
            wanted.has(port)
            for port in container.ports
            if port.host_port
            for service, ports in self._ports.items()
            if service != holder and self._comes_first(service, holder)
            for wanted in ports
            if not exact or wanted.first == wanted.last
        )

    # -------------------------------------------------------------- what is drawn first

    def draw_first(self) -> None:
        """Draw what must come before the steps of all services."""
        for container, cause in self._decisions.orphans:
            self._removals.leave(container, cause)
            self.note(container)
        for service, decision in self._decisions.services.items():
            for container, cause in decision.remove:
                if self._is_needed(container, service):
                    self._removals.leave(container, cause)
                    self.note(container)
            for container, _ in decision.replace:
                if self._has_port_for_earlier(container, service, exact=True):
                    self._removals.stop(container, "another service takes over its port")
                    self.note(container)
                if self._names.get(container.name, service) != service:
                    self._rename(container)

    def note(self, container: ObservedContainer) -> None:
        """Note what the steps that were drawn of a container free: it is stopped, or removed."""
        stopped = self._removals.stopped.get(container.id)
        if stopped is not None:
            self._freed += [(port, stopped) for port in container.ports if port.host_port]
        removed = self._removals.removed.get(container.id)
        if removed is not None:
            self.cleared.setdefault(container.name, removed)
        elif container.name in self._names and container.id in self._removals.leaving:
            self._rename(container)

    def _rename(self, container: ObservedContainer) -> None:
        """Take the name of a container that is only removed at the end."""
        if container.name in self.cleared:
            return
        known = ContainerRef.of(container)
        retired = labels.retired_name(container.id, container.name)
        operation = RenameContainer(known, container.name, "another service takes over its name", to=retired)
        stopped = self._removals.stopped.get(container.id)
        step = self._removals.builder.add(operation, () if stopped is None else (stopped,))
        self._removals.touched.setdefault(container.id, []).append(step)
        self.cleared[container.name] = step

    # -------------------------------------------------------------- what is free after that

    def ports_for(self, service: str) -> list[int]:
        """Return the steps after which the ports of the host are free that a service is to publish."""
        if not self._freed:
            return []
        return sorted(
            {step for wanted in self._ports[service] for port, step in self._freed if wanted.has(port)}
        )
