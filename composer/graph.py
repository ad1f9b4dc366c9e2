"""The dependency graph of a project: services, networks, volumes, configs, secrets and images.

Plain adjacency and graphlib for order and cycles; networkx only for analysis (critical path, transitive
reduction), imported where it is asked for. Works on canonical trees, knows nothing of containers or of what
exists. Every answer is in a fixed order, so that a plan made from it has the same text each time.

Spec: https://github.com/compose-spec/compose-spec/blob/main/05-services.md#depends_on
"""

from __future__ import annotations

from graphlib import CycleError as _GraphCycle
from graphlib import TopologicalSorter
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import CycleError, Mark, UnknownService

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import networkx

    Tree = Mapping[str, Any]
    Marks = Callable[[tuple[str | int, ...]], Mark | None]

STARTED = "service_started"
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"

MAX_CYCLES = 100
_NS_PER_S = 1_000_000_000

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


def shared(service: Tree) -> tuple[tuple[str, str], ...]:
    """Return what a service has of other services: (attribute, service), of a namespace or ``volumes_from``."""
    found = []
    for attribute in _SHARED_NAMESPACES:
        kind, _, name = str(service.get(attribute) or "").partition(":")
        if kind == "service" and name:
            found.append((attribute, name))
    for source in service.get("volumes_from") or ():
        parts = str(source).split(":")
        if parts[0] != "container":
            name = parts[1] if parts[0] == "service" and len(parts) > 1 else parts[0]
            found.append(("volumes_from", name))
    return tuple(found)


def sharing(service: Tree) -> tuple[str, ...]:
    """Return the services whose containers this one cannot outlive: shared namespaces and volumes_from."""
    return tuple(dict.fromkeys(name for _, name in shared(service)))


def sharing_namespaces(service: Tree) -> tuple[str, ...]:
    """Return the services in whose namespaces this one is: each start of theirs makes new ones, without it."""
    names = (name for attribute, name in shared(service) if attribute in _SHARED_NAMESPACES)
    return tuple(dict.fromkeys(names))


