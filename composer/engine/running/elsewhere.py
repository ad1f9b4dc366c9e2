"""Services that providers make, and models: having them made, and what is known from earlier commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.operations.providers import RemoveProvided
from composer.engine.plan import PlanBuilder
from composer.engine.planning import modelling, providing
from composer.engine.planning.providing import Given, Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from composer.engine.engine import Engine, Memory
    from composer.engine.operations.registry import Operation
    from composer.engine.plan import Outcome, Plan
    from composer.engine.planning.providing import Held
    from composer.schema.model import Project


def resolved(engine: Engine, chosen: Project, whole: Project, given: Given | None) -> Project:
    """Return the chosen services that containers are made for, with what they get from the others.

    ``given`` is what providers said just now; None: what they said the last time.
    """
    given = _kept(engine).given() if given is None else given
    chosen = providing.resolved(chosen, whole, given, engine.events.warn)
    return modelling.resolved(chosen, given.endpoints)


def look(engine: Engine, chosen: Project) -> tuple[Plan, Sequence[str]]:
    """Return the steps that would make what is not known of; and the services that are."""
    kept, held = _kept(engine), providing.held_of(chosen)
    builder, there = PlanBuilder(), []
    preparations = modelling.prepared(chosen, "does not exist")
    if preparations:
        from composer.engine.providers import models

        models.find(chosen.environment)
    for preparation in preparations:
        if preparation.name not in kept.endpoints:
            builder.add(preparation)
    for name in (name for turn in providing.turns(chosen) for name in turn.providers):
        cause = _cause(kept.services.get(name), held[name])
        if cause:
            builder.add(providing.start(chosen, name, cause))
        else:
            there.append(f"service {name}")
    return builder.build(), there


def _cause(before: Held | None, wanted: Held) -> str:
    """Return why a provider would have something to do; nothing where it made this before."""
    if before is None:
        return "does not exist"
    if not before.is_whole:
        return "the last up did not finish it"
    return "options of its provider changed" if before.provider != wanted.provider else ""


def provide(engine: Engine, chosen: Project, bring_up: Callable[[Sequence[str], bool, Given], None]) -> Given:
    """Let providers make what the chosen services stand for; return what they gave.

    ``bring_up`` gets the services that the next providers need, whether they have to be ready, and what is given so
    far.
    """
    given = _prepare_models(engine, chosen)
    held = providing.held_of(chosen)
    for turn in providing.turns(chosen):
        if turn.needs:
            bring_up(turn.needs, turn.waits, given)
        _note_begin(engine, {name: held[name] for name in turn.providers}, chosen.environment)
        outcome = _attempt(
            engine, chosen.name, [providing.start(chosen, name, "up") for name in turn.providers]
        )
        given = given._replace(variables={**given.variables, **outcome.variables})
        if engine.provided is not None and outcome.variables:
            engine.provided.add(
                {name: held[name]._replace(variables=found) for name, found in outcome.variables.items()}
            )
        outcome.check()
    return given


def forget(memory: Memory, plan: Plan, outcome: Outcome) -> None:
    """Note what providers have removed."""
    memory.remove(
        {
            step.operation.service
            for step in plan.steps
            if isinstance(step.operation, RemoveProvided) and step.id in outcome.done
        }
    )


def _kept(engine: Engine) -> Kept:
    return Kept() if engine.provided is None else engine.provided.read()


def _note_begin(engine: Engine, held: Mapping[str, Held], environment: Mapping[str, str]) -> None:
    """Note the providers that are about to run, so that down asks them also where up is killed, or they fail."""
    from composer.engine.providers import program

    if engine.provided is None:
        return
    made = engine.provided.read().services
    begun = {
        name: one._replace(is_whole=False)
        for name, one in held.items()
        if name not in made and program.exists(one.provider.type, environment)
    }
    if begun:
        engine.provided.add(begun)


def _prepare_models(engine: Engine, chosen: Project) -> Given:
    """Prepare the models that services use; return what is known then."""
    given = _kept(engine).given()
    wanted = modelling.prepared(chosen, "up")
    if not wanted:
        return given
    outcome = _attempt(engine, chosen.name, wanted)
    outcome.check()
    if engine.provided is not None and outcome.endpoints:
        engine.provided.add({}, outcome.endpoints)
    return given._replace(endpoints={**given.endpoints, **outcome.endpoints})


def _attempt(engine: Engine, project: str, operations: Iterable[Operation]) -> Outcome:
    builder = PlanBuilder()
    for operation in operations:
        builder.add(operation)
    return engine.attempt(project, builder.build())
