"""The dependency graph as text, mermaid and dot, with what runs and the path that decided how long the start took."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from composer.engine import labels
from composer.engine.observed import ContainerState
from composer.engine.wait import describe
from composer.graph import COMPLETED, HEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.engine.observed import ObservedContainer
    from composer.graph import Dependency, Graph

_WORDS = {HEALTHY: "healthy", COMPLETED: "completed"}
_NS_PER_S = 1_000_000_000


class Live(NamedTuple):
    """What there is of a service: ``state`` in words, and when it was started and ready, 0 where that is unknown."""

    state: str = "not created"
    started_ns: int = 0
    ready_ns: int = 0


class Hop(NamedTuple):
    """A service on the critical path, and how long after the one before it started, in seconds."""

    service: str
    seconds: float


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
    started = max(c.started_ns for c in containers)
    ended = [c.finished_ns for c in containers if c.state is ContainerState.EXITED and c.exit_code == 0]
    return Live(text, started, max(ended, default=started))


def critical_path(graph: Graph, found: Mapping[str, Live]) -> list[Hop]:
    """Return the chain of services that each waited for the one before, up to the one that started last."""
    started = {name: one for name, one in found.items() if one.started_ns and name in graph.conditions}
    if not started:
        return []
    name: str | None = max(started, key=lambda s: (started[s].started_ns, s))
    chain: list[str] = []
    while name is not None:
        chain.append(name)
        begun = started[name].started_ns
        # what was started again since, or by itself, was not waited for
        waited = [
            d.service
            for d in graph.conditions[name]
            if d.service in started and d.service not in chain and started[d.service].started_ns <= begun
        ]
        name = max(waited, key=lambda s: (started[s].ready_ns, s), default=None)
    chain.reverse()
    times = [started[service].started_ns for service in chain]
    return [Hop(service, (times[i] - times[max(0, i - 1)]) / _NS_PER_S) for i, service in enumerate(chain)]


def path_text(hops: list[Hop]) -> str:
    first, *rest = hops
    return " → ".join([first.service, *(f"{hop.service} (+{hop.seconds:.2f} s)" for hop in rest)])


# ------------------------------------------------------------------ text


def text(graph: Graph, found: Mapping[str, Live]) -> str:
    """Return a tree: what nobody needs at the left, under each service what it needs and how."""
    needed = {d.service for wanted in graph.conditions.values() for d in wanted}
    lines: list[str] = []
    shown: set[str] = set()
    for root in sorted(graph.conditions.keys() - needed) or sorted(graph.conditions):
        lines.append(f"{root}  {found.get(root, Live()).state}")
        lines += _branches(graph, found, root, "", shown)
    hops = critical_path(graph, found)
    if len(hops) > 1:
        lines += ["", f"critical path of the last start: {path_text(hops)}"]
    return "\n".join(lines)


def _branches(
    graph: Graph, found: Mapping[str, Live], service: str, indent: str, shown: set[str]
) -> Iterator[str]:
    wanted = graph.conditions[service]
    if service in shown and wanted:
        yield f"{indent}└─ … as above"
        return
    shown.add(service)
    for index, dependency in enumerate(wanted):
        is_last = index == len(wanted) - 1
        branch, deeper = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        state = found.get(dependency.service, Live()).state
        yield f"{indent}{branch}{dependency.service}{_condition(dependency)}  {state}"
        yield from _branches(graph, found, dependency.service, indent + deeper, shown)


def _condition(dependency: Dependency) -> str:
    words = [_WORDS[dependency.condition]] if dependency.condition in _WORDS else []
    words += [] if dependency.required else ["optional"]
    words += ["restarts with it"] if dependency.restart and not dependency.implicit else []
    return f" [{', '.join(words)}]" if words else ""


# ------------------------------------------------------------------ mermaid and dot


def mermaid(graph: Graph, found: Mapping[str, Live]) -> str:
    """Return a flowchart; edges lead from what is needed to what needs it, the critical path is thick."""
    ids = {name: f"s{index}" for index, name in enumerate(sorted(graph.conditions))}
    lines = ["flowchart LR"]
    lines += [
        f'    {ids[name]}["{_escape(name)}<br/>{_escape(found.get(name, Live()).state)}"]' for name in ids
    ]
    path = _edges([hop.service for hop in critical_path(graph, found)])
    for name in ids:
        for dependency in graph.conditions[name]:
            arrow = "==>" if (dependency.service, name) in path else "-->" if dependency.required else "-.->"
            words = _condition(dependency).strip(" []")
            label = f'|"{words}"|' if words else ""
            lines.append(f"    {ids[dependency.service]} {arrow}{label} {ids[name]}")
    return "\n".join(lines)


def dot(graph: Graph, found: Mapping[str, Live]) -> str:
    """Return a graph for Graphviz, drawn as `mermaid` does."""
    lines = ["digraph composer {", "    rankdir=LR; node [shape=box];"]
    for name in sorted(graph.conditions):
        label = f"{name}\n{found.get(name, Live()).state}"
        lines.append(f"    {json.dumps(name)} [label={json.dumps(label, ensure_ascii=False)}];")
    path = _edges([hop.service for hop in critical_path(graph, found)])
    for name in sorted(graph.conditions):
        for dependency in graph.conditions[name]:
            marks = [f"label={json.dumps(_condition(dependency).strip(' []'))}"]
            marks += ["penwidth=3"] if (dependency.service, name) in path else []
            marks += [] if dependency.required else ["style=dashed"]
            edge = f"{json.dumps(dependency.service)} -> {json.dumps(name)}"
            lines.append(f"    {edge} [{', '.join(marks)}];")
    return "\n".join([*lines, "}"])


def _edges(chain: list[str]) -> set[tuple[str, str]]:
    return set(pairwise(chain))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


FORMATS = {"text": text, "mermaid": mermaid, "dot": dot}
