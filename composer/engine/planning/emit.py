"""From what is decided to the steps of a plan, in the order of dependencies.

`reconcile` decides; this only orders. A service's steps: what it is made of (networks, volumes, image), then its
containers (kept, replaced by `rollout`, created), then their start behind the gates of depends_on. At the very end,
when what replaces them has started, old containers are removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.operations.containers import ConnectNetwork, DisconnectNetwork, RenameContainer
from composer.engine.planning.assembly import Assembly
from composer.engine.planning.creations import Creations
from composer.engine.planning.removals import Removals
from composer.engine.planning.staying import tell, unmet

if TYPE_CHECKING:
    from composer.engine.observe import World
    from composer.engine.options import Options
    from composer.engine.plan import Plan
    from composer.engine.planning.decisions import Decisions, Stay
    from composer.graph import Graph
    from composer.schema.model import Project


def emit(project: Project, world: World, options: Options, graph: Graph, decisions: Decisions) -> Plan:
    """Return the plan that carries out ``decisions``."""
    creations = Creations(project, world, graph, decisions, renew=options.renew_anonymous_volumes)
    removals = Removals(options.timeout_s, keep=options.on_failure == "rollback")
    assembly = Assembly(project, world, graph, decisions, creations, removals)
    return _Emitter(project, options, decisions, assembly).emit()


class _Emitter:
    def __init__(self, project: Project, options: Options, decisions: Decisions, assembly: Assembly) -> None:
        self._project, self._options, self._decisions = project, options, decisions
        self._assembly = assembly
        self._removals, self._builder = assembly.removals, assembly.builder

    def emit(self) -> Plan:
        decisions, assembly, removals = self._decisions, self._assembly, self._removals
        for sentence in decisions.warnings:
            self._builder.warn(sentence)
        self._builder.diverged_volumes += decisions.diverged.kept
        self._builder.losses += decisions.infrastructure.losses
        tell(decisions, self._builder)
        for container, cause in decisions.unfinished:
            assembly.room.cleared[container.name] = removals.remove(container, cause)
        assembly.room.draw_first()
        assembly.resources.add(decisions.infrastructure.changes)
        for fetch in decisions.fetches:
            assembly.fetch(fetch)
        for service in decisions.order:
            self._emit(service)
        for dependency in unmet(decisions) if self._options.start else ():
            assembly.gate(dependency)
        for wait in decisions.waits:
            assembly.wait(wait)
        for container, cause in decisions.retired:
            removals.dismiss(container, cause, (), service=labels.service_of(container))
        removals.finish(assembly.settled)
        steps = [step.id for step in self._builder]
        needs, after = (steps, ()) if removals.keep else ((), steps)
        assembly.resources.remove(decisions.infrastructure.obsolete, needs, after)
        return self._builder.build()

    def _emit(self, service: str) -> None:
        assembly, decision = self._assembly, self._decisions.services[service]
        for container, cause in decision.remove:
            self._removals.leave(container, cause)
            assembly.room.note(container)
        held = self._decisions.held.get(service, ())
        assembly.held[service] = tuple(step for fate in held for step in self._removals.stop(*fate))
        refs = assembly.refs[service] = []
        ends: list[int] = []
        for stay in self._decisions.stays[service]:
            refs.append(stay.known)
            ends += self._keep(stay)
        if decision.replace:
            from composer.engine.planning.rollout import Rollout

            rollout = Rollout(
                assembly,
                service,
                self._project.tree["services"][service],
                starts=self._options.start,
                renew=self._options.renew_anonymous_volumes,
            )
            ends += rollout.replace(decision.replace, refs)
            for container, _ in decision.replace:
                assembly.room.note(container)
        for number in decision.create:
            new = assembly.creations.reference(service, number)
            refs.append(new)
            step = assembly.create(assembly.creations.container(service, new, decision.create_cause))
            ends.append(assembly.start(new, "", (step,)) if self._options.start else step)
        oneoff = self._options.oneoff
        if oneoff is not None and oneoff.service == service:
            assembly.create_behind_gates(assembly.creations.oneoff(oneoff))
        assembly.ready[service] = tuple(ends)

    def _keep(self, stay: Stay) -> tuple[int, ...]:
        """Add the steps of a container that stays; return those after which it runs."""
        known, cleared = stay.known, self._assembly.room.cleared
        steps: list[int] = []
        if stay.rename:
            needs = [cleared[known.name]] if known.name in cleared else []
            steps.append(self._builder.add(RenameContainer(known, stay.container.name, stay.rename), needs))
        for endpoint, cause, again in stay.connections:
            needs = self._assembly.resources.network_needs(endpoint.network)
            if again:
                needs.append(self._builder.add(DisconnectNetwork(known, endpoint.network, cause), needs))
            steps.append(self._builder.add(ConnectNetwork(known, endpoint, cause), needs))
        if stay.start:
            stopped = self._removals.stopped.get(stay.container.id)
            return (self._assembly.start(known, stay.start, (*steps, *([stopped] if stopped else []))),)
        if stay.is_unchanged:
            self._builder.unchanged.append(known.name)
        return ()
