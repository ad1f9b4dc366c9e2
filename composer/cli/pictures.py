"""The dependency graph as text, JSON, mermaid and dot, with what runs and the path that decided the last start."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import labels
from composer.engine.observed import ContainerState
from composer.engine.running.wait import describe
from composer.graph import COMPLETED, HEALTHY, Dependency, Node, Wait, longest_chain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from composer.documents.timeline import Timeline
    from composer.engine.observed import ObservedContainer
    from composer.graph import Graph

VERSION = 1
_WORDS = {HEALTHY: "healthy", COMPLETED: "completed"}
_NS_PER_S = 1_000_000_000


class Live(NamedTuple):
    """What there is of a service: ``state`` in words, and when it was started, ended well and was healthy.

    Times are nanoseconds from any one beginning, 0 for what did not happen or is not known.
    """

    state: str = "not created"
    started_ns: int = 0
    completed_ns: int = 0
    healthy_ns: int = 0


class Hop(NamedTuple):
    """A service on the critical path, and how long after the one before it started, in seconds; None: unknown."""

    service: str
    seconds: float | None


def live(containers: Iterable[ObservedContainer]) -> dict[str, Live]:
    """Return the state of each service that has containers."""
    grouped: dict[str, list[ObservedContainer]] = {}
    for container in containers:
        if not labels.is_oneoff(container):
            grouped.setdefault(labels.service_of(container), []).append(container)
    return {service: _live(sorted(found, key=labels.number_of)) for service, found in grouped.items()}


def _live(containers: list[ObservedContainer]) -> Live:
    states: dict[str, int] = {}
    for container in containers:
        states[describe(container)] = states.get(describe(container), 0) + 1
    is_single = len(containers) == 1
    text = ", ".join(state if is_single else f"{count} × {state}" for state, count in states.items())
    ended = [c.finished_ns for c in containers if c.state is ContainerState.EXITED and c.exit_code == 0]
    return Live(text, max(c.started_ns for c in containers), max(ended, default=0))


def lived(timeline: Timeline, services: Mapping[str, str]) -> dict[str, Live]:
    """Return the state of each service as ``up --timeline`` saw it. ``services`` are those of the containers' names."""
    found: dict[str, Live] = {}
    for resource in timeline.resources:
        service = resource.name if resource.kind == "service" else services.get(resource.name)
        if service is None or resource.kind not in ("container", "service"):
            continue
        at = {phase.phase: round(phase.at_s * _NS_PER_S) + 1 for phase in resource.phases}
        before = found.get(service, Live(""))
        found[service] = Live(
            resource.phases[-1].phase if resource.phases else before.state,
            max(before.started_ns, at.get("starting", 0)),
            max(before.completed_ns, at.get("exited", 0), at.get("completed", 0)),
            max(before.healthy_ns, at.get("healthy", 0)),
        )
    return found


def phases_text(timeline: Timeline) -> str:
    """Return how long each phase of the command took that wrote a timeline; empty where it says nothing of them."""
    phases = timeline.command
    ends = [*(phase.at_s for phase in phases), timeline.total_s][1:]
    return ", ".join(
        f"{phase.phase} {max(0.0, end - phase.at_s) * 1000:.0f} ms"
        for phase, end in zip(phases, ends, strict=True)
    )


# ------------------------------------------------------------------ the critical path


