"""The steps that make networks and volumes what was decided of them.

A network that changed is replaced under its running containers: they are stopped, disconnected, and connected
again with their complete endpoints (Docker Compose connects them bare, and they lose aliases and addresses).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.observed import ACTIVE
from composer.engine.operations.containers import ConnectNetwork, DisconnectNetwork, StartContainer
from composer.engine.operations.resources import (
    CreateNetwork,
    CreateVolume,
    MendNetwork,
    RemoveNetwork,
    RemoveVolume,
)
from composer.engine.operations.row import ContainerRef
from composer.engine.planning.decisions import CREATE, MEND
from composer.engine.planning.infrastructure import networks_of, volumes_of, wanted_network, wanted_volume
from composer.engine.planning.removals import start_hooks
from composer.engine.planning.staying import attached
from composer.engine.resolving import resolve
from composer.engine.wanted import EndpointSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer
    from composer.engine.planning.decisions import Change, Obsolete, Tree, Use
    from composer.engine.planning.removals import Removals
    from composer.schema.model import Project


class ResourceSteps:
    """Knows, by kind and real name, the step after which a network or a volume is there.

    ``concerned`` are the containers (ids) that the plan is about. Others that have to leave a network which is replaced
    get it back, and run again.
    """

    def __init__(
        self, project: Project, world: World, removals: Removals, concerned: Collection[str]
    ) -> None:
        self._project, self._world, self._removals = project, world, removals
        self._concerned = concerned
        self._bystanders: dict[str, list[int]] = {}
        """The steps after which each of the others is in all networks again."""
        self._builder = removals.builder
        self._steps: dict[tuple[str, str], int] = {}

    def add(self, changes: Iterable[Change]) -> None:
        """Add the steps of what is decided."""
        for change in changes:
            if change.action == CREATE:
                self._create(change.use, change.cause)
            elif change.action == MEND:
                network = self._world.networks[change.use.name]
                operation = MendNetwork(network.name, network.id, change.cause)
                self._steps["network", network.name] = self._builder.add(operation)
            elif change.use.kind == "network":
                self._replace_network(change.use, change.cause)
            else:
                self._replace_volume(change.use, change.cause)
        self._start_bystanders()

    def _start_bystanders(self) -> None:
        for container in self._world.observed.containers:
            steps = self._bystanders.get(container.id)
            if steps and container.state in ACTIVE:
                operation = StartContainer(
                    ContainerRef.of(container), "one of its networks was recreated", start_hooks(container)
                )
                self._builder.add(operation, steps)

    def _create(self, use: Use, cause: str, needs: Iterable[int] = ()) -> None:
        operation: CreateNetwork | CreateVolume
        if use.kind == "network":
            operation = CreateNetwork(wanted_network(self._project, use.key, self._world.form()), cause)
        else:
            operation = CreateVolume(wanted_volume(self._project, use.key), cause)
        self._steps[use.kind, use.name] = self._builder.add(operation, needs)

    def _replace_network(self, use: Use, cause: str) -> None:
        network = self._world.networks[use.name]
        freed = []
        for container in attached(self._world, network):
            if container.id in self._removals.removed:
                freed.append(self._removals.removed[container.id])
                continue
            stopped = self._removals.stop(container, cause)
            step = self._builder.add(DisconnectNetwork(ContainerRef.of(container), use.name, cause), stopped)
            self._removals.touched.setdefault(container.id, []).append(step)
            freed.append(step)
        removed = self._builder.add(RemoveNetwork(use.name, network.id, cause), freed)
        self._create(use, cause, [removed])
        for container in attached(self._world, network):
            is_other = container.id not in self._concerned and container.id not in self._removals.removed
            if is_other and not labels.is_oneoff(container):  # what `run` made does not run twice
                operation = ConnectNetwork(
                    ContainerRef.of(container), _endpoint(container, use), "the network was recreated"
                )
                step = self._builder.add(operation, [self._steps[use.kind, use.name]])
                self._bystanders.setdefault(container.id, []).append(step)

    def _replace_volume(self, use: Use, cause: str) -> None:
        users = [c for c in self._world.observed.containers if any(m.name == use.name for m in c.mounts)]
        gone = [self._removals.remove(c, cause) for c in sorted(users, key=lambda c: c.name)]
        removed = self._builder.add(RemoveVolume(use.name, f"{cause}: its data will be lost"), gone)
        self._create(use, cause, [removed])

    def network_needs(self, name: str) -> list[int]:
        """Return the step after which a network is there, if there is one."""
        step = self._steps.get(("network", name))
        return [step] if step else []

    def needs(self, service: Tree) -> list[int]:
        """Return the steps after which everything that a service's containers are made of is there."""
        keys = [("network", key) for key in networks_of(service)]
        keys += [("volume", key) for key in volumes_of(service)]
        names = ((kind, resolve.real_name(self._project, f"{kind}s", key)) for kind, key in keys)
        return [self._steps[name] for name in names if name in self._steps]

    def remove(self, obsolete: Iterable[Obsolete], needs: Iterable[int], after: Iterable[int]) -> None:
        """Add the removal of networks. Best effort: one that is still in use stays."""
        needs, after = tuple(needs), tuple(after)
        for network, cause in obsolete:
            self._builder.add(RemoveNetwork(network.name, network.id, cause, optional=True), needs, after)


def _endpoint(container: ObservedContainer, use: Use) -> EndpointSpec:
    """Return the place of a container in a network of the project, as its service wanted it."""
    wanted = dict((labels.fields_of(container).get("networks") or {}).get(use.key) or {})
    declared = wanted.pop("aliases", None) or ()
    is_known_by_service = wanted.pop("use_service_name_alias", None) is not False
    own = [container.name, *([labels.service_of(container)] if is_known_by_service else [])]
    return EndpointSpec(use.name, tuple(dict.fromkeys([*own, *declared])), wanted)
