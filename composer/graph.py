"""The dependency graph of a project: services, networks, volumes, configs, secrets and images.

Plain adjacency and graphlib for order and cycles; networkx only for analysis (critical path, transitive
reduction), imported where it is asked for. Works on canonical trees, knows nothing of containers or of what
exists. Every answer is in a fixed order, so that a plan made from it has the same text each time.

Spec: https://github.com/compose-spec/compose-spec/blob/main/05-services.md#depends_on
"""

from __future__ import annotations

from graphlib import CycleError as _GraphCycle
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import CycleError, Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import networkx

    Tree = Mapping[str, Any]
    Marks = Callable[[tuple[str | int, ...]], Mark | None]

STARTED = "service_started"
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"

_SHARED_NAMESPACES = ("network_mode", "ipc", "pid")


class Dependency(NamedTuple):
    """One service's need of another. ``restart`` asks to restart the dependent when the other is replaced.

    ``implicit`` ones were not written as depends_on: they follow from links, volumes_from or a shared namespace.
    """

    service: str
    condition: str = STARTED
    required: bool = True
    restart: bool = False
    implicit: bool = False


class Node(NamedTuple):
    """A thing of a project; ``kind`` is service, network, volume, config, secret or image."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def dependencies(service: Tree) -> tuple[Dependency, ...]:
    """Return what a canonical service needs, by name: depends_on, and what other attributes imply."""
    found: dict[str, Dependency] = {}
    for name, wanted in (service.get("depends_on") or {}).items():
        wanted = wanted or {}
        found[name] = Dependency(
            name,
            condition=wanted.get("condition", STARTED),
            required=wanted.get("required", True),
            restart=wanted.get("restart", False),
        )
    for name in sharing(service):
        found.setdefault(name, Dependency(name, restart=True, implicit=True))
    for link in service.get("links") or ():
        name = str(link).partition(":")[0]
        found.setdefault(name, Dependency(name, restart=True, implicit=True))
    return tuple(found[name] for name in sorted(found))


def sharing(service: Tree) -> tuple[str, ...]:
    """Return the services whose containers this one cannot outlive: shared namespaces and volumes_from."""
    names = []
    for attribute in _SHARED_NAMESPACES:
        kind, _, name = str(service.get(attribute) or "").partition(":")
        if kind == "service" and name:
            names.append(name)
    for source in service.get("volumes_from") or ():
        parts = str(source).split(":")
        if parts[0] != "container":
            names.append(parts[1] if parts[0] == "service" and len(parts) > 1 else parts[0])
    return tuple(dict.fromkeys(names))


class Graph:
    """Who needs what in one project.

    ``needs`` and ``needed_by`` are mirror images; names of services that the project does not have are left out
    (an optional dependency, or one that a profile disables).
    """

    __slots__ = ("_marks", "_needed_by", "_needs", "conditions")

    def __init__(self, tree: Tree, marks: Marks | None = None) -> None:
        services: Tree = tree.get("services") or {}
        self._marks = marks
        self._needs: dict[Node, tuple[Node, ...]] = {}
        self.conditions: dict[str, tuple[Dependency, ...]] = {}
        for kind in ("networks", "volumes", "configs", "secrets"):
            for name in sorted(tree.get(kind) or {}):
                self._needs[Node(kind.removesuffix("s"), name)] = ()
        for name in sorted(services):
            wanted = tuple(d for d in dependencies(services[name]) if d.service in services)
            self.conditions[name] = wanted
            resources = sorted(_resources(name, services[name]))
            for node in resources:
                self._needs.setdefault(node, ())
            self._needs[Node("service", name)] = (
                *resources,
                *(Node("service", d.service) for d in wanted),
            )
        self._needed_by: dict[Node, list[Node]] = {node: [] for node in self._needs}
        for node, needs in self._needs.items():
            for need in needs:
                self._needed_by[need].append(node)

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._needs)

    def needs(self, node: Node) -> tuple[Node, ...]:
        return self._needs.get(node, ())

    def needed_by(self, node: Node) -> tuple[Node, ...]:
        return tuple(self._needed_by.get(node, ()))

    def order(self) -> tuple[str, ...]:
        """Return the services so that each comes after all that it needs. Raises CycleError."""
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for name, wanted in self.conditions.items():
            sorter.add(name, *(d.service for d in wanted))
        try:
            sorter.prepare()
        except _GraphCycle as error:
            raise self._cycle(list(reversed(error.args[1]))) from None
        ordered: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            ordered += ready
            sorter.done(*ready)
        return tuple(ordered)

    def _cycle(self, names: list[str]) -> CycleError:
        # the cycle starts at its smallest name: the same text whichever service was looked at first
        ring = names[:-1]
        first = ring.index(min(ring))
        ring = ring[first:] + ring[:first]
        path = ("services", ring[0], "depends_on", ring[1 % len(ring)])
        return CycleError(
            f"cycle found: {' -> '.join([*ring, ring[0]])}",
            at=self._marks(path) if self._marks else None,
            path=path,
            hint="services cannot wait for each other: remove one of these dependencies",
        )

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Return the services that these need, directly or not, without themselves."""
        return self._closure(names, lambda name: (d.service for d in self.conditions[name]))

    def dependents(self, names: Iterable[str]) -> frozenset[str]:
        """Return the services that need one of these, directly or not, without themselves."""
        return self._closure(
            names,
            lambda name: (n.name for n in self._needed_by[Node("service", name)] if n.kind == "service"),
        )

    def _closure(self, names: Iterable[str], step: Callable[[str], Iterator[str]]) -> frozenset[str]:
        start = frozenset(names)
        seen: set[str] = set()
        pending = [name for name in start if name in self.conditions]
        while pending:
            for name in step(pending.pop()):
                if name not in seen:
                    seen.add(name)
                    pending.append(name)
        return frozenset(seen - start)

    # ------------------------------------------------------------- analysis, with networkx

    def to_networkx(self) -> networkx.DiGraph[Node]:
        """Return the graph with an edge from each thing to what needs it; services carry ``condition`` on theirs."""
        import networkx

        graph: networkx.DiGraph[Node] = networkx.DiGraph()
        graph.add_nodes_from(self._needs)
        for node, needs in self._needs.items():
            conditions = {d.service: d.condition for d in self.conditions.get(node.name, ())}
            for need in needs:
                condition = conditions.get(need.name, "") if need.kind == "service" else ""
                graph.add_edge(need, node, condition=condition)
        return graph

    def critical_path(self, seconds: Mapping[str, float] | None = None) -> tuple[str, ...]:
        """Return the chain of services that decides how long a start takes.

        ``seconds`` is the time that each service took, 1 where it is unknown.
        """
        import networkx

        weights = seconds or {}
        graph: networkx.DiGraph[str] = networkx.DiGraph()
        graph.add_nodes_from(self.conditions)
        for name, wanted in self.conditions.items():
            for dependency in wanted:
                graph.add_edge(dependency.service, name, weight=weights.get(name, 1.0))
        sources = [name for name in graph if not graph.in_degree(name)]
        for name in sources:
            graph.add_edge("", name, weight=weights.get(name, 1.0))
        return tuple(networkx.dag_longest_path(graph, weight="weight", default_weight=1))[1:]

    def reduction(self) -> networkx.DiGraph[Node]:
        """Return the graph without the edges that follow from others: what a picture should show."""
        import networkx

        full = self.to_networkx()
        reduced = networkx.transitive_reduction(full)
        reduced.add_edges_from((a, b, full.edges[a, b]) for a, b in reduced.edges)
        return reduced


def _resources(name: str, service: Tree) -> Iterator[Node]:
    for network in service.get("networks") or ():
        yield Node("network", network)
    for mount in service.get("volumes") or ():
        if mount.get("type") == "volume" and mount.get("source"):
            yield Node("volume", mount["source"])
        elif mount.get("type") == "image" and mount.get("source"):
            yield Node("image", mount["source"])
    for kind in ("config", "secret"):
        for grant in service.get(f"{kind}s") or ():
            yield Node(kind, grant["source"])
    if service.get("image"):
        yield Node("image", service["image"])
