"""`reconcile(project, world, options) → Plan`: from what is wanted and what exists to what has to be done.

This module answers one question, from top to bottom: what becomes of each container, and why. `_Judge.cause` asks
why one must be replaced, in the order of docs/reconcile.md; `decide` adds numbers and scale; `_Reconciler` goes
through the services. The steps that follow from the answers are made in `emit`.

Pure: no I/O, no clock, no environment; everything is visited in a fixed order, so the same input gives the same
bytes of text.

Behaviour: Docker Compose's (docker/compose pkg/compose/reconcile.go), except where it loses something: hooks run
before every stop, a reconnected container keeps its aliases, an old container stays until the new one has started.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import compare, labels, resolve
from composer.engine.emit import Emitter
from composer.engine.hashing import service_hash
from composer.engine.identity import contents_of, hashed_tree
from composer.engine.observed import ContainerState
from composer.engine.wanted import Limitation
from composer.errors import Unsupported
from composer.graph import Graph, sharing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer
    from composer.engine.options import Options
    from composer.engine.plan import Plan
    from composer.engine.wanted import Path
    from composer.schema.model import Project

    Tree = Mapping[str, Any]

_BROKEN = frozenset((ContainerState.DEAD, ContainerState.REMOVING))
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


# ------------------------------------------------------------------ one container


class Fate(NamedTuple):
    """A container and why it must be replaced or removed."""

    container: ObservedContainer
    cause: str


class Decision(NamedTuple):
    """The containers of one service: ``keep`` and ``replace`` by number, ``create`` the numbers that are missing."""

    service: str
    keep: tuple[ObservedContainer, ...] = ()
    replace: tuple[Fate, ...] = ()
    remove: tuple[Fate, ...] = ()
    create: tuple[int, ...] = ()
    create_cause: str = ""


class _Judge:
    """Asks the questions of `mustRecreate` of the containers of one service; the hash is computed once."""

    __slots__ = ("_hash", "_policy", "_project", "_replaced", "_service", "_tree", "_world")

    def __init__(
        self, project: Project, service: str, tree: Tree, world: World, policy: str, replaced: Collection[str]
    ) -> None:
        self._project, self._service, self._tree = project, service, tree
        self._world, self._policy, self._replaced = world, policy, replaced
        self._hash: str | None = None

    def cause(self, container: ObservedContainer) -> str:
        """Return why a container must be replaced, or nothing."""
        if self._policy == "never":
            return ""
        if self._policy == "force":
            return "forced"
        return (
            self._shared_parent()
            or self._configuration(container)
            or self._contents(container)
            or self._image(container)
            or self._networks(container)
            or self._volumes(container)
            or (f"it is {container.state.value}" if container.state in _BROKEN else "")
        )

    def _shared_parent(self) -> str:
        for parent in sharing(self._tree):
            if parent in self._replaced:
                return f"it shares with service '{parent}', which is replaced"
        return ""

    def _configuration(self, container: ObservedContainer) -> str:
        written = container.labels.get(labels.CONFIG_HASH)
        if self._hash is None:
            self._hash = service_hash(hashed_tree(self._tree, self._world))
        if written == self._hash:
            return ""
        fields = container.labels.get(labels.FIELDS)
        if fields is not None:
            found = compare.differences(
                fields, self._tree, self._world.key, self._mark, ("services", self._service)
            )
            if found is not None:
                return compare.summary(found)
        return (
            ""
            if written is None
            else "its configuration changed (made by another tool, which kept no fields)"
        )

    def _mark(self, path: tuple[str | int, ...]) -> Any:
        mark = self._project.mark(path)
        return mark and mark._replace(file=short_file(mark.file, self._project.directory))

    def _contents(self, container: ObservedContainer) -> str:
        try:
            had = json.loads(container.labels.get(labels.CONTENTS) or "{}")
        except ValueError:
            return ""
        wants = contents_of(self._project, self._service, self._world)
        changed = [name for name in sorted(wants) if name in had and had[name] != wants[name]]
        return "; ".join(f"the content of {name.replace(':', ' ', 1)} changed" for name in changed)

    def _image(self, container: ObservedContainer) -> str:
        image = self._world.images.get(resolve.image_of(self._project, self._service, self._tree))
        had = container.labels.get(labels.IMAGE)
        if not image or not had or had == image.id:
            return ""
        reference = resolve.image_of(self._project, self._service, self._tree)
        return f"image {reference}: {_short(had)} → {_short(image.id)}"

    def _networks(self, container: ObservedContainer) -> str:
        """A container that does not run and lacks a network is connected before its start, not replaced."""
        if self._tree.get("network_mode"):
            return ""
        is_running = container.state is ContainerState.RUNNING
        joined = {endpoint.network: endpoint.network_id for endpoint in container.endpoints}
        for key in sorted(self._tree.get("networks") or {}):
            name = resolve.real_name(self._project, "networks", key)
            network = self._world.networks.get(name)
            if network and is_running and network.id not in joined.values():
                return f"it is not connected to network '{name}'"
            if network and joined.get(name) and joined[name] != network.id:
                return f"network '{name}' is another one than it was created with"
            if not network and is_running:
                return f"network '{name}' is new"
        return ""

    def _volumes(self, container: ObservedContainer) -> str:
        mounted = {(mount.name, mount.target) for mount in container.mounts}
        for mount in self._tree.get("volumes") or ():
            if mount.get("type") == "volume" and mount.get("source"):
                name = resolve.real_name(self._project, "volumes", mount["source"])
                if (name, mount["target"].rstrip("/") or "/") not in mounted:
                    return f"volume '{name}' is not mounted at '{mount['target']}'"
        return ""


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def short_file(file: str, directory: str) -> str:
    """Return a path relative to the project's directory, where it is below it."""
    return file.removeprefix(directory.rstrip("/") + "/")


