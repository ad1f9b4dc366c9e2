"""What new containers are made of: names, labels, specifications. Pure; no step is made here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.operations.containers import CreateContainer, RunHook
from composer.engine.operations.row import ContainerRef
from composer.engine.resolving import resolve
from composer.engine.resolving.identity import container_labels, substitute_shared
from composer.engine.wanted import RestartsWith
from composer.graph import HEALTHY, dependencies, sharing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer
    from composer.engine.options import OneOff
    from composer.engine.planning.decisions import Decisions, Tree
    from composer.graph import Dependency, Graph
    from composer.schema.model import Project


class Creations:
    """``renew``: new containers get anonymous volumes of their own instead of those of whom they replace."""

    def __init__(
        self, project: Project, world: World, graph: Graph, decisions: Decisions, *, renew: bool
    ) -> None:
        self._project, self._world, self._graph, self._decisions = project, world, graph, decisions
        self._renew = renew
        self._services: Tree = project.tree.get("services") or {}

    def reference(self, service: str, number: int) -> ContainerRef:
        """Return a new container of a service by its final name."""
        name = resolve.container_name(self._project, service, self._services[service], number)
        return ContainerRef(name, service, number)

    def container(
        self, service: str, new: ContainerRef, cause: str, *, replaced: ObservedContainer | None = None
    ) -> CreateContainer:
        """Return the operation that creates a container; it inherits the anonymous volumes of ``replaced``."""
        tree = self._services[service]
        image_id = self._image_id(service)
        spec = resolve.container_spec(
            self._project,
            service,
            new.number,
            labels=self._labels(service, new.number, self._depends_on(service), image_id),
            image_id=image_id or None,
            firsts=self._decisions.firsts,
            carried=self._carried(tree, replaced) if replaced else None,
        )
        hashed = substitute_shared(tree, self._lasting_ids()) if sharing(tree) else None
        # what follows from links or shared namespaces holds for commands only, as with Docker Compose
        followed = [d for d in self._graph.conditions[service] if d.restart and not d.implicit]
        spec = spec._replace(
            replaces=replaced.id if replaced is not None else "",
            restarts_with=tuple(RestartsWith(d.service, d.condition == HEALTHY) for d in followed),
        )
        return CreateContainer(new, spec, cause, hashed=hashed)

    def replacement(
        self, service: str, new: ContainerRef, cause: str, *, replaced: ObservedContainer, takes_ports: bool
    ) -> CreateContainer:
        """Return the operation that creates a container under a temporary name, while another has its own."""
        creation = self.container(service, new, cause, replaced=replaced)
        spec = creation.spec._replace(
            name=labels.replacement_name(replaced.id, new.name),
            labels={**creation.spec.labels, labels.REPLACE: replaced.id},
            takes_over=replaced.id if takes_ports else "",
        )
        return creation._replace(spec=spec)

    def oneoff(self, oneoff: OneOff) -> CreateContainer:
        """Return the operation that creates the container of a ``run``."""
        service, image_id = oneoff.service, self._image_id(oneoff.service)
        own = self._labels(service, 1, self._depends_on(service), image_id)
        own |= {labels.ONEOFF: "True", labels.SLUG: oneoff.slug}
        spec = resolve.oneoff_spec(
            self._project, oneoff, labels=own, image_id=image_id or None, firsts=self._decisions.firsts
        )
        return CreateContainer(ContainerRef(oneoff.name, service, 1), spec, "run")

    def hooks(self, container: ContainerRef) -> Iterator[tuple[bool, RunHook]]:
        """Yield the ``pre_start`` hooks of a service, with whether each runs for every replica."""
        own = {**self._labels(container.service, container.number, (), ""), labels.ONEOFF: "True"}
        specs = resolve.pre_start_specs(
            self._project,
            container.service,
            container.number,
            labels=own,
            hook_label=labels.HOOK,
            firsts=self._decisions.firsts,
        )
        for index, (per_replica, spec) in enumerate(specs):
            left = next((c.id for c in self._world.observed.containers if c.name == spec.name), "")
            cause = f"pre_start of service '{container.service}'"
            yield per_replica, RunHook(container, spec, cause, left, index)

    def _depends_on(self, service: str) -> list[Dependency]:
        """Return what a service depends on as its label says it: with what providers made."""
        elsewhere = self._project.provided
        beyond = [one for one in dependencies(self._services[service]) if one.service in elsewhere]
        return sorted((*self._graph.conditions[service], *beyond))

    def _image_id(self, service: str) -> str:
        image = self._world.images.get(resolve.image_of(self._project, service, self._services[service]))
        return image.id if image else ""

    def _labels(
        self, service: str, number: int, depends_on: Sequence[Dependency], image_id: str
    ) -> dict[str, str]:
        return container_labels(
            self._project, service, number, self._world, depends_on=depends_on, image_id=image_id
        )

    def _lasting_ids(self) -> dict[str, str]:
        """Return the id of the first container of each service that this plan does not replace."""
        firsts: dict[str, str] = {}
        for service, decision in self._decisions.services.items():
            first = min(
                (*decision.keep, *(f.container for f in decision.replace)), key=labels.number_of, default=None
            )
            if first is not None and first in decision.keep:
                firsts[service] = first.id
        return firsts

    def _carried(self, tree: Tree, old: ObservedContainer) -> dict[str, str]:
        """Return the anonymous volumes that the new container inherits: the image's, and those with no source."""
        if self._renew:
            return {}
        declared = {m["target"]: m for m in tree.get("volumes") or ()}
        anonymous = {
            target for target, m in declared.items() if m["type"] == "volume" and not m.get("source")
        }
        image = next((i for i in self._world.images.values() if i.id == old.image_id), None)
        inherited = set(image.volumes) - declared.keys() if image else set()
        return {
            mount.target: mount.name
            for mount in old.mounts
            if mount.type == "volume" and mount.name and mount.target in anonymous | inherited
        }