def critical_path(graph: Graph, found: Mapping[str, Live] | None) -> list[Hop]:
    """Return the chain of waits that took longest in the last start; without one, the chain of most services."""
    started = {
        name: one for name, one in (found or {}).items() if one.started_ns and name in graph.conditions
    }
    if not started:
        return [Hop(name, None) for name in graph.critical_path()]
    # what was started again since, or by itself, was not waited for
    waited = {
        name: [
            d
            for d in graph.conditions[name]
            if d.service in started and started[d.service].started_ns <= one.started_ns
        ]
        for name, one in started.items()
    }
    begun = min(one.started_ns for one in started.values())
    explained = _explained(started, waited)
    # the time between two starts first, so that the chain ends at the last one; then what of it is accounted for
    scale = sum(explained.values()) + 1
    chain = longest_chain(
        [
            Wait(needed, by, (started[by].started_ns - started[needed].started_ns) * scale + time_ns)
            for (needed, by), time_ns in explained.items()
        ],
        {name: (one.started_ns - begun) * scale for name, one in started.items() if not waited[name]},
        dict.fromkeys(started, 0),
    )
    times = [started[service].started_ns for service in chain]
    return [Hop(service, (times[i] - times[max(0, i - 1)]) / _NS_PER_S) for i, service in enumerate(chain)]


def _explained(
    started: Mapping[str, Live], waited: Mapping[str, list[Dependency]]
) -> dict[tuple[str, str], int]:
    """Return how much of the time between two starts the first is known to have taken, in nanoseconds.

    Of what had to complete that is known. Backends do not keep when something was healthy, timelines do: it was, at the
    latest, when the first that waited for it was started, and what ended meanwhile accounts for the time until then.
    """
    healthy: dict[str, int] = {}
    for name, wanted in waited.items():
        for dependency in wanted:
            if dependency.condition == HEALTHY:
                went_on = started[name].started_ns
                healthy[dependency.service] = min(healthy.get(dependency.service, went_on), went_on)
    found: dict[tuple[str, str], int] = {}
    for name, wanted in waited.items():
        ends = [started[d.service].completed_ns for d in wanted if d.condition == COMPLETED]
        for dependency in wanted:
            needed, time_ns = started[dependency.service], 0
            if dependency.condition == COMPLETED:
                time_ns = needed.completed_ns - needed.started_ns
            elif dependency.condition == HEALTHY and needed.healthy_ns:
                time_ns = needed.healthy_ns - needed.started_ns
            elif dependency.condition == HEALTHY:
                time_ns = healthy[dependency.service] - max(needed.started_ns, *ends, 0)
            found[dependency.service, name] = max(0, time_ns)
    return found


def path_text(hops: list[Hop]) -> str:
    """Return a critical path in one line."""
    return " → ".join(
        hop.service if index == 0 or hop.seconds is None else f"{hop.service} (+{hop.seconds:.2f} s)"
        for index, hop in enumerate(hops)
    )


# ------------------------------------------------------------------ what is drawn


class Drawing(NamedTuple):
    """What is drawn: some ``nodes`` of a graph, and of each what it needs directly.

    ``roots`` are where the text begins, in its order; ``upwards`` it shows what needs them.
    """

    project: str
    nodes: tuple[Node, ...]
    needs: Mapping[Node, tuple[Node, ...]]
    dependencies: Mapping[tuple[str, str], Dependency]
    found: Mapping[str, Live] | None
    """None: nobody was asked."""
    path: list[Hop]
    roots: tuple[Node, ...]
    upwards: bool = False

    def state(self, node: Node) -> str:
        """Return what there is of a service; nothing of what only the project knows."""
        if self.found is None or node.kind != "service":
            return ""
        return self.found.get(node.name, Live()).state

    def dependency(self, needed: Node, by: Node) -> Dependency | None:
        """Return how a service waits for another; None for anything else that it needs."""
        return self.dependencies.get((needed.name, by.name)) if needed.kind == by.kind == "service" else None

    def edges(self) -> Iterator[tuple[Node, Node]]:
        """Yield what is needed and what needs it."""
        for by in self.nodes:
            for needed in self.needs[by]:
                yield needed, by