def after_needs(roots: Iterable[str], needs: Callable[[str], Sequence[str]]) -> list[str]:
    """Return the roots and all that they need, each after what it needs itself. A circle is cut somewhere."""
    ordered: list[str] = []
    seen: set[str] = set()
    for root in roots:
        pending = [(root, False)]
        while pending:
            name, is_left = pending.pop()
            if is_left:
                ordered.append(name)
            elif name not in seen:
                seen.add(name)
                pending.append((name, True))
                pending += [(other, False) for other in reversed(needs(name))]
    return ordered


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
            resources = sorted(set(_resources(name, services[name], tree.get("name"))))
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
            f"dependency cycle detected: {' → '.join([*ring, ring[0]])}",
            at=self._marks(path) if self._marks else None,
            path=path,
            hint="remove one of these dependencies",
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

    def to_networkx(self, within: Collection[Node] | None = None) -> networkx.DiGraph[Node]:
        """Return the graph, or that of the nodes ``within``, with an edge from each thing to what needs it.

        Services carry ``condition`` on theirs.
        """
        import networkx

        graph: networkx.DiGraph[Node] = networkx.DiGraph()
        graph.add_nodes_from(self._needs)
        for node, needs in self._needs.items():
            conditions = {d.service: d.condition for d in self.conditions.get(node.name, ())}
            for need in needs:
                condition = conditions.get(need.name, "") if need.kind == "service" else ""
                graph.add_edge(need, node, condition=condition)
        if within is not None:
            graph.remove_nodes_from([node for node in self._needs if node not in within])
        return graph

    def critical_path(self, seconds: Mapping[str, float] | None = None) -> tuple[str, ...]:
        """Return the chain of services that decides how long a start takes.

        ``seconds`` is the time that each service takes until those that wait for it go on, 1 where it is unknown.
        """
        given = seconds or {}
        times = {name: round(given.get(name, 1.0) * _NS_PER_S) for name in self.conditions}
        waits = [
            Wait(d.service, name, times[d.service])
            for name, wanted in self.conditions.items()
            for d in wanted
        ]
        return longest_chain(waits, dict.fromkeys(self.conditions, 0), times)

    def reduction(self, within: Collection[Node] | None = None) -> networkx.DiGraph[Node]:
        """Return the graph without the waits that follow from others ``within``: what a picture should show.

        Only waits are reduced. What a service uses is no consequence of what another one uses.
        """
        import networkx

        graph = self.to_networkx(within)
        waits = graph.subgraph([node for node in graph if node.kind == "service"]).copy()
        for node in waits:
            needed = set(waits[node])
            if len(needed) > 1:  # one alone follows from no other, and most services have no more
                below = set().union(*(networkx.descendants(waits, one) for one in needed))
                graph.remove_edges_from([(node, one) for one in needed & below])
        return graph

    def find(self, name: str) -> Node:
        """Return the node that ``kind:name`` or a name alone means; a service before anything else.

        Raises UnknownService.
        """
        kind, _, rest = name.partition(":")
        for node in (Node("service", name), Node(kind, rest)):
            if node in self._needs:
                return node
        found = [node for node in self._needs if node.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownService(
                f"more than one resource is named '{name}'", hint=f"use {' or '.join(map(str, found))}"
            )
        from difflib import get_close_matches

        known = {n.name: n.name if n.kind == "service" else str(n) for n in reversed(self.nodes)}
        known |= {str(n): str(n) for n in self.nodes}
        near = get_close_matches(name, known, n=1)
        raise UnknownService(
            f"no such resource: {name}",
            hint=f"did you mean '{known[near[0]]}'?"
            if near
            else "use the name of a service, or of another resource such as volume:data",
        )

    def all_that_is_needed_by(self, nodes: Iterable[Node]) -> frozenset[Node]:
        """Return these nodes and everything that they need, directly or not."""
        return self._reached(nodes, "ancestors")

    def all_that_needs(self, nodes: Iterable[Node]) -> frozenset[Node]:
        """Return these nodes and everything that needs one of them, directly or not."""
        return self._reached(nodes, "descendants")

    def _reached(self, nodes: Iterable[Node], direction: str) -> frozenset[Node]:
        import networkx

        graph, start = self.to_networkx(), list(nodes)
        return frozenset(start).union(*(getattr(networkx, direction)(graph, node) for node in start))

    def cycles(self, limit: int = MAX_CYCLES) -> list[tuple[str, ...]]:
        """Return the cycles of services, each from its smallest name on; the first ``limit`` of them.

        A graph of n services can have more than n! cycles: nobody reads them all.
        """
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph()
        for name, wanted in self.conditions.items():
            graph.add_edges_from((name, d.service) for d in wanted)
        found = []
        for ring in islice(networkx.simple_cycles(graph), limit):
            first = ring.index(min(ring))
            found.append((*ring[first:], *ring[:first]))
        return sorted(found)


class Wait(NamedTuple):
    """One thing that waited for another, and the time from the start of that until this could go on."""

    needed: str
    by: str
    time: int


def longest_chain(
    waits: Iterable[Wait], starts: Mapping[str, int], ends: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the chain of waits that takes longest; of equal ones a chain of more links.

    ``starts`` is when each thing that waited for nothing began, ``ends`` the time that what may come last takes.
    Times are whole numbers of any one unit.
    """
    import networkx

    source, sink = ("start",), ("end",)
    edges: list[tuple[tuple[str, ...], tuple[str, ...], int]] = [
        *((source, ("", name), time) for name, time in starts.items()),
        *((("", wait.needed), ("", wait.by), wait.time) for wait in waits),
        *((("", name), sink, time) for name, time in ends.items()),
    ]
    # all links of a chain together weigh less than one unit of time
    unit = len(edges) + 1
    graph: networkx.DiGraph[tuple[str, ...]] = networkx.DiGraph()
    graph.add_weighted_edges_from((a, b, time * unit + 1) for a, b, time in edges)
    return tuple(node[1] for node in networkx.dag_longest_path(graph, weight="weight") if len(node) == 2)


def _resources(name: str, service: Tree, project: str | None) -> Iterator[Node]:
    for network in service.get("networks") or ():
        yield Node("network", network)
    for mount in service.get("volumes") or ():
        if mount.get("type") == "volume" and mount.get("source"):
            yield Node("volume", mount["source"])
        elif mount.get("type") == "image" and mount.get("source"):
            yield Node("image", mount["source"])
    for kind in ("config", "secret"):
        for grant in service.get(f"{kind}s") or ():
            yield Node(kind, grant.get("source", ""))
    build = service.get("build") or {}
    for grant in build.get("secrets") or ():
        yield Node("secret", grant.get("source", ""))
    if service.get("image"):
        yield Node("image", service["image"])
    elif build:
        yield Node("image", f"{project}-{name}" if project else name)
