"""`reconcile(project, world, options) → Plan`: from what is wanted and what exists to what has to be done.

Pure: no I/O, no clock, no environment; everything is visited in a fixed order, so the same input gives the same
bytes of text. It only decides and orders: who runs it, and how, is `execute`'s affair.

Behaviour: Docker Compose's (docker/compose pkg/compose/reconcile.go), except where it loses something: hooks run
before every stop, a reconnected container keeps its aliases, a job that is done is not done again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer import __version__
from composer.engine import compare, labels, resolve
from composer.engine.backend import ContainerState, Limitation
from composer.engine.decide import (
    Decision,
    Fate,
    Options,
    contents_of,
    decide,
    hashed_tree,
    substitute_shared,
)
from composer.engine.draft import Draft, ref
from composer.engine.hashing import service_hash
from composer.engine.infrastructure import Infrastructure
from composer.engine.operations import (
    ConnectNetwork,
    ContainerRef,
    CreateContainer,
    PullImage,
    RenameContainer,
    StartContainer,
    WaitService,
)
from composer.errors import BuildFailed, PullFailed, Unsupported
from composer.graph import COMPLETED, STARTED, Dependency, Graph, sharing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.backend import ObservedContainer
    from composer.engine.observe import World
    from composer.engine.plan import Plan
    from composer.schema.model import Project

    Tree = Mapping[str, Any]

__all__ = ["READY", "Options", "reconcile"]

READY = "ready"
"""The condition of ``--wait``: healthy where there is a health check, else running, or finished with 0."""


_NO_PROVIDERS = Limitation(
    ("provider",),
    "services of a provider are not run yet",
    hint="leave the service out with a profile, or run it with docker compose",
)


def reconcile(project: Project, world: World, options: Options) -> Plan:
    """Return the operations that make ``world`` what ``project`` says.

    Raises ConfigError or ProjectError where the two cannot be brought together, CycleError for dependencies that
    go round, and Unsupported (several: an ExceptionGroup) for what the backend cannot honour.
    """
    return _Reconciler(project, world, options).plan()


class _Reconciler:
    """One run. Decides for every service first, then adds the steps in the order of dependencies.

    ``_ready``: the steps after which a service's containers run. ``_refs``: its containers, after the plan.
    """

    def __init__(self, project: Project, world: World, options: Options) -> None:
        self._project, self._world, self._options = project, world, options
        self._services: Tree = project.tree.get("services") or {}
        self._graph = Graph(project.tree, project.mark)
        self._draft = Draft(options.timeout_s)
        self._builder = self._draft.builder
        self._infrastructure = Infrastructure(project, world, self._draft)
        self._existing: dict[str, list[ObservedContainer]] = {name: [] for name in self._services}
        self._orphans: list[ObservedContainer] = []
        self._leftovers: list[ObservedContainer] = []
        self._decisions: dict[str, Decision] = {}
        self._restarts: dict[str, str] = {}
        self._images: dict[str, int] = {}
        self._cleared: dict[str, int] = {}
        self._ready: dict[str, tuple[int, ...]] = {}
        self._refs: dict[str, list[ContainerRef]] = {}
        self._gates: dict[tuple[str, str, bool], int] = {}
        self._held: dict[str, tuple[int, ...]] = {}

    def plan(self) -> Plan:
        order = self._graph.order()
        self._check_limitations()
        self._sort_containers()
        self._infrastructure.inspect(replace_volumes=self._options.replace_volumes)
        for service in order:
            self._decide(service)
        self._remove_leftovers()
        self._remove_orphans()
        self._infrastructure.emit()
        for service in order:
            self._pull(service)
        for service in order:
            self._emit(service)
        self._infrastructure.remove_obsolete(
            [step.id for step in self._builder],
            orphans=self._options.remove_orphans and not self._options.services,
        )
        if self._options.wait:
            self._wait_for_all(order)
        return self._builder.build()

    # ------------------------------------------------------------- deciding

    def _check_limitations(self) -> None:
        fatal: list[Exception] = []
        for service in sorted(self._services):
            found = self._world.limitations.get(service, ())
            if self._services[service].get("provider"):
                found = (*found, _NO_PROVIDERS)
            for limitation in found:
                path = ("services", service, *limitation.path)
                feature = compare.dotted(path)
                mark = self._project.mark(path)
                place = f"{mark}: " if mark and str(mark) else ""
                sentence = f"{place}{feature}: {limitation.reason}"
                if limitation.fatal:
                    fatal.append(Unsupported(feature, sentence, hint=limitation.hint))
                else:
                    self._builder.warn(sentence)
        if len(fatal) == 1:
            raise fatal[0]
        if fatal:
            raise ExceptionGroup("the backend cannot run this project", fatal)

    def _sort_containers(self) -> None:
        """Tell the containers of services from orphans, and from what an interrupted ``up`` left behind."""
        known = self._options.known | self._services.keys() | self._project.disabled.keys()
        everything = self._world.observed.containers
        for container in sorted(everything, key=lambda c: c.name):
            service = labels.service_of(container)
            if labels.is_oneoff(container):
                if container.state in (ContainerState.EXITED, ContainerState.DEAD):
                    self._orphans.append(container)
            elif service not in known:
                self._orphans.append(container)
            elif service in self._existing:
                is_leftover = labels.is_replacement(container) and any(
                    other.id.startswith(container.labels[labels.REPLACE][:12])
                    or other.name == labels.final_name(container.name)
                    for other in everything
                )
                (self._leftovers if is_leftover else self._existing[service]).append(container)

    def _decide(self, service: str) -> None:
        replaced = frozenset(
            name
            for name, decision in self._decisions.items()
            if decision.replace or any(c.id in self._on_replaced_volume() for c in self._existing[name])
        )
        decision = decide(
            self._project, service, self._existing[service], self._world, self._options, replaced
        )
        lost = self._on_replaced_volume()
        moved = tuple(Fate(c, "its volume is recreated") for c in decision.keep if c.id in lost)
        if moved:
            decision = decision._replace(
                keep=tuple(c for c in decision.keep if c.id not in lost), replace=(*decision.replace, *moved)
            )
        self._decisions[service] = decision
        for dependency in self._graph.conditions[service]:
            if dependency.restart and dependency.service in replaced:
                self._restarts[service] = dependency.service

    def _on_replaced_volume(self) -> frozenset[str]:
        names = self._infrastructure.replaced_volumes
        if not names:
            return frozenset()
        return frozenset(
            c.id for c in self._world.observed.containers if any(m.name in names for m in c.mounts)
        )

    def _needs_start(self, service: str, container: ObservedContainer) -> str:
        """Return why a container that stays must be started, or nothing."""
        if container.id in self._draft.stopped:
            step = next(s for s in self._builder if s.id == self._draft.stopped[container.id])
            return f"stopped: {step.operation.cause}"
        if container.state in (ContainerState.RUNNING, ContainerState.RESTARTING):
            return ""
        if container.state is ContainerState.PAUSED:
            self._builder.warn(f"container '{container.name}' is paused and stays so")
            return ""
        if self._is_done(service, container):
            return ""
        if container.state is ContainerState.EXITED:
            code = "with an unknown code" if container.exit_code is None else f"({container.exit_code})"
            return f"it exited {code}"
        return f"it is {container.state.value}"

    def _is_done(self, service: str, container: ObservedContainer) -> bool:
        """Tell a job that others wait for, that succeeded, and that nobody asked to run again by its name."""
        return (
            container.state is ContainerState.EXITED
            and container.exit_code == 0
            and service not in self._options.services
            and self._is_job(service)
        )

    def _is_job(self, service: str) -> bool:
        return any(
            d.service == service and d.condition == COMPLETED
            for wanted in self._graph.conditions.values()
            for d in wanted
        )

    # ------------------------------------------------------------- removing

    def _remove_leftovers(self) -> None:
        for container in self._leftovers:
            step = self._draft.remove(container, "left over from an interrupted up")
            self._cleared[container.name] = step

    def _remove_orphans(self) -> None:
        if not self._orphans:
            return
        if self._options.remove_orphans:
            for container in self._orphans:
                self._draft.remove(container, f"no service '{labels.service_of(container)}' in the project")
        elif not self._options.ignore_orphans:
            names = " ".join(c.name for c in self._orphans)
            self._builder.warn(
                f"Found orphan containers ([{names}]) for this project. If you removed or renamed this service in "
                "your compose file, you can run this command with the --remove-orphans flag to clean it up."
            )

    # ------------------------------------------------------------- images

    def _pull(self, service: str) -> None:
        decision, tree = self._decisions[service], self._services[service]
        reference = resolve.image_of(self._project.name, service, tree)
        wanted = bool(decision.create or decision.replace)
        if not wanted or reference in self._world.images or reference in self._images:
            return
        policy = self._options.pull or tree.get("pull_policy") or "missing"
        if tree.get("build") and (policy == "build" or not tree.get("image")):
            raise BuildFailed(
                f"image '{reference}' of service '{service}' is not here and has to be built",
                hint="building is not available yet: build it elsewhere and import it with composer image load",
            )
        if policy == "never":
            raise PullFailed(
                f"image '{reference}' of service '{service}' is not here, and pull_policy is never",
                hint="pull it, or import it with composer image load",
            )
        self._images[reference] = self._builder.add(PullImage(reference, "not in the store"))

    # ------------------------------------------------------------- one service

    def _emit(self, service: str) -> None:
        decision = self._decisions[service]
        for fate in decision.remove:
            self._draft.remove(fate.container, fate.cause)
        self._stop_dependents(service)
        starts: list[tuple[ContainerRef, str, tuple[int, ...]]] = []
        refs: list[ContainerRef] = []
        for container in decision.keep:
            starts += self._keep(service, container, refs)
        for fate in decision.replace:
            starts.append(self._replace(service, fate, refs))
        for number in decision.create:
            starts.append(self._create(service, number, decision.create_cause, refs))
        self._refs[service] = refs
        self._start(service, starts)

    def _stop_dependents(self, service: str) -> None:
        """Stop who asked for it (``restart: true``) before the containers that they depend on are replaced."""
        stops: list[int] = []
        for dependent, parent in sorted(self._restarts.items()):
            if parent == service and self._options.start:
                for container in self._existing[dependent]:
                    stops += self._draft.stop(container, f"service '{parent}' is replaced")
        self._held[service] = tuple(stops)

    def _keep(
        self, service: str, container: ObservedContainer, refs: list[ContainerRef]
    ) -> list[tuple[ContainerRef, str, tuple[int, ...]]]:
        known = ref(container)
        refs.append(known)
        steps: list[int] = []
        if container.name != known.name:
            steps.append(
                self._builder.add(RenameContainer(known, container.name, "left over from an interrupted up"))
            )
        steps += self._reconnect(service, container, known)
        cause = self._needs_start(service, container)
        if cause and self._options.start:
            stopped = self._draft.stopped.get(container.id)
            return [(known, cause, (*steps, *([stopped] if stopped else [])))]
        if not steps:
            self._builder.unchanged.append(known.name)
        return []

    def _reconnect(self, service: str, container: ObservedContainer, known: ContainerRef) -> list[int]:
        """Connect a container that stays to networks that were replaced, or that it lost while it was stopped."""
        if self._services[service].get("network_mode"):
            return []
        joined = {endpoint.network for endpoint in container.endpoints}
        steps = []
        for endpoint in resolve.endpoints(self._project, service, self._services[service], known.name):
            was_replaced = endpoint.network in self._infrastructure.replaced_networks
            if endpoint.network not in joined:
                cause = "it is not connected"
            elif was_replaced:
                cause = "the network was replaced"
            else:
                continue
            created = self._infrastructure.network_steps.get(endpoint.network)
            operation = ConnectNetwork(known, endpoint, cause)
            steps.append(self._builder.add(operation, [created] if created else []))
        return steps

    def _create(
        self, service: str, number: int, cause: str, refs: list[ContainerRef]
    ) -> tuple[ContainerRef, str, tuple[int, ...]]:
        name = resolve.container_name(self._project.name, service, self._services[service], number)
        new = ContainerRef(name, service, number)
        refs.append(new)
        step = self._builder.add(
            self._creation(service, new, cause, replaced=None), self._creation_needs(service, name)
        )
        return new, "", (step,)

    def _replace(
        self, service: str, fate: Fate, refs: list[ContainerRef]
    ) -> tuple[ContainerRef, str, tuple[int, ...]]:
        """Create under a temporary name, stop and remove the old one, rename: the old one lives as long as it can."""
        old, cause = fate.container, fate.cause
        number = labels.number_of(old)
        name = resolve.container_name(self._project.name, service, self._services[service], number)
        new = ContainerRef(name, service, number)
        refs.append(new)
        creation = self._creation(service, new, cause, replaced=old)
        if old.id in self._draft.removed:
            needs = [*self._creation_needs(service, name), self._draft.removed[old.id]]
            return new, "", (self._builder.add(creation, needs),)
        temporary = labels.replacement_name(old.id, name)
        spec = creation.spec._replace(name=temporary, labels={**creation.spec.labels, labels.REPLACE: old.id})
        created = self._builder.add(creation._replace(spec=spec), self._creation_needs(service, temporary))
        renew = self._options.renew_anonymous_volumes
        removed = self._draft.remove(old, "replaced", [created, *self._held[service]], volumes=renew)
        renamed = self._builder.add(
            RenameContainer(new, temporary, "takes the place of the old one"), [removed]
        )
        return new, "", (renamed,)

    def _creation_needs(self, service: str, name: str) -> list[int]:
        tree = self._services[service]
        needs = self._infrastructure.needs(tree)
        image = self._images.get(resolve.image_of(self._project.name, service, tree))
        needs += [image] if image else []
        needs += [self._cleared[name]] if name in self._cleared else []
        for parent in sharing(tree):
            needs += self._ready.get(parent, ())
        return needs

    def _creation(
        self, service: str, new: ContainerRef, cause: str, *, replaced: ObservedContainer | None
    ) -> CreateContainer:
        tree = self._services[service]
        image = self._world.images.get(resolve.image_of(self._project.name, service, tree))
        spec = resolve.container_spec(
            self._project,
            service,
            new.number,
            labels=self._labels(service, new.number, image.id if image else ""),
            image_id=image.id if image else None,
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

    def _labels(self, service: str, number: int, image_id: str) -> dict[str, str]:
        tree, project = self._services[service], self._project
        found = {
            labels.PROJECT: project.name,
            labels.SERVICE: service,
            labels.NUMBER: str(number),
            labels.ONEOFF: "False",
            labels.CONFIG_HASH: service_hash(hashed_tree(tree, self._world)),
            labels.DEPENDS_ON: labels.write_depends_on(self._graph.conditions[service]),
            labels.WORKING_DIR: project.directory,
            labels.CONFIG_FILES: ",".join(project.files),
            labels.VERSION: __version__,
            labels.FIELDS: compare.fields_label(tree, self._world.key),
        }
        if project.env_files:
            found[labels.ENVIRONMENT_FILE] = ",".join(project.env_files)
        if image_id:
            found[labels.IMAGE] = image_id
        contents = contents_of(tree, self._world)
        if contents:
            found[labels.CONTENTS] = json.dumps(contents, sort_keys=True, separators=(",", ":"))
        return found

    def _carried(self, tree: Tree, old: ObservedContainer) -> dict[str, str]:
        """Return the anonymous volumes that the new container inherits: the image's, and those with no source."""
        if self._options.renew_anonymous_volumes:
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

    # ------------------------------------------------------------- starting and waiting

    def _start(self, service: str, starts: list[tuple[ContainerRef, str, tuple[int, ...]]]) -> None:
        if not self._options.start:
            # who shares a namespace needs the container to exist, and waits for its creation instead
            self._ready[service] = tuple(step for _, _, steps in starts for step in steps)
            return
        needs, after = self._gates_of(service) if starts else ((), ())
        hooks = resolve.hooks(self._services[service], "post_start")
        self._ready[service] = tuple(
            self._builder.add(StartContainer(container, cause, hooks), (*steps, *needs), after)
            for container, cause, steps in starts
        )

    def _gates_of(self, service: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the steps that a service's start must come after: those that must succeed, and those that need not."""
        needs: list[int] = []
        after: list[int] = []
        if not self._options.dependencies:
            return (), ()
        for dependency in self._graph.conditions[service]:
            if not self._refs[dependency.service]:
                continue  # scaled to 0: there is nothing to wait for
            if dependency.condition == STARTED:
                (needs if dependency.required else after).extend(self._ready[dependency.service])
            else:
                needs.append(self._gate(dependency))
        return tuple(needs), tuple(after)

    def _gate(self, dependency: Dependency) -> int:
        key = (dependency.service, dependency.condition, dependency.required)
        if key not in self._gates:
            waiting = tuple(
                name
                for name in sorted(self._graph.conditions)
                if any((d.service, d.condition, d.required) == key for d in self._graph.conditions[name])
            )
            operation = WaitService(
                dependency.service,
                tuple(self._refs[dependency.service]),
                dependency.condition,
                f"needed by {', '.join(waiting)}",
                waiting=waiting,
                required=dependency.required,
            )
            ready = self._ready[dependency.service]
            self._gates[key] = self._builder.add(
                operation, ready if dependency.required else (), () if dependency.required else ready
            )
        return self._gates[key]

    def _wait_for_all(self, order: tuple[str, ...]) -> None:
        named = self._options.services or order
        for service in order:
            if service not in named or not self._refs[service]:
                continue
            condition = COMPLETED if self._is_job(service) else READY
            operation = WaitService(
                service,
                tuple(self._refs[service]),
                condition,
                "--wait",
                timeout_s=self._options.wait_timeout_s,
            )
            self._builder.add(operation, self._ready[service])
