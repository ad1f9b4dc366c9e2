"""After an ``up`` that failed or was interrupted: put back what ran before, or take everything down.

``--on-failure keep`` (the default) leaves things as they are, for a look; a service whose ``update_config`` says
``failure_action: rollback`` is put back all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.engine.engine import Change, Engine
    from composer.engine.plan import Outcome, Plan


def make_good(engine: Engine, change: Change, outcome: Outcome) -> Outcome:
    """Put things back as the options of ``change`` say; return ``outcome`` with what came of that."""
    services = frozenset() if change.options.on_failure != "keep" else _to_roll_back(change, outcome)
    if change.options.on_failure == "keep" and not services:
        return outcome
    # the Ctrl-C that interrupted the up must not interrupt this; the next one does
    fresh = engine._replace(cancel=engine.cancel.following() if engine.cancel else None, review=None)
    if change.options.on_failure == "down":
        from composer.engine.planning.lifecycle import Teardown, plan_down

        plan = plan_down(change.project, engine.backend.observe(change.project), Teardown())
        said = "the project was taken down (--on-failure down)"
    else:
        engine.events.warn("update failed, rolling back")
        plan = _restoring(engine, change, services)
        said = _what_was_put_back(change, services)
    restored = fresh.attempt(change.project, plan)
    if restored.failures or restored.cancelled:
        said = "rollback did not finish: run composer up to continue"
    for failure in outcome.failures[:1]:
        failure.add_note(said)
    return outcome._replace(failures=(*outcome.failures, *restored.failures))


def _restoring(engine: Engine, change: Change, services: frozenset[str]) -> Plan:
    from composer.engine.planning.restore import plan_restore

    now = engine.backend.observe(change.project)
    found = {c.image: engine.backend.find_image(c.image) for c in change.before.containers if c.image}
    images = {reference: image.id for reference, image in found.items() if image is not None}
    return plan_restore(change.before, now, images, services)


def _to_roll_back(change: Change, outcome: Outcome) -> frozenset[str]:
    """Return the services that failed and say ``failure_action: rollback``."""
    from composer.engine.operations.registry import facts_of

    failed = {
        facts_of(step.operation).get("service") for step in change.plan.steps if step.id in outcome.failed
    }
    return change.rollbacks & failed


def _what_was_put_back(change: Change, services: frozenset[str]) -> str:
    from composer.engine import labels

    had = {labels.service_of(c) for c in change.before.containers if not labels.is_oneoff(c)}
    names = sorted(had & services if services else had)
    if not names:
        return "nothing was running before: new containers and networks were removed"
    return f"rolled back: {', '.join(names)}"