def drawing(
    graph: Graph,
    found: Mapping[str, Live] | None,
    project: str,
    *,
    within: Collection[Node] | None = None,
    roots: tuple[Node, ...] = (),
    upwards: bool = False,
    reduced: bool = True,
) -> Drawing:
    """Return what is drawn of a graph: all of it, or the nodes ``within``.

    ``reduced`` leaves out the waits that follow from others.
    """
    drawn = graph.reduction(within) if reduced else graph.to_networkx(within)
    nodes = tuple(sorted(drawn, key=_order))
    needs = {node: tuple(sorted(drawn.predecessors(node), key=_order)) for node in nodes}
    if not roots:
        needed = {each for below in needs.values() for each in below}
        roots = tuple(node for node in nodes if node not in needed)
    dependencies = {(d.service, name): d for name, wanted in graph.conditions.items() for d in wanted}
    return Drawing(
        project, nodes, needs, dependencies, found, critical_path(graph, found), roots, upwards=upwards
    )


_KINDS = ("service", "network", "volume", "config", "secret", "image")


def _order(node: Node) -> tuple[int, str]:
    return _KINDS.index(node.kind), node.name


# ------------------------------------------------------------------ text


def text(shown: Drawing) -> str:
    """Return trees: under each node what it needs, and how; ``upwards``, what needs it."""
    below: dict[Node, list[Node]] = {node: [] for node in shown.nodes}
    for needed, by in shown.edges():
        parent, child = (needed, by) if shown.upwards else (by, needed)
        below[parent].append(child)
    lines: list[str] = []
    seen: set[Node] = set()
    for root in shown.roots:
        lines.append(_line(shown, root))
        lines += _branches(shown, below, root, seen)
    is_measured = len(shown.path) > 1 and shown.path[0].seconds is not None
    if is_measured and {hop.service for hop in shown.path} <= {node.name for node in shown.nodes}:
        lines += ["", f"critical path of the last start: {path_text(shown.path)}"]
    return "\n".join(lines)


def _branches(shown: Drawing, below: Mapping[Node, list[Node]], root: Node, seen: set[Node]) -> Iterator[str]:
    """Yield what is under a node. A chain of waits may be longer than calls may be nested."""
    pending = [(root, child, "", position) for child, position in _placed(below, root, seen)]
    while pending:
        parent, node, indent, is_last = pending.pop()
        branch, deeper = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        dependency = shown.dependency(parent, node) if shown.upwards else shown.dependency(node, parent)
        yield f"{indent}{branch}{_line(shown, node, dependency)}"
        if node in seen and below[node]:
            yield f"{indent}{deeper}└─ … as above"
            continue
        pending += [(node, child, indent + deeper, last) for child, last in _placed(below, node, seen)]


def _placed(below: Mapping[Node, list[Node]], node: Node, seen: set[Node]) -> list[tuple[Node, bool]]:
    """Return the children of a node, which is seen now, the last one first, and whether each is the last."""
    seen.add(node)
    children = sorted(below[node], key=_order, reverse=True)
    return [(child, index == 0) for index, child in enumerate(children)]


def _line(shown: Drawing, node: Node, dependency: Dependency | None = None) -> str:
    if node.kind != "service":
        return str(node)
    return f"{node.name}{_condition(dependency)}  {shown.state(node)}".rstrip()


def _condition(dependency: Dependency | None) -> str:
    if dependency is None:
        return ""
    words = [_WORDS[dependency.condition]] if dependency.condition in _WORDS else []
    words += [] if dependency.required else ["optional"]
    words += ["restarts with it"] if dependency.restart and not dependency.implicit else []
    return f" [{', '.join(words)}]" if words else ""


# ------------------------------------------------------------------ JSON


def document(shown: Drawing) -> dict[str, Any]:
    """Return what is drawn as `composer.documents.graph` has it."""
    return {
        "version": VERSION,
        "project": shown.project,
        "nodes": [
            {"id": str(node), "kind": node.kind, "name": node.name, "state": shown.state(node) or None}
            for node in shown.nodes
        ],
        "edges": [_edge(shown, needed, by) for needed, by in shown.edges()],
        "critical_path": [hop._asdict() for hop in shown.path],
    }


