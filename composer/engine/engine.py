"""The surroundings of the commands: the backend, who watches, how parallel, the key for digests. It carries plans out.

A plan of ``up`` is carried out by `transaction`, which knows what to do where it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from composer.engine.plan import PARALLEL, Outcome
from composer.engine.progress import Cancellation, Silence
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.backend import Backend
    from composer.engine.observed import Observed
    from composer.engine.options import Options
    from composer.engine.plan import Plan
    from composer.engine.planning.providing import Held, Kept
    from composer.engine.progress import Events


class Memory(Protocol):
    """What is known of what providers made for a project, from one command to the next."""

    @property
    def is_empty(self) -> bool: ...
    def read(self) -> Kept: ...
    def add(self, held: Mapping[str, Held], endpoints: Mapping[str, str] = {}) -> None: ...
    def remove(self, names: set[str]) -> None: ...


class Engine(NamedTuple):
    """The surroundings of an action. ``key`` seals values in labels; it belongs to the machine.

    ``review`` sees each plan before it is carried out; where it returns False, nothing is done. ``ask`` gets a question
    on whose answer it depends whether data is lost from sight; without it the answer is no. ``provided`` is what
    providers made before.
    """

    backend: Backend
    events: Events = Silence()
    key: bytes = b""
    parallel: int = PARALLEL
    cancel: Cancellation | None = None
    review: Callable[[Plan], bool] | None = None
    ask: Callable[[str], bool] | None = None
    provided: Memory | None = None

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
                raise ProjectError(f"nothing was changed: {loss}", hint=loss.remedy)
        for sentence in plan.warnings:
            self.events.warn(sentence)
        for event in plan.told:
            self.events.progress(event)
        if not plan.steps:
            return Outcome()
        from composer.engine.running.execute import execute

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
