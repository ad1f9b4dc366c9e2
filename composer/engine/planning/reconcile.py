"""`reconcile(project, world, options) → Plan`: from what is wanted and what exists to what has to be done.

`decide_all` decides, in this order: what the backend cannot do, whose each container is, which networks and volumes
diverged (`infrastructure`), what becomes of each service's containers (`recreation`), what is fetched (`fetching`),
what is done with containers that stay (`staying`), and what is waited for. `emit` makes steps of that.

Pure: no I/O, no clock, no environment; everything is visited in a fixed order, so the same input gives the same
bytes of text.

Behaviour: Docker Compose's (docker/compose pkg/compose/reconcile.go), except where it loses something: hooks run
before every stop, a reconnected container keeps its aliases, an old container stays until the new one has started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import unusable
from composer.engine import labels
from composer.engine.observed import ACTIVE, ContainerState
from composer.engine.operations.waiting import READY, WaitService
from composer.engine.plan import PlanBuilder
from composer.engine.planning.decisions import UNFINISHED, Decision, Decisions, Fate
from composer.engine.planning.infrastructure import changes_of, diverged, orphaned_volumes
from composer.engine.planning.recreation import decide
from composer.engine.planning.staying import Staying, held_by, is_done, stopped_meanwhile, tell, unmet
from composer.engine.resolving import compare, resolve
from composer.engine.wanted import Limitation
from composer.errors import ProjectError, Unsupported
from composer.graph import COMPLETED, Graph, shared, sharing_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer
    from composer.engine.options import Options
    from composer.engine.plan import Plan
    from composer.engine.planning.decisions import Diverged, Fetch, Tree
    from composer.engine.wanted import Path
    from composer.graph import Dependency
    from composer.schema.model import Project

_ENDED = (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)
_SHARED = {
    "network_mode": "network namespace",
    "ipc": "IPC namespace",
    "pid": "PID namespace",
    "volumes_from": "volume",
}


def reconcile(project: Project, world: World, options: Options) -> Plan:
    """Return the operations that make ``world`` what ``project`` says.

    Raises ConfigError or ProjectError where the two cannot be brought together, CycleError for dependencies that
    go round, BuildFailed and PullFailed for an image that may not be fetched, and Unsupported (several: an
    ExceptionGroup) for what the backend cannot honour.
    """
    graph = Graph(project.tree, project.mark)
    decisions = _Reconciler(project, world, options, graph).decide_all()
    if decisions.is_settled and options.oneoff is None and not (options.start and unmet(decisions)):
        return _settled(decisions)
    from composer.engine.planning.emit import emit  # the most frequent answer does without

    return emit(project, world, options, graph, decisions)


def _settled(decisions: Decisions) -> Plan:
    """Return the plan of what is as it should be: no steps, and what is to be said all the same."""
    plan = PlanBuilder()
    for sentence in decisions.warnings:
        plan.warn(sentence)
    plan.diverged_volumes += decisions.diverged.kept
    plan.losses += decisions.infrastructure.losses
    plan.unchanged += [stay.known.name for service in decisions.order for stay in decisions.stays[service]]
    tell(decisions, plan)
    return plan.build()


class _Reconciler:
    """Decides for every service, in the order of dependencies."""

    def __init__(self, project: Project, world: World, options: Options, graph: Graph) -> None:
        self._project, self._world, self._options, self._graph = project, world, options, graph
        self._services: Tree = project.tree.get("services") or {}
        self._existing: dict[str, list[ObservedContainer]] = {name: [] for name in self._services}
        self._orphans: list[ObservedContainer] = []
        self._unfinished: list[Fate] = []
        self._retired: list[Fate] = []
        self._decisions: dict[str, Decision] = {}
        self._warnings: list[str] = []

    def decide_all(self) -> Decisions:
        """Return everything that is decided. The order of the parts is that of their warnings."""
        options, warn = self._options, self._warnings.append
        order = self._graph.order()
        self._check_limitations()
        self._sort_containers()
        found = diverged(self._project, self._world, options, warn)
        self._decide_services(order, found)
        orphans = tuple(self._removed_orphans())
        infrastructure = changes_of(self._project, self._world, options, found, warn)
        decisions = [self._decisions[service] for service in order]
        self._check_owners(order)
        fetched = self._fetches(decisions)
        self._check_updates(order)
        held = self._held(order)
        firsts = _first_numbers(self._world.observed.containers, self._decisions)
        staying = Staying(
            self._project,
            self._world,
            options,
            firsts=firsts,
            replaced=found.networks,
            stopped=stopped_meanwhile(self._world, infrastructure.changes, held),
            warn=warn,
        )
        stays = {one.service: tuple(staying.stay(one.service, c) for c in one.keep) for one in decisions}
        return Decisions(
            order,
            self._decisions,
            stays,
            held,
            self._gates(),
            firsts,
            infrastructure,
            found,
            fetches=fetched,
            unfinished=tuple(self._unfinished),
            retired=tuple(self._retired),
            orphans=orphans,
            waits=tuple(self._waits(order)),
            warnings=tuple(self._warnings),
        )

    # ------------------------------------------------------------- containers of services

    def _decide_services(self, order: Iterable[str], found: Diverged) -> None:
        replaced: set[str] = set()
        lost = self._on_replaced_volume(found)
        for service in order:
            if self._is_oneoff(service):
                self._decisions[service] = Decision(service)
                continue
            containers = self._existing[service]
            decision = decide(self._project, service, containers, self._world, self._options, replaced)
            moved = tuple(Fate(c, "its volume is recreated") for c in decision.keep if c.id in lost)
            if moved:
                decision = decision._replace(
                    keep=tuple(c for c in decision.keep if c.id not in lost),
                    replace=(*decision.replace, *moved),
                )
            self._decisions[service] = decision
            if decision.replace or any(c.id in lost for c in containers):
                replaced.add(service)

    def _is_oneoff(self, service: str) -> bool:
        return self._options.oneoff is not None and self._options.oneoff.service == service

    def _on_replaced_volume(self, found: Diverged) -> frozenset[str]:
        if not found.volumes:
            return frozenset()
        containers = self._world.observed.containers
        return frozenset(c.id for c in containers if any(m.name in found.volumes for m in c.mounts))

    def _held(self, order: Iterable[str]) -> dict[str, tuple[Fate, ...]]:
        if not self._options.start:
            return {}
        dependents: dict[str, list[str]] = {}
        for name in sorted(self._graph.conditions):
            for dependency in self._graph.conditions[name]:
                if dependency.restart:
                    dependents.setdefault(dependency.service, []).append(name)
        sharers: dict[str, list[str]] = {}
        for name in sorted(self._services):
            for owner in sharing_namespaces(self._services[name]):
                sharers.setdefault(owner, []).append(name)
        held: dict[str, tuple[Fate, ...]] = {}
        stopped: set[str] = set()
        for service in order:  # owners come first, so that who shares with who is stopped is stopped too
            held[service] = held_by(
                service,
                self._decisions[service],
                dependents.get(service, ()),
                sharers.get(service, ()),
                self._existing,
                is_started=service in stopped or self._is_started(service),
            )
            stopped |= {labels.service_of(f.container) for f in held[service] if f.container.state in ACTIVE}
        return held

    def _is_started(self, service: str) -> bool:
        """Tell whether the container that others share with stays, does not run, and is started."""
        return any(
            container.state in _ENDED and not is_done(self._project, self._options, service, container)
            for container in self._decisions[service].keep[:1]
        )

    def _fetches(self, decisions: Iterable[Decision]) -> tuple[Fetch, ...]:
        """Return what new containers need; raise where it may not be had."""
        oneoff = () if self._options.oneoff is None else (self._options.oneoff.service,)
        if not oneoff and not any(one.create or one.replace for one in decisions):
            return ()
        from composer.engine.planning.fetching import fetches

        return tuple(fetches(self._project, self._world, self._options, decisions, oneoff))

    def _check_owners(self, order: Iterable[str]) -> None:
        """Raise where a container shares with a service that has none after the plan."""
        for service in order:
            decision = self._decisions[service]
            if decision.is_empty and not self._is_oneoff(service):
                continue
            makes = bool(decision.create or decision.replace) or self._is_oneoff(service)
            for attribute, owner in shared(self._services[service]):
                known = self._decisions.get(owner)
                if known.is_empty if known is not None else makes and not self._has_container(owner):
                    raise ProjectError(
                        f"cannot share {_SHARED[attribute]} with service {owner}: container missing",
                        hint=f"start both services with composer up {owner} {service}",
                    )

    def _has_container(self, service: str) -> bool:
        containers = self._world.observed.containers
        return any(labels.service_of(c) == service and not labels.is_oneoff(c) for c in containers)

    def _check_updates(self, order: Iterable[str]) -> None:
        for service in order if self._options.start else ():
            if self._decisions[service].replace:
                from composer.engine.planning.updates import check_start_first

                check_start_first(self._project, service, moves_ports=self._world.moves_ports)

    # ------------------------------------------------------------- what is waited for

    def _gates(self) -> dict[str, tuple[Dependency, ...]]:
        """Return what each service's starts wait for: nothing of a service that is scaled to 0."""
        if not self._options.dependencies:
            return {}
        return {
            service: tuple(d for d in dependencies if not self._decisions[d.service].is_empty)
            for service, dependencies in self._graph.conditions.items()
        }

    def _waits(self, order: Iterable[str]) -> Iterator[WaitService]:
        """Yield what ``--wait`` waits for."""
        options = self._options
        if not options.wait:
            return
        jobs = {d.service for c in self._graph.conditions.values() for d in c if d.condition == COMPLETED}
        for service in order:
            if (options.services and service not in options.services) or self._decisions[service].is_empty:
                continue
            condition = COMPLETED if service in jobs else READY
            # a job is tried again until it succeeds: that is what its restart policy is for
            restarts = None if condition == COMPLETED else options.wait_restarts
            limit = options.wait_timeout_s
            yield WaitService(service, (), condition, "--wait", timeout_s=limit, restarts=restarts)

    # ------------------------------------------------------------- what the backend cannot do

    def _limitations(self) -> Iterator[tuple[Path, Limitation]]:
        """Yield what the backend cannot do, with where in the files it is wanted."""
        for service in sorted(self._services):
            found = self._world.limitations.get(service, ())
            for limitation in found:
                yield ("services", service, *limitation.path), limitation
            if not self._world.owns_files:
                yield from self._owners_without_effect(service)
            mistakes = unusable.mistakes(self._services[service]) if self._is_made(service) else ()
            for mistake in mistakes:
                yield (
                    ("services", service, *mistake.path),
                    Limitation(mistake.path, mistake.reason, hint=mistake.hint),
                )
        ipc = "private" if self._world.owns_files else ""  # an engine has a default of its own
        for service, mistake in unusable.conflicts(self._services, self._is_to_run, ipc=ipc):
            yield (
                ("services", service, *mistake.path),
                Limitation(mistake.path, mistake.reason, hint=mistake.hint),
            )
        for network, found in self._world.network_limitations.items():
            for limitation in found:
                yield ("networks", network, *limitation.path), limitation

    def _owners_without_effect(self, service: str) -> Iterator[tuple[Path, Limitation]]:
        """Yield the owners and modes of configs and secrets that are mounted as they are on the host."""
        for kind in ("configs", "secrets"):
            for index, grant in enumerate(self._services[service].get(kind) or ()):
                entry = (self._project.tree.get(kind) or {}).get(grant["source"]) or {}
                for key in ("uid", "gid", "mode") if entry.get("file") else ():
                    if grant.get(key) is not None:
                        path: Path = (kind, index, key)
                        reason = "not supported for a file on the host, it will be ignored"
                        hint = f"change the {'mode' if key == 'mode' else 'owner'} of the file itself"
                        yield ("services", service, *path), Limitation(path, reason, hint=hint, fatal=False)

    def _is_to_run(self, service: str) -> bool:
        """Tell whether a service publishes its ports by this plan."""
        return self._options.start and self._is_made(service) and not self._is_oneoff(service)

    def _is_made(self, service: str) -> bool:
        return (
            self._is_oneoff(service)
            or resolve.replicas(service, self._services[service], self._options.scale) > 0
        )

    def _check_limitations(self) -> None:
        fatal: list[Exception] = []
        for path, limitation in self._limitations():
            feature = compare.dotted(path)
            mark = self._project.mark(path)
            place = f"{mark}: " if mark and str(mark) else ""
            sentence = f"{place}{feature}: {limitation.reason}"
            if limitation.fatal:
                fatal.append(Unsupported(feature, sentence, hint=limitation.hint))
            else:
                self._warnings.append(sentence)
        if len(fatal) == 1:
            raise fatal[0]
        if fatal:
            raise ExceptionGroup("the backend cannot run this project", fatal)

    # ------------------------------------------------------------- whose a container is

    def _sort_containers(self) -> None:
        """Tell the containers of services from orphans, and from what an interrupted ``up`` left behind."""
        known = self._options.known | self._services.keys() | self._project.disabled.keys()
        everything = self._world.observed.containers
        ids = {c.id[:12] for c in everything}
        # final names of all containers that are not replacements: a replacement that wants one of these names
        # never took over, so it is unfinished
        served = {labels.given_name(c) for c in everything if not labels.is_replacement(c)}
        named = {c.name for c in everything}
        for container in sorted(everything, key=lambda c: c.name):
            service = labels.service_of(container)
            if labels.is_oneoff(container):
                if labels.HOOK in container.labels:
                    continue  # one that failed is kept until its service runs it again, or until down
                if container.state in (ContainerState.EXITED, ContainerState.DEAD):
                    self._orphans.append(container)
            elif service not in known:
                self._orphans.append(container)
            elif service in self._existing:
                name = labels.given_name(container)
                if labels.is_replacement(container) and (
                    container.labels[labels.REPLACE][:12] in ids or name in served
                ):
                    self._unfinished.append(Fate(container, UNFINISHED))
                elif labels.is_retired(container) and name in named:
                    self._retired.append(Fate(container, UNFINISHED))
                else:
                    self._existing[service].append(container)

    def _removed_orphans(self) -> Iterator[Fate]:
        """Yield the orphans that are removed; warn of those that stay."""
        options = self._options
        if options.remove_orphans:
            for name in orphaned_volumes(self._project, self._world):
                self._warnings.append(
                    f"volume '{name}' is no longer defined in the compose file and was kept "
                    f"(remove it with composer volume rm {name})"
                )
            for container in self._orphans:
                yield Fate(
                    container, f"service '{labels.service_of(container)}' is not defined in the compose file"
                )
        elif self._orphans and not options.ignore_orphans:
            names = ", ".join(c.name for c in self._orphans)
            self._warnings.append(
                f"Found orphan containers ({names}) for this project. If you removed or renamed this service in "
                "your compose file, you can run this command with the --remove-orphans flag to clean it up."
            )


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
