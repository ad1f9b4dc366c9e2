"""The steps of containers, as far as they are there: creations behind what they are made of, starts behind gates.

`emit` and `rollout` say for which container; what each new container is made of is said by `creations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.operations.containers import CreateContainer, StartContainer
from composer.engine.operations.images import BuildImage
from composer.engine.operations.waiting import WaitService
from composer.engine.planning.resources import ResourceSteps
from composer.engine.planning.room import Room
from composer.engine.resolving import resolve
from composer.graph import STARTED, sharing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.engine.observe import World
    from composer.engine.operations.row import ContainerRef
    from composer.engine.planning.creations import Creations
    from composer.engine.planning.decisions import Decisions, Fetch, Tree
    from composer.engine.planning.removals import Removals
    from composer.graph import Dependency, Graph
    from composer.schema.model import Project


class Assembly:
    """The plan so far.

    ``ready``: the steps after which a service's containers run. ``refs``: its containers, after the plan. ``held``:
    the stops of who must not run while it is replaced. ``room``: what has to be free for new containers.
    """

    def __init__(
        self,
        project: Project,
        world: World,
        graph: Graph,
        decisions: Decisions,
        creations: Creations,
        removals: Removals,
    ) -> None:
        self.creations, self.removals, self.builder = creations, removals, removals.builder
        self.resources = ResourceSteps(project, world, removals, decisions.containers)
        self.ready: dict[str, tuple[int, ...]] = {}
        self.refs: dict[str, list[ContainerRef]] = {}
        self.held: dict[str, tuple[int, ...]] = {}
        self.room = Room(project, decisions, creations, removals)
        self._project, self._decisions = project, decisions
        self._services: Tree = project.tree.get("services") or {}
        self._images: dict[str, int] = {}
        self._parts: dict[str, list[int]] = {}
        self._gates: dict[tuple[str, str, bool], int] = {}
        self._waits: dict[str, list[int]] = {}
        self._hooked: dict[str, tuple[int, ...]] = {}
        self._waiting: dict[tuple[str, str, bool], list[str]] = {}
        for name in sorted(graph.conditions):
            for d in graph.conditions[name]:
                self._waiting.setdefault((d.service, d.condition, d.required), []).append(name)

    def fetch(self, fetch: Fetch) -> None:
        """Add the steps that bring an image, each when the one before has ended, in whatever way."""
        step: tuple[int, ...] = ()
        for operation in fetch.operations:
            bases = fetch.bases if isinstance(operation, BuildImage) else ()
            behind = [self._images[base] for base in bases if base in self._images]
            # where a pull comes first it may bring the image, whatever becomes of the bases
            needs, after = (behind, step) if len(fetch.operations) == 1 else ((), (*step, *behind))
            step = (self.builder.add(operation, needs, after=after),)
        # without a step of its own it comes with the image that is the same by another name
        self._images[fetch.reference] = step[0] if step else self._images[fetch.bases[0]]

    def settled(self, service: str) -> tuple[int, ...]:
        """Return the steps after which a service is settled: its containers run, and all conditions on it are met."""
        return (*self.ready.get(service, ()), *self._waits.get(service, ()))

    # ------------------------------------------------------------- creating

    def create(self, creation: CreateContainer, needs: Iterable[int] = (), after: Iterable[int] = ()) -> int:
        """Add the creation of a container, when everything is there that it is made of."""
        made_of = self._made_of(creation.container.service, creation.spec.name)
        return self.builder.add(creation, (*made_of, *needs), after)

    def create_behind_gates(self, creation: CreateContainer) -> int:
        """Add the creation of a container that somebody else starts: it waits for what a start would."""
        needs, after = self._gates_of(creation.container.service)
        return self.create(creation, needs, after)

    def _made_of(self, service: str, name: str) -> list[int]:
        """Return the steps after which everything is there that a new container called ``name`` is made of."""
        made_of = self._parts.get(service)
        if made_of is None:
            made_of = self._parts[service] = self._parts_of(service)
        return [*made_of, self.room.cleared[name]] if name in self.room.cleared else made_of

    def _parts_of(self, service: str) -> list[int]:
        """Return the steps that are the same for all containers of a service."""
        tree = self._services[service]
        needs = self.resources.needs(tree)
        image = self._images.get(resolve.image_of(self._project, service, tree))
        needs += [image] if image else []
        for mount in tree.get("volumes") or ():
            if mount["type"] == "image" and mount.get("source") in self._images:
                needs.append(self._images[mount["source"]])
        for parent in sharing(tree):
            # with --no-start, who shares a namespace needs the container to exist, and waits for its creation
            needs += self.ready.get(parent, ())
        return needs

    # ------------------------------------------------------------- starting and waiting

    def start(
        self, container: ContainerRef, cause: str, steps: Iterable[int], after: Iterable[int] = ()
    ) -> int:
        """Add the start of a container, behind the gates of its service and its ``pre_start`` hooks."""
        service = container.service
        needs, loose = self._gates_of(service)
        needs = (*needs, *self.room.ports_for(service))
        if self._services[service].get("pre_start"):
            steps = self._run_hooks(container, (*steps, *needs), loose)
        hooks = resolve.hooks(self._services[service], "post_start")
        operation = StartContainer(container, cause, hooks)
        return self.builder.add(operation, (*steps, *needs), (*loose, *after))

    def _run_hooks(
        self, container: ContainerRef, steps: tuple[int, ...], after: Iterable[int]
    ) -> tuple[int, ...]:
        """Add the hooks before a start: those for each replica, and before the first one those of the service."""
        service = container.service
        if not self._decisions.services[service].runs_hooks:
            return steps
        is_first = service not in self._hooked
        chain = steps
        for per_replica, hook in self.creations.hooks(container):
            if per_replica or is_first:
                image = self._images.get(hook.spec.image)
                chain = (self.builder.add(hook, (*chain, *([image] if image else [])), after),)
        if is_first:
            self._hooked[service] = chain
        return (*chain, *self._hooked[service])

    def _gates_of(self, service: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the steps that a service's start must come after: those that must succeed, and those that need not."""
        needs: list[int] = []
        after: list[int] = []
        for dependency in self._decisions.gates.get(service, ()):
            if dependency.condition == STARTED:
                (needs if dependency.required else after).extend(self.ready[dependency.service])
            else:
                needs.append(self.gate(dependency))
        return tuple(needs), tuple(after)

    def gate(self, dependency: Dependency) -> int:
        """Return the step that waits for a dependency: one for all who need the same of it."""
        key = (dependency.service, dependency.condition, dependency.required)
        if key not in self._gates:
            waiting = tuple(self._waiting[key])
            operation = WaitService(
                dependency.service,
                (),
                dependency.condition,
                f"needed by {', '.join(waiting)}",
                waiting=waiting,
                required=dependency.required,
            )
            self._gates[key] = self.wait(operation, firm=dependency.required)
        return self._gates[key]

    def wait(self, operation: WaitService, *, firm: bool = True) -> int:
        """Add the wait for a service's containers; not ``firm``: nobody needs that it succeeds, or that they start."""
        service = operation.service
        ready = self.ready[service]
        step = self.builder.add(
            operation._replace(containers=tuple(self.refs[service])),
            ready if firm else (),
            () if firm else ready,
        )
        if firm:
            self._waits.setdefault(service, []).append(step)
        return step
