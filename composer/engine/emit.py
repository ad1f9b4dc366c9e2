"""From what becomes of each container to the steps of a plan, in the order of dependencies.

`reconcile` decides; this only orders. A service's steps: what it is made of (networks, volumes, image), then its
containers (kept, replaced by `rollout`, created), then their start behind the gates of depends_on. At the very end,
when what replaces them has started, old containers are removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine import labels, resolve
from composer.engine.draft import Draft, ref
from composer.engine.extension import extension
from composer.engine.identity import container_labels, substitute_shared
from composer.engine.infrastructure import Infrastructure, orphaned_volumes
from composer.engine.observed import ContainerState
from composer.engine.operations import (
    BuildImage,
    ConnectNetwork,
    ContainerRef,
    CreateContainer,
    DisconnectNetwork,
    PullImage,
    RenameContainer,
    RunHook,
    StartContainer,
    WaitService,
)
from composer.engine.rollout import Rollout
from composer.engine.wait import READY
from composer.errors import BuildFailed, PullFailed
from composer.graph import COMPLETED, STARTED, Dependency, Graph, sharing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer
    from composer.engine.options import Options
    from composer.engine.plan import Plan
    from composer.engine.reconcile import Decision
    from composer.schema.model import Project

    Tree = Mapping[str, Any]

_UNFINISHED = "left over from an interrupted up"


class Emitter:
    """The steps of one plan.

    ``unfinished``: containers that an interrupted ``up`` made and nobody needs. ``retired``: containers that made
    room and were not removed. ``ready``: the steps after which a service's containers run. ``refs``: its
    containers, after the plan.
    """

    def __init__(self, project: Project, world: World, options: Options, graph: Graph) -> None:
        self.project, self.world, self.options, self.graph = project, world, options, graph
        self.services: Tree = project.tree.get("services") or {}
        self.draft = Draft(options.timeout_s, keep=options.on_failure == "rollback")
        self.builder = self.draft.builder
        self.unfinished: list[ObservedContainer] = []
        self.retired: list[ObservedContainer] = []
        self.ready: dict[str, tuple[int, ...]] = {}
        self.refs: dict[str, list[ContainerRef]] = {}
        self.held: dict[str, tuple[int, ...]] = {}
        self._infrastructure = Infrastructure(project, world, self.draft)
        self._decisions: Mapping[str, Decision] = {}
        self._existing: Mapping[str, list[ObservedContainer]] = {}
        self._firsts: dict[str, int] = {}
        self._images: dict[str, int] = {}
        self._cleared: dict[str, int] = {}
        self._gates: dict[tuple[str, str, bool], int] = {}
        self._waits: dict[str, list[int]] = {}
        self._holders = {c.name: c.id for c in world.observed.containers}
        self._hooked: dict[str, tuple[int, ...]] = {}
        self._freed: dict[tuple[str, int], int] = {}
        """The stops of orphans that have a port of the host: (protocol, port)."""
        self._jobs = {d.service for c in graph.conditions.values() for d in c if d.condition == COMPLETED}
        self._restarting: dict[str, list[str]] = {}
        self._waiting: dict[tuple[str, str, bool], list[str]] = {}
        for name in sorted(graph.conditions):
            for d in graph.conditions[name]:
                self._waiting.setdefault((d.service, d.condition, d.required), []).append(name)
                if d.restart:
                    self._restarting.setdefault(d.service, []).append(name)

    @property
    def replaced_volumes(self) -> set[str]:
        return self._infrastructure.replaced_volumes

    def inspect(self) -> None:
        """Find the networks and volumes that diverged, before anything is decided."""
        self._infrastructure.inspect(
            replace_volumes=self.options.replace_volumes, new_volumes=self.options.new_volumes
        )

    def emit(
        self,
        order: tuple[str, ...],
        decisions: Mapping[str, Decision],
        existing: Mapping[str, list[ObservedContainer]],
        orphans: list[ObservedContainer],
    ) -> Plan:
        """Return the plan that carries out ``decisions``; ``existing`` are the containers of each service."""
        self._decisions, self._existing = decisions, existing
        self._firsts = _first_numbers(self.world.observed.containers, decisions)
        for container in self.unfinished:
            self._cleared[container.name] = self.draft.remove(container, _UNFINISHED)
        self._remove_orphans(orphans)
        self._infrastructure.emit()
        for service in order:
            self._pull(service)
            self._pull_extra(service)
        for service in order:
            self._emit(service)
        if self.options.wait:
            self._wait_for_all(order)
        for container in self.retired:
            self.draft.dismiss(container, _UNFINISHED, (), service=labels.service_of(container))
        self.draft.finish(self._settled)
        self._infrastructure.remove_obsolete(
            [step.id for step in self.builder],
            orphans=self.options.remove_orphans and not self.options.services,
            firmly=self.draft.keep,
        )
        return self.builder.build()

    def _settled(self, service: str) -> tuple[int, ...]:
        """Return the steps after which a service is as good as anybody waits for."""
        return (*self.ready.get(service, ()), *self._waits.get(service, ()))

    # ------------------------------------------------------------- removing

    def _remove_orphans(self, orphans: list[ObservedContainer]) -> None:
        if self.options.remove_orphans:
            for name in orphaned_volumes(self.project, self.world):
                self.builder.warn(
                    f"volume '{name}' is no longer in the compose file; its data stays "
                    f"(to remove it: composer volume rm {name})"
                )
        if not orphans:
            return
        if self.options.remove_orphans:
            for container in orphans:
                self.draft.leave(container, f"no service '{labels.service_of(container)}' in the project")
                stopped = self.draft.stopped.get(container.id)
                if stopped is not None:
                    self._freed |= {
                        (p.protocol, p.host_port): stopped for p in container.ports if p.host_port
                    }
        elif not self.options.ignore_orphans:
            names = " ".join(c.name for c in orphans)
            self.builder.warn(
                f"Found orphan containers ([{names}]) for this project. If you removed or renamed this service in "
                "your compose file, you can run this command with the --remove-orphans flag to clean it up."
            )

    # ------------------------------------------------------------- images

    def _pull(self, service: str) -> None:
        decision, tree = self._decisions[service], self.services[service]
        reference = resolve.image_of(self.project, service, tree)
        wanted = decision.create or decision.replace or self._is_oneoff(service)
        if not wanted or reference in self.world.images or reference in self._images:
            return
        policy = self.options.pull or tree.get("pull_policy") or "missing"
        if tree.get("build") and (policy in ("build", "never") or not tree.get("image")):
            if self.options.build is False:
                raise BuildFailed(
                    f"image '{reference}' of service '{service}' is not here, and --no-build was given",
                    hint="build it: composer build, or leave --no-build out",
                )
            self._images[reference] = self.builder.add(
                BuildImage(resolve.build_spec(self.project, service), "not in the store")
            )
            return
        if policy == "never":
            raise PullFailed(
                f"image '{reference}' of service '{service}' is not here, and pull_policy is never",
                hint="pull it, or import it with composer image load",
            )
        may_build = bool(tree.get("build")) and self.options.build is not False
        step = self.builder.add(PullImage(reference, "not in the store", optional=may_build))
        if may_build:
            spec = resolve.build_spec(self.project, service)
            step = self.builder.add(
                BuildImage(spec, "unless it could be pulled", unless_there=True), after=[step]
            )
        self._images[reference] = step

    def _pull_extra(self, service: str) -> None:
        """Pull what a service's containers use besides their own image: of hooks, and mounted images."""
        decision, tree = self._decisions[service], self.services[service]
        if not (decision.create or decision.replace):
            return
        extra = [hook["image"] for hook in tree.get("pre_start") or () if hook.get("image")]
        extra += [m["source"] for m in tree.get("volumes") or () if m["type"] == "image" and m.get("source")]
        for reference in dict.fromkeys(extra):
            if reference not in self.world.images and reference not in self._images:
                cause = f"used by service '{service}'"
                self._images[reference] = self.builder.add(PullImage(reference, cause))

    # ------------------------------------------------------------- one service

    def _emit(self, service: str) -> None:
        decision = self._decisions[service]
        for fate in decision.remove:
            self.draft.leave(fate.container, fate.cause)
        self._stop_dependents(service)
        refs: list[ContainerRef] = []
        self.refs[service] = refs
        ends: list[int] = []
        for container in decision.keep:
            ends += self._keep(service, container, refs)
        if decision.replace:
            ends += Rollout(self, service).replace(decision.replace, refs)
        for number in decision.create:
            ends += self._create(service, number, decision.create_cause, refs)
        if self._is_oneoff(service):
            self._create_oneoff(service)
        # with --no-start, who shares a namespace needs the container to exist, and waits for its creation instead
        self.ready[service] = tuple(ends)

    def _stop_dependents(self, service: str) -> None:
        """Stop who asked for it (``restart: true``) before the containers that they depend on are replaced."""
        stops: list[int] = []
        if self.options.start and self.is_replaced(service):
            for dependent in self._restarting.get(service, ()):
                for container in self._existing[dependent]:
                    stops += self.draft.stop(container, f"service '{service}' is replaced")
        self.held[service] = tuple(stops)

    def is_replaced(self, service: str) -> bool:
        return bool(self._decisions[service].replace)

    def _keep(self, service: str, container: ObservedContainer, refs: list[ContainerRef]) -> tuple[int, ...]:
        known = self._known(service, container)
        refs.append(known)
        steps: list[int] = []
        if container.name != known.name:
            is_ours = labels.is_replacement(container) or labels.is_retired(container)
            cause = _UNFINISHED if is_ours else "it was renamed by hand"
            needs = [self._cleared[known.name]] if known.name in self._cleared else []
            steps.append(self.builder.add(RenameContainer(known, container.name, cause), needs))
        steps += self._reconnect(service, container, known)
        cause = self._needs_start(service, container)
        if cause and self.options.start:
            stopped = self.draft.stopped.get(container.id)
            return self.start(service, known, cause, (*steps, *([stopped] if stopped else [])))
        if not steps:
            self.builder.unchanged.append(known.name)
        return ()

    def _known(self, service: str, container: ObservedContainer) -> ContainerRef:
        """Return a container that stays, by the name that it should have: one of ours was given that name."""
        found = ref(container)
        if labels.FIELDS not in container.labels or found.number == 0:
            return found
        name = resolve.container_name(self.project, service, self.services[service], found.number)
        return found._replace(name=name) if self._holders.get(name, container.id) == container.id else found

    def _needs_start(self, service: str, container: ObservedContainer) -> str:
        """Return why a container that stays must be started, or nothing."""
        if container.id in self.draft.stopped:
            return f"stopped: {self.draft.cause_of_stop(container.id)}"
        if container.state in (ContainerState.RUNNING, ContainerState.RESTARTING):
            return ""
        if container.state is ContainerState.PAUSED:
            self.builder.warn(f"container '{container.name}' is paused and stays so")
            return ""
        if self._is_done(service, container):
            return ""
        if container.state is ContainerState.EXITED:
            code = "with an unknown code" if container.exit_code is None else f"({container.exit_code})"
            return f"it exited {code}"
        return f"it is {container.state.value}"

    def _is_done(self, service: str, container: ObservedContainer) -> bool:
        """Tell a job that succeeded, that is to run again only when it changes, and that nobody asked for by name."""
        return (
            container.state is ContainerState.EXITED
            and container.exit_code == 0
            and service not in self.options.services
            and extension(self.project, service).rerun == "on-change"
        )

    def _reconnect(self, service: str, container: ObservedContainer, known: ContainerRef) -> list[int]:
        """Connect a container that stays to networks that were replaced, or that it lost, or lost its names in."""
        tree = self.services[service]
        if tree.get("network_mode"):
            return []
        joined = {endpoint.network: endpoint for endpoint in container.endpoints}
        steps: list[int] = []
        for endpoint in resolve.endpoints(self.project, self._firsts, service, tree, known.name):
            was_replaced = endpoint.network in self._infrastructure.replaced_networks
            created = self._infrastructure.network_steps.get(endpoint.network)
            needs = [created] if created else []
            if endpoint.network not in joined:
                cause = "it is not connected"
            elif was_replaced:
                cause = "the network was replaced"
            elif _lost_name(service, joined[endpoint.network].aliases):
                cause = f"it has lost its name '{service}' there"
                needs.append(self.builder.add(DisconnectNetwork(known, endpoint.network, cause), needs))
            else:
                continue
            steps.append(self.builder.add(ConnectNetwork(known, endpoint, cause), needs))
        return steps

    def _create(self, service: str, number: int, cause: str, refs: list[ContainerRef]) -> tuple[int, ...]:
        name = resolve.container_name(self.project, service, self.services[service], number)
        new = ContainerRef(name, service, number)
        refs.append(new)
        creation = self.creation(service, new, cause, replaced=None)
        step = self.builder.add(creation, self.creation_needs(service, name))
        return self.start(service, new, "", (step,)) if self.options.start else (step,)

    def _is_oneoff(self, service: str) -> bool:
        return self.options.oneoff is not None and self.options.oneoff.service == service

    def _create_oneoff(self, service: str) -> None:
        """Add the container of a ``run``; whoever runs it starts it, so it waits for what a start would."""
        oneoff = self.options.oneoff
        assert oneoff is not None
        tree = self.services[service]
        image = self.world.images.get(resolve.image_of(self.project, service, tree))
        image_id = image.id if image else ""
        own = container_labels(
            self.project, service, 1, self.world, depends_on=self.graph.conditions[service], image_id=image_id
        )
        own |= {labels.ONEOFF: "True", labels.SLUG: oneoff.slug}
        spec = resolve.oneoff_spec(
            self.project, oneoff, labels=own, image_id=image_id or None, firsts=self._firsts
        )
        needs, after = self._gates_of(service)
        creation = CreateContainer(ContainerRef(oneoff.name, service, 1), spec, "run")
        self.builder.add(creation, (*self.creation_needs(service, oneoff.name), *needs), after)

    # ------------------------------------------------------------- what a new container is made of

    def creation_needs(self, service: str, name: str) -> list[int]:
        """Return the steps after which everything is there that a new container called ``name`` is made of."""
        tree = self.services[service]
        needs = self._infrastructure.needs(tree)
        image = self._images.get(resolve.image_of(self.project, service, tree))
        needs += [image] if image else []
        for mount in tree.get("volumes") or ():
            if mount["type"] == "image" and mount.get("source") in self._images:
                needs.append(self._images[mount["source"]])
        needs += [self._cleared[name]] if name in self._cleared else []
        for parent in sharing(tree):
            needs += self.ready.get(parent, ())
        return needs

    def creation(
        self, service: str, new: ContainerRef, cause: str, *, replaced: ObservedContainer | None
    ) -> CreateContainer:
        """Return the operation that creates a container; it inherits the anonymous volumes of ``replaced``."""
        tree = self.services[service]
        image = self.world.images.get(resolve.image_of(self.project, service, tree))
        spec = resolve.container_spec(
            self.project,
            service,
            new.number,
            labels=container_labels(
                self.project,
                service,
                new.number,
                self.world,
                depends_on=self.graph.conditions[service],
                image_id=image.id if image else "",
            ),
            image_id=image.id if image else None,
            firsts=self._firsts,
            carried=self._carried(tree, replaced) if replaced else None,
        )
        hashed = substitute_shared(tree, self._lasting_ids()) if sharing(tree) else None
        return CreateContainer(new, spec, cause, hashed=hashed)

    def _lasting_ids(self) -> dict[str, str]:
        """Return the id of the first container of each service that this plan does not replace."""
        firsts: dict[str, str] = {}
        for service, decision in self._decisions.items():
            first = min(
                (*decision.keep, *(f.container for f in decision.replace)), key=labels.number_of, default=None
            )
            if first is not None and first in decision.keep:
                firsts[service] = first.id
        return firsts

    def _carried(self, tree: Tree, old: ObservedContainer) -> dict[str, str]:
        """Return the anonymous volumes that the new container inherits: the image's, and those with no source."""
        if self.options.renew_anonymous_volumes:
            return {}
        declared = {m["target"]: m for m in tree.get("volumes") or ()}
        anonymous = {
            target for target, m in declared.items() if m["type"] == "volume" and not m.get("source")
        }
        image = next((i for i in self.world.images.values() if i.id == old.image_id), None)
        inherited = set(image.volumes) - declared.keys() if image else set()
        return {
            mount.target: mount.name
            for mount in old.mounts
            if mount.type == "volume" and mount.name and mount.target in anonymous | inherited
        }

    # ------------------------------------------------------------- starting and waiting

    def start(
        self,
        service: str,
        container: ContainerRef,
        cause: str,
        steps: Iterable[int],
        after: Iterable[int] = (),
    ) -> tuple[int, ...]:
        """Add the start of a container, behind the gates of its service."""
        needs, loose = self._gates_of(service)
        needs = (*needs, *self._freed_for(service))
        if self.services[service].get("pre_start"):
            steps = self._run_hooks(service, container, (*steps, *needs), loose)
        hooks = resolve.hooks(self.services[service], "post_start")
        operation = StartContainer(container, cause, hooks)
        return (self.builder.add(operation, (*steps, *needs), (*loose, *after)),)

    def _freed_for(self, service: str) -> list[int]:
        """Return the stops of orphans that have a port which a service is to publish."""
        steps = set()
        for port in (self.services[service].get("ports") or ()) if self._freed else ():
            first, _, last = str(port.get("published") or "0").partition("-")
            numbers = range(int(first), int(last or first) + 1)
            protocol = port.get("protocol", "tcp")
            steps |= {
                step for (one, number), step in self._freed.items() if one == protocol and number in numbers
            }
        return sorted(steps)

    def _run_hooks(
        self, service: str, container: ContainerRef, steps: tuple[int, ...], after: Iterable[int]
    ) -> tuple[int, ...]:
        """Add the pre_start hooks before a start: once for a service of which nothing runs, or for each replica."""
        first = service not in self._hooked
        self._hooked.setdefault(service, ())
        if any(c.state is ContainerState.RUNNING for c in self._decisions[service].keep):
            return steps
        made = container_labels(
            self.project, service, container.number, self.world, depends_on=(), image_id=""
        )
        own = {**made, labels.ONEOFF: "True"}
        chain = steps
        for per_replica, spec in resolve.pre_start_specs(
            self.project, service, container.number, labels=own, hook_label=labels.HOOK, firsts=self._firsts
        ):
            if not per_replica and not first:
                continue
            image = self._images.get(spec.image)
            left = next((c.id for c in self.world.observed.containers if c.name == spec.name), "")
            operation = RunHook(container, spec, f"pre_start of service '{service}'", left)
            chain = (self.builder.add(operation, (*chain, *([image] if image else [])), after),)
        if first:
            self._hooked[service] = chain
        return (*chain, *self._hooked[service])

    def _gates_of(self, service: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the steps that a service's start must come after: those that must succeed, and those that need not."""
        needs: list[int] = []
        after: list[int] = []
        if not self.options.dependencies:
            return (), ()
        for dependency in self.graph.conditions[service]:
            if not self.refs[dependency.service]:
                continue  # scaled to 0: there is nothing to wait for
            if dependency.condition == STARTED:
                (needs if dependency.required else after).extend(self.ready[dependency.service])
            else:
                needs.append(self._gate(dependency))
        return tuple(needs), tuple(after)

    def _gate(self, dependency: Dependency) -> int:
        key = (dependency.service, dependency.condition, dependency.required)
        if key not in self._gates:
            waiting = tuple(self._waiting[key])
            operation = WaitService(
                dependency.service,
                tuple(self.refs[dependency.service]),
                dependency.condition,
                f"needed by {', '.join(waiting)}",
                waiting=waiting,
                required=dependency.required,
            )
            ready = self.ready[dependency.service]
            self._gates[key] = self.builder.add(
                operation, ready if dependency.required else (), () if dependency.required else ready
            )
            if dependency.required:
                self._waits.setdefault(dependency.service, []).append(self._gates[key])
        return self._gates[key]

    def _wait_for_all(self, order: tuple[str, ...]) -> None:
        named = self.options.services or order
        for service in order:
            if service not in named or not self.refs[service]:
                continue
            condition = COMPLETED if service in self._jobs else READY
            limit = self.options.wait_timeout_s
            refs = tuple(self.refs[service])
            # a job is tried again until it succeeds: that is what its restart policy is for
            restarts = None if condition == COMPLETED else self.options.wait_restarts
            operation = WaitService(service, refs, condition, "--wait", timeout_s=limit, restarts=restarts)
            step = self.builder.add(operation, self.ready[service])
            self._waits.setdefault(service, []).append(step)


def _first_numbers(
    observed: Iterable[ObservedContainer], decisions: Mapping[str, Decision]
) -> dict[str, int]:
    """Return the lowest number that each service's containers will have."""
    numbers: dict[str, list[int]] = {}
    for container in observed:
        service = labels.service_of(container)
        if service not in decisions and not labels.is_oneoff(container):
            numbers.setdefault(service, []).append(labels.number_of(container))
    for service, decision in decisions.items():
        lasting = (*decision.keep, *(fate.container for fate in decision.replace))
        numbers[service] = [*map(labels.number_of, lasting), *decision.create]
    return {service: min(found) for service, found in numbers.items() if found}


def _lost_name(service: str, aliases: tuple[str, ...]) -> bool:
    """Tell a container that somebody connected by hand, without its name; a backend that tells none is believed."""
    return bool(aliases) and service not in aliases