# ------------------------------------------------------------------ one service


def decide(
    project: Project,
    service: str,
    containers: list[ObservedContainer],
    world: World,
    options: Options,
    replaced: Collection[str],
) -> Decision:
    """Return what becomes of a service's containers; ``replaced`` are the services whose containers are replaced."""
    tree: Tree = project.tree["services"][service]
    expected = resolve.replicas(service, tree, options.scale)
    judge = _Judge(project, service, tree, world, options.recreate_policy(service), replaced)
    fates = [Fate(c, judge.cause(c)) for c in containers]
    # obsolete ones go first, then the highest numbers
    fates.sort(key=lambda fate: (bool(fate.cause), labels.number_of(fate.container), fate.container.name))
    staying, leaving = fates[:expected], fates[expected:]
    staying.sort(key=lambda fate: (labels.number_of(fate.container), fate.container.name))
    highest = max((labels.number_of(c) for c in containers), default=0)
    missing = expected - len(staying)
    return Decision(
        service,
        keep=tuple(fate.container for fate in staying if not fate.cause),
        replace=tuple(fate for fate in staying if fate.cause),
        remove=tuple(Fate(fate.container, f"scale {len(containers)} → {expected}") for fate in leaving),
        create=tuple(range(highest + 1, highest + 1 + missing)),
        create_cause=f"scale {len(containers)} → {expected}" if containers else "does not exist",
    )


# ------------------------------------------------------------------ the project


class _Reconciler:
    """Decides for every service, in the order of dependencies, and has the steps made."""

    def __init__(self, project: Project, world: World, options: Options) -> None:
        self._project, self._world, self._options = project, world, options
        self._services: Tree = project.tree.get("services") or {}
        self._graph = Graph(project.tree, project.mark)
        self._emitter = Emitter(project, world, options, self._graph)
        self._existing: dict[str, list[ObservedContainer]] = {name: [] for name in self._services}
        self._orphans: list[ObservedContainer] = []
        self._decisions: dict[str, Decision] = {}
        self._replaced: set[str] = set()
        self._lost: frozenset[str] = frozenset()

    def plan(self) -> Plan:
        order = self._graph.order()
        self._check_limitations()
        self._sort_containers()
        self._emitter.inspect()
        self._lost = self._on_replaced_volume()
        for service in order:
            self._decide(service)
        return self._emitter.emit(order, self._decisions, self._existing, self._orphans)

    def _decide(self, service: str) -> None:
        containers = self._existing[service]
        if self._options.oneoff is not None and self._options.oneoff.service == service:
            self._decisions[service] = Decision(service)
            return
        decision = decide(self._project, service, containers, self._world, self._options, self._replaced)
        moved = tuple(Fate(c, "its volume is recreated") for c in decision.keep if c.id in self._lost)
        if moved:
            decision = decision._replace(
                keep=tuple(c for c in decision.keep if c.id not in self._lost),
                replace=(*decision.replace, *moved),
            )
        self._decisions[service] = decision
        if decision.replace or any(c.id in self._lost for c in containers):
            self._replaced.add(service)

    def _on_replaced_volume(self) -> frozenset[str]:
        names = self._emitter.replaced_volumes
        if not names:
            return frozenset()
        return frozenset(
            c.id for c in self._world.observed.containers if any(m.name in names for m in c.mounts)
        )

    def _limitations(self) -> Iterator[tuple[Path, Limitation]]:
        """Yield what the backend cannot do, with where in the files it is wanted."""
        for service in sorted(self._services):
            found = self._world.limitations.get(service, ())
            if self._services[service].get("provider"):
                found = (*found, _NO_PROVIDERS)
            for limitation in found:
                yield ("services", service, *limitation.path), limitation
        for network, found in self._world.network_limitations.items():
            for limitation in found:
                yield ("networks", network, *limitation.path), limitation

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
                self._emitter.builder.warn(sentence)
        if len(fatal) == 1:
            raise fatal[0]
        if fatal:
            raise ExceptionGroup("the backend cannot run this project", fatal)

    def _sort_containers(self) -> None:
        """Tell the containers of services from orphans, and from what an interrupted ``up`` left behind."""
        known = self._options.known | self._services.keys() | self._project.disabled.keys()
        everything = self._world.observed.containers
        ids = {c.id[:12] for c in everything}
        # who has its final name, or gets it back: where two want the same, the one that served has it
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
                    self._emitter.unfinished.append(container)
                elif labels.is_retired(container) and name in named:
                    self._emitter.retired.append(container)
                else:
                    self._existing[service].append(container)
