"""`plan_restore(before, now) → Plan`: put back what ran before an ``up`` that failed.

Nothing of the old stack was removed while that could still happen (`Removals.keep`), so going back is: remove what is
new, give the old containers their names, networks and ports again, and start those that ran. Data is never
touched: a volume that is new goes only when nothing can have written to it. Pure, as `reconcile` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import references
from composer.engine import labels
from composer.engine.observed import ContainerState
from composer.engine.operations.containers import (
    ConnectNetwork,
    DisconnectNetwork,
    MovePorts,
    RenameContainer,
    StartContainer,
)
from composer.engine.operations.images import TagImage
from composer.engine.operations.resources import CreateNetwork, RemoveNetwork, RemoveVolume
from composer.engine.operations.row import ContainerRef
from composer.engine.operations.waiting import STEADY, WaitService
from composer.engine.planning.lifecycle import Fleet
from composer.engine.planning.removals import Removals, start_hooks
from composer.engine.planning.updates import batches, update_of
from composer.engine.wanted import EndpointSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from composer.engine.observed import Observed, ObservedContainer, ObservedEndpoint
    from composer.engine.plan import Plan

_CAUSE = "rollback"
_RUNS = frozenset((ContainerState.RUNNING, ContainerState.RESTARTING))


def plan_restore(
    before: Observed, now: Observed, images: Mapping[str, str], services: Collection[str] = ()
) -> Plan:
    """Return what makes ``now`` what ``before`` was, as far as can be.

    ``images``: the image that each reference names now. ``services`` restricts it to the containers of these.
    """
    return _Restorer(before, now, images, services).plan()


class _Restorer:
    def __init__(
        self, before: Observed, now: Observed, images: Mapping[str, str], services: Collection[str]
    ) -> None:
        self._before, self._now, self._images = before, now, images
        self._services = frozenset(services)
        self._removals = Removals()
        self._builder = self._removals.builder
        self._old = {c.id: c for c in before.containers if self._concerns(c)}
        self._current = {c.id: c for c in now.containers}
        known = {c.id for c in before.containers}
        self._new = sorted(
            (c for c in now.containers if c.id not in known and self._concerns(c)), key=lambda c: c.name
        )
        self._gone: dict[str, list[int]] = {}
        self._networks: dict[str, int] = {}
        self._started: dict[str, list[int]] = {}

    def _concerns(self, container: ObservedContainer) -> bool:
        if labels.is_oneoff(container):
            return False
        return not self._services or labels.service_of(container) in self._services

    def plan(self) -> Plan:
        self._remove_new()
        if not self._services:
            self._restore_networks()
        fleet = Fleet(self._before)
        for service in fleet.order():
            self._restore_service(service, fleet)
        self._restore_images()
        if not self._services:
            self._remove_new_volumes()
        return self._builder.build()

    # ------------------------------------------------------------- what is new

    def _remove_new(self) -> None:
        for container in self._new:
            handed = self._hand_back(container)
            step = self._removals.remove(container, _CAUSE, handed)
            self._gone.setdefault(labels.service_of(container), []).append(step)

    def _hand_back(self, container: ObservedContainer) -> list[int]:
        """Give published ports back to an old container that still runs and had to hand them over."""
        old = self._old.get(container.labels.get(labels.REPLACE, ""))
        current = self._current.get(old.id) if old else None
        if old is None or current is None or current.state is not ContainerState.RUNNING:
            return []
        had = {p for p in old.ports if p.host_port}
        if had <= set(current.ports):
            return []
        return [self._builder.add(MovePorts(ContainerRef.of(old), ContainerRef.of(container), _CAUSE))]

    def _all_gone(self) -> list[int]:
        return [step for steps in self._gone.values() for step in steps]

    def _remove_new_volumes(self) -> None:
        """Only what nothing can have written to: a volume's data is never rolled back."""
        known = {v.name for v in self._before.volumes}
        written = {m.name for c in self._now.containers if c.started_ns for m in c.mounts}
        for volume in sorted(self._now.volumes, key=lambda v: v.name):
            if volume.name in known:
                continue
            if volume.name in written:
                self._builder.warn(f"new volume '{volume.name}' was kept: it may contain data")
            else:
                self._builder.add(RemoveVolume(volume.name, _CAUSE, optional=True), self._all_gone())

    # ------------------------------------------------------------- networks

    def _restore_networks(self) -> None:
        had = {n.id: n for n in self._before.networks}
        has = {n.id: n for n in self._now.networks}
        names = {n.name for n in had.values() if n.id not in has}
        for network in sorted(has.values(), key=lambda n: n.name):
            if network.id in had:
                continue
            freed = self._all_gone()
            for id, current in sorted(self._current.items()):
                if id in self._old and any(e.network_id == network.id for e in current.endpoints):
                    operation = DisconnectNetwork(ContainerRef.of(current), network.name, _CAUSE)
                    freed.append(self._builder.add(operation, self._removals.stop(current, _CAUSE)))
            optional = network.name not in names
            step = self._builder.add(
                RemoveNetwork(network.name, network.id, _CAUSE, optional=optional), freed
            )
            self._networks[network.name] = step
        for network in sorted(had.values(), key=lambda n: n.name):
            if network.id not in has:
                spec = NetworkSpec(network.name, network.labels, network.attributes)
                removed = self._networks.get(network.name)
                step = self._builder.add(CreateNetwork(spec, _CAUSE), [removed] if removed else ())
                self._networks[network.name] = step

    # ------------------------------------------------------------- containers

    def _restore_service(self, service: str, fleet: Fleet) -> None:
        containers = [c for c in fleet.containers[service] if c.id in self._old]
        update = (
            update_of(labels.fields_of(containers[0]), "rollback_config") if containers else update_of({})
        )
        self._started[service] = []
        before: tuple[int, ...] = ()
        for piece in batches(containers, update.parallelism):
            starts = [step for c in piece for step in self._restore(c, fleet, before)]
            self._started[service] += starts
            pause_s = update.monitor_s + update.delay_s
            if starts and pause_s:
                refs = tuple(ContainerRef.of(c) for c in piece)
                operation = WaitService(service, refs, STEADY, "rollback_config", timeout_s=pause_s)
                before = (self._builder.add(operation, after=starts),)

    def _restore(self, old: ObservedContainer, fleet: Fleet, after: tuple[int, ...]) -> list[int]:
        service = labels.service_of(old)
        current = self._current.get(old.id)
        if current is None:
            self._builder.warn(f"container '{old.name}' no longer exists and cannot be restored")
            return []
        steps = list(self._gone.get(service, ()))
        if current.name != old.name:
            operation = RenameContainer(ContainerRef.of(old), current.name, "its name is restored")
            steps.append(self._builder.add(operation, steps))
        steps += self._reconnect(old, current)
        if old.state not in _RUNS or (current.state in _RUNS and old.id not in self._removals.stopped):
            return []
        stopped = self._removals.stopped.get(old.id)
        needs = [*steps, *self._all_gone(), *([stopped] if stopped else [])]
        loose = [step for need in fleet.needs[service] for step in self._started.get(need.service, ())]
        started = StartContainer(ContainerRef.of(old), "it was running before", start_hooks(old))
        return [self._builder.add(started, needs, (*loose, *after))]

    def _reconnect(self, old: ObservedContainer, current: ObservedContainer) -> list[int]:
        joined = {endpoint.network: endpoint.network_id for endpoint in current.endpoints}
        steps = []
        for endpoint in old.endpoints:
            step = self._networks.get(endpoint.network)
            if step is None and joined.get(endpoint.network) == endpoint.network_id:
                continue
            spec = EndpointSpec(endpoint.network, endpoint.aliases, _wanted(old, endpoint))
            operation = ConnectNetwork(ContainerRef.of(old), spec, _CAUSE)
            steps.append(self._builder.add(operation, [step] if step else []))
        return steps

    def _restore_images(self) -> None:
        wanted = {
            c.image: c.image_id
            for c in sorted(self._old.values(), key=lambda c: c.created_ns)
            if c.image and c.image_id and not references.split(c.image).digest
        }
        for reference, id in sorted(wanted.items()):
            if self._images.get(reference, id) != id:
                self._builder.add(TagImage(reference, id, _CAUSE))


def _wanted(container: ObservedContainer, endpoint: ObservedEndpoint) -> dict[str, Any]:
    """Return what the service asked of a network (fixed addresses and the like), by the network's key."""
    project = labels.project_of(container)
    for key, entry in (labels.fields_of(container).get("networks") or {}).items():
        if endpoint.network in (f"{project}_{key}", key):
            return {k: v for k, v in (entry or {}).items() if k != "aliases"}
    return {}
