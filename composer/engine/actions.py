"""What the commands do, each as observe → plan → execute. No terminal, no environment, no files but the project's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.engine import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.engine.engine import Engine
    from composer.engine.observed import Observed
    from composer.engine.options import OneOff, Options
    from composer.engine.plan import Outcome, Plan
    from composer.engine.planning.external import External
    from composer.engine.planning.lifecycle import Teardown
    from composer.engine.planning.providing import Given
    from composer.schema.model import Project


def plan_up(engine: Engine, project: Project, options: Options) -> Plan:
    """Return the plan of ``up`` without changing anything."""
    return _change(engine, project, options).plan


def look_at_builds(engine: Engine, project: Project, options: Options) -> tuple[Plan, Sequence[str]]:
    """Return the builds that ``up`` was asked for and that would make another image, and why; and images that stay.

    Nothing is built: what a build would find in its cache is looked up.
    """
    import time

    from composer.engine.operations.images import BuildImage
    from composer.engine.plan import PlanBuilder
    from composer.engine.planning.refreshing import plan_refresh

    chosen = project.select(options.services, dependencies=options.dependencies)
    asked = plan_refresh(chosen, engine.backend.find_image, options.pull, time.time_ns(), options.build)
    builder, kept = PlanBuilder(), []
    for step in asked.steps:
        operation = step.operation
        if not isinstance(operation, BuildImage):
            continue
        reason = engine.backend.look_at_build(operation.spec)
        if reason == "":
            kept.append(f"image {operation.spec.reference}")
        else:
            builder.add(operation._replace(cause=reason or operation.cause))
    return builder.build(), kept


def _change(engine: Engine, project: Project, options: Options, given: Given | None = None) -> Change:
    """Return the plan of an ``up``; ``given`` is what providers said just now, else it is what they said last."""
    from composer.engine.observe import observe
    from composer.engine.planning.reconcile import reconcile

    whole = frozenset(project.tree.get("services") or ()) | frozenset(project.disabled)
    chosen = project.select(options.services, dependencies=options.dependencies)
    if _is_partly_elsewhere(project):
        from composer.engine.running import elsewhere

        chosen = elsewhere.resolved(engine, chosen, project, given)
        left = chosen.tree.get("services") or {}
        options = options._replace(services=tuple(name for name in options.services if name in left))
    world = observe(engine.backend, chosen, engine.key)
    _refuse_half_restored(world.observed)
    plan = reconcile(chosen, world, options._replace(known=whole))
    services = chosen.tree.get("services") or {}
    rollbacks = frozenset(
        name
        for name, tree in services.items()
        if ((tree.get("deploy") or {}).get("update_config") or {}).get("failure_action") == "rollback"
    )
    return Change(project.name, plan, options, world.observed, rollbacks)


def _refuse_half_restored(observed: Observed) -> None:
    """Raise Conflict where the data of a project is neither the old nor that of a snapshot: a kill came between."""
    from composer.engine import labels
    from composer.errors import Conflict

    if any(labels.PLACING in volume.labels for volume in observed.volumes):
        raise Conflict(
            "a restore of this project's data was interrupted, or is still running",
            hint="finish it with composer snapshot restore, or remove the data with composer down -v",
        )


def _is_partly_elsewhere(project: Project) -> bool:
    """Tell whether services are a provider's, or use models."""
    sections = (project.declared, project.disabled)
    return any(
        tree.get("provider") or tree.get("models") for section in sections for tree in section.values()
    )


def look_elsewhere(engine: Engine, project: Project, options: Options) -> tuple[Plan, Sequence[str]]:
    """Return the steps of providers and models that would make what is not known of; and the services that are.

    What they need is in the plan of all the rest. Raises ProviderFailed where models cannot be used here.
    """
    if not _is_partly_elsewhere(project):
        from composer.engine.plan import PlanBuilder

        return PlanBuilder().build(), ()
    from composer.engine.running import elsewhere

    return elsewhere.look(engine, project.select(options.services, dependencies=options.dependencies))


def _provide(engine: Engine, project: Project, options: Options) -> Given | None:
    """Let providers make what the chosen services stand for; return what they gave, None where there is none."""
    if not _is_partly_elsewhere(project):
        return None
    from composer.engine.running import elsewhere

    def bring_up(services: Sequence[str], wait: bool, given: Given) -> None:
        first = options._replace(services=tuple(services), wait=wait, oneoff=None)
        carry_out(engine, _change(engine, project, first, given)).check()

    return elsewhere.provide(
        engine, project.select(options.services, dependencies=options.dependencies), bring_up
    )


def up(engine: Engine, project: Project, options: Options, ask: Callable[[str], bool] | None = None) -> Plan:
    """Create, update and start the project's resources; return the plan that was executed.

    ``ask`` gets a question whose answer may lose data; without it the answer is no.
    """
    change = prepare_up(engine, project, options, ask)
    carry_out(engine, change).check()
    return change.plan


def carry_out(engine: Engine, change: Change) -> Outcome:
    """Carry a plan out; where it fails, put things back as the options say. Returns what came of it."""
    outcome = engine.attempt(change.project, change.plan)
    if not outcome.failures and not outcome.cancelled:
        return outcome
    if change.options.on_failure != "keep" or change.rollbacks:
        from composer.engine.running.transaction import make_good

        return make_good(engine, change, outcome)
    return outcome