def _edge(shown: Drawing, needed: Node, by: Node) -> dict[str, Any]:
    dependency = shown.dependency(needed, by)
    return {
        "needed": str(needed),
        "by": str(by),
        "condition": dependency.condition if dependency else None,
        "required": dependency.required if dependency else True,
        "restart": dependency.restart if dependency else False,
        "implicit": dependency.implicit if dependency else False,
    }


def json_text(shown: Drawing) -> str:
    """Return the document as text."""
    return json.dumps(document(shown), ensure_ascii=False, indent=2)


# ------------------------------------------------------------------ mermaid and dot


_LETTERS = {"service": "s", "network": "n", "volume": "v", "config": "c", "secret": "x", "image": "i"}
_MERMAID_SHAPES = {
    "service": ('["', '"]'),
    "network": ('(["', '"])'),
    "volume": ('[("', '")]'),
    "config": ('[/"', '"/]'),
    "secret": ('[\\"', '"\\]'),
    "image": ('{{"', '"}}'),
}
_DOT_SHAPES = {
    "service": "box",
    "network": "ellipse",
    "volume": "cylinder",
    "config": "note",
    "secret": "octagon",
    "image": "component",
}


def mermaid(shown: Drawing) -> str:
    """Return a flowchart; edges lead from what is needed to what needs it, the critical path is thick."""
    counts = dict.fromkeys(_KINDS, 0)
    ids: dict[Node, str] = {}
    for node in shown.nodes:
        ids[node] = f"{_LETTERS[node.kind]}{counts[node.kind]}"
        counts[node.kind] += 1
    lines = ["flowchart LR"]
    for node in shown.nodes:
        begin, end = _MERMAID_SHAPES[node.kind]
        lines.append(f"    {ids[node]}{begin}{'<br/>'.join(map(_escape, _label(shown, node)))}{end}")
    path = _path_edges(shown)
    for needed, by in shown.edges():
        dependency = shown.dependency(needed, by)
        if dependency is None:
            lines.append(f"    {ids[needed]} --- {ids[by]}")
            continue
        arrow = "==>" if (needed, by) in path else "-->" if dependency.required else "-.->"
        words = _condition(dependency).strip(" []")
        label = f'|"{words}"|' if words else ""
        lines.append(f"    {ids[needed]} {arrow}{label} {ids[by]}")
    return "\n".join(lines)


def dot(shown: Drawing) -> str:
    """Return a graph for Graphviz, drawn as `mermaid` does."""
    lines = ["digraph composer {", "    rankdir=LR; node [shape=box];"]
    for node in shown.nodes:
        label = json.dumps("\n".join(_label(shown, node)), ensure_ascii=False)
        shape = "" if node.kind == "service" else f", shape={_DOT_SHAPES[node.kind]}"
        lines.append(f"    {_dot_id(node)} [label={label}{shape}];")
    path = _path_edges(shown)
    for needed, by in shown.edges():
        dependency = shown.dependency(needed, by)
        if dependency is None:
            marks = ["dir=none"]
        else:
            marks = [f"label={json.dumps(_condition(dependency).strip(' []'))}"]
            marks += ["penwidth=3"] if (needed, by) in path else []
            marks += [] if dependency.required else ["style=dashed"]
        lines.append(f"    {_dot_id(needed)} -> {_dot_id(by)} [{', '.join(marks)}];")
    return "\n".join([*lines, "}"])


def _dot_id(node: Node) -> str:
    return json.dumps(node.name if node.kind == "service" else str(node), ensure_ascii=False)


def _label(shown: Drawing, node: Node) -> list[str]:
    if node.kind != "service":
        return [str(node)]
    return [node.name, shown.state(node)] if shown.found is not None else [node.name]


def _path_edges(shown: Drawing) -> set[tuple[Node, Node]]:
    names = [Node("service", hop.service) for hop in shown.path if hop.seconds is not None]
    return set(pairwise(names))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


FORMATS = {"text": text, "json": json_text, "mermaid": mermaid, "dot": dot}
