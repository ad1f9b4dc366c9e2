"""What the commands do, each as observe → plan → execute. No terminal, no environment, no files but the project's.

`Engine` carries what every action needs: the backend, who watches, how parallel, and the key for digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine.events import Cancellation, Silence
from composer.engine.outcome import PARALLEL, Outcome
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.engine.backend import Backend
    from composer.engine.events import Events
    from composer.engine.lifecycle import Teardown
    from composer.engine.observed import Observed
    from composer.engine.options import OneOff, Options
    from composer.engine.plan import Plan
    from composer.schema.model import Project


class Engine(NamedTuple):
    """The surroundings of an action. ``key`` seals values in labels; it belongs to the machine.

    ``review`` sees each plan before it is carried out; where it returns False, nothing is done. ``ask`` gets a question
    on whose answer it depends whether data is lost from sight; without it the answer is no.
    """

    backend: Backend
    events: Events = Silence()
    key: bytes = b""
    parallel: int = PARALLEL
    cancel: Cancellation | None = None
    review: Callable[[Plan], bool] | None = None
    ask: Callable[[str], bool] | None = None

    def apply(self, project: str, plan: Plan) -> Outcome:
        """Carry out a plan. Raises what went wrong."""
        outcome = self.attempt(project, plan)
        outcome.check()
        return outcome

    def attempt(self, project: str, plan: Plan) -> Outcome:
        """Carry out a plan and return what came of it, good or bad."""
        if self.review is not None and not self.review(plan):
            return Outcome()
        for loss in plan.losses:
            if self.ask is None or not self.ask(f"{loss}: continue?"):
                raise ProjectError(f"nothing was done: {loss}", hint=loss.remedy)
        for sentence in plan.warnings:
            self.events.warn(sentence)
        if not plan.steps:
            return Outcome()
        from composer.engine.execute import execute

        return execute(
            plan, self.backend, self.events, project=project, parallel=self.parallel, cancel=self.cancel
        )


class Change(NamedTuple):
    """A plan of ``up``, with what there was when it was made: that is what a rollback goes back to."""

    project: str
    plan: Plan
    options: Options
    before: Observed
    rollbacks: frozenset[str] = frozenset()
    """The services whose ``update_config`` says ``failure_action: rollback``."""

    def attempt(self, engine: Engine) -> Outcome:
        """Carry the plan out; where it fails, put things back as the options say. Returns what came of it."""
        outcome = engine.attempt(self.project, self.plan)
        if not outcome.failures and not outcome.cancelled:
            return outcome
        if self.options.on_failure != "keep" or self.rollbacks:
            from composer.engine.transaction import make_good

            return make_good(engine, self, outcome)
        return outcome


def plan_up(engine: Engine, project: Project, options: Options) -> Plan:
    """Return what ``up`` would do: nothing is changed."""
    return _change(engine, project, options).plan


def _change(engine: Engine, project: Project, options: Options) -> Change:
    from composer.engine.observe import observe
    from composer.engine.reconcile import reconcile

    whole = frozenset(project.tree.get("services") or ()) | frozenset(project.disabled)
    chosen = project.select(options.services, dependencies=options.dependencies)
    world = observe(engine.backend, chosen, engine.key)
    plan = reconcile(chosen, world, options._replace(known=whole))
    services = chosen.tree.get("services") or {}
    rollbacks = frozenset(
        name
        for name, tree in services.items()
        if ((tree.get("deploy") or {}).get("update_config") or {}).get("failure_action") == "rollback"
    )
    return Change(project.name, plan, options, world.observed, rollbacks)


def up(engine: Engine, project: Project, options: Options, ask: Callable[[str], bool] | None = None) -> Plan:
    """Make what exists what the project says; return the plan that was carried out.

    ``ask`` gets a question whose answer may lose data; without it the answer is no.
    """
    change = prepare_up(engine, project, options, ask)
    change.attempt(engine).check()
    return change.plan


def apply_up(engine: Engine, project: Project, options: Options) -> Plan:
    """Carry out what ``up`` would do, without looking for newer images: a plan that was made has settled that."""
    change = _change(engine, project, options)
    change.attempt(engine).check()
    return change.plan


def create_oneoff(engine: Engine, project: Project, oneoff: OneOff, options: Options) -> str:
    """Create the container of a ``run``, with all that it needs running; return its id."""
    options = options._replace(services=(oneoff.service,), oneoff=oneoff)
    refresh_images(engine, project, options)
    outcome = _change(engine, project, options).attempt(engine)
    outcome.check()
    return outcome.ids[oneoff.name]


def prepare_up(
    engine: Engine, project: Project, options: Options, ask: Callable[[str], bool] | None = None
) -> Change:
    """Pull what is to be pulled anew, and return what is to be done, with what was answered."""
    refresh_images(engine, project, options)
    change = _change(engine, project, options)
    if ask is None or not change.plan.diverged_volumes:
        return change
    for name in change.plan.diverged_volumes:
        if not ask(f"volume '{name}' does not match its configuration: recreate it and lose its data?"):
            return change
    return _change(engine, project, options._replace(replace_volumes=True))


def refresh_images(engine: Engine, project: Project, options: Options) -> None:
    """Pull what is to be pulled even though it is here, so that the plan is made with what the registry has now."""
    import time

    from composer.engine.images import plan_refresh

    chosen = project.select(options.services, dependencies=options.dependencies)
    find = engine.backend.find_image
    plan = plan_refresh(chosen, find, options.pull, time.time_ns(), options.build)
    if plan.steps:
        engine.apply(project.name, plan)


def down(engine: Engine, project: str, options: Teardown) -> Plan:
    """Remove what a project has."""
    from composer.engine.lifecycle import plan_down

    plan = plan_down(project, engine.backend.observe(project), options)
    engine.apply(project, plan)
    return plan


def stop(engine: Engine, project: str, services: Sequence[str] = (), timeout_s: float | None = None) -> Plan:
    """Stop services; their containers stay."""
    from composer.engine.lifecycle import plan_stop

    plan = plan_stop(engine.backend.observe(project), services, timeout_s)
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
    """Start services that exist and do not run."""
    from composer.engine.lifecycle import plan_start

    observed = engine.backend.observe(project)
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
    """Stop and start services as they are: no change of configuration is applied."""
    from composer.engine.lifecycle import plan_restart

    plan = plan_restart(engine.backend.observe(project), services, timeout_s, dependents=dependents)
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
    from composer.engine.lifecycle import plan_kill

    plan = plan_kill(engine.backend.observe(project), services, signal, spare=spare)
    engine.apply(project, plan)
    return plan


def remove(
    engine: Engine, project: str, services: Sequence[str] = (), *, stop: bool = False, volumes: bool = False
) -> Plan:
    """Remove stopped containers of services; with ``stop`` running ones too."""
    from composer.engine.lifecycle import plan_remove

    plan = plan_remove(engine.backend.observe(project), services, stop=stop, volumes=volumes)
    engine.apply(project, plan)
    return plan


def is_empty(observed: Observed) -> bool:
    """Tell whether a project has nothing at all."""
    return not (observed.containers or observed.networks or observed.volumes)