def apply_up(engine: Engine, project: Project, options: Options) -> Plan:
    """Carry out what ``up`` would do, without looking for newer images: a plan that was made has settled that."""
    change = _change(engine, project, options, _provide(engine, project, options))
    carry_out(engine, change).check()
    return change.plan


def create_oneoff(engine: Engine, project: Project, oneoff: OneOff, options: Options) -> str:
    """Create the container of a ``run``, with all that it needs running; return its id."""
    options = options._replace(services=(oneoff.service,), oneoff=oneoff)
    refresh_images(engine, project, options)
    outcome = carry_out(engine, _change(engine, project, options, _provide(engine, project, options)))
    outcome.check()
    return outcome.ids[oneoff.name]


def prepare_up(
    engine: Engine, project: Project, options: Options, ask: Callable[[str], bool] | None = None
) -> Change:
    """Pull what is to be pulled anew, and return what is to be done, with what was answered."""
    refresh_images(engine, project, options)
    given = _provide(engine, project, options)
    change = _change(engine, project, options, given)
    if ask is None or not change.plan.diverged_volumes:
        return change
    for name in change.plan.diverged_volumes:
        if not ask(
            f"volume '{name}' exists but doesn't match the configuration in the compose file. "
            "Recreate (data will be lost)?"
        ):
            return change
    return _change(engine, project, options._replace(replace_volumes=True), given)


def refresh_images(engine: Engine, project: Project, options: Options) -> None:
    """Pull what is to be pulled even though it is here, so that the plan is made with what the registry has now."""
    import time

    from composer.engine.planning.refreshing import plan_refresh

    chosen = project.select(options.services, dependencies=options.dependencies)
    plan = plan_refresh(chosen, engine.backend.find_image, options.pull, time.time_ns(), options.build)
    if plan.steps:
        engine.apply(project.name, plan)


def down(engine: Engine, project: str, options: Teardown, observed: Observed | None = None) -> Plan:
    """Remove the containers and networks of a project, and volumes and images if requested.

    ``observed`` is what the options were made from, under the project's lock; None: it is observed here.
    """
    from composer.engine.planning.lifecycle import plan_down

    plan = plan_down(project, observed or engine.backend.observe(project), options)
    outcome = engine.attempt(project, plan)
    if engine.provided is not None and not engine.provided.is_empty:
        from composer.engine.running import elsewhere

        elsewhere.forget(engine.provided, plan, outcome)
    outcome.check()
    return plan


def stop(
    engine: Engine,
    project: str,
    services: Sequence[str] = (),
    timeout_s: float | None = None,
    stops: Mapping[str, External] | None = None,
    observed: Observed | None = None,
) -> Plan:
    """Stop services; their containers are kept. ``stops`` are those of providers; ``observed`` as in `down`."""
    from composer.engine.planning.lifecycle import plan_stop

    plan = plan_stop(observed or engine.backend.observe(project), services, timeout_s, stops)
    engine.apply(project, plan)
    return plan


def start(
    engine: Engine,
    project: str,
    services: Sequence[str] = (),
    *,
    wait: bool = False,
    wait_timeout_s: float | None = None,
    wait_restarts: int | None = None,
) -> Plan:
    """Start existing containers of services that are not running."""
    from composer.engine.planning.lifecycle import plan_start

    observed = engine.backend.observe(project)
    _refuse_half_restored(observed)
    plan = plan_start(
        observed, services, wait=wait, wait_timeout_s=wait_timeout_s, wait_restarts=wait_restarts
    )
    engine.apply(project, plan)
    return plan


def restart(
    engine: Engine,
    project: str,
    services: Sequence[str] = (),
    timeout_s: float | None = None,
    *,
    dependents: bool = True,
) -> Plan:
    """Stop and start containers of services; configuration changes are not applied."""
    from composer.engine.planning.lifecycle import plan_restart

    observed = engine.backend.observe(project)
    _refuse_half_restored(observed)
    plan = plan_restart(observed, services, timeout_s, dependents=dependents)
    engine.apply(project, plan)
    return plan


def kill(
    engine: Engine,
    project: str,
    services: Sequence[str] = (),
    signal: str = "SIGKILL",
    *,
    spare: frozenset[str] = frozenset(),
) -> Plan:
    """Send a signal to services, all but those to ``spare``."""
    from composer.engine.planning.lifecycle import plan_kill

    plan = plan_kill(engine.backend.observe(project), services, signal, spare=spare)
    engine.apply(project, plan)
    return plan


def remove(
    engine: Engine, project: str, services: Sequence[str] = (), *, stop: bool = False, volumes: bool = False
) -> Plan:
    """Remove stopped containers of services; with ``stop`` running ones too."""
    from composer.engine.planning.lifecycle import plan_remove

    plan = plan_remove(engine.backend.observe(project), services, stop=stop, volumes=volumes)
    engine.apply(project, plan)
    return plan


def is_empty(observed: Observed) -> bool:
    """Return True if no resource of the project exists."""
    return not (observed.containers or observed.networks or observed.volumes)
